package repository

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// maxLinks bounds how often one reference leads to another.
const maxLinks = 5

// head gives the commit that is checked out, empty where there is none yet, and
// the branch, empty where none is.
func (r *Repository) head() (id, branch string, err error) {
	text, err := readSmall(filepath.Join(r.dir, "HEAD"))
	if err != nil {
		return "", "", err
	}
	ref, ok := strings.CutPrefix(text, "ref: ")
	if !ok {
		id, err := objectID(text)
		return id, "", err
	}
	if ref == "refs/heads/.invalid" {
		return "", "", errors.New("the repository keeps its branches in a form (reftable) that --commit cannot write: `git refs migrate --ref-format=files` gives it the usual one, or keep without --commit")
	}
	id, err = r.ref(ref, maxLinks)
	return id, ref, err
}

func objectID(text string) (string, error) {
	if (len(text) == sha1Length || len(text) == sha256Length) && strings.Trim(text, "0123456789abcdef") == "" {
		return text, nil
	}
	return "", fmt.Errorf("%.80q is no name of an object", text)
}

// ref gives the object that a reference names; empty where there is no such
// reference.
func (r *Repository) ref(name string, links int) (string, error) {
	if err := checkRef(name); err != nil {
		return "", err
	}
	text, err := readSmall(filepath.Join(r.common, name))
	switch {
	case errors.Is(err, fs.ErrNotExist) || isFolder(filepath.Join(r.common, name)):
		return r.packed(name)
	case err != nil:
		return "", err
	}
	if to, ok := strings.CutPrefix(text, "ref: "); ok {
		if links == 0 {
			return "", fmt.Errorf("the reference %q leads round in a circle", name)
		}
		return r.ref(to, links-1)
	}
	return objectID(text)
}

func isFolder(path string) bool {
	info, err := os.Lstat(path)
	return err == nil && info.IsDir()
}

// packed looks for a reference among those that git has put into one file.
func (r *Repository) packed(name string) (id string, err error) {
	err = r.eachPacked(func(other, own string) {
		if other == name {
			id = own
		}
	})
	if err != nil || id == "" {
		return "", err
	}
	return objectID(id)
}

func (r *Repository) eachPacked(tell func(name, id string)) error {
	f, err := os.Open(filepath.Join(r.common, "packed-refs"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		if id, name, ok := strings.Cut(lines.Text(), " "); ok && !strings.HasPrefix(id, "#") && !strings.HasPrefix(id, "^") {
			tell(name, id)
		}
	}
	return lines.Err()
}

// checkRef refuses the names that git refuses; see git-check-ref-format(1).
func checkRef(name string) error {
	bad := strings.ContainsFunc(name, func(c rune) bool { return c <= ' ' || c == 0x7f || strings.ContainsRune(`~^:?*[\`, c) }) ||
		strings.Contains(name, "..") || strings.Contains(name, "@{") || strings.HasSuffix(name, ".") || name == "@"
	for part := range strings.SplitSeq(name, "/") {
		bad = bad || part == "" || strings.HasPrefix(part, ".") || strings.HasSuffix(part, ".lock")
	}
	if bad || len(name) > 1_000 {
		return fmt.Errorf("%.80q is no name of a branch", strings.TrimPrefix(name, "refs/heads/"))
	}
	return nil
}

// Tip gives the commit that a new one on a branch goes on top of: the branch's own,
// or the one that is checked out where there is no such branch yet. It is empty
// where there is none at all. A branch that somebody has checked out is an error:
// their files would seem to be changed.
func (r *Repository) Tip(branch string) (string, error) {
	name := "refs/heads/" + branch
	if strings.HasPrefix(branch, "-") || branch == "HEAD" || branch == "@" {
		return "", fmt.Errorf("%q is no name of a branch", branch)
	}
	id, err := r.ref(name, 0)
	if err != nil {
		return "", err
	}
	if id == "" {
		id, _, err = r.head()
	}
	if err != nil {
		return "", err
	}
	return id, r.notCheckedOut(name)
}

// notCheckedOut makes sure that no work tree is on a branch, and that no other
// branch stands in its way.
func (r *Repository) notCheckedOut(name string) error {
	heads, err := filepath.Glob(filepath.Join(escapeGlob(r.common), "worktrees", "*", "HEAD"))
	if err != nil {
		return err
	}
	for _, head := range append(heads, filepath.Join(r.common, "HEAD"), filepath.Join(r.dir, "HEAD")) {
		text, err := readSmall(head)
		if err == nil && text == "ref: "+name {
			return fmt.Errorf("the branch %q is checked out; name another with --branch, or keep without --commit", strings.TrimPrefix(name, "refs/heads/"))
		}
	}
	var other string
	err = r.eachPacked(func(packed, _ string) {
		if strings.HasPrefix(packed, name+"/") || strings.HasPrefix(name, packed+"/") {
			other = packed
		}
	})
	if err == nil && other != "" {
		err = fmt.Errorf("the branch %q stands in the way of one named %q", strings.TrimPrefix(other, "refs/heads/"), strings.TrimPrefix(name, "refs/heads/"))
	}
	return err
}

func escapeGlob(path string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(path)
}
