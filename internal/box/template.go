package box

import (
	"cmp"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"proofbox/internal/box/jail"
)

// A template is a guest that was saved when it had booted, had rehearsed its
// wake-up and waited for it. Every box of its kind continues from there, on a private view of the
// saved memory and a copy of the scratch that the guest had mounted. It holds
// nothing of any run.
//
// A template is valid for exactly the machine that it was made with: the
// programs and files in the monitor's jail, its whole command line, the image,
// the sizes of memory and disks, and the host's processor. All of that is in its
// key. What is in its files is in its manifest, which proofbox's key signs.
type template struct {
	dir  string
	lock *os.File // held shared while the template's files are bound, exclusively while they are made
}

// Files of a template's folder.
const (
	memoryFile   = "memory"   // the guest's memory, sparse
	deviceFile   = "device"   // the state of processor and devices, as the monitor writes it
	scratchFile  = "scratch"  // the disk that the guest had mounted, sparse
	manifestFile = "manifest" // one line of JSON, one of its signature in base64
)

// templateFiles are those that the monitor has written.
var templateFiles = []string{memoryFile, deviceFile, scratchFile}

// keptTemplates is how many templates there may be; the longest unused go first.
const keptTemplates = 8

// maxManifest bounds a manifest, in bytes.
const maxManifest = 1 << 20

// manifest is what is signed.
type manifest struct {
	Key string `json:"key"`
	// Parts are the digests of everything that the monitor was started from, by
	// its place in the jail, for whoever asks what a template was made of.
	Parts map[string]string `json:"parts"`
	Args  []string          `json:"args"`
	CPU   string            `json:"cpu"`
	// Files are the template's own.
	Files map[string]sealed `json:"files"`
}

// sealed is a file that must not have changed: whoever writes to it moves its
// change time, which only the clock can set back.
type sealed struct {
	Device  uint64 `json:"device"`
	Inode   uint64 `json:"inode"`
	Size    int64  `json:"size"`
	Changed int64  `json:"changed"` // nanoseconds
}

func sealOf(path string) (sealed, error) {
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		return sealed{}, fmt.Errorf("looking at %q: %w", path, err)
	}
	if st.Mode&unix.S_IFMT != unix.S_IFREG {
		return sealed{}, fmt.Errorf("looking at %q: it is no regular file", path)
	}
	return sealed{Device: uint64(st.Dev), Inode: st.Ino, Size: st.Size, Changed: st.Ctim.Nano()}, nil
}

// templates is the folder of all templates.
func (h *Host) templates() string {
	return cmp.Or(h.Templates, filepath.Join(h.State, "cache", "templates"))
}

// release lets go of a template; nil may be released too.
func (t *template) release() {
	if t != nil {
		t.lock.Close() // the lock ends with it
	}
}

// blank is what a template is made from.
type blank struct {
	key     string
	program jail.Program
	steps   []jail.Step
	cpu     string
}

// blankFor works out what a template for the box is made from.
func (b *Box) blankFor() (blank, error) {
	steps, program, err := b.config.Runtime.Steps(b.layout())
	if err != nil {
		return blank{}, err
	}
	t := blank{program: program, steps: steps, cpu: processor()}
	t.key, err = t.name(b.guest.root.Digest, int64(b.config.Limits.Disk))
	return t, err
}

// name gives the key of a template.
func (t *blank) name(root string, disk int64) (string, error) {
	h := sha256.New()
	program := t.program
	program.Confine = nil // its IDs are the run's own, and nothing of it is saved
	said := []any{program, root, disk, t.cpu}
	for _, bind := range t.binds() {
		seal, err := sealOf(bind.Source)
		if err != nil {
			return "", err
		}
		said = append(said, bind.Target, seal)
	}
	if err := json.NewEncoder(h).Encode(said); err != nil {
		return "", fmt.Errorf("naming a template: %w", err)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// binds are what the monitor gets of the host, in the order of their places.
func (t *blank) binds() []jail.Bind {
	var binds []jail.Bind
	for _, s := range t.steps {
		if s.Bind != nil {
			binds = append(binds, *s.Bind)
		}
	}
	slices.SortFunc(binds, func(a, b jail.Bind) int { return strings.Compare(a.Target, b.Target) })
	return binds
}

// processor names the host's processor and what it can do; a saved guest has
// seen it.
func processor() string {
	text, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return "unknown"
	}
	var lines []string
	for line := range strings.Lines(string(text)) {
		name, value, _ := strings.Cut(line, ":")
		switch strings.TrimSpace(name) {
		case "vendor_id", "model name", "stepping", "microcode", "flags":
			lines = append(lines, strings.TrimSpace(value))
		case "":
			return strings.Join(lines, "\n") // one processor is like the next
		}
	}
	return strings.Join(lines, "\n")
}

// lockTemplate takes the lock of a template, in bounded time.
func (h *Host) lockTemplate(ctx context.Context, key string, how int) (*os.File, error) {
	if err := os.MkdirAll(h.templates(), 0o700); err != nil {
		return nil, fmt.Errorf("making the folder of templates: %w", err)
	}
	f, err := os.OpenFile(filepath.Join(h.templates(), key+".lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("locking a template: %w", err)
	}
	for {
		err := unix.Flock(int(f.Fd()), how|unix.LOCK_NB)
		if err == nil {
			return f, nil
		}
		if !errors.Is(err, unix.EWOULDBLOCK) && !errors.Is(err, unix.EINTR) {
			return nil, errors.Join(fmt.Errorf("locking a template: %w", err), f.Close())
		}
		if err := pause(ctx); err != nil {
			return nil, errors.Join(fmt.Errorf("waiting for a template that is being made: %w", context.Cause(ctx)), f.Close())
		}
	}
}

// openTemplate gives the template of a key, nil where there is none that is whole
// and as it was made. A trial may have it unguarded.
func (h *Host) openTemplate(ctx context.Context, key string, w Weakness) (*template, error) {
	lock, err := h.lockTemplate(ctx, key, unix.LOCK_SH)
	if err != nil {
		return nil, err
	}
	t := &template{dir: filepath.Join(h.templates(), key), lock: lock}
	err = h.verify(t, key)
	if w.Unguarded {
		_, err = os.Stat(t.dir)
	}
	if err != nil {
		t.release()
		return nil, nil // it is made anew, see Host.makeTemplate
	}
	return t, nil
}

// verify checks that a template is the one of the key and was not altered.
func (h *Host) verify(t *template, key string) error {
	m, err := h.readManifest(t.dir)
	if err != nil {
		return err
	}
	if m.Key != key {
		return fmt.Errorf("a template's manifest is that of %q", m.Key)
	}
	for _, name := range templateFiles {
		if seal, err := sealOf(filepath.Join(t.dir, name)); err != nil || seal != m.Files[name] {
			return fmt.Errorf("a template's file %q was altered: %w", name, err)
		}
	}
	return nil
}

// readManifest reads a template's manifest, where this proofbox has signed it.
func (h *Host) readManifest(dir string) (m manifest, err error) {
	f, err := os.Open(filepath.Join(dir, manifestFile))
	if err != nil {
		return m, fmt.Errorf("opening a template: %w", err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxManifest))
	if err != nil {
		return m, fmt.Errorf("reading a template's manifest: %w", err)
	}
	line, signature, _ := strings.Cut(string(text), "\n")
	raw, err := base64.StdEncoding.DecodeString(strings.TrimSpace(signature))
	if err != nil || !ed25519.Verify(h.Key.Public(), []byte(line), raw) {
		return m, errors.New("a template's manifest is not signed by this proofbox")
	}
	if err := json.Unmarshal([]byte(line), &m); err != nil {
		return m, fmt.Errorf("reading a template's manifest: %w", err)
	}
	return m, nil
}

// seal writes a template's manifest.
func (h *Host) seal(dir string, from blank) error {
	m := manifest{Key: from.key, Args: from.program.Args, CPU: from.cpu, Parts: map[string]string{}, Files: map[string]sealed{}}
	for _, bind := range from.binds() {
		digest, err := fileDigest(bind.Source)
		if err != nil {
			return err
		}
		m.Parts[bind.Target] = digest
	}
	return h.sign(dir, m)
}

// sign writes a manifest of the files as they are now, with its signature.
func (h *Host) sign(dir string, m manifest) error {
	for _, name := range templateFiles {
		var err error
		if m.Files[name], err = sealOf(filepath.Join(dir, name)); err != nil {
			return err
		}
	}
	line, err := json.Marshal(m)
	if err != nil {
		return fmt.Errorf("encoding a template's manifest: %w", err)
	}
	signature, err := h.Key.Sign(line)
	if err != nil {
		return fmt.Errorf("signing a template: %w", err)
	}
	text := string(line) + "\n" + base64.StdEncoding.EncodeToString(signature) + "\n"
	if err := os.WriteFile(filepath.Join(dir, manifestFile), []byte(text), 0o600); err != nil {
		return fmt.Errorf("writing a template's manifest: %w", err)
	}
	return nil
}

func fileDigest(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", fmt.Errorf("reading a part of a template: %w", err)
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", fmt.Errorf("reading a part of a template: %w", err)
	}
	return "sha256:" + hex.EncodeToString(h.Sum(nil)), nil
}

// thin removes the templates that have not been used for the longest time, and
// what makers that died have left.
func (h *Host) thin() error {
	entries, err := os.ReadDir(h.templates())
	if err != nil {
		return fmt.Errorf("looking at templates: %w", err)
	}
	var dirs []fs.FileInfo
	for _, e := range entries {
		if info, err := e.Info(); err == nil && e.IsDir() {
			dirs = append(dirs, info)
		}
	}
	slices.SortFunc(dirs, func(a, b fs.FileInfo) int { return b.ModTime().Compare(a.ModTime()) })
	for _, info := range dirs[min(len(dirs), keptTemplates):] {
		if err := h.removeTemplate(info.Name()); err != nil {
			return err
		}
	}
	return nil
}

// removeTemplate removes a template that nobody uses or makes.
func (h *Host) removeTemplate(name string) error {
	key := strings.TrimSuffix(name, newSuffix)
	f, err := os.OpenFile(filepath.Join(h.templates(), key+".lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return fmt.Errorf("locking a template: %w", err)
	}
	defer f.Close()
	if unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) != nil {
		return nil
	}
	if err := os.RemoveAll(filepath.Join(h.templates(), name)); err != nil {
		return fmt.Errorf("removing an old template: %w", err)
	}
	return nil
}
