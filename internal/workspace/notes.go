package workspace

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"proofbox"
)

// linked gives, of each path that shares its file with others, one of these: of
// another path of the tree, or empty where the others lie outside of it.
func (m *manifest) linked() map[string]string {
	var groups map[uint64][]string
	for i := range m.entries {
		if e := &m.entries[i]; e.kind() == unix.S_IFREG && e.nlink > 1 {
			if groups == nil {
				groups = map[uint64][]string{}
			}
			groups[e.ino] = append(groups[e.ino], e.path)
		}
	}
	return others(groups)
}

// others gives for each path of a group another one of it.
func others[K comparable](groups map[K][]string) map[string]string {
	found := map[string]string{}
	for _, paths := range groups {
		for i, path := range paths {
			if len(paths) == 1 {
				found[path] = ""
			} else {
				found[path] = paths[(i+1)%len(paths)]
			}
		}
	}
	return found
}

// inode names a file of the upper layer.
type inode struct{ dev, ino uint64 }

// note says of changes which names of one file they part: keeping replaces names,
// and never writes into a file that others may have, too.
func (k *collector) note() {
	now := others(k.links)
	list := k.changes.list.Changes
	for i := range list {
		c := &list[i]
		if other, ok := k.base.links[string(c.Path)]; ok && c.After.Kind != proofbox.Absent {
			where := "outside of the workspace"
			if other != "" {
				where = fmt.Sprintf("%q", other)
			}
			c.Notes = append(c.Notes, fmt.Sprintf("is one file with another name in the original, %s; once this is kept, they are two", where))
		}
		if other := now[string(c.Path)]; other != "" {
			c.Notes = append(c.Notes, fmt.Sprintf("is one file with %q in the box, and is kept as a file of its own", other))
		}
	}
	if n := len(k.marked); n > 0 {
		k.changes.list.Warnings = append(k.changes.list.Warnings, fmt.Sprintf("%d files have got extended attributes and no other change, which are not kept: %q", n, k.marked[:min(n, maxNamed)]))
	}
}

// The kernel's bounds of a file's attributes, in bytes.
const (
	maxAttributes = 64 << 10 // XATTR_LIST_MAX, of all names
	maxAttribute  = 64 << 10 // XATTR_SIZE_MAX, of a value
)

// attributeNames lists the names of a file's extended attributes; none where the
// file system has none.
func attributeNames(f *os.File) ([]string, error) {
	names := make([]byte, 1<<10) // of most files
	n, err := unix.Flistxattr(int(f.Fd()), names)
	if errors.Is(err, unix.ERANGE) {
		names = make([]byte, maxAttributes)
		n, err = unix.Flistxattr(int(f.Fd()), names)
	}
	switch {
	case errors.Is(err, unix.ENOTSUP) || err == nil && n == 0:
		return nil, nil
	case err != nil:
		return nil, err
	}
	return strings.Split(strings.TrimSuffix(string(names[:n]), "\x00"), "\x00"), nil
}

// attributes gives the names and values of a file's extended attributes that mean
// something beyond it: not the overlay's own, nor a security module's labels.
func attributes(f *os.File) (map[string][]byte, error) {
	names, err := attributeNames(f)
	if len(names) == 0 || err != nil {
		return nil, err
	}
	found := map[string][]byte{}
	value := make([]byte, maxAttribute)
	for _, name := range names {
		if strings.HasPrefix(name, "user.overlay.") || strings.HasPrefix(name, "trusted.") || strings.HasPrefix(name, "security.") && name != "security.capability" {
			continue
		}
		n, err := unix.Fgetxattr(int(f.Fd()), name, value)
		if err != nil && !errors.Is(err, unix.ENODATA) {
			return nil, err
		}
		found[name] = bytes.Clone(value[:max(0, n)])
	}
	return found, nil
}

// noteAttributes says which attributes of a file the box has changed. None of
// that is kept: a file keeps those that it has in the original.
func (k *collector) noteAttributes(f *os.File, before *entry) ([]string, error) {
	now, err := attributes(f)
	if err != nil {
		return nil, err
	}
	was := map[string][]byte{}
	if before != nil {
		if was, err = k.attributesOf(before); err != nil {
			return nil, err
		}
	}
	var names []string
	for name, value := range now {
		if old, ok := was[name]; !ok || !bytes.Equal(old, value) {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		return nil, nil
	}
	slices.Sort(names)
	return []string{fmt.Sprintf("has got extended attributes, which are not kept: %q", names[:min(len(names), maxNamed)])}, nil
}

// attributesOf gives those of a file of the base; none where it cannot be read.
func (k *collector) attributesOf(e *entry) (map[string][]byte, error) {
	f, err := k.open(e)
	if f == nil || errors.Is(err, unix.EACCES) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return attributes(f)
}
