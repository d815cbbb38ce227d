package guest

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"proofbox/internal/door"
)

// Arguments of the box's process 1, after [BoxArg], for what a trial leaves out.
const (
	rootArg       = "root"
	unfilteredArg = "unfiltered"
	unmaskedArg   = "unmasked"
	plantedArg    = "planted"
)

func weakArgs(w door.Weak) (args []string) {
	for _, s := range []struct {
		set bool
		arg string
	}{{w.Root, rootArg}, {w.Unfiltered, unfilteredArg}, {w.Unmasked, unmaskedArg}, {len(w.Planted) > 0, plantedArg}} {
		if s.set {
			args = append(args, s.arg)
		}
	}
	return args
}

func readWeakArgs(args []string) (w door.Weak, err error) {
	for _, arg := range args {
		switch arg {
		case rootArg:
			w.Root = true
		case unfilteredArg:
			w.Unfiltered = true
		case unmaskedArg:
			w.Unmasked = true
		case plantedArg:
			w.Planted = make([]door.Planted, 1) // what they are is in their folder
		default:
			return w, fmt.Errorf("a trial leaves out %q, which is not known", arg)
		}
	}
	return w, nil
}

// Where planted files are until the box has its root, and the disk below them.
const (
	plantedFolder = "/planted"
	plantedBelow  = "/below"
)

// mountPlanted mounts the box's root with what was planted above it.
func mountPlanted() error {
	if err := mountDisk(rootDisk, plantedBelow, "erofs", unix.MS_RDONLY, ""); err != nil {
		return err
	}
	if err := os.MkdirAll(boxRoot, 0o755); err != nil {
		return err
	}
	lower := "lowerdir=" + plantedFolder + ":" + plantedBelow
	if err := unix.Mount("overlay", boxRoot, "overlay", unix.MS_RDONLY|unix.MS_NOSUID|unix.MS_NODEV, lower); err != nil {
		return fmt.Errorf("mounting what was planted over the box's root: %w", err)
	}
	return nil
}

// plant writes the files for which place has a path.
func plant(files []door.Planted, place func(path string) string) error {
	for _, f := range files {
		path := place(f.Path)
		if path == "" {
			continue
		}
		folder := path
		if !f.Folder {
			folder = filepath.Dir(path)
		}
		err := os.MkdirAll(folder, 0o755)
		if err == nil && !f.Folder {
			err = os.WriteFile(path, f.Data, 0o644)
		}
		if err != nil {
			return fmt.Errorf("planting a file: %w", err)
		}
	}
	return nil
}

// ownFolder is where on the scratch a planted file lies that is in a folder of
// the box's own, inRoot where one lies that is not.
func ownFolder(path string) string {
	for target, source := range map[string]string{"/tmp/": scratch + "/tmp/", "/home/box/": scratch + "/home/"} {
		if rest, ok := strings.CutPrefix(path, target); ok {
			return source + rest
		}
	}
	return ""
}

func inRoot(path string) string {
	if ownFolder(path) != "" {
		return ""
	}
	return plantedFolder + path
}

// weaken puts a box that lacks something in the place of the one that the guest
// was saved with.
func (m *machine) weaken(w door.Weak) error {
	if err := m.box.leave(); err != nil {
		return err
	}
	if err := errors.Join(os.MkdirAll(plantedFolder, 0o755), plant(w.Planted, inRoot), plant(w.Planted, ownFolder)); err != nil {
		return err
	}
	var err error
	m.box, err = startLater(m.group, w)
	return err
}

// startLater starts a box's process 1 when this one is spared already by the kernel
// that is out of memory: the other must not inherit that.
func startLater(g *group, w door.Weak) (*box, error) {
	if err := write("/proc/self/oom_score_adj", "0"); err != nil {
		return nil, err
	}
	b, err := startBox(g, w)
	if err != nil {
		return nil, err
	}
	mounts, err := scratchMounts()
	if err != nil {
		return nil, err
	}
	return b, errors.Join(b.show(mounts), write("/proc/self/oom_score_adj", "-1000"))
}
