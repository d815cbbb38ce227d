// Command proofbox-init is process 1 in every box. It comes to the door, does
// what the host asks there and ends with it; the kernel ends the box with its
// process 1. In a box with a kernel of its own it is that kernel's first
// process, too.
package main

import (
	"flag"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"

	"proofbox/internal/door/guest"
	"proofbox/internal/door/inside"
)

func main() {
	path := flag.String("door", "/run/proofbox/door", "the socket to open")
	// Its threads and memory count against the box's limits.
	runtime.GOMAXPROCS(min(2, runtime.NumCPU()))
	debug.SetGCPercent(50)
	// A process of the box must not be able to end the box with a signal, also
	// not with one that stands for a fault; the kernel keeps SIGKILL and SIGSTOP
	// from process 1. They are caught and not ignored, because commands would
	// inherit that.
	signal.Notify(make(chan os.Signal, 1))
	if os.Getpid() == 1 && os.Args[0] == guest.Program {
		guest.Boot()
	}
	flag.Parse()
	fmt.Fprintln(os.Stderr, "proofbox-init:", serve(*path, flag.Args()))
	os.Exit(1)
}

// serve serves the door as it is there behind each wall.
func serve(path string, args []string) error {
	if len(args) > 0 && args[0] == guest.BoxArg {
		return guest.Box(args[1:])
	}
	return inside.Dial(path)
}
