package daemon_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"proofbox"
)

// use sends what the box has of a secret with several clients, none of which is
// told whom to trust.
const use = `
echo "the box has $TOKEN"
curl -sS -H "Authorization: Bearer $TOKEN" https://example.com/api/curl
python3 -c '
import os, urllib.request as u
print(u.urlopen(u.Request("https://example.com/api/python", headers={"Authorization": "Bearer " + os.environ["TOKEN"]})).read().decode())'
curl -sS -H "Authorization: Bearer $TOKEN" https://example.com/elsewhere
curl -sS -X DELETE https://example.com/api/curl
cat /proc/*/environ /proc/*/cmdline 2>/dev/null | tr '\0' '\n'; cat $SSL_CERT_FILE
`

// TestSecretNeverEntersTheBox: a server outside is told the secret, and nothing
// that a process in the box can see has it.
func TestSecretNeverEntersTheBox(t *testing.T) {
	const secret = "a-secret-of-nobody-12345"
	t.Setenv("TOKEN", secret)
	var told strings.Builder
	s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(&told, "%s %s\n", r.URL.Path, r.Header.Get("Authorization"))
		fmt.Fprintf(w, "%s hears %s\n", r.URL.Path, r.Header.Get("Authorization"))
	}))
	defer s.Close()
	for _, wall := range walls {
		t.Run(string(wall), func(t *testing.T) {
			told.Reset()
			d := open(t)
			meet(d, s)
			r := run(t, d, proofbox.Spec{
				Wall: wall, Workspace: proofbox.Workspace{Original: t.TempDir()},
				Egress:  proofbox.Egress{Inspect: []proofbox.Inspection{{Host: "example.com", Methods: []string{"get"}}}},
				Secrets: []proofbox.Secret{{Name: "TOKEN", Host: "example.com", Paths: []string{"/api/*"}}},
			}, use)
			if strings.Contains(r.stdout+r.stderr, secret) || strings.Contains(r.stdout, "PRIVATE KEY") {
				t.Errorf("the box has seen the secret: %q", r.stdout)
			}
			for _, want := range []string{"/api/curl Bearer " + secret + "\n", "/api/python Bearer " + secret + "\n", "/elsewhere Bearer proofbox"} {
				if !strings.Contains(told.String(), want) {
					t.Errorf("the server was not told %q: %q; %q", want, &told, r.stderr)
				}
			}
			for _, want := range []string{"the box has proofbox", "/api/curl hears Bearer proofbox", "/api/python hears Bearer proofbox", "proofbox: DELETE is not allowed to example.com:443; it lets pass GET of all paths"} {
				if !strings.Contains(r.stdout, want) {
					t.Errorf("it does not say %q: %q, %q", want, r.stdout, r.stderr)
				}
			}
			var got []string
			for _, c := range r.Egress {
				got = append(got, fmt.Sprintf("%s %s %s %v", c.Verdict, c.Method, c.Path, c.Secrets))
			}
			const want = "allowed GET /api/curl [TOKEN], allowed GET /api/python [TOKEN], allowed GET /elsewhere [], denied DELETE /api/curl []"
			if strings.Join(got, ", ") != want {
				t.Errorf("the record lists %q, want %q", strings.Join(got, ", "), want)
			}
			record, err := d.Show(t.Context(), r.ID)
			if err != nil || strings.Contains(fmt.Sprintf("%+v", record), secret) {
				t.Errorf("the record has the secret, or there is none: %v", err)
			}
		})
	}
}
