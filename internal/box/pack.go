package box

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"proofbox"
	"proofbox/internal/box/jail"
)

// Packed is a file with an EROFS file system, which a virtual machine takes for
// a disk.
type Packed struct {
	Path   string `json:"-"`
	Digest string `json:"digest"` // "sha256:" and hex digits, of the file
	Size   int64  `json:"size"`   // bytes
}

// Bounds of packing one file system. The tree that is packed may be hostile,
// and mkfs.erofs reads it.
const (
	maxPacked  = 16 << 30 // bytes of the file
	packMemory = 4 << 30  // bytes of mkfs.erofs' memory
	packTime   = 15 * time.Minute
)

// Places in the jail that packs.
const (
	jailImage = "/image" // the file to be written
	mkfsErofs = "/mkfs"  // the program
	jailIdle  = "/idle"  // a scratch that nobody writes
)

// packCommand packs a folder as a program in a jail. The folder's name is its
// last argument.
func packCommand(folder string, options ...string) []string {
	args := []string{"mkfs.erofs", "--quiet", "--preserve-mtime", "-U", packedUUID}
	return append(append(args, options...), jailImage, folder)
}

// packedUUID is every file system's: a random one would make two of the same
// tree differ.
const packedUUID = "6a3c1b52-8f0e-4f6b-9d1e-70726f6f6662"

// PackRoot packs what the steps say, with paths as the box sees them, into a
// read-only root for a box with a kernel of its own. The key, of letters and
// digits, names the content: of the same key there is one file, which is packed
// once, kept in the state folder and verified when it is used again. Everything
// in it belongs to root. What a box behind another wall could see but not read,
// because nobody but its owner on the host may, is left out.
func (h *Host) PackRoot(ctx context.Context, key string, steps []jail.Step) (Packed, error) {
	shelf, err := openShelf(filepath.Join(h.State, "cache", "erofs"))
	if err != nil {
		return Packed{}, err
	}
	if p, err := shelf.find(key); err != nil || p.Path != "" {
		return p, err
	}
	seen, err := survey(ctx, steps)
	if err != nil {
		return Packed{}, err
	}
	out, err := shelf.begin()
	if err != nil {
		return Packed{}, err
	}
	defer out.Close()
	defer os.Remove(out.Name()) // nothing where it got its name
	if err := h.packRoot(ctx, out, steps, seen); err != nil {
		return Packed{}, fmt.Errorf("packing the image: %w", err)
	}
	return shelf.keep(out, key)
}

func (h *Host) packRoot(ctx context.Context, out *os.File, steps []jail.Step, seen surveyed) error {
	plan := &blueprint{}
	defer plan.close()
	for _, d := range []string{"/proc", "/sys", "/dev", "/tmp", "/run", Workdir, HomePath, DataPath} {
		plan.dir(jailBox+d, 0o755, 0)
	}
	for _, step := range steps {
		if b := step.Bind; b != nil && placeOf(b.Target) != jailBox+b.Target {
			return fmt.Errorf("%q cannot be shown at %q: a box with a kernel of its own has a new folder there", b.Source, b.Target)
		}
		if err := plan.imageStep(step); err != nil {
			return err
		}
	}
	for _, point := range []string{InitPath, CanaryPath} {
		plan.steps = append(plan.steps, jail.Step{File: &jail.File{Path: jailBox + point, Mode: 0o444}})
	}
	options := []string{"--all-root", "-x-1"}
	for _, path := range seen.closed {
		options = append(options, "--exclude-path="+path[1:])
	}
	return h.pack(ctx, out, plan, packing{
		args: packCommand(jailBox, options...),
		env:  []string{fmt.Sprintf("SOURCE_DATE_EPOCH=%d", seen.newest)},
	})
}

// PackWorkspace packs the frozen original as its box sees it, without what is
// hidden, into a file in the run's directory. Its owner becomes the box's user.
func (h *Host) PackWorkspace(ctx context.Context, dir string, w *Workspace, note func(Object) error) (Packed, error) {
	if err := w.packable(); err != nil {
		return Packed{}, err
	}
	path := filepath.Join(dir, workDisk)
	if err := note(Object{Kind: FilePath, Name: path}); err != nil {
		return Packed{}, err
	}
	out, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return Packed{}, fmt.Errorf("making the workspace's disk: %w", err)
	}
	defer out.Close()
	if err := h.packWorkspace(ctx, out, w, note); err != nil {
		return Packed{}, fmt.Errorf("packing the workspace: %w", err)
	}
	size, err := verifyPacked(out)
	if err != nil {
		return Packed{}, fmt.Errorf("packing the workspace: %w", err)
	}
	return Packed{Path: path, Size: size}, nil
}

// packable refuses what cannot become a disk.
func (w *Workspace) packable() error {
	if w.Bytes <= maxPacked {
		return nil
	}
	return fmt.Errorf("the workspace has %s, and a box with a kernel of its own gets at most %s, holes in files counted; hide what is large",
		proofbox.Size(w.Bytes).Rounded(), proofbox.Size(maxPacked))
}

func (h *Host) packWorkspace(ctx context.Context, out *os.File, w *Workspace, note func(Object) error) error {
	plan := &blueprint{}
	defer plan.close()
	id, err := h.identity()
	if err != nil {
		return err
	}
	defer id.Release() // a lock, which this process's end would release too
	if err := plan.original(h, w, id); err != nil {
		return err
	}
	folder := jailLower
	if len(w.Hidden) > 0 {
		folder = jailCopy // without the hidden paths; nobody writes to it
		plan.dir(jailUpper, 0o755, 0)
		plan.dir(jailWork, 0o700, 0)
		if err := plan.overlay(w, id); err != nil {
			return err
		}
	}
	var options []string
	if id.Box != jail.BoxID { // as an ordinary user, who is 0 in the jail
		options = []string{fmt.Sprintf("--force-uid=%d", jail.BoxID), fmt.Sprintf("--force-gid=%d", jail.BoxID)}
	}
	return h.pack(ctx, out, plan, packing{args: packCommand(folder, options...), identity: id, note: note})
}

// original puts the frozen original into the jail, as the box's user sees it.
func (b *blueprint) original(h *Host, w *Workspace, id *jail.Identity) error {
	bind := jail.Bind{Source: w.Lower, Target: jailLower, Folder: true}
	if os.Geteuid() != 0 {
		b.bind(bind)
		return nil
	}
	mount, err := jail.MapTree(h.Jail, w.Lower, id, w.UID, w.GID)
	if err != nil {
		return err
	}
	bind.Source = ""
	b.attach(mount, bind)
	return nil
}

// packing is what a jail that packs is started with, beside its root.
type packing struct {
	args, env []string
	identity  *jail.Identity     // a new one where it is nil
	note      func(Object) error // nil where the jail needs no journal
}

// pack runs mkfs.erofs in a jail with what is in the plan and the file that it
// writes.
func (h *Host) pack(ctx context.Context, out *os.File, plan *blueprint, p packing) (err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, packTime, fmt.Errorf("it took longer than %v", packTime))
	defer cancel()
	if p.identity == nil {
		if p.identity, err = h.identity(); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, p.identity.Release()) }()
	}
	plan.devices()
	if err := plan.program(); err != nil {
		return err
	}
	if err := plan.image(out, p.identity); err != nil {
		return err
	}
	log := &boundedLog{left: maxLog}
	j, err := jail.Start(ctx, jail.Config{
		Binary: h.Jail, Identity: p.identity, Log: log,
		Plan: func() (jail.Plan, []*os.File, error) {
			return jail.Plan{Steps: plan.steps, Scratch: jailIdle, Program: jail.Program{
				Path: mkfsErofs, Args: p.args, Env: append(p.env, jail.LibraryEnv),
				FileSize: maxPacked, Memory: packMemory,
			}}, plan.files, nil
		},
		Started: func(pid int) error {
			if p.note == nil {
				return nil
			}
			return noteJail(pid, p.note)
		},
	})
	if err != nil {
		return err
	}
	defer func() {
		j.Kill()
		<-j.Gone()
		j.Scratch.Close() // a descriptor of an empty folder
	}()
	return awaitPack(ctx, j, log)
}

// awaitPack waits until mkfs.erofs has done its work.
func awaitPack(ctx context.Context, j *jail.Jail, log *boundedLog) error {
	status, err := j.Wait(ctx)
	if err == nil && status != 0 {
		err = fmt.Errorf("mkfs.erofs ended with status %d: %q; a file that only a foreign owner may read, and a path of more than 4095 bytes, cannot be packed: hide them from the box", status, log)
	}
	return err
}

// program puts mkfs.erofs into the jail.
func (b *blueprint) program() error {
	path, err := MkfsErofs()
	if err != nil {
		return err
	}
	steps, err := jail.Closure(path)
	if err != nil {
		return err
	}
	steps[0].Bind.Target = mkfsErofs
	b.dir(jailIdle, 0o755, 0)
	return b.runtime(steps)
}

// image puts the file to be written into the jail, and makes it the jail's.
func (b *blueprint) image(out *os.File, id *jail.Identity) error {
	if os.Geteuid() == 0 {
		if err := out.Chown(id.UIDs[0].Outside, id.GIDs[0].Outside); err != nil {
			return fmt.Errorf("giving the image's file to the jail: %w", err)
		}
	}
	return b.source(out.Name(), jail.Bind{Target: jailImage, Writable: true})
}

// MkfsErofs finds the program that packs; where it is missing the error says
// what to install.
func MkfsErofs() (string, error) {
	for _, dir := range []string{"/usr/bin", "/usr/sbin", "/bin", "/sbin"} {
		path := filepath.Join(dir, "mkfs.erofs")
		if _, err := os.Stat(path); err == nil {
			return path, nil
		}
	}
	return "", errors.New("mkfs.erofs is not installed; `proofbox setup --install` as root installs it")
}

// The superblock of an EROFS file system, of which there is this much at this
// place; see struct erofs_super_block in Linux' fs/erofs/erofs_fs.h.
const (
	superblockAt   = 1024
	superblockSize = 128
	erofsMagic     = 0xe0f5e1e2
	blockBits      = 12 // of a block's size, 4096 bytes
	bitsAt         = 12
	blocksAt       = 36
)

// packedMode lets the monitor of a virtual machine read an image, whoever it is
// to the host; nobody else can enter the folder that it lies in.
const packedMode = 0o444

// verifyPacked takes the file back from the jail that wrote it, and checks that
// it is a file system of the size that it says. It gives the size in bytes.
func verifyPacked(f *os.File) (int64, error) {
	if err := errors.Join(f.Chown(os.Geteuid(), os.Getegid()), f.Chmod(packedMode)); err != nil {
		return 0, fmt.Errorf("taking the file system back: %w", err)
	}
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	super := make([]byte, superblockSize)
	if _, err := f.ReadAt(super, superblockAt); err != nil && !errors.Is(err, io.EOF) {
		return 0, fmt.Errorf("reading the superblock: %w", err)
	}
	blocks := int64(binary.LittleEndian.Uint32(super[blocksAt:]))
	switch {
	case binary.LittleEndian.Uint32(super) != erofsMagic || super[bitsAt] != blockBits:
		return 0, errors.New("mkfs.erofs has written no file system that is known here")
	case blocks == 0 || blocks<<blockBits != info.Size() || info.Size() > maxPacked:
		return 0, fmt.Errorf("the file system has %d blocks in %d bytes", blocks, info.Size())
	}
	return info.Size(), nil
}

// surveyed is what the folders and files that steps show hold.
type surveyed struct {
	// newest is the latest modification, in seconds: what the jail itself makes
	// gets this time, so that the same key gives the same file.
	newest int64
	closed []string // paths, as the box sees them, that the jail cannot read
}

// maxClosed bounds what is left out by name.
const maxClosed = 1000

// survey looks at everything that steps show, through no link.
func survey(ctx context.Context, steps []jail.Step) (surveyed, error) {
	var s surveyed
	for _, step := range steps {
		if step.Bind == nil {
			continue
		}
		source, target := step.Bind.Source, step.Bind.Target
		err := filepath.WalkDir(source, func(path string, d fs.DirEntry, err error) error {
			if err == nil {
				err = ctx.Err()
			}
			if err != nil {
				return err
			}
			return s.see(path, target+path[len(source):], d)
		})
		if err != nil {
			return s, fmt.Errorf("looking at the image: %w", err)
		}
	}
	return s, nil
}

func (s *surveyed) see(path, target string, d fs.DirEntry) error {
	info, err := d.Info()
	if err != nil {
		return err
	}
	s.newest = max(s.newest, info.ModTime().Unix())
	if readable(path, info) {
		return nil
	}
	if s.closed = append(s.closed, target); len(s.closed) > maxClosed {
		return fmt.Errorf("more than %d files of it, such as %q, may not be read; it is no image", maxClosed, path)
	}
	if d.IsDir() {
		return fs.SkipDir
	}
	return nil
}

func ownerOf(info fs.FileInfo) int { return int(info.Sys().(*syscall.Stat_t).Uid) }

// readable says whether a jail can read a file or folder. Started by root it is
// a user that owns nothing; started by anybody else it can read what that user
// can, and what belongs to it in any case.
func readable(path string, info fs.FileInfo) bool {
	need := uint32(unix.R_OK)
	if info.IsDir() {
		need |= unix.X_OK
	}
	switch {
	case !info.IsDir() && !info.Mode().IsRegular():
		return true
	case os.Geteuid() == 0:
		return uint32(info.Mode().Perm())&need == need
	case ownerOf(info) == os.Geteuid():
		return true
	}
	return unix.Faccessat(unix.AT_FDCWD, path, need, unix.AT_EACCESS|unix.AT_SYMLINK_NOFOLLOW) == nil
}
