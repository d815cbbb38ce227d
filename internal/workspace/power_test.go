package workspace

import (
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// variants is how many ways to lose what was not synced are tried at each moment.
const variants = 6

// image is what is in a folder, by path.
type image map[string]inodeOf

// inodeOf is a file, link or folder of an image.
type inodeOf struct {
	mode fs.FileMode
	text string // of a file, or a link's target
}

// nonces are what is different in each keep, and the same here, so that images of
// several keeps are comparable.
var nonces = regexp.MustCompile(`(\.proofbox-|"nonce":")[A-Z2-7]{26}`)

func takeImage(t *testing.T, dir string) image {
	t.Helper()
	im := image{}
	must(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || path == dir {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		own := inodeOf{mode: info.Mode()}
		switch info.Mode().Type() {
		case 0:
			text, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			own.text = string(text)
		case fs.ModeSymlink:
			if own.text, err = os.Readlink(path); err != nil {
				return err
			}
		}
		im[strings.TrimPrefix(path, dir+"/")] = own
		return nil
	}))
	return im
}

// renamed gives the image with the nonces that another does not have made the same.
func (im image) renamed(known image) image {
	var have strings.Builder
	for p, own := range known {
		have.WriteString(p + own.text)
	}
	same := func(text string) string {
		return nonces.ReplaceAllStringFunc(text, func(found string) string {
			if strings.Contains(have.String(), found[len(found)-26:]) {
				return found
			}
			return found[:len(found)-26] + strings.Repeat("A", 26)
		})
	}
	out := image{}
	for p, own := range im {
		if strings.HasPrefix(p, "store/") {
			own.text = same(own.text)
		}
		out[same(p)] = own
	}
	return out
}

// restore makes the lab's folder what an image has.
func (l *lab) restore(t *testing.T, im image) {
	t.Helper()
	for _, e := range value[[]os.DirEntry](t)(os.ReadDir(l.dir)) {
		must(t, removeTree(filepath.Join(l.dir, e.Name())))
	}
	paths := slices.Sorted(maps.Keys(im))
	for _, p := range paths {
		full := filepath.Join(l.dir, p)
		switch own := im[p]; own.mode.Type() {
		case fs.ModeDir:
			must(t, os.Mkdir(full, 0o700))
		case fs.ModeSymlink:
			must(t, os.Symlink(own.text, full))
		default:
			must(t, os.WriteFile(full, []byte(own.text), own.mode.Perm()))
			must(t, os.Chmod(full, own.mode.Perm()))
		}
	}
	for _, p := range slices.Backward(paths) {
		if im[p].mode.IsDir() {
			must(t, os.Chmod(filepath.Join(l.dir, p), im[p].mode.Perm()))
		}
	}
}

// lossy is a disk that has only what was waited for: fsync(2) of a file its bytes,
// of a folder its names, syncfs(2) of a tree everything in it. Of all else, any part
// may be there or not when the power returns, name by name and in any order; a file
// whose bytes were not waited for may be empty or torn. Real file systems lose less.
type lossy struct {
	first  image           // before all of it
	names  image           // which names are on the disk for certain
	torn   map[string]bool // and those of them whose bytes are not
	synced map[string]bool // files whose bytes are, by their path now
}

func newLossy(was image) *lossy {
	d := &lossy{first: was, names: maps.Clone(was), torn: map[string]bool{}, synced: map[string]bool{}}
	for p := range was {
		d.synced[p] = true
	}
	return d
}

// loss gives one of the many states in which the disk may be, where the computer
// believed in another.
func (d *lossy) loss(believed image, n int) image {
	random := rand.New(rand.NewPCG(uint64(n), uint64(len(believed))))
	now := believed.renamed(d.first)
	union := maps.Clone(d.names)
	maps.Copy(union, now)
	out := image{}
	for _, p := range slices.Sorted(maps.Keys(union)) {
		if parent := filepath.Dir(p); parent != "." && !out[parent].mode.IsDir() {
			continue // its folder is not there
		}
		own, there := d.names[p]
		torn := d.torn[p]
		if newer, ok := now[p]; n == 1 || n > 1 && random.IntN(2) == 0 {
			torn = newer != own && !d.synced[p] || newer == own && torn
			own, there = newer, ok
		}
		if torn && own.mode.IsRegular() {
			own.text = own.text[:len(own.text)*random.IntN(3)/2]
		}
		if there {
			out[p] = own
		}
	}
	return out
}

// quoted is a path in a line of strace(1).
var quoted = regexp.MustCompile(`(?:<([^>]*)>, )?"([^"]*)"`)

// note takes in what a call does to the disk, which it enters where things are as
// they are believed to be.
func (d *lossy) note(c call, believed image) {
	now := believed.renamed(d.first)
	_, path, _ := strings.Cut(c.line, "<")
	path, _, _ = strings.Cut(path, ">")
	switch c.name {
	case "fsync":
		if p, ok := inLab(path); ok {
			d.fsync(p, now)
		}
	case "syncfs":
		if p, ok := inLab(path); ok {
			for other := range now {
				d.synced[other] = d.synced[other] || within(other, p)
			}
			d.flush(now, func(other string) bool { return within(other, p) })
		}
	case "renameat", "renameat2":
		names := quoted.FindAllStringSubmatch(c.line, 2)
		if len(names) == 2 {
			from, to := pathOf(names[0]), pathOf(names[1])
			d.synced[to] = d.synced[from]
			delete(d.synced, from)
		}
	case "unlinkat":
		if names := quoted.FindStringSubmatch(c.line); names != nil {
			delete(d.synced, pathOf(names))
		}
	}
}

func (d *lossy) fsync(p string, now image) {
	if now[p].mode.IsDir() {
		d.flush(now, func(other string) bool { return filepath.Dir(other) == p })
	}
	d.synced[p] = true
	if now[p].mode.IsRegular() && now[p] == d.names[p] {
		delete(d.torn, p)
	}
}

// flush puts the names for which it is asked on the disk.
func (d *lossy) flush(now image, asked func(string) bool) {
	for p := range d.names {
		if _, ok := now[p]; asked(p) && !ok {
			delete(d.names, p)
		}
	}
	for p, own := range now {
		if asked(p) {
			d.names[p] = own
			d.torn[p] = !d.synced[p]
		}
	}
}

// inLab gives a path below the lab's folder.
func inLab(path string) (string, bool) {
	for _, tree := range []string{"/original", "/store"} {
		if i := strings.Index(path, tree); i >= 0 {
			return nonces.ReplaceAllString(path[i+1:], "${1}"+strings.Repeat("A", 26)), true
		}
	}
	return "", false
}

func pathOf(match []string) string {
	full := match[2]
	if !strings.HasPrefix(full, "/") {
		full = match[1] + "/" + full
	}
	p, _ := inLab(full)
	return p
}
