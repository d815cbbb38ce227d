package contents

import (
	"context"
	"errors"
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/mod/sumdb/tlog"
	"pgregory.net/rapid"

	"proofbox"
	"proofbox/internal/audit"
)

var now = time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)

const (
	madeUp = "id,mail,phone\n1,anna@example.com,212-555-0123\n2,bert@shop.test,212-555-0199\n"
	export = "id,mail,phone\n1,anna@example.com,212-555-0123\n2,bert@shop.test,212-555-0199\n3,carla.diaz@gmail.com,212-736-5000\n"
)

// program is cmd/proofbox-contents, built for these tests.
var program Program

func TestMain(m *testing.M) {
	if as := os.Getenv(helperEnv); as != "" {
		helpers[as]()
		return
	}
	os.Exit(withProgram(m.Run))
}

func withProgram(run func() int) int {
	dir, err := os.MkdirTemp("", "contents-test-")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	program = Program{Path: filepath.Join(dir, "proofbox-contents")}
	if out, err := exec.Command("go", "build", "-o", program.Path, "proofbox/cmd/proofbox-contents").CombinedOutput(); err != nil {
		log.Fatalf("building what looks at data: %v\n%s", err, out)
	}
	return run()
}

func keeper(key *audit.Key) *Keeper { return &Keeper{Key: key, Scanner: program} }

func newKey(t *testing.T) *audit.Key {
	t.Helper()
	key, err := audit.OpenKey(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// sealed makes a synthetic set of two files and seals it.
func sealed(t *testing.T, key *audit.Key) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "set")
	write(t, filepath.Join(dir, "a.csv"), madeUp)
	write(t, filepath.Join(dir, "sub", "b.txt"), "nothing here\n")
	if _, err := keeper(key).Seal(context.Background(), proofbox.SealRequest{Path: dir, Class: proofbox.Synthetic}, now); err != nil {
		t.Fatal(err)
	}
	return dir
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), 0o644)); err != nil {
		t.Fatal(err)
	}
}

// refused checks that a rule refused, for a reason that has the words.
func refused(t *testing.T, err error, rule string, words ...string) {
	t.Helper()
	refusal, ok := errors.AsType[*proofbox.Refusal](err)
	if !ok || refusal.Rule != rule {
		t.Fatalf("got %v, want a refusal by the rule %s", err, rule)
	}
	for _, w := range words {
		if !strings.Contains(refusal.Reason, w) {
			t.Errorf("%q does not say %q", refusal.Reason, w)
		}
	}
}

// TestClasses: what a class claims is held against the data.
func TestClasses(t *testing.T) {
	t.Parallel()
	grant := &proofbox.Grant{Person: "the owner", Reason: "an audit", Until: now.AddDate(0, 1, 0)}
	for name, c := range map[string]struct {
		class proofbox.Class
		grant *proofbox.Grant
		text  string
		rule  string // empty where it is sealed
		words []string
	}{
		"made up":            {proofbox.Synthetic, nil, madeUp, "", nil},
		"an export":          {proofbox.Synthetic, nil, export, "synthetic-is-nobodys", []string{"a.csv", "record 4", `field "mail"`, "email"}},
		"made up, as none":   {proofbox.None, nil, madeUp, "none-holds-no-identifiers", []string{"record 2"}},
		"nothing":            {proofbox.None, nil, "a,b\nx,y\n", "", nil},
		"no text":            {proofbox.None, nil, "a\x00b", "contents-readable", []string{"a.csv", "byte 1"}},
		"masked":             {proofbox.Masked, nil, madeUp, "masked-by-a-masker", nil},
		"real":               {proofbox.Real, nil, export, "real-data-needs-grant", nil},
		"real, granted":      {proofbox.Real, grant, export, "", nil},
		"real, without end":  {proofbox.Real, &proofbox.Grant{Person: "p", Reason: "r"}, export, "real-data-needs-grant", nil},
		"real, ended":        {proofbox.Real, &proofbox.Grant{Person: "p", Reason: "r", Until: now}, export, "real-data-needs-grant", []string{"ended on 2026-11-25"}},
		"granted, synthetic": {proofbox.Synthetic, grant, madeUp, "grant-is-for-real-data", nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "a.csv")
			write(t, path, c.text)
			key := newKey(t)
			_, err := keeper(key).Seal(context.Background(), proofbox.SealRequest{Path: path, Class: c.class, Grant: c.grant}, now)
			if c.rule != "" {
				refused(t, err, c.rule, c.words...)
				if _, err := os.Stat(File(path)); err == nil {
					t.Error("there is a seal all the same")
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			v, err := keeper(key).Verify(context.Background(), path, c.class, now)
			if err != nil || v.Seal.Class != c.class {
				t.Errorf("verifying gives %v, %v", v.Seal.Class, err)
			}
		})
	}
}

// TestAttacks: whoever may write the set, or put another in its place, is
// caught, and what they did is named.
func TestAttacks(t *testing.T) {
	t.Parallel()
	for name, attack := range map[string]struct {
		do    func(t *testing.T, dir string)
		rule  string
		words []string
	}{
		"swapped for an export": {
			func(t *testing.T, dir string) { write(t, filepath.Join(dir, "a.csv"), export) },
			"contents-as-sealed",
			[]string{"a.csv", "was changed", "record 4", "synthetic-is-nobodys"},
		},
		"swapped, of the same size and time": {func(t *testing.T, dir string) {
			path := filepath.Join(dir, "a.csv")
			info, err := os.Stat(path)
			if err != nil {
				t.Fatal(err)
			}
			write(t, path, strings.Replace(madeUp, "example.com", "gxxxmil.com", 1))
			if err := os.Chtimes(path, info.ModTime(), info.ModTime()); err != nil {
				t.Fatal(err)
			}
		}, "contents-as-sealed", []string{"a.csv", "was changed", "record 2"}},
		"a file added":   {func(t *testing.T, dir string) { write(t, filepath.Join(dir, "c.csv"), "x\n") }, "contents-as-sealed", []string{"c.csv", "is not in the seal"}},
		"a file removed": {func(t *testing.T, dir string) { remove(t, filepath.Join(dir, "a.csv")) }, "contents-as-sealed", []string{"a.csv", "not in the set"}},
		"a file renamed": {func(t *testing.T, dir string) {
			if err := os.Rename(filepath.Join(dir, "a.csv"), filepath.Join(dir, "z.csv")); err != nil {
				t.Fatal(err)
			}
		}, "contents-as-sealed", []string{"z.csv"}},
		"a link to the outside": {func(t *testing.T, dir string) {
			path := filepath.Join(dir, "a.csv")
			remove(t, path)
			if err := os.Symlink("/etc/passwd", path); err != nil {
				t.Fatal(err)
			}
		}, "contents-as-sealed", []string{"a.csv", "symbolic link"}},
		"no seal": {func(t *testing.T, dir string) { remove(t, File(dir)) }, "contents-are-sealed", []string{"has no seal"}},
		"a truncated seal": {func(t *testing.T, dir string) {
			if err := os.Truncate(File(dir), 200); err != nil {
				t.Fatal(err)
			}
		}, "seal-is-signed", nil},
		"a seal of another key": {func(t *testing.T, dir string) {
			write(t, filepath.Join(dir, "a.csv"), export)
			grant := &proofbox.Grant{Person: "p", Reason: "r", Until: now.AddDate(1, 0, 0)}
			if _, err := keeper(newKey(t)).Seal(context.Background(), proofbox.SealRequest{Path: dir, Class: proofbox.Real, Grant: grant}, now); err != nil {
				t.Fatal(err)
			}
		}, "seal-is-signed", []string{"is signed with the key", "another state folder"}},
		"a seal with one letter changed": {func(t *testing.T, dir string) {
			data, err := os.ReadFile(File(dir))
			if err != nil {
				t.Fatal(err)
			}
			at := strings.Index(string(data), `"payload": "`) + 40
			data[at] ^= 1
			write(t, File(dir), string(data))
		}, "seal-is-signed", nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			key := newKey(t)
			dir := sealed(t, key)
			if _, err := keeper(key).Verify(context.Background(), dir, proofbox.Synthetic, now); err != nil {
				t.Fatal(err)
			}
			attack.do(t, dir)
			_, err := keeper(key).Verify(context.Background(), dir, proofbox.Synthetic, now)
			refused(t, err, attack.rule, attack.words...)
		})
	}
}

func remove(t *testing.T, path string) {
	t.Helper()
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
}

// TestMovedSeal: a seal does not fit another set, and another signed statement is
// no seal.
func TestMovedSeal(t *testing.T) {
	t.Parallel()
	key := newKey(t)
	dir, other := sealed(t, key), filepath.Join(t.TempDir(), "other")
	write(t, filepath.Join(other, "a.csv"), export)
	data, err := os.ReadFile(File(dir))
	if err != nil {
		t.Fatal(err)
	}
	write(t, File(other), string(data))
	_, err = keeper(key).Verify(context.Background(), other, "", now)
	refused(t, err, "contents-as-sealed", "a.csv")

	receipt, err := key.SignReceipt(context.Background(), "run", audit.TeardownPredicate, proofbox.Seal{Class: proofbox.Synthetic})
	if err != nil {
		t.Fatal(err)
	}
	write(t, File(dir), string(receipt))
	_, err = keeper(key).Verify(context.Background(), dir, "", now)
	refused(t, err, "seal-is-signed", "not a seal")
}

// TestDeclared: a set is not taken for another class than it is sealed as, nor
// after its grant has ended.
func TestDeclared(t *testing.T) {
	t.Parallel()
	key := newKey(t)
	dir := sealed(t, key)
	_, err := keeper(key).Verify(context.Background(), dir, proofbox.None, now)
	refused(t, err, "class-as-sealed", "its seal says synthetic")
	grant := &proofbox.Grant{Person: "p", Reason: "r", Until: now.AddDate(0, 0, 1)}
	if _, err := keeper(key).Seal(context.Background(), proofbox.SealRequest{Path: dir, Class: proofbox.Real, Grant: grant}, now); err != nil {
		t.Fatal(err)
	}
	_, err = keeper(key).Verify(context.Background(), dir, proofbox.Real, now.AddDate(0, 0, 1))
	refused(t, err, "real-data-needs-grant", "ended")
}

// TestFreeze: what was verified is the copy, and a box can read it whatever the
// umask is. It is not parallel, because the umask is the whole process's.
func TestFreeze(t *testing.T) {
	key := newKey(t)
	dir, to := sealed(t, key), filepath.Join(t.TempDir(), "copy")
	defer syscall.Umask(syscall.Umask(0o077))
	if _, err := keeper(key).Freeze(context.Background(), dir, proofbox.Synthetic, to, now); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(to); err != nil || info.Mode().Perm() != 0o755 {
		t.Errorf("the copy's folder is %v, %v", info, err)
	}
	write(t, filepath.Join(dir, "a.csv"), export)
	got, err := os.ReadFile(filepath.Join(to, "a.csv"))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(madeUp, string(got)); diff != "" {
		t.Error(diff)
	}
}

// TestRoot: the root is RFC 6962's, as tlog computes it, whatever the order in
// which the files come, and another for any other set.
func TestRoot(t *testing.T) {
	t.Parallel()
	if got := root(nil); got != "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" {
		t.Errorf("the root of nothing is %s", got)
	}
	rapid.Check(t, func(t *rapid.T) {
		leaves := rapid.SliceOfN(rapid.StringN(0, 8, 8), 1, 40).Draw(t, "leaves")
		var hashes []tlog.Hash
		var stored []tlog.Hash
		read := tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
			var list []tlog.Hash
			for _, i := range indexes {
				list = append(list, stored[i])
			}
			return list, nil
		})
		for i, l := range leaves {
			hashes = append(hashes, tlog.RecordHash([]byte(l)))
			more, err := tlog.StoredHashes(int64(i), []byte(l), read)
			if err != nil {
				t.Fatal(err)
			}
			stored = append(stored, more...)
		}
		want, err := tlog.TreeHash(int64(len(leaves)), read)
		if err != nil {
			t.Fatal(err)
		}
		if got := join(hashes); got != want {
			t.Fatalf("the root of %d leaves is %v, want %v", len(leaves), got, want)
		}
	})
}

func TestProgram(t *testing.T) {
	ctx := context.Background()
	if _, err := program.Scan(ctx, filepath.Join(t.TempDir(), "missing")); err == nil || !strings.Contains(err.Error(), "missing") {
		t.Errorf("scanning what is not there: %v, want its name", err)
	}
	if _, err := (&Program{Path: "/nowhere/proofbox-contents"}).Scan(ctx, t.TempDir()); err == nil || !strings.Contains(err.Error(), "make build") {
		t.Errorf("scanning without the program: %v, want the next step", err)
	}
	if _, err := (&Program{Path: "/bin/true"}).Rules(ctx); err == nil {
		t.Error("an empty answer was taken")
	}
	ended, end := context.WithCancel(ctx)
	end()
	if _, err := program.Scan(ended, "/usr"); !errors.Is(err, context.Canceled) {
		t.Errorf("an ended scan: %v, want %v", err, context.Canceled)
	}
}

// swapping is a scanner of newer rules, who finds that the set was swapped since
// it was copied.
type swapping struct {
	Program
	dir string
}

func (s swapping) Rules(context.Context) (string, error) { return "newer", nil }

func (s swapping) Examine(ctx context.Context, path string) (*Scanned, error) {
	if err := os.WriteFile(filepath.Join(s.dir, "a.csv"), []byte(export), 0o644); err != nil {
		return nil, err
	}
	return s.Program.Examine(ctx, path)
}

// TestFreezeRace: newer rules look at the copy that the box gets, and not at what
// the set has become.
func TestFreezeRace(t *testing.T) {
	t.Parallel()
	key := newKey(t)
	dir, to := sealed(t, key), filepath.Join(t.TempDir(), "copy")
	k := &Keeper{Key: key, Scanner: swapping{program, dir}}
	if _, err := k.Freeze(t.Context(), dir, proofbox.Synthetic, to, now); err != nil {
		t.Fatal(err)
	}
	_, err := k.Freeze(t.Context(), dir, proofbox.Synthetic, to+"2", now)
	refused(t, err, "contents-as-sealed", "a.csv")
}
