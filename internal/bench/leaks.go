package main

import (
	"cmp"
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"

	"proofbox"
	"proofbox/client"
)

// Runs of the search for leaks.
const (
	inARow = 1000
	atOnce = 50
)

func blocks(info fs.FileInfo) int64 { return info.Sys().(*syscall.Stat_t).Blocks * 512 }

// counts is what there is on the host.
type counts map[string]int

// leaks runs many boxes behind the default wall.
func (b *bench) leaks(ctx context.Context) error { return b.left(ctx, "", inARow, atOnce) }

// left runs many boxes, one after another and some at once, from one process,
// and compares what there is on the host and in the process before and after.
func (b *bench) left(ctx context.Context, wall proofbox.Wall, inARow, atOnce int) error {
	if err := b.many(ctx, wall, 1, 4); err != nil { // whatever is made once is made
		return err
	}
	before := look()
	if err := b.many(ctx, wall, 1, inARow); err != nil {
		return err
	}
	if err := b.many(ctx, wall, atOnce, atOnce); err != nil {
		return err
	}
	after := look()
	for what, n := range before {
		b.add(target{
			what: fmt.Sprintf("%s left by %d %s runs and %d at once", what, inARow, cmp.Or(wall, proofbox.Container), atOnce),
			got:  float64(max(0, after[what]-n)), limit: 0, how: fmt.Sprintf("%d before, %d after", n, after[what]),
		})
	}
	return nil
}

// many runs boxes, some at once.
func (b *bench) many(ctx context.Context, wall proofbox.Wall, together, total int) error {
	var group sync.WaitGroup
	errs := make(chan error, total)
	slots := make(chan struct{}, together)
	for range total {
		slots <- struct{}{}
		group.Go(func() {
			defer func() { <-slots }()
			run, err := b.client.Run(ctx, client.Command{
				Spec: proofbox.Spec{Wall: wall, Workspace: proofbox.Workspace{Original: "none"}}, Args: []string{"true"},
			})
			if err == nil && (run.ExitCode != 0 || !run.Teardown.Clean) {
				err = fmt.Errorf("the run %s ended with %s, clean %v", run.ID, run.Ended, run.Teardown.Clean)
			}
			if err != nil {
				errs <- err
			}
		})
	}
	group.Wait()
	close(errs)
	return <-errs
}

// look counts processes, mounts, cgroups, namespaces, sockets, loop devices and
// this process's descriptors.
func look() counts {
	c := counts{"processes": 0}
	processes, _ := filepath.Glob("/proc/[0-9]*")
	spaces := map[string]bool{}
	for _, p := range processes {
		if exe, err := os.Readlink(p + "/exe"); err != nil || !strings.Contains(exe, "proofbox") && !strings.Contains(exe, "run") && !strings.Contains(exe, "qemu") {
			continue
		}
		c["processes"]++
		for _, ns := range []string{"user", "mnt", "pid", "net"} {
			if link, err := os.Readlink(p + "/ns/" + ns); err == nil {
				spaces[link] = true
			}
		}
	}
	c["namespaces"] = len(spaces)
	c["mounts"] = lines("/proc/self/mountinfo")
	c["sockets"] = lines("/proc/net/unix")
	c["descriptors"] = entries("/proc/self/fd")
	groups, _ := filepath.Glob("/sys/fs/cgroup/*/proofbox/*")
	more, _ := filepath.Glob("/sys/fs/cgroup/proofbox/*")
	c["cgroups"] = len(groups) + len(more)
	loops, _ := filepath.Glob("/sys/block/loop*/loop/backing_file")
	c["loop devices"] = len(loops)
	return c
}

func lines(path string) int {
	text, _ := os.ReadFile(path)
	return strings.Count(string(text), "\n")
}

func entries(path string) int {
	list, _ := os.ReadDir(path)
	return len(list)
}
