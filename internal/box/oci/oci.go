// Package oci builds the container wall and the gVisor wall: it starts a box
// with an OCI runtime (runc, crun or runsc) from a bundle that gives the box
// nothing but what policy decided. See the OCI runtime specification.
package oci

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"

	"proofbox"
	"proofbox/internal/box"
	"proofbox/internal/box/jail"
)

// Flavour is what differs between OCI runtimes.
type Flavour string

const (
	Runc  Flavour = "runc"
	Crun  Flavour = "crun"
	Runsc Flavour = "runsc"
)

// Runtime starts boxes with one OCI runtime.
type Runtime struct {
	Flavour Flavour
	Path    string // of the runtime's binary on the host
}

var _ box.Runtime = (*Runtime)(nil)

// Wall implements [box.Runtime].
func (r *Runtime) Wall() proofbox.Wall {
	if r.Flavour == Runsc {
		return proofbox.Gvisor
	}
	return proofbox.Container
}

// Check implements [box.Runtime].
func (r *Runtime) Check(context.Context) error {
	info, err := os.Stat(r.Path)
	if err != nil {
		return fmt.Errorf("looking for %s: %w; `make build` builds it", r.Flavour, err)
	}
	if info.Mode().Perm()&0o111 == 0 {
		return fmt.Errorf("%s at %q is not executable", r.Flavour, r.Path)
	}
	return nil
}

// Places in the jail.
const (
	bundleDir  = "/bundle"
	stateDir   = "/state"
	runtimeDir = "/runtime"
)

// Steps implements [box.Runtime].
func (r *Runtime) Steps(l box.Layout) ([]jail.Step, jail.Program, error) {
	config, err := json.Marshal(r.Spec(l))
	if err != nil {
		return nil, jail.Program{}, fmt.Errorf("encoding the bundle: %w", err)
	}
	// runc opens its own binary by the folder that it lies in, so the jail
	// gets the folder.
	folder, name := path.Split(r.Path)
	binary := path.Join(runtimeDir, name)
	steps := []jail.Step{
		{Dir: &jail.Dir{Path: stateDir, Mode: 0o711}},
		{Dir: &jail.Dir{Path: "/tmp", Mode: 0o711}},
		{File: &jail.File{Path: path.Join(bundleDir, "config.json"), Mode: 0o400, Data: config}},
		{Bind: &jail.Bind{Source: folder, Target: runtimeDir, Folder: true}},
	}
	if r.Flavour != Runsc { // runsc is static; the others need the host's C library
		steps = append(steps, r.libraries()...)
	}
	return steps, jail.Program{
		Path: binary,
		Args: append([]string{string(r.Flavour)}, r.Arguments(stateDir, bundleDir, l.ID, r.weaker(l.Weak)...)...),
		Env:  []string{"PATH=/usr/bin:/bin", "XDG_RUNTIME_DIR=" + stateDir},
	}, nil
}

// Arguments is the runtime's command line, without its name, to start a bundle.
// The runtime ends when the box has started. Further options go before its
// command.
func (r *Runtime) Arguments(state, bundle, id string, options ...string) []string {
	run := append(options, "run", "--detach", "--bundle", bundle, id)
	if r.Flavour == Runsc {
		return append([]string{
			"--root", state, "--platform", "systrap", "--network", "none",
			"--ignore-cgroups", "--overlay2", "none", "--host-uds", "open", "--oci-seccomp",
			"--file-access", "exclusive", "--file-access-mounts", "exclusive",
		}, run...)
	}
	before := []string{"--root", state}
	if r.Flavour == Crun { // the limits are the jail's cgroup's
		before = append(before, "--cgroup-manager", "disabled")
	}
	return append(before, run...)
}

// libraries shows the runtime the host's system libraries, as folders or as the
// links to them that a merged /usr has, and the cgroup hierarchy, which it
// insists on seeing although it may change nothing there.
func (r *Runtime) libraries() []jail.Step {
	steps := []jail.Step{
		{Bind: &jail.Bind{Source: r.cgroups(), Target: "/sys/fs/cgroup", Folder: true}},
		{Bind: &jail.Bind{Source: "/usr", Target: "/usr", Folder: true}},
	}
	for _, dir := range []string{"/bin", "/lib", "/lib32", "/lib64", "/libx32"} {
		info, err := os.Lstat(dir)
		switch {
		case err != nil: // this host does not have it
		case info.IsDir():
			steps = append(steps, jail.Step{Bind: &jail.Bind{Source: dir, Target: dir, Folder: true}})
		default:
			target, err := os.Readlink(dir)
			if err == nil && strings.HasPrefix(path.Join("/", target), "/usr/") {
				steps = append(steps, jail.Step{Link: &jail.Link{Path: dir, Target: target}})
			}
		}
	}
	return steps
}

// cgroups is the hierarchy that the runtime gets to see. crun does without
// cgroups only where all it sees is version 2.
func (r *Runtime) cgroups() string {
	const all, unified = "/sys/fs/cgroup", "/sys/fs/cgroup/unified"
	if _, err := os.Stat(unified); err == nil && r.Flavour == Crun {
		return unified
	}
	return all
}

// idMappings puts ID ranges as the specification has them.
func idMappings(ranges []jail.IDRange) []specs.LinuxIDMapping {
	m := make([]specs.LinuxIDMapping, len(ranges))
	for i, r := range ranges {
		m[i] = specs.LinuxIDMapping{ContainerID: uint32(r.Inside), HostID: uint32(r.Outside), Size: uint32(r.Size)}
	}
	return m
}
