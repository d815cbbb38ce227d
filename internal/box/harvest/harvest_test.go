package harvest_test

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
	"pgregory.net/rapid"

	"proofbox/internal/box/harvest"
	"proofbox/internal/door"
	"proofbox/internal/door/guest"
)

// bounds are enough for what is meant well here.
var bounds = harvest.Bounds{Bytes: 1 << 20, Entries: 1000, Owner: -1}

// unpack takes a tar in, into an empty folder.
func unpack(t testing.TB, r io.Reader, b harvest.Bounds) (string, error) {
	t.Helper()
	dir, err := os.MkdirTemp(t.TempDir(), "in")
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	t.Cleanup(func() { openUp(t, dir) })
	return dir, harvest.Unpack(t.Context(), f, r, b)
}

// openUp gives folders back the modes that removing them needs.
func openUp(t testing.TB, dir string) {
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if d != nil && d.IsDir() {
			return os.Chmod(path, 0o700)
		}
		return err
	})
	if err != nil && !errors.Is(err, fs.ErrPermission) && !errors.Is(err, unix.ENAMETOOLONG) {
		t.Error(err)
	}
}

// seen is what there is to see of a file.
type seen struct {
	Mode    uint32
	Text    string // contents or target
	Opaque  string
	Links   uint64 // of a file; an overlay's whiteouts are one file, which is of no meaning
	First   string // the first name of the same file
	Stored  bool   // it has no hole
	Special uint64
}

// describe lists a tree. Modes stand in nobody's way afterwards.
func describe(t testing.TB, root string) map[string]seen {
	t.Helper()
	found, first := map[string]seen{}, map[uint64]string{}
	var visit func(path string)
	visit = func(path string) {
		var st unix.Stat_t
		if err := unix.Lstat(path, &st); err != nil {
			t.Fatal(err)
		}
		s := seen{Mode: st.Mode, Special: st.Rdev}
		name, _ := filepath.Rel(root, path)
		switch st.Mode & unix.S_IFMT {
		case unix.S_IFDIR:
			mark := make([]byte, 16)
			if n, err := unix.Lgetxattr(path, door.AttrOpaque, mark); err == nil {
				s.Opaque = string(mark[:n])
			}
			if err := os.Chmod(path, 0o700); err != nil {
				t.Fatal(err)
			}
			entries, err := os.ReadDir(path)
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range entries {
				visit(path + "/" + e.Name())
			}
		case unix.S_IFREG:
			if err := os.Chmod(path, 0o600); err != nil {
				t.Fatal(err)
			}
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if err := unix.Chmod(path, st.Mode&0o7777); err != nil { // another name of it is still to be seen
				t.Fatal(err)
			}
			s.Text, s.Links, s.Stored = string(text), uint64(st.Nlink), st.Blocks*512 >= st.Size
			if first[st.Ino] == "" {
				first[st.Ino] = name
			}
			s.First = first[st.Ino]
		case unix.S_IFLNK:
			s.Text, _ = os.Readlink(path)
		}
		found[name] = s
	}
	visit(root)
	delete(found, ".")
	return found
}

// plant makes a random tree, as a box could leave it.
func plant(t *rapid.T, dir string) {
	folders, files := []string{dir}, []string{}
	for range rapid.IntRange(0, 25).Draw(t, "entries") {
		name := rapid.StringMatching(`[a-c\n\x{e9}. *-]{1,3}x`).Draw(t, "name")
		path := rapid.SampledFrom(folders).Draw(t, "folder") + "/" + name
		mode := rapid.SampledFrom([]uint32{0o644, 0o755, 0o600, 0, 0o4755, 0o2711, 0o444}).Draw(t, "mode")
		var err error
		switch rapid.IntRange(0, 8).Draw(t, "kind") {
		case 0, 1:
			if err = unix.Mkdir(path, 0o700); err == nil {
				folders = append(folders, path)
				if rapid.Bool().Draw(t, "opaque") {
					err = unix.Setxattr(path, door.AttrOpaque, []byte("y"), 0)
				}
			}
		case 2, 3:
			err = writeFile(path, rapid.SliceOfN(rapid.Byte(), 0, 100).Draw(t, "text"), mode)
			files = append(files, path)
		case 4:
			err = sparse(path, rapid.SliceOfN(rapid.Int64Range(0, 30), 0, 3).Draw(t, "blocks"), mode)
			files = append(files, path)
		case 5:
			if len(files) > 0 {
				err = unix.Link(rapid.SampledFrom(files).Draw(t, "file"), path)
			}
		case 6:
			err = unix.Symlink(rapid.SampledFrom([]string{"/etc/passwd", "../..", "x", strings.Repeat("long/", 100)}).Draw(t, "target"), path)
		case 7:
			err = unix.Mknod(path, unix.S_IFCHR, 0) // a whiteout
		case 8:
			err = unix.Mknod(path, rapid.SampledFrom([]uint32{unix.S_IFIFO, unix.S_IFSOCK}).Draw(t, "special")|0o640, 0)
		}
		// A name may be taken already, by a folder also where a file is meant.
		if err != nil && !errors.Is(err, unix.EEXIST) && !errors.Is(err, unix.EPERM) {
			t.Fatal(err)
		}
	}
}

func writeFile(path string, text []byte, mode uint32) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	return errors.Join(err, unix.Fchmod(int(f.Fd()), mode), f.Close())
}

// sparse makes a file of 31 blocks, of which some have data.
func sparse(path string, blocks []int64, mode uint32) error {
	const block = 4096
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	err = f.Truncate(31 * block)
	for _, b := range blocks {
		_, writeErr := f.WriteAt([]byte("data"), b*block)
		err = errors.Join(err, writeErr)
	}
	return errors.Join(err, unix.Fchmod(int(f.Fd()), mode), f.Close())
}

// TestRoundTrip: whatever a box leaves, what is taken in is the same. Who is not
// root packs a tree whose files it may read, because in a guest it is root who
// packs.
func TestRoundTrip(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(r *rapid.T) {
		from, err := os.MkdirTemp(t.TempDir(), "from")
		if err != nil {
			t.Fatal(err)
		}
		plant(r, from)
		if os.Geteuid() != 0 {
			readable(t, from)
		}
		var archive bytes.Buffer
		if err := guest.Pack(&archive, from); err != nil {
			t.Fatal(err)
		}
		to, err := unpack(t, &archive, bounds)
		if err != nil {
			r.Fatal(err)
		}
		if diff := cmp.Diff(describe(t, from), describe(t, to)); diff != "" {
			r.Fatalf("what was taken in differs (-left +taken in):\n%s", diff)
		}
	})
}

func readable(t *testing.T, dir string) {
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			return os.Chmod(path, 0o600)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestFolderModes: what its owner may not enter is filled first.
func TestFolderModes(t *testing.T) {
	t.Parallel()
	dir, err := unpack(t, archive(t,
		tar.Header{Name: "shut/", Typeflag: tar.TypeDir, Mode: 0},
		tar.Header{Name: "shut/f", Typeflag: tar.TypeReg, Mode: 0o600},
		tar.Header{Name: "shut/in/", Typeflag: tar.TypeDir, Mode: 0o100},
		tar.Header{Name: "shut/in/g", Typeflag: tar.TypeLink, Linkname: "shut/f"},
		tar.Header{Name: "z", Typeflag: tar.TypeLink, Linkname: "shut/in/g"},
	), bounds)
	if err != nil {
		t.Fatal(err)
	}
	found := describe(t, dir)
	if found["shut"].Mode&0o777 != 0 || found["shut/in"].Mode&0o777 != 0o100 || found["z"].Links != 3 {
		t.Errorf("%+v", found)
	}
}

// TestOwner: set-user-ID bits that come out are those of nobody here.
func TestOwner(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		if slices.Contains(strings.Split(os.Getenv("PROOFBOX_REQUIRE"), ","), "root") {
			t.Fatal("root is required")
		}
		t.Skip("only root gives files away")
	}
	const somebody = 54321
	b := bounds
	b.Owner = somebody
	dir, err := unpack(t, archive(t,
		tar.Header{Name: "d/", Typeflag: tar.TypeDir, Mode: 0o2755},
		tar.Header{Name: "d/f", Typeflag: tar.TypeReg, Mode: 0o4755},
		tar.Header{Name: "d/l", Typeflag: tar.TypeSymlink, Linkname: "f"},
		tar.Header{Name: "d/p", Typeflag: tar.TypeFifo, Mode: 0o600},
	), b)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"d", "d/f", "d/l", "d/p"} {
		info, err := os.Lstat(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if st := info.Sys().(*syscall.Stat_t); st.Uid != somebody || st.Gid != somebody {
			t.Errorf("%s belongs to %d:%d", name, st.Uid, st.Gid)
		}
	}
	if info, err := os.Stat(filepath.Join(dir, "d/f")); err != nil || info.Mode() != 0o755|fs.ModeSetuid {
		t.Errorf("%v %v", info.Mode(), err)
	}
}

// archive makes a tar of headers, each with as many bytes as it says.
func archive(t testing.TB, headers ...tar.Header) *bytes.Buffer {
	t.Helper()
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for _, h := range headers {
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if _, err := io.CopyN(w, bytes.NewReader(bytes.Repeat([]byte("x"), int(h.Size))), h.Size); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return &out
}

// naive is how a tar is unpacked by who thinks no evil: by path names.
func naive(root string, r io.Reader) error {
	for archive := tar.NewReader(r); ; {
		h, err := archive.Next()
		if err != nil {
			return err
		}
		path := root + "/" + h.Name
		if strings.HasPrefix(h.Name, "/") {
			path = h.Name
		}
		switch h.Typeflag {
		case tar.TypeDir:
			err = os.MkdirAll(path, 0o700)
		case tar.TypeSymlink:
			err = os.Symlink(h.Linkname, path)
		case tar.TypeLink:
			err = os.Link(root+"/"+h.Linkname, path)
		case tar.TypeReg:
			var f *os.File
			if f, err = os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600); err == nil {
				_, err = io.Copy(f, archive)
				err = errors.Join(err, f.Close())
			}
		}
		if err != nil {
			return fmt.Errorf("%q: %w", h.Name, err)
		}
	}
}

// TestLedAway: a tar that would be written outside of its folder, as it is when
// it is unpacked by path names, is refused, and nothing outside is touched.
func TestLedAway(t *testing.T) {
	t.Parallel()
	file := func(name string) tar.Header { return tar.Header{Name: name, Typeflag: tar.TypeReg, Size: 4} }
	link := func(name, target string) tar.Header {
		return tar.Header{Name: name, Typeflag: tar.TypeSymlink, Linkname: target}
	}
	folder := func(name string) tar.Header { return tar.Header{Name: name, Typeflag: tar.TypeDir, Mode: 0o755} }
	for name, headers := range map[string]func(victim string) []tar.Header{
		"an absolute path":        func(v string) []tar.Header { return []tar.Header{file(v)} },
		"a path upwards":          func(string) []tar.Header { return []tar.Header{file("../victim")} },
		"up through a folder":     func(string) []tar.Header { return []tar.Header{folder("d/"), file("d/../../victim")} },
		"through a link":          func(v string) []tar.Header { return []tar.Header{link("l", filepath.Dir(v)), file("l/victim")} },
		"through a relative link": func(string) []tar.Header { return []tar.Header{link("l", ".."), file("l/victim")} },
		"onto a link":             func(v string) []tar.Header { return []tar.Header{link("l", v), file("l")} },
		"a folder onto a link": func(v string) []tar.Header {
			return []tar.Header{link("l", filepath.Dir(v)), folder("l/"), file("l/victim")}
		},
		"a link's further name": func(v string) []tar.Header {
			return []tar.Header{link("l", v), {Name: "m", Typeflag: tar.TypeLink, Linkname: "l"}, file("m")}
		},
		"a further name of what is outside": func(string) []tar.Header {
			return []tar.Header{{Name: "m", Typeflag: tar.TypeLink, Linkname: "../victim"}, file("m")}
		},
		"a further name through a link": func(v string) []tar.Header {
			return []tar.Header{link("l", filepath.Dir(v)), {Name: "m", Typeflag: tar.TypeLink, Linkname: "l/victim"}, file("m")}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, careless := range []bool{true, false} {
				outside := t.TempDir()
				victim, inside := filepath.Join(outside, "victim"), filepath.Join(outside, "inside")
				if err := errors.Join(os.WriteFile(victim, []byte("safe"), 0o600), os.Mkdir(inside, 0o700)); err != nil {
					t.Fatal(err)
				}
				evil := archive(t, headers(victim)...)
				if careless {
					_ = naive(inside, evil) // however it ends, it has done it
				} else if err := unpackInto(t, inside, evil); err == nil {
					t.Error("it was taken in")
				}
				text, err := os.ReadFile(victim)
				if err != nil {
					t.Fatal(err)
				}
				if (string(text) == "safe") == careless {
					t.Errorf("careless %v: the file outside has %q", careless, text)
				}
				if others, err := os.ReadDir(outside); err != nil || len(others) != 2 {
					t.Errorf("outside there are %v, %v", others, err)
				}
			}
		})
	}
}

func unpackInto(t *testing.T, dir string, r io.Reader) error {
	t.Helper()
	f, err := os.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	return harvest.Unpack(t.Context(), f, r, bounds)
}

// TestRefused: what no guest of ours sends is refused; the same without its one
// fault is taken in.
func TestRefused(t *testing.T) {
	t.Parallel()
	piece := func(size, offset string, n int64) tar.Header {
		return tar.Header{Name: "f", Typeflag: tar.TypeReg, Size: n, PAXRecords: map[string]string{door.RecordSize: size, door.RecordOffset: offset}}
	}
	one := func(h tar.Header) []tar.Header { return []tar.Header{h} }
	for name, c := range map[string]struct{ evil, fine []tar.Header }{
		"a device": {
			one(tar.Header{Name: "n", Typeflag: tar.TypeChar, Devmajor: 1, Devminor: 3}), one(tar.Header{Name: "n", Typeflag: tar.TypeChar}),
		},
		"a block device":    {one(tar.Header{Name: "n", Typeflag: tar.TypeBlock}), one(tar.Header{Name: "n", Typeflag: tar.TypeFifo})},
		"a name twice":      {[]tar.Header{{Name: "a", Typeflag: tar.TypeReg}, {Name: "b", Typeflag: tar.TypeReg}, {Name: "a", Typeflag: tar.TypeReg}}, []tar.Header{{Name: "a", Typeflag: tar.TypeReg}, {Name: "b", Typeflag: tar.TypeReg}}},
		"a name at once":    {[]tar.Header{{Name: "a", Typeflag: tar.TypeReg, Size: 1}, {Name: "a", Typeflag: tar.TypeReg, Size: 1}}, one(tar.Header{Name: "a", Typeflag: tar.TypeReg, Size: 2})},
		"a folder twice":    {[]tar.Header{{Name: "a/", Typeflag: tar.TypeDir}, {Name: "a/", Typeflag: tar.TypeDir}}, one(tar.Header{Name: "a/", Typeflag: tar.TypeDir})},
		"no folder":         {one(tar.Header{Name: "a/b", Typeflag: tar.TypeReg}), []tar.Header{{Name: "a/", Typeflag: tar.TypeDir, Mode: 0o700}, {Name: "a/b", Typeflag: tar.TypeReg}}},
		"too late":          {[]tar.Header{{Name: "a/", Typeflag: tar.TypeDir}, {Name: "b", Typeflag: tar.TypeReg}, {Name: "a/c", Typeflag: tar.TypeReg}}, []tar.Header{{Name: "a/", Typeflag: tar.TypeDir, Mode: 0o700}, {Name: "a/c", Typeflag: tar.TypeReg}, {Name: "b", Typeflag: tar.TypeReg}}},
		"a long name":       {one(tar.Header{Name: strings.Repeat("n", 256), Typeflag: tar.TypeReg}), one(tar.Header{Name: strings.Repeat("n", 255), Typeflag: tar.TypeReg})},
		"a long target":     {one(tar.Header{Name: "l", Typeflag: tar.TypeSymlink, Linkname: strings.Repeat("n", 4096)}), one(tar.Header{Name: "l", Typeflag: tar.TypeSymlink, Linkname: strings.Repeat("n", 4095)})},
		"an opaque file":    {one(tar.Header{Name: "f", Typeflag: tar.TypeReg, PAXRecords: map[string]string{door.RecordOpaque: "y"}}), one(tar.Header{Name: "f/", Typeflag: tar.TypeDir, Mode: 0o700, PAXRecords: map[string]string{door.RecordOpaque: "y"}})},
		"another mark":      {one(tar.Header{Name: "f/", Typeflag: tar.TypeDir, PAXRecords: map[string]string{door.RecordOpaque: "x"}}), one(tar.Header{Name: "f/", Typeflag: tar.TypeDir, Mode: 0o700})},
		"an attribute":      {one(tar.Header{Name: "f", Typeflag: tar.TypeReg, PAXRecords: map[string]string{"SCHILY.xattr.security.capability": "x"}}), one(tar.Header{Name: "f", Typeflag: tar.TypeReg})},
		"a piece back":      {[]tar.Header{piece("100", "50", 10), piece("100", "59", 10)}, []tar.Header{piece("100", "50", 10), piece("100", "60", 10)}},
		"a piece beyond":    {one(piece("100", "91", 10)), one(piece("100", "90", 10))},
		"a piece before":    {one(piece("100", "-1", 1)), one(piece("100", "0", 1))},
		"a piece far off":   {one(piece("100", "9223372036854775807", 10)), one(piece("100", "90", 10))},
		"a negative size":   {one(piece("-1", "0", 0)), one(piece("0", "0", 0))},
		"a size beyond all": {one(piece("99999999999999999999", "0", 0)), one(piece("99999999", "0", 0))},
		"a folder's further name": {
			[]tar.Header{{Name: "a/", Typeflag: tar.TypeDir}, {Name: "b", Typeflag: tar.TypeLink, Linkname: "a"}},
			[]tar.Header{{Name: "a", Typeflag: tar.TypeReg}, {Name: "b", Typeflag: tar.TypeLink, Linkname: "a"}},
		},
		"too many bytes":   {one(tar.Header{Name: "a", Typeflag: tar.TypeReg, Size: bounds.Bytes + 1}), one(tar.Header{Name: "a", Typeflag: tar.TypeReg, Size: bounds.Bytes})},
		"too many entries": {many(bounds.Entries + 1), many(bounds.Entries)},
		"too deep":         {nested(4097), nested(100)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, err := unpack(t, archive(t, c.evil...), bounds); err == nil {
				t.Error("it was taken in")
			}
			if _, err := unpack(t, archive(t, c.fine...), bounds); err != nil {
				t.Errorf("without its fault: %v", err)
			}
		})
	}
}

// many has so many files.
func many(n int) (headers []tar.Header) {
	for i := range n {
		headers = append(headers, tar.Header{Name: fmt.Sprint("f", i), Typeflag: tar.TypeReg})
	}
	return headers
}

// nested has so many folders in each other.
func nested(n int) (headers []tar.Header) {
	for i := range n {
		headers = append(headers, tar.Header{Name: strings.Repeat("d/", i+1), Typeflag: tar.TypeDir, Mode: 0o755})
	}
	return headers
}

// TestDeep: a tree that is deeper than a path may be long comes through, with
// few folders open at once.
func TestDeep(t *testing.T) {
	t.Parallel()
	b := bounds
	b.Entries = 3000 // more than files may be open
	headers := append(nested(2100), tar.Header{Name: strings.Repeat("d/", 2100) + "f", Typeflag: tar.TypeReg, Size: 3}, tar.Header{Name: "g", Typeflag: tar.TypeLink, Linkname: strings.Repeat("d/", 2100) + "f"})
	dir, err := unpack(t, archive(t, headers...), b)
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(dir + "/g"); err != nil || info.Size() != 3 || info.Sys().(*syscall.Stat_t).Nlink != 2 {
		t.Errorf("%v, %v", info, err)
	}
}

// TestCutOff: a tar that ends anywhere before its end, or goes on after it, is
// never taken for a whole one.
func TestCutOff(t *testing.T) {
	t.Parallel()
	whole := archive(t, tar.Header{Name: "a/", Typeflag: tar.TypeDir, Mode: 0o755}, tar.Header{Name: "a/f", Typeflag: tar.TypeReg, Size: 700}).Bytes()
	for n := 0; n < len(whole); n += 100 {
		if _, err := unpack(t, io.MultiReader(bytes.NewReader(whole[:n]), broken{}), bounds); err == nil {
			t.Errorf("%d of %d bytes were taken for the whole", n, len(whole))
		}
	}
	if _, err := unpack(t, io.MultiReader(bytes.NewReader(whole), strings.NewReader("more")), bounds); err == nil {
		t.Error("what comes after the end was passed over")
	}
	if _, err := unpack(t, bytes.NewReader(whole), bounds); err != nil {
		t.Error(err)
	}
}

// broken is a door whose box has gone.
type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

// TestEndless: headers that never come to an entry are not read for ever.
func TestEndless(t *testing.T) {
	t.Parallel()
	header := archive(t, tar.Header{Name: strings.Repeat("n", 200), Typeflag: tar.TypeReg}).Bytes()[:1024] // the extended header alone
	if _, err := unpack(t, &repeated{part: header}, bounds); err == nil || !strings.Contains(err.Error(), "larger than anything") {
		t.Error(err)
	}
}

// repeated gives the same bytes for ever.
type repeated struct {
	part []byte
	at   int
}

func (r *repeated) Read(p []byte) (int, error) {
	n := copy(p, r.part[r.at:])
	r.at = (r.at + n) % len(r.part)
	return n, nil
}

// FuzzUnpack: whatever comes, nothing outside of the folder changes, and no
// more is stored than may be.
func FuzzUnpack(f *testing.F) {
	f.Add(archive(f, tar.Header{Name: "a/", Typeflag: tar.TypeDir, Mode: 0o755}, tar.Header{Name: "a/f", Typeflag: tar.TypeReg, Size: 3}).Bytes())
	f.Add(archive(f, tar.Header{Name: "l", Typeflag: tar.TypeSymlink, Linkname: ".."}, tar.Header{Name: "l/out", Typeflag: tar.TypeReg, Size: 3}).Bytes())
	f.Add(archive(f, tar.Header{Name: "w", Typeflag: tar.TypeChar}, tar.Header{Name: "p", Typeflag: tar.TypeFifo, PAXRecords: map[string]string{door.RecordSocket: "1"}}).Bytes())
	f.Add(archive(f, tar.Header{Name: "f", Typeflag: tar.TypeReg, Size: 3, PAXRecords: map[string]string{door.RecordSize: "100", door.RecordOffset: "7"}}).Bytes())
	f.Fuzz(func(t *testing.T, data []byte) {
		outside := t.TempDir()
		inside := filepath.Join(outside, "inside")
		if err := os.Mkdir(inside, 0o700); err != nil {
			t.Fatal(err)
		}
		dir, err := os.Open(inside)
		if err != nil {
			t.Fatal(err)
		}
		defer dir.Close()
		b := harvest.Bounds{Bytes: 4096, Entries: 20, Owner: -1}
		_ = harvest.Unpack(t.Context(), dir, bytes.NewReader(data), b) // it may well be refused
		defer openUp(t, inside)
		if others, err := os.ReadDir(outside); err != nil || len(others) != 1 {
			t.Errorf("outside there are %v, %v", others, err)
		}
		var stored int64
		entries := -1 // the folder itself
		err = filepath.WalkDir(inside, func(path string, _ fs.DirEntry, err error) error {
			var st unix.Stat_t
			err = errors.Join(err, unix.Lstat(path, &st))
			entries++
			if st.Mode&unix.S_IFMT == unix.S_IFREG {
				stored += st.Blocks * 512
			}
			return err
		})
		if err != nil && !errors.Is(err, fs.ErrPermission) {
			t.Error(err)
		}
		// A piece of a byte takes a block.
		if most := b.Bytes * 4096; stored > most {
			t.Errorf("%d bytes are stored, more than %d", stored, most)
		}
		if entries > b.Entries {
			t.Errorf("there are %d entries", entries)
		}
	})
}
