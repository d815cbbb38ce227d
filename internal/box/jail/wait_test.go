package jail_test

import (
	"bytes"
	"testing"
)

// TestWait: what a program ended with is told also when its jail has ended since,
// and of a jail that was killed, nothing is made up.
func TestWait(t *testing.T) {
	t.Parallel()
	j := start(t, shellPlan("exit 7"), &bytes.Buffer{})
	<-j.Empty()
	j.Kill()
	<-j.Gone()
	if status, err := j.Wait(t.Context()); status != 7 || err != nil {
		t.Errorf("of a jail that has ended: status %d, %v", status, err)
	}
	j = start(t, shellPlan("sleep 1000"), &bytes.Buffer{})
	j.Kill()
	if status, err := j.Wait(t.Context()); err == nil {
		t.Errorf("of a jail that was killed: status %d", status)
	}
}
