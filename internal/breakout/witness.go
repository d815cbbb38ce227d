package breakout

import (
	"bufio"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// This file has the oracles that look at one thing of the host each.

// groupMade looks for a cgroup that is named after the attempt, and removes it.
func groupMade() Oracle {
	return during("whether there is a cgroup of the attack's name on the host", func(a *attempt) (string, error) {
		for _, pattern := range []string{"/sys/fs/cgroup/proofbox-", "/sys/fs/cgroup/*/proofbox-", "/sys/fs/cgroup/*/*/proofbox-"} {
			found, err := filepath.Glob(pattern + a.token)
			if err != nil || len(found) == 0 {
				continue
			}
			if err := os.Remove(found[0]); err != nil {
				return "", fmt.Errorf("removing the cgroup of an attack: %w", err)
			}
			return "there was a cgroup " + found[0], nil
		}
		return "", nil
	})
}

// logged looks for the attempt's token in the log of the host's kernel.
func logged() Oracle {
	return during("whether the log of the host's kernel has the attack's token", func(a *attempt) (string, error) {
		fd, err := unix.Open("/dev/kmsg", unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
		if err != nil {
			return "", fmt.Errorf("%w: %w", errLacking, err)
		}
		defer unix.Close(fd)
		buf := make([]byte, 8<<10)
		for range 1 << 20 {
			n, err := unix.Read(fd, buf)
			switch {
			case errors.Is(err, unix.EPIPE): // a line was overwritten meanwhile
			case err != nil:
				return "", nil // EAGAIN: that was all
			case strings.Contains(string(buf[:n]), a.token):
				return "the kernel's log has the token", nil
			}
		}
		return "", errors.New("the kernel's log does not end")
	})
}

// hostDisk looks for the device of the host's root among what the box has open.
func hostDisk() Oracle {
	return during("whether a process of the box has the host's disk open", func(a *attempt) (string, error) {
		var root unix.Stat_t
		if err := unix.Stat("/", &root); err != nil {
			return "", fmt.Errorf("looking at the host's root: %w", err)
		}
		return a.eachDescriptor(func(pid int, d descriptor) string {
			var st unix.Stat_t
			if unix.Stat(d.path, &st) != nil || st.Mode&unix.S_IFMT != unix.S_IFBLK || st.Rdev != root.Dev {
				return ""
			}
			return fmt.Sprintf("process %d has the host's disk open as %s", pid, d.link)
		})
	})
}

// movedRoot looks for a process of the box whose root is a folder of the box's.
func movedRoot() Oracle {
	return during("whether a process of the box has another root", func(a *attempt) (string, error) {
		return a.eachTask(func(task string) string {
			root, err := os.Readlink(task + "/root")
			if err != nil || root == "/" {
				return "" // it has ended
			}
			return fmt.Sprintf("the root of %s is %s", task, root)
		})
	})
}

// addressed looks for an address that is made of the attempt's token among those
// of the box's network.
func addressed() Oracle {
	return during("whether the box's network has an address of the attack's", func(a *attempt) (string, error) {
		mark, err := hex.DecodeString(a.token[:6])
		if err != nil {
			return "", fmt.Errorf("reading the token: %w", err)
		}
		address := fmt.Sprintf("10.%d.%d.%d", mark[0], mark[1], mark[2])
		return a.eachTask(func(task string) string {
			text, err := os.ReadFile(task + "/net/fib_trie")
			if err == nil && strings.Contains(string(text), " "+address+"\n") {
				return "the box's network has the address " + address
			}
			return ""
		})
	})
}

// wakes looks for a timer that would wake the host: one of the clock 8,
// CLOCK_REALTIME_ALARM.
func wakes() Oracle {
	return during("whether a process of the box holds an alarm that wakes the host", func(a *attempt) (string, error) {
		return a.eachDescriptor(func(pid int, d descriptor) string {
			if infoOf(pid, d.number, "clockid") != "8" {
				return ""
			}
			return fmt.Sprintf("process %d holds %s of the clock 8", pid, d.link)
		})
	})
}

// keyAdded looks for a key that is named after the attempt.
func keyAdded() Oracle {
	return during("whether the kernel's store has a key of the attack's name", func(a *attempt) (string, error) {
		f, err := os.Open("/proc/keys")
		if err != nil {
			return "", fmt.Errorf("%w: %w", errLacking, err)
		}
		defer f.Close()
		for lines := bufio.NewScanner(f); lines.Scan(); {
			if strings.Contains(lines.Text(), a.token) {
				return fmt.Sprintf("the host's list of keys has %q", lines.Text()), nil
			}
		}
		return "", nil
	})
}

// canaryWritten looks whether the file that Landlock keeps from being written
// has the attempt's token.
func canaryWritten() Oracle {
	return during("whether the box's canary was written", func(a *attempt) (string, error) {
		fd, err := unix.Openat(int(a.box.Scratch().Fd()), "canary", unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
		if err != nil {
			return "", fmt.Errorf("looking at the box's canary: %w", err)
		}
		defer unix.Close(fd)
		buf := make([]byte, 64<<10)
		n, err := unix.Read(fd, buf)
		if err != nil {
			return "", fmt.Errorf("looking at the box's canary: %w", err)
		}
		if strings.Contains(string(buf[:n]), a.token) {
			return "the canary has the token", nil
		}
		return "", nil
	})
}

// boxLost looks whether the box has ended by itself, while nobody has ended it.
func boxLost() Oracle {
	return afterwards("whether the box was lost, while nobody had ended it", func(_ *attempt, r Remains) (string, error) {
		if ended := r.Run().Ended; strings.HasPrefix(ended, "the box was lost") {
			return "the run ended as: " + ended, nil
		}
		return "", nil
	})
}
