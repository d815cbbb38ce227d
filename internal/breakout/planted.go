package breakout

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"proofbox"
)

// planted is group Q: what the box plants in the workspace for the host to run
// later.
func planted() []Probe {
	naive := Setting{Naive: true}
	return []Probe{
		{ID: "Q1", Title: "plant a git hook", Attack: []string{"plant", ".git/hooks/post-checkout", "{token}"}, Oracle: takenOver(".git/hooks/post-checkout"), Twin: naive, UserOnly: true},
	}
}

// takenOver lets the box's changes be kept in bulk, as a person would who does
// not look closely, and looks whether a planted file is among them. On the twin
// a naive tool takes them over.
func takenOver(name string) Oracle {
	o := afterwards("whether a bulk keep puts "+name+" into the workspace on the host", func(a *attempt, r Remains) (string, error) {
		if !a.session.sitting.setting.Naive {
			if _, err := r.Keep(a.context, proofbox.KeepRequest{All: true}); err != nil {
				return "", fmt.Errorf("keeping: %w", err)
			}
		}
		text, err := os.ReadFile(filepath.Join(a.workspace, name))
		if err == nil && strings.Contains(string(text), a.token) {
			return name + " is in the workspace on the host", nil
		}
		return "", nil
	})
	o.look = func(a *attempt) (string, error) {
		if !a.session.sitting.setting.Naive {
			return "", nil
		}
		upper, err := a.box.Upper()
		if err != nil {
			return "", err
		}
		defer upper.Close()
		return "", copyNaively(fmt.Sprintf("/proc/self/fd/%d/.", upper.Fd()), a.workspace)
	}
	return o
}

// copyNaively is the tool that trusts a box: it copies by name, through every
// link.
func copyNaively(from, to string) error {
	return filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		target := filepath.Join(to, rel)
		if d.IsDir() {
			return os.MkdirAll(target, 0o755)
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(target, text, 0o644)
	})
}
