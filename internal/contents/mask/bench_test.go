package mask

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"proofbox"
	"proofbox/internal/contents/tag"
)

// BenchmarkMask masks records of a customer's letters, identifiers alone.
func BenchmarkMask(b *testing.B) {
	words := strings.Fields("the order was late and the customer asked whether a refund could be sent to the same account as before")
	var text strings.Builder
	for i := range 12_000 {
		fmt.Fprintf(&text, `{"id":%d,"mail":"user%d@gmail.com","phone":"+1 212-736-%04d","body":"`, i, i%2000, i%10000)
		for j := range 40 {
			text.WriteString(words[(i*7+j*j)%len(words)] + " ")
		}
		fmt.Fprintf(&text, "\",\"amount\":%d.50}\n", i)
	}
	dir := b.TempDir()
	in := filepath.Join(dir, "in.jsonl")
	if err := os.WriteFile(in, []byte(text.String()), 0o600); err != nil {
		b.Fatal(err)
	}
	key := tag.New([]byte(secret))
	b.SetBytes(int64(text.Len()))
	for i := 0; b.Loop(); i++ {
		m := Masker{Key: key, Find: finder(proofbox.MaskPlan{})}
		to := filepath.Join(dir, fmt.Sprint(i))
		if _, err := m.Mask(b.Context(), in, to+".jsonl", to+".list"); err != nil {
			b.Fatal(err)
		}
	}
}
