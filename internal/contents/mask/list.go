package mask

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	"proofbox"
	"proofbox/internal/contents/tag"
	"proofbox/internal/contents/tree"
)

// Bounds of the list. A value is looked for as it is written in any layout if it has
// at least anchor letters and digits, or is a word of a person's name.
const (
	anchor    = 6
	minName   = 3
	maxNormal = 96        // letters and digits of a value; of a longer one the first are looked for
	maxValues = 4_000_000 // 512 MiB hold so many
)

// print is a keyed fingerprint of a normal form.
type print [16]byte

// List is the blind list: keyed fingerprints of the real values of a set, which tell
// nobody without the key what they are. It is not for several goroutines at once.
type List struct {
	whole, first *tag.PRF
	values       map[print]uint8 // the kind
	kinds        []string
	anchors      []uint64 // a bitmap, by what values begin with
	short        map[print]bool
	normal       []byte
	parts        tokens
	// openings has a bit for the first three bytes of each value. It is nil, which says nothing, of a list that was read.
	openings *[1 << 10]uint64
}

const anchorBits = 22

// newList makes an empty list.
func newList(key *tag.Key) *List {
	return &List{
		whole: key.PRF("blind list"), first: key.PRF("blind list, beginnings"),
		values: map[print]uint8{}, short: map[print]bool{}, anchors: make([]uint64, 1<<anchorBits/64),
		openings: new([1 << 10]uint64),
	}
}

var errFull = fmt.Errorf("there are more than %d different values; mask the set in parts", maxValues)

// add puts a real value in.
func (l *List) add(kind, value string) error {
	l.normal = tag.Canonical(l.normal[:0], "", value)
	n := l.normal[:min(len(l.normal), maxNormal)]
	if len(n) < anchor && (kind != "person" || len(n) < minName) {
		if len(l.short) < maxValues {
			l.short[l.whole.Sum(n)] = true
		}
		return nil
	}
	p := print(l.whole.Sum(n))
	if _, known := l.values[p]; known {
		return nil
	}
	if len(l.values) >= maxValues {
		return errFull
	}
	l.values[p] = l.kind(kind)
	l.mark(l.beginning(n))
	o := opening(n)
	l.openings[o/64] |= 1 << (o % 64)
	return nil
}

func (l *List) kind(kind string) uint8 {
	i := slices.Index(l.kinds, kind)
	if i < 0 {
		if len(l.kinds) == 255 {
			return 254 // the rest share the last name
		}
		i, l.kinds = len(l.kinds), append(l.kinds, kind)
	}
	return uint8(i)
}

// beginning hashes what a value begins with.
func (l *List) beginning(normal []byte) uint32 {
	sum := l.first.Sum(normal[:min(len(normal), anchor)])
	return binary.BigEndian.Uint32(sum[:]) >> (32 - anchorBits)
}

// opening hashes the first bytes of a value, of which each has [minName] at least.
func opening(normal []byte) uint32 {
	return (uint32(normal[0])<<16 | uint32(normal[1])<<8 | uint32(normal[2])) * 0x9e3779b1 >> 16
}

// mayBegin says whether a value may begin what a text goes on with. It costs a hundredth of what [List.beginning] does.
func (l *List) mayBegin(normal []byte) bool {
	if len(normal) < minName {
		return false
	}
	o := opening(normal)
	return l.openings == nil || l.openings[o/64]&(1<<(o%64)) != 0
}

func (l *List) mark(b uint32)        { l.anchors[b/64] |= 1 << (b % 64) }
func (l *List) begins(b uint32) bool { return l.anchors[b/64]&(1<<(b%64)) != 0 }

// has says whether a value is one of the real ones.
func (l *List) has(value string) bool {
	l.normal = tag.Canonical(l.normal[:0], "", value)
	n := l.normal[:min(len(l.normal), maxNormal)]
	if !l.begins(l.beginning(n)) {
		return false
	}
	_, real := l.values[l.whole.Sum(n)]
	return real
}

// listMagic begins a list's file.
const listMagic = "proofbox blind list 1\n"

// Save writes the list to a file that is not there yet and gives its SHA-256.
func (l *List) Save(path string) (string, error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return "", fmt.Errorf("writing the blind list: %w", err)
	}
	h := sha256.New()
	err = l.write(io.MultiWriter(f, h))
	if err = errors.Join(err, f.Close()); err != nil {
		return "", fmt.Errorf("writing the blind list: %w", err)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

func (l *List) write(w io.Writer) error {
	var b bytes.Buffer
	b.WriteString(listMagic)
	fmt.Fprintf(&b, "%d\n", len(l.kinds))
	for _, k := range l.kinds {
		fmt.Fprintf(&b, "%q\n", k)
	}
	fmt.Fprintf(&b, "%d\n", len(l.values))
	all := make([]print, 0, len(l.values))
	for p := range l.values {
		all = append(all, p)
	}
	slices.SortFunc(all, func(a, b print) int { return bytes.Compare(a[:], b[:]) })
	for _, p := range all {
		b.Write(p[:])
		b.WriteByte(l.values[p])
		if b.Len() > 1<<16 {
			if _, err := b.WriteTo(w); err != nil {
				return err
			}
		}
	}
	if err := binary.Write(&b, binary.BigEndian, l.anchors); err != nil {
		return err
	}
	_, err := b.WriteTo(w)
	return err
}

// Load reads a list that [List.Save] has written.
func Load(key *tag.Key, path string) (*List, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("reading the blind list: %w", err)
	}
	defer f.Close()
	l := newList(key)
	l.openings = nil
	if err := l.read(bufio.NewReader(f)); err != nil {
		return nil, fmt.Errorf("reading the blind list %q: %w", path, err)
	}
	return l, nil
}

var errList = errors.New("it is not one, or not whole")

func (l *List) read(r *bufio.Reader) error {
	var kinds, values int
	if line, err := r.ReadString('\n'); err != nil || line != listMagic {
		return errList
	}
	if _, err := fmt.Fscanf(r, "%d\n", &kinds); err != nil || kinds > 255 {
		return errList
	}
	l.kinds = make([]string, kinds)
	for i := range l.kinds {
		if _, err := fmt.Fscanf(r, "%q\n", &l.kinds[i]); err != nil {
			return errList
		}
	}
	if _, err := fmt.Fscanf(r, "%d\n", &values); err != nil || values > maxValues {
		return errList
	}
	for range values {
		var one [len(print{}) + 1]byte
		if _, err := io.ReadFull(r, one[:]); err != nil || int(one[len(print{})]) >= kinds {
			return errList
		}
		l.values[print(one[:len(print{})])] = one[len(print{})]
	}
	if err := binary.Read(r, binary.BigEndian, l.anchors); err != nil {
		return errList
	}
	return nil
}

// Survivor is a real value that is still in a set.
type Survivor struct {
	proofbox.Place
	Kind string `json:"kind"`
}

// Survivor searches a set for the values of a list, and gives the first one that is there; nil if there is none. Where
// it is in its file locate says.
func (l *List) Survivor(ctx context.Context, path string, locate Locator) (*Survivor, error) {
	var first *Survivor
	err := tree.Walk(ctx, path, func(e tree.Entry) error {
		err := e.Read(func(f *os.File, _ int64) error {
			return l.survivors(f, func(s survivor) error {
				first = &Survivor{Place: proofbox.Place{File: proofbox.Raw(e.Name), Record: s.line, Offset: s.start}, Kind: s.kind}
				return errSurvivor
			})
		})
		if errors.Is(err, errSurvivor) {
			first.Place = locate(e, first.Offset)
		}
		return err
	})
	if errors.Is(err, errSurvivor) {
		err = nil
	}
	return first, err
}

// Locator says in which record and field a byte of a file is.
type Locator func(e tree.Entry, offset int64) proofbox.Place

var errSurvivor = errors.New("a real value survived")
