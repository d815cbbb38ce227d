package gateway

import (
	"bytes"
	"slices"
	"strings"
	"testing"
)

// pushOf is the beginning of a push, as git sends it.
func pushOf(features string, refs ...string) []byte {
	var b bytes.Buffer
	for i, ref := range refs {
		line := strings.Repeat("0", 40) + " " + strings.Repeat("1", 40) + " " + ref
		if i == 0 {
			line += "\x00" + features
		}
		writePacket(&b, line)
	}
	b.WriteString(flushPacket + "PACK…")
	return b.Bytes()
}

func TestPush(t *testing.T) {
	t.Parallel()
	for features, sideband := range map[string]bool{" report-status-v2 side-band-64k agent=git/2.39": true, " report-status": false} {
		p, ok := readPush(pushOf(features, "refs/heads/main", "refs/tags/v1"))
		if !ok || p.sideband != sideband || !slices.Equal(p.refs, []string{"refs/heads/main", "refs/tags/v1"}) {
			t.Errorf("%q is read as %+v, %t", features, p, ok)
		}
		text, rejected := pushed(p.answer("held"))
		if text != "unpack ok\nng refs/heads/main held\nng refs/tags/v1 held\n" || rejected != "ng refs/heads/main held" {
			t.Errorf("the answer is read as %q, %q", text, rejected)
		}
	}
	for _, none := range []string{"", "0000", "zzzz", "0004", "0001", "fff0x", "0008abcd0000", string(pushOf("", "refs/heads/x")[:30])} {
		if p, ok := readPush([]byte(none)); ok {
			t.Errorf("%q is read as %+v", none, p)
		}
	}
	for answer, want := range map[string]string{
		"000eunpack ok\n0000": "", "0013unpack: broken\n0000": "", "0014unpack no space \n0000": "unpack no space", "": "",
	} {
		if _, rejected := pushed([]byte(answer)); rejected != want {
			t.Errorf("%q is read as %q", answer, rejected)
		}
	}
}

// FuzzPush: whatever a box, or a server, sends is read within its bounds.
func FuzzPush(f *testing.F) {
	f.Add(pushOf(" side-band-64k", "refs/heads/main"))
	f.Add(push{refs: []string{"x"}, sideband: true}.answer("why"))
	f.Fuzz(func(t *testing.T, text []byte) {
		if p, ok := readPush(text); ok {
			if _, rejected := pushed(p.answer("held")); len(p.refs) == 0 || rejected == "" {
				t.Errorf("%d refs, and %q", len(p.refs), rejected)
			}
		}
		words, _ := pushed(text)
		if len(words) > len(text) {
			t.Errorf("%d bytes of %d", len(words), len(text))
		}
	})
}
