package main

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"proofbox"
	"proofbox/client"
)

// The large tree: files of about 4 KB each.
const (
	treeFiles   = 100_000
	treeFolders = 1_000
	treeBytes   = 4_000
)

// tree measures starting on a large tree, what it costs on the disk, and
// comparing afterwards.
func (b *bench) tree(ctx context.Context) error {
	dir := filepath.Join(b.dir, "tree")
	if err := grow(dir); err != nil {
		return err
	}
	// Cold: nothing of the tree is in the page cache.
	if err := quietly(exec.CommandContext(ctx, "sync")); err != nil {
		return err
	}
	if err := os.WriteFile("/proc/sys/vm/drop_caches", []byte("3"), 0); err != nil {
		return fmt.Errorf("dropping caches: %w", err)
	}
	cold, err := b.freeze(ctx, dir, "true")
	if err != nil {
		return err
	}
	warm, err := b.freeze(ctx, dir, "true")
	if err != nil {
		return err
	}
	b.add(target{"starting on 100,000 files, cold", cold.started.Seconds(), "s", 1.5, "to the command's start, caches dropped"})
	b.add(target{"starting on 100,000 files, again", warm.started.Seconds(), "s", 0.5, "to the command's start"})
	used := float64(warm.disk) / float64(treeFiles*treeBytes) * 100
	b.add(target{"disk taken by the run", used, "%", 2, fmt.Sprintf("%d KiB beside %d MiB", warm.disk>>10, treeFiles*treeBytes>>20)})
	changed, err := b.freeze(ctx, dir, "for i in $(seq 0 49); do echo more >>$i/0; done")
	if err != nil {
		return err
	}
	b.add(target{"ending a run that changed 50 files", changed.ended.Seconds(), "s", 0.5, "teardown, comparison and record"})
	began := time.Now()
	diff, err := b.client.Diff(ctx, changed.id, proofbox.DiffRequest{})
	if err != nil {
		return err
	}
	if len(diff.Changes) != 50 {
		return fmt.Errorf("50 files were changed, and the difference has %d", len(diff.Changes))
	}
	b.add(target{"diff of 50 changed files", time.Since(began).Seconds(), "s", 0.5, ""})
	return nil
}

// grow makes the tree.
func grow(dir string) error {
	text := bytes.Repeat([]byte("proofbox "), treeBytes/9+1)[:treeBytes]
	for d := range treeFolders {
		folder := filepath.Join(dir, fmt.Sprint(d))
		if err := os.MkdirAll(folder, 0o755); err != nil {
			return err
		}
		for f := range treeFiles / treeFolders {
			if err := os.WriteFile(filepath.Join(folder, fmt.Sprint(f)), text, 0o644); err != nil {
				return err
			}
		}
	}
	return nil
}

// frozen is what a run on a tree took.
type frozen struct {
	id             string
	started, ended time.Duration // to the command's start, and from its end
	disk           int64         // bytes that the run's directory took while it ran
}

func (b *bench) freeze(ctx context.Context, dir, script string) (frozen, error) {
	var f frozen
	began := time.Now()
	state := filepath.Join(b.dir, "state")
	run, err := b.client.Run(ctx, client.Command{
		Spec: proofbox.Spec{Workspace: proofbox.Workspace{Original: dir}}, Args: []string{"sh", "-c", script},
		Event: func(e proofbox.Event) {
			if e.Started != "" {
				f.id = e.Started
			}
			if e.Running {
				f.started = time.Since(began)
				f.disk = taken(filepath.Join(state, "runs", f.id))
			}
		},
	})
	if err != nil {
		return f, err
	}
	if run.ExitCode != 0 {
		return f, fmt.Errorf("the run %s ended with %s", run.ID, run.Ended)
	}
	f.ended = time.Since(began) - f.started - time.Duration(run.Usage.Wall)
	return f, nil
}

// taken adds up the blocks of a folder's files.
func taken(dir string) int64 {
	var sum int64
	_ = filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error { // what vanishes meanwhile takes nothing
		if err != nil {
			return nil
		}
		if info, err := d.Info(); err == nil {
			sum += blocks(info)
		}
		return nil
	})
	return sum
}
