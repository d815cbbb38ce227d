package jail_test

import (
	"bytes"
	native "encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"proofbox/internal/box/jail"
)

// refuse is a filter that answers one system call with EPERM and allows the
// others.
func refuse(t *testing.T, call uint32) []byte {
	t.Helper()
	var code bytes.Buffer
	for _, i := range []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS}, // the call's number
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, Jf: 1, K: call},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ERRNO | uint32(unix.EPERM)},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW},
	} {
		if err := native.Write(&code, native.NativeEndian, i); err != nil {
			t.Fatal(err)
		}
	}
	return code.Bytes()
}

// confined runs a script in a jail, as the box's user and under a filter that
// refuses uname(2), or, where free is set, as every other program of a jail.
func confined(t *testing.T, script string, free bool) string {
	t.Helper()
	plan := shellPlan(script)
	id := identity(t)
	if !free {
		plan.Program.Confine = &jail.Confinement{Nested: id.Nested, User: jail.BoxID, Filter: refuse(t, unix.SYS_UNAME)}
	}
	var log bytes.Buffer
	j, err := jail.Start(t.Context(), jail.Config{Binary: jailBinary(t), Identity: id, Plan: fixed(plan), Log: &log})
	if err != nil {
		t.Fatalf("starting the jail: %v\n%s", err, &log)
	}
	<-j.Status()
	j.Kill()
	<-j.Gone()
	if err := j.Scratch.Close(); err != nil {
		t.Error(err)
	}
	return log.String()
}

// TestConfinement tries what a program of a jail can do and a confined one must
// not be able to.
func TestConfinement(t *testing.T) {
	t.Parallel()
	for name, attack := range map[string]string{
		"mounts":     `mount -t tmpfs none /scratch 2>&1 && echo done`,
		"namespaces": `nsenter --target 1 --user --mount true && echo done`,
		"filter":     `uname >/dev/null && echo done`,
		"user":       `test "$(id -u)" = 0 && echo done`,
		"bounds":     `grep -q 'CapBnd:.*[1-9a-f]' /proc/self/status && echo done`,
		"the kernel": `head -c 1 /proc/interrupts >/dev/null 2>&1 && echo done`,
		"core dumps": `test "$(ulimit -c -H)" != 0 && echo done`,
	} {
		t.Run(name, func(t *testing.T) {
			if out := confined(t, attack, true); name != "namespaces" && !strings.Contains(out, "done") {
				t.Errorf("an unconfined program cannot do it either: %q", out)
			}
			if out := confined(t, attack, false); strings.Contains(out, "done") {
				t.Errorf("a confined program can do it: %q", out)
			}
		})
	}
	out := confined(t, `grep -E 'NoNewPrivs|Seccomp:|Cap' /proc/self/status`, false)
	for _, want := range []string{"NoNewPrivs:\t1", "Seccomp:\t2", "CapEff:\t0000000000000000", "CapInh:\t0000000000000000", "CapBnd:\t0000000000000000", "CapAmb:\t0000000000000000"} {
		if !strings.Contains(out, want) {
			t.Errorf("a confined program has no %q: %s", want, out)
		}
	}
}

// TestLending opens a file for writing that is bound read-only: without being
// lent it cannot be opened so, and lent it cannot be written.
func TestLending(t *testing.T) {
	t.Parallel()
	file := filepath.Join(sharedDir(t), "file")
	if err := os.WriteFile(file, []byte("as it was"), 0o666); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(file, 0o666); err != nil {
		t.Fatal(err)
	}
	bind := jail.Step{Bind: &jail.Bind{Source: file, Target: "/file"}}
	try := func(lent ...string) string {
		plan := shellPlan(`exec 4<>/file || exit 1; cat <&4; echo; (echo changed >&4) 2>&1`, bind)
		id := identity(t)
		plan.Program.Confine = &jail.Confinement{Nested: id.Nested, User: jail.BoxID, Filter: refuse(t, unix.SYS_UNAME), Lent: lent}
		var log bytes.Buffer
		j := start(t, plan, &log)
		<-j.Status()
		j.Kill()
		<-j.Gone()
		return log.String()
	}
	if out := try(); strings.Contains(out, "as it was") || !strings.Contains(out, "Read-only") {
		t.Errorf("without being lent: %q", out)
	}
	if out := try("/other", "/file"); !strings.Contains(out, "as it was") || !strings.Contains(out, "rror") {
		t.Errorf("lent: %q", out)
	}
	if text, err := os.ReadFile(file); err != nil || string(text) != "as it was" {
		t.Errorf("the file is %q, %v", text, err)
	}
}

// TestLendingIsNotInterrupted: a signal to whoever lends, as Go's runtime sends
// them to itself, costs the program neither the file nor the right descriptor.
func TestLendingIsNotInterrupted(t *testing.T) {
	t.Parallel()
	file := filepath.Join(sharedDir(t), "file")
	if err := os.WriteFile(file, []byte("as it was\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	plan := shellPlan(`i=0; while [ $i -lt 3000 ]; do exec 4<>/file || exit 1; read line <&4 || exit 2; exec 4<&-; i=$((i+1)); done; echo all`,
		jail.Step{Bind: &jail.Bind{Source: file, Target: "/file"}})
	plan.Program.Confine = &jail.Confinement{Nested: identity(t).Nested, User: jail.BoxID, Filter: refuse(t, unix.SYS_UNAME), Lent: []string{"/file"}}
	var log bytes.Buffer
	j := start(t, plan, &log)
	for ended := j.Status(); ; {
		select {
		case status := <-ended:
			if status != 0 || !strings.Contains(log.String(), "all") {
				t.Errorf("status %d, %q", status, &log)
			}
			return
		default:
			interrupt(t, j.PID)
		}
	}
}

// interrupt sends every thread of a process the signal that Go ends a system call
// early with.
func interrupt(t *testing.T, pid int) {
	t.Helper()
	tasks, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
	if err != nil {
		t.Fatal(err)
	}
	for _, task := range tasks {
		tid, err := strconv.Atoi(task.Name())
		if err != nil {
			t.Fatal(err)
		}
		if err := unix.Tgkill(pid, tid, unix.SIGURG); err != nil && !errors.Is(err, unix.ESRCH) {
			t.Fatal(err)
		}
	}
}

func TestConfinementWithoutAFilter(t *testing.T) {
	t.Parallel()
	plan := shellPlan(`echo ran`)
	id := identity(t)
	plan.Program.Confine = &jail.Confinement{Nested: id.Nested, User: jail.BoxID, Filter: []byte("odd")}
	var log bytes.Buffer
	j := start(t, plan, &log)
	if status := <-j.Status(); status == 0 || strings.Contains(log.String(), "ran") {
		t.Errorf("status %d, %q", status, &log)
	}
}
