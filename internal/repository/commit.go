package repository

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// File is a path, below the prefix, as a commit has it.
type File struct {
	Path string
	// Gone says that the commit has nothing there; else Link or Program say what
	// it is, and Open gives its Size bytes.
	Gone, Link, Program bool
	Size                int64
	Open                func() (io.ReadCloser, error)
}

// Person is who makes a commit.
type Person struct{ Name, Email string }

// Commit makes a commit on top of another, or a first one, puts it on a branch and
// gives its name. The branch has it when Commit returns, or is as it was.
func (r *Repository) Commit(ctx context.Context, parent, branch, message string, by Person, files []File) (string, error) {
	if err := r.importAll(ctx, parent, message, by, files); err != nil {
		return "", err
	}
	out, err := r.output(ctx, "rev-parse", "--verify", importRef)
	if err != nil {
		return "", err
	}
	id, err := objectID(strings.TrimSpace(string(out)))
	if err != nil {
		return "", err
	}
	was, err := r.ref("refs/heads/"+branch, 0)
	if err != nil {
		return "", err
	}
	return id, r.publish("refs/heads/"+branch, was, parent, id)
}

// importRef is the branch in proofbox's own folder.
const importRef = "refs/heads/proofbox"

// importAll writes the commit as a stream of git-fast-import(1), which makes a pack
// and looks at no file.
func (r *Repository) importAll(ctx context.Context, parent, message string, by Person, files []File) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	cmd := r.command(ctx, "fast-import", "--quiet", "--done", "--date-format=raw")
	in, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	var errs strings.Builder
	cmd.Stderr = &errs
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("git fast-import: %w", err)
	}
	w := bufio.NewWriter(in)
	err = writeStream(w, r.Prefix, parent, message, by, files)
	if err == nil {
		err = errors.Join(w.Flush(), in.Close())
	}
	if err != nil {
		cancel()
	}
	if ended := cmd.Wait(); ended != nil {
		return errors.Join(err, fmt.Errorf("git fast-import: %w: %s", ended, firstLine(errs.String())))
	}
	return err
}

func writeStream(w *bufio.Writer, prefix, parent, message string, by Person, files []File) error {
	now := time.Now()
	who := fmt.Sprintf("%s <%s> %d %s", plain(by.Name), plain(by.Email), now.Unix(), now.Format("-0700"))
	fmt.Fprintf(w, "feature done\ncommit %s\nauthor %s\ncommitter %s\ndata %d\n%s\n", importRef, who, who, len(message), message)
	if parent != "" {
		fmt.Fprintf(w, "from %s\n", parent)
	}
	for _, f := range files {
		if f.Gone {
			fmt.Fprintf(w, "D %s\n", quote(prefix+f.Path))
		}
	}
	for _, f := range files {
		if f.Gone {
			continue
		}
		if err := writeFile(w, prefix, f); err != nil {
			return fmt.Errorf("committing %q: %w", f.Path, err)
		}
	}
	_, err := w.WriteString("done\n")
	return err
}

func writeFile(w io.Writer, prefix string, f File) error {
	mode := modeFile
	switch {
	case f.Link:
		mode = modeLink
	case f.Program:
		mode = modeProgram
	}
	data, err := f.Open()
	if err != nil {
		return err
	}
	defer data.Close()
	fmt.Fprintf(w, "M %s inline %s\ndata %d\n", mode, quote(prefix+f.Path), f.Size)
	n, err := io.Copy(w, io.LimitReader(data, f.Size))
	if err == nil && n != f.Size {
		err = io.ErrUnexpectedEOF
	}
	if err == nil {
		_, err = io.WriteString(w, "\n")
	}
	return err
}

// plain leaves out of a name what ends it in a commit.
func plain(name string) string {
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		if r < ' ' || r == '<' || r == '>' {
			return -1
		}
		return r
	}, name))
}

// quote writes a path so that any bytes can be in it.
func quote(path string) string {
	var out strings.Builder
	out.WriteByte('"')
	for i := range len(path) {
		if b := path[i]; b < ' ' || b >= 0x7f || b == '"' || b == '\\' {
			fmt.Fprintf(&out, `\%03o`, b)
		} else {
			out.WriteByte(b)
		}
	}
	out.WriteByte('"')
	return out.String()
}

// publish puts the packs into the repository, on the disk, and then the branch.
func (r *Repository) publish(ref, was, parent, id string) error {
	if was != "" && was != parent {
		return fmt.Errorf("the branch %q has moved on just now; nothing was committed", strings.TrimPrefix(ref, "refs/heads/"))
	}
	common, err := unix.Open(r.common, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("opening the repository %q: %w", r.common, err)
	}
	defer unix.Close(common)
	packs, err := filepath.Glob(filepath.Join(escapeGlob(r.desk), "objects", "pack", "pack-*.pack"))
	if err != nil {
		return err
	}
	for _, pack := range packs {
		for _, name := range []string{pack, strings.TrimSuffix(pack, ".pack") + ".idx"} { // git looks for the second
			if err := place(common, "objects/pack/"+filepath.Base(name), name); err != nil {
				return fmt.Errorf("putting a pack into the repository: %w", err)
			}
		}
	}
	if err := r.move(common, ref, was, id); err != nil {
		return fmt.Errorf("putting the commit %.12s on its branch: %w", id, err)
	}
	return nil
}

// move writes a reference as git does: whoever has its lock file may.
func (r *Repository) move(common int, ref, was, id string) error {
	dir, err := makeFolders(common, filepath.Dir(ref))
	if err != nil {
		return err
	}
	defer unix.Close(dir)
	base := filepath.Base(ref)
	lock := base + ".lock"
	if err := create(dir, lock, strings.NewReader(id+"\n"), 0o644); err != nil {
		if errors.Is(err, unix.EEXIST) {
			return fmt.Errorf("another git process holds the lock of %q; try again when it has ended", ref)
		}
		return err
	}
	now, err := r.ref(ref, 0)
	if err == nil && now != was {
		err = errors.New("the branch has moved on just now")
	}
	if err == nil {
		err = unix.Renameat(dir, lock, dir, base)
	}
	if err != nil {
		return errors.Join(err, unix.Unlinkat(dir, lock, 0))
	}
	return unix.Fsync(dir)
}

// place copies a file into a folder below another, on the disk when it returns.
func place(root int, to, from string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	dir, err := makeFolders(root, filepath.Dir(to))
	if err != nil {
		return err
	}
	defer unix.Close(dir)
	base := filepath.Base(to)
	temp := "tmp_" + base
	if err := unix.Unlinkat(dir, temp, 0); err != nil && !errors.Is(err, unix.ENOENT) {
		return err
	}
	if err := create(dir, temp, in, 0o444); err != nil {
		return err
	}
	if err := unix.Renameat(dir, temp, dir, base); err != nil {
		return errors.Join(err, unix.Unlinkat(dir, temp, 0))
	}
	return unix.Fsync(dir)
}

// create makes a new file for the owner of its folder. Whatever has the name
// already, is left.
func create(dir int, name string, data io.Reader, mode uint32) error {
	fd, err := unix.Openat(dir, name, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW|unix.O_CLOEXEC, mode)
	if err != nil {
		return err
	}
	f := os.NewFile(uintptr(fd), name)
	_, err = io.Copy(f, data)
	err = errors.Join(err, give(fd, dir), f.Sync(), f.Close())
	if err != nil {
		return errors.Join(err, unix.Unlinkat(dir, name, 0))
	}
	return nil
}

// give makes a file belong to whom its folder belongs. Only root can, and only
// root needs to.
func give(fd, dir int) error {
	if os.Geteuid() != 0 {
		return nil
	}
	var st unix.Stat_t
	if err := unix.Fstat(dir, &st); err != nil {
		return err
	}
	return unix.Fchown(fd, int(st.Uid), int(st.Gid))
}

// makeFolders opens a folder below another, through no link, and makes what is
// missing of it.
func makeFolders(root int, path string) (int, error) {
	at, err := unix.Openat(root, ".", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	for part := range strings.SplitSeq(path, "/") {
		next, err := makeFolder(at, part)
		if err = errors.Join(err, unix.Close(at)); err != nil {
			return -1, fmt.Errorf("opening %q: %w", path, err)
		}
		at = next
	}
	return at, nil
}

func makeFolder(at int, name string) (int, error) {
	err := unix.Mkdirat(at, name, 0o755)
	made := err == nil
	if err != nil && !errors.Is(err, unix.EEXIST) {
		return -1, err
	}
	fd, err := unix.Openat(at, name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err == nil && made {
		err = give(fd, at)
	}
	return fd, err
}
