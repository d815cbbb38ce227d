package contents

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"proofbox"
)

// remembering is a keeper with a memory, and a set on a file system whose times are relied on, which was sealed and
// verified; its files are older than what changes again without a sign.
func remembering(t *testing.T) (k *Keeper, dir string, check func() (proofbox.Verified, error)) {
	t.Helper()
	var sys unix.Statfs_t
	base := t.TempDir()
	if err := unix.Statfs(base, &sys); err != nil || !isTrusted(sys.Type) {
		base = ownFolder(t)
	}
	dir = filepath.Join(base, "set")
	for i := range 40 {
		write(t, filepath.Join(dir, fmt.Sprintf("d%d", i%4), fmt.Sprintf("f%d.csv", i)), fmt.Sprintf("id,mail\n%d,anna@example.com\n", i))
	}
	k = keeper(newKey(t))
	k.Memory = filepath.Join(base, "memory")
	if _, err := k.Seal(context.Background(), proofbox.SealRequest{Path: dir, Class: proofbox.Synthetic}, time.Now()); err != nil {
		t.Fatal(err)
	}
	k.settled = -time.Hour // as if the files were old
	return k, dir, func() (proofbox.Verified, error) {
		return k.Check(context.Background(), dir, false, time.Now(), func(proofbox.Verified) error { return nil })
	}
}

func isTrusted(kind int64) bool {
	return slices.Contains(trusted, kind)
}

// ownFolder is a folder beside this file, which is on a disk where the usual folder for tests is in memory.
func ownFolder(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp(".", ".memory-*")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if dir, err = filepath.Abs(dir); err != nil {
		t.Fatal(err)
	}
	var sys unix.Statfs_t
	if err := unix.Statfs(dir, &sys); err != nil || !isTrusted(sys.Type) {
		if strings.Contains(os.Getenv("PROOFBOX_REQUIRE"), "disk") {
			t.Fatalf("a disk is required, and %q has %x: %v", dir, sys.Type, err)
		}
		t.Skipf("no file system here has times that are relied on: %x, %v", sys.Type, err)
	}
	return dir
}

// TestMemory: what is unchanged is confirmed without being read, and whatever somebody does who can write it is
// found out, also with its old times put back.
func TestMemory(t *testing.T) {
	k, dir, check := remembering(t)
	victim := filepath.Join(dir, "d1", "f1.csv")
	first, err := check()
	if err != nil || first.How != "every byte was read" || first.Files != 40 {
		t.Fatalf("%q, %d files, %v", first.How, first.Files, err)
	}
	again, err := check()
	if err != nil || !strings.Contains(again.How, "of the files, at random, were read again") || again.Files != 40 || again.Digest != first.Digest {
		t.Fatalf("%q, %d files, %v", again.How, again.Files, err)
	}
	old, err := os.Stat(victim)
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(victim)
	if err != nil {
		t.Fatal(err)
	}
	real := strings.Replace(string(text), "example", "examplf", 1)
	for name, attack := range map[string]func(){
		"written, times put back": func() { write(t, victim, real) },
		"another in its place": func() {
			write(t, victim+".new", real)
			if err := os.Chtimes(victim+".new", old.ModTime(), old.ModTime()); err != nil {
				t.Fatal(err)
			}
			if err := os.Rename(victim+".new", victim); err != nil {
				t.Fatal(err)
			}
		},
		"one more": func() { write(t, filepath.Join(dir, "d2", "more.csv"), real) },
		"one less": func() { remove(t, victim) },
		"by a mapped page": func() {
			f, err := os.OpenFile(victim, os.O_RDWR, 0)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			page, err := unix.Mmap(int(f.Fd()), 0, len(text), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
			if err != nil {
				t.Fatal(err)
			}
			copy(page, real)
			if err := unix.Munmap(page); err != nil {
				t.Fatal(err)
			}
		},
	} {
		attack()
		_ = os.Chtimes(victim, old.ModTime(), old.ModTime())
		if v, err := check(); err == nil {
			t.Errorf("%s: it is taken for unchanged: %s", name, v.How)
		}
		_ = os.Remove(filepath.Join(dir, "d2", "more.csv"))
		write(t, victim, string(text))
		if v, err := check(); err != nil || v.How != "every byte was read" {
			t.Fatalf("%s, put right: %q, %v", name, v.How, err)
		}
	}
	if v, err := k.Check(context.Background(), dir, true, time.Now(), func(proofbox.Verified) error { return nil }); err != nil || v.How != "every byte was read" {
		t.Errorf("all: %q, %v", v.How, err)
	}
}

// TestMemoryKeys: a memory that another key has made, that was changed, or that is of another seal, is none; and a
// set that has changed a moment ago is not remembered.
func TestMemoryKeys(t *testing.T) {
	k, dir, check := remembering(t)
	if _, err := check(); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(k.file(dir))
	if err != nil {
		t.Fatal(err)
	}
	for _, at := range []int{0, 20, len(whole) / 2, len(whole) - 1} {
		broken := []byte(string(whole))
		broken[at] ^= 1
		if err := os.WriteFile(k.file(dir), broken, 0o600); err != nil {
			t.Fatal(err)
		}
		if v, err := check(); err != nil || v.How != "every byte was read" {
			t.Errorf("changed at %d: %q, %v", at, v.How, err)
		}
	}
	k.settled = settled
	write(t, filepath.Join(dir, "d1", "f1.csv"), "id,mail\n1,anna@example.com\n")
	if v, err := check(); err != nil || !strings.Contains(v.How, "changed a moment ago") {
		t.Errorf("changed a moment ago: %q, %v", v.How, err)
	}
}

// counted is a scanner that counts how often it is asked for its rules.
type counted struct {
	Program
	file, rules string
	asked       *int
}

func (c counted) File() string { return c.file }

func (c counted) Rules(context.Context) (string, error) {
	*c.asked++
	return c.rules, nil
}

// TestRulesRemembered: a program is asked for its rules once, and again when its file is another one, was written with
// its old time put back, or when somebody has written what is remembered.
func TestRulesRemembered(t *testing.T) {
	k, dir, _ := remembering(t)
	file, asked := filepath.Join(filepath.Dir(dir), "program"), 0
	write(t, file, "one")
	ask := func(rules string, want int) {
		t.Helper()
		k.Scanner = counted{program, file, rules, &asked}
		got, err := k.rules(t.Context())
		if err != nil || got != rules || asked != want {
			t.Fatalf("rules %q, asked %d times, %v; want %q, %d times", got, asked, err, rules, want)
		}
	}
	ask("a", 1)
	ask("a", 1)
	before, err := os.Stat(file)
	if err != nil {
		t.Fatal(err)
	}
	write(t, file, "two")
	if err := os.Chtimes(file, before.ModTime(), before.ModTime()); err != nil {
		t.Fatal(err)
	}
	ask("b", 2)
	ask("b", 2)
	write(t, file+".new", "two")
	if err := os.Rename(file+".new", file); err != nil {
		t.Fatal(err)
	}
	ask("c", 3)
	ask("c", 3)
	forged, err := os.ReadFile(k.rulesFile())
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(k.rulesFile(), []byte(strings.Replace(string(forged), `"c"`, `"z"`, 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	ask("c", 4)
	k.settled = 0 // now the file is too young
	ask("d", 5)
	ask("d", 6)
}
