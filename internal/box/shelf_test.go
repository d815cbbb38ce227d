package box

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestVerifyPacked: what comes out of the jail that packs is taken only if it is
// the file system that it says.
func TestVerifyPacked(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		size   int64
		magic  uint32
		bits   byte
		blocks uint32
		want   string // of the error; empty where there is none
	}{
		"right":          {8192, erofsMagic, blockBits, 2, ""},
		"empty":          {0, 0, 0, 0, "no file system"},
		"short":          {1030, erofsMagic, blockBits, 1, "no file system"},
		"other magic":    {8192, 0xef53, blockBits, 2, "no file system"},
		"other blocks":   {8192, erofsMagic, 9, 16, "no file system"},
		"too few":        {8192, erofsMagic, blockBits, 1, "1 blocks in 8192 bytes"},
		"too many":       {8192, erofsMagic, blockBits, 1 << 31, "blocks in 8192 bytes"},
		"none":           {8192, erofsMagic, blockBits, 0, "0 blocks"},
		"with an end":    {8193, erofsMagic, blockBits, 2, "2 blocks in 8193 bytes"},
		"past its bound": {maxPacked + 4096, erofsMagic, blockBits, maxPacked>>blockBits + 1, "blocks"},
	} {
		f, err := os.Create(filepath.Join(t.TempDir(), "image"))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		super := make([]byte, superblockSize)
		binary.LittleEndian.PutUint32(super, c.magic)
		super[bitsAt] = c.bits
		binary.LittleEndian.PutUint32(super[blocksAt:], c.blocks)
		if _, err := f.WriteAt(super, superblockAt); err != nil {
			t.Fatal(err)
		}
		if err := f.Truncate(c.size); err != nil {
			t.Fatal(err)
		}
		size, err := verifyPacked(f)
		switch {
		case c.want == "" && (err != nil || size != c.size):
			t.Errorf("%s: %d bytes, %v", name, size, err)
		case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
			t.Errorf("%s: the error is %v", name, err)
		}
	}
}

// TestShelfIsPruned: of many images those stay that were used last, or a short
// while ago.
func TestShelfIsPruned(t *testing.T) {
	t.Parallel()
	s := &shelf{t.TempDir()}
	long := time.Now().Add(-time.Hour)
	var want []string
	for i := range keptImages + 4 {
		key := fmt.Sprintf("k%02d", i)
		at := long.Add(time.Duration(i) * time.Second)
		if i == 0 {
			at = time.Now() // the first one is in use again
		}
		for _, suffix := range []string{packedSuffix, recordSuffix} {
			path := filepath.Join(s.dir, key+suffix)
			if err := errors.Join(os.WriteFile(path, nil, 0o600), os.Chtimes(path, at, at)); err != nil {
				t.Fatal(err)
			}
			if i == 0 || i > 4 {
				want = append(want, key+suffix)
			}
		}
	}
	if err := s.prune(); err != nil {
		t.Fatal(err)
	}
	var got []string
	entries, err := os.ReadDir(s.dir)
	for _, e := range entries {
		got = append(got, e.Name())
	}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Error(diff, err)
	}
}

// TestShelfKeys: a key cannot name a file elsewhere.
func TestShelfKeys(t *testing.T) {
	t.Parallel()
	s := &shelf{t.TempDir()}
	for _, key := range []string{"", "../x", "a/b", ".", "new-1", "A"} {
		if _, err := s.find(key); err == nil {
			t.Errorf("the key %q is taken", key)
		}
	}
	if p, err := s.find("0a"); err != nil || p.Path != "" {
		t.Errorf("an empty shelf has %+v, %v", p, err)
	}
}
