package seccomp_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/opencontainers/runtime-spec/specs-go"
)

// outcome is what became of a command in a container.
type outcome struct {
	stdout, stderr string
	status         int
}

// container is a minimal one: the host's system folders, this test binary at
// /victim, and a profile. It keeps every capability that its user namespace
// gives where caps is true.
type container struct {
	profile *specs.LinuxSeccomp
	runsc   bool
	caps    bool
	stdin   string
	// program is bound at /program, if it is not empty.
	program string
	args    []string
}

// run starts the container with the real runtime in a user namespace of its
// own, so that root's run is as unprivileged as a user's.
func (c container) run(t *testing.T) outcome {
	t.Helper()
	bundle := t.TempDir()
	if err := os.Mkdir(filepath.Join(bundle, "rootfs"), 0o755); err != nil {
		t.Fatal(err)
	}
	config, err := json.Marshal(c.spec(t, bundle))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(bundle, "config.json"), config, 0o600); err != nil {
		t.Fatal(err)
	}
	return c.execute(t, bundle)
}

func (c container) execute(t *testing.T, bundle string) outcome {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	name := "runc"
	args := []string{"--root", t.TempDir()}
	if c.runsc {
		name = "runsc"
		args = append(args, "--platform", "systrap", "--network", "none", "--ignore-cgroups", "--overlay2", "none", "--oci-seccomp")
	}
	args = append(args, "run", "--bundle", bundle, "seccomp-test-"+filepath.Base(bundle)+filepath.Base(filepath.Dir(bundle)))
	cmd := exec.CommandContext(ctx, runtimeBinary(t, name), args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS | syscall.CLONE_NEWNET | syscall.CLONE_NEWIPC,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Geteuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getegid(), Size: 1}},
		Pdeathsig:   syscall.SIGKILL,
	}
	cmd.Env = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "XDG_RUNTIME_DIR=" + t.TempDir()}
	var out, problem bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(c.stdin), &out, &problem
	err := cmd.Run()
	if exit, ok := errors.AsType[*exec.ExitError](err); err != nil && (!ok || exit.ExitCode() < 0) {
		t.Fatalf("running %s: %v\n%s", name, err, &problem)
	}
	return outcome{out.String(), problem.String(), cmd.ProcessState.ExitCode()}
}

// runtimeBinary finds a runtime in the folder that PROOFBOX_BIN names, where a
// build puts it, or on the host. A test without it is skipped, or fails where
// PROOFBOX_REQUIRE names it.
func runtimeBinary(t *testing.T, name string) string {
	t.Helper()
	places := []string{os.Getenv("PROOFBOX_BIN"), "../../../bin", "/usr/sbin", "/usr/bin"}
	for _, dir := range places {
		path, err := filepath.Abs(filepath.Join(dir, name))
		if _, statErr := os.Stat(path); dir != "" && err == nil && statErr == nil {
			return path
		}
	}
	missing(t, name, "%s is neither in PROOFBOX_BIN nor built nor installed; `make build` builds it", name)
	return ""
}

// missing skips the test, or fails it where PROOFBOX_REQUIRE names what is
// missing.
func missing(t *testing.T, what, format string, args ...any) {
	t.Helper()
	if slices.Contains(strings.Split(os.Getenv("PROOFBOX_REQUIRE"), ","), what) {
		t.Fatalf(format, args...)
	}
	t.Skipf(format, args...)
}

func (c container) spec(t *testing.T, bundle string) *specs.Spec {
	t.Helper()
	var caps specs.LinuxCapabilities
	if c.caps {
		all := []string{"CAP_SYS_ADMIN", "CAP_SYS_PTRACE", "CAP_NET_ADMIN", "CAP_NET_RAW", "CAP_SYS_CHROOT", "CAP_MKNOD"}
		caps = specs.LinuxCapabilities{Bounding: all, Effective: all, Permitted: all}
	}
	return &specs.Spec{
		Version: "1.0.2",
		Root:    &specs.Root{Path: filepath.Join(bundle, "rootfs")},
		Process: &specs.Process{
			Args: c.args, Cwd: "/tmp", Capabilities: &caps, NoNewPrivileges: true,
			Env: []string{"PATH=/usr/local/go/bin:/usr/bin:/bin", "HOME=/tmp", "GOCACHE=/tmp/cache", "GOTOOLCHAIN=local", "GOFLAGS=-mod=mod"},
		},
		Mounts: c.mounts(t),
		Linux: &specs.Linux{
			Namespaces: []specs.LinuxNamespace{
				{Type: specs.UserNamespace},
				{Type: specs.MountNamespace},
				{Type: specs.PIDNamespace},
				{Type: specs.NetworkNamespace},
				{Type: specs.IPCNamespace},
				{Type: specs.UTSNamespace},
			},
			UIDMappings: []specs.LinuxIDMapping{{ContainerID: 0, HostID: 0, Size: 1}},
			GIDMappings: []specs.LinuxIDMapping{{ContainerID: 0, HostID: 0, Size: 1}},
			Seccomp:     c.profile,
		},
	}
}

func (c container) mounts(t *testing.T) []specs.Mount {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	bind := func(source, target string) specs.Mount {
		return specs.Mount{Type: "bind", Source: source, Destination: target, Options: []string{"rbind", "ro", "nosuid"}}
	}
	list := []specs.Mount{
		{Type: "proc", Source: "proc", Destination: "/proc"},
		{Type: "tmpfs", Source: "tmpfs", Destination: "/dev", Options: []string{"mode=755"}},
		{Type: "tmpfs", Source: "tmpfs", Destination: "/tmp", Options: []string{"mode=1777"}},
		bind(self, "/victim"),
	}
	if c.program != "" {
		list = append(list, bind(c.program, "/program"))
	}
	for _, dir := range []string{"/usr", "/bin", "/lib", "/lib64", "/etc/alternatives"} {
		if _, err := os.Stat(dir); err == nil {
			list = append(list, bind(dir, dir))
		}
	}
	return list
}
