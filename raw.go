package proofbox

import (
	"encoding/json"
	"fmt"
	"unicode/utf8"
)

// Raw is a string that may hold any bytes, as file names and files do. In JSON
// it is a string where it is UTF-8, else an object {"base64": "…"}, so that
// nothing is lost.
type Raw string

type rawBytes struct {
	Base64 []byte `json:"base64"`
}

// MarshalJSON implements [json.Marshaler].
func (r Raw) MarshalJSON() ([]byte, error) {
	if utf8.ValidString(string(r)) {
		return json.Marshal(string(r))
	}
	return json.Marshal(rawBytes{[]byte(r)})
}

// UnmarshalJSON implements [json.Unmarshaler].
func (r *Raw) UnmarshalJSON(data []byte) error {
	var text string
	if err := json.Unmarshal(data, &text); err == nil {
		*r = Raw(text)
		return nil
	}
	var b rawBytes
	if err := json.Unmarshal(data, &b); err != nil {
		return fmt.Errorf("neither a string nor {\"base64\": …}: %w", err)
	}
	*r = Raw(b.Base64)
	return nil
}
