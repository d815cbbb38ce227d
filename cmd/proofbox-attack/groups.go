package main

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"proofbox/internal/breakout/order"
)

var groups = map[string]attack{
	"make-group":       makeGroup,
	"open-writing-own": openWritingGroups,
	"leave-group":      leaveGroup,
}

// hierarchies lists the folders at the top of each cgroup hierarchy in sight.
func hierarchies() []string {
	files, _ := filepath.Glob("/sys/fs/cgroup/*/cgroup.procs")
	dirs := []string{"/sys/fs/cgroup/"} // of version 2
	for _, f := range files {
		dirs = append(dirs, filepath.Dir(f)+"/")
	}
	return dirs
}

// makeGroup makes a cgroup in the first hierarchy that lets it: NAME.
func makeGroup(args []string) order.Report {
	var last error
	for _, dir := range hierarchies() {
		if _, err := os.Stat(dir + "cgroup.procs"); err != nil {
			last = err
			continue
		}
		if last = os.Mkdir(dir+args[0], 0o755); last == nil {
			return said(nil, "made a cgroup in "+dir)
		}
	}
	return said(last, "there is no cgroup hierarchy")
}

// openWritingGroups opens files of cgroups for writing and writes nothing:
// NAME…
func openWritingGroups(args []string) order.Report {
	var found []string
	_ = filepath.WalkDir("/sys/fs/cgroup", func(path string, d fs.DirEntry, err error) error {
		if err == nil && slices.Contains(args, d.Name()) && len(found) < maxOpen {
			found = append(found, path)
		}
		return nil // what cannot be read is passed over
	})
	r := order.Report{Said: "there is no such file"}
	if _, err := os.Stat("/sys/fs/cgroup"); len(found) == 0 && err == nil {
		r.Absent = "no group of this host has any of " + strings.Join(args, ", ")
	}
	for _, path := range found {
		_, err := unix.Open(path, unix.O_WRONLY|unix.O_CLOEXEC, 0)
		r = said(err, "opened "+path)
	}
	return r
}

// leaveGroup moves this process to the top of each hierarchy.
func leaveGroup([]string) order.Report {
	var failed error
	for _, dir := range hierarchies() {
		failed = errors.Join(failed, appendTo(dir+"cgroup.procs", "0"))
	}
	return said(failed, "left its cgroups")
}
