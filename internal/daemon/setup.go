package daemon

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"proofbox"
	"proofbox/internal/debian"
)

// packages are what the walls need of the host's distribution, by a program
// that each brings.
var packages = []struct{ name, program, what string }{
	{"uidmap", "newuidmap", "subordinate IDs in boxes of ordinary users"},
	{"e2fsprogs", "mkfs.ext4", "exact disk limits for boxes that root starts"},
	{"libseccomp2", "", "the container runtime's system call filter"},
	{"qemu-system-x86", "qemu-system-x86_64", "microVMs"},
	{"erofs-utils", "mkfs.erofs", "the disks of microVMs"},
	{"mmdebstrap", "mmdebstrap", "the base: its Debian root"},
	{"kmod", "depmod", "the base: its kernel's modules"},
}

// Setup finds what this host lacks of packages, and whether it has a base.
// Where install is set, it installs the packages with apt-get and makes the
// base.
func (d *Daemon) Setup(ctx context.Context, install bool, progress func(proofbox.Event)) (proofbox.Setup, error) {
	s := proofbox.Setup{Missing: []proofbox.Package{}, Installed: []proofbox.Package{}}
	for _, p := range packages {
		if !installed(p.name, p.program) {
			s.Missing = append(s.Missing, proofbox.Package{Name: p.name, For: p.what})
		}
	}
	say := func(what string) { progress(proofbox.Event{Progress: what}) }
	base, err := lookAtBase()
	s.Base = base
	if err != nil || !install || base.Ready && len(s.Missing) == 0 {
		return s, err
	}
	if err := installAll(ctx, s.Missing, say); err != nil {
		return s, err
	}
	s.Missing, s.Installed = []proofbox.Package{}, s.Missing
	if !base.Ready {
		s.Base, err = makeBase(ctx, say)
	}
	return s, err
}

// installAll installs packages, if there are any, and where root asks has apt
// know the newest ones first. Anybody else is told what root has to do.
func installAll(ctx context.Context, missing []proofbox.Package, say func(string)) error {
	var names []string
	for _, p := range missing {
		names = append(names, p.Name)
	}
	switch {
	case os.Geteuid() != 0 && len(names) == 0:
		return nil
	case os.Geteuid() != 0:
		return fmt.Errorf("installing packages needs root: run `proofbox setup --install` as root first, or `apt-get install --no-install-recommends %s`", strings.Join(names, " "))
	}
	say("asking apt which packages there are")
	if err := aptGet(ctx, "update"); err != nil {
		return err
	}
	for _, p := range missing {
		say(fmt.Sprintf("installing %s, for %s", p.Name, p.For))
		if err := aptGet(ctx, "install", "--yes", "--no-install-recommends", p.Name); err != nil {
			return err
		}
	}
	return nil
}

func aptGet(ctx context.Context, args ...string) error {
	cmd := exec.CommandContext(ctx, "apt-get", args...)
	cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
	out, err := cmd.CombinedOutput()
	if errors.Is(err, exec.ErrNotFound) {
		return errors.New("this host has no apt-get: proofbox installs packages on Debian only; install what is missing by hand")
	}
	if err != nil {
		return fmt.Errorf("running apt-get %s: %w: %q; it can be tried again", strings.Join(args, " "), err, tail(out))
	}
	return nil
}

// lookAtBase says whether there is a base that boxes of this user can use.
func lookAtBase() (proofbox.Base, error) {
	dir, err := debian.Dir()
	if err != nil {
		return proofbox.Base{}, err
	}
	b, err := debian.Open(dir)
	switch {
	case err != nil:
		return proofbox.Base{Dir: dir, Found: err.Error()}, nil
	case !b.Current():
		return proofbox.Base{Dir: dir, Found: "it was made by another version of proofbox; `proofbox setup --install` makes it anew"}, nil
	}
	return describe(b), nil
}

func describe(b *debian.Base) proofbox.Base {
	return proofbox.Base{Dir: b.Dir, Ready: true, Found: fmt.Sprintf("Debian %s, %d packages in %s, and the kernel %s",
		b.Manifest.Suite, len(b.Manifest.Packages), proofbox.Size(b.Manifest.Bytes).Rounded(), b.Manifest.Version)}
}

// makeBase makes this user's base.
func makeBase(ctx context.Context, say func(string)) (proofbox.Base, error) {
	dir, err := debian.OwnDir()
	if err != nil {
		return proofbox.Base{}, err
	}
	b, err := debian.Make(ctx, dir, say)
	if err != nil {
		return proofbox.Base{Dir: dir, Found: err.Error()}, err
	}
	made := describe(b)
	made.Made = true
	return made, nil
}

// installed looks for a package's program, or, where it has none, for a library
// of its name.
func installed(name, program string) bool {
	if program == "" {
		found, err := filepath.Glob("/usr/lib/*/" + strings.TrimSuffix(name, "2") + ".so.2*")
		return err == nil && len(found) > 0
	}
	for _, dir := range []string{"/usr/bin", "/usr/sbin", "/bin", "/sbin"} {
		if _, err := os.Stat(filepath.Join(dir, program)); err == nil {
			return true
		}
	}
	return false
}

// tail gives the last bytes of a program's output.
func tail(out []byte) []byte {
	const keep = 400
	return out[max(0, len(out)-keep):]
}
