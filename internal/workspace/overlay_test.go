package workspace

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"proofbox"
)

// agentVariable makes this test binary the agent of a test: it mounts the
// writable copy as the jail does and does in it what it is told.
const agentVariable = "WORKSPACE_TEST_AGENT"

func TestMain(m *testing.M) {
	keepAndExit()
	if os.Getenv(agentVariable) == "" {
		os.Exit(m.Run())
	}
	if err := runAgent(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// order is what the agent is to do, in a copy of which layers.
type order struct {
	Lower               []string
	Upper, Work, Target string
	Acts                []act
}

// act is one thing that an agent does in its copy.
type act struct {
	Do   string
	Path proofbox.Raw
	To   proofbox.Raw // a target, a new name
	Text proofbox.Raw
	Mode uint32
}

func (a act) String() string {
	return fmt.Sprintf("%s %q %q %q %o", a.Do, a.Path, a.To, a.Text, a.Mode)
}

func runAgent() error {
	var o order
	if err := json.NewDecoder(os.Stdin).Decode(&o); err != nil {
		return err
	}
	data := fmt.Sprintf("lowerdir=%s,upperdir=%s,workdir=%s,userxattr,volatile,index=off,metacopy=off,xino=off",
		strings.Join(o.Lower, ":"), o.Upper, o.Work)
	if err := unix.Mount("overlay", o.Target, "overlay", unix.MS_NOSUID|unix.MS_NODEV, data); err != nil {
		return fmt.Errorf("mounting the overlay: %w", err)
	}
	unix.Umask(0o022)
	for _, a := range o.Acts {
		if err := a.run(o.Target); err != nil && !tolerable(err) {
			return fmt.Errorf("%s: %w", a, err)
		}
	}
	tree, err := describeTree(o.Target)
	if err != nil {
		return err
	}
	var list []seen
	for p, e := range tree {
		list = append(list, seen{p, e})
	}
	return json.NewEncoder(os.Stdout).Encode(list)
}

// seen is one path of a tree.
type seen struct {
	Path  proofbox.Raw
	Entry proofbox.Entry
}

// tolerable errors are those of acts that make no sense in the tree as it is. An
// overlay answers ESTALE where a name of a file with several is renamed that it has
// copied up under another.
func tolerable(err error) bool {
	for _, e := range []error{
		unix.ENOENT, unix.EEXIST, unix.ENOTDIR, unix.EISDIR, unix.ELOOP, unix.ENOTEMPTY, unix.EXDEV, unix.EINVAL, unix.ENXIO, unix.EPERM, unix.ESTALE,
	} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

func (a act) run(root string) error {
	path := root + "/" + string(a.Path)
	switch a.Do {
	case "write":
		f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0o644)
		if err != nil {
			return err
		}
		_, err = f.WriteString(string(a.Text))
		return errors.Join(err, f.Close())
	case "touch": // copies up and changes nothing
		f, err := os.OpenFile(path, os.O_RDWR|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
		if err != nil {
			return err
		}
		return f.Close()
	case "chmod":
		if info, err := os.Lstat(path); err != nil || info.Mode()&fs.ModeSymlink != 0 {
			return err
		}
		return unix.Chmod(path, a.Mode)
	case "remove":
		// RemoveAll opens the parent, which for a FIFO would wait for a writer.
		if info, err := os.Stat(filepath.Dir(path)); err != nil || !info.IsDir() {
			return errors.Join(err, unix.ENOTDIR)
		}
		return os.RemoveAll(path)
	case "folder":
		return os.MkdirAll(path, 0o755)
	case "link":
		return os.Symlink(string(a.To), path)
	case "hardlink":
		return os.Link(root+"/"+string(a.To), path)
	case "rename":
		return os.Rename(path, root+"/"+string(a.To))
	case "fifo":
		return unix.Mkfifo(path, 0o644)
	case "truncate":
		return os.Truncate(path, int64(a.Mode)<<20)
	case "deep":
		return digDown(path, int(a.Mode), string(a.Text))
	}
	return errors.New("no such act")
}

// digDown nests folders deeper than a path can say.
func digDown(path string, depth int, name string) error {
	if err := os.MkdirAll(path, 0o755); err != nil {
		return err
	}
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_DIRECTORY, 0)
	if err != nil {
		return err
	}
	for range depth {
		if err := unix.Mkdirat(fd, name, 0o755); err != nil {
			return err
		}
		next, err := unix.Openat(fd, name, unix.O_RDONLY|unix.O_DIRECTORY, 0)
		if err = errors.Join(err, unix.Close(fd)); err != nil {
			return err
		}
		fd = next
	}
	return unix.Close(fd)
}

// agent does things in the writable copy of a site's base, through a real
// overlay in namespaces of its own, and says what the tree is in the end.
func (s *site) agent(t failer, acts ...act) map[proofbox.Raw]proofbox.Entry {
	t.Helper()
	work, target := filepath.Join(filepath.Dir(s.upper), "work"), filepath.Join(filepath.Dir(s.upper), "merged")
	must(t, os.MkdirAll(work, 0o755))
	must(t, os.MkdirAll(target, 0o755))
	lower := []string{s.base.Lower}
	if len(s.base.Hidden) > 0 {
		lower = []string{s.mask(t), s.base.Lower}
	}
	out, err := startAgent(order{Lower: lower, Upper: s.upper, Work: work, Target: target, Acts: acts})
	must(t, err)
	var list []seen
	must(t, json.Unmarshal(out, &list))
	tree := map[proofbox.Raw]proofbox.Entry{}
	for _, x := range list {
		tree[x.Path] = x.Entry
	}
	return tree
}

// mask makes the layer that hides paths of a live original.
func (s *site) mask(t failer) string {
	dir := filepath.Join(filepath.Dir(s.upper), "mask")
	must(t, os.MkdirAll(dir, 0o755))
	for _, h := range s.base.Hidden {
		must(t, os.MkdirAll(filepath.Join(dir, filepath.Dir(h)), 0o755))
		whiteout(t, filepath.Join(dir, h))
	}
	return dir
}

func startAgent(o order) ([]byte, error) {
	in, err := json.Marshal(o)
	if err != nil {
		return nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), agentVariable+"=1")
	cmd.Stdin = bytes.NewReader(in)
	var problem bytes.Buffer
	cmd.Stderr = &problem
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Geteuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getegid(), Size: 1}},
	}
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("the agent: %w\n%s", err, &problem)
	}
	return out, nil
}

// needOverlay leaves a test out where an overlay cannot be mounted in a user
// namespace.
func needOverlay(t *testing.T) {
	t.Helper()
	dir := t.TempDir()
	t.Cleanup(func() { must(t, removeTree(dir)) }) // the mode of an overlay's work folder forbids to remove it
	for _, name := range []string{"lower", "upper", "work", "target"} {
		must(t, os.Mkdir(filepath.Join(dir, name), 0o755))
	}
	_, err := startAgent(order{
		Lower: []string{dir + "/lower"}, Upper: dir + "/upper", Work: dir + "/work", Target: dir + "/target",
	})
	if err == nil {
		return
	}
	missing(t, "jail", fmt.Sprintf("no overlay in a user namespace: %v", err))
}

// needRoot skips a test that an ordinary user cannot make.
func needRoot(t *testing.T, why string) {
	t.Helper()
	if os.Geteuid() != 0 {
		missing(t, "root", why)
	}
}

// missing skips a test for want of something, unless it is required.
func missing(t *testing.T, what, why string) {
	t.Helper()
	if slices.Contains(strings.Split(os.Getenv("PROOFBOX_REQUIRE"), ","), what) {
		t.Fatalf("%s is required and missing: %s", what, why)
	}
	t.Skipf("%s is missing: %s", what, why)
}
