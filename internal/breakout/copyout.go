package breakout

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"proofbox"
)

// copyout is group O: on the tool of the host that takes over what a box has
// done.
func copyout() []Probe {
	naive := Setting{Naive: true}
	nodes := everything()
	nodes.Naive = true
	list := []Probe{
		{ID: "O1a", Title: "have a file of the host copied through a link", Attack: []string{"plant-link", "o/stolen", "{home}"}, Oracle: copied("o/stolen", "home"), Twin: naive},
		{ID: "O1b", Title: "leave a link to a folder of the host", Attack: []string{"plant-link", "o/absolute", "{home-folder}"}, Oracle: leadsOut("o/absolute"), Twin: naive},
		{ID: "O1c", Title: "leave a link that climbs out of the workspace", Attack: []string{"plant-link", "o/climbing", "../../../.."}, Oracle: leadsOut("o/climbing"), Twin: naive},
		{ID: "O1d", Title: "leave a link that goes down and then up through another link", Attack: []string{"plant-links", "o/by", "..", "o/zigzag", "by/../.."}, Oracle: leadsOut("o/zigzag"), Twin: naive},
		{ID: "O1e", Title: "have the host write through a link that its workspace has, where the box has a folder", Attack: []string{"replace-link", "outside", "flag", "{token}"}, Oracle: keptChanged("home"), Twin: naive},
		{ID: "O5a", Title: "leave a named pipe, at which a reader hangs", Attack: []string{"plant-node", "o/pipe", "pipe"}, Oracle: nodeKept("o/pipe"), Twin: naive, Not: ownNodes()},
		{ID: "O5b", Title: "leave a socket", Attack: []string{"plant-node", "o/socket", "socket"}, Oracle: nodeKept("o/socket"), Twin: naive, Not: ownNodes()},
		{ID: "O5c", Title: "leave a device", Attack: []string{"plant-node", "o/device", "device"}, Oracle: nodeKept("o/device"), Twin: nodes, Not: onlyKernel()},
		{ID: "O6a", Title: "leave a program that runs as its owner", Attack: []string{"plant-mode", "o/setuid", "04755"}, Oracle: modeKept("o/setuid", fs.ModeSetuid), Twin: naive},
		{ID: "O6b", Title: "leave a program that runs as its group", Attack: []string{"plant-mode", "o/setgid", "02755"}, Oracle: modeKept("o/setgid", fs.ModeSetgid), Twin: naive},
		{ID: "O8", Title: "have what the host's user has written meanwhile overwritten", Attack: []string{"plant", "edited", "{token}"}, Oracle: overwritten("edited"), Twin: naive, Alone: true},
		{ID: "O10", Title: "change a file after it was shown and before it is taken over", Attack: []string{"flip", "o/flipping"}, Oracle: flipped("o/flipping"), Twin: naive},
		{ID: "O12", Title: "have a small file with a large hole fill the host's disk", Attack: []string{"plant-hole", "o/hole", "33554432"}, Oracle: swollen("o/hole", 8<<20), Twin: naive},
		{ID: "O13a", Title: "have the host run a program to show the changes (diff.external)", Attack: []string{"plant-config", "[diff]\n\texternal = echo {token} >> {home}\n", ""}, Oracle: shownByGit("home"), Twin: naive, Alone: true},
		{ID: "O13b", Title: "have the host run a program to show the changes (textconv)", Attack: []string{"plant-config", "[diff \"x\"]\n\ttextconv = echo {token} >> {home}; cat\n", "* diff=x\n"}, Oracle: shownByGit("home"), Twin: naive, Alone: true},
	}
	for i := range list {
		list[i].UserOnly = true // the changes of a box in which somebody is root are not taken over
	}
	return list
}

// copied looks whether a file of the workspace has the content of a flag that the
// box cannot read.
func copied(name, word string) Oracle {
	return kept("whether "+name+" in the workspace has the text of the flag "+word, func(a *attempt) (string, error) {
		f := a.stage.flag(word)
		text, err := os.ReadFile(filepath.Join(a.workspace, name))
		info, lstatErr := os.Lstat(filepath.Join(a.workspace, name))
		if err == nil && lstatErr == nil && info.Mode().IsRegular() && strings.Contains(string(text), f.nonce) {
			return fmt.Sprintf("%s has the text of %s", name, f.where), nil
		}
		return "", nil
	})
}

// leadsOut looks for a link in the workspace on the host.
func leadsOut(name string) Oracle {
	return kept("whether the workspace has the link "+name, func(a *attempt) (string, error) {
		to, err := os.Readlink(filepath.Join(a.workspace, name))
		if err != nil {
			return "", nil
		}
		return fmt.Sprintf("%s is a link to %q", name, to), nil
	})
}

// keptChanged looks whether a flag has changed when the changes were kept.
func keptChanged(word string) Oracle {
	return kept("whether the flag "+word+" is as it was planted when the changes were kept", func(a *attempt) (string, error) {
		return changed(word).look(a)
	})
}

// nodeKept looks for something in the workspace that is neither file nor folder.
func nodeKept(name string) Oracle {
	return kept("whether the workspace has "+name, func(a *attempt) (string, error) {
		info, err := os.Lstat(filepath.Join(a.workspace, name))
		if err != nil || info.Mode().IsRegular() {
			return "", nil
		}
		return fmt.Sprintf("%s is in the workspace with the mode %v", name, info.Mode()), nil
	})
}

// modeKept looks for a bit of a file's mode.
func modeKept(name string, bit fs.FileMode) Oracle {
	return kept("whether "+name+" in the workspace has the mode "+bit.String(), func(a *attempt) (string, error) {
		info, err := os.Lstat(filepath.Join(a.workspace, name))
		if err != nil || info.Mode()&bit == 0 {
			return "", nil
		}
		return fmt.Sprintf("%s has the mode %v", name, info.Mode()), nil
	})
}

// swollen looks how much of the host's disk a file of the workspace takes.
func swollen(name string, most int64) Oracle {
	return kept(fmt.Sprintf("whether %s takes more than %d bytes of the host's disk", name, most), func(a *attempt) (string, error) {
		var st unix.Stat_t
		if unix.Lstat(filepath.Join(a.workspace, name), &st) != nil || st.Blocks*512 <= most {
			return "", nil
		}
		return fmt.Sprintf("%s takes %d bytes", name, st.Blocks*512), nil
	})
}

// overwritten changes a file of the workspace on the host while the box runs, and
// looks whether that is still there when the changes were kept.
func overwritten(name string) Oracle {
	mine := func(a *attempt) string { return "written by the host's user, " + a.token[:8] + "\n" }
	look := func(a *attempt) (string, error) {
		text, err := os.ReadFile(filepath.Join(a.workspace, name))
		if err != nil || string(text) == mine(a) {
			return "", err
		}
		return name + " is no longer what the host's user wrote", nil
	}
	return Oracle{
		Says: "whether what the host's user has written in " + name + " meanwhile is still there",
		look: func(a *attempt) (string, error) {
			if err := os.WriteFile(filepath.Join(a.workspace, name), []byte(mine(a)), 0o666); err != nil {
				return "", err
			}
			if !a.session.sitting.setting.Naive {
				return "", nil
			}
			if err := a.takeNaively(); err != nil {
				return "", err
			}
			return look(a)
		},
		after: func(a *attempt, r Remains) (string, error) {
			if a.session.sitting.setting.Naive {
				return "", nil
			}
			if _, err := r.Diff(a.context); err != nil {
				return "", err // else there is nothing that could be kept
			}
			_, err := r.Keep(a.context, proofbox.KeepRequest{All: true})
			if conflict, ok := errors.AsType[interface {
				error
				Conflict() bool
			}](err); err != nil && (!ok || !conflict.Conflict()) {
				return "", err
			}
			return look(a)
		},
	}
}

// flipped looks whether what is taken over is what was shown.
func flipped(name string) Oracle {
	return Oracle{
		Says: "whether what is kept of " + name + " is what was shown",
		look: func(a *attempt) (string, error) {
			if !a.session.sitting.setting.Naive {
				return "", nil
			}
			return a.seeFlip(name)
		},
		after: func(a *attempt, r Remains) (string, error) {
			if a.session.sitting.setting.Naive {
				return "", nil
			}
			diff, err := r.Diff(a.context)
			if err == nil {
				err = a.session.keep(a.context, r)
			}
			if err != nil {
				return "", err
			}
			return sameAsShown(a.workspace, name, diff)
		},
	}
}

func sameAsShown(workspace, name string, diff proofbox.Diff) (string, error) {
	text, err := os.ReadFile(filepath.Join(workspace, name))
	if err != nil {
		return "", fmt.Errorf("looking at what was kept: %w", err)
	}
	sum := sha256.Sum256(text)
	for _, c := range diff.Changes {
		if string(c.Path) == name && c.After.Digest == "sha256:"+hex.EncodeToString(sum[:]) {
			return "", nil
		}
	}
	return name + " is not what was shown", nil
}

// lookTime bounds how long the host looks for something that happens by chance.
const lookTime = 10 * time.Second

// seeFlip reads a file of the running box as a tool would that shows it first and
// copies it then.
func (a *attempt) seeFlip(name string) (evidence string, err error) {
	ctx, cancel := context.WithTimeout(a.context, lookTime)
	defer cancel()
	err = a.inUpper(func(upper string) error {
		path := filepath.Join(upper, name)
		shown, err := os.ReadFile(path)
		for err == nil && ctx.Err() == nil && evidence == "" {
			var text []byte
			if text, err = os.ReadFile(path); err == nil && !bytes.Equal(text, shown) {
				evidence = fmt.Sprintf("%s was shown as %.1q and copied as %.1q", name, shown, text)
			}
		}
		return err
	})
	return evidence, err
}

// shownByGit has the changes shown, on the twin by git in the box's tree, and
// looks whether a flag has changed.
func shownByGit(word string) Oracle {
	return Oracle{
		Says: "whether the flag " + word + " is as it was planted when the changes were shown",
		look: func(a *attempt) (string, error) {
			if !a.session.sitting.setting.Naive {
				return "", nil
			}
			if err := errors.Join(a.takeNaively(), showByGit(a.context, a.workspace)); err != nil {
				return "", err
			}
			return changed(word).look(a)
		},
		after: func(a *attempt, r Remains) (string, error) {
			if a.session.sitting.setting.Naive {
				return "", nil
			}
			if _, err := r.Diff(a.context); err != nil {
				return "", err
			}
			return changed(word).look(a)
		},
	}
}

// showByGit compares two files with git, which asks the repository that it stands
// in how.
func showByGit(ctx context.Context, dir string) error {
	git, err := exec.LookPath("git")
	if err != nil {
		return fmt.Errorf("%w: %w", errLacking, err)
	}
	cmd := exec.CommandContext(ctx, git, "-c", "safe.directory=*", "diff", "--no-index", "before", "after")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GIT_PAGER=cat")
	out, err := cmd.CombinedOutput()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok && exit.ExitCode() == 1 || err == nil {
		return nil // 1 says that the files differ
	}
	return fmt.Errorf("having git show the changes: %w: %.200q", err, out)
}

// ownNodes leaves a probe out for a wall that keeps such nodes to itself.
func ownNodes() map[proofbox.Wall]string {
	return map[proofbox.Wall]string{
		proofbox.Gvisor: "gVisor keeps named pipes and sockets in its own memory: none is on the host's disk to be taken over",
	}
}
