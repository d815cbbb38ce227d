package boxfile

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestReversible: a number can be reversible, and nothing else can.
func TestReversible(t *testing.T) {
	t.Parallel()
	for kind, want := range map[string]string{"number, reversible": "", "number": "", "card, reversible": "only a number can be reversible", "number, back": "is no kind"} {
		path := filepath.Join(t.TempDir(), "plan.yaml")
		if err := os.WriteFile(path, []byte("version: 1\nfields:\n  ref: "+kind+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		p, err := ReadPlan(path)
		if want != "" {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v, want %q", kind, err, want)
			}
			continue
		}
		if err != nil || len(p.Fields) != 1 || p.Fields[0].Kind != "number" || p.Fields[0].Reversible != strings.Contains(kind, "reversible") {
			t.Errorf("%s: %+v, %v", kind, p, err)
		}
	}
}
