package daemon_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"proofbox"
	"proofbox/internal/daemon"
)

// order makes a box read, and then change something outside: three times.
const order = `
curl -sS https://example.com/orders
curl -sS -H "Authorization: Bearer $TOKEN" -H "Content-Type: application/json" -d '{"amount": 3}' https://example.com/orders
curl -sS -X PUT -d 'breaks off' https://example.com/orders/1
curl -sS -X DELETE https://example.com/orders/2
curl -sS -H "X-HTTP-Method-Override: DELETE" https://example.com/orders
echo changed >file
`

// shopOf is a server that says in words what it was told, and breaks off on a PUT
// while unwell.
func shopOf(told *strings.Builder, unwell *bool) *httptest.Server {
	return httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		fmt.Fprintf(told, "%s %s %s %s\n", r.Method, r.URL, r.Header.Get("Authorization"), body)
		if r.Method == http.MethodPut && *unwell {
			panic(http.ErrAbortHandler)
		}
		fmt.Fprintf(w, "done: %s", r.Header.Get("Authorization"))
	}))
}

// TestRequestsAreHeld: what would change something does not leave before a person
// says so, and then once; without the rule it leaves.
func TestRequestsAreHeld(t *testing.T) {
	const secret = "a-secret-of-nobody-12345"
	t.Setenv("TOKEN", secret)
	var told strings.Builder
	unwell := true
	s := shopOf(&told, &unwell)
	defer s.Close()
	d := open(t)
	meet(d, s)
	spec := proofbox.Spec{
		Workspace: proofbox.Workspace{Original: t.TempDir()},
		Egress:    proofbox.Egress{Stage: []string{"example.com"}},
		Secrets:   []proofbox.Secret{{Name: "TOKEN", Host: "example.com", Methods: []string{"POST"}}},
	}
	r := run(t, d, spec, order)
	if got := told.String(); got != "GET /orders  \n" {
		t.Errorf("before anybody has said so, the server was told %q", got)
	}
	if !strings.Contains(r.stdout, "request 1 is held") || !strings.Contains(r.stdout, "X-Http-Method-Override") {
		t.Errorf("the box was told %q", r.stdout)
	}
	diff, err := d.Diff(t.Context(), r.ID, proofbox.DiffRequest{})
	if err != nil || len(diff.Staged) != 3 || len(diff.Changes) != 1 || diff.Staged[0].Body != `{"amount": 3}` || strings.Contains(fmt.Sprint(diff), secret) {
		t.Fatalf("%+v, %v", diff, err)
	}
	id := func(n int) proofbox.StagedID { return proofbox.StagedID{N: n, Hash: diff.Staged[n-1].Hash} }
	refused := func(why string, r proofbox.SendRequest) {
		t.Helper()
		before := told.String()
		if _, err := d.Send(t.Context(), diff.Run, r); err == nil || !strings.Contains(err.Error(), why) || told.String() != before {
			t.Errorf("want %q: %v; the server was told %q", why, err, strings.TrimPrefix(told.String(), before))
		}
	}
	refused("not the one that was shown", proofbox.SendRequest{Of: []proofbox.StagedID{{N: 1, Hash: id(2).Hash}}})
	refused("no request 4", proofbox.SendRequest{Of: []proofbox.StagedID{{N: 4}}})

	sent, err := d.Send(t.Context(), r.ID, proofbox.SendRequest{Of: []proofbox.StagedID{id(1)}})
	if err != nil || sent.Staged[0].State != proofbox.Sent || sent.Staged[0].Status != 200 || strings.Contains(string(sent.Staged[0].Answer), secret) {
		t.Errorf("%+v, %v", sent.Staged, err)
	}
	if want := `POST /orders Bearer ` + secret + ` {"amount": 3}` + "\n"; !strings.HasSuffix(told.String(), want) {
		t.Errorf("the server was told %q", &told)
	}
	refused("was sent", proofbox.SendRequest{Of: []proofbox.StagedID{id(1)}})

	// The second breaks off, so the third waits; what may have arrived is not sent again.
	if sent, err = d.Send(t.Context(), r.ID, proofbox.SendRequest{All: true}); err == nil || sent.Staged[1].State != proofbox.Sending || sent.Staged[2].State != proofbox.Held {
		t.Errorf("%+v, %v", sent.Staged, err)
	}
	unwell = false
	refused("may have arrived already", proofbox.SendRequest{Of: []proofbox.StagedID{id(2)}})
	if sent, err = d.Send(t.Context(), r.ID, proofbox.SendRequest{Of: []proofbox.StagedID{id(2)}, Again: true}); err != nil || sent.Staged[1].State != proofbox.Sent {
		t.Errorf("%+v, %v", sent.Staged, err)
	}
	if _, err := d.Discard(t.Context(), r.ID); err != nil {
		t.Fatal(err)
	}
	refused("was dropped", proofbox.SendRequest{Of: []proofbox.StagedID{id(3)}})

	told.Reset()
	spec.Egress = proofbox.Egress{Inspect: []proofbox.Inspection{{Host: "example.com"}}}
	if run(t, d, spec, order); !strings.Contains(told.String(), "DELETE /orders/2") {
		t.Errorf("without the rule, the server was told %q", &told)
	}
}

// TestHeldBytesAreTheShownOnes: what somebody has altered in the state folder is
// not sent, and nothing is held beyond its bound.
func TestHeldBytesAreTheShownOnes(t *testing.T) {
	var told strings.Builder
	s := shopOf(&told, new(bool))
	defer s.Close()
	d := open(t)
	daemon.Reach(d, elsewhere{s.Listener.Addr().String()})
	r := run(t, d, proofbox.Spec{
		Workspace: proofbox.Workspace{Original: t.TempDir()},
		Egress:    proofbox.Egress{Stage: []string{"example.com"}, Upload: 1 << 10},
	}, `curl -sS -d first https://example.com/; head -c 2000 /dev/zero | curl -sS --data-binary @- https://example.com/`)
	if !strings.Contains(r.stdout, "more than 1KiB would be held") || !strings.Contains(r.stdout, "request 1 is held") {
		t.Errorf("the box was told %q", r.stdout)
	}
	daemon.AlterStaged(t, d, r.ID, 1, "other")
	if _, err := d.Send(t.Context(), r.ID, proofbox.SendRequest{All: true}); err == nil || !strings.Contains(err.Error(), "not what it was") || told.Len() > 0 {
		t.Errorf("%v; the server was told %q", err, &told)
	}
}
