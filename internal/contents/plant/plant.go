// Package plant plants values that look as real ones do, and are not reserved, in
// a shadow of a data set, so that it can be counted how many of them a scan
// misses. It makes values by recipes of its own and shares nothing with what
// looks for them. Nothing of it is ever in the set.
package plant

import (
	"bufio"
	"context"
	crand "crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"strings"

	"proofbox/internal/contents/tree"
)

// Recipes changes whenever other values are planted.
const Recipes = 1

// Shadow is a text of records of a set with a value planted in each.
type Shadow struct {
	Name   string // by which its format is known
	Text   string
	Plants []Planted

	text []byte // what becomes Text
}

// Planted is where a value is, in bytes of the shadow.
type Planted struct {
	Kind       string
	Start, End int64
}

// Bounds of what is taken of a set to plant in.
const (
	maxHosts = 300 // records
	maxHost  = 400 // bytes of one
	perText  = 100 // values planted in a shadow, so that a scan lists what it finds there
)

// Shadows makes shadows with n values in all, other ones each time.
func Shadows(ctx context.Context, path string, n int) ([]Shadow, error) {
	hosts, err := records(ctx, path)
	if err != nil {
		return nil, err
	}
	var seed [32]byte
	if _, err := crand.Read(seed[:]); err != nil {
		return nil, fmt.Errorf("choosing what to plant: %w", err)
	}
	r := rand.New(rand.NewChaCha8(seed))
	var list []Shadow
	for i := 0; i < n; i += perText {
		objects, text := Shadow{Name: "shadow.jsonl"}, Shadow{Name: "shadow.txt"}
		for j := i; j < min(n, i+perText); j++ {
			host := hosts[r.IntN(len(hosts))]
			if host.object {
				objects.plant(r, recipes[j%len(recipes)], host.text)
			} else {
				text.plant(r, recipes[j%len(recipes)], host.text)
			}
		}
		objects.Text, text.Text = string(objects.text), string(text.text)
		list = append(list, objects, text)
	}
	return list, nil
}

// plant adds a record with a value: as a field of its own, or in a sentence.
func (s *Shadow) plant(r *rand.Rand, with recipe, host string) {
	value := with.value(r)
	before, after := host+" "+with.before, " please\n"
	if strings.HasSuffix(s.Name, ".jsonl") {
		before, after = `{"`+with.field+`":"`, `",`+host[1:]+"\n"
		if r.IntN(2) == 0 {
			before, after = `{"remark":"Hello, `+with.before, ` please",`+host[1:]+"\n"
		}
	}
	start := int64(len(s.text) + len(before))
	s.text = append(append(append(s.text, before...), value...), after...)
	s.Plants = append(s.Plants, Planted{with.kind, start, start + int64(len(value))})
}

// host is a record to plant in.
type host struct {
	text   string
	object bool // of JSON, with a field at least
}

var errEnough = errors.New("enough records")

// records takes the first ones of a set's files that are lines of text. A set
// without any gives empty ones: the test is about the scan in any case.
func records(ctx context.Context, path string) ([]host, error) {
	list := []host{{"", false}, {`{"note":""}`, true}}
	err := tree.Walk(ctx, path, func(e tree.Entry) error {
		if e.Problem != "" {
			return nil // the scan says so
		}
		if len(list) >= maxHosts {
			return errEnough
		}
		_ = e.Read(func(f *os.File, _ int64) error { // what cannot be read is the scan's to say
			list = append(list, lines(f)...)
			return nil
		})
		return nil
	})
	if err != nil && !errors.Is(err, errEnough) {
		return nil, err
	}
	return list, nil
}

// lines takes some lines of a file.
func lines(f io.Reader) []host {
	var list []host
	in := bufio.NewScanner(io.LimitReader(f, maxHosts*maxHost))
	in.Buffer(nil, maxHost)
	for len(list) < maxHosts/10 && in.Scan() {
		text := in.Text()
		switch {
		case strings.ContainsRune(text, 0), strings.ContainsRune(text, '\uFFFD'):
			return list
		case strings.HasPrefix(text, `{"`) && json.Valid([]byte(text)):
			list = append(list, host{text, true})
		default:
			list = append(list, host{text, false})
		}
	}
	return list
}
