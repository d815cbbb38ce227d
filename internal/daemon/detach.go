package daemon

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"

	"proofbox"
)

// SuperviseCommand is the hidden command of proofbox that supervises one
// detached run: it reads a [proofbox.RunRequest] from its standard input and
// writes one [proofbox.Launched] when the command runs or cannot.
const SuperviseCommand = "supervise"

// detach starts a supervisor of its own for a run and answers when the command
// runs.
func (d *Daemon) detach(ctx context.Context, req proofbox.RunRequest) (proofbox.Run, error) {
	req.Detach = false
	body, err := json.Marshal(req)
	if err != nil {
		return proofbox.Run{}, fmt.Errorf("encoding the request: %w", err)
	}
	program, err := d.proofbox()
	if err != nil {
		return proofbox.Run{}, err
	}
	// The supervisor outlives this process, so it is not bound to the context.
	cmd := exec.Command(program, SuperviseCommand)
	cmd.Env = append(os.Environ(), "PROOFBOX_HOME="+d.store.home, "PROOFBOX_HOST=")
	cmd.Dir = "/"
	cmd.Stdin = bytes.NewReader(body)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	// Not a pipe of the command's own, which Wait would close before it is read.
	answer, theirs, err := os.Pipe()
	if err != nil {
		return proofbox.Run{}, fmt.Errorf("starting the supervisor: %w", err)
	}
	defer answer.Close()
	cmd.Stdout = theirs
	err = cmd.Start()
	theirs.Close() // the supervisor has its own
	if err != nil {
		return proofbox.Run{}, fmt.Errorf("starting the supervisor: %w", err)
	}
	go cmd.Wait() // so that it is no zombie while this process lives
	stop := context.AfterFunc(ctx, func() { answer.Close() })
	defer stop()
	var launched proofbox.Launched
	if err := json.NewDecoder(answer).Decode(&launched); err != nil {
		return proofbox.Run{}, errors.Join(context.Cause(ctx), fmt.Errorf("hearing from the supervisor: %w", err))
	}
	if launched.Problem != nil {
		return proofbox.Run{}, launched.Problem
	}
	return *launched.Run, nil
}

// proofbox finds the program itself: this one, or, where the daemon runs in
// another program, the one beside the jail's.
func (d *Daemon) proofbox() (string, error) {
	self, err := os.Executable()
	if err == nil && filepath.Base(self) == "proofbox" {
		return self, nil
	}
	path := filepath.Join(filepath.Dir(d.programs.jail), "proofbox")
	if _, err := os.Stat(path); err != nil {
		return "", fmt.Errorf("finding proofbox to supervise the detached run: %w", err)
	}
	return path, nil
}
