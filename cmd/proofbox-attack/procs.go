package main

import (
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"proofbox/internal/breakout/order"
)

var procs = map[string]attack{
	"programs":      programs,
	"environments":  func([]string) order.Report { return ofEach("environ") },
	"command-lines": func([]string) order.Report { return ofEach("cmdline") },
	"roots":         func(args []string) order.Report { return ofEach("root" + args[0]) },
	"folders":       func(args []string) order.Report { return ofEach("cwd/" + args[0]) },
	"tree":          tree,
	"read-whole":    readWhole,
	"open-writing":  openWriting,
	"open-reading":  openReading,
}

// processFolders lists the processes of every /proc in sight.
func processFolders() []string {
	own, _ := filepath.Glob("/proc/[0-9]*")
	hosts, _ := filepath.Glob("/host/proc/[0-9]*")
	return append(own, hosts...)
}

// ofEach reads a file of each process.
func ofEach(name string) order.Report {
	var paths []string
	for _, dir := range processFolders() {
		paths = append(paths, dir+"/"+name)
	}
	return readAll(paths...)
}

// programs opens the program of every process and keeps it open.
func programs([]string) order.Report {
	var last error
	for _, dir := range processFolders() {
		if _, err := unix.Open(dir+"/exe", unix.O_RDONLY, 0); err != nil {
			last = err
		}
	}
	return said(last, "opened them all")
}

// tree reads the files of folders: FOLDER…
func tree(args []string) order.Report {
	var paths []string
	for _, dir := range args {
		entries, err := os.ReadDir(dir)
		if err != nil {
			continue
		}
		for _, e := range entries {
			paths = append(paths, filepath.Join(dir, e.Name()), filepath.Join(dir, e.Name(), "uevent"))
		}
	}
	return readAll(paths...)
}

// readWhole reads more of a file than its beginning: PATH.
func readWhole(args []string) order.Report {
	f, err := os.Open(args[0])
	if err != nil {
		return said(err, "")
	}
	defer f.Close()
	buf := make([]byte, 64<<10)
	n, err := readFull(int(f.Fd()), buf)
	r := said(err, "read it")
	if n > 0 {
		r.Got = []string{string(buf[:n])}
	}
	return r
}

// openWriting opens every file that matches for writing, writes nothing and
// keeps them open: PATTERN…
func openWriting(args []string) order.Report { return openAll(args, unix.O_WRONLY) }

func openReading(args []string) order.Report { return openAll(args, unix.O_RDONLY) }

// maxOpen bounds how many files an attack opens.
const maxOpen = 64

func openAll(patterns []string, flags int) order.Report {
	var found []string
	for _, p := range patterns {
		match, _ := filepath.Glob(p)
		found = append(found, match...)
	}
	r := order.Report{Said: "nothing matches " + strings.Join(patterns, " ")}
	if _, err := os.Stat("/proc/sys/kernel"); len(found) == 0 && err == nil {
		r.Absent = "this kernel has no " + strings.Join(patterns, ", ")
	}
	for _, path := range found[:min(len(found), maxOpen)] {
		if _, err := unix.Open(path, flags|unix.O_CLOEXEC|unix.O_NONBLOCK, 0); err != nil {
			r.Said = path + ": " + err.Error()
			continue
		}
		r.Said = "opened " + path
	}
	return r
}
