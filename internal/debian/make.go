package debian

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// Make makes a base in a folder, or opens the one that is there already and of
// this version's recipe. It works in a folder beside, of the same name and
// ".new", in steps that each end with a renaming: whatever ends it, the next
// call goes on behind the last step that was done. Only a whole base gets the
// name. What is being done goes to say, a line at a time.
func Make(ctx context.Context, dir string, say func(string)) (*Base, error) {
	return recipe.make(ctx, dir, say)
}

func (r Recipe) make(ctx context.Context, dir string, say func(string)) (*Base, error) {
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return nil, fmt.Errorf("making the base's folder: %w", err)
	}
	lock, err := lockFile(dir + ".lock")
	if err != nil {
		return nil, err
	}
	defer lock.Close()
	b, err := Open(dir)
	if err == nil && b.Manifest.Recipe == r.digest() {
		return b, nil
	}
	if err != nil && !errors.Is(err, ErrMissing) {
		return nil, err
	}
	m := &maker{recipe: r, dir: dir, work: dir + ".new", say: say}
	for _, step := range []func(context.Context) error{m.begin, m.kernel, m.archive, m.root, m.finish} {
		if err := step(ctx); err != nil {
			return nil, fmt.Errorf("making the base: %w", err)
		}
	}
	return Open(dir)
}

// lockFile takes a lock that ends with this process. One that is held is an
// error: whoever holds it does the same work.
func lockFile(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("locking the base: %w", err)
	}
	err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		err = errors.New("another setup makes it right now; wait for that one")
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("locking the base: %w", err), f.Close())
	}
	return f, nil
}

// maker makes one base.
type maker struct {
	recipe    Recipe
	dir, work string
	say       func(string)
}

func (m *maker) path(names ...string) string {
	return filepath.Join(append([]string{m.work}, names...)...)
}

// Names in the folder that a base is made in. The recipe and the sources stay
// in it, to say where it came from.
const (
	recipeFile  = "recipe"
	sourcesFile = "sources.list"
	archiveFile = "root.tar"
	tempDir     = "tmp"
	part        = ".part" // ends the name of what is not whole yet
)

// begin takes up the work where an earlier call has left it, if that had the
// same recipe, and throws away what is half done.
func (m *maker) begin(ctx context.Context) error {
	if err := errors.Join(m.vacant(), m.able(ctx)); err != nil {
		return err
	}
	digest := m.recipe.digest()
	if earlier, err := os.ReadFile(m.path(recipeFile)); err != nil || string(earlier) != digest {
		if err := os.RemoveAll(m.work); err != nil {
			return err
		}
	}
	if err := os.MkdirAll(m.work, 0o755); err != nil {
		return err
	}
	if err := m.removeTemp(ctx); err != nil {
		return err
	}
	if err := os.MkdirAll(m.path(tempDir), 0o755); err != nil {
		return err
	}
	list, err := m.sources(ctx)
	if err != nil {
		return err
	}
	if err := os.WriteFile(m.path(sourcesFile), []byte(list), 0o644); err != nil {
		return err
	}
	return os.WriteFile(m.path(recipeFile), []byte(digest), 0o644)
}

// vacant makes sure that nothing is lost when the base gets its name.
func (m *maker) vacant() error {
	entries, err := os.ReadDir(m.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if _, err := readManifest(filepath.Join(m.dir, manifestFile)); err != nil && len(entries) > 0 {
		return fmt.Errorf("the folder %q holds something else; set PROOFBOX_BASE to another", m.dir)
	}
	return nil
}

// able makes sure that an ordinary user can be root in a namespace, with others
// beside it.
func (m *maker) able(ctx context.Context) error {
	if os.Geteuid() == 0 {
		return nil
	}
	if err := exec.CommandContext(ctx, "unshare", m.alone("true")[1:]...).Run(); err != nil {
		return fmt.Errorf("this user cannot have user namespaces with subordinate IDs (%w): let root run `proofbox setup --install`, which makes a base for everybody; or have root do `usermod --add-subuids 100000-165535 --add-subgids 100000-165535 %s`", err, cmp.Or(os.Getenv("USER"), "USER"))
	}
	return nil
}

// removeTemp removes what a killed mmdebstrap has left. As an ordinary user it
// has used subordinate IDs, whose files only a namespace with them can remove.
func (m *maker) removeTemp(ctx context.Context) error {
	if err := os.RemoveAll(m.path(tempDir)); err == nil {
		return nil
	}
	return m.run(ctx, nil, m.alone("rm", "-rf", "--", m.path(tempDir))...)
}

// exists says whether a step's result is there.
func (m *maker) exists(name string) bool {
	_, err := os.Lstat(m.path(name))
	return err == nil
}

// finish writes the manifest and gives the base its name.
func (m *maker) finish(ctx context.Context) error {
	m.say("computing the base's digests")
	manifest, err := m.manifest(ctx)
	if err != nil {
		return err
	}
	if err := errors.Join(os.RemoveAll(m.path(archiveFile)), m.removeTemp(ctx)); err != nil {
		return err
	}
	if err := syncAll(m.work); err != nil { // before there is a name that vouches for it
		return err
	}
	text, err := json.MarshalIndent(manifest, "", "  ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(m.path(manifestFile), append(text, '\n'), 0o644); err != nil {
		return err
	}
	if err := syncAll(m.work); err != nil {
		return err
	}
	return m.install()
}

// install gives the base its name, in place of an older one.
func (m *maker) install() error {
	err := os.Rename(m.work, m.dir)
	if !errors.Is(err, fs.ErrExist) {
		return err
	}
	if err := unix.Renameat2(unix.AT_FDCWD, m.work, unix.AT_FDCWD, m.dir, unix.RENAME_EXCHANGE); err != nil {
		return &os.LinkError{Op: "exchanging", Old: m.work, New: m.dir, Err: err}
	}
	return os.RemoveAll(m.work)
}

// syncAll brings a folder's file system to the disk.
func syncAll(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer f.Close()
	return unix.Syncfs(int(f.Fd()))
}

// alone gives the command line of a program in a PID and mount namespace of
// its own, which end with it, and it with this process. An ordinary user is
// root in there, with its subordinate IDs as all others.
func (m *maker) alone(args ...string) []string {
	line := []string{"unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"}
	if os.Geteuid() != 0 {
		line = append(line, "--map-root-user", "--map-auto")
	}
	return append(append(line, "--"), args...)
}

// run runs a program and passes its lines on. What it said last is in the
// error.
func (m *maker) run(ctx context.Context, env []string, args ...string) error {
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Dir = m.work
	cmd.Env = append(os.Environ(), "LC_ALL=C", "TMPDIR="+m.path(tempDir))
	cmd.Env = append(cmd.Env, env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	said := &lines{say: m.say}
	cmd.Stdout, cmd.Stderr = said, said
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		return fmt.Errorf("running %s: %w: it said %q; it can be tried again", args[0], err, said.last())
	}
	return nil
}

// maxSaid bounds what is kept of a program's output.
const maxSaid = 1 << 10

// lines passes complete lines on and keeps the last of what came.
type lines struct {
	say  func(string)
	rest []byte // of a line that is not complete
	kept []byte
}

func (l *lines) Write(p []byte) (int, error) {
	l.kept = append(l.kept, p...)
	l.kept = l.kept[max(0, len(l.kept)-maxSaid):]
	l.rest = append(l.rest, p...)
	for {
		line, rest, ok := bytes.Cut(l.rest, []byte("\n"))
		if !ok {
			l.rest = l.rest[max(0, len(l.rest)-maxSaid):]
			return len(p), nil
		}
		if text, ok := strings.CutPrefix(string(line), "I: "); ok {
			l.say(text)
		}
		l.rest = rest
	}
}

func (l *lines) last() string { return strings.TrimSpace(string(l.kept)) }

// output runs a program and gives its standard output.
func (m *maker) output(ctx context.Context, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Env = append(os.Environ(), "LC_ALL=C")
	out, err := cmd.Output()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return nil, fmt.Errorf("running %s: %w: it said %q", args[0], err, exit.Stderr)
	}
	if err != nil {
		return nil, fmt.Errorf("running %s: %w", args[0], err)
	}
	return out, nil
}

// stanzas gives the fields of each paragraph of a text in the form of
// deb822(5), without the lines that go on from a field.
func stanzas(text []byte) []map[string]string {
	var all []map[string]string
	fields := map[string]string{}
	for line := range strings.Lines(string(text) + "\n") {
		if line == "\n" && len(fields) > 0 {
			all = append(all, fields)
			fields = map[string]string{}
		}
		if name, value, ok := strings.Cut(line, ":"); ok && !strings.HasPrefix(name, " ") {
			fields[name] = strings.TrimSpace(value)
		}
	}
	return all
}
