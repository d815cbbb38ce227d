package breakout

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"proofbox"
	"proofbox/internal/box"
)

// remains is group L: what is left of a box when it is gone.
func remains() []Probe {
	// A folder that outlives the box, as a shared cache would be.
	lasting := box.Opening{Source: "{tmp-folder}", Target: "/home/box/.config", Writable: true}
	trusting := Setting{Naive: true}
	return []Probe{
		{ID: "L1a", Title: "have a process live on that has left its parent and its session", Attack: []string{"outlive", "apart", "{token}"}, Oracle: left("a process of the attack", processOf), Twin: trusting, Not: onlyKernel()},
		{ID: "L1b", Title: "have a process live on that is stopped and ignores signals", Attack: []string{"outlive", "stopped", "{token}"}, Oracle: left("a process of the attack", processOf), Twin: trusting, Not: onlyKernel()},
		{ID: "L1c", Title: "have a process live on that is another one all the time", Attack: []string{"outlive", "running", "{token}"}, Oracle: left("a process of the attack", processOf), Twin: trusting, Not: onlyKernel(), Alone: true},
		{ID: "L2", Title: "have the box's disk stay mounted by being busy on it", Attack: []string{"busy", "{token}"}, Oracle: left("a mount of the box's disk", mountOfDisk), Twin: trusting, UserOnly: true},
		{ID: "L3", Title: "have the box's network namespace stay", Attack: []string{"idle"}, Oracle: left("the box's network namespace", networkOf), Twin: trusting, UserOnly: true},
		{ID: "L5", Title: "have the box's block device stay", Attack: []string{"busy", "{token}"}, Oracle: left("the box's block device", deviceOf), Twin: trusting, Not: map[proofbox.Wall]string{proofbox.MicroVM: "the disk of a guest is a file, and no block device of the host"}, UserOnly: true},
		{ID: "L6a", Title: "leave shared memory (System V) that nobody removes", Attack: []string{"share-memory", "{token}"}, Oracle: afterAll(memoryShared()), Twin: Setting{Weakness: box.Weakness{IPC: true, Calls: true}}, Not: onlyKernel()},
		{ID: "L6b", Title: "leave a queue (System V) that nobody removes", Attack: []string{"queue", "{token}"}, Oracle: afterAll(queued()), Twin: Setting{Weakness: box.Weakness{IPC: true, Calls: true}}, Not: onlyKernel()},
		{ID: "L7", Title: "leave something for the next box to find", Attack: []string{"leave", "{token}", "/tmp/left", "/var/tmp/left", "/dev/shm/left", "/home/box/left", "/home/box/.config/left"}, Oracle: found("search", "/tmp", "/var/tmp", "/dev/shm", "/home/box"), Twin: opened(lasting), UserOnly: true},
		{ID: "L9", Title: "leave what the next box would run", Attack: append([]string{"leave", "{token}"}, starters...), Oracle: found(append([]string{"read"}, starters...)...), Twin: opened(lasting)},
	}
}

// starters are files that something runs without being asked.
var starters = []string{
	"/home/box/.profile", "/home/box/.bashrc", "/home/box/.config/autostart", "/etc/profile.d/left.sh", "/etc/cron.d/left",
	"/etc/ld.so.preload", "/usr/local/bin/ls", "/usr/lib/python3/dist-packages/left.pth", "/var/spool/cron/crontabs/box",
}

// trace looks on the host for something of the box, by what was noted of it while
// it ran, which is empty the first time.
type trace func(a *attempt, noted string) (now string, err error)

// left looks for something of the box when it was torn down. The twin's tool
// takes the end of a command for the end of all that it has started.
func left(what string, find trace) Oracle {
	return Oracle{
		Says: "whether the host still has " + what + " when the box is gone",
		look: func(a *attempt) (evidence string, err error) {
			if a.noted, err = find(a, ""); err != nil {
				return "", err
			}
			if a.session.sitting.setting.Naive && a.noted != "" {
				return "the host has " + what + ": " + a.noted, nil
			}
			return "", nil
		},
		after: func(a *attempt, _ Remains) (string, error) {
			if a.session.sitting.setting.Naive {
				return "", nil
			}
			now, err := find(a, a.noted)
			if now == "" || err != nil {
				return "", err
			}
			return "the host still has " + what + ": " + now, nil
		},
	}
}

// processOf finds a process whose command line has the attempt's token and says
// that it is to stay. It looks several times: one that is another one all the
// time may be between the two.
func processOf(a *attempt, _ string) (found string, err error) {
	for range 20 {
		found, err = eachOnHost(func(dir string) string {
			text, err := os.ReadFile(dir + "/cmdline")
			if err == nil && bytes.Contains(text, []byte(a.token+"-left")) {
				return "process " + filepath.Base(dir)
			}
			return ""
		})
		if found != "" || err != nil {
			break
		}
	}
	return found, err
}

// mountOfDisk finds a process whose root still shows the folder that the attack
// has made, at the places where the jail and the box have the box's disk. The
// numbers of file systems would not do: another box gets them next.
func mountOfDisk(a *attempt, _ string) (string, error) {
	return eachOnHost(func(dir string) string {
		for _, at := range []string{"/scratch/upper/", box.Workdir + "/"} {
			if _, err := os.Lstat(dir + "/root" + at + a.token); err == nil {
				return "in " + dir
			}
		}
		return ""
	})
}

// networkOf finds a process that is in the box's network namespace. It keeps the
// namespace, without a process, until the stage is closed: else another box could
// get its number meanwhile.
func networkOf(a *attempt, noted string) (string, error) {
	if noted == "" {
		return a.eachProcess(func(pid int) (string, error) {
			space, err := os.Open(fmt.Sprintf("/proc/%d/ns/net", pid))
			if err != nil {
				return "", nil // it has ended, or is not this user's
			}
			a.stage.undo = append(a.stage.undo, func() { space.Close() })
			return os.Readlink(fmt.Sprintf("/proc/self/fd/%d", space.Fd()))
		})
	}
	found, err := eachOnHost(func(dir string) string {
		if link, err := os.Readlink(dir + "/ns/net"); err == nil && link == noted {
			return dir
		}
		return ""
	})
	if found == "" {
		return "", err
	}
	return noted + " of " + found, nil
}

// deviceOf finds the file that is behind the block device of the box's disk; see
// loop(4).
func deviceOf(a *attempt, noted string) (string, error) {
	const loop = 7
	if noted != "" {
		all, err := filepath.Glob("/sys/block/loop*/loop/backing_file")
		if err != nil {
			return "", err
		}
		at := slices.IndexFunc(all, func(path string) bool {
			text, err := os.ReadFile(path)
			return err == nil && strings.TrimSpace(string(text)) == noted
		})
		if at < 0 {
			return "", nil
		}
		return all[at], nil
	}
	var st unix.Stat_t
	if err := unix.Fstat(int(a.box.Scratch().Fd()), &st); err != nil {
		return "", fmt.Errorf("looking at the box's disk: %w", err)
	}
	if unix.Major(st.Dev) != loop {
		return "", fmt.Errorf("%w: the box's disk is no block device", errLacking)
	}
	text, err := os.ReadFile(fmt.Sprintf("/sys/dev/block/%s/loop/backing_file", numbers(loop, unix.Minor(st.Dev))))
	return strings.TrimSpace(string(text)), err
}

// eachOnHost looks at the folders in /proc of all processes of the host.
func eachOnHost(look func(dir string) string) (string, error) {
	all, err := filepath.Glob("/proc/[0-9]*")
	if err != nil || len(all) == 0 {
		return "", errors.Join(err, errors.New("the host's /proc has no processes"))
	}
	for _, dir := range all {
		if found := look(dir); found != "" {
			return found, nil
		}
	}
	return "", nil
}

// afterAll has an oracle look when the box was torn down.
func afterAll(o Oracle) Oracle {
	return afterwards(o.Says+" when the box is gone", func(a *attempt, _ Remains) (string, error) { return o.look(a) })
}

// found starts the next box from the same workspace and has it look for what was
// left.
func found(attack ...string) Oracle {
	return afterwards("whether the next box finds what was left", func(a *attempt, _ Remains) (evidence string, err error) {
		s := a.session
		b, err := s.trial.Boxes.Start(a.context, s.start(s.stage.setting(s.sitting.setting)))
		if err != nil {
			return "", fmt.Errorf("starting the next box: %w", err)
		}
		next := &attempt{session: s, stage: s.stage, box: b, token: newNonce(), workspace: s.workspace}
		if _, err = next.make(a.context, Probe{Attack: attack}); err == nil && bytes.Contains(next.output, []byte(a.token)) {
			evidence = "the next box reads the token"
		}
		gone, endErr := s.trial.down(b)
		return evidence, errors.Join(err, forget(gone, endErr))
	})
}
