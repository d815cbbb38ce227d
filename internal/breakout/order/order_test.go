package order_test

import (
	"encoding/binary"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"proofbox/internal/breakout/order"
)

func TestLineIsFoundAmongOtherOutput(t *testing.T) {
	t.Parallel()
	want := order.Report{Got: []string{"a\nb", "\x1b[2J"}, Said: "é", Absent: "x"}
	text := append([]byte("noise\nproofbox-attack {torn\n"), want.Line()...)
	got, found := order.Find(append(text, "more"...))
	if diff := cmp.Diff(want, got); !found || diff != "" {
		t.Errorf("%t, %s", found, diff)
	}
	if _, found := order.Find(text[:len(text)-1]); found {
		t.Error("a line that has not ended is found")
	}
}

func TestNetworkShort(t *testing.T) {
	t.Parallel()
	var b [2]byte
	if binary.NativeEndian.PutUint16(b[:], order.NetworkShort(0x0806)); b != [2]byte{8, 6} {
		t.Errorf("%x", b)
	}
}

func FuzzFind(f *testing.F) {
	f.Add("proofbox-attack {\"got\":[\"x\"]}\n")
	f.Add(strings.Repeat("proofbox-attack ", 3))
	f.Fuzz(func(t *testing.T, text string) {
		r, found := order.Find([]byte(text))
		if !found {
			return
		}
		again, found := order.Find(r.Line())
		if diff := cmp.Diff(r, again); !found || diff != "" {
			t.Errorf("%t, %s", found, diff)
		}
	})
}
