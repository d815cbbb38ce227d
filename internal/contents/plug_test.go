package contents

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"proofbox"
)

// naming is a plug that finds one name. Each case of TestPlug puts its own answer in.
const naming = `#!/usr/bin/python3
import json, sys
for line in sys.stdin:
    asked = json.loads(line)
    text = asked["text"].encode()
    at = text.find(b"Zyxomma")
    spans = [{"start": at, "end": at + 7, "kind": "person"}] if at >= 0 else []
    answer = json.dumps({"spans": spans})
    ANSWER
    print(answer, flush=True)
`

// plugOf is the program for looking at data, with a plug.
func plugOf(t *testing.T, answer string) (p Program, path string) {
	t.Helper()
	if _, err := exec.LookPath("/usr/bin/python3"); err != nil {
		if slices.Contains(strings.Split(os.Getenv("PROOFBOX_REQUIRE"), ","), "python") {
			t.Fatal(err)
		}
		t.Skipf("the plug of this test is in Python: %v", err)
	}
	p = program
	p.Plug = filepath.Join(t.TempDir(), "names")
	if err := os.WriteFile(p.Plug, []byte(strings.Replace(naming, "ANSWER", answer, 1)), 0o700); err != nil {
		t.Fatal(err)
	}
	path = filepath.Join(t.TempDir(), "a.jsonl")
	if err := os.WriteFile(path, []byte(`{"who":"ü Zyxomma","note":"write to a.b@corp-example.net"}`+"\n"+`{"who":"nobody"}`+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return p, path
}

// TestPlug: what finds names can be a program of the user's, and the scan says which.
// Where it fails, or lies, there is no scan.
func TestPlug(t *testing.T) {
	t.Parallel()
	p, path := plugOf(t, "pass")
	found, err := p.Names(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	var names []proofbox.Finding
	for _, f := range found.Findings {
		if f.Kind == "person" {
			names = append(names, f)
		}
	}
	if len(names) != 1 || names[0].Offset != 11 || names[0].Record != 1 || names[0].Field != "who" {
		t.Errorf("the names: %+v", names)
	}
	if digest, err := digestOf(p.Plug); err != nil || found.NamesBy != digest || !strings.HasSuffix(found.Rules, "+"+digest) {
		t.Errorf("names by %q, rules %q; %v", found.NamesBy, found.Rules, err)
	}
	if found.Unproven != 1 {
		t.Errorf("%d identifiers beside the names", found.Unproven)
	}
	for answer, want := range map[string]string{
		`sys.exit("out of order")`: "out of order",
		`answer = "hello"`:         "not as docs/contents.md describes",
		`answer = "x" * 2000000`:   "longer than 1048576 bytes",
		`answer = json.dumps({"spans": [{"start": 0, "end": 99, "kind": "person"}]})`: "byte 0 to 99",
		`answer = json.dumps({"spans": [{"start": 1, "end": 3, "kind": "person"}]})`:  "byte 1 to 3",
		`answer = json.dumps({"spans": [{"start": 3, "end": 3, "kind": "person"}]})`:  "byte 3 to 3",
		`answer = json.dumps({"spans": [{"start": 0, "end": 2, "kind": "spell"}]})`:   `"spell", which is none`,
		`answer = json.dumps({"spans": [{}] * 20000})`:                                "20000 names in a text",
	} {
		p, path := plugOf(t, answer)
		if _, err := p.Names(t.Context(), path); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "PROOFBOX_NAMES") {
			t.Errorf("%s: %v", answer, err)
		}
	}
	for plug, want := range map[string]string{"names": "the whole path", "/nowhere/names": "no such file", path: "permission denied"} {
		p.Plug = plug
		if _, err := p.Names(t.Context(), path); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", plug, err)
		}
	}
	p.Plug = "/nowhere/names"
	if _, err := p.Scan(t.Context(), path); err != nil {
		t.Errorf("who looks for no names needs no plug: %v", err)
	}
}
