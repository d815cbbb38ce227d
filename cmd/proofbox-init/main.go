// Command proofbox-init is process 1 in every box. It comes to the door, does
// what the host asks there and ends with it; the kernel ends the box with its
// process 1.
package main

import (
	"flag"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"syscall"

	"proofbox/internal/door/inside"
)

func main() {
	path := flag.String("door", "/run/proofbox/door", "the socket to open")
	flag.Parse()
	// Its threads and memory count against the box's limits.
	runtime.GOMAXPROCS(min(2, runtime.NumCPU()))
	debug.SetGCPercent(50)
	// A process of the box must not be able to end the box with a signal; the
	// kernel keeps SIGKILL and SIGSTOP from process 1. They are caught and not
	// ignored, because commands would inherit that.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP, syscall.SIGQUIT,
		syscall.SIGPIPE, syscall.SIGUSR1, syscall.SIGUSR2, syscall.SIGALRM)
	err := inside.Dial(*path)
	fmt.Fprintln(os.Stderr, "proofbox-init:", err)
	os.Exit(1)
}
