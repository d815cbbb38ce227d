package daemon

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"proofbox"
	"proofbox/internal/api"
	"proofbox/internal/box"
	"proofbox/internal/box/jail"
)

// Scan looks for identifiers and secrets in a data set, and for names where that
// is asked for.
func (d *Daemon) Scan(ctx context.Context, path string, names bool) (proofbox.Scan, error) {
	look := d.program.Scan
	if names {
		look = d.program.Names
	}
	found, err := look(ctx, path)
	if err != nil {
		return proofbox.Scan{}, err
	}
	return found.Scan, nil
}

// Synthesise makes up a data set.
func (d *Daemon) Synthesise(ctx context.Context, r proofbox.SynthRequest) (proofbox.Synthesised, error) {
	return d.contents.Synthesise(ctx, d.program, r)
}

// Mess says how dirty a data set is.
func (d *Daemon) Mess(ctx context.Context, r proofbox.MessRequest) (proofbox.MessJudged, error) {
	return d.program.Mess(ctx, r)
}

// sealed is what the audit log says of a seal.
type sealed struct {
	Path   string          `json:"path"`
	Source string          `json:"source,omitempty"` // what was masked
	Class  proofbox.Class  `json:"class"`
	Root   string          `json:"root"`
	Seal   string          `json:"seal"` // its SHA-256
	Grant  *proofbox.Grant `json:"grant,omitempty"`
}

// Seal scans a data set and, if it is what its class claims, seals it.
func (d *Daemon) Seal(ctx context.Context, r proofbox.SealRequest) (proofbox.Verified, error) {
	v, err := d.contents.Seal(ctx, r, time.Now())
	if err != nil {
		return v, err
	}
	return v, d.note(ctx, "seal", "", sealed{Path: r.Path, Class: r.Class, Root: v.Seal.Root, Seal: v.Digest, Grant: r.Grant})
}

// maskDir is the folder in the state folder that has the blind lists.
const maskDir = "masked"

// Mask masks a data set and seals what it has written.
func (d *Daemon) Mask(ctx context.Context, r proofbox.MaskRequest) (proofbox.Verified, error) {
	v, err := d.contents.Mask(ctx, d.program, r, filepath.Join(d.host.State, maskDir), time.Now())
	if err != nil {
		return v, err
	}
	return v, d.note(ctx, "mask", "", sealed{Path: r.Out, Source: r.In, Class: v.Seal.Class, Root: v.Seal.Root, Seal: v.Digest})
}

// Unmask gets the reversible numbers of a masked set back. That is in the log before they can be read.
func (d *Daemon) Unmask(ctx context.Context, r proofbox.UnmaskRequest) (proofbox.Unmasked, error) {
	return d.contents.Unmask(ctx, d.program, r, func(u proofbox.Unmasked) error {
		return d.note(ctx, "unmask", "", unmasked{Source: r.In, Path: r.Out, Root: u.Root, Restored: u.Restored})
	}, time.Now())
}

// unmasked is what the audit log says of numbers that were got back.
type unmasked struct {
	Source   string `json:"source"`
	Path     string `json:"path"`
	Root     string `json:"root"`
	Restored int64  `json:"restored"`
}

// Verify holds a data set against its seal. One that was verified before and is unchanged
// is not read again, unless all is asked for. A masked one is searched for the real
// values of its source once more.
func (d *Daemon) Verify(ctx context.Context, path string, all bool) (proofbox.Verified, error) {
	return d.contents.Check(ctx, path, all, time.Now(), func(v proofbox.Verified) error {
		if v.Seal.Class != proofbox.Masked {
			return nil
		}
		return d.contents.Unsurvived(ctx, d.program, path, v.Seal, filepath.Join(d.host.State, maskDir))
	})
}

// bring copies the contents that the spec declares into the run's folder,
// verifying each byte of the copy, and notes what the box will see.
func (s *session) bring(ctx context.Context, io api.Session) error {
	declared := s.run.Plan.Spec.Contents
	if len(declared) == 0 {
		return nil
	}
	dir := filepath.Join(s.daemon.store.dir(s.run.ID), dataDir)
	if err := s.note(box.Object{Kind: box.Folder, Name: dir}); err != nil {
		return err
	}
	for i, c := range declared {
		io.Event(proofbox.Event{Progress: fmt.Sprintf("verifying %q", c.Path)})
		seen, err := s.bringOne(ctx, c, filepath.Join(dir, strconv.Itoa(i)), i)
		if err != nil {
			return err
		}
		s.run.Contents = append(s.run.Contents, seen)
	}
	return s.daemon.note(ctx, "contents", s.run.ID, s.run.Contents)
}

func (s *session) bringOne(ctx context.Context, c proofbox.Content, to string, i int) (proofbox.Seen, error) {
	v, err := s.daemon.contents.Freeze(ctx, c.Path, c.Class, to, time.Now())
	if err != nil {
		return proofbox.Seen{}, err
	}
	kept := filepath.Join(s.daemon.store.dir(s.run.ID), fmt.Sprintf(sealFile, i))
	if err := os.WriteFile(kept, v.Envelope, 0o600); err != nil {
		return proofbox.Seen{}, fmt.Errorf("keeping the seal: %w", err)
	}
	info, err := os.Stat(to)
	if err != nil {
		return proofbox.Seen{}, fmt.Errorf("looking at the copied data: %w", err)
	}
	m, err := s.daemon.contents.Mount(to, v.Seal, s.alarm)
	if err != nil {
		return proofbox.Seen{}, err
	}
	s.mounts = append(s.mounts, m)
	s.data = append(s.data, jail.Step{Bind: &jail.Bind{Source: to, Target: c.At, Folder: info.IsDir()}})
	return proofbox.Seen{
		Path: c.Path, At: c.At, Class: v.Seal.Class, Root: v.Seal.Root, Seal: v.Digest, KeyID: v.KeyID,
		Files: len(v.Seal.Files), Bytes: v.Seal.Bytes, Records: v.Seal.Records, Kinds: v.Seal.Kinds, Time: time.Now().UTC(),
		Opened: []proofbox.Opened{},
	}, nil
}

// Seen tells what a run's box could see of data.
func (d *Daemon) Seen(ctx context.Context, run string) (proofbox.Sight, error) {
	r, err := d.Show(ctx, run)
	return sight(&r), err
}
