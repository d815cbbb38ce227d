package daemon_test

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"proofbox"
	"proofbox/internal/daemon"
)

// TestReadyBoxes: a box that is ready serves one run, with that run's workspace
// and no other, and no second run; one that is not what a run would get now serves
// none; and what nobody wanted is gone with the daemon.
func TestReadyBoxes(t *testing.T) {
	d := open(t)
	needGuests(t)
	said := make(chan string, 100)
	d.KeepReady(2, func(text string) { said <- text })
	await := func(want string) {
		t.Helper()
		if got := <-said; got != want {
			t.Fatalf("%q was said, want %q", got, want)
		}
	}
	try := func(name string) result {
		ws := t.TempDir()
		write(t, ws, map[string]string{"name": name + "\n"})
		return run(t, d, proofbox.Spec{Wall: proofbox.MicroVM, Workspace: proofbox.Workspace{Original: ws}, Limits: proofbox.Limits{Memory: 256 << 20}},
			"cat name; ls -A . ~ /tmp; cat /proc/sys/kernel/random/uuid; echo made >by-"+name)
	}
	if r := try("first"); ready(r) {
		t.Error("the first run's box was ready before anybody had asked for one")
	}
	await("a box is ready: 1 of 2")
	await("a box is ready: 2 of 2")

	var both sync.WaitGroup
	results := make([]result, 2)
	for i, name := range []string{"one", "two"} {
		both.Go(func() { results[i] = try(name) })
	}
	both.Wait()
	for i, name := range []string{"one", "two"} {
		r := results[i]
		if !ready(r) || !strings.HasPrefix(r.stdout, name+"\n") || r.Changes.Added != 1 {
			t.Errorf("run %q: ready %t, it said %q, changes %+v", name, ready(r), r.stdout, r.Changes)
		}
	}
	if results[0].ID == results[1].ID || lastLine(results[0].stdout) == lastLine(results[1].stdout) {
		t.Errorf("two runs had one box: %s, %s", results[0].ID, results[1].ID)
	}

	for daemon.Waiting(d) < 2 {
		<-said
	}
	daemon.ReplaceInit(t, d) // as an upgrade would
	if r := try("three"); ready(r) || !strings.HasPrefix(r.stdout, "three\n") {
		t.Errorf("after an upgrade: ready %t, %q", ready(r), r.stdout)
	}
	home := daemon.HomeOf(d)
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	if left, err := os.ReadDir(filepath.Join(home, "live")); err != nil || len(left) > 0 {
		t.Errorf("left live: %v, %v", left, err)
	}
	if runs, err := os.ReadDir(filepath.Join(home, "runs")); err != nil || len(runs) != 4 {
		t.Errorf("%d runs are on record, and 4 were made: %v", len(runs), err)
	}
}

// ready says whether the record tells that a run's box was ready.
func ready(r result) bool {
	for _, c := range r.Controls {
		if c.Name == "template" {
			return strings.HasSuffix(c.Found, "made ready ahead of the run")
		}
	}
	return false
}

func lastLine(text string) string {
	return text[strings.LastIndexByte(strings.TrimSuffix(text, "\n"), '\n')+1:]
}

// TestKilledServerLeavesNoReadyBox: the next daemon takes down what waited for a
// run, of which there is no record.
func TestKilledServerLeavesNoReadyBox(t *testing.T) {
	open(t)
	needGuests(t)
	dir := t.TempDir()
	home := filepath.Join(dir, "state")
	write(t, filepath.Join(dir, "ws"), map[string]string{"f": "as it was"})
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), superviseHome+"="+home, superviseWall+"=microvm", keepReady+"=1")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "a box is ready: 1 of 1\n" {
		t.Fatalf("%q, %v", line, err)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err == nil {
		t.Fatal("the server ended by itself")
	}
	live, _ := filepath.Glob(filepath.Join(home, "live", "*"))
	if len(live) == 0 {
		t.Fatal("nothing waited")
	}
	for left := live; len(left) > 0 && t.Context().Err() == nil; left, _ = filepath.Glob(filepath.Join(home, "live", "*")) {
		d, err := daemon.Open(home)
		if err != nil {
			t.Fatal(err)
		}
		if err := d.Close(); err != nil {
			t.Fatal(err)
		}
	}
	for _, mark := range live {
		if groups, err := filepath.Glob("/sys/fs/cgroup/*/proofbox/proofbox-" + filepath.Base(mark)); err != nil || len(groups) > 0 {
			t.Errorf("cgroups %q, %v", groups, err)
		}
	}
}

// TestPoolGivesEachBoxOnce: whoever asks at once, nobody gets what another has;
// and the kinds that were asked for last share the pool.
func TestPoolGivesEachBoxOnce(t *testing.T) {
	const boxes, askers = 50, 8
	pool := daemon.NewTestPool(boxes, "a", "b")
	var mu sync.Mutex
	given := map[string]int{}
	var all sync.WaitGroup
	for range askers {
		all.Go(func() {
			for id := pool.Pick("a"); id != ""; id = pool.Pick("a") {
				mu.Lock()
				given[id]++
				mu.Unlock()
			}
		})
	}
	all.Wait()
	for id, times := range given {
		if times != 1 {
			t.Errorf("the box %s was given %d times", id, times)
		}
	}
	if len(given) != boxes/2 {
		t.Errorf("%d boxes of a kind were given, want %d", len(given), boxes/2)
	}
	if got := pool.Missing(); got != "a" {
		t.Errorf("missing is %q, want a", got)
	}
	pool.Forget("a")
	if got, over := pool.Missing(), pool.Surplus(); got != "b" || over != 0 {
		t.Errorf("of one kind alone, missing is %q and %d are too many", got, over)
	}
	pool.Forget("b")
	if got, over := pool.Missing(), pool.Surplus(); got != "" || over != boxes/2 {
		t.Errorf("of no kind, missing is %q and %d are too many", got, over)
	}
}
