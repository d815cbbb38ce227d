package inside

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"proofbox/internal/door"
)

// rightsOf gives the file system rights that a version of Landlock knows; see
// landlock(7).
func rightsOf(abi int) uint64 {
	rights := uint64(1<<13 - 1) // EXECUTE to MAKE_SYM
	for _, r := range []struct {
		abi   int
		right uint64
	}{
		{2, unix.LANDLOCK_ACCESS_FS_REFER},
		{3, unix.LANDLOCK_ACCESS_FS_TRUNCATE},
		{5, unix.LANDLOCK_ACCESS_FS_IOCTL_DEV},
	} {
		if abi >= r.abi {
			rights |= r.right
		}
	}
	return rights
}

const readRights = unix.LANDLOCK_ACCESS_FS_EXECUTE | unix.LANDLOCK_ACCESS_FS_READ_FILE | unix.LANDLOCK_ACCESS_FS_READ_DIR

// fileRights are the rights that make sense for what is not a folder.
const fileRights = unix.LANDLOCK_ACCESS_FS_EXECUTE | unix.LANDLOCK_ACCESS_FS_READ_FILE |
	unix.LANDLOCK_ACCESS_FS_WRITE_FILE | unix.LANDLOCK_ACCESS_FS_TRUNCATE | unix.LANDLOCK_ACCESS_FS_IOCTL_DEV

// restrict puts every thread of this process, and so all that it will start,
// under the rules, and tries them on the canary. It gives the version of
// Landlock, 0 where this kernel has none.
func restrict(rules door.LandlockRules) (abi int, err error) {
	const askVersion = 1
	version, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, 0, 0, askVersion)
	if errno == unix.ENOSYS || errno == unix.EOPNOTSUPP || errno == unix.EPERM {
		return 0, nil // the host decides whether that may be
	}
	if errno != 0 {
		return 0, fmt.Errorf("asking for Landlock: %w", errno)
	}
	if err := tryWrite(rules.Canary); err != nil {
		return 0, fmt.Errorf("the canary must be writable before: %w", err)
	}
	if err := enforce(rules, int(version)); err != nil {
		return 0, err
	}
	if err := tryWrite(rules.Canary); !errors.Is(err, fs.ErrPermission) {
		return 0, fmt.Errorf("the canary could be written in spite of Landlock: %v", err)
	}
	return int(version), nil
}

func tryWrite(path string) error {
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	return f.Close()
}

func enforce(rules door.LandlockRules, abi int) error {
	all := rightsOf(abi)
	attr := unix.LandlockRulesetAttr{Handled_access_fs: all}
	fd, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, uintptr(unsafe.Pointer(&attr)), unsafe.Sizeof(attr.Handled_access_fs), 0)
	if errno != 0 {
		return fmt.Errorf("making Landlock rules: %w", errno)
	}
	defer unix.Close(int(fd))
	if err := allow(int(fd), "/", readRights&all); err != nil {
		return err
	}
	for _, path := range rules.Writable {
		if err := allow(int(fd), path, all); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	// The kernel lets only a process restrict itself that can gain nothing.
	if _, _, errno := syscall.AllThreadsSyscall6(unix.SYS_PRCTL, unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0, 0); errno != 0 {
		return fmt.Errorf("setting no new privileges: %w", errno)
	}
	if _, _, errno := syscall.AllThreadsSyscall(unix.SYS_LANDLOCK_RESTRICT_SELF, fd, 0, 0); errno != 0 {
		return fmt.Errorf("entering the Landlock rules: %w", errno)
	}
	return nil
}

func allow(ruleset int, path string, rights uint64) error {
	fd, err := unix.Open(path, unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("opening %q for a Landlock rule: %w", path, err)
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return fmt.Errorf("looking at %q for a Landlock rule: %w", path, err)
	}
	if st.Mode&unix.S_IFMT != unix.S_IFDIR {
		rights &= fileRights
	}
	rule := unix.LandlockPathBeneathAttr{Allowed_access: rights, Parent_fd: int32(fd)}
	_, _, errno := unix.Syscall6(unix.SYS_LANDLOCK_ADD_RULE, uintptr(ruleset),
		unix.LANDLOCK_RULE_PATH_BENEATH, uintptr(unsafe.Pointer(&rule)), 0, 0, 0)
	if errno != 0 {
		return fmt.Errorf("allowing %q by Landlock: %w", path, errno)
	}
	return nil
}
