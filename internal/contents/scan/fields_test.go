package scan

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"proofbox"
)

// TestFields: findings are counted by field also where there are more than are listed, and a set with a field for each
// record cannot make the count grow.
func TestFields(t *testing.T) {
	t.Parallel()
	var text strings.Builder
	for i := range 2 * proofbox.MaxFindings {
		fmt.Fprintf(&text, `{"mail":"customer%d@web.de"}`+"\n", i)
	}
	text.WriteString(`{"to":[{"cc":["x","anna@web.de"]},{"cc":["bert@web.de"]}],"odd[x]":"carl@web.de"}` + "\n")
	count := func(text string) *Result {
		path := filepath.Join(t.TempDir(), "a.jsonl")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		r, err := Path(t.Context(), path, nil)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	r := count(text.String())
	want := []proofbox.FieldCount{{Field: "mail", Kind: "email", Found: 2000}, {Field: "odd[x]", Kind: "email", Found: 1}, {Field: "to[].cc[]", Kind: "email", Found: 2}}
	if len(r.Findings) != proofbox.MaxFindings || !slices.Equal(r.Fields, want) || r.Elsewhere != 0 {
		t.Errorf("%d findings, fields %v, %d elsewhere", len(r.Findings), r.Fields, r.Elsewhere)
	}
	text.Reset()
	for i := range proofbox.MaxFields + 7 {
		fmt.Fprintf(&text, `{"field%d":"customer@web.de"}`+"\n", i)
	}
	if r = count(text.String()); len(r.Fields) != proofbox.MaxFields || r.Elsewhere < 7 {
		t.Errorf("%d fields, %d elsewhere", len(r.Fields), r.Elsewhere)
	}
}
