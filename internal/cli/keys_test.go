package cli

import (
	"os"
	"testing"
)

func TestKeys(t *testing.T) {
	t.Parallel()
	for sent, want := range map[string]string{
		"j": "j", "\x1b": "\x1b[27u", "j\x1b": "j\x1b[27u", "\x1b[A": "\x1b[A", "\x1bj": "\x1bj",
	} {
		from, to, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		defer from.Close()
		defer to.Close()
		if _, err := to.WriteString(sent); err != nil {
			t.Fatal(err)
		}
		buf := make([]byte, 64)
		n, err := keys{from}.Read(buf)
		if got := string(buf[:n]); got != want || err != nil {
			t.Errorf("%q is read as %q, not %q; %v", sent, got, want, err)
		}
	}
}

// TestKeysInTwoParts has the rest of a sequence be there when the first part was
// read, which is how it comes where a buffer ends in between.
func TestKeysInTwoParts(t *testing.T) {
	t.Parallel()
	from, to, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer from.Close()
	defer to.Close()
	if _, err := to.WriteString("jjj\x1b[A"); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 4+len(escapeAsCSI))
	var got string
	for len(got) < 6 {
		n, err := keys{from}.Read(buf)
		if err != nil {
			t.Fatal(err)
		}
		got += string(buf[:n])
	}
	if got != "jjj\x1b[A" {
		t.Errorf("%q", got)
	}
}
