package main

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"

	"proofbox/internal/breakout/order"
)

var mounts = map[string]attack{
	"mount":               mountNew,
	"mount-inside":        mountInside,
	"bind":                bind,
	"bind-over":           bindOver,
	"move-mount":          moveMount,
	"fsopen":              fsopen,
	"pivot":               pivot,
	"chroot":              chroot,
	"remount":             remount,
	"unmount":             unmount,
	"mount-setattr":       mountSetattr,
	"mount-release-agent": mountReleaseAgent,
}

// point makes a folder to mount on.
func point(name string) (string, error) {
	dir := filepath.Join("/tmp", name)
	if err := os.Mkdir(dir, 0o755); err != nil && !errors.Is(err, os.ErrExist) {
		return "", err
	}
	return dir, nil
}

// mountNew mounts a file system: TYPE MARK.
func mountNew(args []string) order.Report {
	kind, mark := args[0], args[1]
	dir, err := point(mark)
	if err != nil {
		return said(err, "")
	}
	data := ""
	if kind == "overlay" {
		for _, d := range []string{"l", "u", "w"} {
			if err := os.Mkdir(dir+d, 0o755); err != nil && !errors.Is(err, os.ErrExist) {
				return said(err, "")
			}
		}
		data = "lowerdir=" + dir + "l,upperdir=" + dir + "u,workdir=" + dir + "w,userxattr"
	}
	err = unix.Mount(mark, dir, kind, 0, data)
	return without(err, "the file system "+kind, unix.ENODEV)
}

// mountInside mounts a file system in user and mount namespaces of its own, where
// it can be had so, and else as it is: TYPE MARK.
func mountInside(args []string) order.Report {
	if r := mountNew(args); r.Absent != "" || os.Geteuid() == 0 && r.Said == "the file system "+args[0]+" worked" {
		return r
	}
	attr := syscall.SysProcAttr{
		Cloneflags:  unix.CLONE_NEWUSER | unix.CLONE_NEWNS | unix.CLONE_NEWIPC | unix.CLONE_NEWNET | unix.CLONE_NEWPID,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}},
	}
	return said(spawnAndHear(attr, childTime, append([]string{"mount"}, args...)...), "mounted it in namespaces of its own")
}

// bind shows a folder below /tmp: FOLDER MARK.
func bind(args []string) order.Report {
	dir, err := point(args[1])
	if err != nil {
		return said(err, "")
	}
	return said(unix.Mount(args[0], dir, "", unix.MS_BIND, ""), "bound it")
}

// bindOver covers a file: SOURCE TARGET.
func bindOver(args []string) order.Report {
	return said(unix.Mount(args[0], args[1], "", unix.MS_BIND, ""), "covered it")
}

// moveMount clones a mount and puts it below /tmp: FOLDER MARK.
func moveMount(args []string) order.Report {
	dir, err := point(args[1])
	if err != nil {
		return said(err, "")
	}
	tree, err := unix.OpenTree(unix.AT_FDCWD, args[0], unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC)
	if err != nil {
		return said(err, "")
	}
	return said(unix.MoveMount(tree, "", unix.AT_FDCWD, dir, unix.MOVE_MOUNT_F_EMPTY_PATH), "moved a mount")
}

func fsopen(args []string) order.Report {
	_, err := unix.Fsopen(args[0], unix.FSOPEN_CLOEXEC)
	return said(err, "opened a file system type")
}

// pivot makes a folder below /tmp the root: MARK.
func pivot(args []string) order.Report {
	dir, err := point(args[0])
	if err != nil {
		return said(err, "")
	}
	for _, step := range []func() error{
		func() error { return unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, "") },
		func() error { return unix.Mount(args[0], dir, "tmpfs", 0, "") },
		func() error { return os.Mkdir(dir+"/old", 0o755) },
		func() error { return unix.PivotRoot(dir, dir+"/old") },
	} {
		if err := step(); err != nil {
			return said(err, "")
		}
	}
	return said(nil, "changed the root")
}

func chroot([]string) order.Report { return said(unix.Chroot("/tmp"), "changed the root") }

// remount makes a mount writable: POINT.
func remount(args []string) order.Report {
	return said(unix.Mount("", args[0], "", unix.MS_REMOUNT|unix.MS_BIND|unix.MS_NOSUID|unix.MS_NODEV, ""), "remounted it")
}

// unmount takes a mount away: POINT.
func unmount(args []string) order.Report {
	return said(unix.Unmount(args[0], unix.MNT_DETACH), "unmounted it")
}

// mountSetattr makes a mount writable by the newer call: POINT.
func mountSetattr(args []string) order.Report {
	attr := unix.MountAttr{Attr_clr: unix.MOUNT_ATTR_RDONLY}
	return said(unix.MountSetattr(unix.AT_FDCWD, args[0], 0, &attr), "changed the mount")
}

// mountReleaseAgent mounts the hierarchies of cgroup version 1 and opens what
// names the program that the host would run: MARK.
func mountReleaseAgent(args []string) order.Report {
	dir, err := point(args[0])
	if err != nil {
		return said(err, "")
	}
	for _, controller := range []string{"memory", "pids", "devices", "freezer", "cpu"} {
		if err = unix.Mount(args[0], dir, "cgroup", 0, controller); err == nil {
			_, err = unix.Open(dir+"/release_agent", unix.O_WRONLY|unix.O_CLOEXEC, 0)
			return said(err, "opened release_agent")
		}
	}
	return without(err, "cgroup version 1", unix.ENODEV, unix.EBUSY)
}
