package proofbox

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// Size is a number of bytes. Its text form is a whole number with a unit of
// B, KiB, MiB, GiB or TiB (powers of 1024; "K", "M", "G" and "T" are read as
// the same).
type Size int64

var sizeUnits = []struct {
	name  string
	bytes Size
}{
	{"TiB", 1 << 40},
	{"GiB", 1 << 30},
	{"MiB", 1 << 20},
	{"KiB", 1 << 10},
	{"B", 1},
}

// String writes the size exactly, in the largest unit that divides it.
func (s Size) String() string {
	for _, u := range sizeUnits {
		if s != 0 && s%u.bytes == 0 {
			return strconv.FormatInt(int64(s/u.bytes), 10) + u.name
		}
	}
	return "0B"
}

// Rounded writes the size for people, with one decimal at most: "23.4KiB".
func (s Size) Rounded() string {
	for _, u := range sizeUnits {
		if s >= u.bytes && u.bytes > 1 {
			tenths := math.Round(float64(s) / float64(u.bytes) * 10)
			return strconv.FormatFloat(tenths/10, 'f', -1, 64) + u.name
		}
	}
	return strconv.FormatInt(int64(s), 10) + "B"
}

// ParseSize reads what [Size.String] writes, and plain numbers of bytes.
func ParseSize(text string) (Size, error) {
	digits := strings.TrimRight(text, "KMGTiBb")
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || n < 0 {
		return 0, sizeError(text)
	}
	unit, err := sizeUnit(text[len(digits):])
	if err != nil || n > math.MaxInt64/int64(unit) {
		return 0, sizeError(text)
	}
	return Size(n) * unit, nil
}

// ParseLimit reads a size that is a limit: none is 0, because a limit that is
// not given has a default, and one that is switched off does not exist.
func ParseLimit(text string) (Size, error) {
	s, err := ParseSize(text)
	if err == nil && s == 0 {
		return 0, fmt.Errorf("a limit of %q would allow nothing; leave it out for the default", text)
	}
	return s, err
}

func sizeUnit(suffix string) (Size, error) {
	for _, u := range sizeUnits {
		if suffix == u.name || suffix == u.name[:1] || suffix == "" && u.bytes == 1 {
			return u.bytes, nil
		}
	}
	return 0, fmt.Errorf("unknown unit %q", suffix)
}

func sizeError(text string) error {
	return fmt.Errorf("size %q is not a whole number with B, KiB, MiB, GiB or TiB, or K, M, G, T for the same (512MiB, say)", text)
}

// MarshalText implements [encoding.TextMarshaler].
func (s Size) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText implements [encoding.TextUnmarshaler].
func (s *Size) UnmarshalText(text []byte) (err error) {
	*s, err = ParseSize(string(text))
	return err
}

// Duration is a span of time whose text form is Go's ("10m", "1h30m").
type Duration time.Duration

// String writes the duration without the zero units Go would append: "10m".
func (d Duration) String() string {
	s := time.Duration(d).String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// ParseDuration reads a positive duration.
func ParseDuration(text string) (Duration, error) {
	d, err := time.ParseDuration(text)
	if err != nil || d <= 0 {
		return 0, fmt.Errorf("duration %q is not a positive time with a unit (10m, say)", text)
	}
	return Duration(d), nil
}

// MarshalText implements [encoding.TextMarshaler].
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText implements [encoding.TextUnmarshaler].
func (d *Duration) UnmarshalText(text []byte) (err error) {
	*d, err = ParseDuration(string(text))
	return err
}
