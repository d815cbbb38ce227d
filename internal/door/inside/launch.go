package inside

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"proofbox"
	"proofbox/internal/door"
)

// Exit codes of a command that did not start, as POSIX shells have them.
const (
	codeNotExecutable = 126
	codeNotFound      = 127
)

// launch starts a command in a session of its own. Where it cannot, it gives
// the reason as an exit.
func (s *Server) launch(c door.Command) (*process, <-chan syscall.WaitStatus, *door.Exit) {
	path, exit := find(c)
	if exit != nil {
		return nil, nil, exit
	}
	p, theirs, err := open(c)
	if err != nil {
		return nil, nil, notStarted(codeNotExecutable, err)
	}
	defer func() {
		for _, f := range theirs {
			_ = f.Close() // the command has its own
		}
	}()
	attr := &syscall.ProcAttr{
		Dir: c.Dir, Env: c.Env, Files: []uintptr{theirs[0].Fd(), theirs[1].Fd(), theirs[2].Fd()},
		Sys: &syscall.SysProcAttr{Setsid: true, Setctty: c.TTY != nil},
	}
	var end <-chan syscall.WaitStatus
	p.pid, end, err = s.reaper.start(func() (int, error) { return syscall.ForkExec(path, c.Args, attr) })
	if err != nil {
		p.abandon()
		return nil, nil, notStarted(codeOf(err), fmt.Errorf("%q: %w", c.Args[0], err))
	}
	return p, end, nil
}

func notStarted(code int, err error) *door.Exit {
	return &door.Exit{Code: code, NotStarted: err.Error()}
}

func codeOf(err error) int {
	if errors.Is(err, syscall.ENOENT) {
		return codeNotFound
	}
	return codeNotExecutable
}

// open makes the ends of the command's input and output: the process's for the
// host, and the command's own three files.
func open(c door.Command) (*process, [3]*os.File, error) {
	if c.TTY != nil {
		return openTerminal(*c.TTY)
	}
	p := &process{outputs: map[string]*output{}}
	var theirs [3]*os.File
	for i, op := range []string{door.OpStdout, door.OpStderr} {
		r, w, err := pipe()
		if err != nil {
			return nil, theirs, fmt.Errorf("making a pipe: %w", err)
		}
		theirs[1+i] = w
		p.add(op, r)
	}
	if !c.Stdin {
		null, err := os.Open(os.DevNull)
		theirs[0] = null
		return p, theirs, err
	}
	r, w, err := os.Pipe()
	if err != nil {
		return nil, theirs, fmt.Errorf("making a pipe: %w", err)
	}
	theirs[0], p.in = r, w
	return p, theirs, nil
}

func openTerminal(size proofbox.TerminalSize) (*process, [3]*os.File, error) {
	ours, name, err := newTerminal()
	if err != nil {
		return nil, [3]*os.File{}, err
	}
	if err := setSize(ours, size); err != nil {
		return nil, [3]*os.File{}, err
	}
	var theirs [3]*os.File
	for i := range theirs {
		f, err := os.OpenFile(name, os.O_RDWR|syscall.O_NOCTTY, 0)
		if err != nil {
			return nil, theirs, fmt.Errorf("opening the terminal: %w", err)
		}
		theirs[i] = f
	}
	p := &process{outputs: map[string]*output{}, tty: ours, in: ours}
	p.add(door.OpStdout, ours)
	return p, theirs, nil
}

func (p *process) add(op string, from *os.File) {
	o := &output{from: from}
	p.outputs[op] = o
	p.all = append(p.all, o)
	p.carried.Add(1)
}

// abandon closes what was opened for a command that did not start.
func (p *process) abandon() {
	for _, o := range p.all {
		_ = o.from.Close()
	}
	if p.in != nil {
		_ = p.in.Close()
	}
}

// find resolves a command as execvp(3) does, with the command's own PATH.
func find(c door.Command) (string, *door.Exit) {
	if len(c.Args) == 0 || c.Args[0] == "" {
		return "", notStarted(codeNotFound, errors.New("no command was given"))
	}
	if info, err := os.Stat(c.Dir); err != nil || !info.IsDir() {
		return "", notStarted(codeNotExecutable, fmt.Errorf("the folder %q to start in does not exist in the box", c.Dir))
	}
	name := c.Args[0]
	if strings.Contains(name, "/") {
		path := name
		if !filepath.IsAbs(path) {
			path = filepath.Join(c.Dir, name)
		}
		return candidate(name, path)
	}
	search := variable(c.Env, "PATH")
	exit := notStarted(codeNotFound, fmt.Errorf("%q is not in the image; its PATH is %s", name, search))
	for dir := range strings.SplitSeq(search, ":") {
		path, no := candidate(name, filepath.Join(c.Dir, dir, name))
		if filepath.IsAbs(dir) {
			path, no = candidate(name, filepath.Join(dir, name))
		}
		if no == nil {
			return path, nil
		}
		if no.Code == codeNotExecutable {
			exit = no
		}
	}
	return "", exit
}

// candidate says whether a file can be executed.
func candidate(name, path string) (string, *door.Exit) {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return "", notStarted(codeNotFound, fmt.Errorf("%q is not in the image", name))
	case info.IsDir():
		return "", notStarted(codeNotExecutable, fmt.Errorf("%q is a folder", path))
	case unix.Access(path, unix.X_OK) != nil:
		return "", notStarted(codeNotExecutable, fmt.Errorf("%q is not executable", path))
	}
	return path, nil
}

// variable gives the last value of a variable, which is the one that counts.
func variable(env []string, name string) string {
	value := ""
	for _, e := range env {
		if k, v, ok := strings.Cut(e, "="); ok && k == name {
			value = v
		}
	}
	return value
}
