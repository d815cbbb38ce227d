package daemon

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"proofbox"
	"proofbox/internal/api"
	"proofbox/internal/box"
	"proofbox/internal/box/jail"
	"proofbox/internal/box/microvm"
	"proofbox/internal/debian"
)

// Doctor starts a real box behind every wall and says what works on this host
// and what to do about the rest.
func (d *Daemon) Doctor(ctx context.Context, progress func(proofbox.Event)) (proofbox.Health, error) {
	user, err := jail.BoxUser()
	if err != nil {
		return proofbox.Health{}, err
	}
	h := proofbox.Health{Version: proofbox.Version, Home: d.store.home, User: user, Checks: d.checks(ctx)}
	for _, wall := range proofbox.Walls {
		progress(proofbox.Event{Progress: fmt.Sprintf("starting a box behind the wall %s", wall)})
		h.Walls = append(h.Walls, d.try(ctx, wall, &tried{passing: true}))
	}
	if d.wallState(ctx, proofbox.MicroVM).Available { // and what a guest boots from is packed by now
		progress(proofbox.Event{Progress: "booting a guest with " + box.KVM})
		check, err := d.tryKVM(ctx)
		if err != nil {
			return h, err
		}
		h.Checks = append(h.Checks, check)
	}
	return h, nil
}

// trialText is what a trial box must print.
const trialText = "a box has run"

// tryKVM boots a guest with KVM and remembers what came of it. A host without is
// no worse for it, but slower.
func (d *Daemon) tryKVM(ctx context.Context) (proofbox.Check, error) {
	machine, ok := d.runtimes[proofbox.MicroVM].(*microvm.Runtime)
	if !ok {
		panic("daemon: the microvm wall has another runtime")
	}
	if _, err := os.Stat(box.KVM); err == nil {
		err := machine.TryKVM(ctx, func(forced *microvm.Runtime) error {
			ctx, cancel := context.WithTimeoutCause(ctx, kvmTime, fmt.Errorf("it did not boot within %v", kvmTime))
			defer cancel()
			if h := d.try(ctx, proofbox.MicroVM, &tried{runtime: forced, passing: true}); !h.Works {
				return errors.New(h.Found)
			}
			return nil
		})
		if err != nil {
			return proofbox.Check{}, err
		}
	}
	name, why := machine.Accelerator()
	return proofbox.Check{Name: "accelerator", OK: true, Found: name + ": " + why}, nil
}

// kvmTime bounds a guest's start with KVM, which takes less than a second.
const kvmTime = 20 * time.Second

// try runs a box behind a wall.
func (d *Daemon) try(ctx context.Context, wall proofbox.Wall, own *tried) proofbox.WallHealth {
	state := d.wallState(ctx, wall)
	h := proofbox.WallHealth{Wall: wall, Found: state.Why, Limits: state.Limits}
	if !state.Available {
		h.Next = nextFor(wall)
		return h
	}
	var out, errOut bytes.Buffer
	run, err := d.runOnce(ctx, wall, own, &out, &errOut)
	h.Controls = run.Controls
	switch {
	case err != nil:
		h.Found, h.Next = err.Error(), nextFor(wall)
	case strings.TrimSpace(out.String()) != trialText || run.ExitCode != 0:
		h.Found = fmt.Sprintf("a box started and its command did not do its work: %s, %q", run.Ended, errOut.String())
		h.Next = nextFor(wall)
	case run.Teardown == nil || !run.Teardown.Clean:
		h.Found = fmt.Sprintf("a box has run, and something of it is left: `proofbox show %s` names it", run.ID)
	default:
		h.Works = true
		h.Found = fmt.Sprintf("a box ran; %d controls were read back, %d host objects verified gone", len(run.Controls), len(run.Teardown.Objects))
	}
	// A trial is in the log and not among the runs: nobody means it by "last".
	// What went wrong with the wall's own runtime stays, to be looked at.
	if h.Works || own.runtime != nil && run.Teardown != nil && run.Teardown.Clean {
		if err := d.store.forget(run.ID); err != nil {
			h.Next = err.Error()
		}
	}
	return h
}

func nextFor(wall proofbox.Wall) string {
	switch wall {
	case proofbox.MicroVM:
		return "`proofbox setup --install` brings QEMU, a kernel and a root; the checks below name what else is missing"
	case proofbox.Gvisor:
		return "`make build` builds bin/runsc; the checks below name what else is missing"
	}
	return "`make build` builds bin/runc, `proofbox setup` installs what it needs; the checks below name what else is missing"
}

// checks are facts about the host that walls depend on.
func (d *Daemon) checks(ctx context.Context) []proofbox.Check {
	list := []proofbox.Check{
		fileCheck("proofbox-jail", d.programs.jail, "run `make build`"),
		fileCheck("proofbox-init", d.programs.init, "run `make build`"),
		fileCheck("proofbox-contents", d.programs.contents, "run `make build`"),
		userSpaces(),
		landlock(),
		d.cgroups(),
	}
	if os.Geteuid() != 0 {
		list = append(list, subordinates())
	}
	return append(list, baseCheck(ctx), d.freeSpace())
}

// runOnce runs a box's shortest command.
func (d *Daemon) runOnce(ctx context.Context, wall proofbox.Wall, own *tried, out, errOut io.Writer) (proofbox.Run, error) {
	req := proofbox.RunRequest{
		Spec: proofbox.Spec{
			Name: "doctor", Wall: wall, Risk: proofbox.Risk{Code: proofbox.Reviewed},
			Workspace: proofbox.Workspace{Original: noWorkspace},
		},
		Command: []string{"/bin/sh", "-c", "echo " + trialText},
	}
	s, err := d.begin(ctx, req, own)
	if err != nil {
		return proofbox.Run{}, err
	}
	err = s.supervise(ctx, req, api.Session{
		Stdout: out, Stderr: errOut, Event: func(proofbox.Event) {}, Drive: func(api.Driver) {},
	})
	return *s.run, err
}

// baseCheck reads all of the base and holds it against its digests.
func baseCheck(ctx context.Context) proofbox.Check {
	c := proofbox.Check{Name: "base", Next: "`proofbox setup --install` makes it; only microVMs and the image base need it"}
	state, err := lookAtBase()
	if err != nil {
		c.Found = err.Error()
		return c
	}
	if c.Found = state.Found; !state.Ready {
		return c
	}
	b, err := debian.Open(state.Dir)
	if err == nil {
		err = b.Verify(ctx)
	}
	if err != nil {
		c.Found, c.Next = err.Error(), ""
		return c
	}
	return proofbox.Check{Name: "base", OK: true, Found: state.Found + ", as it was made"}
}

func fileCheck(name, path, next string) proofbox.Check {
	if _, err := os.Stat(path); err != nil {
		return proofbox.Check{Name: name, Found: err.Error(), Next: next}
	}
	return proofbox.Check{Name: name, OK: true, Found: path}
}

// userSpaces looks at the switches by which distributions forbid user
// namespaces to ordinary users.
func userSpaces() proofbox.Check {
	c := proofbox.Check{Name: "user namespaces", OK: true, Found: "allowed"}
	for _, s := range []struct{ file, bad, next string }{
		{"/proc/sys/user/max_user_namespaces", "0", "`sysctl user.max_user_namespaces=10000` as root"},
		{"/proc/sys/kernel/unprivileged_userns_clone", "0", "`sysctl kernel.unprivileged_userns_clone=1` as root"},
		{"/proc/sys/kernel/apparmor_restrict_unprivileged_userns", "1", "give proofbox-jail an AppArmor profile with `userns,`, or `sysctl kernel.apparmor_restrict_unprivileged_userns=0` as root"},
	} {
		text, err := os.ReadFile(s.file)
		if err == nil && strings.TrimSpace(string(text)) == s.bad && os.Geteuid() != 0 {
			c.OK, c.Found, c.Next = false, s.file+" is "+s.bad, s.next
		}
	}
	return c
}

// landlock says which version of it the kernel has. Without it a box has one layer less,
// and what looks at data could open other files.
func landlock() proofbox.Check {
	version, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, 0, 0, unix.LANDLOCK_CREATE_RULESET_VERSION)
	if errno != 0 {
		return proofbox.Check{
			Name: "landlock", Found: fmt.Sprintf("this kernel has none (%v): boxes, and what looks at data, have a layer less", errno),
			Next: "boot a kernel with CONFIG_SECURITY_LANDLOCK, and landlock in `lsm=`",
		}
	}
	return proofbox.Check{Name: "landlock", OK: true, Found: fmt.Sprintf("version %d", version)}
}

func (d *Daemon) cgroups() proofbox.Check {
	l := d.host.Cgroups
	if len(l.Why) == 0 {
		return proofbox.Check{Name: "cgroups", OK: true, Found: l.Version}
	}
	var why []string
	for _, w := range l.Why {
		why = append(why, w)
	}
	return proofbox.Check{
		Name: "cgroups", Found: "some limits have weaker means: " + strings.Join(why, "; "),
		Next: "run as root, or with a delegated cgroup: `systemd-run --user --scope -p Delegate=yes proofbox …`",
	}
}

func subordinates() proofbox.Check {
	id, err := jail.UserIdentity()
	switch {
	case err != nil:
		return proofbox.Check{Name: "subordinate IDs", Found: err.Error()}
	case !id.Tools:
		return proofbox.Check{
			Name: "subordinate IDs", Found: "none, or no newuidmap to map them: a box has one user only",
			Next: "as root: install uidmap, and `usermod --add-subuids 100000-165535 --add-subgids 100000-165535 USER`",
		}
	}
	return proofbox.Check{Name: "subordinate IDs", OK: true, Found: id.Text}
}

// leastSpace is below what doctor warns of a full disk.
const leastSpace = 2 << 30

func (d *Daemon) freeSpace() proofbox.Check {
	var st unix.Statfs_t
	if err := unix.Statfs(d.store.home, &st); err != nil {
		return proofbox.Check{Name: "free space", Found: err.Error()}
	}
	free := int64(st.Bavail) * st.Bsize
	c := proofbox.Check{Name: "free space", OK: free >= leastSpace, Found: fmt.Sprintf("%s at %s", proofbox.Size(free).Rounded(), d.store.home)}
	if !c.OK {
		c.Next = "make room, or set PROOFBOX_HOME to a larger disk"
	}
	return c
}
