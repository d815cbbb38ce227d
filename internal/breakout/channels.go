package breakout

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"proofbox/internal/box"
)

// channels is group N: what two who share a host can tell each other by, and what
// one can learn of the other.
func channels() []Probe {
	shared := opened(box.Opening{Source: "{workspace}", Target: box.Workdir, Writable: true})
	return []Probe{
		{ID: "N7a", Title: "tell others something by a lock (flock)", Attack: []string{"lock", "flock", "{original}"}, Oracle: locked("flock"), Twin: shared, Not: onlyKernel()},
		{ID: "N7b", Title: "tell others something by a lock (fcntl)", Attack: []string{"lock", "record", "{original}"}, Oracle: locked("record"), Twin: shared, Not: onlyKernel()},
	}
}

// locked looks whether the original in the workspace on the host can still be
// locked.
func locked(kind string) Oracle {
	return during("whether the host can still lock the original ("+kind+")", func(a *attempt) (string, error) {
		f, err := os.OpenFile(filepath.Join(a.workspace, originalFile), os.O_RDWR, 0)
		if err != nil {
			return "", fmt.Errorf("opening the original to lock it: %w", err)
		}
		defer f.Close()
		if kind == "flock" {
			err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		} else {
			err = unix.FcntlFlock(f.Fd(), unix.F_OFD_SETLK, &unix.Flock_t{Type: unix.F_WRLCK})
		}
		if errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EACCES) {
			return "somebody else has a lock on the original", nil
		}
		return "", err
	})
}
