package repository

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strconv"
	"strings"
)

// blob is a file of a commit.
type blob struct{ mode, id, path string }

// Modes of a tree's entries; see git-fast-import(1), filemodify.
const (
	modeFile    = "100644"
	modeProgram = "100755"
	modeLink    = "120000"
	modeModule  = "160000"
)

// Checkout puts the files that a commit has at paths, and whatever lies in the way
// there, into a folder: bytes as the commit has them, through no filter. The paths
// are below the prefix. mode says which permissions a file gets.
func (r *Repository) Checkout(ctx context.Context, commit, dir string, paths []string, mode func(path string, program bool) fs.FileMode) error {
	if commit == "" {
		return nil
	}
	list, err := r.list(ctx, commit, paths)
	if err != nil || len(list) == 0 {
		return err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	return r.contents(ctx, list, func(b blob, data io.Reader) error {
		if parent := path.Dir(b.path); parent != "." {
			if err := root.MkdirAll(parent, 0o755); err != nil {
				return err
			}
		}
		if b.mode == modeLink {
			target, err := io.ReadAll(io.LimitReader(data, maxPointer))
			return errors.Join(err, root.Symlink(string(target), b.path))
		}
		return checkout(root, b.path, data, mode(b.path, b.mode == modeProgram))
	})
}

func checkout(root *os.Root, path string, data io.Reader, mode fs.FileMode) error {
	f, err := root.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, data)
	return errors.Join(err, f.Chmod(mode), f.Close())
}

// list gives the files of a commit that are at the paths, that lie below them, or
// that one of them would lie below.
func (r *Repository) list(ctx context.Context, commit string, paths []string) ([]blob, error) {
	wanted := make(map[string]bool, len(paths))
	above := map[string]bool{}
	for _, p := range paths {
		wanted[p] = true
		for dir := path.Dir(p); dir != "."; dir = path.Dir(dir) {
			above[dir] = true
		}
	}
	out, err := r.output(ctx, "ls-tree", "-r", "-z", "--full-tree", commit)
	if err != nil {
		return nil, err
	}
	var list []blob
	for line := range strings.SplitSeq(strings.TrimSuffix(string(out), "\x00"), "\x00") {
		head, name, _ := strings.Cut(line, "\t")
		fields := strings.Fields(head)
		name, inside := strings.CutPrefix(name, r.Prefix)
		if len(fields) != 3 || !inside || !wanted[name] && !above[name] && !liesIn(name, wanted) {
			continue
		}
		if fields[0] == modeModule {
			return nil, fmt.Errorf("%q is a submodule in %.12s; a commit cannot change what is in it", name, commit)
		}
		list = append(list, blob{mode: fields[0], id: fields[2], path: name})
	}
	return list, nil
}

func liesIn(name string, dirs map[string]bool) bool {
	for dir := path.Dir(name); dir != "."; dir = path.Dir(dir) {
		if dirs[dir] {
			return true
		}
	}
	return false
}

// contents has git give the bytes of files, one after the other.
func (r *Repository) contents(ctx context.Context, list []blob, take func(blob, io.Reader) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	cmd := r.command(ctx, "cat-file", "--batch")
	var names bytes.Buffer
	for _, b := range list {
		names.WriteString(b.id + "\n")
	}
	cmd.Stdin = &names
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("git cat-file: %w", err)
	}
	err = takeAll(bufio.NewReader(out), list, take)
	if err != nil {
		cancel()
		_ = cmd.Wait() // it was ended
		return err
	}
	return cmd.Wait()
}

func takeAll(in *bufio.Reader, list []blob, take func(blob, io.Reader) error) error {
	for _, b := range list {
		head, err := in.ReadString('\n')
		if err != nil {
			return fmt.Errorf("git cat-file: %w", err)
		}
		fields := strings.Fields(head)
		if len(fields) != 3 || fields[0] != b.id || fields[1] != "blob" {
			return fmt.Errorf("the repository does not have the bytes of %q: git says %q", b.path, strings.TrimSpace(head))
		}
		size, err := strconv.ParseInt(fields[2], 10, 64)
		if err != nil {
			return fmt.Errorf("git cat-file: %w", err)
		}
		data := io.LimitReader(in, size)
		if err := take(b, data); err != nil {
			return fmt.Errorf("reading %q from the repository: %w", b.path, err)
		}
		if _, err := io.Copy(io.Discard, data); err != nil {
			return err
		}
		if _, err := in.Discard(1); err != nil {
			return fmt.Errorf("git cat-file: %w", err)
		}
	}
	return nil
}

// Tracked says which files a commit has at the paths, and in their way.
func (r *Repository) Tracked(ctx context.Context, commit string, paths []string) (map[string]bool, error) {
	found := map[string]bool{}
	if commit == "" {
		return found, nil
	}
	list, err := r.list(ctx, commit, paths)
	for _, b := range list {
		found[b.path] = true
	}
	return found, err
}
