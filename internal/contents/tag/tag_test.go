package tag

import (
	"fmt"
	"math"
	"testing"

	"pgregory.net/rapid"
)

// TestShare holds the rate of false tags, per kind, against the one that is
// documented: of values that were not made with the key.
func TestShare(t *testing.T) {
	t.Parallel()
	k := New([]byte("a secret of sixteen bytes"))
	const n = 200_000
	for _, layout := range []struct{ kind, format string }{
		{"account-number", "%08d"}, {"phone", "+49 30 %07d"}, {"passport", "C%08d"}, {"secret:x", "a-long-one-of-several-blocks-%012d"},
	} {
		tagged := 0
		for i := range n {
			if k.Tagged(layout.kind, fmt.Sprintf(layout.format, i*31%10_000_000)) {
				tagged++
			}
		}
		want := float64(n) / Share
		if math.Abs(float64(tagged)-want) > 6*math.Sqrt(want) {
			t.Errorf("%s: %d of %d are tagged, want about %.0f", layout.kind, tagged, n, want)
		}
	}
}

// TestWritten checks that a tag does not depend on how a value is written.
func TestWritten(t *testing.T) {
	t.Parallel()
	k := New([]byte("a secret of sixteen bytes"))
	for _, same := range [][]string{
		{"passport", "ab123 456", "AB-123456", "AB123456"},
		{"phone", "+49 (30) 123-4567", "0049301234567", "030 1234567 x12", "1234567"},
		{"person", "Tovena Mirulka", "MIRULKA, Tovena", "tovena  de mirulka"},
	} {
		for i := range 300 {
			k := New(fmt.Appendf(nil, "a secret of sixteen bytes %d", i))
			for _, v := range same[2:] {
				if k.Tagged(same[0], v) != k.Tagged(same[0], same[1]) {
					t.Fatalf("%s %q and %q are not the same", same[0], v, same[1])
				}
			}
		}
	}
	if k.Tagged("person", "J. de") || k.Tagged("phone", "12345") || k.Tagged("x", "--") || (*Key)(nil).Tagged("x", "y") {
		t.Error("nothing is tagged")
	}
}

// TestPRF checks that messages of all lengths have values of their own, and that keys
// and purposes have, too.
func TestPRF(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		a, b := rapid.SliceOf(rapid.Byte()).Draw(t, "a"), rapid.SliceOf(rapid.Byte()).Draw(t, "b")
		p := NewPRF([]byte("secret"), "one")
		if (p.Sum(a) == p.Sum(b)) != (string(a) == string(b)) {
			t.Fatal("two messages share a value")
		}
		if p.Sum(a) == NewPRF([]byte("secret"), "two").Sum(a) || p.Sum(a) == NewPRF([]byte("other"), "one").Sum(a) {
			t.Fatal("two keys share a value")
		}
	})
	p := NewPRF([]byte("secret"), "one")
	seen := map[[16]byte]bool{}
	for n := range 100 { // zeros are not padding
		seen[p.Sum(make([]byte, n))] = true
	}
	if len(seen) != 100 {
		t.Errorf("100 messages have %d values", len(seen))
	}
}

func BenchmarkTagged(b *testing.B) {
	k := New([]byte("a secret of sixteen bytes"))
	for b.Loop() {
		k.Tagged("account-number", "12345678")
	}
}
