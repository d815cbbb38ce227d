package contents

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"proofbox"
)

// Masker masks data sets and proves that they are.
type Masker interface {
	Mask(ctx context.Context, in, out, list string, plan proofbox.MaskPlan) (*Masked, error)
	Survivor(ctx context.Context, path, list string) (*Survivor, error)
}

// Mask masks a data set to a path that is not there, and seals it. It appears there as a
// whole, with its seal, or not at all; what a process that is killed leaves is taken away by the next one that makes
// something. The blind list is kept in the folder lists, under the root of what was written.
func (k *Keeper) Mask(ctx context.Context, by Masker, r proofbox.MaskRequest, lists string, now time.Time) (v proofbox.Verified, err error) {
	if err := errors.Join(apart(r.In, r.Out), stricter(r.Awake)); err != nil {
		return v, err
	}
	d, err := k.draft(r.Out, sealEnd)
	if err != nil {
		return v, err
	}
	defer func() { err = errors.Join(d.said(err), d.close()) }()
	out, list := d.set(), d.set()+".list"
	masked, err := by.Mask(ctx, r.In, out, list, r.Plan)
	if err != nil {
		return v, err
	}
	masked.Masking.Source, masked.Root = filepath.Base(r.In), root(masked.Source)
	found, err := k.examine(ctx, out)
	if err != nil {
		return v, err
	}
	if err := claim(proofbox.Masked, nil, found, now); err != nil {
		return v, err
	}
	if v, err = k.sign(ctx, proofbox.SealRequest{Path: out, Class: proofbox.Masked, Awake: r.Awake}, found, &masked.Masking, now); err != nil {
		return v, err
	}
	if err := k.placeWithList(d, list, filepath.Join(lists, v.Seal.Root)); err != nil {
		return v, err
	}
	return verified(k.Key, r.Out, v.Envelope, v.Seal), nil
}

// Unmasker gets reversible numbers back.
type Unmasker interface {
	Unmask(ctx context.Context, in, out string, by proofbox.Masking) (int64, error)
}

// Unmask verifies a masked set and writes it, with the numbers of its reversible fields as they were, to a path that is
// not there. It is noted before it appears there; what appears is somebody's, and has no seal.
func (k *Keeper) Unmask(ctx context.Context, by Unmasker, r proofbox.UnmaskRequest, note func(proofbox.Unmasked) error, now time.Time) (u proofbox.Unmasked, err error) {
	if err := apart(r.In, r.Out); err != nil {
		return u, err
	}
	v, err := k.Verify(ctx, r.In, proofbox.Masked, now)
	if err != nil {
		return u, err
	}
	if !slices.ContainsFunc(v.Seal.Masking.Plan.Fields, func(f proofbox.MaskField) bool { return f.Reversible }) {
		return u, refuse("unmask-what-is-reversible", "only what a plan calls `number, reversible` can be got back", "%q was masked by a plan without reversible fields", r.In)
	}
	d, err := k.draft(r.Out)
	if err != nil {
		return u, err
	}
	defer func() { err = errors.Join(d.said(err), d.close()) }()
	restored, err := by.Unmask(ctx, r.In, d.set(), *v.Seal.Masking)
	if err != nil {
		return u, err
	}
	u = proofbox.Unmasked{Root: v.Seal.Root, Out: r.Out, Restored: restored}
	if err := note(u); err != nil {
		return u, err
	}
	return u, d.place()
}

// Maker makes data sets up.
type Maker interface {
	Make(ctx context.Context, r proofbox.SynthRequest) (proofbox.Synthesised, error)
}

// truthEnd is what the name of the log of what was damaged in a set has behind the set's.
const truthEnd = ".truth.jsonl"

// Synthesise makes a data set up, at a path that is not there.
func (k *Keeper) Synthesise(ctx context.Context, by Maker, r proofbox.SynthRequest) (made proofbox.Synthesised, err error) {
	d, err := k.draft(r.Out, truthEnd)
	if err != nil {
		return made, err
	}
	defer func() { err = errors.Join(d.said(err), d.close()) }()
	out := r.Out
	r.Out = d.set()
	if made, err = by.Make(ctx, r); err != nil {
		return made, err
	}
	if made.Path = out; made.Truth != "" {
		made.Truth = filepath.Clean(out) + truthEnd
	}
	return made, d.place()
}

// apart refuses an output that lies in what is read.
func apart(in, out string) error {
	real, err := filepath.EvalSymlinks(in)
	if err != nil {
		return fmt.Errorf("looking at the data set: %w", err)
	}
	parent, err := filepath.EvalSymlinks(filepath.Dir(out))
	if err != nil {
		return fmt.Errorf("looking for the output's folder: %w", err)
	}
	if strings.HasPrefix(filepath.Join(parent, filepath.Base(out))+"/", real+"/") {
		return fmt.Errorf("the output %q lies in what is masked, %q", out, in)
	}
	return nil
}

// placeWithList puts a set where it belongs, and its blind list, which another command may have made for the same set.
// Nobody else does that at the same time, and lists that killed commands have left are gone: a list that is there is that
// of a set that is there, and stays.
func (k *Keeper) placeWithList(d *draft, list, to string) error {
	journal, err := k.lockDrafts()
	if err != nil {
		return err
	}
	defer journal.Close()
	if err := errors.Join(k.sweep(), d.keep(list, to)); err != nil {
		return errors.Join(err, d.forget())
	}
	if err := d.place(); err != nil {
		return errors.Join(err, d.forget())
	}
	return nil
}

// Unsurvived looks for the real values of a masked set's source in it once more. It is the
// caller's to have verified the set.
func (k *Keeper) Unsurvived(ctx context.Context, by Masker, path string, seal proofbox.Seal, lists string) error {
	const again = "mask the source again"
	list := filepath.Join(lists, seal.Root)
	data, err := os.ReadFile(list)
	if errors.Is(err, fs.ErrNotExist) {
		return refuse("blind-list-as-sealed", again, "the blind list of %q is gone: there is no %q, so nothing shows that no real value survives", path, list)
	}
	if err != nil {
		return fmt.Errorf("reading the blind list: %w", err)
	}
	if sum := sha256.Sum256(data); hex.EncodeToString(sum[:]) != seal.Masking.List {
		return refuse("blind-list-as-sealed", again, "the blind list %q is not the one of which the seal of %q speaks", list, path)
	}
	found, err := by.Survivor(ctx, path, list)
	if err != nil {
		return err
	}
	if found != nil {
		return refuse("no-real-value-survives", again, "%s: it has a real value of the source, of kind %s", where(path, found.Place), found.Kind)
	}
	return nil
}
