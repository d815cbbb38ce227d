package daemon_test

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"proofbox"
	"proofbox/internal/api"
	"proofbox/internal/daemon"
)

// open opens a daemon with a state folder of its own.
func open(t *testing.T) *daemon.Daemon {
	t.Helper()
	bin := os.Getenv("PROOFBOX_BIN")
	if bin == "" {
		bin = filepath.Join(root(t), "bin")
		t.Setenv("PROOFBOX_BIN", bin)
	}
	for _, program := range []string{"proofbox-jail", "proofbox-init", "runc", "runsc"} {
		if _, err := os.Stat(filepath.Join(bin, program)); err != nil {
			missing(t, program, "`make build` makes it")
		}
	}
	d, err := daemon.Open(filepath.Join(t.TempDir(), "state"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	return d
}

// missing skips a test for want of something, unless it is required.
func missing(t *testing.T, what, why string) {
	t.Helper()
	if slices.Contains(strings.Split(os.Getenv("PROOFBOX_REQUIRE"), ","), what) {
		t.Fatalf("%s is required and missing: %s", what, why)
	}
	t.Skipf("%s is missing: %s", what, why)
}

// root is the repository.
func root(t *testing.T) string {
	t.Helper()
	dir, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// result is a run and what its command wrote.
type result struct {
	proofbox.Run
	stdout, stderr string
}

// run runs a shell script in a box and checks that its teardown left nothing.
func run(t *testing.T, d *daemon.Daemon, spec proofbox.Spec, script string) result {
	t.Helper()
	var out, errOut bytes.Buffer
	r, err := d.Run(t.Context(), proofbox.RunRequest{Spec: spec, Command: []string{"/bin/sh", "-c", script}}, api.Session{
		Stdout: &out, Stderr: &errOut, Event: func(proofbox.Event) {}, Drive: func(api.Driver) {},
	})
	if err != nil {
		t.Fatalf("running %q: %v", script, err)
	}
	for _, o := range r.Teardown.Objects {
		if !o.Gone {
			t.Errorf("left on the host: %+v", o)
		}
	}
	for _, c := range r.Controls {
		if !c.OK {
			t.Errorf("not in force: %+v", c)
		}
	}
	return result{r, out.String(), errOut.String()}
}

// walls are those that tests try.
var walls = []proofbox.Wall{proofbox.Container, proofbox.Gvisor}

// TestDiffIsBounded: what a box writes may be as large as its disk, and a diff of all
// of it must not be; what it leaves out it says, and shows where it is named.
func TestDiffIsBounded(t *testing.T) {
	d, ws := open(t), t.TempDir()
	r := run(t, d, proofbox.Spec{Wall: proofbox.Container, Workspace: proofbox.Workspace{Original: ws}},
		`yes 'a line of text' | head -c 1900000 >00; for n in $(seq 10 30); do cp 00 $n; done`)
	diff, err := d.Diff(t.Context(), r.ID, proofbox.DiffRequest{})
	if err != nil {
		t.Fatal(err)
	}
	last := diff.Changes[len(diff.Changes)-1]
	if len(diff.Text) > 24<<20 || !last.Large || last.Patched || !strings.Contains(string(diff.Text), "30 is left out, because so much") {
		t.Errorf("%d bytes of text for %d changes, the last is %+v", len(diff.Text), len(diff.Changes), last)
	}
	one, err := d.Diff(t.Context(), r.ID, proofbox.DiffRequest{Paths: []proofbox.Raw{last.Path}})
	if err != nil || one.Changes[0].Large || len(one.Changes[0].Hunks) != 1 || one.Shown == diff.Shown {
		t.Errorf("named, it is %d hunks, %v", len(one.Changes[0].Hunks), err)
	}
}

func TestRunKeepDiscard(t *testing.T) {
	for _, wall := range walls {
		t.Run(string(wall), func(t *testing.T) {
			d, ws := open(t), t.TempDir()
			write(t, ws, map[string]string{"a": "one\ntwo\n", "dir/b": "b\n", "gone": "x\n"})
			r := run(t, d, proofbox.Spec{Wall: wall, Workspace: proofbox.Workspace{Original: ws}},
				`echo three >>a; rm gone; mkdir new; echo n >new/n; ln -s ../a new/l; exit 3`)
			if r.ExitCode != 3 || r.Ended != "exit status 3" {
				t.Errorf("ended %q with %d", r.Ended, r.ExitCode)
			}
			diff, err := d.Diff(t.Context(), r.ID, proofbox.DiffRequest{})
			if err != nil {
				t.Fatal(err)
			}
			var names []string
			for _, c := range diff.Changes {
				names = append(names, c.Action()+" "+string(c.Path))
			}
			want := "modified a, deleted gone, added new, added new/l, added new/n"
			if got := strings.Join(names, ", "); got != want {
				t.Errorf("changed: %s, want %s", got, want)
			}
			if _, err := d.Keep(t.Context(), r.ID, proofbox.KeepRequest{Paths: []proofbox.Raw{"a", "new"}, Shown: ""}); err != nil {
				t.Fatal(err)
			}
			check(t, ws, map[string]string{"a": "one\ntwo\nthree\n", "dir/b": "b\n", "gone": "x\n", "new/n": "n\n", "new/l": "→ ../a"})
			if _, err := d.Discard(t.Context(), r.ID); err != nil {
				t.Fatal(err)
			}
			if _, err := d.Diff(t.Context(), r.ID, proofbox.DiffRequest{}); err == nil {
				t.Error("discarded changes are still there")
			}
			if report, err := d.VerifyLog(t.Context()); err != nil || !report.OK || report.Entries < 6 {
				t.Errorf("the log: %+v, %v", report, err)
			}
		})
	}
}

func TestBoxSeesNothingOfTheHost(t *testing.T) {
	flag := filepath.Join(t.TempDir(), "flag")
	if err := os.WriteFile(flag, []byte("secret-of-the-host"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, wall := range walls {
		t.Run(string(wall), func(t *testing.T) {
			d, ws := open(t), t.TempDir()
			write(t, ws, map[string]string{".env": "hidden-secret", "sub/key.pem": "hidden-secret", "seen": "yes"})
			r := run(t, d, proofbox.Spec{Wall: wall, Workspace: proofbox.Workspace{Original: ws, Hide: []string{".env", "*.pem"}}},
				`cat `+flag+`; ls -A /root /home; cat .env sub/key.pem; ls -A . sub; cat /etc/shadow; env; cat seen; grep -r secret /workspace; echo mine >.env`)
			for _, bad := range []string{"secret-of-the-host", "hidden-secret", "key.pem\n"} {
				if strings.Contains(r.stdout, bad) {
					t.Errorf("the box has seen %q: %q", bad, r.stdout)
				}
			}
			if !strings.Contains(r.stdout, "yes") {
				t.Errorf("the box has not seen its own file: %q, %q", r.stdout, r.stderr)
			}
			kept, err := d.Keep(t.Context(), r.ID, proofbox.KeepRequest{All: true})
			if err != nil || len(kept.Kept) != 0 || len(kept.Refused) != 1 || kept.Refused[0].Path != ".env" {
				t.Errorf("keeping everything kept %v and refused %v: %v", kept.Kept, kept.Refused, err)
			}
			if _, err := d.Keep(t.Context(), r.ID, proofbox.KeepRequest{Paths: []proofbox.Raw{".env"}}); err == nil {
				t.Error("a file that was hidden was replaced")
			}
			check(t, ws, map[string]string{".env": "hidden-secret", "sub/key.pem": "hidden-secret", "seen": "yes"})
		})
	}
}

func TestLimitsEndRunsByName(t *testing.T) {
	const python = `python3 -c '`
	for name, c := range map[string]struct {
		limits proofbox.Limits
		script string
		ended  string
		code   int
	}{
		"memory": {proofbox.Limits{Memory: 64 << 20}, python + `b = [bytearray(1 << 20) for i in range(400)]; print(len(b))'`, "memory limit 64MiB", 137},
		"time":   {proofbox.Limits{Time: proofbox.Duration(1e9)}, `sleep 100`, "time limit 1s", 124},
		"output": {proofbox.Limits{Output: 1 << 10}, `yes`, "output limit 1KiB", 137},
		"disk":   {proofbox.Limits{Disk: 16 << 20}, `head -c 40M /dev/zero >big`, "disk limit 16MiB", 1},
	} {
		for _, wall := range walls {
			t.Run(name+"/"+string(wall), func(t *testing.T) {
				r := run(t, open(t), proofbox.Spec{Wall: wall, Limits: c.limits, Workspace: proofbox.Workspace{Original: t.TempDir()}}, c.script)
				if r.Ended != c.ended || r.ExitCode != c.code {
					t.Errorf("ended %q with %d, want %q with %d; it said %.300q %.300q", r.Ended, r.ExitCode, c.ended, c.code, r.stdout, r.stderr)
				}
			})
		}
	}
}

func TestPidsLimitHolds(t *testing.T) {
	for _, wall := range walls {
		t.Run(string(wall), func(t *testing.T) {
			r := run(t, open(t), proofbox.Spec{Wall: wall, Limits: proofbox.Limits{Pids: 16}, Workspace: proofbox.Workspace{Original: t.TempDir()}},
				`for i in $(seq 300); do sleep 20 & done 2>/dev/null; exit 1`)
			if r.Ended != "pids limit 16" {
				t.Errorf("ended %q with %d; it said %.300q %.300q", r.Ended, r.ExitCode, r.stdout, r.stderr)
			}
		})
	}
}

func TestMissingCommandIsNamed(t *testing.T) {
	for _, wall := range walls {
		d := open(t)
		r, err := d.Run(t.Context(), proofbox.RunRequest{
			Spec: proofbox.Spec{Wall: wall, Workspace: proofbox.Workspace{Original: "none"}}, Command: []string{"no-such-program"},
		}, api.Session{Stdout: &bytes.Buffer{}, Stderr: &bytes.Buffer{}, Event: func(proofbox.Event) {}, Drive: func(api.Driver) {}})
		if err != nil || r.ExitCode != proofbox.ExitNoCommand || !strings.Contains(r.Ended, `"no-such-program"`) {
			t.Errorf("%s: ended %q with %d, %v", wall, r.Ended, r.ExitCode, err)
		}
	}
}
