package box

import (
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"proofbox/internal/box/jail"
)

// Places in a jail.
const (
	jailBox     = "/box"     // the box's root
	jailScratch = "/scratch" // all that the box writes
	jailUpper   = "/scratch/" + upperName
	jailWork    = "/scratch/work"
	jailTmp     = "/scratch/tmp"
	jailHome    = "/scratch/home"
	jailCanary  = "/scratch/canary"
	jailLower   = "/lower"     // the frozen original
	jailMask    = "/mask"      // whiteouts of what is hidden
	jailCopy    = "/workspace" // the writable copy
)

// upperName is the folder of the scratch that is the overlay's upper layer.
const upperName = "upper"

// devices that a jail has, for its runtime and for its box.
var devices = []string{"null", "zero", "full", "random", "urandom", "tty"}

// blueprint collects the steps of a jail and the mounts that they need.
type blueprint struct {
	steps []jail.Step
	files []*os.File // detached mounts, by jail.Bind.Attached
}

func (b *blueprint) dir(path string, mode fs.FileMode, owner int) {
	b.steps = append(b.steps, jail.Step{Dir: &jail.Dir{Path: path, Mode: mode, Owner: owner}})
}

func (b *blueprint) bind(bind jail.Bind) {
	b.steps = append(b.steps, jail.Step{Bind: &bind})
}

// attach binds a mount that was made here.
func (b *blueprint) attach(mount *os.File, bind jail.Bind) {
	bind.Attached = len(b.files)
	b.files = append(b.files, mount)
	b.bind(bind)
}

// source binds a file or folder of the host. Where the jail could not reach it
// by its path, because it runs as somebody else, the mount is cloned here.
func (b *blueprint) source(source string, bind jail.Bind) error {
	if os.Geteuid() != 0 {
		bind.Source = source
		b.bind(bind)
		return nil
	}
	mount, err := jail.CloneTree(source)
	if err != nil {
		return err
	}
	b.attach(mount, bind)
	return nil
}

// close closes the mounts, which the jail has its own descriptors of.
func (b *blueprint) close() {
	for _, f := range b.files {
		f.Close() // a descriptor of a mount has nothing to lose
	}
}

// devices puts the harmless device nodes into the jail.
func (b *blueprint) devices() {
	b.dir("/dev", 0o755, 0)
	for _, d := range devices {
		b.bind(jail.Bind{Source: "/dev/" + d, Target: "/dev/" + d, Devices: true, Writable: true})
	}
}

// scratch puts what the box may write into the jail: disk where there is one,
// else memory.
func (b *blueprint) scratch(disk *os.File, c Config, id *jail.Identity) {
	if disk != nil {
		b.attach(disk, jail.Bind{Target: jailScratch, Folder: true, Writable: true})
	} else {
		b.steps = append(b.steps, jail.Step{Tmpfs: &jail.Tmpfs{
			Target: jailScratch, Size: int64(c.Limits.Disk), Inodes: int64(c.Limits.Disk) / bytesPerInode, Mode: 0o755,
		}})
	}
	b.dir(jailUpper, 0o755, id.Box)
	b.dir(jailWork, 0o700, 0)
	b.dir(jailTmp, fs.ModeSticky|0o777, id.Box)
	b.dir(jailHome, 0o700, id.Box)
	b.steps = append(b.steps, jail.Step{File: &jail.File{Path: jailCanary, Mode: 0o600, Owner: id.Box}})
}

// workspace puts the writable copy into the jail, or an empty folder where the
// box has no workspace. original is a mount of the workspace, nil where its
// folder is bound as it is.
func (b *blueprint) workspace(original *os.File, w *Workspace, id *jail.Identity) error {
	lower := jail.Bind{Target: jailLower, Folder: true}
	switch {
	case w == nil:
		b.dir(jailCopy, 0o755, id.Box)
		b.dir(jailLower, 0o755, id.Box)
	case original != nil:
		b.attach(original, lower)
	default:
		lower.Source = w.Lower
		b.bind(lower)
	}
	return b.overlay(w, id)
}

// overlay puts what the box writes above the original.
func (b *blueprint) overlay(w *Workspace, id *jail.Identity) error {
	lower := []string{jailLower}
	if w != nil && len(w.Hidden) > 0 {
		if err := b.mask(w, id); err != nil {
			return err
		}
		lower = []string{jailMask, jailLower}
	}
	b.steps = append(b.steps, jail.Step{Overlay: &jail.Overlay{
		Lower: lower, Upper: jailUpper, Work: jailWork, Target: jailCopy,
	}})
	return nil
}

// mask makes a layer above the original in which every hidden path does not
// exist. The folders above a hidden path are in the layer too, with the
// original's modes, because the topmost layer's are the ones that are seen.
func (b *blueprint) mask(w *Workspace, id *jail.Identity) error {
	b.dir(jailMask, 0o755, id.Box)
	made := map[string]bool{".": true}
	for _, hidden := range w.Hidden {
		if !filepath.IsLocal(hidden) {
			return fmt.Errorf("the hidden path %q is not below the workspace", hidden)
		}
		if err := b.maskFolders(w, path.Dir(hidden), made, id); err != nil {
			return err
		}
		b.steps = append(b.steps, jail.Step{Whiteout: &jail.Whiteout{Path: path.Join(jailMask, hidden)}})
	}
	return nil
}

func (b *blueprint) maskFolders(w *Workspace, dir string, made map[string]bool, id *jail.Identity) error {
	if made[dir] {
		return nil
	}
	made[dir] = true
	if err := b.maskFolders(w, path.Dir(dir), made, id); err != nil {
		return err
	}
	info, err := os.Lstat(filepath.Join(w.Lower, dir))
	if err != nil {
		return fmt.Errorf("looking at the folder of a hidden path: %w", err)
	}
	b.dir(path.Join(jailMask, dir), info.Mode(), id.Box)
	return nil
}

// root puts the box's own root together: what the image says, the folders that
// every box has, and what process 1 needs.
func (b *blueprint) root(h *Host, c Config, door string) error {
	for _, d := range []string{"/proc", "/dev", "/tmp", "/run", Workdir, HomePath} {
		b.dir(jailBox+d, 0o755, 0)
	}
	for _, step := range slices.Concat(c.Root, c.Data) {
		if err := b.imageStep(step); err != nil {
			return err
		}
	}
	if err := b.source(h.Init, jail.Bind{Target: jailBox + InitPath}); err != nil {
		return err
	}
	if err := b.source(door, jail.Bind{Target: jailBox + DoorPath}); err != nil {
		return err
	}
	b.steps = append(b.steps, jail.Step{File: &jail.File{Path: jailBox + CanaryPath, Mode: 0o444}})
	return nil
}

// placeOf says where in the jail a bind of the box goes: below the box's root,
// or, where a writable folder would cover it, into that.
func placeOf(target string) string {
	for _, w := range writable() {
		if rest, ok := strings.CutPrefix(target, w.Target+"/"); ok && w.Folder {
			return w.Source + "/" + rest
		}
	}
	return jailBox + target
}

// imageStep takes a step of the box's root into the jail's.
func (b *blueprint) imageStep(s jail.Step) error {
	switch {
	case s.Dir != nil:
		s.Dir = &jail.Dir{Path: jailBox + s.Dir.Path, Mode: s.Dir.Mode, Owner: s.Dir.Owner}
	case s.Link != nil:
		s.Link = &jail.Link{Path: jailBox + s.Link.Path, Target: s.Link.Target}
	case s.File != nil:
		s.File = &jail.File{Path: jailBox + s.File.Path, Mode: s.File.Mode, Data: s.File.Data, Owner: s.File.Owner}
	case s.Bind != nil:
		bind := *s.Bind
		bind.Target = placeOf(bind.Target)
		bind.Source, bind.Writable, bind.Devices = "", false, false
		return b.source(s.Bind.Source, bind)
	default:
		return fmt.Errorf("the image wants something else than folders, links, files and binds")
	}
	b.steps = append(b.steps, s)
	return nil
}

// writable lists what of the scratch is writable in the box, and where.
func writable() []Mapping {
	return []Mapping{
		{jailCopy, Workdir, true},
		{jailTmp, "/tmp", true},
		{jailHome, HomePath, true},
		{jailCanary, CanaryPath, false},
	}
}

// layout is what the runtime is told.
func (b *Box) layout() Layout {
	l := Layout{
		ID: b.config.ID, Hostname: b.config.Hostname, Nested: b.identity.Nested,
		Rlimits: map[string]uint64{
			"RLIMIT_CORE": 0, "RLIMIT_NOFILE": openFiles(max(1, b.config.Limits.Pids)),
			"RLIMIT_SIGPENDING": atMost(unix.RLIMIT_SIGPENDING, pendingSignals),
			"RLIMIT_MSGQUEUE":   atMost(unix.RLIMIT_MSGQUEUE, queuedBytes),
		},
		Weak: b.config.Weakness,
		Env:  []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"},
	}
	if b.guest != nil {
		l.Hardware, l.Init = &b.guest.hardware, b.guest.init
		return l
	}
	l.Root, l.Writable = jailBox, writable()
	l.Counted = b.config.Enforced["memory"].By == bySupervisor
	return l
}

// What the kernel counts for a user, and also for the one who has started the box:
// signals that wait, with them timers, and bytes in POSIX queues. Both are less than
// what that one has.
const (
	pendingSignals = 4096
	queuedBytes    = 400 << 10 // half of what users have, see mq_overview(7)
)

// counts bounds what else the kernel counts for whoever has started the box, who
// has 128 instances of inotify for everything that he runs.
func (b *Box) counts() map[string]int {
	if w := b.config.Weakness; b.guest != nil || w.HostUsers || w.Rlimits {
		return nil // a guest's monitor has no such call
	}
	return map[string]int{"max_inotify_instances": 32, "max_inotify_watches": 32 << 10}
}

// openFiles is how many files each of some tasks may have open: what most programs
// expect, but never so many that all of them fill the half of the host's table.
func openFiles(tasks int) uint64 {
	const usual, least = 1 << 16, 1 << 10
	files := uint64(usual)
	if table, err := fileTable(); err == nil && table/2/uint64(tasks) < usual {
		files = max(least, table/2/uint64(tasks))
	}
	return atMost(unix.RLIMIT_NOFILE, files)
}

// fileTable is how many files may be open on the host; see proc_sys_fs(5).
func fileTable() (uint64, error) {
	text, err := os.ReadFile("/proc/sys/fs/file-max")
	if err != nil {
		return 0, err
	}
	return strconv.ParseUint(strings.TrimSpace(string(text)), 10, 64)
}

// atMost is a limit of a resource that is never more than proofbox itself may give.
func atMost(resource int, most uint64) uint64 {
	var own unix.Rlimit
	if err := unix.Getrlimit(resource, &own); err != nil {
		panic(fmt.Sprintf("box: asking for a limit that every process has: %v", err))
	}
	return min(most, own.Max)
}
