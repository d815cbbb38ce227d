package image

import (
	"debug/elf"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
)

// program gives the beginning of an ELF file for a machine.
func program(class elf.Class, machine elf.Machine) string {
	header := make([]byte, 64)
	copy(header, elf.ELFMAG)
	header[elf.EI_CLASS], header[elf.EI_DATA] = byte(class), byte(elf.ELFDATA2LSB)
	header[machineAt], header[machineAt+1] = byte(machine), byte(machine>>8)
	return string(header)
}

// own is a program for the machine that the tests run on.
func own(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	return string(text[:64])
}

// TestForeignMachineIsRefused: the shell of an image says for which machine the
// image is. It is found as the image's own processes would find it.
func TestForeignMachineIsRefused(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		link, shell string // what bin/sh leads to, and what is there
		want        string // of the error; empty where there is none
	}{
		"own":            {"", own(t), ""},
		"own, linked":    {"/usr/bin/dash", own(t), ""},
		"arm64":          {"", program(elf.ELFCLASS64, elf.EM_AARCH64), "EM_AARCH64"},
		"arm64, linked":  {"/usr/bin/dash", program(elf.ELFCLASS64, elf.EM_AARCH64), "EM_AARCH64"},
		"arm64, leaving": {"../../../../../usr/bin/dash", program(elf.ELFCLASS64, elf.EM_AARCH64), "EM_AARCH64"},
		"i386":           {"", program(elf.ELFCLASS32, elf.EM_386), "ELFCLASS32"},
		"x32":            {"", program(elf.ELFCLASS32, elf.EM_X86_64), "ELFCLASS32"},
		"big-endian":     {"", program(elf.ELFCLASS64, 0x0016), "cannot be an image here"}, // of s390x
		"script":         {"", "#!/bin/busybox sh\nexit\n# long enough\n", ""},
		"short":          {"", elf.ELFMAG, ""},
		"to itself":      {"/bin/sh", "", ""},
	} {
		root := filepath.Join(t.TempDir(), "root")
		place := filepath.Join(root, "bin/sh")
		for _, dir := range []string{"bin", "usr/bin"} {
			if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil {
				t.Fatal(err)
			}
		}
		if c.link != "" {
			if err := os.Symlink(c.link, place); err != nil {
				t.Fatal(err)
			}
			place = filepath.Join(root, "usr/bin/dash")
		}
		if err := os.WriteFile(place, []byte(c.shell), 0o755); err != nil {
			t.Fatal(err)
		}
		_, err := Resolve(t.Context(), "dir:"+root, t.TempDir())
		switch {
		case c.want == "" && err != nil:
			t.Errorf("%s: %v", name, err)
		case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
			t.Errorf("%s: the error is %v", name, err)
		}
	}
}

// TestUnreadableImageIsRefused: an image that whoever runs proofbox cannot look
// into says so, and what to do. There is none for root.
func TestUnreadableImageIsRefused(t *testing.T) {
	t.Parallel()
	root := filepath.Join(t.TempDir(), "root")
	for _, dir := range []string{root, filepath.Join(root, "bin")} {
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(filepath.Join(root, "bin"), 0); err != nil {
		t.Fatal(err)
	}
	_, err := Resolve(t.Context(), "dir:"+root, t.TempDir())
	if refused := err != nil && strings.Contains(err.Error(), "make it readable"); refused == (os.Geteuid() == 0) {
		t.Errorf("the error is %v", err)
	}
}

// TestForeignConfigurationIsRefused: an OCI image says for which machine it is.
func TestForeignConfigurationIsRefused(t *testing.T) {
	t.Parallel()
	img, err := mutate.ConfigFile(empty.Image, &v1.ConfigFile{Architecture: "arm64", OS: "linux", RootFS: v1.RootFS{Type: "layers"}})
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "layout")
	p, err := layout.Write(dir, empty.Index)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.AppendImage(img); err != nil {
		t.Fatal(err)
	}
	_, err = Resolve(t.Context(), "oci:"+dir, t.TempDir())
	if err == nil || !strings.Contains(err.Error(), `"arm64"`) {
		t.Errorf("the error is %v", err)
	}
}

// TestKey: the key of an image changes with everything that a box would see of
// it, and with nothing else.
func TestKey(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	path := filepath.Join(root, "data")
	key := func() string {
		img, err := Resolve(t.Context(), "dir:"+root, t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		k, err := img.Key(t.Context(), nil)
		if err != nil || len(k) != 64 {
			t.Fatalf("the key is %q, %v", k, err)
		}
		return k
	}
	seen := map[string]string{key(): "empty"}
	for _, step := range []struct {
		name string
		do   func() error
	}{
		{"folder", func() error { return os.Mkdir(path, 0o755) }},
		{"file", func() error { return os.WriteFile(filepath.Join(path, "f"), []byte("a"), 0o644) }},
		{"bytes", func() error { return os.WriteFile(filepath.Join(path, "f"), []byte("bc"), 0o644) }},
		{"mode", func() error { return os.Chmod(filepath.Join(path, "f"), 0o600) }},
		{"name", func() error { return os.Rename(filepath.Join(path, "f"), filepath.Join(path, "g")) }},
		{"link", func() error { return os.Symlink("g", filepath.Join(path, "f")) }},
	} {
		if err := step.do(); err != nil {
			t.Fatal(err)
		}
		k := key()
		if other, ok := seen[k]; ok {
			t.Errorf("%s has the key of %s", step.name, other)
		}
		if seen[k] = step.name; key() != k {
			t.Errorf("%s has two keys", step.name)
		}
	}
	img, err := Resolve(t.Context(), "dir:"+root, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	with, err := img.Key(t.Context(), []Bind{{Source: path, Target: "/opt/x", Folder: true}})
	if err != nil || seen[with] != "" {
		t.Errorf("what is exposed is not in the key %q, %v", with, err)
	}
}

// TestKeyOfDigest: an image that has a digest is named by it, without a look at
// its files.
func TestKeyOfDigest(t *testing.T) {
	t.Parallel()
	ref, cache := newLayout(t, archive(t, dir("srv"), file("srv/a"))), t.TempDir()
	keys := map[string]bool{}
	for range 2 {
		img, err := Resolve(t.Context(), "oci:"+ref, cache)
		if err != nil {
			t.Fatal(err)
		}
		k, err := img.Key(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		keys[k] = true
		if err := os.Chtimes(filepath.Join(img.Binds[0].Source, "a"), testTime, testTime); err != nil {
			t.Fatal(err)
		}
	}
	if len(keys) != 1 {
		t.Errorf("one image has the keys %v", keys)
	}
}

// testTime is a time that no file has by itself.
var testTime = time.Unix(1, 0)
