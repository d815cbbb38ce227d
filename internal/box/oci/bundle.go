package oci

import (
	"maps"
	"slices"

	"github.com/opencontainers/runtime-spec/specs-go"

	"proofbox/internal/box"
	"proofbox/internal/box/proc"
	"proofbox/internal/box/seccomp"
)

// namespaces are those that the box has of its own, beside the jail's.
var namespaces = []specs.LinuxNamespaceType{
	specs.UserNamespace, specs.MountNamespace, specs.PIDNamespace, specs.NetworkNamespace,
	specs.IPCNamespace, specs.UTSNamespace, specs.CgroupNamespace,
}

// Spec is the configuration of a bundle.
func (r *Runtime) Spec(l box.Layout) *specs.Spec {
	spec := &specs.Spec{
		Version:  "1.0.2",
		Hostname: hostname(l),
		Root:     &specs.Root{Path: l.Root, Readonly: !l.Weak.WritableRoot},
		Process: &specs.Process{
			User:            owner(l.Weak),
			Args:            append([]string{box.InitPath}, box.InitArgs[1:]...),
			Env:             environment(l),
			Cwd:             "/",
			Capabilities:    capabilities(l.Weak),
			NoNewPrivileges: !l.Weak.Setuid,
			Rlimits:         rlimits(l),
		},
		Mounts: mounts(l),
		Linux:  r.linux(l),
	}
	if r.Flavour == Crun {
		bindReadOnly(spec)
	}
	return spec
}

// bindReadOnly says as mounts which parts of /proc are read-only: crun, when it
// makes them so itself, drops the other restrictions that they have.
func bindReadOnly(spec *specs.Spec) {
	proc := slices.IndexFunc(spec.Mounts, func(m specs.Mount) bool { return m.Destination == "/proc" })
	for i, p := range spec.Linux.ReadonlyPaths {
		spec.Mounts = slices.Insert(spec.Mounts, proc+1+i, specs.Mount{
			Destination: p, Type: "bind", Source: p, Options: []string{"rbind", "ro", "nosuid", "nodev", "noexec"},
		})
	}
	spec.Linux.ReadonlyPaths = nil
}

// linux is what Linux itself holds the box with, less what a trial leaves out.
func (r *Runtime) linux(l box.Layout) *specs.Linux {
	s := &specs.Linux{
		Namespaces:    ownNamespaces(l.Weak),
		UIDMappings:   idMappings(l.Nested),
		GIDMappings:   idMappings(l.Nested),
		MaskedPaths:   proc.Masked,
		ReadonlyPaths: proc.ReadOnly,
		Seccomp:       r.filter(l),
	}
	if l.Weak.HostUsers {
		s.UIDMappings, s.GIDMappings = nil, nil
	}
	if l.Weak.Masks {
		s.MaskedPaths, s.ReadonlyPaths = nil, nil
	}
	if l.Weak.Calls {
		s.Seccomp = nil
	}
	return s
}

// filter is the list of system calls that the box may make: of the host's
// kernel, or of gVisor's.
func (r *Runtime) filter(l box.Layout) *specs.LinuxSeccomp {
	switch {
	case r.Flavour == Runsc:
		return seccomp.GvisorProfile()
	case l.Counted:
		return seccomp.CountedProfile()
	}
	return seccomp.Profile()
}

func ownNamespaces(w box.Weakness) []specs.LinuxNamespace {
	without := map[specs.LinuxNamespaceType]bool{
		specs.UserNamespace: w.HostUsers, specs.NetworkNamespace: w.Network,
		specs.IPCNamespace: w.IPC, specs.UTSNamespace: w.UTS, specs.CgroupNamespace: w.Groups, specs.PIDNamespace: w.Processes,
	}
	var own []specs.LinuxNamespace
	for _, n := range namespaces {
		if !without[n] {
			own = append(own, specs.LinuxNamespace{Type: n})
		}
	}
	return own
}

func rlimits(l box.Layout) []specs.POSIXRlimit {
	var list []specs.POSIXRlimit
	limits := l.Rlimits
	if l.Weak.Rlimits {
		limits = nil
	}
	for _, name := range slices.Sorted(maps.Keys(limits)) {
		list = append(list, specs.POSIXRlimit{Type: name, Hard: limits[name], Soft: limits[name]})
	}
	return list
}

// mounts are those that the runtime makes; everything else that a box sees is
// already in its root.
func mounts(l box.Layout) []specs.Mount {
	list := []specs.Mount{
		procMount(l.Weak),
		{Destination: "/dev", Type: "tmpfs", Source: "tmpfs", Options: []string{"nosuid", "noexec", "mode=755", "size=64k"}},
		{Destination: "/dev/pts", Type: "devpts", Source: "devpts", Options: []string{"nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"}},
		{Destination: "/dev/shm", Type: "tmpfs", Source: "shm", Options: []string{"nosuid", "noexec", "nodev", "mode=1777", "size=64m"}},
	}
	for _, m := range l.Writable {
		list = append(list, specs.Mount{
			Destination: m.Target, Type: "bind", Source: m.Source,
			Options: []string{"rbind", "rw", "nosuid", "nodev"},
		})
	}
	return append(list, openings(l)...)
}
