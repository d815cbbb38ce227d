package workspace

import (
	"cmp"
	"errors"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"proofbox"
)

// Bounds of the search for where new files come from, which only helps a reader.
const (
	maxKinBytes = 256 << 20 // of the base that is read
	maxKinPairs = 4_000     // of texts that are compared
	minShare    = 50        // percent of its bytes that a renamed file has from the old one, as git has it
)

// kin finds for new files where in the original their bytes come from: a path
// that is gone has been renamed, any other copied. The same bytes come first;
// then texts that share most of their lines.
func (k *collector) kin() error {
	list := k.changes.list.Changes
	var fresh, gone []*proofbox.Change
	sources := map[string]*proofbox.Change{} // changed or deleted files by their digest
	for i := range list {
		c := &list[i]
		if c.Before.Kind == proofbox.File && c.Before.Size > 0 && c.Before.Digest != "" {
			sources[c.Before.Digest] = c
			if c.After.Kind == proofbox.Absent {
				gone = append(gone, c)
			}
		}
		if c.Before.Kind == proofbox.Absent && c.After.Kind == proofbox.File && c.After.Size > 0 && c.After.Digest != "" {
			fresh = append(fresh, c)
		}
	}
	used := map[proofbox.Raw]bool{}
	fresh = slices.DeleteFunc(fresh, func(c *proofbox.Change) bool {
		from := sources[c.After.Digest]
		if from == nil {
			return false
		}
		c.From, c.Share = from.Path, 100
		c.Renamed = from.After.Kind == proofbox.Absent && !used[from.Path]
		used[from.Path] = true
		return true
	})
	fresh, err := k.copies(fresh)
	if err != nil {
		return err
	}
	gone = slices.DeleteFunc(gone, func(c *proofbox.Change) bool { return used[c.Path] })
	return k.changes.similar(fresh, gone)
}

// copies looks for new files among those of the base that have not changed, and
// gives those that are none.
func (k *collector) copies(fresh []*proofbox.Change) (others []*proofbox.Change, err error) {
	bySize := map[int64][]*entry{}
	for _, c := range fresh {
		bySize[c.After.Size] = nil
	}
	for i := range k.base.entries {
		e := &k.base.entries[i]
		if same, ok := bySize[e.size]; ok && e.kind() == unix.S_IFREG {
			bySize[e.size] = append(same, e)
		}
	}
	digests := map[string]string{}
	left := int64(maxKinBytes)
	for _, c := range fresh {
		for _, e := range bySize[c.After.Size] {
			digest, ok := digests[e.path]
			if !ok && left >= e.size {
				left -= e.size
				if digest, err = k.baseDigest(e); err != nil {
					return nil, err
				}
				digests[e.path] = digest
			}
			if digest == c.After.Digest {
				c.From, c.Share = proofbox.Raw(e.path), 100
				break
			}
		}
		if c.From == "" {
			others = append(others, c)
		}
	}
	return others, nil
}

// baseDigest hashes a file of the base; empty where it is not what the manifest
// says any more, or cannot be read.
func (k *collector) baseDigest(e *entry) (string, error) {
	f, err := k.open(e)
	if errors.Is(err, unix.EACCES) {
		return "", nil
	}
	if f == nil || err != nil {
		return "", err
	}
	defer f.Close()
	if err := unmoved(f, e); err != nil {
		return "", ignoreMoved(err)
	}
	return digestOf(f, e.size)
}

// kinship is how much of a new text is from an old one.
type kinship struct {
	from, to *proofbox.Change
	share    int
}

// similar finds renamed files that were edited: pairs of texts, those that share
// most first, each file once.
func (c *Changes) similar(fresh, gone []*proofbox.Change) error {
	if len(fresh)*len(gone) > maxKinPairs {
		return nil
	}
	var found []kinship
	for _, from := range gone {
		old, ok, err := c.text(from.Before)
		if err != nil {
			return err
		}
		if !ok {
			continue
		}
		for _, to := range fresh {
			text, ok, err := c.text(to.After)
			if err != nil {
				return err
			}
			if share := shared(old, text); ok && share >= minShare {
				found = append(found, kinship{from, to, share})
			}
		}
	}
	slices.SortStableFunc(found, func(a, b kinship) int { return cmp.Compare(b.share, a.share) })
	used := map[*proofbox.Change]bool{}
	for _, k := range found {
		if used[k.from] || used[k.to] {
			continue
		}
		used[k.from], used[k.to] = true, true
		k.to.From, k.to.Share, k.to.Renamed = k.from.Path, min(k.share, 99), true
	}
	return nil
}

// shared is how many percent of the longer text's bytes are in lines that both
// have.
func shared(old, text string) int {
	longer := max(len(old), len(text))
	if longer == 0 || 100*min(len(old), len(text)) < minShare*longer {
		return 0
	}
	count := map[string]int{}
	for line := range strings.Lines(old) {
		count[line]++
	}
	same := 0
	for line := range strings.Lines(text) {
		if count[line] > 0 {
			count[line]--
			same += len(line)
		}
	}
	return 100 * same / longer
}
