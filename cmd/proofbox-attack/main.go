// Command proofbox-attack is what breaks out, or tries to: it runs inside a box
// and carries out one attack of the suite in internal/breakout. It is harmless
// where it succeeds: it reads planted flags, leaves marks in planted files and
// holds what it has opened until the host has looked.
//
// There is one file a group of the catalogue. An attack does not judge itself.
package main

import (
	"fmt"
	"io"
	"maps"
	"os"
	"runtime"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"proofbox/internal/breakout/order"
)

// attack makes one attempt. What it has opened, mapped or started stays until
// the process ends.
type attack func(args []string) order.Report

// attacks are all of them, by name.
func attacks() map[string]attack {
	all := map[string]attack{}
	for _, group := range []map[string]attack{
		files, procs, devices, mounts, namespaces, processes, calls, groups, sockets,
		egress, gateways, sharing, exhaustion, remains, copyout, output, channels, planted, snapshots, uses,
	} {
		maps.Copy(all, group)
	}
	return all
}

// patience is how long an attack or ordinary work may take, with the time that
// the host looks: on an emulated processor much is slow.
const patience = 6 * time.Minute

func main() {
	if len(os.Args) < 2 {
		fail("usage: proofbox-attack ATTACK [ARG…]; attacks are %v", slices.Sorted(maps.Keys(attacks())))
	}
	name, args := os.Args[1], os.Args[2:]
	if name == "wait" {
		go floodWhenTold()
		hold()
		return
	}
	hold := hold
	if name == order.Stay && len(args) > 0 {
		name, args, hold = args[0], args[1:], stay
	}
	run, ok := attacks()[name]
	if !ok {
		fail("there is no attack %q", name)
	}
	time.AfterFunc(patience, func() { fail("the attack %q has taken too long", name) })
	runtime.LockOSThread() // namespaces and the like belong to a thread
	if _, err := os.Stdout.Write(run(args).Line()); err != nil {
		fail("reporting: %v", err)
	}
	hold()
}

// hold waits for the host, which ends the standard input when it has looked.
func hold() {
	_, _ = io.Copy(io.Discard, os.Stdin) // an error ends it as well
}

// stay waits to be killed, where there is no input that could end.
func stay() {
	for {
		_ = unix.Pause()
	}
}

func fail(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "proofbox-attack: "+format+"\n", args...)
	os.Exit(2)
}

// said reports how an attempt went: err in words, or what was done.
func said(err error, done string) order.Report {
	if err != nil {
		return order.Report{Said: err.Error()}
	}
	return order.Report{Said: done}
}

// without reports an attempt at something that the kernel may not have, which it
// says with one of some errors.
func without(err error, what string, says ...unix.Errno) order.Report {
	r := said(err, what+" worked")
	for _, errno := range says {
		if err == errno {
			r.Absent = fmt.Sprintf("this kernel does not have %s (%v)", what, errno)
		}
	}
	return r
}
