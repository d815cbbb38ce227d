package breakout

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"proofbox"
	"proofbox/internal/box"
)

// stage is what a trial plants on the host for its attacks to find.
type stage struct {
	dir      string            // the trial's own folder
	words    map[string]string // what the words of attacks and twins mean here
	flags    map[string]*flag
	canaries map[string]*canary
	world    *World
	undo     []func() // called in reverse when the stage is closed
}

// flag is a planted file with a nonce in it.
type flag struct {
	where string // in words
	path  string // empty where it is not a file
	nonce string
	text  string // the whole content
}

func newNonce() string {
	var b [16]byte
	rand.Read(b[:])
	return hex.EncodeToString(b[:])
}

func number(f float64) string { return strconv.FormatFloat(f, 'g', -1, 64) }

// setStage plants everything. Each object is journaled before it exists.
func setStage(dir, program string, note func(box.Object) error) (*stage, error) {
	s := &stage{dir: dir, words: map[string]string{}, flags: map[string]*flag{}, canaries: map[string]*canary{}}
	for _, plant := range []func() error{
		func() error { return s.plantFlags(note) },
		func() error { return s.plantTool(program, note) },
		func() error { return s.plantVictim(program) },
		s.plantInKernel,
		s.plantEnvironment,
		s.nameDisk,
		s.nameFreePort,
		func() error { return s.listen(note) },
		s.makeWorld,
	} {
		if err := plant(); err != nil {
			return s, err
		}
	}
	s.words["runs"] = filepath.Dir(filepath.Dir(dir)) // of the trial's own folder
	s.words["jail"] = filepath.Join(filepath.Dir(program), "proofbox-jail")
	s.flags["neighbour"] = &flag{where: "the folders of another box", nonce: newNonce()}
	return s, nil
}

// plantFlags plants one file in each place where something of worth lies on a
// host. Everybody may read and write them: what keeps a box from them is the
// wall, and nothing else.
func (s *stage) plantFlags(note func(box.Object) error) error {
	home, err := homeFolder()
	if err != nil {
		return err
	}
	name := "proofbox-flag-" + newNonce()[:8]
	for word, f := range map[string]*flag{
		"home":  {where: "the home folder of the host's user", path: filepath.Join(home, "."+name, "flag")},
		"tmp":   {where: "the host's /tmp", path: filepath.Join("/tmp", name, "flag")},
		"state": {where: "proofbox's state folder", path: filepath.Join(s.dir, name, "flag")},
	} {
		if err := s.plant(word, f, note); err != nil {
			return err
		}
	}
	return nil
}

// homeFolder is the home of the host's user: $HOME, or what the accounts say
// where this user can write nothing there.
func homeFolder() (string, error) {
	candidates := []string{os.Getenv("HOME")}
	if me, err := user.Current(); err == nil {
		candidates = append(candidates, me.HomeDir)
	}
	for _, dir := range candidates {
		if info, err := os.Stat(dir); dir != "" && err == nil && info.IsDir() && unix.Access(dir, unix.W_OK|unix.X_OK) == nil {
			return dir, nil
		}
	}
	return "", fmt.Errorf("finding a home folder to plant a flag in: none of %q is one that can be written to; set HOME", candidates)
}

// plant makes a flag in a folder of its own.
func (s *stage) plant(word string, f *flag, note func(box.Object) error) error {
	folder := filepath.Dir(f.path)
	if err := note(box.Object{Kind: box.Folder, Name: folder}); err != nil {
		return err
	}
	if err := errors.Join(os.Mkdir(folder, 0o777), os.Chmod(folder, 0o777)); err != nil {
		return fmt.Errorf("planting a flag in %s: %w", f.where, err)
	}
	s.words[word], s.words[word+"-folder"] = f.path, folder
	return s.write(word, f)
}

// write writes a flag anew.
func (s *stage) write(word string, f *flag) error {
	f.nonce = newNonce()
	f.text = "flag " + f.nonce + "\n"
	s.flags[word] = f
	if err := errors.Join(os.WriteFile(f.path, []byte(f.text), 0o666), os.Chmod(f.path, 0o666)); err != nil {
		return fmt.Errorf("planting a flag in %s: %w", f.where, err)
	}
	return nil
}

func (f *flag) read() (string, error) {
	text, err := os.ReadFile(f.path)
	if errors.Is(err, os.ErrNotExist) {
		return "", nil // removed, which is a change
	}
	if err != nil {
		return "", fmt.Errorf("looking at the flag in %s: %w", f.where, err)
	}
	return string(text), nil
}

// restore puts a flag back as it was planted, for the next attempt.
func (f *flag) restore() error {
	if f.path == "" {
		return nil
	}
	now, err := f.read()
	if err != nil || now == f.text {
		return err
	}
	if err := errors.Join(os.RemoveAll(f.path), os.WriteFile(f.path, []byte(f.text), 0o666), os.Chmod(f.path, 0o666)); err != nil {
		return fmt.Errorf("planting the flag in %s again: %w", f.where, err)
	}
	return nil
}

func (s *stage) flag(name string) *flag {
	f, ok := s.flags[name]
	if !ok {
		panic(fmt.Sprintf("breakout: no flag %q is planted", name))
	}
	return f
}

func (s *stage) canary(name string) *canary {
	c, ok := s.canaries[name]
	if !ok {
		panic(fmt.Sprintf("breakout: there is no canary %q", name))
	}
	return c
}

// word replaces the words in braces of a text.
func (s *stage) word(text string) string {
	pairs := make([]string, 0, 2*len(s.words))
	for word, meaning := range s.words {
		pairs = append(pairs, "{"+word+"}", meaning)
	}
	return strings.NewReplacer(pairs...).Replace(text)
}

// setting replaces the words of a setting.
func (s *stage) setting(t Setting) Setting {
	binds := make([]box.Opening, len(t.Binds))
	for i, o := range t.Binds {
		o.Source, o.Target = s.word(o.Source), s.word(o.Target)
		binds[i] = o
	}
	t.Binds = binds
	t.Limits = t.Limits.Or(proofbox.DefaultLimits)
	return t
}

// close ends what was planted and is no file.
func (s *stage) close() {
	for _, c := range s.canaries {
		c.close()
	}
	for _, undo := range slices.Backward(s.undo) {
		undo()
	}
}
