package microvm_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"proofbox"
	"proofbox/internal/box"
)

// hostile links a process 1 that does what the mode says.
func hostile(t *testing.T, mode string) string {
	t.Helper()
	out := filepath.Join(t.TempDir(), mode)
	cmd := exec.Command("go", "build", "-o", out, "-ldflags", "-s -w -X 'main.mode="+mode+"'", "./testdata/hostile")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if said, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("building a hostile guest: %v: %s", err, said)
	}
	return out
}

// TestHostileGuests starts guests that break off, hang, flood and lie. Each must
// end in bounded time, with a reason, and with nothing left.
func TestHostileGuests(t *testing.T) {
	long(t)
	s := suite(t)
	for mode, want := range map[string]string{
		"hang":    "did not boot",
		"panic":   "did not boot",
		"flood":   "waking the guest",
		"endless": "waking the guest",
		"garble":  "waking the guest",
		"boast":   "memory",
		"close":   "waking the guest",

		"rehearsing garble": "as a rehearsal",
		"rehearsing close":  "as a rehearsal",
	} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			h := s.Host(t)
			h.Init = hostile(t, mode)
			if mode == "hang" {
				h.BootLimit = 2 * time.Second
			}
			_, err := h.Start(t.Context(), s.Config(t, h, proofbox.Limits{}))
			failed, ok := errors.AsType[*box.StartError](err)
			if !ok {
				t.Fatalf("the box started: %v", err)
			}
			if text := err.Error(); !strings.Contains(text, want) || len(text) > 1<<19 {
				t.Errorf("%d bytes: %.600q, want %q", len(text), text, want)
			}
			if len(failed.Teardown) == 0 || !box.Clean(failed.Teardown) {
				t.Errorf("left: %+v", failed.Teardown)
			}
		})
	}
}
