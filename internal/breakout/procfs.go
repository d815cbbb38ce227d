package breakout

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// This file has the oracles that read the host's /proc about the processes of
// the box.

// descriptor is one open file of a process.
type descriptor struct {
	number  string
	path    string // of the link in /proc, by which the file itself can be looked at
	link    string // what the link says
	writing bool   // it is open for writing
}

// errUnseen says that this user may not look at a process: one of root in the
// box, which an ordinary user's subordinate IDs stand for.
var errUnseen = fmt.Errorf("%w: an ordinary user may not look at what the box's root holds; try the wall as root", errLacking)

// unseen gives errUnseen for a process that lives: nobody may look at one that is
// ending, and it holds nothing.
func unseen(pid int) error {
	state, ok := statusOf(pid, "State")
	if _, running := statusOf(pid, "VmSize"); !ok || !running || strings.HasPrefix(state, "Z") {
		return nil
	}
	return errUnseen
}

// open lists what a process has open. One that has ended has nothing.
func open(pid int) ([]descriptor, error) {
	dir := fmt.Sprintf("/proc/%d/fd", pid)
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrPermission) {
		return nil, unseen(pid)
	}
	if err != nil {
		return nil, nil
	}
	var list []descriptor
	for _, e := range entries {
		d := descriptor{number: e.Name(), path: filepath.Join(dir, e.Name())}
		if d.link, err = os.Readlink(d.path); err != nil {
			continue
		}
		flags, err := strconv.ParseUint(infoOf(pid, d.number, "flags"), 8, 64)
		d.writing = err == nil && flags&unix.O_ACCMODE != unix.O_RDONLY
		list = append(list, d)
	}
	return list, nil
}

// infoOf reads a field of a descriptor's proc_pid_fdinfo(5); empty where it has
// none.
func infoOf(pid int, number, field string) string {
	return fieldOf(fmt.Sprintf("/proc/%d/fdinfo/%s", pid, number), field)
}

// fieldOf reads a field of a file of lines like "name: value".
func fieldOf(file, field string) string {
	text, err := os.ReadFile(file)
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(text)) {
		if name, value, _ := strings.Cut(line, ":"); name == field {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// eachDescriptor looks at everything that the box's processes have open.
func (a *attempt) eachDescriptor(look func(pid int, d descriptor) string) (string, error) {
	return a.eachProcess(func(pid int) (string, error) {
		list, err := open(pid)
		for _, d := range list {
			if evidence := look(pid, d); evidence != "" {
				return evidence, nil
			}
		}
		return "", err
	})
}

// opens looks for a file of the kernel that the box has open for writing.
func opens(suffixes ...string) Oracle {
	return ofKernel("for writing", func(d descriptor) bool { return d.writing }, suffixes)
}

// reads looks for a file of the kernel that the box has open.
func reads(suffixes ...string) Oracle {
	return ofKernel("for reading", func(d descriptor) bool { return !d.writing }, suffixes)
}

// ofKernel looks for a path that ends so, on a file system of the kernel and not
// on what masks it.
func ofKernel(how string, fits func(descriptor) bool, suffixes []string) Oracle {
	kernels := []int64{unix.PROC_SUPER_MAGIC, unix.SYSFS_MAGIC, unix.CGROUP_SUPER_MAGIC, unix.CGROUP2_SUPER_MAGIC, unix.BINFMTFS_MAGIC, unix.DEBUGFS_MAGIC, unix.TRACEFS_MAGIC, unix.SECURITYFS_MAGIC}
	return during("whether a process of the box has "+strings.Join(suffixes, ", ")+" open "+how, func(a *attempt) (string, error) {
		return a.eachDescriptor(func(pid int, d descriptor) string {
			ends := slices.ContainsFunc(suffixes, func(s string) bool { return strings.HasSuffix(d.link, s) })
			var st unix.Statfs_t
			if !ends || !fits(d) || unix.Statfs(d.path, &st) != nil || !slices.Contains(kernels, st.Type) {
				return ""
			}
			return fmt.Sprintf("process %d has %s open %s", pid, d.link, how)
		})
	})
}

// device looks for a device node that the box has open: kind is unix.S_IFCHR or
// unix.S_IFBLK.
func device(kind uint32, major, minor uint32) Oracle {
	return during(fmt.Sprintf("whether a process of the box has the device %d:%d open", major, minor), func(a *attempt) (string, error) {
		return a.eachDescriptor(func(pid int, d descriptor) string {
			var st unix.Stat_t
			if unix.Stat(d.path, &st) != nil || st.Mode&unix.S_IFMT != kind || st.Rdev != unix.Mkdev(major, minor) {
				return ""
			}
			return fmt.Sprintf("process %d has the device %d:%d open as %s", pid, major, minor, d.link)
		})
	})
}

// sameFile looks for a descriptor of the box that is a file of the host. The
// host's own programs that a box has for itself are of no worth to it.
func sameFile(word string) Oracle {
	return during("whether a process of the box has the host's "+word+" open", func(a *attempt) (string, error) {
		var want unix.Stat_t
		if err := unix.Stat(a.stage.words[word], &want); err != nil {
			return "", fmt.Errorf("looking at %s: %w", word, err)
		}
		return a.eachDescriptor(func(pid int, d descriptor) string {
			var st unix.Stat_t
			if unix.Stat(d.path, &st) != nil || st.Ino != want.Ino || st.Dev != want.Dev {
				return ""
			}
			return fmt.Sprintf("process %d has %s open", pid, a.stage.words[word])
		})
	})
}

// socketOf looks for a socket of a protocol, by the name that the kernel has for
// it in the attribute system.sockprotoname.
func socketOf(protocol string) Oracle {
	return during("whether a process of the box has a socket of the protocol "+protocol, func(a *attempt) (string, error) {
		return a.eachDescriptor(func(pid int, d descriptor) string {
			var name [64]byte
			n, err := unix.Getxattr(d.path, "system.sockprotoname", name[:])
			if err != nil || string(bytes.TrimRight(name[:n], "\x00")) != protocol {
				return ""
			}
			return fmt.Sprintf("process %d has a socket of the protocol %s", pid, protocol)
		})
	})
}

// netlinkOf looks for a netlink socket of a family, as numbered in netlink(7), in
// the network namespace of the box.
func netlinkOf(family int) Oracle {
	return during(fmt.Sprintf("whether the box has a netlink socket of the family %d", family), func(a *attempt) (string, error) {
		return a.eachProcess(func(pid int) (string, error) {
			own := map[string]bool{}
			list, err := open(pid)
			if err != nil {
				return "", err
			}
			for _, d := range list {
				own[strings.Trim(d.link, "socket:[]")] = true
			}
			text, err := os.ReadFile(fmt.Sprintf("/proc/%d/net/netlink", pid))
			if err != nil {
				return "", nil // it has ended
			}
			for line := range strings.Lines(string(text)) {
				f := strings.Fields(line)
				if len(f) >= 10 && f[1] == strconv.Itoa(family) && own[f[9]] {
					return fmt.Sprintf("process %d has a netlink socket of the family %d", pid, family), nil
				}
			}
			return "", nil
		})
	})
}

// mounted looks for a mount in the box whose line of proc_pid_mountinfo(5) holds
// all the words; "{token}" stands for the attempt's.
func mounted(words ...string) Oracle {
	return during("whether the box has a mount of "+strings.Join(words, " "), func(a *attempt) (string, error) {
		return a.eachMount(func(task, line string) string {
			for _, w := range words {
				if !strings.Contains(line, strings.ReplaceAll(w, "{token}", a.token)) {
					return ""
				}
			}
			return fmt.Sprintf("%s has the mount %q", task, strings.TrimSpace(line))
		})
	})
}

// writableMount looks for a mount point of the box that can be written.
func writableMount(point string) Oracle {
	return during("whether the mount "+point+" of the box is writable", func(a *attempt) (string, error) {
		return a.eachMount(func(task, line string) string {
			f := strings.Fields(line)
			if len(f) < 6 || f[4] != point || slices.Contains(strings.Split(f[5], ","), "ro") {
				return ""
			}
			return fmt.Sprintf("%s sees %s with %s", task, point, f[5])
		})
	})
}

func (a *attempt) eachMount(look func(task, line string) string) (string, error) {
	return a.eachTask(func(task string) string {
		text, err := os.ReadFile(task + "/mountinfo")
		if err != nil {
			return "" // it has ended
		}
		for line := range strings.Lines(string(text)) {
			if evidence := look(task, line); evidence != "" {
				return evidence
			}
		}
		return ""
	})
}

// unmounted looks whether a mount point is missing from a process of the box.
func unmounted(point string) Oracle {
	return during("whether the mount "+point+" of the box is gone", func(a *attempt) (string, error) {
		return a.eachTask(func(task string) string {
			text, err := os.ReadFile(task + "/mountinfo")
			if err != nil || len(text) == 0 || strings.Contains(string(text), " "+point+" ") {
				return ""
			}
			return fmt.Sprintf("%s has no mount at %s", task, point)
		})
	})
}

// differs looks for a thread of the box for which a file of /proc/PID/task/TID
// says something else than for the others.
func differs(file, what string) Oracle {
	return during("whether a thread of the box has another "+what+" than the others", func(a *attempt) (string, error) {
		first := ""
		return a.eachTask(func(task string) string {
			text, err := os.ReadFile(task + "/" + file)
			if err != nil || len(text) == 0 {
				return "" // it has ended
			}
			if first == "" {
				first = string(text)
			}
			if string(text) != first {
				return fmt.Sprintf("%s has another %s than the others", task, what)
			}
			return ""
		})
	})
}

// statOf looks for a field of a process in proc_pid_stat(5), counted as there,
// that fits.
func statOf(field int, says string, fits func(value int64) bool) Oracle {
	return during(says, func(a *attempt) (string, error) {
		return a.eachProcess(func(pid int) (string, error) {
			for _, task := range tasksOf(pid) {
				text, err := os.ReadFile(task + "/stat")
				if err != nil {
					continue
				}
				// The second field, in parentheses, may hold anything.
				f := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
				if len(f) < field-2 {
					continue
				}
				if v, err := strconv.ParseInt(f[field-3], 10, 64); err == nil && fits(v) {
					return fmt.Sprintf("%s has the value %d", task, v), nil
				}
			}
			return "", nil
		})
	})
}

// tasksOf lists the folders of a process's tasks in /proc.
func tasksOf(pid int) []string {
	tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*", pid))
	if err != nil {
		panic(fmt.Sprintf("breakout: a pattern of numbers and words: %v", err))
	}
	return tasks
}

// limitRaised looks for a process of the box whose hard limit in
// proc_pid_limits(5) is above that of process 1, which the wall has set.
func limitRaised(name string) Oracle {
	return during("whether a process of the box has raised the limit "+name, func(a *attempt) (string, error) {
		promised := int64(-1)
		return a.eachProcess(func(pid int) (string, error) {
			hard := hardLimit(pid, name)
			if promised < 0 {
				promised = hard
			}
			if hard > promised {
				return fmt.Sprintf("%s of process %d is %d and not %d", name, pid, hard, promised), nil
			}
			return "", nil
		})
	})
}

// limitAbove looks for a process of the box whose hard limit is above what the
// wall promises.
func limitAbove(name string, promised int64) Oracle {
	return during(fmt.Sprintf("whether the limit %s of a process of the box is above %d", name, promised), func(a *attempt) (string, error) {
		return a.eachProcess(func(pid int) (string, error) {
			if hard := hardLimit(pid, name); hard > promised {
				return fmt.Sprintf("%s of process %d is %d", name, pid, hard), nil
			}
			return "", nil
		})
	})
}

// hardLimit reads a limit of a process; -1 where it has ended.
func hardLimit(pid int, name string) int64 {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/limits", pid))
	if err != nil {
		return -1
	}
	for line := range strings.Lines(string(text)) {
		rest, ok := strings.CutPrefix(line, name)
		f := strings.Fields(rest)
		if !ok || len(f) < 2 {
			continue
		}
		if f[1] == "unlimited" {
			return math.MaxInt64
		}
		if n, err := strconv.ParseInt(f[1], 10, 64); err == nil {
			return n
		}
	}
	return -1
}

// rootOnHost looks for a process of the box that is the host's root.
func rootOnHost() Oracle {
	return during("whether a process of the box is the host's root", func(a *attempt) (string, error) {
		return a.eachTask(func(task string) string {
			users := strings.Fields(fieldOf(task+"/status", "Uid"))
			if slices.Contains(users, "0") {
				return fmt.Sprintf("%s is the host's user 0 (%s)", task, strings.Join(users, " "))
			}
			return ""
		})
	})
}

// mapsRoot looks whether user 0 of the box is user 0 of the host.
func mapsRoot() Oracle {
	return during("whether user 0 of the box is the host's", func(a *attempt) (string, error) {
		return a.eachTask(func(task string) string {
			text, err := os.ReadFile(task + "/uid_map")
			if err != nil {
				return "" // it has ended
			}
			for line := range strings.Lines(string(text)) {
				if f := strings.Fields(line); len(f) == 3 && f[0] == "0" && f[1] == "0" {
					return fmt.Sprintf("%s maps %s", task, strings.Join(f, " "))
				}
			}
			return ""
		})
	})
}

// parent gives the process that the box's process 1 was left to: the jail's.
func (a *attempt) parent() (int, error) {
	pids, err := a.box.Processes()
	if err != nil || len(pids) == 0 {
		return 0, fmt.Errorf("finding the jail around the box: %d processes, %w", len(pids), err)
	}
	value, ok := statusOf(pids[0], "PPid")
	pid, err := strconv.Atoi(value)
	if !ok || err != nil || pid <= 1 {
		return 0, fmt.Errorf("finding the jail around the box: the parent of process %d is %q", pids[0], value)
	}
	return pid, nil
}

// traced looks whether the jail around the box is being traced.
func traced() Oracle {
	return during("whether the jail's process is traced", func(a *attempt) (string, error) {
		jail, err := a.parent()
		if err != nil {
			return "", err
		}
		if by, ok := statusOf(jail, "TracerPid"); ok && by != "0" {
			return fmt.Sprintf("the jail's process %d is traced by %s", jail, by), nil
		}
		return "", nil
	})
}

// sharesWithJail looks whether the box is in a namespace of the jail around it.
func sharesWithJail(kind string) Oracle {
	return during("whether a process of the box is in the jail's "+kind+" namespace", func(a *attempt) (string, error) {
		jail, err := a.parent()
		if err != nil {
			return "", err
		}
		theirs, err := namespacesOf(jail, kind)
		if err != nil {
			return "", err
		}
		return a.eachProcess(func(pid int) (string, error) {
			own, err := namespacesOf(pid, kind)
			for _, space := range own {
				if slices.Contains(theirs, space) {
					return fmt.Sprintf("process %d is in the jail's %s namespace %s", pid, kind, space), nil
				}
			}
			return "", err
		})
	})
}

// stolen looks for a socket of the box's process 1, which it has of the host, in
// the hands of another process.
func stolen() Oracle {
	return during("whether another process of the box has the door of process 1", func(a *attempt) (string, error) {
		pids, err := a.box.Processes()
		if err != nil || len(pids) == 0 {
			return "", fmt.Errorf("finding the box's process 1: %w", err)
		}
		door := map[string]bool{}
		list, err := open(pids[0])
		if err != nil {
			return "", err
		}
		for _, d := range list {
			if strings.HasPrefix(d.link, "socket:") {
				door[d.link] = true
			}
		}
		return a.eachDescriptor(func(pid int, d descriptor) string {
			if pid != pids[0] && door[d.link] {
				return fmt.Sprintf("process %d has %s, which is process 1's", pid, d.link)
			}
			return ""
		})
	})
}

// tells looks whether the attack has read a file of the host's kernel: several
// words of the host's own, which are long enough to mean something.
func tells(path string, least int) Oracle {
	return during("whether the attack can say what is written in the host's "+path, func(a *attempt) (string, error) {
		text, err := os.ReadFile(path)
		if err != nil {
			return "", fmt.Errorf("%w: %w", errLacking, err)
		}
		said, known := map[string]bool{}, map[string]bool{}
		for word := range strings.FieldsSeq(strings.Join(a.report.Got, "\n")) {
			said[word] = true
		}
		for word := range strings.FieldsSeq(string(text)) {
			if len(word) >= least && said[word] {
				known[word] = true
			}
		}
		if len(known) < 3 {
			return "", nil
		}
		return fmt.Sprintf("it knows %d words of the host's %s", len(known), path), nil
	})
}
