package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"github.com/landlock-lsm/go-landlock/landlock"
	"golang.org/x/sys/unix"

	"proofbox"
	"proofbox/internal/cell"
	"proofbox/internal/contents"
)

// maxData bounds the memory of this process, in bytes, whatever a library believes of hostile sizes. It is above the
// 512 MiB that it should need, because what is set aside counts, too.
const maxData = 1 << 30

// confine leaves this process what its order needs. What it reads is hostile, and who starts it
// may be root.
func confine(args []string) error {
	if err := cell.Enter(maxData, needs(args)...); err != nil {
		return fmt.Errorf("confining what looks at data: %w", err)
	}
	return nil
}

// needs says what an order may do. One that is none needs nothing to be told so.
func needs(args []string) []landlock.Rule {
	if len(args) == 0 {
		return nil
	}
	switch order, paths := args[0], args[1:]; {
	case order == contents.MaskOrder && len(paths) == 3:
		return append(reads(paths[0]), writes(paths[1]), writes(paths[2]))
	case order == contents.UnmaskOrder && len(paths) == 2:
		return append(reads(paths[0]), writes(paths[1]))
	case order == contents.SurvivorOrder && len(paths) == 2:
		return append(reads(paths[0]), reads(paths[1])...)
	case order == contents.SynthOrder && len(paths) == 1:
		var r proofbox.SynthRequest
		if json.Unmarshal([]byte(paths[0]), &r) != nil {
			return nil
		}
		return append(reads(r.Plan), writes(r.Out))
	case len(paths) == 1, order == contents.PluggedOrder && len(paths) == 2:
		return reads(paths[0])
	}
	return nil
}

// reads lets a file be read, or a folder with all in it. A file is opened by its
// folder, so the names in that can be read, too.
func reads(path string) []landlock.Rule {
	info, err := os.Stat(path)
	if err != nil {
		return nil // whoever opens it says why
	}
	if info.IsDir() {
		return []landlock.Rule{landlock.PathAccess(unix.LANDLOCK_ACCESS_FS_READ_FILE|unix.LANDLOCK_ACCESS_FS_READ_DIR, path)}
	}
	return []landlock.Rule{
		landlock.PathAccess(unix.LANDLOCK_ACCESS_FS_READ_FILE, path),
		landlock.PathAccess(unix.LANDLOCK_ACCESS_FS_READ_DIR, filepath.Dir(path)),
	}
}

// writes lets something be made in the folder that a path is in.
func writes(path string) landlock.Rule {
	return landlock.RWDirs(filepath.Dir(path)).WithRefer().IgnoreIfMissing()
}
