package breakout

import (
	"proofbox/internal/box"
)

// kernel is group G: interfaces of the kernel that have led out of boxes.
func kernel() []Probe {
	readable := box.Opening{Source: "{home-folder}", Target: "{home-folder}"}
	writable := box.Opening{Source: "{home-folder}", Target: "{home-folder}", Writable: true}
	list := []Probe{
		{ID: "G1", Title: "open an io_uring", Attack: []string{"io-uring"}, Oracle: holds("anon_inode:?io_uring?"), Twin: unfiltered()},
		{ID: "G2a", Title: "make a map for programs in the kernel (bpf)", Attack: []string{"bpf-map"}, Oracle: holds("anon_inode:bpf-map"), Twin: everything()},
		{ID: "G2b", Title: "load a program into the kernel (bpf)", Attack: []string{"bpf-program"}, Oracle: holds("anon_inode:bpf-prog"), Twin: everything()},
		{ID: "G3", Title: "open a userfaultfd", Attack: []string{"userfaultfd"}, Oracle: holds("anon_inode:?userfaultfd?"), Twin: unfiltered()},
		{ID: "G4a", Title: "put a key into the kernel's store", Attack: []string{"add-key", "{token}"}, Oracle: keyAdded(), Twin: unfiltered()},
		{ID: "G4b", Title: "make a keyring of the session", Attack: []string{"join-session", "{token}"}, Oracle: keyAdded(), Twin: unfiltered()},
		{ID: "G5", Title: "watch the processor (perf_event_open)", Attack: []string{"perf"}, Oracle: holds("anon_inode:?perf_event?"), Twin: unfiltered()},
		{ID: "G12a", Title: "call the kernel by its 32-bit table", Attack: []string{"compat"}, Oracle: holds("anon_inode:?io_uring?"), Twin: unfiltered()},
		{ID: "G12b", Title: "call the kernel by the x32 table", Attack: []string{"x32"}, Oracle: holds("anon_inode:?io_uring?"), Twin: unfiltered()},
		{ID: "G12c", Title: "set a personality of old programs", Attack: []string{"personality"}, Oracle: differs("personality", "personality"), Twin: unfiltered()},
		{ID: "G13", Title: "answer the system calls of others (seccomp listener)", Attack: []string{"listener"}, Oracle: holds("anon_inode:seccomp notify"), Twin: unfiltered()},
		{ID: "G14", Title: "write what Landlock keeps from being written", Attack: []string{"write-canary", box.CanaryPath, "{token}"}, Oracle: canaryWritten(), Twin: Setting{Weakness: box.Weakness{Landlock: true}}, Not: notGuest("the file is the guest's own, and no wall is behind it")},
		{ID: "G15a", Title: "watch the files of others (fanotify)", Attack: []string{"fanotify"}, Oracle: holds("anon_inode:?fanotify?"), Twin: unfiltered()},
		{ID: "G15b", Title: "have memory that the host cannot see (memfd_secret)", Attack: []string{"secret-memory"}, Oracle: holds("/secretmem*"), Twin: unfiltered()},
		{ID: "G15c", Title: "read the log of the host's kernel (syslog)", Attack: []string{"kernel-log"}, Oracle: revealed("kernel"), Twin: everything()},
	}
	for i, how := range []struct{ way, title string }{
		{"map", "write a read-only file of the host through a shared mapping"},
		{"memory", "write a read-only file of the host through /proc/self/mem (Dirty COW)"},
		{"pipe", "write a read-only file of the host through a pipe (Dirty Pipe)"},
		{"append", "write a read-only file of the host"},
		{"mode", "write a read-only file of the host after changing its mode"},
	} {
		list = append(list, Probe{
			ID: "G10" + string(rune('a'+i)), Title: how.title, Attack: []string{"spoil", how.way, "{home}", "{token}"},
			Oracle: changed("home"), Box: opened(readable), Twin: opened(writable),
		})
	}
	for _, s := range []struct {
		id, title string
		attack    []string
		protocol  string
		twin      Setting
	}{
		{"G6", "open a socket to the kernel's ciphers (AF_ALG, CVE-2026-31431)", []string{"socket", "38", "5", "0"}, "ALG", unfiltered()},
		{"G7", "open a packet socket (CVE-2020-14386)", []string{"socket", "17", "3", "768"}, "PACKET", ownRoot()},
		{"G8", "open a socket to the hypervisor (AF_VSOCK)", []string{"socket", "40", "1", "0"}, "AF_VSOCK", unfiltered()},
		{"G9b", "open a socket of the key management (AF_KEY)", []string{"socket", "15", "3", "2"}, "KEY", ownRoot()},
		{"G9c", "open a socket of the fast data path (AF_XDP)", []string{"socket", "44", "3", "0"}, "XDP", ownRoot()},
		{"G9d", "open a socket of a cluster (AF_TIPC)", []string{"socket", "30", "1", "0"}, "TIPC", unfiltered()},
	} {
		list = append(list, Probe{ID: s.id, Title: s.title, Attack: s.attack, Oracle: socketOf(s.protocol), Twin: s.twin})
	}
	list = append(list, Probe{ID: "G9a", Title: "talk to the kernel's packet filter (nf_tables, CVE-2024-1086)", Attack: []string{"socket", "16", "3", "12"}, Oracle: netlinkOf(12), Twin: unfiltered()})
	for i := range list {
		if list[i].Not == nil {
			list[i].Not = onlyKernel()
		}
	}
	return list
}
