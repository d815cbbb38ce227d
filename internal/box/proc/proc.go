// Package proc says which parts of /proc a box does not get to see, or to
// change, behind every wall.
package proc

// Masked are files that a box must not read; they tell of the kernel below it,
// and of the host where that is the host's.
var Masked = []string{
	"/proc/acpi", "/proc/asound", "/proc/interrupts", "/proc/kallsyms", "/proc/kcore",
	"/proc/keys", "/proc/key-users", "/proc/kmsg", "/proc/kpagecgroup", "/proc/kpagecount",
	"/proc/kpageflags", "/proc/latency_stats", "/proc/modules", "/proc/partitions",
	"/proc/sched_debug", "/proc/schedstat", "/proc/scsi", "/proc/slabinfo",
	"/proc/timer_list", "/proc/timer_stats", "/proc/vmallocinfo", "/proc/zoneinfo",
	"/proc/sysrq-trigger", "/proc/config.gz", "/proc/diskstats", "/proc/iomem", "/proc/ioports",
	"/proc/mtrr", "/proc/swaps",
}

// ReadOnly are parts that a box may read only.
var ReadOnly = []string{"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys"}
