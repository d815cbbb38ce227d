package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"proofbox/internal/breakout/order"
)

// uses are no attacks: they are ordinary work, which must go well where attacks
// do not.
var uses = map[string]attack{
	"use-workspace": useWorkspace,
	"use-big-file":  useBigFile,
	"use-processes": useProcesses,
	"use-compiler":  useCompiler,
	"use-tests":     useTests,
}

// useWorkspace reads a file of the workspace, changes it and reads it again:
// PATH.
func useWorkspace(args []string) order.Report {
	before, err := os.ReadFile(args[0])
	if err != nil {
		return said(err, "")
	}
	if err := os.WriteFile(args[0], append(before, "more\n"...), 0o666); err != nil {
		return said(err, "")
	}
	after, err := os.ReadFile(args[0])
	if err == nil && string(after) != string(before)+"more\n" {
		err = fmt.Errorf("it holds %q", after)
	}
	return merged(order.Report{Got: []string{string(before)}, Said: order.Works}, err)
}

// useBigFile writes a file and reads it again: BYTES.
func useBigFile(args []string) order.Report {
	size, err := strconv.ParseInt(args[0], 10, 64)
	if err != nil {
		fail("use-big-file: %v", err)
	}
	path := "/tmp/big"
	defer os.Remove(path)
	f, err := os.Create(path)
	if err != nil {
		return said(err, "")
	}
	defer f.Close()
	chunk := []byte(strings.Repeat("0123456789abcdef", 64<<10))
	for n := int64(0); n < size; n += int64(len(chunk)) {
		if _, err := f.Write(chunk); err != nil {
			return said(fmt.Errorf("after %d bytes: %w", n, err), "")
		}
	}
	back := make([]byte, len(chunk))
	for n := int64(0); n < size; n += int64(len(chunk)) {
		if _, err := f.ReadAt(back, n); err != nil || string(back) != string(chunk) {
			return said(fmt.Errorf("reading it again at %d: %v", n, err), "")
		}
	}
	return said(nil, order.Works)
}

// useProcesses has many processes at once, which wait: HOW MANY.
func useProcesses(args []string) order.Report {
	var all []int
	defer func() {
		for _, pid := range all {
			_ = syscall.Kill(pid, syscall.SIGKILL)
			_, _ = syscall.Wait4(pid, nil, 0, nil)
		}
	}()
	for n := range count(args[0]) {
		pid, errno := fork()
		if errno != 0 {
			return said(fmt.Errorf("after %d: %w", n, errno), "")
		}
		all = append(all, pid)
	}
	for _, pid := range all {
		if ended, err := syscall.Wait4(pid, nil, syscall.WNOHANG, nil); err != nil || ended != 0 {
			return said(fmt.Errorf("process %d has ended early: %w", ended, err), "")
		}
	}
	return said(nil, order.Works)
}

// fork starts a copy of this process that waits until it is killed. In the copy
// there is nothing of Go's runtime but this thread, so it makes nothing but one
// system call.
//
//go:norace
func fork() (pid int, errno syscall.Errno) {
	r, _, errno := syscall.RawSyscall6(syscall.SYS_CLONE, uintptr(syscall.SIGCHLD), 0, 0, 0, 0, 0)
	for r == 0 && errno == 0 {
		syscall.RawSyscall6(syscall.SYS_PPOLL, 0, 0, 0, 0, 0, 0)
	}
	return int(r), errno
}

// source is a program of several functions that answers 42.
const source = `#include <stdio.h>
static int twice(int n) { return 2 * n; }
int main(void) { printf("%d\n", twice(21)); return 0; }
`

// useCompiler compiles a program and runs it.
func useCompiler([]string) order.Report {
	if _, err := exec.LookPath("cc"); err != nil {
		return order.Report{Absent: "the image has no C compiler"}
	}
	dir, err := os.MkdirTemp("/workspace", "compile")
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "main.c"), []byte(source), 0o644)
	}
	if err != nil {
		return said(err, "")
	}
	if out, err := exec.Command("cc", "-O1", "-o", filepath.Join(dir, "main"), filepath.Join(dir, "main.c")).CombinedOutput(); err != nil {
		return said(fmt.Errorf("%w: %s", err, out), "")
	}
	out, err := exec.Command(filepath.Join(dir, "main")).Output()
	if err == nil && string(out) != "42\n" {
		err = fmt.Errorf("it answers %q", out)
	}
	return said(err, order.Works)
}

// tests are a few, of which all must pass.
const tests = `import os, tempfile, unittest, threading, socket
class Work(unittest.TestCase):
    def test_files(self):
        with tempfile.TemporaryDirectory() as d:
            p = os.path.join(d, "f"); open(p, "w").write("x" * 100000)
            self.assertEqual(os.path.getsize(p), 100000)
    def test_threads(self):
        done = []; ts = [threading.Thread(target=done.append, args=(n,)) for n in range(8)]
        [t.start() for t in ts]; [t.join() for t in ts]; self.assertEqual(len(done), 8)
    def test_loopback(self):
        a, b = socket.socketpair(); a.sendall(b"hi"); self.assertEqual(b.recv(2), b"hi")
`

// useTests runs tests of a program.
func useTests([]string) order.Report {
	if _, err := exec.LookPath("python3"); err != nil {
		return order.Report{Absent: "the image has no python3"}
	}
	dir, err := os.MkdirTemp("/workspace", "tests")
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "test_work.py"), []byte(tests), 0o644)
	}
	if err != nil {
		return said(err, "")
	}
	cmd := exec.Command("python3", "-m", "unittest", "-q", "test_work")
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	if err != nil {
		err = errors.Join(err, errors.New(string(out[:min(len(out), 500)])))
	}
	return said(err, order.Works)
}
