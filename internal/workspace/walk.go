package workspace

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
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

// maxPaths bounds the bytes of all paths of a tree together: what is nested
// very deep has long ones.
const maxPaths = 1 << 30

// walker walks a tree with several goroutines.
type walker struct {
	root int // descriptor of the tree's folder
	dev  uint64
	mnt  uint64 // of the tree's folder, 0 where the kernel does not tell
	hide *hider
	// lenient has a folder that cannot be read left out with a warning.
	lenient bool

	mu      sync.Mutex
	work    *sync.Cond
	folders []string // still to be read, guarded by mu
	busy    int      // goroutines that read a folder, guarded by mu
	err     error    // the first error, guarded by mu
	paths   int      // bytes of all paths, guarded by mu
	found   manifest // guarded by mu
}

// takeManifest lists a tree. Hidden paths and what is below them are left out,
// and so is what is mounted in the tree. A folder that cannot be read is an
// error; where lenient is set it is named in the warnings instead.
func takeManifest(ctx context.Context, root string, hide *hider, lenient bool) (*manifest, error) {
	fd, err := openRoot(root)
	if err != nil {
		return nil, fmt.Errorf("opening the workspace %q: %w", root, err)
	}
	defer unix.Close(fd)
	w := &walker{root: fd, hide: hide, lenient: lenient, folders: []string{"."}}
	w.work = sync.NewCond(&w.mu)
	if err := w.begin(); err != nil {
		return nil, fmt.Errorf("looking at the workspace %q: %w", root, err)
	}
	stop := context.AfterFunc(ctx, func() { w.fail(context.Cause(ctx)) })
	defer stop()
	var readers sync.WaitGroup
	for range max(2, runtime.NumCPU()) {
		readers.Go(w.read)
	}
	readers.Wait()
	if err := w.failure(); err != nil {
		return nil, err
	}
	w.found.finish()
	return &w.found, nil
}

// finish sorts what was found, and hides the other names of hidden files.
func (m *manifest) finish() {
	slices.SortFunc(m.entries, func(a, b entry) int { return strings.Compare(a.path, b.path) })
	if len(m.hiddenInodes) > 0 {
		m.entries = slices.DeleteFunc(m.entries, func(e entry) bool {
			twin := e.kind() == unix.S_IFREG && e.nlink > 1 && m.hiddenInodes[e.ino]
			if twin {
				m.hidden = append(m.hidden, e.path)
				m.bytes -= e.size
			}
			return twin
		})
	}
	slices.Sort(m.hidden)
	slices.Sort(m.warnings)
}

// begin notes whose the tree is and what it is mounted on.
func (w *walker) begin() error {
	var st unix.Statx_t
	if err := unix.Statx(w.root, "", unix.AT_EMPTY_PATH, statxMask, &st); err != nil {
		return err
	}
	w.found.uid, w.found.gid = int(st.Uid), int(st.Gid)
	w.dev, w.mnt = unix.Mkdev(st.Dev_major, st.Dev_minor), mountOf(&st)
	return nil
}

// statxMask asks for what an entry holds, and for the mount.
const statxMask = unix.STATX_BASIC_STATS | unix.STATX_MNT_ID

// mountOf gives the mount, which tells even two of the same file system apart.
func mountOf(st *unix.Statx_t) uint64 {
	if st.Mask&unix.STATX_MNT_ID == 0 {
		return 0
	}
	return st.Mnt_id
}

func (w *walker) fail(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err == nil {
		w.err = err
	}
	w.work.Broadcast()
}

func (w *walker) failure() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.err
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
	twins    []uint64 // inodes of hidden files that have other names
	warnings []string
	bytes    int64
	paths    int
	special  int
}

func (w *walker) done(b batch, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.busy--
	w.paths += b.paths
	if err == nil && w.paths > maxPaths {
		err = fmt.Errorf("the paths of the workspace are longer than %d MiB together; hide what is nested very deep", maxPaths>>20)
	}
	if err != nil && w.err == nil {
		w.err = err
	}
	w.folders = append(w.folders, b.folders...)
	w.found.add(&b)
	w.work.Broadcast()
}

func (m *manifest) add(b *batch) {
	m.entries = append(m.entries, b.entries...)
	m.hidden = append(m.hidden, b.hidden...)
	m.warnings = append(m.warnings, b.warnings...)
	m.bytes += b.bytes
	m.special += b.special
	for _, ino := range b.twins {
		if m.hiddenInodes == nil {
			m.hiddenInodes = map[uint64]bool{}
		}
		m.hiddenInodes[ino] = true
	}
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
	fd, err := openBeneath(w.root, dir, unix.O_RDONLY|unix.O_DIRECTORY)
	if vanished(err) && dir != "." {
		return b, nil // it was replaced just now; the comparison afterwards will say so
	}
	if errors.Is(err, unix.EACCES) {
		return b, w.unreadable(&b, dir, err)
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

func (w *walker) unreadable(b *batch, dir string, err error) error {
	if !w.lenient {
		return fmt.Errorf("reading the folder %q of the workspace: %w; make it readable, or hide it from the box", dir, err)
	}
	b.warnings = append(b.warnings, fmt.Sprintf("the folder %q of the original cannot be read any more", dir))
	return nil
}

// vanished says whether a path has gone, or become something else, since it was
// listed.
func vanished(err error) bool {
	return errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENOTDIR) || errors.Is(err, unix.ELOOP)
}

// one looks at one name in a folder.
func (w *walker) one(b *batch, dirfd int, dir, name string) error {
	full := joinPath(dir, name)
	var st unix.Statx_t
	err := unix.Statx(dirfd, name, unix.AT_SYMLINK_NOFOLLOW|unix.AT_NO_AUTOMOUNT, statxMask, &st)
	if errors.Is(err, unix.ENOENT) {
		return nil // it was removed just now
	}
	if err != nil {
		return fmt.Errorf("looking at %q in the workspace: %w", full, err)
	}
	e := entry{
		path: full, mode: uint32(st.Mode), size: int64(st.Size), mtime: nanoseconds(st.Mtime), ctime: nanoseconds(st.Ctime),
		ino: st.Ino, nlink: uint64(st.Nlink),
	}
	b.paths += len(full)
	switch {
	case w.hide.hides(full, e.kind() == unix.S_IFDIR):
		b.hidden = append(b.hidden, full)
		if e.kind() == unix.S_IFREG && e.nlink > 1 {
			b.twins = append(b.twins, e.ino)
		}
		return nil
	case w.mounted(&st):
		b.hidden = append(b.hidden, full)
		b.warnings = append(b.warnings, fmt.Sprintf("%q is mounted in the workspace; the box does not see it", full))
		return nil
	}
	return b.keep(e, dirfd, name)
}

// mounted says whether something is mounted on a path.
func (w *walker) mounted(st *unix.Statx_t) bool {
	if mnt := mountOf(st); mnt != 0 && w.mnt != 0 {
		return mnt != w.mnt
	}
	return unix.Mkdev(st.Dev_major, st.Dev_minor) != w.dev
}

func nanoseconds(t unix.StatxTimestamp) int64 { return t.Sec*1e9 + int64(t.Nsec) }

// keep puts an entry into the batch.
func (b *batch) keep(e entry, dirfd int, name string) (err error) {
	switch e.kind() {
	case unix.S_IFDIR:
		b.folders = append(b.folders, e.path)
	case unix.S_IFLNK:
		e.target, err = readLink(dirfd, name)
		if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.EINVAL) {
			return nil // it was replaced just now
		}
		if err != nil {
			return fmt.Errorf("reading the link %q in the workspace: %w", e.path, err)
		}
	case unix.S_IFREG:
		b.bytes += e.size
	default:
		b.special++
		b.warnings = append(b.warnings, fmt.Sprintf("%q is a device, socket or FIFO; changes to it are not kept", e.path))
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
	for _, bit := range specialBits {
		if mode&bit.stat != 0 {
			m |= bit.mode
		}
	}
	return m
}

// specialBits are the mode bits whose place in io/fs is another than in stat(2).
var specialBits = []struct {
	stat uint32
	mode fs.FileMode
}{{unix.S_ISUID, fs.ModeSetuid}, {unix.S_ISGID, fs.ModeSetgid}, {unix.S_ISVTX, fs.ModeSticky}}

// statMode is the inverse of permission.
func statMode(m fs.FileMode) uint32 {
	mode := uint32(m.Perm())
	for _, bit := range specialBits {
		if m&bit.mode != 0 {
			mode |= bit.stat
		}
	}
	return mode
}
