package image

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

// archive makes a layer's bytes.
func archive(t testing.TB, entries ...tar.Header) []byte {
	t.Helper()
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	for _, h := range entries {
		body := []byte("body of " + h.Name)
		if h.Typeflag == tar.TypeReg {
			h.Size = int64(len(body))
		}
		if h.Mode == 0 {
			h.Mode = 0o755
		}
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if h.Typeflag == tar.TypeReg {
			if _, err := w.Write(body); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

// newLayout writes an OCI layout with one image of these layers.
func newLayout(t testing.TB, layers ...[]byte) string {
	t.Helper()
	img := v1.Image(empty.Image)
	for _, l := range layers {
		layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(l)), nil })
		if err != nil {
			t.Fatal(err)
		}
		if img, err = mutate.AppendLayers(img, layer); err != nil {
			t.Fatal(err)
		}
	}
	img, err := mutate.Config(img, v1.Config{Env: []string{"A=b=c", "PATH=/x"}})
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "layout")
	p, err := layout.Write(dir, empty.Index)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.AppendImage(img, layout.WithAnnotations(map[string]string{refName: "v1"})); err != nil {
		t.Fatal(err)
	}
	return dir
}

func file(name string) tar.Header { return tar.Header{Name: name, Typeflag: tar.TypeReg} }
func dir(name string) tar.Header  { return tar.Header{Name: name, Typeflag: tar.TypeDir} }
func link(name, to string) tar.Header {
	return tar.Header{Name: name, Typeflag: tar.TypeSymlink, Linkname: to}
}

func hard(name, to string) tar.Header {
	return tar.Header{Name: name, Typeflag: tar.TypeLink, Linkname: to}
}

// tree lists an unpacked root.
func tree(t testing.TB, root string) string {
	t.Helper()
	var names []string
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if path != root && err == nil {
			name, err := filepath.Rel(root, path)
			if err != nil {
				return err
			}
			if d.IsDir() {
				name += "/"
			}
			names = append(names, name)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(names, " ")
}

func TestLayersAreFlattened(t *testing.T) {
	t.Parallel()
	ref := newLayout(t,
		archive(t, dir("bin"), file("bin/a"), file("bin/b"), dir("old"), file("old/x"), file("old/y"), dir("etc"), file("etc/passwd"), file("etc/app")),
		archive(t, file("bin/.wh.b"), file("bin/c"), file("old/.wh..wh..opq"), file("old/z"), hard("bin/d", "bin/a"), link("sbin", "bin")),
	)
	cache := t.TempDir()
	img, err := Resolve(t.Context(), "oci:"+ref+":v1", cache)
	if err != nil {
		t.Fatal(err)
	}
	roots, err := filepath.Glob(filepath.Join(cache, "oci", "*", "root"))
	if err != nil || len(roots) != 1 {
		t.Fatalf("unpacked to %q, %v", roots, err)
	}
	if got, want := tree(t, roots[0]), "bin/ bin/a bin/c bin/d etc/ etc/app etc/passwd old/ old/z sbin"; got != want {
		t.Errorf("unpacked %s, want %s", got, want)
	}
	if img.Env["A"] != "b=c" || img.Env["PATH"] != "/x" {
		t.Errorf("environment %v", img.Env)
	}
	for _, b := range img.Binds {
		if b.Target == "/etc/passwd" {
			t.Error("the image's accounts are shown beside the box's own")
		}
	}
}

// TestHostileLayersStayInside gives layers that try to get out. What matters is
// that nothing outside is written, removed or made reachable.
func TestHostileLayersStayInside(t *testing.T) {
	t.Parallel()
	for name, layers := range map[string][][]tar.Header{
		"dots":                 {{file("../planted")}},
		"dots inside":          {{dir("a"), file("a/../../planted")}},
		"absolute":             {{file("/planted-at-the-root-of-the-host")}},
		"link, file through":   {{link("out", "OUTSIDE"), file("out/planted")}},
		"link replaced":        {{link("out", "OUTSIDE"), dir("out"), file("out/planted")}},
		"link up":              {{link("out", "../../../../../../OUTSIDE"), file("out/planted")}},
		"later layer through":  {{link("out", "OUTSIDE")}, {file("out/planted")}},
		"hard link out":        {{hard("in", "OUTSIDE/canary")}},
		"hard link by link":    {{link("out", "OUTSIDE"), hard("in", "out/canary")}},
		"whiteout out":         {{link("out", "OUTSIDE")}, {file("out/.wh.canary")}},
		"whiteout of dots":     {{file(".wh...")}},
		"opaque out":           {{link("out", "OUTSIDE")}, {file("out/.wh..wh..opq")}},
		"device":               {{{Name: "disk", Typeflag: tar.TypeBlock, Devmajor: 8}}},
		"fifo":                 {{{Name: "pipe", Typeflag: tar.TypeFifo}}},
		"set-user-ID":          {{{Name: "su", Typeflag: tar.TypeReg, Mode: 0o4755}}},
		"file over a folder":   {{dir("d"), file("d/x")}, {file("d")}},
		"folder over a file":   {{file("d")}, {dir("d"), file("d/x")}},
		"name with a backlash": {{file("a\\..\\..\\planted")}},
		"too deep":             {{file(strings.Repeat("d/", 300) + "x")}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			outside := t.TempDir()
			canary := filepath.Join(outside, "canary")
			if err := os.WriteFile(canary, []byte("alive"), 0o600); err != nil {
				t.Fatal(err)
			}
			var raw [][]byte
			for _, l := range layers {
				for i := range l {
					l[i].Linkname = strings.ReplaceAll(l[i].Linkname, "OUTSIDE", outside)
				}
				raw = append(raw, archive(t, l...))
			}
			cache := t.TempDir()
			_, err := Resolve(t.Context(), "oci:"+newLayout(t, raw...), cache)
			if text, rerr := os.ReadFile(canary); rerr != nil || string(text) != "alive" {
				t.Errorf("outside the canary is %q, %v", text, rerr)
			}
			if got := tree(t, outside); got != "canary" {
				t.Errorf("outside there is %s", got)
			}
			if _, serr := os.Lstat("/planted-at-the-root-of-the-host"); !errors.Is(serr, fs.ErrNotExist) {
				t.Error("a file was planted in the host's root")
			}
			harmless(t, cache)
			if err == nil && strings.Contains(name, "out") && strings.Contains(name, "link") && !strings.Contains(name, "replaced") {
				t.Log("unpacked without leaving the image")
			}
		})
	}
}

// harmless checks that what was unpacked holds no device and no special bits,
// and nothing of the outside.
func harmless(t *testing.T, dir string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		if info.Mode()&(fs.ModeDevice|fs.ModeNamedPipe|fs.ModeSetuid|fs.ModeSetgid) != 0 {
			t.Errorf("%q has the mode %v", path, info.Mode())
		}
		if info.Mode().IsRegular() {
			text, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			if string(text) == "alive" {
				t.Errorf("%q is the canary", path)
			}
		}
		return nil
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
}

func TestAlteredBlobIsRefused(t *testing.T) {
	t.Parallel()
	ref := newLayout(t, archive(t, file("a")))
	blobs, err := filepath.Glob(filepath.Join(ref, "blobs/sha256/*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range blobs {
		data, err := os.ReadFile(b)
		if err != nil {
			t.Fatal(err)
		}
		altered := bytes.Clone(data)
		altered[len(altered)/2] ^= 1
		if err := os.WriteFile(b, altered, 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := Resolve(t.Context(), "oci:"+ref, t.TempDir()); err == nil {
			t.Errorf("an image with an altered %s was unpacked", filepath.Base(b))
		}
		if err := os.WriteFile(b, data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// TestAlteredLayerIsRefused puts another archive, whole in itself, in the place
// of a layer: packed anew or not packed at all, no checksum of the packing
// betrays it. What the cache holds afterwards must be nothing.
func TestAlteredLayerIsRefused(t *testing.T) {
	t.Parallel()
	evil := archive(t, file("a"), file("planted"))
	for name, pack := range map[string]func(io.Writer) io.WriteCloser{
		"packed anew": func(w io.Writer) io.WriteCloser { return gzip.NewWriter(w) },
		"not packed":  func(w io.Writer) io.WriteCloser { return nopCloser{w} },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ref, cache := newLayout(t, archive(t, file("a"))), t.TempDir()
			var packed bytes.Buffer
			w := pack(&packed)
			if _, err := w.Write(evil); err != nil {
				t.Fatal(err)
			}
			if err := w.Close(); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(layerBlob(t, ref), packed.Bytes(), 0o644); err != nil {
				t.Fatal(err)
			}
			if _, err := Resolve(t.Context(), "oci:"+ref, cache); err == nil || !strings.Contains(err.Error(), "altered") {
				t.Errorf("resolving the altered image: %v", err)
			}
			if left, err := os.ReadDir(filepath.Join(cache, "oci")); err != nil || len(left) != 0 {
				t.Errorf("the cache holds %v, %v", left, err)
			}
		})
	}
}

type nopCloser struct{ io.Writer }

func (nopCloser) Close() error { return nil }

// layerBlob finds the only packed blob of a layout.
func layerBlob(t *testing.T, ref string) string {
	t.Helper()
	blobs, err := filepath.Glob(filepath.Join(ref, "blobs/sha256/*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range blobs {
		data, err := os.ReadFile(b)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.HasPrefix(data, []byte{0x1f, 0x8b}) {
			return b
		}
	}
	t.Fatal("the layout has no packed layer")
	return ""
}

func TestManyUnpackAtOnceAndOnce(t *testing.T) {
	t.Parallel()
	ref, cache := newLayout(t, archive(t, dir("d"), file("d/a"))), t.TempDir()
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			if _, err := Resolve(t.Context(), "oci:"+ref, cache); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	entries, err := os.ReadDir(filepath.Join(cache, "oci"))
	if err != nil || len(entries) != 1 {
		t.Errorf("the cache holds %v, %v", entries, err)
	}
}

func TestUnpackWithoutItsMarkIsNotBelieved(t *testing.T) {
	t.Parallel()
	ref, cache := newLayout(t, archive(t, file("a"))), t.TempDir()
	if _, err := Resolve(t.Context(), "oci:"+ref, cache); err != nil {
		t.Fatal(err)
	}
	marks, err := filepath.Glob(filepath.Join(cache, "oci", "*", complete))
	if err != nil || len(marks) != 1 {
		t.Fatalf("marks %q, %v", marks, err)
	}
	if err := os.Remove(marks[0]); err != nil {
		t.Fatal(err)
	}
	img, err := Resolve(t.Context(), "oci:"+ref, cache)
	if err == nil {
		if _, serr := os.Stat(marks[0]); serr != nil {
			t.Errorf("an image without its mark was believed: %+v", img)
		}
	}
}

func TestReferencesThatAreRefused(t *testing.T) {
	t.Parallel()
	for ref, want := range map[string]string{
		"ubuntu:24.04": "skopeo copy",
		"dir:/":        "the whole host",
		"dir:/nowhere": `"/nowhere"`,
		"oci:/nowhere": `"/nowhere"`,
	} {
		if _, err := Resolve(t.Context(), ref, t.TempDir()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want it to hold %q", ref, err, want)
		}
	}
}

func FuzzUnpack(f *testing.F) {
	f.Add(archive(f, dir("a"), file("a/b"), link("l", "/etc"), file("l/x"), hard("h", "a/b"), file("a/.wh.b")))
	f.Fuzz(func(t *testing.T, layer []byte) {
		outside := t.TempDir()
		inside := filepath.Join(outside, "root")
		if err := os.Mkdir(inside, 0o755); err != nil {
			t.Fatal(err)
		}
		root, err := os.OpenRoot(inside)
		if err != nil {
			t.Fatal(err)
		}
		defer root.Close()
		u := &unpacker{root: root, bytes: 1 << 20, entries: 1000}
		written := map[string]bool{}
		for archive := tar.NewReader(bytes.NewReader(layer)); ; {
			h, err := archive.Next()
			if err != nil {
				break
			}
			if err := u.entry(h, archive, written); err != nil {
				break
			}
		}
		entries, err := os.ReadDir(outside)
		if err != nil || len(entries) != 1 {
			t.Fatalf("outside there is %v, %v", entries, err)
		}
	})
}
