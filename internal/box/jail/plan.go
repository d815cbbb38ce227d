// Package jail starts the process that every wall's runtime lives under: a
// jail of fresh user, mount, PID, network, IPC, UTS and cgroup namespaces with
// a root of its own, in which nothing of the host is left but what its [Plan]
// names.
//
// A runtime in a jail (an OCI runtime, a virtual machine monitor) is not root
// on the host, has no network and sees no host file, even where proofbox
// itself was started by root; a hole in the runtime opens into the jail. The
// jail's process 1 is cmd/proofbox-jail. The kernel ends every process of a
// PID namespace with its process 1 and takes down every mount of a mount
// namespace with its last process, so one kill tears all of it down.
package jail

import "io/fs"

// Plan says what a jail's root holds and which program runs in it. Paths are
// absolute, inside the jail. Steps are carried out in their order.
type Plan struct {
	Steps []Step `json:"steps"`
	// Scratch is the folder of which the parent gets a file descriptor, so
	// that it can read what is there once the jail is gone.
	Scratch string  `json:"scratch"`
	Program Program `json:"program"`
	// Counts bounds how many there may be of what the kernel counts for a user
	// namespace and, with that, for whoever has made it: names of
	// /proc/sys/user. See namespaces(7) and inotify(7).
	Counts map[string]int `json:"counts,omitempty"`
	// Setuid, which a trial alone sets, lets set-user-ID bits work.
	Setuid bool `json:"setuid,omitempty"`
}

// Program is what runs in the jail.
type Program struct {
	Path string   `json:"path"`
	Args []string `json:"args"` // with the program's own name first
	Env  []string `json:"env"`
	// CPUs is how many processors the program may run on; 0 for all that the
	// jail itself may.
	CPUs int `json:"cpus,omitempty"`
	// FileSize and Memory bound, in bytes, a file that the program writes and
	// the memory that is its own; 0 where they are not bounded. See RLIMIT_FSIZE
	// and RLIMIT_DATA in getrlimit(2).
	FileSize int64 `json:"file_size,omitempty"`
	Memory   int64 `json:"memory,omitempty"`
	// Confine, where it is set, takes from the program what the jail itself
	// still has. A runtime that makes namespaces needs that; one that does not
	// must not have it.
	Confine *Confinement `json:"confine,omitempty"`
}

// Confinement starts a program as an ordinary user, in a user and a mount
// namespace of its own below the jail's, so that it has no power over the
// jail's mounts and processes, without capabilities, not even as a bound to what
// it could gain, and under a filter of system calls.
type Confinement struct {
	// Nested maps the IDs of the new user namespace to the jail's.
	Nested []IDRange `json:"nested"`
	// User is the user and group ID, in the new namespace, of the program.
	User int `json:"user"`
	// Filter is a seccomp filter: an array of struct sock_filter, in the
	// machine's byte order; see seccomp(2). It must allow execve(2) and what a
	// program of Go does around it.
	Filter []byte `json:"filter"`
	// Lent lists files of the jail, bound read-only, that the program opens for
	// reading and writing: it gets them for reading alone and is not told.
	Lent []string `json:"lent,omitempty"`
}

// Step makes one thing in the jail's root. Exactly one field is set.
type Step struct {
	Dir      *Dir      `json:"dir,omitempty"`
	Link     *Link     `json:"link,omitempty"`
	File     *File     `json:"file,omitempty"`
	Bind     *Bind     `json:"bind,omitempty"`
	Tmpfs    *Tmpfs    `json:"tmpfs,omitempty"`
	Overlay  *Overlay  `json:"overlay,omitempty"`
	Whiteout *Whiteout `json:"whiteout,omitempty"`
}

// Dir is a folder; missing parents are made with mode 0755.
type Dir struct {
	Path string      `json:"path"`
	Mode fs.FileMode `json:"mode"`
	// Owner is the ID, in the jail, of its owner and group.
	Owner int `json:"owner,omitempty"`
}

// Link is a symbolic link.
type Link struct {
	Path   string `json:"path"`
	Target string `json:"target"`
}

// File is a small regular file.
type File struct {
	Path string      `json:"path"`
	Mode fs.FileMode `json:"mode"`
	Data []byte      `json:"data"`
	// Owner is the ID, in the jail, of its owner and group.
	Owner int `json:"owner,omitempty"`
}

// Bind shows a file or folder of the host, with all that is mounted below it.
// Without Writable it is read-only; it is nosuid and nodev in every case
// unless Devices is set.
type Bind struct {
	// Source is a path on the host. It is empty where the parent has cloned
	// the mount itself and handed it over as Attached.
	Source string `json:"source,omitempty"`
	// Attached is the index of a file beside the plan that holds a detached
	// mount; used where Source is empty. See [Config.Plan].
	Attached int    `json:"attached,omitempty"`
	Target   string `json:"target"`
	// Folder says what the mount point must be.
	Folder   bool `json:"folder,omitempty"`
	Writable bool `json:"writable,omitempty"`
	// Devices lets device nodes in the bind work: for /dev/null and its like.
	Devices bool `json:"devices,omitempty"`
}

// Tmpfs is an empty file system in memory.
type Tmpfs struct {
	Target string      `json:"target"`
	Size   int64       `json:"size"` // bytes
	Inodes int64       `json:"inodes"`
	Mode   fs.FileMode `json:"mode"`
}

// Overlay is a writable view of Lower: what is written goes to Upper.
type Overlay struct {
	// Lower lists the read-only layers, the topmost first.
	Lower  []string `json:"lower"`
	Upper  string   `json:"upper"`
	Work   string   `json:"work"`
	Target string   `json:"target"`
}

// Whiteout makes a path of lower overlay layers not exist.
type Whiteout struct {
	Path string `json:"path"`
}

// ControlFD is the file descriptor that the jail's process 1 starts with: a
// SOCK_SEQPACKET socket of reports and orders.
const ControlFD = 3

// Report is what the jail tells its parent, one JSON document a message.
type Report struct {
	// Built is sent once, with a descriptor of the scratch folder, when all
	// steps are done and the program was started.
	Built bool `json:"built,omitempty"`
	// Exited is sent once, when the program has ended.
	Exited bool `json:"exited,omitempty"`
	Status int  `json:"status,omitempty"` // as a shell has it: 128 + signal
	// Empty is sent when no process but the jail's own is left.
	Empty bool `json:"empty,omitempty"`
	// Used answers the order [Look].
	Used *Used `json:"used,omitempty"`
	// Error ends the jail.
	Error string `json:"error,omitempty"`
}

// Used is what the processes of a box use, as far as a look from the jail can
// tell; what only serves the box is not counted.
type Used struct {
	Bytes int64 `json:"bytes"` // of memory
	Tasks int   `json:"tasks"`
}

// Orders that the parent sends, one a message.
const (
	// Mapped says that the ID mappings of a jail that was started without them
	// are written.
	Mapped = "mapped"
	// Attached comes with the plan's next files, at most [MaxAttached] of them.
	Attached = "attached"
	// Planned comes with one file, which is the plan as JSON.
	Planned = "planned"
	// Look asks for a report of what the box uses.
	Look = "look"
)

// MaxAttached is how many files can come with one message: the kernel's bound is
// 253; see unix(7), SCM_RIGHTS.
const MaxAttached = 250

// AwaitMapping is the argument that tells cmd/proofbox-jail to wait for
// [Mapped] and start itself anew, which gives it the capabilities that a
// process without a mapped ID loses.
const AwaitMapping = "--await-mapping"

// Confine is the argument that tells cmd/proofbox-jail to become a [Program],
// which follows as JSON, in its [Confinement].
const Confine = "--confine"
