package proofbox_test

import (
	"testing"

	"pgregory.net/rapid"

	"proofbox"
)

func TestSizeIsReadAsWritten(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		size := proofbox.Size(rapid.Int64Min(0).Draw(t, "size"))
		got, err := proofbox.ParseSize(size.String())
		if err != nil || got != size {
			t.Fatalf("%q was read as %d: %v", size, got, err)
		}
	})
}

func TestSizeThatCannotBe(t *testing.T) {
	for _, text := range []string{"", "B", "-1", "-1MiB", "1.5GiB", "1e3", "9223372036854775808", "8388608TiB", "1 MiB", "1mb", "0x10"} {
		if got, err := proofbox.ParseSize(text); err == nil {
			t.Errorf("%q was read as %d", text, got)
		}
	}
}

func TestRounded(t *testing.T) {
	for size, want := range map[proofbox.Size]string{
		0: "0B", 1: "1B", 1023: "1023B", 1024: "1KiB", 23960: "23.4KiB", 1<<20 - 1: "1024KiB", 5 << 30: "5GiB",
	} {
		if got := size.Rounded(); got != want {
			t.Errorf("%d is %q, want %q", size, got, want)
		}
	}
}
