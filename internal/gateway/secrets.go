package gateway

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"proofbox"
)

// Secret is what the gateway puts into certain requests, in the place of what
// the box has.
type Secret struct {
	proofbox.SecretUse
	Value       string
	Placeholder string
}

// minSecret is the length of a secret, in bytes, below which its redaction would
// tear up what has nothing to do with it.
const minSecret = 8

// NewSecret makes a secret with a placeholder that nobody can guess. Its value
// must fit a header.
func NewSecret(use proofbox.SecretUse, value string) (Secret, error) {
	if len(value) < minSecret {
		return Secret{}, fmt.Errorf("the secret %s has fewer than %d characters", use.Name, minSecret)
	}
	if strings.ContainsFunc(value, func(r rune) bool { return r < ' ' || r > '~' }) {
		return Secret{}, fmt.Errorf("the secret %s has characters that no header can carry; is there a line end in it?", use.Name)
	}
	var b [16]byte
	rand.Read(b[:])
	return Secret{SecretUse: use, Value: value, Placeholder: "proofbox" + hex.EncodeToString(b[:])}, nil
}

// forms are the ways in which a server can give the secret back, beside as it is:
// in JSON, in an address, and in encodings of bytes.
func (s *Secret) forms() []string {
	quoted, err := json.Marshal(s.Value)
	if err != nil {
		panic(fmt.Sprintf("gateway: a text has no form in JSON: %v", err)) // each has
	}
	all := []string{
		s.Value, strings.Trim(string(quoted), `"`), url.QueryEscape(s.Value), url.PathEscape(s.Value),
		hex.EncodeToString([]byte(s.Value)), strings.ToUpper(hex.EncodeToString([]byte(s.Value))),
	}
	for before := range 3 {
		all = append(all, within(base64.RawStdEncoding, s.Value, before), within(base64.RawURLEncoding, s.Value, before))
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// within gives what an encoding has of a text wherever it stands behind some bytes
// more than a multiple of three: without the characters that are of what stands
// beside it, too.
func within(e *base64.Encoding, text string, before int) string {
	const bits = 6 // of a character
	encoded := e.EncodeToString([]byte(strings.Repeat("\x00", before) + text))
	return encoded[(before*8+bits-1)/bits : (before+len(text))*8/bits]
}

// vault is the secrets of one run.
type vault struct {
	secrets   []Secret
	redaction []swap // of every form of every secret
	spotting  []swap // of every placeholder, by the name of its secret
	unveiled  bool   // the weakened twin of a test, whose answers come as they are
}

func newVault(secrets []Secret) *vault {
	v := &vault{secrets: secrets}
	for i := range secrets {
		s := &secrets[i]
		for _, form := range s.forms() {
			v.redaction = append(v.redaction, swap{form, s.Placeholder})
		}
		v.spotting = append(v.spotting, swap{s.Placeholder, s.Name})
	}
	return v
}

func (v *vault) empty() bool { return len(v.secrets) == 0 }

// putting is what was done to one request.
type putting struct {
	names []string // of the secrets that were put in
	left  []string // of those whose placeholder is one still
	swaps []swap   // what the answer must not show beside the secrets' own forms
}

// put puts secrets into the headers of a request that they are for, if it may
// pass. What is written elsewhere in the request's head stays as it is.
func (v *vault) put(r *http.Request, to proofbox.Destination, pass bool) putting {
	var p putting
	for i := range v.secrets {
		s := &v.secrets[i]
		if mentions(r.URL, s.Placeholder) {
			p.left = append(p.left, s.Name)
		}
		for _, values := range r.Header {
			for n, value := range values {
				with, ok := s.in(value)
				switch {
				case !ok:
				case pass && s.Destination == to && s.permits(r) == nil:
					values[n] = with
					p.names = append(p.names, s.Name)
					p.swaps = append(p.swaps, swap{with, value})
				default:
					p.left = append(p.left, s.Name)
				}
			}
		}
	}
	return p
}

// astray gives those of some secrets that have nothing to do with where a request
// goes.
func (v *vault) astray(names []string, t *transfer) (strays []string) {
	for _, s := range v.secrets {
		if slices.Contains(names, s.Name) && !(t.secure && s.Destination == t.to) {
			strays = append(strays, s.Name)
		}
	}
	return strays
}

func (s *Secret) permits(r *http.Request) error { return permits(s.Inspected, r) }

// in gives a header's value with the secret in it: as it is, or as the user's
// name and password of RFC 7617.
func (s *Secret) in(value string) (string, bool) {
	if strings.Contains(value, s.Placeholder) {
		return strings.ReplaceAll(value, s.Placeholder, s.Value), true
	}
	scheme, encoded, ok := strings.Cut(value, " ")
	if !ok || !strings.EqualFold(scheme, "Basic") {
		return value, false
	}
	pair, err := base64.StdEncoding.DecodeString(strings.TrimSpace(encoded))
	if err != nil || !strings.Contains(string(pair), s.Placeholder) {
		return value, false
	}
	pair = []byte(strings.ReplaceAll(string(pair), s.Placeholder, s.Value))
	return scheme + " " + base64.StdEncoding.EncodeToString(pair), true
}

func mentions(u *url.URL, placeholder string) bool {
	query, err := url.QueryUnescape(u.RawQuery)
	return strings.Contains(u.Path, placeholder) || strings.Contains(u.RawQuery, placeholder) || err == nil && strings.Contains(query, placeholder)
}

// spotted names the secrets whose placeholders are in a text.
func (v *vault) spotted(text string) []string {
	s := v.spotter()
	_, _ = s.Write([]byte(text)) // into nothing
	return slices.Sorted(maps.Keys(s.found))
}

// spotter looks for placeholders in what is written to it.
func (v *vault) spotter() *redactor { return &redactor{out: io.Discard, swaps: v.spotting} }

// veil is an answer on its way into the box, which shows no secret.
type veil struct {
	http.ResponseWriter
	body  *redactor
	begun bool
}

// veiled has an answer to a request show no secret. It must be closed.
func (v *vault) veiled(w http.ResponseWriter, p putting) *veil {
	if v.unveiled {
		return &veil{ResponseWriter: w, body: &redactor{out: w}}
	}
	swaps := v.redaction
	for _, s := range p.swaps {
		// In an answer it may be without what kind of thing it is.
		_, from, ok := strings.Cut(strings.TrimRight(s.from, "="), " ")
		_, to, _ := strings.Cut(strings.TrimRight(s.to, "="), " ")
		swaps = append(slices.Clone(swaps), s)
		if ok && len(from) >= minSecret {
			swaps = append(swaps, swap{from, to})
		}
	}
	return &veil{ResponseWriter: w, body: &redactor{out: w, swaps: swaps}}
}

// WriteHeader implements [http.ResponseWriter]; it is also how answers of the
// kind 1xx come.
func (v *veil) WriteHeader(status int) {
	v.hide()
	v.begun = v.begun || status >= 200
	v.ResponseWriter.WriteHeader(status)
}

// hide takes the secrets out of the head, or out of what comes after the body.
func (v *veil) hide() {
	h := v.Header()
	for name, values := range h {
		for i, value := range values {
			values[i] = redacted(value, v.body.swaps)
		}
		if clean := redacted(name, v.body.swaps); clean != name {
			delete(h, name)
		}
	}
}

func (v *veil) Write(p []byte) (int, error) {
	if !v.begun {
		v.WriteHeader(http.StatusOK)
	}
	return v.body.Write(p)
}

// Unwrap is for [http.ResponseController].
func (v *veil) Unwrap() http.ResponseWriter { return v.ResponseWriter }

// Close ends the answer.
func (v *veil) Close() {
	_ = v.body.Close() // who asked may have gone
	v.hide()
}
