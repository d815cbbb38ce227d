package main

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"proofbox/internal/box/jail"
)

// usage adds up what processes use.
type usage struct {
	tasks   int
	private int64           // bytes that are a process's own
	mapped  int64           // bytes of shared memory, as often as they are mapped
	memfds  int64           // bytes in memory files, each once
	seen    map[uint64]bool // inodes of memory files
}

// look counts the processes of the box: those of the jail that are in another
// user namespace than this one. Of processes that end meanwhile it counts what
// it can. Shared memory is either mapped or in a file, or both, and the larger
// of the two is taken.
func look() *jail.Used {
	u := usage{seen: map[uint64]bool{}}
	own, _ := os.Readlink("/proc/self/ns/user")
	processes, _ := filepath.Glob("/proc/[0-9]*")
	for _, dir := range processes {
		if space, err := os.Readlink(dir + "/ns/user"); err == nil && space != own {
			u.add(dir)
		}
	}
	return &jail.Used{Bytes: u.private + max(u.mapped, u.memfds), Tasks: u.tasks}
}

// add counts one process; see proc_pid_status(5).
func (u *usage) add(dir string) {
	text, err := os.ReadFile(dir + "/status")
	if err != nil {
		return
	}
	for line := range strings.Lines(string(text)) {
		name, value, _ := strings.Cut(line, ":")
		n, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 10, 64)
		if err != nil {
			continue
		}
		switch name {
		case "RssAnon":
			u.private += n << 10
		case "RssShmem":
			u.mapped += n << 10
		case "Threads":
			u.tasks += int(n)
		}
	}
	u.addFiles(dir + "/fd")
}

// addFiles counts the memory files that a process has open; see
// memfd_create(2). The memory of a gVisor box is one.
func (u *usage) addFiles(dir string) {
	fds, err := os.ReadDir(dir)
	if err != nil {
		return
	}
	for _, fd := range fds {
		path := dir + "/" + fd.Name()
		if link, err := os.Readlink(path); err != nil || !strings.HasPrefix(link, "/memfd:") {
			continue
		}
		var st unix.Stat_t
		if unix.Stat(path, &st) == nil && !u.seen[st.Ino] {
			u.seen[st.Ino] = true
			u.memfds += st.Blocks * 512
		}
	}
}
