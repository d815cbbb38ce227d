// Package debian makes what a microVM is made from, out of Debian's own
// packages: a kernel with its modules, and a root folder with a shell, Python,
// git and a C compiler. It is called the base. The host's apt fetches and
// verifies every package; no kernel is installed on the host.
package debian

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// Base is a base that is whole.
type Base struct {
	Dir string
	// Kernel is the path of the kernel, a bzImage.
	Kernel string
	// Modules is the folder of the kernel's modules, with modules.dep, whose
	// paths are relative to it; see modules.dep(5).
	Modules string
	// Root is the folder with the Debian system. Everything in it may be read
	// by everybody, and nothing is a device or has a set-user-ID bit.
	Root     string
	Manifest Manifest
}

// Manifest says what a base holds. Digests are "sha256:" and hex digits. It is
// written last: a folder without it is no base.
type Manifest struct {
	Format int `json:"format"`
	// Recipe is the digest of what the base was to be made of.
	Recipe string `json:"recipe"`
	Suite  string `json:"suite"`
	// Version is the kernel's, as uname(1) has it: 6.1.0-1-cloud-amd64.
	Version string `json:"version"`
	Kernel  string `json:"kernel"`  // digest of the kernel's file
	Modules string `json:"modules"` // digest of the modules' tree
	Root    string `json:"root"`    // digest of the root's tree
	Bytes   int64  `json:"bytes"`   // of the root's files
	// Packages has the version of every package, by its name.
	Packages map[string]string `json:"packages"`
}

// format is the form of a base that this code makes and reads.
const format = 1

// Names in a base's folder.
const (
	manifestFile = "manifest.json"
	kernelDir    = "kernel"
	kernelFile   = "kernel/vmlinuz"
	modulesDir   = "kernel/modules"
	rootDir      = "root"
)

// maxManifest bounds the manifest.
const maxManifest = 1 << 20

// systemDir is where root makes the base, for everybody.
const systemDir = "/var/lib/proofbox/base"

// ErrMissing says that a folder holds no base.
var ErrMissing = errors.New("there is no base")

// Dir is where the base lies: the folder that $PROOFBOX_BASE names; else this
// user's own, or root's where that is whole and this user has none.
func Dir() (string, error) {
	own, err := OwnDir()
	if err != nil || os.Getenv("PROOFBOX_BASE") != "" {
		return own, err
	}
	if _, err := os.Stat(filepath.Join(own, manifestFile)); err == nil {
		return own, nil
	}
	if _, err := os.Stat(filepath.Join(systemDir, manifestFile)); err == nil {
		return systemDir, nil
	}
	return own, nil
}

// OwnDir is where this user would make a base.
func OwnDir() (string, error) {
	if dir := os.Getenv("PROOFBOX_BASE"); dir != "" {
		return filepath.Abs(dir)
	}
	if os.Geteuid() == 0 {
		return systemDir, nil
	}
	if data := os.Getenv("XDG_DATA_HOME"); filepath.IsAbs(data) {
		return filepath.Join(data, "proofbox", "base"), nil
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "", fmt.Errorf("finding a place for the base: %w; set PROOFBOX_BASE", err)
	}
	return filepath.Join(home, ".local", "share", "proofbox", "base"), nil
}

// next is what helps where there is no usable base.
const next = "`proofbox setup --install` makes it"

// Open opens a base. It takes about a millisecond: it looks at what is there
// and whether anybody else could have altered it, and leaves the digests to
// [Base.Verify].
func Open(dir string) (*Base, error) {
	m, err := readManifest(filepath.Join(dir, manifestFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w in %q; %s", ErrMissing, dir, next)
	}
	if err != nil {
		return nil, fmt.Errorf("opening the base in %q: %w", dir, err)
	}
	b := &Base{
		Dir: dir, Manifest: m, Kernel: filepath.Join(dir, kernelFile),
		Modules: filepath.Join(dir, modulesDir, m.Version), Root: filepath.Join(dir, rootDir),
	}
	for _, path := range []string{dir, b.Kernel, b.Modules, b.Root} {
		if err := trusted(path); err != nil {
			return nil, fmt.Errorf("opening the base: %w; remove %q, and %s", err, dir, next)
		}
	}
	return b, nil
}

func readManifest(path string) (Manifest, error) {
	var m Manifest
	text, err := os.ReadFile(path)
	if err != nil {
		return m, err
	}
	if len(text) > maxManifest {
		return m, fmt.Errorf("its manifest has %d bytes; remove the folder, and %s", len(text), next)
	}
	if err := json.Unmarshal(text, &m); err != nil {
		return m, fmt.Errorf("reading its manifest: %w; remove the folder, and %s", err, next)
	}
	if m.Format != format || m.Version == "" || !filepath.IsLocal(m.Version) {
		return m, fmt.Errorf("its manifest is of the form %d, not %d; remove the folder, and %s", m.Format, format, next)
	}
	return m, nil
}

// trusted checks that only root or this user can write to a path.
func trusted(path string) error {
	var st unix.Stat_t
	if err := unix.Lstat(path, &st); err != nil {
		return &fs.PathError{Op: "looking at", Path: path, Err: err}
	}
	if kind := st.Mode & unix.S_IFMT; kind != unix.S_IFDIR && kind != unix.S_IFREG {
		return fmt.Errorf("%q is neither a folder nor a file", path)
	}
	if st.Uid != 0 && int(st.Uid) != os.Geteuid() || st.Mode&0o022 != 0 {
		return fmt.Errorf("%q can be written to by others than root and this user", path)
	}
	return nil
}

// Current says whether the base is of the recipe of this version of proofbox.
func (b *Base) Current() bool { return b.Manifest.Recipe == recipe.digest() }
