// Command proofbox-jail is process 1 of a jail. It is started by package
// internal/box/jail in fresh namespaces with the descriptors that package
// names; it builds the jail's root as the plan says, moves into it, runs the
// plan's program and reaps what is left over. It ends, and the kernel ends the
// jail with it, when its parent does.
package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"syscall"

	"golang.org/x/sys/unix"

	"proofbox/internal/box/jail"
)

// maxPlan bounds the plan, which the parent wrote.
const maxPlan = 64 << 20

func main() {
	if len(os.Args) == 2 && os.Args[1] == jail.AwaitMapping {
		exitOn(awaitMapping())
	}
	if len(os.Args) == 3 && os.Args[1] == jail.Confine {
		fmt.Fprintln(os.Stderr, "proofbox-jail:", become(os.Args[2])) // there is no control socket any more
		os.Exit(1)
	}
	exitOn(build())
	exitOn(supervise())
}

// exitOn reports an error to the parent and ends the jail.
func exitOn(err error) {
	if err == nil {
		return
	}
	if rerr := report(jail.Report{Error: err.Error()}, nil); rerr != nil {
		fmt.Fprintln(os.Stderr, "proofbox-jail:", err, rerr)
	}
	os.Exit(1)
}

// awaitMapping waits until the parent has written the ID mappings and then
// starts this program anew: the process had no mapped ID when it was started
// and lost its capabilities then; ID 0 gets them back.
func awaitMapping() error {
	if err := await(jail.Mapped); err != nil {
		return err
	}
	return fmt.Errorf("starting anew: %w", syscall.Exec("/proc/self/exe", os.Args[:1], nil))
}

// await waits for an order of the parent, which must be the given one. A parent
// that has ended gives none.
func await(order string) error {
	got, _, err := hear()
	if err != nil {
		return fmt.Errorf("waiting to be %s: %w", order, err)
	}
	if got != order {
		return fmt.Errorf("waiting to be %s: got the order %q", order, got)
	}
	return nil
}

// hear waits for an order of the parent, and gives the descriptors that came
// with it.
func hear() (order string, files []int, err error) {
	buf, oob := make([]byte, 64), make([]byte, unix.CmsgSpace(4*jail.MaxAttached))
	n, oobn, _, _, err := unix.Recvmsg(jail.ControlFD, buf, oob, unix.MSG_CMSG_CLOEXEC)
	if err != nil || oobn == 0 {
		return string(buf[:n]), nil, err
	}
	messages, err := unix.ParseSocketControlMessage(oob[:oobn])
	if err != nil {
		return "", nil, err
	}
	files, err = unix.ParseUnixRights(&messages[0])
	return string(buf[:n]), files, err
}

// obey carries out the parent's orders until the control socket closes, and
// ends the jail then.
func obey() {
	buf := make([]byte, 64)
	for {
		n, err := unix.Read(jail.ControlFD, buf)
		switch {
		case err == unix.EINTR:
		case err == nil && string(buf[:n]) == jail.Look:
			exitOn(report(jail.Report{Used: look()}, nil))
		default:
			os.Exit(0)
		}
	}
}

func build() error {
	if err := nameProcess(); err != nil {
		return err
	}
	plan, attached, err := awaitPlan()
	if err != nil {
		return err
	}
	if !plan.Setuid {
		if err := noNewPrivileges(); err != nil {
			return err
		}
	}
	scratch, err := buildRoot(plan, attached)
	if err != nil {
		return err
	}
	defer scratch.Close()
	go obey()
	if err := startProgram(plan.Program); err != nil {
		return err
	}
	return report(jail.Report{Built: true}, scratch)
}

// awaitPlan waits for the plan and for the mounts that come before it.
func awaitPlan() (plan jail.Plan, attached []int, err error) {
	for {
		order, files, err := hear()
		switch {
		case err != nil:
			return plan, nil, fmt.Errorf("waiting for the plan: %w", err)
		case order == jail.Attached:
			attached = append(attached, files...)
		case order == jail.Planned && len(files) == 1:
			plan, err = readPlan(files[0])
			return plan, attached, err
		default:
			return plan, nil, fmt.Errorf("waiting for the plan: got the order %q with %d files", order, len(files))
		}
	}
}

func readPlan(fd int) (jail.Plan, error) {
	var plan jail.Plan
	f := os.NewFile(uintptr(fd), "plan")
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxPlan))
	if err != nil {
		return plan, fmt.Errorf("reading the plan: %w", err)
	}
	if err := json.Unmarshal(data, &plan); err != nil {
		return plan, fmt.Errorf("reading the plan: %w", err)
	}
	return plan, nil
}

// nameProcess gives this process its name in listings: it was started by a
// descriptor, whose number is all that the kernel has for a name.
func nameProcess() error {
	if err := os.WriteFile("/proc/self/comm", []byte("proofbox-jail"), 0); err != nil {
		return fmt.Errorf("naming the jail's process: %w", err)
	}
	return nil
}

// noNewPrivileges makes sure that no program in the jail gains anything from a
// setuid bit or file capabilities, on every thread of this process.
func noNewPrivileges() error {
	_, _, errno := syscall.AllThreadsSyscall6(unix.SYS_PRCTL, unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0, 0)
	if errno != 0 {
		return fmt.Errorf("setting no new privileges: %w", errno)
	}
	return nil
}

// report sends one message to the parent, with a file where there is one.
func report(r jail.Report, f *os.File) error {
	data, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("encoding a report: %w", err)
	}
	var rights []byte
	if f != nil {
		rights = unix.UnixRights(int(f.Fd()))
	}
	if err := unix.Sendmsg(jail.ControlFD, data, rights, nil, 0); err != nil {
		return fmt.Errorf("sending a report: %w", err)
	}
	return nil
}
