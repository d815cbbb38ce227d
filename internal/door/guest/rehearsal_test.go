package guest_test

import (
	"strings"
	"testing"

	"proofbox/internal/door"
)

// TestRehearsal: a machine that has rehearsed is as one that has not, also where it
// has done so twice, and what it could not do then it says.
func TestRehearsal(t *testing.T) {
	t.Parallel()
	m := start(t, options{})
	m.await(t)
	w := wakeUp(t)
	rehearsal := w
	told := setup("/run/proofbox/canary")
	rehearsal.Rehearsal, rehearsal.Hostname = &told, "actor"
	for range 2 {
		if _, err := door.Wake(t.Context(), m.conn, rehearsal); err != nil {
			t.Fatal(err)
		}
	}
	d := m.open(t, w)
	const look = `uname -n; ls -A /workspace /tmp /home/box; ls /proc | grep -c '^[0-9]'; cat /proc/self/cgroup; grep -c . /proc/self/mountinfo; echo x >/workspace/x && cat /workspace/x`
	_, got := shell(t, d, look)

	other := start(t, options{})
	_, want := shell(t, other.open(t, w), look)
	if got != want || !strings.HasPrefix(got, "sleeper\n") {
		t.Errorf("after rehearsals %q, without %q", got, want)
	}
}

// TestRehearsalFails: what goes wrong in one is said, so that no run gets the box.
func TestRehearsalFails(t *testing.T) {
	t.Parallel()
	m := start(t, options{})
	m.await(t)
	w := wakeUp(t)
	told := setup("/no/such/canary")
	w.Rehearsal = &told
	if _, err := door.Wake(t.Context(), m.conn, w); err == nil || !strings.Contains(err.Error(), "canary") {
		t.Errorf("rehearsing with what is not there: %v", err)
	}
}
