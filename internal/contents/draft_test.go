package contents

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"proofbox"
	"proofbox/internal/audit"
)

// helperEnv says which helper this program is, and the folder that it works in.
const helperEnv, helperDir = "CONTENTS_HELPER", "CONTENTS_HELPER_DIR"

// helpers are what the test program does where a test starts it as that.
var helpers = map[string]func(){
	"mask":  func() { helpMask(os.Getenv(helperDir)) },
	"place": func() { helpPlace(os.Getenv(helperDir)) },
	"disk":  func() { helpDisk(os.Getenv(helperDir)) },
	"list":  func() { helpList(os.Getenv(helperDir), false) },
	"whole": func() { helpList(os.Getenv(helperDir), true) },
}

// stuck is a masker that has written a part, says so, and never ends.
type stuck struct{ Masker }

func (stuck) Mask(_ context.Context, _, out, _ string, _ proofbox.MaskPlan) (*Masked, error) {
	if err := os.WriteFile(out, []byte("half of it"), 0o600); err != nil {
		return nil, err
	}
	ready()
	return nil, errors.New("it was let go on")
}

// ready says that a helper has come to where it is to be killed.
func ready() {
	fmt.Println("ready")
	_, _ = io.Copy(io.Discard, os.Stdin)
}

func helpKeeper(dir string) *Keeper {
	key, err := audit.OpenKey(filepath.Join(dir, "key"))
	if err != nil {
		panic(err)
	}
	program.Path = os.Getenv("CONTENTS_PROGRAM")
	program.Secret = Tags(key)
	return &Keeper{Key: key, Scanner: program, Drafts: filepath.Join(dir, "drafts")}
}

func helpMask(dir string) {
	r := proofbox.MaskRequest{In: filepath.Join(dir, "in.csv"), Out: filepath.Join(dir, os.Getenv("CONTENTS_OUT")), Plan: proofbox.MaskPlan{Version: 1}}
	_, err := helpKeeper(dir).Mask(context.Background(), stuck{}, r, filepath.Join(dir, "lists"), now)
	fmt.Println(err)
}

// helpPlace is between what is beside a set and the set.
func helpPlace(dir string) {
	d, err := helpKeeper(dir).draft(filepath.Join(dir, os.Getenv("CONTENTS_OUT")), sealEnd)
	if err == nil {
		err = errors.Join(os.WriteFile(d.set(), nil, 0o600), os.WriteFile(d.set()+sealEnd, nil, 0o600), os.Link(d.set()+sealEnd, d.Out+sealEnd))
	}
	if err != nil {
		fmt.Println(err)
		return
	}
	ready()
}

// helpList has kept the blind list of a set, and has put the set in its place or not.
func helpList(dir string, placed bool) {
	out := os.Getenv("CONTENTS_OUT")
	d, err := helpKeeper(dir).draft(filepath.Join(dir, out), sealEnd)
	if err == nil {
		list := d.set() + ".list"
		err = errors.Join(os.WriteFile(d.set(), nil, 0o600), os.WriteFile(list, []byte("fingerprints"), 0o600), d.keep(list, filepath.Join(dir, "lists", out)))
	}
	if err == nil && placed {
		err = d.place()
	}
	if err != nil {
		fmt.Println(err)
		return
	}
	ready()
}

// started is a helper that has come to where it is to be killed, and what kills it.
func started(t *testing.T, as, dir, out string) (kill func()) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), helperEnv+"="+as, helperDir+"="+dir, "CONTENTS_OUT="+out, "CONTENTS_PROGRAM="+program.Path)
	in, err := cmd.StdinPipe() // it ends with this test
	if err != nil {
		t.Fatal(err)
	}
	said, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(said).ReadString('\n'); line != "ready\n" {
		t.Fatalf("the helper %s said %q: %v", as, line, err)
	}
	kill = sync.OnceFunc(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		_ = in.Close()
	})
	t.Cleanup(kill)
	return kill
}

func drafts(t *testing.T, dir string) []string {
	t.Helper()
	left, err := filepath.Glob(filepath.Join(dir, draftPrefix+"*"))
	if err != nil {
		t.Fatal(err)
	}
	return left
}

// TestKilled: what a killed command has left beside its output is taken away by the next one, also where it was killed
// between the seal and the set. What a living one works at, what a program of a killed one still works at, and what
// was never ours stays.
func TestKilled(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, filepath.Join(dir, "in.csv"), export)
	write(t, filepath.Join(dir, draftPrefix+"OTHERS", "file"), "somebody's")
	killed, placing := started(t, "mask", dir, "a.csv"), started(t, "place", dir, "b.csv")
	started(t, "mask", dir, "c.csv")
	if left := drafts(t, dir); len(left) != 4 {
		t.Fatalf("there are %q", left)
	}
	killed()
	placing()
	if _, err := os.Stat(filepath.Join(dir, "b.csv.seal")); err != nil {
		t.Fatalf("it was killed too early: %v", err)
	}
	var held *os.File // as by a program that does not know yet
	for _, left := range drafts(t, dir) {
		if _, err := os.Stat(filepath.Join(left, "a.csv")); err == nil {
			if held, err = Hold(left); err != nil {
				t.Fatal(err)
			}
		}
	}
	k := helpKeeperFor(t, dir)
	mask := func(out string) error {
		_, err := k.Mask(t.Context(), k.Scanner.(Program), proofbox.MaskRequest{In: filepath.Join(dir, "in.csv"), Out: filepath.Join(dir, out), Plan: proofbox.MaskPlan{Version: 1}}, filepath.Join(dir, "lists"), now)
		return err
	}
	if err := mask("d.csv"); err != nil {
		t.Fatal(err)
	}
	if left := drafts(t, dir); len(left) != 3 { // OTHERS, the living one's, and the one that is held
		t.Errorf("after another command there are %q", left)
	}
	if err := errors.Join(held.Close(), mask("a.csv"), mask("b.csv")); err != nil {
		t.Error(err)
	}
	if left := drafts(t, dir); len(left) != 2 {
		t.Errorf("in the end there are %q", left)
	}
	if _, err := os.Stat(filepath.Join(dir, draftPrefix+"OTHERS", "file")); err != nil {
		t.Errorf("what was somebody's: %v", err)
	}
	if entries, err := os.ReadDir(k.Drafts); err != nil || len(entries) != 1 {
		t.Errorf("the journal has %v, %v", entries, err)
	}
}

// TestKilledLists: the blind list of a set that a killed command has not put in its place goes with the draft. That of a
// set that has its place, and that of a command that lives, stay.
func TestKilledLists(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, filepath.Join(dir, "in.csv"), export)
	killed, placed := started(t, "list", dir, "killed.csv"), started(t, "whole", dir, "placed.csv")
	started(t, "list", dir, "living.csv")
	killed()
	placed()
	lists := filepath.Join(dir, "lists")
	if kept := names(t, lists); len(kept) != 3 {
		t.Fatalf("there are the lists %q", kept)
	}
	k := helpKeeperFor(t, dir)
	v, err := k.Mask(t.Context(), k.Scanner.(Program), proofbox.MaskRequest{In: filepath.Join(dir, "in.csv"), Out: filepath.Join(dir, "out.csv"), Plan: proofbox.MaskPlan{Version: 1}}, lists, now)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"living.csv", "placed.csv", v.Seal.Root}
	slices.Sort(want)
	if kept := names(t, lists); !slices.Equal(kept, want) {
		t.Errorf("there are the lists %q, want %q", kept, want)
	}
}

// names are those in a folder.
func names(t *testing.T, dir string) (list []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		list = append(list, e.Name())
	}
	return list
}

// helpKeeperFor is the keeper of a folder that helpers work in.
func helpKeeperFor(t *testing.T, dir string) *Keeper {
	t.Helper()
	key, err := audit.OpenKey(filepath.Join(dir, "key"))
	if err != nil {
		t.Fatal(err)
	}
	by := program
	by.Secret = Tags(key)
	return &Keeper{Key: key, Scanner: by, Drafts: filepath.Join(dir, "drafts")}
}

// meeting is a masker and a maker that waits until another one is as far.
type meeting struct {
	Program
	met *sync.WaitGroup
}

func (m meeting) Mask(ctx context.Context, in, out, list string, plan proofbox.MaskPlan) (*Masked, error) {
	masked, err := m.Program.Mask(ctx, in, out, list, plan)
	m.met.Done()
	m.met.Wait()
	return masked, err
}

func (m meeting) Make(ctx context.Context, r proofbox.SynthRequest) (proofbox.Synthesised, error) {
	made, err := m.Program.Make(ctx, r)
	m.met.Done()
	m.met.Wait()
	return made, err
}

// TestTwoAtOnce: of two commands with one output one has it, and nothing is mixed or left.
func TestTwoAtOnce(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, filepath.Join(dir, "in.csv"), export)
	write(t, filepath.Join(dir, "plan.yaml"), "tables:\n  - {name: customers, of: customers}\n")
	k, by := helpKeeperFor(t, dir), program
	by.Secret = Tags(k.Key)
	for name, do := range map[string]func(meeting, string) error{
		"mask": func(m meeting, out string) error {
			_, err := k.Mask(t.Context(), m, proofbox.MaskRequest{In: filepath.Join(dir, "in.csv"), Out: out, Plan: proofbox.MaskPlan{Version: 1}}, filepath.Join(dir, "lists"), now)
			return err
		},
		"synth": func(m meeting, out string) error {
			_, err := k.Synthesise(t.Context(), m, proofbox.SynthRequest{Plan: "customers", Out: out, Rows: 20, Seed: 1, Mess: "usual"})
			return err
		},
	} {
		out, m := filepath.Join(dir, name+".csv"), meeting{by, new(sync.WaitGroup)}
		m.met.Add(2)
		results := make(chan error, 2)
		for range 2 {
			go func() { results <- do(m, out) }()
		}
		first, second := <-results, <-results
		if first == nil {
			first, second = second, first
		}
		if second != nil || first == nil || !strings.Contains(first.Error(), "meanwhile") || strings.Contains(first.Error(), draftPrefix) {
			t.Errorf("%s: %v and %v", name, first, second)
		}
		if left := drafts(t, dir); len(left) > 0 {
			t.Errorf("%s left %q", name, left)
		}
		if name == "mask" {
			v, err := k.Verify(t.Context(), out, proofbox.Masked, now)
			if err == nil {
				err = k.Unsurvived(t.Context(), by, out, v.Seal, filepath.Join(dir, "lists"))
			}
			if err != nil {
				t.Error(err)
			}
		}
	}
}

// helpDisk works on a disk that is too small for what it is to make.
func helpDisk(dir string) {
	small := filepath.Join(dir, "small")
	if err := unix.Mount("small", small, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "size=1m"); err != nil {
		fmt.Println("mounting:", err)
		return
	}
	k, ctx := helpKeeper(dir), context.Background()
	plan := proofbox.MaskPlan{Version: 1, Fields: []proofbox.MaskField{{Field: "ref", Kind: "number", Reversible: true}}}
	_, err := k.Mask(ctx, program, proofbox.MaskRequest{In: filepath.Join(dir, "in.csv"), Out: filepath.Join(small, "masked.csv"), Plan: plan}, filepath.Join(dir, "lists"), now)
	fmt.Println("mask:", err)
	_, err = k.Synthesise(ctx, program, proofbox.SynthRequest{Plan: "customers", Out: filepath.Join(small, "made.jsonl"), Rows: 20_000, Seed: 1})
	fmt.Println("synth:", err)
	_, err = k.Mask(ctx, program, proofbox.MaskRequest{In: filepath.Join(dir, "in.csv"), Out: filepath.Join(dir, "masked.csv"), Plan: plan}, filepath.Join(dir, "lists"), now)
	if err == nil {
		_, err = k.Unmask(ctx, program, proofbox.UnmaskRequest{In: filepath.Join(dir, "masked.csv"), Out: filepath.Join(small, "back.csv")}, func(proofbox.Unmasked) error { return nil }, now)
	}
	fmt.Println("unmask:", err)
	_, err = k.Synthesise(ctx, program, proofbox.SynthRequest{Plan: "customers", Out: filepath.Join(small, "little.jsonl"), Rows: 20, Seed: 1})
	fmt.Println("little:", err)
	entries, err := os.ReadDir(small)
	fmt.Println("left:", entries, err)
}

// TestDiskFull: what does not fit is refused with the place that the user has named, nothing of it is left, and what
// fits is made afterwards.
func TestDiskFull(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	var rows strings.Builder
	rows.WriteString("ref,mail,note\n")
	for i := range 30_000 {
		fmt.Fprintf(&rows, "%d,customer%d@web.de,left at the door of a neighbour\n", 10_000_000_000+i*104_729, i)
	}
	write(t, filepath.Join(dir, "in.csv"), rows.String())
	if err := os.Mkdir(filepath.Join(dir, "small"), 0o700); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), helperEnv+"=disk", helperDir+"="+dir, "CONTENTS_PROGRAM="+program.Path)
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Geteuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getegid(), Size: 1}},
	}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	want := []string{"mask: ", "synth: ", "unmask: ", "little: <nil>", "left: [- little.jsonl] <nil>"}
	if len(lines) != len(want) {
		t.Fatalf("%s", out)
	}
	for i, line := range lines {
		full := i < 3
		if !strings.HasPrefix(line, want[i]) || full && !(strings.Contains(line, "no space left") && strings.Contains(line, "/small/") && !strings.Contains(line, draftPrefix)) {
			t.Errorf("%q, want %q", line, want[i])
		}
	}
}
