package jail_test

import (
	"bytes"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"proofbox/internal/box/jail"
)

// bare is a jail with nothing in it but a program and what it is linked to.
func bare(t *testing.T, program string, args ...string) jail.Plan {
	t.Helper()
	steps, err := jail.Closure(program)
	if err != nil {
		t.Fatal(err)
	}
	steps = append(steps,
		jail.Step{Bind: &jail.Bind{Source: "/dev/null", Target: "/dev/null", Devices: true, Writable: true}},
		jail.Step{Tmpfs: &jail.Tmpfs{Target: "/scratch", Size: 64 << 20, Inodes: 100, Mode: 0o777}})
	return jail.Plan{Steps: steps, Scratch: "/scratch", Program: jail.Program{
		Path: program, Args: append([]string{filepath.Base(program)}, args...), Env: []string{jail.LibraryEnv},
	}}
}

// runPlan gives what a jail's program said and its exit status.
func runPlan(t *testing.T, plan jail.Plan) (string, int) {
	t.Helper()
	var log bytes.Buffer
	j := start(t, plan, &log)
	status := <-j.Status()
	j.Kill()
	<-j.Gone()
	return log.String(), status
}

// TestClosure: programs run with what they are linked to and nothing else. The
// second one needs more than the C library.
func TestClosure(t *testing.T) {
	t.Parallel()
	out, status := runPlan(t, bare(t, "/usr/bin/echo", "alone"))
	if out != "alone\n" || status != 0 {
		t.Errorf("echo: status %d, %q", status, out)
	}
	out, status = runPlan(t, bare(t, "/usr/bin/ls", "/", "/lib"))
	if status != 0 || strings.Contains(out, "usr/lib") || !strings.Contains(out, "libc.so.6") {
		t.Errorf("ls: status %d, %q", status, out)
	}
	// Without its libraries the program does not start.
	plan := bare(t, "/usr/bin/echo", "alone")
	plan.Steps = append(plan.Steps[:2:2], plan.Steps[len(plan.Steps)-2:]...)
	if out, status := runPlan(t, plan); status == 0 {
		t.Errorf("without libraries: %q", out)
	}
}

func TestClosureOfWhatIsNone(t *testing.T) {
	t.Parallel()
	for _, path := range []string{"/usr/bin/no-such-program", "/etc/passwd", "/etc"} {
		if _, err := jail.Closure(path); err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: the error is %v", path, err)
		}
	}
}

// TestProgramIsBounded: a program writes no larger file, and takes no more
// memory, than its plan says. Without the bound it does.
func TestProgramIsBounded(t *testing.T) {
	t.Parallel()
	dd, err := exec.LookPath("dd")
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		args  []string
		bound func(*jail.Program)
	}{
		"file size": {[]string{"if=/dev/zero", "of=/scratch/f", "bs=1M", "count=8"}, func(p *jail.Program) { p.FileSize = 1 << 20 }},
		"memory":    {[]string{"if=/dev/zero", "of=/dev/null", "bs=512M", "count=1"}, func(p *jail.Program) { p.Memory = 384 << 20 }},
	} {
		for _, bounded := range []bool{false, true} {
			plan := bare(t, dd, c.args...)
			plan.Steps = append(plan.Steps, jail.Step{Bind: &jail.Bind{Source: "/dev/zero", Target: "/dev/zero", Devices: true}})
			if bounded {
				c.bound(&plan.Program)
			}
			if out, status := runPlan(t, plan); (status == 0) == bounded {
				t.Errorf("%s, bounded %t: status %d, %q", name, bounded, status, out)
			}
		}
	}
}
