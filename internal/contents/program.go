package contents

import (
	"bytes"
	"cmp"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"proofbox"
	"proofbox/internal/audit"
)

// Scanned is what a scan gives.
type Scanned struct {
	proofbox.Scan
	// Sealed are the files as they were read, by name.
	Sealed []proofbox.SealedFile
	// Planted says what the scan misses, where it was tried.
	Planted *proofbox.Planted
}

// Scanner looks for identifiers and secrets. Rules is the digest of what it
// knows them by.
type Scanner interface {
	Scan(ctx context.Context, path string) (*Scanned, error)
	Rules(ctx context.Context) (string, error)
	// Examine scans, and tries the scan with values planted in a shadow of the set.
	Examine(ctx context.Context, path string) (*Scanned, error)
	// File is the program. It has other rules only if it is another file.
	File() string
}

// What cmd/proofbox-contents is told to do.
const (
	ScanOrder  = "scan"
	NamesOrder = "names" // a scan that looks for names, too
	// PluggedOrder is one whose names a program finds that is asked by the descriptors
	// [Questions] and [Answers], and has the digest that is given.
	PluggedOrder = "plugged"
	RulesOrder   = "rules"
	MaskOrder    = "mask" // a set to another path, and the list to a third; the plan is on the input
	// ExamineOrder is a scan that is tried with planted values.
	ExamineOrder = "examine"
	UnmaskOrder  = "unmask" // a masked set to another path; what its seal says is on the input
	// SurvivorOrder looks for the values of a list.
	SurvivorOrder = "survivor"
	SynthOrder    = "synth"
	MessOrder     = "mess" // measures a set; what it should be like is on the input
)

// Bounds of an answer of the program, which has met hostile data.
const (
	maxAnswer    = 1 << 30 // bytes: the entries of some six million files
	maxComplaint = 4 << 10 // bytes
)

// Program is cmd/proofbox-contents. It is a [Scanner].
type Program struct {
	Path string
	// Secret is what tags are known by, see [Tags]; empty for none.
	Secret []byte
	// Plug is a program of the user's that finds names, see [Program.Names]; empty for none.
	Plug string
}

// Tags derives the secret of tags from the key that seals are signed with: who may
// say what a data set is may say what was made here.
func Tags(key *audit.Key) []byte { return key.Derive("tags") }

// keyLine is the first line of the program's input. It is no argument, because others
// can read those.
func (p Program) keyLine() string { return hex.EncodeToString(p.Secret) + "\n" }

// Scan looks at a file, or at a folder with all that is in it. The error is
// about the scan as a whole; what one file is about is a problem in the result.
func (p Program) Scan(ctx context.Context, path string) (*Scanned, error) {
	var found Scanned
	return &found, p.ask(ctx, &found, nil, ScanOrder, path)
}

// Names scans as [Program.Scan] does, and for names, places and addresses, too.
// No class claims anything about those. Where there is a plug, that finds them.
func (p Program) Names(ctx context.Context, path string) (*Scanned, error) {
	var found Scanned
	if p.Plug == "" {
		return &found, p.ask(ctx, &found, nil, NamesOrder, path)
	}
	plug, err := startPlug(ctx, p.Plug)
	if err != nil {
		return nil, fmt.Errorf("starting what finds names, %q of PROOFBOX_NAMES: %w", p.Plug, err)
	}
	err = p.askWith(ctx, plug.files(), &found, nil, PluggedOrder, path, plug.digest)
	if ended := plug.end(); ended != nil {
		err = errors.Join(err, fmt.Errorf("what finds names, %q of PROOFBOX_NAMES: %w", p.Plug, ended))
	}
	return &found, err
}

// Rules gives the digest of the rules that [Program.Scan] works by.
func (p Program) Rules(ctx context.Context) (string, error) {
	var digest string
	return digest, p.ask(ctx, &digest, nil, RulesOrder)
}

// Make makes up a data set.
func (p Program) Make(ctx context.Context, r proofbox.SynthRequest) (proofbox.Synthesised, error) {
	var made proofbox.Synthesised
	request, err := json.Marshal(r)
	if err != nil {
		return made, fmt.Errorf("asking for a set: %w", err)
	}
	return made, p.ask(ctx, &made, nil, SynthOrder, string(request))
}

// Examine scans as [Program.Scan] does, and counts how many values that look real it misses, planted in a shadow
// of the set.
func (p Program) Examine(ctx context.Context, path string) (*Scanned, error) {
	var found Scanned
	return &found, p.ask(ctx, &found, nil, ExamineOrder, path)
}

// File is the program's own file.
func (p Program) File() string { return p.Path }

// Masked is what masking gives.
type Masked struct {
	proofbox.Masking
	Source []proofbox.SealedFile `json:"source_files"`
}

// Mask masks a set, and writes it and its blind list to paths that are not there.
func (p Program) Mask(ctx context.Context, in, out, list string, plan proofbox.MaskPlan) (*Masked, error) {
	var m Masked
	return &m, p.ask(ctx, &m, plan, MaskOrder, in, out, list)
}

// Unmask writes a masked set with its reversible numbers as they were to a path that is not there, and counts them.
func (p Program) Unmask(ctx context.Context, in, out string, by proofbox.Masking) (int64, error) {
	var restored int64
	return restored, p.ask(ctx, &restored, by, UnmaskOrder, in, out)
}

// Survivor is a real value that is still in a masked set.
type Survivor struct {
	proofbox.Place
	Kind string `json:"kind"`
}

// Survivor looks for the real values of a blind list in a set. It gives the first that it has found, or nil.
func (p Program) Survivor(ctx context.Context, path, list string) (*Survivor, error) {
	var found *Survivor
	err := p.ask(ctx, &found, nil, SurvivorOrder, path, list)
	return found, err
}

// Mess measures how dirty a set is.
func (p Program) Mess(ctx context.Context, r proofbox.MessRequest) (proofbox.MessJudged, error) {
	var judged proofbox.MessJudged
	err := p.ask(ctx, &judged, r.Like, MessOrder, r.Path)
	return judged, err
}

// ask runs the program and reads its answer. An order that is not nil is on its input.
// It gets no environment, and is ended with ctx.
func (p Program) ask(ctx context.Context, answer, order any, args ...string) error {
	return p.askWith(ctx, nil, answer, order, args...)
}

// askWith does so with files that it has open, from descriptor 3 on.
func (p Program) askWith(ctx context.Context, files []*os.File, answer, order any, args ...string) error {
	cmd := p.command(ctx, "384MiB", args...) // of the 512 MiB that looking at data may take
	cmd.ExtraFiles = files
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 5 * time.Second
	line, err := json.Marshal(order)
	if err != nil {
		return fmt.Errorf("asking %q: %w", p.Path, err)
	}
	cmd.Stdin = strings.NewReader(p.keyLine() + string(line))
	complaint := &head{most: maxComplaint}
	cmd.Stderr = complaint
	out, err := cmd.StdoutPipe()
	if err != nil {
		return fmt.Errorf("starting %q: %w", p.Path, err)
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("starting what looks at data: %w (run `make build`)", err)
	}
	decoded := json.NewDecoder(io.LimitReader(out, maxAnswer)).Decode(answer)
	_, drained := io.Copy(io.Discard, out)
	if err := cmd.Wait(); err != nil {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if said := complaint.String(); strings.Contains(said, "out of memory") {
			return fmt.Errorf("%q: something in it asks for more memory than looking at data may take; take out what is no data, or export it as text", args[len(args)-1])
		}
		return errors.New(cmp.Or(strings.TrimSpace(complaint.String()), err.Error()))
	}
	if err := errors.Join(decoded, drained); err != nil {
		return fmt.Errorf("reading the answer of %q: %w", p.Path, err)
	}
	return nil
}

// command is the program with an order: without an environment, and with a network of
// its own that has nothing in it. What else it cannot do it gives up itself, when it
// knows its order.
func (p Program) command(ctx context.Context, memory string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, p.Path, args...)
	// It does one thing after the other; a second processor would only look for work. What it keeps is a few megabytes, so
	// collecting whenever that has doubled would take a tenth of its time, and the limit bounds what it has in any case.
	cmd.Env = []string{"GOMEMLIMIT=" + memory, "GOMAXPROCS=1", "GOGC=400"}
	cmd.SysProcAttr = alone()
	return cmd
}

// alone gives a process a network of its own. An ordinary user can do that in a user
// namespace, in which the process stays that user.
func alone() *syscall.SysProcAttr {
	attr := &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET}
	if uid, gid := os.Geteuid(), os.Getegid(); uid != 0 {
		attr.Cloneflags |= syscall.CLONE_NEWUSER
		attr.UidMappings = []syscall.SysProcIDMap{{ContainerID: uid, HostID: uid, Size: 1}}
		attr.GidMappings = []syscall.SysProcIDMap{{ContainerID: gid, HostID: gid, Size: 1}}
	}
	return attr
}

// head keeps the first bytes of what is written to it.
type head struct {
	bytes.Buffer
	most int
}

func (h *head) Write(p []byte) (int, error) {
	h.Buffer.Write(p[:min(len(p), h.most-h.Len())])
	return len(p), nil
}
