package jail

import (
	"fmt"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// CloneTree clones the mount of a file or folder of the host, with all that is
// mounted below it, for a [Bind] to attach. Only root can do it.
func CloneTree(path string) (*os.File, error) {
	fd, err := unix.OpenTree(unix.AT_FDCWD, path, unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC|unix.AT_RECURSIVE)
	if err != nil {
		return nil, fmt.Errorf("cloning the mount of %q: %w", path, err)
	}
	return os.NewFile(uintptr(fd), path), nil
}

// MapTree clones the mount of a folder of the host, with all that is mounted
// below it, and shows the folder's owner as the box's user. Everybody else
// keeps their IDs, moved into the jail's range; whom the range has no room for
// appears as nobody. Only root can do it. See mount_setattr(2), "ID-mapped
// mounts".
func MapTree(binary, folder string, id *Identity, uid, gid int) (*os.File, error) {
	tree, err := CloneTree(folder)
	if err != nil {
		return nil, err
	}
	space, err := userSpace(binary, swapped(id.UIDs[0].Outside, uid), swapped(id.GIDs[0].Outside, gid))
	if err != nil {
		tree.Close()
		return nil, err
	}
	defer space.Close()
	attr := unix.MountAttr{
		Attr_set:  unix.MOUNT_ATTR_IDMAP | unix.MOUNT_ATTR_RDONLY | unix.MOUNT_ATTR_NOSUID | unix.MOUNT_ATTR_NODEV,
		Userns_fd: uint64(space.Fd()),
	}
	if err := unix.MountSetattr(int(tree.Fd()), "", unix.AT_EMPTY_PATH|unix.AT_RECURSIVE, &attr); err != nil {
		tree.Close()
		return nil, fmt.Errorf("mapping the owner of %q to the box's user: %w; its file system may not support ID-mapped mounts", folder, err)
	}
	return tree, nil
}

// swapped maps the IDs of a file system to a range that begins at first, so
// that owner and the box's user change places.
func swapped(first, owner int) []IDRange {
	low, high := min(owner, BoxID), max(owner, BoxID)
	ranges := []IDRange{{0, first, low}}
	switch {
	case low == high:
		ranges = []IDRange{{0, first, idSpace}}
	case high < idSpace:
		ranges = append(ranges,
			IDRange{low, first + high, 1},
			IDRange{low + 1, first + low + 1, high - low - 1},
			IDRange{high, first + low, 1},
			IDRange{high + 1, first + high + 1, idSpace - high - 1})
	default: // the owner lies outside the range, and the box's user of the disk has no place
		ranges = append(ranges,
			IDRange{BoxID + 1, first + BoxID + 1, idSpace - BoxID - 1},
			IDRange{owner, first + BoxID, 1})
	}
	nonempty := ranges[:0]
	for _, r := range ranges {
		if r.Size > 0 {
			nonempty = append(nonempty, r)
		}
	}
	return nonempty
}

// userSpace makes a user namespace with the given mappings, for a mount to
// refer to. The process that it takes lives only as long as this call.
func userSpace(binary string, uids, gids []IDRange) (*os.File, error) {
	ours, theirs, err := controlPair()
	if err != nil {
		return nil, err
	}
	defer ours.Close()
	defer theirs.Close()
	exe, err := os.Open(binary)
	if err != nil {
		return nil, fmt.Errorf("opening the jail's program: %w", err)
	}
	defer exe.Close()
	cmd := byDescriptor(theirs, exe)
	cmd.Args = append(cmd.Args, AwaitMapping)
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER,
		UidMappings: mappings(uids),
		GidMappings: mappings(gids),
		Pdeathsig:   syscall.SIGKILL,
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("making a user namespace for a mount: %w", err)
	}
	defer func() {
		// Both can only say that the process, which does nothing, has ended.
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}()
	space, err := os.Open(fmt.Sprintf("/proc/%d/ns/user", cmd.Process.Pid))
	if err != nil {
		return nil, fmt.Errorf("opening the user namespace for a mount: %w", err)
	}
	return space, nil
}
