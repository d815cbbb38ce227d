package workspace

import (
	"errors"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// maxOpen is the longest path that is resolved in one step; the kernel's own
// bound is PATH_MAX.
const maxOpen = unix.PathMax - 256

// resolveTries bounds how often a path is resolved again that is renamed
// meanwhile; see openat2(2), EAGAIN.
const resolveTries = 64

// openBeneath opens a path of any length below a folder. It follows no link, is
// not led out of the folder and crosses into nothing that is mounted in it; see
// openat2(2). The path "." is the folder itself.
func openBeneath(root int, p string, flags uint64) (int, error) {
	at := root
	for len(p) > maxOpen {
		cut := strings.LastIndexByte(p[:maxOpen], '/')
		if cut <= 0 {
			return -1, errors.Join(unix.ENAMETOOLONG, closeUnless(at, root))
		}
		next, err := resolve(at, p[:cut], unix.O_PATH|unix.O_DIRECTORY)
		if err = errors.Join(err, closeUnless(at, root)); err != nil {
			return -1, err
		}
		at, p = next, p[cut+1:]
	}
	fd, err := resolve(at, p, flags)
	return fd, errors.Join(err, closeUnless(at, root))
}

func closeUnless(fd, root int) error {
	if fd == root {
		return nil
	}
	return unix.Close(fd)
}

func resolve(at int, p string, flags uint64) (int, error) {
	how := &unix.OpenHow{
		Flags:   flags | unix.O_CLOEXEC | unix.O_NOFOLLOW,
		Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS | unix.RESOLVE_NO_XDEV | unix.RESOLVE_NO_MAGICLINKS,
	}
	for range resolveTries {
		fd, err := unix.Openat2(at, p, how)
		if err != unix.EAGAIN && err != unix.EINTR {
			return fd, err
		}
	}
	return -1, unix.EAGAIN
}

// openFile opens a regular file below a folder for reading; a FIFO does not make it
// wait. The flag that sees to that goes once it is open, or the runtime would try to
// wait for each file with epoll(7).
func openFile(root int, p string) (*os.File, error) {
	fd, err := openBeneath(root, p, unix.O_RDONLY|unix.O_NONBLOCK)
	if err != nil {
		return nil, err
	}
	if _, err := unix.FcntlInt(uintptr(fd), unix.F_SETFL, 0); err != nil {
		return nil, errors.Join(err, unix.Close(fd))
	}
	return os.NewFile(uintptr(fd), p), nil
}

// openRoot opens the folder that a tree begins at, whose own path is trusted.
func openRoot(dir string) (int, error) {
	return unix.Open(dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
}

// chmodAt changes the mode of what a name in a folder is, never of what a link
// points to.
func chmodAt(dirfd int, name string, mode uint32) error {
	fd, err := resolve(dirfd, name, unix.O_PATH)
	if err != nil {
		return err
	}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return errors.Join(err, unix.Close(fd))
	}
	if st.Mode&unix.S_IFMT == unix.S_IFLNK {
		return errors.Join(unix.ELOOP, unix.Close(fd))
	}
	err = unix.Chmod("/proc/self/fd/"+strconv.Itoa(fd), mode&0o7777)
	return errors.Join(err, unix.Close(fd))
}

// splitPath gives the folder and the name of a path below a root.
func splitPath(p string) (dir, name string) {
	if i := strings.LastIndexByte(p, '/'); i >= 0 {
		return p[:i], p[i+1:]
	}
	return ".", p
}

// joinPath is the path of a name in a folder below a root.
func joinPath(dir, name string) string {
	if dir == "." {
		return name
	}
	return dir + "/" + name
}

// validPath says whether a path is one below a root: relative, without an
// empty, "." or ".." part. Any other bytes may be in it.
func validPath(p string) bool {
	for part := range strings.SplitSeq(p, "/") {
		if part == "" || part == "." || part == ".." {
			return false
		}
	}
	return strings.IndexByte(p, 0) < 0
}
