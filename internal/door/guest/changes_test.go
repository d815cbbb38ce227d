package guest_test

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"proofbox"
	"proofbox/internal/box/harvest"
	"proofbox/internal/door"
	"proofbox/internal/workspace"
)

// original is what a user has, by path; a folder's ends with a slash.
var original = map[string]string{
	"a": "before", "gone": "gone", "same": "same", "moved": "moved", "script": "#!/bin/sh\n",
	"d/x": "x", "d/y": "y", "d/deep/z": "z", "e/old": "old", "e/other": "other", "f/": "",
}

// act is what the box does to its copy.
const act = `
echo after >a; rm gone; cat same >/dev/null; touch same; mv moved to; chmod 755 script
rm -r d; mkdir d; echo new >d/new
rm e/old; ln -s other e/link; ln a e/hard
truncate -s 3G sparse; echo end | dd of=sparse bs=1M seek=3000 conv=notrunc 2>/dev/null
mkfifo pipe; mkdir f/shut; echo secret >f/shut/in; chmod 000 f/shut
sleep 1000 >/dev/null 2>&1 &
`

// want are the changes, as a person would say them.
var want = []string{
	"a: file -> file 6 0644", "d/deep/z: file -> absent", "d/deep: folder -> absent", "d/new: absent -> file 4 0644",
	"d/x: file -> absent", "d/y: file -> absent", "e/hard: absent -> file 6 0644", "e/link: absent -> link other",
	"e/old: file -> absent", "f/shut/in: absent -> file 7 0644", "f/shut: absent -> folder 0000", "gone: file -> absent",
	"moved: file -> absent", "pipe: absent -> special 0644", "script: file -> file 10 0755",
	"sparse: absent -> file 3221225472 0644", "to: absent -> file 5 0644",
}

// tryChanges lets a box change its copy, takes the changes out and compares
// them with the original. The box has ended then.
func tryChanges(t *testing.T, d *door.Door, base *workspace.Base, dir string) {
	if exit, out := shell(t, d, act); exit.Code != 0 {
		t.Fatalf("%+v, %q", exit, out)
	}
	upper := takeOut(t, d, dir)
	if _, err := d.Start(t.Context(), door.Command{Args: []string{"/bin/true"}, Dir: "/"}, door.Stdio{}); err == nil {
		t.Error("a command runs in a box that has ended")
	}
	changes, err := base.Collect(t.Context(), upper, filepath.Join(dir, "changes"))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, c := range changes.List() {
		got = append(got, fmt.Sprintf("%s: %s -> %s", c.Path, c.Before.Kind, words(c.After)))
	}
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the changes differ (-want +got):\n%s", diff)
	}
}

// frozen gives a frozen original and an image of it.
func frozen(t *testing.T, dir string) (*workspace.Base, string) {
	t.Helper()
	base := freeze(t, dir)
	image := filepath.Join(dir, "work.erofs")
	run(t, program(t, "qemu", "mkfs.erofs"), "-T0", "--force-uid=1000", "--force-gid=1000", image, base.Lower)
	return base, image
}

// words describe what a path has become.
func words(e proofbox.Entry) string {
	switch e.Kind {
	case proofbox.File:
		return fmt.Sprintf("file %d %04o", e.Size, e.Mode.Perm())
	case proofbox.Symlink:
		return fmt.Sprintf("link %s", e.Target)
	case proofbox.Absent:
		return "absent"
	}
	return fmt.Sprintf("%s %04o", e.Kind, e.Mode.Perm())
}

func freeze(t *testing.T, dir string) *workspace.Base {
	t.Helper()
	from := filepath.Join(dir, "original")
	for path, text := range original {
		full := filepath.Join(from, path)
		err := os.MkdirAll(filepath.Dir(full), 0o755)
		if err == nil && !strings.HasSuffix(path, "/") {
			err = os.WriteFile(full, []byte(text), 0o644)
		} else if err == nil {
			err = os.MkdirAll(full, 0o755)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	base, err := workspace.Freeze(t.Context(), workspace.Options{Original: from, Dir: filepath.Join(dir, "base")})
	if err != nil {
		t.Fatal(err)
	}
	return base
}

// takeOut unpacks a box's changes.
func takeOut(t *testing.T, d *door.Door, dir string) *os.File {
	t.Helper()
	path := filepath.Join(dir, "upper")
	if err := os.Mkdir(path, 0o700); err != nil {
		t.Fatal(err)
	}
	upper, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = upper.Close() }) // it was only read
	r, err := d.Changes(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	owner := -1
	if os.Geteuid() == 0 {
		owner = 65534
	}
	counted := &counter{from: r}
	if err := harvest.Unpack(t.Context(), upper, counted, harvest.Bounds{Bytes: scratchSize, Entries: 1000, Owner: owner}); err != nil {
		t.Fatal(err)
	}
	if counted.n > 1<<20 {
		t.Errorf("%d bytes came out: holes were sent", counted.n)
	}
	return upper
}

// counter counts what is read.
type counter struct {
	from io.Reader
	n    int64
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.from.Read(p)
	c.n += int64(n)
	return n, err
}

func removeAll(t *testing.T, dir string) {
	t.Helper()
	if out, err := runQuiet("chmod", "-R", "u+rwx", dir); err != nil {
		t.Errorf("%v: %s", err, out)
	}
	if err := os.RemoveAll(dir); err != nil {
		t.Error(err)
	}
}
