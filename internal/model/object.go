package model

import (
	"bytes"
	"encoding/json"
	"strconv"
	"strings"
)

// object is a JSON object as it came, with where the values of its members are.
type object struct {
	text    []byte
	members map[string][2]int // from and to, in text
}

// parse reads an object. A member that is there twice is refused: two readers
// could take it for two different things, also where they differ in what they
// make of upper case.
func parse(text []byte) (*object, error) {
	if !json.Valid(text) {
		return nil, invalid("the request is not JSON")
	}
	d := json.NewDecoder(bytes.NewReader(text))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return nil, invalid("the request is not a JSON object")
	}
	o, names := &object{text: text, members: map[string][2]int{}}, map[string]bool{}
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return nil, invalid("the request is not JSON: %v", err)
		}
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			return nil, invalid("the request is not JSON: %v", err)
		}
		key := name.(string)
		fold := strings.ToLower(key)
		if names[fold] {
			return nil, invalid("the request has %q twice", key)
		}
		names[fold] = true
		to := int(d.InputOffset())
		o.members[key] = [2]int{to - len(value), to}
	}
	return o, nil
}

// get reads a member into v; it says whether it is there and not null.
func (o *object) get(name string, v any) (bool, error) {
	at, ok := o.members[name]
	if !ok || string(o.text[at[0]:at[1]]) == "null" {
		return false, nil
	}
	if err := json.Unmarshal(o.text[at[0]:at[1]], v); err != nil {
		return false, invalid("%q is not what it should be: %v", name, err)
	}
	return true, nil
}

// set changes one member, or adds it, and leaves every other byte as it is.
func (o *object) set(name, value string) error {
	var text []byte
	if at, ok := o.members[name]; ok {
		text = append(append(append(text, o.text[:at[0]]...), value...), o.text[at[1]:]...)
	} else {
		start := bytes.IndexByte(o.text, '{') + 1
		member := strconv.Quote(name) + ":" + value
		if len(o.members) > 0 {
			member += ","
		}
		text = append(append(append(text, o.text[:start]...), member...), o.text[start:]...)
	}
	changed, err := parse(text)
	if err == nil {
		*o = *changed
	}
	return err
}
