package scan

import (
	"cmp"
	"slices"
	"strings"

	"proofbox"
)

// fields counts findings by their field and kind.
type fields map[fieldKind]int64

type fieldKind struct{ field, kind string }

// add counts a finding. False where there are too many fields.
func (f *fields) add(field, kind string) bool {
	k := fieldKind{withoutNumbers(field), kind}
	if _, known := (*f)[k]; !known && len(*f) >= proofbox.MaxFields {
		return false
	}
	if *f == nil {
		*f = fields{}
	}
	(*f)[k]++
	return true
}

// withoutNumbers is the path of a field without the numbers of elements in it.
func withoutNumbers(field string) string {
	if !strings.Contains(field, "[") {
		return field
	}
	var b strings.Builder
	for {
		before, rest, found := strings.Cut(field, "[")
		b.WriteString(before)
		if !found {
			return b.String()
		}
		b.WriteByte('[')
		field = rest
		if end := strings.IndexByte(rest, ']'); end > 0 && strings.Trim(rest[:end], "0123456789") == "" {
			field = rest[end:]
		}
	}
}

func (f fields) counts() []proofbox.FieldCount {
	list := []proofbox.FieldCount{}
	for k, n := range f {
		list = append(list, proofbox.FieldCount{Field: k.field, Kind: k.kind, Found: n})
	}
	slices.SortFunc(list, func(a, b proofbox.FieldCount) int {
		return cmp.Or(cmp.Compare(a.Field, b.Field), cmp.Compare(a.Kind, b.Kind))
	})
	return list
}
