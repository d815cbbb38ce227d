package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"time"

	"github.com/opencontainers/runtime-spec/specs-go"

	"proofbox/internal/box"
	"proofbox/internal/box/jail"
	"proofbox/internal/box/oci"
)

// rounds is how often a start is measured.
const rounds = 31

// starts compares a whole `proofbox run -- true` with the bare runtime running
// the same specification.
func (b *bench) starts(ctx context.Context) error {
	for _, c := range []struct {
		wall  string
		rival oci.Flavour
		limit float64
	}{{"container", oci.Runc, 1.5}, {"gvisor", oci.Runsc, 1.3}} {
		bare, err := b.bareRun(ctx, c.rival)
		if err != nil {
			return err
		}
		empty := filepath.Join(b.dir, "empty")
		if err := os.MkdirAll(empty, 0o755); err != nil {
			return err
		}
		ours := func() error {
			cmd := exec.CommandContext(ctx, filepath.Join(b.bin, "proofbox"), "run", "--wall", c.wall, "--workspace", empty, "--", "true")
			cmd.Env = append(os.Environ(), "PROOFBOX_HOME="+filepath.Join(b.dir, "state"))
			return quietly(cmd)
		}
		mine, rivals, err := alternate(rounds, whole(ours), whole(bare))
		if err != nil {
			return err
		}
		b.add(target{
			what: fmt.Sprintf("proofbox run --wall %s -- true / %s run", c.wall, c.rival), got: float64(mine) / float64(rivals),
			unit: "x", limit: c.limit, how: fmt.Sprintf("%v / %v, medians of %d", mine.Round(100*time.Microsecond), rivals.Round(100*time.Microsecond), rounds),
		})
	}
	return nil
}

// alternate measures two things in turn, so that whatever else the machine does
// meets both.
func alternate(n int, a, b func() (time.Duration, error)) (time.Duration, time.Duration, error) {
	var as, bs []time.Duration
	for range n + 1 {
		for _, x := range []struct {
			f  func() (time.Duration, error)
			to *[]time.Duration
		}{{a, &as}, {b, &bs}} {
			took, err := x.f()
			if err != nil {
				return 0, 0, err
			}
			*x.to = append(*x.to, took)
		}
	}
	return middle(as[1:]), middle(bs[1:]), nil
}

// whole measures from the start of something to its end.
func whole(f func() error) func() (time.Duration, error) {
	return func() (time.Duration, error) {
		began := time.Now()
		err := f()
		return time.Since(began), err
	}
}

func quietly(cmd *exec.Cmd) error {
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s: %w: %s", filepath.Base(cmd.Path), err, out)
	}
	return nil
}

// bareRun makes a bundle with the same specification that proofbox gives the
// runtime, but for process 1, which is the command itself, and gives what runs
// it.
func (b *bench) bareRun(ctx context.Context, flavour oci.Flavour) (func() error, error) {
	r := &oci.Runtime{Flavour: flavour, Path: filepath.Join(b.bin, string(flavour))}
	bundle := filepath.Join(b.dir, "bundle-"+string(flavour))
	root := filepath.Join(bundle, "root")
	for _, dir := range []string{"proc", "dev", "tmp", "workspace", "home/box", "usr", "scratch"} {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil {
			return nil, err
		}
	}
	for _, link := range []string{"bin", "lib", "lib64"} {
		if err := os.Symlink("usr/"+link, filepath.Join(root, link)); err != nil {
			return nil, err
		}
	}
	if err := os.Chmod(b.dir, 0o755); err != nil {
		return nil, err
	}
	config, err := json.Marshal(bareSpec(r, root))
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(bundle, "config.json"), config, 0o644); err != nil {
		return nil, err
	}
	n := 0
	return func() error {
		n++
		return quietly(exec.CommandContext(ctx, r.Path, attached(r.Arguments(filepath.Join(b.dir, "oci"), bundle, fmt.Sprintf("bench%d", n)))...))
	}, nil
}

// firstID is where the IDs of the bare boxes begin.
const firstID = 1 << 29

func bareSpec(r *oci.Runtime, root string) *specs.Spec {
	spec := r.Spec(box.Layout{
		Hostname: "box", Root: root,
		Nested:  []jail.IDRange{{Inside: 0, Outside: firstID, Size: 1 << 16}},
		Rlimits: map[string]uint64{"RLIMIT_CORE": 0},
		Env:     []string{"PATH=/usr/bin"},
		Writable: []box.Mapping{
			{Source: filepath.Join(root, "scratch"), Target: "/workspace", Folder: true},
			{Source: filepath.Join(root, "scratch"), Target: "/tmp", Folder: true},
			{Source: filepath.Join(root, "scratch"), Target: "/home/box", Folder: true},
		},
	})
	spec.Process.Args = []string{"/usr/bin/true"}
	spec.Mounts = append(spec.Mounts, specs.Mount{
		Destination: "/usr", Type: "bind", Source: "/usr", Options: []string{"rbind", "ro", "nosuid", "nodev"},
	})
	return spec
}

// attached takes --detach off a command line: the rival's time is that of a
// whole run.
func attached(args []string) []string {
	return slices.DeleteFunc(args, func(a string) bool { return a == "--detach" })
}
