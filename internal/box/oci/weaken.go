package oci

import (
	"github.com/opencontainers/runtime-spec/specs-go"

	"proofbox/internal/box"
	"proofbox/internal/box/jail"
)

// allCapabilities are those of capabilities(7).
var allCapabilities = []string{
	"CAP_AUDIT_CONTROL", "CAP_AUDIT_READ", "CAP_AUDIT_WRITE", "CAP_BLOCK_SUSPEND", "CAP_BPF",
	"CAP_CHECKPOINT_RESTORE", "CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_DAC_READ_SEARCH", "CAP_FOWNER",
	"CAP_FSETID", "CAP_IPC_LOCK", "CAP_IPC_OWNER", "CAP_KILL", "CAP_LEASE", "CAP_LINUX_IMMUTABLE",
	"CAP_MAC_ADMIN", "CAP_MAC_OVERRIDE", "CAP_MKNOD", "CAP_NET_ADMIN", "CAP_NET_BIND_SERVICE",
	"CAP_NET_BROADCAST", "CAP_NET_RAW", "CAP_PERFMON", "CAP_SETFCAP", "CAP_SETGID", "CAP_SETPCAP",
	"CAP_SETUID", "CAP_SYSLOG", "CAP_SYS_ADMIN", "CAP_SYS_BOOT", "CAP_SYS_CHROOT", "CAP_SYS_MODULE",
	"CAP_SYS_NICE", "CAP_SYS_PACCT", "CAP_SYS_PTRACE", "CAP_SYS_RAWIO", "CAP_SYS_RESOURCE",
	"CAP_SYS_TIME", "CAP_SYS_TTY_CONFIG", "CAP_WAKE_ALARM",
}

// owner is whose process 1 is: the box's user, unless a trial wants root.
func owner(w box.Weakness) specs.User {
	if w.Root {
		return specs.User{}
	}
	return specs.User{UID: jail.BoxID, GID: jail.BoxID}
}

// capabilities are none, unless a trial wants root. A box in which set-user-ID
// bits work keeps them in its bounding set: they are what there is to gain.
func capabilities(w box.Weakness) *specs.LinuxCapabilities {
	c := &specs.LinuxCapabilities{}
	if w.Root || w.Setuid {
		c.Bounding = allCapabilities
	}
	if w.Root {
		c.Effective, c.Permitted, c.Inheritable = allCapabilities, allCapabilities, allCapabilities
	}
	return c
}

// procMount is the box's own /proc, or, where a trial shares the jail's process
// IDs, the jail's.
func procMount(w box.Weakness) specs.Mount {
	options := []string{"nosuid", "noexec", "nodev"}
	if w.Processes {
		return specs.Mount{Destination: "/proc", Type: "bind", Source: "/proc", Options: append(options, "rbind")}
	}
	return specs.Mount{Destination: "/proc", Type: "proc", Source: "proc", Options: options}
}

// openings are what a trial shows of the host. Their restrictions were set in
// the jail.
func openings(l box.Layout) []specs.Mount {
	var list []specs.Mount
	for n, o := range l.Weak.Binds {
		list = append(list, specs.Mount{
			Destination: o.Target, Type: "bind", Source: l.Opened(n), Options: []string{"rbind"},
		})
	}
	return list
}

// weaker are the runtime's options for a trial.
func (r *Runtime) weaker(w box.Weakness) []string {
	var options []string
	if r.Flavour != Runsc {
		if w.HostUsers { // else it wants cgroups of its own
			options = append(options, "--rootless", "true")
		}
		return options
	}
	if w.Calls {
		options = append(options, "--oci-seccomp=false")
	}
	if w.Network {
		options = append(options, "--network", "host")
	}
	return options
}
