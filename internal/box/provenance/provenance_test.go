package provenance

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"pgregory.net/rapid"

	"proofbox"
)

// scratch mounts a file system as a box has one, and opens it.
func scratch(t *testing.T) *os.File {
	t.Helper()
	if os.Geteuid() != 0 {
		if slices.Contains(strings.Split(os.Getenv("PROOFBOX_REQUIRE"), ","), "root") {
			t.Fatal("this is not root")
		}
		t.Skip("only root is told who writes")
	}
	dir := t.TempDir()
	if err := unix.Mount("scratch", dir, "tmpfs", 0, ""); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		f.Close()
		if err := unix.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	})
	return f
}

// record opens a record of a scratch without following it: what happens until follow
// is called waits in the kernel.
func record(t *testing.T, on *os.File) *Record {
	t.Helper()
	r := empty()
	if err := r.openGroups(on); err != nil {
		t.Fatal(err)
	}
	return r
}

// TestMoreThanTheKernelKeeps: a box that writes faster than it is followed makes
// everything unknown, and not what was lost alone.
func TestMoreThanTheKernelKeeps(t *testing.T) {
	on := scratch(t)
	r := record(t, on)
	for i := range 20_000 { // its queue has 16384
		if err := os.WriteFile(filepath.Join(on.Name(), strconv.Itoa(i)), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	go r.follow()
	r.Close()
	if r.Unknown() == "" {
		t.Error("what was lost is not missed")
	}
}

// TestTooManyNames: what is remembered is bounded, and what is not remembered is not
// taken for unwritten.
func TestTooManyNames(t *testing.T) {
	r := empty()
	r.deeds = make(map[string]*deeds, maxKeys)
	for i := range maxKeys + 1 {
		r.of(strconv.Itoa(i)).add(nil, i, false)
	}
	if r.Unknown() == "" || len(r.deeds) > 0 {
		t.Errorf("unknown %q with %d names", r.Unknown(), len(r.deeds))
	}
}

// TestNumberGivenAgain: an event of a process that has gone is the last's that was seen
// with its number, only as long as no other can have had it.
func TestNumberGivenAgain(t *testing.T) {
	r := empty()
	now := time.Now()
	r.cycle = cycle{most: 1000, safe: time.Minute, next: 400, when: now}
	first := r.remember(1, 400, &process{names: []string{"make"}})
	r.cycle.move(700, now, false)
	if got := r.find(unix.FAN_NOPIDFD, 400); got != first {
		t.Error("a number that nobody else can have is not known")
	}
	if got := r.find(unix.FAN_NOPIDFD, 401); got != nil {
		t.Error("a process that nobody has seen is known")
	}
	r.cycle.move(950, now, false)
	if got := r.find(unix.FAN_NOPIDFD, 400); got != nil {
		t.Error("a number that may have been given again is taken for the first that had it")
	}
	r.remember(1, 400, first)
	r.cycle.move(951, now.Add(2*time.Minute), false)
	if got := r.find(unix.FAN_NOPIDFD, 400); got != nil {
		t.Error("nobody has looked for so long that the numbers may have come round")
	}
}

// TestCycleIsNeverBehind: however far the numbers have gone between two looks that are
// close enough, the cycle is as far or further.
func TestCycleIsNeverBehind(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		most := rapid.IntRange(2, 40_000).Draw(t, "most")
		c := cycle{most: most, safe: time.Second, when: time.Unix(0, 0)}
		given := int64(0)
		for _, step := range rapid.SliceOf(rapid.IntRange(0, 100_000)).Draw(t, "steps") {
			wait := time.Millisecond
			if step >= most { // which takes a machine longer than is safe
				wait = 2 * time.Second
			}
			given += int64(min(step, 2*most-1))
			c.move(int(given%int64(most)), c.when.Add(wait), false)
			if c.far < given {
				t.Fatalf("%d numbers were given, and %d are counted", given, c.far)
			}
		}
	})
}

// TestCalled: a program has the names that a person would give it.
func TestCalled(t *testing.T) {
	for _, test := range []struct {
		file string
		args []string
		want []string
	}{
		{"/usr/bin/npm", []string{"npm", "install"}, []string{"npm", "npm"}},
		{"/usr/bin/node", []string{"node", "--no-warnings", "/usr/bin/npm", "install"}, []string{"node", "node", "npm"}},
		{"/usr/bin/python3", []string{"python3", "-m", "pip", "install"}, []string{"python3", "python3", "pip"}},
		{"/bin/sh", []string{"sh", "-c", "npm install"}, []string{"sh", "sh"}},
		{"/bin/bash", []string{"-bash"}, []string{"bash", "bash"}},
		{"/usr/bin/env", []string{"env", "node", "x"}, []string{"env", "env", "node"}},
		{"/bin/true", nil, []string{"true"}},
		{"/bin/cp", []string{"cp", "npm", "x"}, []string{"cp", "cp"}},
	} {
		if got := called(test.file, test.args); !slices.Equal(got, test.want) {
			t.Errorf("%q %q is called %q, want %q", test.file, test.args, got, test.want)
		}
	}
}

// TestNamesAreBounded: a process that has run more programs than are remembered is not
// one that has run no others.
func TestNamesAreBounded(t *testing.T) {
	p := &process{}
	for i := range maxNames + 1 {
		p.name(strconv.Itoa(i))
	}
	if len(p.names) > maxNames || !p.doubt {
		t.Errorf("%d names, doubt %v", len(p.names), p.doubt)
	}
}

// TestManyWriters: a path that more processes have written than are told apart may be
// from any.
func TestManyWriters(t *testing.T) {
	d := &deeds{}
	for i := range maxWriters + 1 {
		d.add(&process{}, i, false)
	}
	if w := sum([]*deeds{d}, nil); w.Unknown == "" || len(d.by) > maxWriters {
		t.Errorf("%+v", w)
	}
}

// TestUnseenIsUnknown: a path that nobody was seen to write is not from nobody.
func TestUnseenIsUnknown(t *testing.T) {
	on := scratch(t)
	if err := os.WriteFile(filepath.Join(on.Name(), "early"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	r := record(t, on)
	go r.follow()
	r.Close()
	if got := r.Find(on).Writers("early"); got.Unknown != unseen || len(got.Names) > 0 {
		t.Errorf("%+v", got)
	}
}

// TestSharedFileSystem: where others write to the same file system, nobody's writing is
// taken for the box's.
func TestSharedFileSystem(t *testing.T) {
	dir, err := os.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	if err := own(dir); err == nil {
		t.Error("a folder of a shared file system is taken")
	}
}

// FuzzArguments: what a process says that it starts is read within bounds.
func FuzzArguments(f *testing.F) {
	f.Add([]byte("\x10\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00npm\x00"))
	f.Fuzz(func(t *testing.T, data []byte) {
		path := filepath.Join(t.TempDir(), "mem")
		if err := os.WriteFile(path, append(binary.NativeEndian.AppendUint64(nil, 1), data...), 0o600); err != nil {
			t.Fatal(err)
		}
		mem, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer mem.Close()
		args, err := arguments(mem, "8")
		if len(args) > maxArguments || err == nil && slices.ContainsFunc(args, func(a string) bool { return len(a) > maxArgument }) {
			t.Errorf("%q", args)
		}
		var p process
		for _, n := range called("/x/"+string(data), args) {
			p.name(n)
		}
		var w proofbox.Writers = sum([]*deeds{{by: []*process{&p}, last: &p}}, nil)
		if len(w.Names) > maxNames {
			t.Errorf("%q", w.Names)
		}
	})
}
