// Package repository puts a commit into somebody's git repository without running
// anything that the repository, or a folder in it, says.
//
// git itself runs only in a folder of proofbox's own, with a configuration of
// proofbox's own, which borrows the repository's objects for reading. What it makes
// there is a pack; the pack and the branch are put into the repository by hand,
// through descriptors and no link. No hook, filter, monitor, include or alias of the
// repository has a way to run.
package repository

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Repository is one that a folder lies in.
type Repository struct {
	// Prefix is the folder's path in the work tree: empty, or with a slash at
	// its end.
	Prefix string

	dir    string // the repository's own folder, of this work tree
	common string // the one that has objects and branches
	git    string // the program
	desk   string // where git runs
}

// maxPointer bounds the files that lead to other files.
const maxPointer = 64 << 10

// Open finds the repository that a folder lies in. desk is a folder that does not
// exist; it is made, and is the caller's to remove.
func Open(ctx context.Context, folder, desk string) (*Repository, error) {
	program, err := exec.LookPath("git")
	if err != nil {
		return nil, fmt.Errorf("a commit needs git on this machine: %w", err)
	}
	r := &Repository{git: program, desk: desk}
	if err := r.find(folder); err != nil {
		return nil, err
	}
	id, _, err := r.head()
	if err != nil {
		return nil, err
	}
	if id == "" {
		id = strings.Repeat("0", sha1Length)
	}
	return r, r.prepare(len(id))
}

// find looks for the repository from a folder upwards.
func (r *Repository) find(folder string) error {
	for top := folder; ; top = filepath.Dir(top) {
		dir, err := gitDir(filepath.Join(top, ".git"))
		if err == nil {
			prefix, err := filepath.Rel(top, folder)
			if prefix != "." {
				r.Prefix = prefix + "/"
			}
			r.dir = dir
			return errors.Join(err, r.findCommon())
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("looking for the repository of %q: %w", folder, err)
		}
		if top == "/" {
			return fmt.Errorf("%q lies in no git repository; keep without --commit", folder)
		}
	}
}

// gitDir gives the repository's own folder, which a file may lead to.
func gitDir(path string) (string, error) {
	info, err := os.Lstat(path)
	switch {
	case err != nil:
		return "", err
	case info.IsDir():
		return path, nil
	case !info.Mode().IsRegular():
		return "", fmt.Errorf("%q is no folder and no file", path)
	}
	text, err := readSmall(path)
	if err != nil {
		return "", err
	}
	to, ok := strings.CutPrefix(text, "gitdir: ")
	if !ok {
		return "", fmt.Errorf("%q leads to no repository", path)
	}
	if !filepath.IsAbs(to) {
		to = filepath.Join(filepath.Dir(path), to)
	}
	return to, nil
}

func (r *Repository) findCommon() error {
	r.common = r.dir
	to, err := readSmall(filepath.Join(r.dir, "commondir"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if !filepath.IsAbs(to) {
		to = filepath.Join(r.dir, to)
	}
	r.common = to
	return nil
}

// readSmall reads a short file of one line.
func readSmall(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxPointer+1))
	if err == nil && len(data) > maxPointer {
		err = errors.New("it is too long")
	}
	if err != nil {
		return "", fmt.Errorf("reading %q: %w", path, err)
	}
	return strings.TrimRight(string(data), "\r\n"), nil
}

// Lengths of an object's name in hexadecimal.
const (
	sha1Length   = 40
	sha256Length = 64
)

// prepare makes the folder in which git runs.
func (r *Repository) prepare(length int) error {
	format := "\trepositoryformatversion = 0\n\tbare = true\n"
	if length == sha256Length {
		format = "\trepositoryformatversion = 1\n\tbare = true\n[extensions]\n\tobjectFormat = sha256\n"
	}
	for _, dir := range []string{"", "objects/info", "objects/pack", "refs/heads"} {
		if err := os.MkdirAll(filepath.Join(r.desk, dir), 0o700); err != nil {
			return fmt.Errorf("making the folder for git: %w", err)
		}
	}
	objects := filepath.Join(r.common, "objects")
	if strings.ContainsAny(objects, "\n") {
		return fmt.Errorf("git cannot borrow from %q, whose path has a line break", objects)
	}
	for name, text := range map[string]string{
		"config": "[core]\n" + format, "HEAD": "ref: refs/heads/proofbox\n", "objects/info/alternates": objects + "\n",
	} {
		if err := os.WriteFile(filepath.Join(r.desk, name), []byte(text), 0o600); err != nil {
			return fmt.Errorf("making the folder for git: %w", err)
		}
	}
	return nil
}

// command is git in its own folder, with nothing of the caller's environment but
// the path to it, and no configuration but proofbox's.
func (r *Repository) command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, r.git, append([]string{
		"-c", "core.hooksPath=/dev/null", "-c", "core.fsmonitor=false", "-c", "protocol.allow=never", "-c", "gc.auto=0", "-c", "fastimport.unpackLimit=0",
	}, args...)...)
	cmd.Dir = r.desk
	cmd.Env = []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + r.desk, "LC_ALL=C", "GIT_DIR=" + r.desk, "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=/dev/null",
		"GIT_TERMINAL_PROMPT=0", "GIT_OPTIONAL_LOCKS=0", "GIT_NO_REPLACE_OBJECTS=1", "GIT_NO_LAZY_FETCH=1",
	}
	return cmd
}

// output runs git and gives what it wrote.
func (r *Repository) output(ctx context.Context, args ...string) ([]byte, error) {
	cmd := r.command(ctx, args...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("git %s: %w: %s", args[0], err, firstLine(errs.String()))
	}
	return out.Bytes(), nil
}

func firstLine(text string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(text), "\n")
	return line
}
