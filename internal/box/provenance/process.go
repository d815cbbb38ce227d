package provenance

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"proofbox"
)

// process is one process of a box. What it is called only grows: nothing that it does
// takes a name away.
type process struct {
	parent *process // nil for a command that the box's process 1 has started
	doubt  bool     // it descends from somebody who is not known, or has run what is not
	names  []string // of what it has run, each once
	last   string   // what it has run last, as whoever started that has called it
	alive  int64    // how far the cycle of numbers was when it was seen alive last
}

// Bounds of what a process is called.
const (
	maxNames    = 32
	maxName     = 64
	maxArgument = 4096
	maxDepth    = 1 << 10
)

// find gives the process of an event, looked at for the first time where nothing was
// known of it; nil where it has gone before. One that has gone has no pidfd: it is the
// last that was seen with its number, unless the number may have been given again.
func (r *Record) find(pidfd, pid int) *process {
	id, err := identity(pidfd)
	if err != nil {
		if p := r.numbers[pid]; p != nil && !r.cycle.again(p.alive) {
			return p
		}
		return nil
	}
	if p := r.processes[id]; p != nil {
		p.alive = r.cycle.far
		return p
	}
	if len(r.processes) >= maxProcesses {
		r.lose("the box has started more processes than are remembered")
		return nil
	}
	return r.remember(id, pid, r.born(pidfd, pid, 0))
}

// remember notes a process, which was alive a moment ago; nil is none.
func (r *Record) remember(id uint64, pid int, p *process) *process {
	if p != nil {
		p.alive = r.cycle.far
		r.processes[id], r.numbers[pid] = p, p
	}
	return p
}

// identity is the number that no other process has, or had.
func identity(pidfd int) (uint64, error) {
	var st unix.Stat_t
	err := unix.Fstat(pidfd, &st)
	return st.Ino, err
}

// born looks at a process, which is alive, and at those that it descends from. A
// parent that has ended was not its parent any more; see package seccomp, which
// keeps a box from choosing another.
func (r *Record) born(pidfd, pid, depth int) *process {
	above, err := parentOf(pid)
	if err != nil || depth > maxDepth {
		return nil
	}
	p := &process{}
	if above == r.init {
		program, err := programOf(pid)
		p.doubt = err != nil || program != r.program || r.expected.Add(-1) < 0
	} else if fd, err := unix.PidfdOpen(above, 0); err != nil {
		return nil
	} else {
		p.parent = r.ancestor(fd, above, depth)
		p.doubt = p.parent == nil
		unix.Close(fd)
	}
	// Both are who they were taken for if the first is alive and still has the
	// second as its parent.
	again, err := parentOf(pid)
	if err != nil || again != above || unix.PidfdSendSignal(pidfd, 0, nil, 0) != nil {
		return nil
	}
	return p
}

func (r *Record) ancestor(pidfd, pid, depth int) *process {
	id, err := identity(pidfd)
	if err != nil {
		return nil
	}
	p := r.processes[id]
	if p == nil && len(r.processes) < maxProcesses {
		p = r.remember(id, pid, r.born(pidfd, pid, depth+1))
	}
	return p
}

func parentOf(pid int) (int, error) {
	text, err := os.ReadFile(procFile(pid, "stat"))
	if err != nil {
		return 0, err
	}
	// The name is in brackets, and may have some in it; see proc_pid_stat(5).
	fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
	if len(fields) < 2 {
		return 0, errors.New("it has no parent")
	}
	return strconv.Atoi(fields[1])
}

func programOf(pid int) (inode, error) {
	var st unix.Stat_t
	err := unix.Stat(procFile(pid, "exe"), &st)
	return inode{uint64(st.Dev), st.Ino}, err
}

// runs notes that a process, which waits until it was noted, starts a program. Its
// file is the kernel's word. The name by which it is asked for, and its arguments, are
// the word of who starts it, who is not yet what it starts.
func (p *process) runs(pid int, file string) {
	call, err := asked(pid)
	if err != nil {
		p.doubt = true
	} else {
		p.last = call[len(call)-1]
	}
	for _, n := range call {
		p.name(n)
	}
	if base := filepath.Base(file); err != nil || !loads(base) {
		p.name(base)
	}
}

// loads says whether a file is what the kernel starts first for every program that is
// not whole by itself.
func loads(file string) bool {
	return strings.HasPrefix(file, "ld-linux") || strings.HasPrefix(file, "ld-musl")
}

func (p *process) name(n string) {
	n = n[:min(len(n), maxName)]
	switch {
	case n == "" || slices.Contains(p.names, n):
	case len(p.names) >= maxNames:
		p.doubt = true
	default:
		p.names = append(p.names, n)
	}
}

// execs are the numbers of execve(2) and execveat(2), and where their file's name is.
var execs = map[string]map[string]int{
	"amd64": {"59": 0, "322": 1},
	"arm64": {"221": 0, "281": 1},
}

// asked reads from a process that waits in execve(2) as what it starts a program:
// the program's name, the first argument and, of an interpreter, the script.
func asked(pid int) ([]string, error) {
	fields, err := callOf(pid)
	if err != nil {
		return nil, err
	}
	at, ok := execs[runtime.GOARCH][fields[0]]
	if !ok {
		return nil, errors.New("it starts no program")
	}
	mem, err := os.Open(procFile(pid, "mem"))
	if err != nil {
		return nil, err
	}
	defer mem.Close()
	name, err := textAt(mem, fields[1+at])
	if err != nil {
		return nil, err
	}
	args, err := arguments(mem, fields[2+at])
	if err != nil {
		return nil, err
	}
	return called(name, args), nil
}

// settles is how long a process may take from the event of its call to its sleep.
const settles = 100 * time.Millisecond

// callOf gives the number and the arguments of the call that a process waits in; see
// proc_pid_syscall(5).
func callOf(pid int) ([]string, error) {
	for began := time.Now(); time.Since(began) < settles; time.Sleep(20 * time.Microsecond) {
		text, err := os.ReadFile(procFile(pid, "syscall"))
		if err != nil {
			return nil, err
		}
		if fields := strings.Fields(string(text)); len(fields) > 4 {
			return fields, nil
		}
	}
	return nil, errors.New("it does not wait in a call")
}

// called gives what a call of a program is called.
func called(name string, args []string) []string {
	names := []string{filepath.Base(name)}
	if len(args) > 0 {
		names = append(names, strings.TrimPrefix(filepath.Base(args[0]), "-"))
	}
	if !slices.ContainsFunc(names, interprets) {
		return names
	}
	for i, arg := range args[min(1, len(args)):] {
		if arg == "-c" || arg == "-e" {
			break
		}
		if !strings.HasPrefix(arg, "-") || i > 0 && args[i] == "-m" {
			return append(names, filepath.Base(arg))
		}
	}
	return names
}

// interprets says whether the first argument of a program is a program.
func interprets(name string) bool {
	for _, known := range []string{"node", "python", "pypy", "ruby", "perl", "php", "bash", "dash", "sh", "zsh", "env", "deno", "bun", "java", "lua", "busybox"} {
		if strings.TrimRight(name, "0123456789.") == known {
			return true
		}
	}
	return false
}

// maxArguments is how many arguments are looked at.
const maxArguments = 8

func arguments(mem io.ReaderAt, at string) ([]string, error) {
	start, err := strconv.ParseUint(at, 0, 63)
	if err != nil || start == 0 {
		return nil, err
	}
	var args []string
	for i := range uint64(maxArguments) {
		var word [8]byte
		if _, err := mem.ReadAt(word[:], int64(start+8*i)); err != nil {
			return nil, err
		}
		pointer := binary.NativeEndian.Uint64(word[:])
		if pointer == 0 {
			break
		}
		arg, err := textAt(mem, strconv.FormatUint(pointer, 10))
		if err != nil {
			return nil, err
		}
		args = append(args, arg)
	}
	return args, nil
}

// textAt reads a text up to its NUL.
func textAt(mem io.ReaderAt, at string) (string, error) {
	start, err := strconv.ParseUint(at, 0, 63)
	if err != nil {
		return "", err
	}
	buf := make([]byte, maxArgument)
	n, err := mem.ReadAt(buf, int64(start))
	if end := bytes.IndexByte(buf[:n], 0); end >= 0 {
		return string(buf[:end]), nil
	}
	if err == nil {
		return string(buf), nil
	}
	return "", err
}

// lineage gives the names of a process and of all that it descends from, and whether
// there may be others.
func (p *process) lineage() (names []string, doubt bool) {
	for ; p != nil; p = p.parent {
		names = append(names, p.names...)
		doubt = doubt || p.doubt
	}
	return names, doubt
}

// called is what a process is, or what has it made: a copy of the latter, then.
func (p *process) called() string {
	for ; p != nil; p = p.parent {
		if p.last != "" {
			return p.last
		}
	}
	return ""
}

// sum says in one who has written, and who has moved the folders around it.
func sum(written, movers []*deeds) proofbox.Writers {
	var w proofbox.Writers
	var last *deeds
	for _, d := range written {
		if last == nil || d.when > last.when {
			last = d
		}
	}
	w.Last = proofbox.Raw(last.last.called())
	seen := map[string]bool{}
	for _, d := range slices.Concat(written, movers) {
		if d.doubt {
			w.Unknown = "somebody has written it who is not known"
		}
		for _, p := range d.by {
			names, doubt := p.lineage()
			if doubt {
				w.Unknown = "it was written by a process of which it is not known who started it"
			}
			for _, n := range names {
				seen[n] = true
			}
		}
	}
	for n := range seen {
		w.Names = append(w.Names, proofbox.Raw(n))
	}
	slices.Sort(w.Names)
	return w
}
