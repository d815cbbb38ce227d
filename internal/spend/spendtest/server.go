// Package spendtest is a PostgreSQL of one's own, for tests and measurements of the
// ledger of spending.
package spendtest

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Server is one that is reached at a socket in its folder, and by nobody else. Its
// user "test" needs no password.
type Server struct {
	dir      string // its own, which ends with it
	programs string
	owner    *syscall.Credential // nil for this process's own
	process  *exec.Cmd
	ended    chan struct{}
	said     bytes.Buffer // read only when it has ended
}

// ErrMissing is that this host has no PostgreSQL.
var ErrMissing = errors.New("PostgreSQL is missing: install the package postgresql")

// memory is where a server has no disk to wait for: in tests it is the server that
// crashes, and not its host.
const memory = "/dev/shm"

// New makes a server, which is not started yet, in a new folder of a parent's; empty
// means in memory, where there is some for files.
func New(parent string) (*Server, error) {
	s := &Server{programs: programs()}
	if s.programs == "" {
		return nil, ErrMissing
	}
	if _, err := os.Stat(memory); err == nil && parent == "" {
		parent = memory
	}
	var err error
	if s.dir, err = os.MkdirTemp(parent, "pg"); err != nil {
		return nil, err
	}
	if os.Geteuid() == 0 { // as whom it refuses to run
		if err := s.giveAway(); err != nil {
			return nil, errors.Join(err, s.Remove())
		}
	}
	made := s.command("initdb", "--pgdata", s.data(), "--username", "test", "--auth", "trust", "--encoding", "UTF8", "--locale", "C", "--no-sync")
	if said, err := made.CombinedOutput(); err != nil {
		return nil, errors.Join(fmt.Errorf("making a PostgreSQL: %w: %s", err, said), s.Remove())
	}
	return s, nil
}

// programs finds the folder of the newest server; empty where there is none.
func programs() string {
	all, _ := filepath.Glob("/usr/lib/postgresql/*/bin/initdb") // the pattern is one
	version := func(path string) int {
		n, _ := strconv.Atoi(filepath.Base(filepath.Dir(filepath.Dir(path)))) // else the oldest
		return n
	}
	if len(all) > 0 {
		return filepath.Dir(slices.MaxFunc(all, func(a, b string) int { return cmp.Compare(version(a), version(b)) }))
	}
	path, err := exec.LookPath("initdb")
	if err != nil {
		return ""
	}
	return filepath.Dir(path)
}

// giveAway has the server run as an ordinary user.
func (s *Server) giveAway() error {
	u, err := user.Lookup("nobody")
	if err != nil {
		return err
	}
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	if err != nil {
		return err
	}
	gid, err := strconv.ParseUint(u.Gid, 10, 32)
	if err != nil {
		return err
	}
	s.owner = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	return os.Chown(s.dir, int(uid), int(gid))
}

func (s *Server) data() string { return filepath.Join(s.dir, "data") }

// command is one of the server's programs. It does not outlive this process.
func (s *Server) command(name string, args ...string) *exec.Cmd {
	cmd := exec.Command(filepath.Join(s.programs, name), args...)
	cmd.Dir, cmd.Env = s.dir, []string{"LC_ALL=C", "PATH=/usr/bin:/bin"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: s.owner, Pdeathsig: syscall.SIGQUIT}
	return cmd
}

// Start starts the server, with settings such as "fsync=off", and waits for it.
func (s *Server) Start(settings ...string) error {
	args := []string{"-D", s.data(), "-k", s.dir, "-c", "listen_addresses=", "-c", "shared_buffers=32MB"}
	for _, setting := range settings {
		args = append(args, "-c", setting)
	}
	s.process, s.ended = s.command("postgres", args...), make(chan struct{})
	s.said.Reset()
	s.process.Stdout, s.process.Stderr = &s.said, &s.said
	begun := make(chan error)
	go func() {
		runtime.LockOSThread() // whose end would be the server's
		err := s.process.Start()
		begun <- err
		if err == nil {
			_ = s.process.Wait() // how it has ended is in what it said
		}
		close(s.ended)
	}()
	if err := <-begun; err != nil {
		return fmt.Errorf("starting PostgreSQL: %w", err)
	}
	return s.awaitReady()
}

// awaitReady waits until the server says in its file that it is ready.
func (s *Server) awaitReady() error {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		text, _ := os.ReadFile(filepath.Join(s.data(), "postmaster.pid")) // it is not there at first
		if lines := strings.Split(string(text), "\n"); len(lines) > 7 && strings.TrimSpace(lines[7]) == "ready" && lines[0] == strconv.Itoa(s.process.Process.Pid) {
			return nil
		}
		select {
		case <-tick.C:
		case <-s.ended:
			return fmt.Errorf("PostgreSQL has ended instead of starting: %s", s.said.String())
		}
	}
}

// URL is where a schema of the server's one database is reached.
func (s *Server) URL(schema string) string { return URL(s.dir, schema) }

// URL is where a schema is reached at the socket in a folder.
func URL(dir, schema string) string {
	return "postgres://test@/postgres?host=" + dir + "&search_path=" + schema
}

// Socket is the file of the server's socket.
func (s *Server) Socket() string { return filepath.Join(s.dir, SocketName) }

// SocketName is the name of every server's socket in its folder.
const SocketName = ".s.PGSQL.5432"

// Kill ends the server as a crash does.
func (s *Server) Kill() error { return s.end(syscall.SIGQUIT) }

func (s *Server) end(signal os.Signal) error {
	if err := s.process.Process.Signal(signal); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("ending PostgreSQL: %w", err)
	}
	<-s.ended
	s.process = nil
	return nil
}

// Remove ends the server, if it runs, and removes all that it has.
func (s *Server) Remove() error {
	var err error
	if s.process != nil {
		err = s.end(syscall.SIGINT)
	}
	return errors.Join(err, os.RemoveAll(s.dir))
}

// Rules writes who may come in, as pg_hba.conf has it, and gives the name of the file.
func (s *Server) Rules(text string) string {
	path := filepath.Join(s.dir, "rules")
	if err := os.WriteFile(path, []byte(text+"\n"), 0o644); err != nil {
		panic(fmt.Sprintf("spendtest: %v", err))
	}
	return path
}
