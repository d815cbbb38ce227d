package box

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// SavedCopy is a copy of the saved guest that a box would continue from, in a
// folder of its own, signed as every one is. Only a trial has one, to alter it
// and to see whether a box would still continue from it.
type SavedCopy struct {
	// Dir is the copy's folder, Original that of the saved guest itself; see
	// docs/formats/template.md for the files in them.
	Dir, Original string

	host     Host
	key      string
	other    string // the key of a guest that differs in a limit
	weakness Weakness
}

// CopySaved copies what the box that the config declares would continue from; it
// is saved first where there is none yet. The copy lies below the config's own
// folder.
func (h *Host) CopySaved(ctx context.Context, c Config) (copied *SavedCopy, err error) {
	m, ok := c.Runtime.(Machine)
	if !ok {
		return nil, fmt.Errorf("the wall %q continues nothing that was saved", c.Runtime.Wall())
	}
	whole := c
	whole.Weakness = Weakness{}
	b := &Box{config: whole, log: &boundedLog{left: maxLog}}
	b.guest = &guest{machine: m, init: h.Init, console: newConsole(b.log)}
	ctx, cancel := context.WithTimeoutCause(ctx, machineStartLimit, fmt.Errorf("the guest was not saved within %v", machineStartLimit))
	defer cancel()
	defer func() {
		account, closeErr := b.Close(context.WithoutCancel(ctx))
		if err = errors.Join(err, closeErr); !Clean(account) {
			err = errors.Join(err, errors.New("something of a guest that was saved is left"))
		}
	}()
	if err := b.reserve(h); err != nil {
		return nil, err
	}
	t, err := b.chooseTemplate(ctx, h)
	if err != nil {
		return nil, err
	}
	defer t.release()
	copied = &SavedCopy{host: *h, key: filepath.Base(t.dir), Original: t.dir, weakness: c.Weakness}
	copied.host.Templates = filepath.Join(c.Dir, "templates")
	copied.Dir = filepath.Join(copied.host.Templates, copied.key)
	b.config.Limits.Disk *= 2
	other, err := b.blankFor()
	if err != nil {
		return nil, err
	}
	copied.other = other.key
	return copied, copied.fill(h)
}

// Pose puts the copy where a box looks that has twice the disk, and has [SavedCopy.Chosen]
// ask for that box.
func (s *SavedCopy) Pose() error {
	dir := filepath.Join(s.host.Templates, s.other)
	if err := os.Rename(s.Dir, dir); err != nil {
		return fmt.Errorf("moving a saved guest: %w", err)
	}
	s.Dir, s.key = dir, s.other
	return nil
}

// fill copies the files and signs them.
func (s *SavedCopy) fill(h *Host) error {
	m, err := h.readManifest(s.Original)
	if err == nil {
		err = os.MkdirAll(s.Dir, 0o700)
	}
	if err != nil {
		return fmt.Errorf("copying a saved guest: %w", err)
	}
	for _, name := range templateFiles {
		f, err := copySparse(filepath.Join(s.Original, name), filepath.Join(s.Dir, name))
		if err == nil {
			err = f.Close()
		}
		if err != nil {
			return fmt.Errorf("copying a saved guest: %w", err)
		}
	}
	return s.host.sign(s.Dir, m)
}

// Chosen says whether a box that is started now would continue from the copy, as
// every box's start finds it out.
func (s *SavedCopy) Chosen(ctx context.Context) (bool, error) {
	t, err := s.host.openTemplate(ctx, s.key, s.weakness)
	if err != nil || t == nil {
		return false, err
	}
	t.release()
	return true, nil
}
