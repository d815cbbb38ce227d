package debian_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"proofbox/internal/box/boxtest"
	"proofbox/internal/debian"
)

// makeIn makes this test binary a setup of a small base in the folder, which
// prints every step.
const makeIn = "PROOFBOX_TEST_BASE"

func TestMain(m *testing.M) {
	dir := os.Getenv(makeIn)
	if dir == "" {
		code := m.Run()
		if shared.parent != "" {
			if err := os.RemoveAll(shared.parent); err != nil {
				panic(err)
			}
		}
		os.Exit(code)
	}
	_, err := debian.Small.Make(context.Background(), dir, func(step string) { fmt.Println(step) })
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// shared is one small base, made by interrupted setups, for all tests.
var shared struct {
	once   sync.Once
	parent string
	steps  []string // behind which a setup was killed
	early  []string // of those, behind which there was a base already
	err    error
}

// made gives the small base, or skips.
func made(t *testing.T) *debian.Base {
	t.Helper()
	for _, program := range []string{"mmdebstrap", "apt-get", "dpkg-deb", "/usr/sbin/depmod"} {
		if _, err := exec.LookPath(program); err != nil {
			boxtest.Missing(t, "base", err.Error())
		}
	}
	if lists, err := filepath.Glob("/var/lib/apt/lists/*_Packages*"); err != nil || len(lists) == 0 {
		boxtest.Missing(t, "base", "apt has no lists of packages")
	}
	shared.once.Do(func() { shared.err = makeShared() })
	if shared.err != nil {
		t.Fatal(shared.err)
	}
	b, err := debian.Open(filepath.Join(shared.parent, "base"))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// makeShared starts setups and kills each behind the first step that no earlier
// one has come to, until one is done. Of mmdebstrap's own steps, each of which
// would begin all of them anew, it takes one.
func makeShared() (err error) {
	if shared.parent, err = os.MkdirTemp("", "proofbox-base-*"); err != nil {
		return err
	}
	if err := os.Chmod(shared.parent, 0o755); err != nil {
		return err
	}
	dir := filepath.Join(shared.parent, "base")
	seen := map[string]bool{}
	for range 20 {
		step, err := makeUntil(dir, func(step string) bool {
			return !seen[step] && ours[step]
		})
		if err != nil || step == "" {
			return err
		}
		seen[step] = true
		shared.steps = append(shared.steps, step)
		if _, err := debian.Open(dir); err == nil {
			shared.early = append(shared.early, step)
		}
	}
	return fmt.Errorf("after 20 setups there is no base, but %q", shared.steps)
}

// ours are the steps to kill a setup behind.
var ours = map[string]bool{
	"unpacking the kernel":         true,
	"extracting archives...":       true,
	"unpacking the Debian root":    true,
	"computing the base's digests": true,
}

// makeUntil runs a setup and kills it behind a step; it gives the step, and
// none where the setup was done.
func makeUntil(dir string, until func(step string) bool) (string, error) {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), makeIn+"="+dir)
	var said strings.Builder
	cmd.Stderr = &said
	out, err := cmd.StdoutPipe()
	if err != nil {
		return "", err
	}
	if err := cmd.Start(); err != nil {
		return "", err
	}
	for lines := bufio.NewScanner(out); lines.Scan(); {
		if step := lines.Text(); until(step) {
			if err := cmd.Process.Kill(); err != nil {
				return "", err
			}
			_ = cmd.Wait() // it was killed
			return step, nil
		}
	}
	if err := cmd.Wait(); err != nil {
		return "", fmt.Errorf("%w: %s", err, said.String())
	}
	return "", nil
}

// TestKilledSetupIsResumed: setups that were killed behind every step leave
// nothing that is taken for a base, and the last one makes it from what they
// have left, the same as one that was left alone.
func TestKilledSetupIsResumed(t *testing.T) {
	t.Parallel()
	b := made(t)
	if len(shared.steps) != len(ours) {
		t.Errorf("setups were killed behind %q only", shared.steps)
	}
	if len(shared.early) > 0 {
		t.Errorf("there was a base behind %q", shared.early)
	}
	if err := b.Verify(t.Context()); err != nil {
		t.Error(err)
	}
	if b.Manifest.Recipe != debian.Small.Digest() {
		t.Errorf("the manifest is %+v", b.Manifest)
	}
	var names []string
	for _, folder := range []string{shared.parent, b.Dir} {
		entries, err := os.ReadDir(folder)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			names = append(names, e.Name())
		}
	}
	if diff := cmp.Diff([]string{"base", "base.lock", "kernel", "manifest.json", "recipe", "root", "sources.list"}, names); diff != "" {
		t.Error(diff)
	}
}

// TestMakeAgain: with nothing to do nothing is done.
func TestMakeAgain(t *testing.T) {
	t.Parallel()
	b := made(t)
	again, err := debian.Small.Make(t.Context(), b.Dir, func(step string) { t.Errorf("it is %s", step) })
	if err != nil || again.Manifest.Root != b.Manifest.Root {
		t.Errorf("%+v, %v", again, err)
	}
}
