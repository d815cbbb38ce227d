package workspace

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"runtime"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

// entry is one path of a tree, as lstat(2) has it. A regular file that has the
// same identity later has the same bytes: whoever writes to it moves the change
// time, which only the clock can set back.
type entry struct {
	path   string
	target string // of a symbolic link
	mode   uint32 // type and permission bits, as stat(2) has them
	size   int64
	mtime  int64 // nanoseconds
	ctime  int64
	ino    uint64
	nlink  uint64
}

func (e *entry) kind() uint32 { return e.mode & unix.S_IFMT }

// same says whether two looks at a path have seen the same thing. The size and
// times of a folder change with what is in it, which has entries of its own.
func (e *entry) same(o *entry) bool {
	if e.kind() == unix.S_IFDIR || o.kind() == unix.S_IFDIR {
		return e.mode == o.mode
	}
	return e.mode == o.mode && e.size == o.size && e.mtime == o.mtime && e.ctime == o.ctime &&
		e.ino == o.ino && e.target == o.target
}

// walker walks a tree with several goroutines.
type walker struct {
	root int // descriptor of the tree's folder
	dev  uint64
	hide *hider

	mu      sync.Mutex
	work    *sync.Cond
	folders []string // still to be read, guarded by mu
	busy    int      // goroutines that read a folder, guarded by mu
	err     error    // the first error, guarded by mu
	found   manifest // guarded by mu
}

// takeManifest lists a tree. Hidden paths and what is below them are left out,
// and so is what is mounted in the tree.
func takeManifest(ctx context.Context, root string, hide *hider) (*manifest, error) {
	fd, err := unix.Open(root, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("opening the workspace %q: %w", root, err)
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return nil, fmt.Errorf("looking at the workspace %q: %w", root, err)
	}
	w := &walker{root: fd, dev: st.Dev, hide: hide, folders: []string{"."}}
	w.work = sync.NewCond(&w.mu)
	w.found.uid, w.found.gid = int(st.Uid), int(st.Gid)
	stop := context.AfterFunc(ctx, func() { w.fail(context.Cause(ctx)) })
	defer stop()
	var readers sync.WaitGroup
	for range max(2, runtime.NumCPU()) {
		readers.Go(w.read)
	}
	readers.Wait()
	if w.err != nil {
		return nil, w.err
	}
	slices.SortFunc(w.found.entries, func(a, b entry) int { return strings.Compare(a.path, b.path) })
	slices.Sort(w.found.hidden)
	return &w.found, nil
}

func (w *walker) fail(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err == nil {
		w.err = err
	}
	w.work.Broadcast()
}

// next gives a folder to read, until all are read or there was an error.
func (w *walker) next() (string, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for len(w.folders) == 0 && w.busy > 0 && w.err == nil {
		w.work.Wait()
	}
	if len(w.folders) == 0 || w.err != nil {
		return "", false
	}
	last := len(w.folders) - 1
	dir := w.folders[last]
	w.folders = w.folders[:last]
	w.busy++
	return dir, true
}

// batch is what was found in one folder.
type batch struct {
	entries  []entry
	folders  []string
	hidden   []string
	warnings []string
	bytes    int64
	special  int
}

func (w *walker) done(b batch, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.busy--
	if err != nil && w.err == nil {
		w.err = err
	}
	w.folders = append(w.folders, b.folders...)
	w.found.entries = append(w.found.entries, b.entries...)
	w.found.hidden = append(w.found.hidden, b.hidden...)
	w.found.warnings = append(w.found.warnings, b.warnings...)
	w.found.bytes += b.bytes
	w.found.special += b.special
	w.work.Broadcast()
}

func (w *walker) read() {
	buf := make([]byte, 64<<10)
	for {
		dir, ok := w.next()
		if !ok {
			return
		}
		b, err := w.folder(dir, buf)
		w.done(b, err)
	}
}

// folder lists one folder.
func (w *walker) folder(dir string, buf []byte) (batch, error) {
	var b batch
	fd, err := unix.Openat(w.root, dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if errors.Is(err, unix.ENOENT) && dir != "." {
		return b, nil // it was removed just now; the comparison afterwards will say so
	}
	if err != nil {
		return b, fmt.Errorf("reading the folder %q of the workspace: %w", dir, err)
	}
	defer unix.Close(fd)
	var names []string
	for {
		n, err := unix.ReadDirent(fd, buf)
		if err != nil {
			return b, fmt.Errorf("reading the folder %q of the workspace: %w", dir, err)
		}
		if n <= 0 {
			break
		}
		_, _, names = unix.ParseDirent(buf[:n], -1, names[:0])
		for _, name := range names {
			if err := w.one(&b, fd, dir, name); err != nil {
				return b, err
			}
		}
	}
	return b, nil
}

// one looks at one name in a folder.
func (w *walker) one(b *batch, dirfd int, dir, name string) error {
	full := name
	if dir != "." {
		full = dir + "/" + name
	}
	var st unix.Stat_t
	err := unix.Fstatat(dirfd, name, &st, unix.AT_SYMLINK_NOFOLLOW)
	if errors.Is(err, unix.ENOENT) {
		return nil // it was removed just now
	}
	if err != nil {
		return fmt.Errorf("looking at %q in the workspace: %w", full, err)
	}
	kind := st.Mode & unix.S_IFMT
	if w.hide.hides(full, kind == unix.S_IFDIR) {
		b.hidden = append(b.hidden, full)
		return nil
	}
	e := entry{
		path: full, mode: st.Mode, size: st.Size, mtime: st.Mtim.Nano(), ctime: st.Ctim.Nano(),
		ino: st.Ino, nlink: st.Nlink,
	}
	switch {
	case kind == unix.S_IFDIR && st.Dev != w.dev:
		b.warnings = append(b.warnings, fmt.Sprintf("%q is mounted in the workspace; the box sees an empty folder there", full))
	case kind == unix.S_IFDIR:
		b.folders = append(b.folders, full)
	case kind == unix.S_IFLNK:
		if e.target, err = readLink(dirfd, name); err != nil {
			return fmt.Errorf("reading the link %q in the workspace: %w", full, err)
		}
	case kind == unix.S_IFREG:
		b.bytes += st.Size
	default:
		b.special++
		b.warnings = append(b.warnings, fmt.Sprintf("%q is a device, socket or FIFO; changes to it are not kept", full))
	}
	b.entries = append(b.entries, e)
	return nil
}

// readLink reads a link of any length.
func readLink(dirfd int, name string) (string, error) {
	for size := 256; ; size *= 2 {
		buf := make([]byte, size)
		n, err := unix.Readlinkat(dirfd, name, buf)
		if err != nil {
			return "", err
		}
		if n < size {
			return string(buf[:n]), nil
		}
	}
}

// permission gives an entry's permission bits as io/fs has them.
func permission(mode uint32) fs.FileMode {
	m := fs.FileMode(mode & 0o777)
	for bit, to := range map[uint32]fs.FileMode{
		unix.S_ISUID: fs.ModeSetuid, unix.S_ISGID: fs.ModeSetgid, unix.S_ISVTX: fs.ModeSticky,
	} {
		if mode&bit != 0 {
			m |= to
		}
	}
	return m
}

// parentOf is path.Dir, with "." for the top.
func parentOf(p string) string { return path.Dir(p) }
