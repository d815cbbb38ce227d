package mask

import (
	"encoding/hex"
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"proofbox"
	"proofbox/internal/contents/tag"
)

// TestFF1 has NIST's nine samples for FF1.
func TestFF1(t *testing.T) {
	t.Parallel()
	const key = "2B7E151628AED2A6ABF7158809CF4F3CEF4359D8D580AA4F7F036D6F04FC6A94"
	const digits, tweak, letters, third = "0123456789", "39383736353433323130", "0123456789abcdefghi", "3737373770717273373737"
	for _, c := range []struct {
		key          int
		radix        int
		tweak        string
		plain, cover string
	}{
		{16, 10, "", digits, "2433477484"},
		{16, 10, tweak, digits, "6124200773"},
		{16, 36, third, letters, "a9tv40mll9kdu509eum"},
		{24, 10, "", digits, "2830668132"},
		{24, 10, tweak, digits, "2496655549"},
		{24, 36, third, letters, "xbj3kv35jrawxv32ysr"},
		{32, 10, "", digits, "6657667009"},
		{32, 10, tweak, digits, "1001623463"},
		{32, 36, third, letters, "xs8a0azh2avyalyzuwd"},
	} {
		k, err := hex.DecodeString(key[:2*c.key])
		if err != nil {
			t.Fatal(err)
		}
		tw, err := hex.DecodeString(c.tweak)
		if err != nil {
			t.Fatal(err)
		}
		f, err := newFF1(k, c.radix)
		if err != nil {
			t.Fatal(err)
		}
		got, err := f.encrypt(numeralsOf(c.plain), tw)
		if err != nil || textOf(got) != c.cover {
			t.Errorf("AES-%d, radix %d: %s, %v, want %s", c.key*8, c.radix, textOf(got), err, c.cover)
		}
		if back, err := f.decrypt(numeralsOf(c.cover), tw); err != nil || textOf(back) != c.plain {
			t.Errorf("AES-%d, radix %d, back: %s, %v", c.key*8, c.radix, textOf(back), err)
		}
	}
}

const numeralLetters = "0123456789abcdefghijklmnopqrstuvwxyz"

func numeralsOf(s string) []byte {
	out := make([]byte, len(s))
	for i := range s {
		out[i] = byte(strings.IndexByte(numeralLetters, s[i]))
	}
	return out
}

func textOf(x []byte) string {
	var b strings.Builder
	for _, c := range x {
		b.WriteByte(numeralLetters[c])
	}
	return b.String()
}

// TestReverser: what is got back is what was; two numbers never become the same; and fewer than a million possible ones are
// refused.
func TestReverser(t *testing.T) {
	t.Parallel()
	r, err := newReverser(tag.New([]byte(secret)), "", 0)
	if err != nil {
		t.Fatal(err)
	}
	other, err := newReverser(tag.New([]byte("another "+secret)), "", 0)
	if err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(t *rapid.T) {
		value := rapid.StringMatching(`[0-9]{3}[- ]?[0-9]{3}([-/.][0-9]{1,30})?`).Draw(t, "value")
		out, err := r.replace(value)
		if err != nil || len(out) != len(value) || (out[0] == '0') != (value[0] == '0') {
			t.Fatalf("%q becomes %q: %v", value, out, err)
		}
		if back, err := r.restore(out); err != nil || back != value {
			t.Fatalf("%q comes back as %q: %v", value, back, err)
		}
		if back, err := other.restore(out); len(value) > 14 && (err != nil || back == value) {
			t.Fatalf("another key gets %q back: %v", back, err)
		}
	})
	for _, value := range []string{"12345", "12-34", "AB123456", "1" + strings.Repeat("0", maxNumerals)} {
		if out, err := r.replace(value); err == nil {
			t.Errorf("%q becomes %q", value, out)
		}
	}
}

// TestReversible: a field that is reversible joins as before, and comes back; one with more numbers than its length
// allows is refused.
func TestReversible(t *testing.T) {
	t.Parallel()
	plan := proofbox.MaskPlan{Version: 1, Fields: []proofbox.MaskField{{Field: "ref", Kind: "number", Reversible: true}}}
	var table, lines strings.Builder
	table.WriteString("ref,mail\n")
	for i := range 50 {
		fmt.Fprintf(&table, "%d,p%d@web.de\n", 73104422+i*31, i)
		fmt.Fprintf(&lines, `{"order":{"ref":%d}}`+"\n", 73104422+i*31)
	}
	files := map[string]string{"a.csv": table.String(), "b.jsonl": lines.String()}
	got, r, err := masked(t, secret, plan, files)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	rows := strings.Split(strings.TrimSpace(got["a.csv"]), "\n")[1:]
	for i, line := range strings.Split(strings.TrimSpace(got["b.jsonl"]), "\n") {
		ref, _, _ := strings.Cut(rows[i], ",")
		if line != `{"order":{"ref":`+ref+`}}` || seen[ref] || strings.Contains(table.String(), ref) {
			t.Errorf("%s beside %s", line, rows[i])
		}
		seen[ref] = true
	}
	back, err := newReverser(tag.New([]byte(secret)), "", r.Tweak)
	if err != nil {
		t.Fatal(err)
	}
	if ref, err := back.restore(rows[0][:8]); err != nil || ref != "73104422" {
		t.Errorf("%s comes back as %s: %v", rows[0], ref, err)
	}
	var many strings.Builder
	many.WriteString("ref\n")
	for i := range 20000 {
		fmt.Fprintf(&many, "%d\n", 100000+i*40)
	}
	if _, _, err := masked(t, secret, plan, map[string]string{"a.csv": many.String()}); err == nil || !strings.Contains(err.Error(), "too many numbers for their length") {
		t.Errorf("too many: %v", err)
	}
}
