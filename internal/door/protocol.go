// Package door is the one multiplexed pipe between a box and the host.
//
// The transport is any reliable byte stream; yamux carries many streams over
// it. A stream that the host opens begins with a [Request] in one frame: four
// bytes of length, big-endian, and JSON. What follows depends on the request
// and is described in docs/formats/door.md. A stream that the box opens is a
// visit: the bytes of one connection that a process of the box has made to
// where its gateway seems to be. The host takes everything that comes out of a
// box as hostile: frames and visits are bounded, and a box that says something
// else than the protocol allows loses its door.
//
// The box's side is package inside.
package door

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"time"

	"github.com/hashicorp/yamux"

	"proofbox"
)

// Version of the protocol. Host and box must have the same.
const Version = 2

// Operations that a stream can begin with.
const (
	OpHello  = "hello"  // answered with Hello
	OpSetup  = "setup"  // answered with Applied
	OpStart  = "start"  // answered with Start; then Control both ways, Exit last
	OpStdin  = "stdin"  // bytes to the process
	OpStdout = "stdout" // bytes from the process
	OpStderr = "stderr" // bytes from the process
	OpRead   = "read"   // answered with File, then the file's bytes
	OpWrite  = "write"  // bytes, answered with File
)

// Request begins a stream.
type Request struct {
	Op      string   `json:"op"`
	Setup   *Setup   `json:"setup,omitempty"`
	Command *Command `json:"command,omitempty"`
	// Process is the number that the answer to a start gave.
	Process int64 `json:"process,omitempty"`
	// Path and Mode are of the file to read or write.
	Path string      `json:"path,omitempty"`
	Mode fs.FileMode `json:"mode,omitempty"`
}

// Hello is process 1's first word.
type Hello struct {
	Version int `json:"version"`
}

// Setup is how process 1 restricts itself and whatever it will start.
type Setup struct {
	Landlock *LandlockRules `json:"landlock,omitempty"`
	// Tasks, where it is not 0, is how many tasks there may be beside the
	// threads of process 1, as RLIMIT_NPROC counts them; see getrlimit(2).
	Tasks int `json:"tasks,omitempty"`
	// Visits, where it is not empty, is the loopback address ("127.0.0.1:3128")
	// at which process 1 listens, to make a visit of each connection.
	Visits string `json:"visits,omitempty"`
}

// MaxVisits is how many visits a box may have open at once. Process 1 takes
// further connections only when others have ended, so a process of the box
// waits, as for a server that is busy; a box that opens more than that gets the
// streams reset.
const MaxVisits = 256

// LandlockRules allow reading and executing everywhere, and writing beneath
// some folders only.
type LandlockRules struct {
	// Writable lists the folders; those that do not exist are passed over.
	Writable []string `json:"writable"`
	// Canary is a file outside them that could be written before the rules and
	// must not be afterwards.
	Canary string `json:"canary"`
}

// Applied is what became of a [Setup].
type Applied struct {
	// LandlockABI is the version of the kernel's interface that was used; 0
	// where the kernel in the box has none.
	LandlockABI int `json:"landlock_abi"`
	// Threads is how many threads process 1 has.
	Threads int    `json:"threads"`
	Error   string `json:"error,omitempty"`
}

// Command is what to run in a box.
type Command struct {
	Args []string `json:"args"`
	Env  []string `json:"env"`
	Dir  string   `json:"dir"`
	// TTY gives the command a terminal of this size; its output is one stream.
	TTY *proofbox.TerminalSize `json:"tty,omitempty"`
	// Stdin says that the host will send something; without it the command
	// reads nothing.
	Stdin bool `json:"stdin,omitempty"`
}

// Start answers the start of a command.
type Start struct {
	Process int64 `json:"process"`
	// Exit is set where the command could not be started.
	Exit *Exit `json:"exit,omitempty"`
}

// Control is what the host says to a running command.
type Control struct {
	Signal int                    `json:"signal,omitempty"`
	Resize *proofbox.TerminalSize `json:"resize,omitempty"`
}

// Exit is how a command ended.
type Exit struct {
	Code   int `json:"code"`
	Signal int `json:"signal,omitempty"` // the signal that killed it
	// NotStarted says why the command did not start: Code is then 127 where
	// it was not found and 126 where it cannot be executed, as a shell has it.
	NotStarted string `json:"not_started,omitempty"`
}

// File answers a read or a write.
type File struct {
	Size int64 `json:"size,omitempty"`
	// Error is the reason in words, and Errno its number, where it failed.
	Error string `json:"error,omitempty"`
	Errno int    `json:"errno,omitempty"`
}

// MaxFrame bounds a frame, in bytes. Only a command's arguments and
// environment come near it.
const MaxFrame = 4 << 20

// MaxAnswer bounds a frame that comes out of a box.
const MaxAnswer = 64 << 10

// WriteFrame writes v as one frame.
func WriteFrame(w io.Writer, v any) error {
	data, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("encoding a frame: %w", err)
	}
	if len(data) > MaxFrame {
		return fmt.Errorf("a frame of %d bytes is over the limit of %d", len(data), MaxFrame)
	}
	frame := binary.BigEndian.AppendUint32(make([]byte, 0, 4+len(data)), uint32(len(data)))
	if _, err := w.Write(append(frame, data...)); err != nil {
		return fmt.Errorf("writing a frame: %w", err)
	}
	return nil
}

// ReadFrame reads one frame of at most limit bytes into v.
func ReadFrame(r io.Reader, limit int, v any) error {
	var head [4]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return fmt.Errorf("reading a frame: %w", err)
	}
	n := binary.BigEndian.Uint32(head[:])
	if int64(n) > int64(limit) {
		return fmt.Errorf("a frame of %d bytes is over the limit of %d", n, limit)
	}
	data := make([]byte, n)
	if _, err := io.ReadFull(r, data); err != nil {
		return fmt.Errorf("reading a frame: %w", err)
	}
	if err := json.Unmarshal(data, v); err != nil {
		return fmt.Errorf("decoding a frame: %w", err)
	}
	return nil
}

// Multiplexing is how both sides configure yamux: no keep-alive, because the
// ends share a machine and a box may be stopped for a while; a short accept
// queue, because whoever opens a stream is soon answered, or waits.
func Multiplexing() *yamux.Config {
	c := yamux.DefaultConfig()
	c.EnableKeepAlive = false
	c.AcceptBacklog = 64
	c.ConnectionWriteTimeout = 24 * time.Hour // a slow reader is no fault
	c.StreamOpenTimeout = 0
	c.StreamCloseTimeout = 0
	c.LogOutput = io.Discard
	return c
}
