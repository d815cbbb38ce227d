package oci

import (
	"os"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"proofbox/internal/box"
	"proofbox/internal/box/jail"
)

// allCapabilities are those of capabilities(7), by their numbers.
var allCapabilities = []string{
	"CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_DAC_READ_SEARCH", "CAP_FOWNER", "CAP_FSETID",
	"CAP_KILL", "CAP_SETGID", "CAP_SETUID", "CAP_SETPCAP", "CAP_LINUX_IMMUTABLE",
	"CAP_NET_BIND_SERVICE", "CAP_NET_BROADCAST", "CAP_NET_ADMIN", "CAP_NET_RAW", "CAP_IPC_LOCK",
	"CAP_IPC_OWNER", "CAP_SYS_MODULE", "CAP_SYS_RAWIO", "CAP_SYS_CHROOT", "CAP_SYS_PTRACE",
	"CAP_SYS_PACCT", "CAP_SYS_ADMIN", "CAP_SYS_BOOT", "CAP_SYS_NICE", "CAP_SYS_RESOURCE",
	"CAP_SYS_TIME", "CAP_SYS_TTY_CONFIG", "CAP_MKNOD", "CAP_LEASE", "CAP_AUDIT_WRITE",
	"CAP_AUDIT_CONTROL", "CAP_SETFCAP", "CAP_MAC_OVERRIDE", "CAP_MAC_ADMIN", "CAP_SYSLOG",
	"CAP_WAKE_ALARM", "CAP_BLOCK_SUSPEND", "CAP_AUDIT_READ", "CAP_PERFMON", "CAP_BPF",
	"CAP_CHECKPOINT_RESTORE",
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
	all := allCapabilities
	if w.HostUsers {
		all = ownCapabilities()
	}
	if w.Root || w.Setuid {
		c.Bounding = all
	}
	if w.Root {
		c.Effective, c.Permitted, c.Inheritable = all, all, all
	}
	return c
}

// ownCapabilities are those that this process can give: a host may be a
// container itself.
func ownCapabilities() []string {
	var own []string
	for number, name := range allCapabilities {
		has, err := unix.PrctlRetInt(unix.PR_CAPBSET_READ, uintptr(number), 0, 0, 0)
		if err == nil && has == 1 {
			own = append(own, name)
		}
	}
	return own
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
		options := []string{"rbind"}
		if o.Writable && l.Weak.HostUsers { // it is read-only in the jail
			options = append(options, "rrw")
		}
		list = append(list, specs.Mount{
			Destination: o.Target, Type: "bind", Source: l.Opened(n), Options: options,
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
	if len(w.Binds) > 0 { // what is written must be on the host when it is looked at
		options = append(options, "--file-access-mounts", "shared")
	}
	return options
}

// environment is what process 1 starts with, and, where a trial says so, all that
// proofbox has. Commands get theirs from the door.
func environment(l box.Layout) []string {
	if l.Weak.Environment {
		return append(os.Environ(), l.Env...)
	}
	return l.Env
}

// hostname is none where a trial shares the host's.
func hostname(l box.Layout) string {
	if l.Weak.UTS {
		return ""
	}
	return l.Hostname
}
