package door_test

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/yamux"

	"proofbox/internal/door"
)

func aWakeUp() door.WakeUp {
	return door.WakeUp{
		Entropy: make([]byte, door.MinEntropy), Time: time.Unix(1, 0).UTC(), Hostname: "h", Pids: 1, Memory: 1, Filter: make([]byte, 8),
	}
}

func TestWake(t *testing.T) {
	t.Parallel()
	host, box := net.Pipe()
	go func() {
		w, err := door.Await(box)
		if diff := cmp.Diff(aWakeUp(), w); diff != "" || err != nil {
			t.Errorf("%v %s", err, diff)
		}
		if err := door.WriteFrame(box, door.Woken{Memory: 7}); err != nil {
			t.Error(err)
		}
	}()
	if woken, err := door.Wake(t.Context(), host, aWakeUp()); err != nil || woken.Memory != 7 {
		t.Errorf("%+v, %v", woken, err)
	}
}

// TestWakeUpIncomplete: neither side goes on with less than a guest needs, so
// that none runs with another's randomness or without its limits.
func TestWakeUpIncomplete(t *testing.T) {
	t.Parallel()
	for name, spoil := range map[string]func(*door.WakeUp){
		"entropy":  func(w *door.WakeUp) { w.Entropy = w.Entropy[1:] },
		"filter":   func(w *door.WakeUp) { w.Filter = nil },
		"a cut":    func(w *door.WakeUp) { w.Filter = w.Filter[1:] },
		"pids":     func(w *door.WakeUp) { w.Pids = 0 },
		"memory":   func(w *door.WakeUp) { w.Memory = 0 },
		"hostname": func(w *door.WakeUp) { w.Hostname = "" },
		"time":     func(w *door.WakeUp) { w.Time = time.Time{} },
	} {
		w := aWakeUp()
		spoil(&w)
		host, box := net.Pipe()
		go func() {
			if err := door.WriteFrame(box, w); err != nil {
				t.Error(err)
			}
		}()
		if _, err := door.Await(host); err == nil {
			t.Errorf("%s: the guest goes on", name)
		}
		if _, err := door.Wake(t.Context(), host, w); err == nil {
			t.Errorf("%s: the host goes on", name)
		}
	}
}

// TestWakeHostile: whatever a guest answers instead of that it is awake, the
// host has an error, in bounded memory, and none that it can write on a
// terminal by itself.
func TestWakeHostile(t *testing.T) {
	t.Parallel()
	frame := func(text string) []byte {
		return append(binary.BigEndian.AppendUint32(nil, uint32(len(text))), text...)
	}
	for name, answer := range map[string][]byte{
		"nothing":    {},
		"half":       frame(`{"memory":1}`)[:7],
		"a giant":    binary.BigEndian.AppendUint32(nil, 1<<31),
		"no json":    frame("hello"),
		"an error":   frame(`{"error":"\u001b[2J"}`),
		"a long one": frame(`{"error":"` + strings.Repeat("x", door.MaxAnswer) + `"}`),
	} {
		host, box := net.Pipe()
		go func() {
			_, _ = door.Await(box) // what it gets is TestWake's matter
			_, _ = box.Write(answer)
			_ = box.Close()
		}()
		_, err := door.Wake(t.Context(), host, aWakeUp())
		if err == nil || strings.ContainsRune(err.Error(), '\x1b') || len(err.Error()) > 1000 {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestWakeSilent: a guest that says nothing is given up with its run.
func TestWakeSilent(t *testing.T) {
	t.Parallel()
	host, box := net.Pipe()
	why := errors.New("the run was stopped")
	ctx, cancel := context.WithCancelCause(t.Context())
	go func() {
		_, _ = door.Await(box)
		cancel(why)
	}()
	if _, err := door.Wake(ctx, host, aWakeUp()); !errors.Is(err, why) {
		t.Error(err)
	}
}

// lying is a guest that answers every request with the same bytes.
func lying(t *testing.T, answers map[string][]byte) *door.Door {
	t.Helper()
	host, box := net.Pipe()
	session, err := yamux.Server(box, door.Multiplexing())
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		for {
			s, err := session.AcceptStream()
			if err != nil {
				return
			}
			var r door.Request
			if err := door.ReadFrame(s, door.MaxFrame, &r); err != nil {
				return
			}
			if r.Op == door.OpHello {
				_ = door.WriteFrame(s, door.Hello{Version: door.Version}) // the host may be gone
			}
			_, _ = s.Write(answers[r.Op])
			_ = s.Close()
		}
	}()
	d, err := door.Open(t.Context(), host)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close() })
	return d
}

// TestChangesCutOff: only what the guest itself has ended has an end.
func TestChangesCutOff(t *testing.T) {
	t.Parallel()
	const empty = "\x00\x00\x00\x02{}"
	for name, c := range map[string]struct {
		answer string
		text   string
		whole  bool
	}{
		"whole":           {empty + "\x00\x00\x00\x03abc\x00\x00\x00\x01d\x00\x00\x00\x00", "abcd", true},
		"no end":          {empty + "\x00\x00\x00\x03abc", "abc", false},
		"half a chunk":    {empty + "\x00\x00\x00\x03ab", "ab", false},
		"half a length":   {empty + "\x00\x00\x00\x03abc\x00\x00", "abc", false},
		"nothing":         {empty, "", false},
		"a giant's chunk": {empty + "\x7f\xff\xff\xffabc", "", false},
	} {
		d := lying(t, map[string][]byte{door.OpChanges: []byte(c.answer)})
		r, err := d.Changes(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(r)
		if string(text) != c.text || (err == nil) != c.whole {
			t.Errorf("%s: %q, %v", name, text, err)
		}
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	}
}

// TestUsageHostile: numbers that cannot be are not handed on.
func TestUsageHostile(t *testing.T) {
	t.Parallel()
	for text, fine := range map[string]bool{
		"\x00\x00\x00\x0f{\"oom_kills\":3}": true, "\x00\x00\x00\x10{\"oom_kills\":-3}": false, "\x00\x00\x00\x10{\"error\":\"no\"}  ": false, "\xff": false,
	} {
		d := lying(t, map[string][]byte{door.OpUsage: []byte(text)})
		if u, err := d.Usage(t.Context()); (err == nil) != fine {
			t.Errorf("%q: %+v, %v", text, u, err)
		}
	}
}
