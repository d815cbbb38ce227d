package proofbox

import (
	"fmt"
	"strconv"
	"strings"
)

// Money is an amount in nano-dollars: a thousand-millionth of a US dollar, in
// which the price of a single token is a whole number. Its text form is decimal
// dollars ("5", "0.000123").
type Money int64

// Dollar is one US dollar.
const Dollar Money = 1e9

// String writes the amount exactly.
func (m Money) String() string {
	sign, n := "", uint64(m)
	if m < 0 {
		sign, n = "-", -n
	}
	text := sign + strconv.FormatUint(n/uint64(Dollar), 10)
	if rest := n % uint64(Dollar); rest > 0 {
		text += "." + strings.TrimRight(fmt.Sprintf("%09d", rest), "0")
	}
	return text
}

// ParseMoney reads decimal dollars of 0 or more, with at most nine digits after
// the point. It never rounds.
func ParseMoney(text string) (Money, error) {
	whole, part, _ := strings.Cut(text, ".")
	dollars, err := strconv.ParseUint(whole, 10, 33) // of 34 bits, the most that fits
	nanos, partErr := strconv.ParseUint((part + "000000000")[:max(9, len(part))], 10, 32)
	if err != nil || partErr != nil || len(part) > 9 || strings.HasSuffix(text, ".") || nanos >= uint64(Dollar) || dollars > 9e9 {
		return 0, fmt.Errorf("%q is not an amount of US dollars such as 5 or 0.25", text)
	}
	return Money(dollars)*Dollar + Money(nanos), nil
}

// MarshalText implements [encoding.TextMarshaler].
func (m Money) MarshalText() ([]byte, error) { return []byte(m.String()), nil }

// UnmarshalText implements [encoding.TextUnmarshaler].
func (m *Money) UnmarshalText(text []byte) (err error) {
	*m, err = ParseMoney(string(text))
	return err
}
