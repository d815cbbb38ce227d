package contents

import (
	"context"
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
	Survivor(ctx context.Context, path, list string) (string, error)
}

// Mask masks a data set to a path that is not there, and seals it. It appears there as a
// whole, with its seal, or not at all; a process that is killed leaves a folder
// beside it whose name begins with ".masking-". The blind list is kept in the folder
// lists, under the root of what was written.
func (k *Keeper) Mask(ctx context.Context, by Masker, r proofbox.MaskRequest, lists string, now time.Time) (v proofbox.Verified, err error) {
	if err := apart(r.In, r.Out); err != nil {
		return v, err
	}
	dir, err := os.MkdirTemp(filepath.Dir(r.Out), ".masking-")
	if err != nil {
		return v, fmt.Errorf("making a folder for what is masked: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	out, list := filepath.Join(dir, filepath.Base(r.Out)), filepath.Join(dir, "list")
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
		return v, hide(err, out, r.Out)
	}
	if err := keep(list, lists, root(found.Sealed)); err != nil {
		return v, err
	}
	if v, err = k.sign(ctx, proofbox.SealRequest{Path: out, Class: proofbox.Masked}, found, &masked.Masking, now); err != nil {
		return v, err
	}
	if err := appear(out, r.Out); err != nil {
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
	dir, err := os.MkdirTemp(filepath.Dir(r.Out), ".unmasking-")
	if err != nil {
		return u, fmt.Errorf("making a folder for what is unmasked: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	out := filepath.Join(dir, filepath.Base(r.Out))
	restored, err := by.Unmask(ctx, r.In, out, *v.Seal.Masking)
	if err != nil {
		return u, err
	}
	u = proofbox.Unmasked{Root: v.Seal.Root, Out: r.Out, Restored: restored}
	if err := note(u); err != nil {
		return u, err
	}
	if err := os.Rename(out, r.Out); err != nil {
		return u, fmt.Errorf("writing what is unmasked: %w", err)
	}
	return u, nil
}

// apart refuses an output that is there, or that lies in what is masked, or the other
// way round.
func apart(in, out string) error {
	for _, path := range []string{out, File(out)} {
		if _, err := os.Lstat(path); err == nil {
			return fmt.Errorf("%q is there already; name a path that is not", path)
		} else if !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("looking for the output: %w", err)
		}
	}
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

// hide gives a refusal the name that the user knows.
func hide(err error, is, said string) error {
	if r, ok := errors.AsType[*proofbox.Refusal](err); ok {
		r.Reason = strings.ReplaceAll(r.Reason, is, said)
	}
	return err
}

// keep moves a list into the folder of lists, under the root of its set.
func keep(list, lists, root string) error {
	data, err := os.ReadFile(list)
	if err == nil {
		err = os.MkdirAll(lists, 0o700)
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(lists, root), data, 0o600)
	}
	if err != nil {
		return fmt.Errorf("keeping the blind list: %w", err)
	}
	return nil
}

// appear moves the set and its seal to where they belong; the seal first, because a seal
// without its set is refused.
func appear(from, to string) error {
	if err := os.Link(File(from), File(to)); err != nil {
		return fmt.Errorf("writing the seal: %w", err)
	}
	err := os.Mkdir(to, 0o755) // fails where something is there by now
	if err == nil {
		err = os.Remove(to)
	}
	if err == nil {
		err = os.Rename(from, to)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("writing the masked set: %w", err), os.Remove(File(to)))
	}
	return nil
}

// Unsurvived looks for the real values of a masked set's source in it once more. It is the
// caller's to have verified the set.
func (k *Keeper) Unsurvived(ctx context.Context, by Masker, path string, seal proofbox.Seal, lists string) error {
	where, err := by.Survivor(ctx, path, filepath.Join(lists, seal.Root))
	if err != nil {
		return err
	}
	if where != "" {
		return refuse("no-real-value-survives", "mask the source again", "%s", where)
	}
	return nil
}
