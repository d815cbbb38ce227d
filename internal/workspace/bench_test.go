package workspace

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// keptFiles is how many files the benchmarks write, of 4 KB each.
const keptFiles = 1_000

// thousand is a run that has changed many small files.
func thousand(b *testing.B) (*site, *Changes) {
	b.Helper()
	s := newSite(b, nil)
	before, after := make(map[string]string), make(map[string]string)
	for i := range keptFiles {
		name := fmt.Sprintf("folder%02d/file%04d", i/100, i)
		before[name], after[name] = fmt.Sprintf("%04000d\n", i), fmt.Sprintf("%04000d\nmore\n", i)
	}
	plant(b, s.original, before)
	s.freeze(b, false)
	plant(b, s.upper, after)
	return s, s.collect(b)
}

// BenchmarkKeep keeps a thousand changed files: all of it, from the request to
// the record.
func BenchmarkKeep(b *testing.B) {
	for b.Loop() {
		b.StopTimer()
		s, c := thousand(b)
		unix.Sync()
		b.StartTimer()
		receipt, err := s.keep(c)
		if err != nil || len(receipt.Kept) != keptFiles {
			b.Fatalf("%d kept: %v", len(receipt.Kept), err)
		}
	}
}

// BenchmarkRenameLoop is what it is compared with: as many files are written
// under other names and renamed, with one sync, and nothing is checked.
func BenchmarkRenameLoop(b *testing.B) {
	for b.Loop() {
		b.StopTimer()
		s, c := thousand(b)
		unix.Sync()
		b.StartTimer()
		for _, change := range c.List() {
			path := filepath.Join(s.original, string(change.Path))
			data, err := os.ReadFile(filepath.Join(s.upper, string(change.Path)))
			must(b, err)
			must(b, os.WriteFile(path+".new", data, 0o644))
			must(b, os.Rename(path+".new", path))
		}
		root := value[int](b)(openRoot(s.original))
		must(b, unix.Syncfs(root))
		must(b, unix.Close(root))
	}
}

// BenchmarkList reads a run of ten thousand changes as a list, as `proofbox diff
// --stat` and the review do.
func BenchmarkList(b *testing.B) {
	s := newSite(b, nil)
	tree := make(map[string]string)
	for i := range 10_000 {
		tree[fmt.Sprintf("folder%02d/file%05d", i/1000, i)] = fmt.Sprintf("%d\n", i)
	}
	s.freeze(b, false)
	plant(b, s.upper, tree)
	s.collect(b)
	for b.Loop() {
		c, err := Load(s.store)
		if err != nil || len(c.List()) < 10_000 {
			b.Fatalf("%d changes: %v", len(c.List()), err)
		}
		if _, err := Shown(c.List()); err != nil {
			b.Fatal(err)
		}
	}
}
