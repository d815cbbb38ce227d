package contents

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"proofbox"
	"proofbox/internal/contents/tree"
)

// Verify holds a data set against its seal: the signature, every file's bytes,
// the class and its grant, and, where the rules of the scan are newer than the
// seal, the scan. class is what the set is meant to be; empty for whatever its
// seal says. The error is a [*proofbox.Refusal] that names what disagrees.
func (k *Keeper) Verify(ctx context.Context, path string, class proofbox.Class, now time.Time) (proofbox.Verified, error) {
	return k.verify(ctx, path, path, class, now, func(proofbox.SealedFile) (io.WriteCloser, error) { return nothing{io.Discard}, nil })
}

// Freeze verifies a data set while it copies it to a path that is not there
// yet. What was verified is the copy, so nothing that happens to the set
// afterwards is in it.
func (k *Keeper) Freeze(ctx context.Context, path string, class proofbox.Class, to string, now time.Time) (proofbox.Verified, error) {
	v, err := k.verify(ctx, path, to, class, now, func(f proofbox.SealedFile) (io.WriteCloser, error) {
		target := to
		if f.Name != "" {
			target = filepath.Join(to, filepath.FromSlash(string(f.Name)))
		}
		if err := makeFolders(filepath.Dir(to), filepath.Dir(target)); err != nil {
			return nil, fmt.Errorf("copying the data: %w", err)
		}
		w, err := os.OpenFile(target, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
		if err != nil {
			return nil, fmt.Errorf("copying the data: %w", err)
		}
		return w, w.Chmod(0o444) // whoever the box's user is on the host
	})
	return v, err
}

// makeFolders makes a folder and those above it, up to top, and lets everybody
// read them, whatever this process's umask takes away.
func makeFolders(top, dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for ; len(dir) > len(top); dir = filepath.Dir(dir) {
		if err := os.Chmod(dir, 0o755); err != nil {
			return err
		}
	}
	return nil
}

type nothing struct{ io.Writer }

func (nothing) Close() error { return nil }

// verify gives what it reads to a writer for each file. frozen is where what was
// read stays: a scan is of that, because path may be another by then.
func (k *Keeper) verify(ctx context.Context, path, frozen string, class proofbox.Class, now time.Time, to func(proofbox.SealedFile) (io.WriteCloser, error)) (proofbox.Verified, error) {
	v, err := open(ctx, k.Key, path)
	if err != nil {
		return v, err
	}
	if class != "" && v.Seal.Class != class {
		return v, refuse("class-as-sealed", "declare the class that is sealed, if the box may have such data",
			"%q is declared %s, and its seal says %s", path, class, v.Seal.Class)
	}
	if refusal := granted(v.Seal.Class, v.Seal.Grant, now); refusal != nil {
		return v, refusal
	}
	if refusal := unmasked(v.Seal.Class, v.Seal.Masking); refusal != nil {
		return v, refusal
	}
	if refusal := awake(v.Seal.Planted, v.Seal.Awake, v.Seal.Time, now); refusal != nil {
		return v, refusal
	}
	disagrees, err := compare(ctx, path, v.Seal.Files, to)
	if err != nil {
		return v, err
	}
	if disagrees != nil {
		return v, k.explain(ctx, path, v.Seal, disagrees, now)
	}
	rules, err := k.rules(ctx)
	if err != nil {
		return v, err
	}
	if v.Seal.Rules != rules {
		found, err := k.examine(ctx, frozen)
		if err != nil {
			return v, err
		}
		if refusal := awake(found.Planted, v.Seal.Awake, now, now); refusal != nil {
			return v, refusal
		}
		return v, claim(v.Seal.Class, v.Seal.Grant, found, now)
	}
	return v, nil
}

// compare reads every file of a set and gives what disagrees with the seal,
// the first thing where there are several.
func compare(ctx context.Context, path string, files []proofbox.SealedFile, to func(proofbox.SealedFile) (io.WriteCloser, error)) (*proofbox.Refusal, error) {
	const repair = "find out who changed it; seal the set anew only if it is still what its class says"
	missing := make(map[proofbox.Raw]proofbox.SealedFile, len(files))
	for _, f := range files {
		missing[f.Name] = f
	}
	var first *proofbox.Refusal
	note := func(name proofbox.Raw, reason string, args ...any) {
		if first == nil {
			first = refuse("contents-as-sealed", repair, "%q %s", filepath.Join(path, string(name)), fmt.Sprintf(reason, args...))
		}
	}
	err := tree.Walk(ctx, path, func(e tree.Entry) error {
		name := proofbox.Raw(e.Name)
		sealed, ok := missing[name]
		delete(missing, name)
		switch {
		case e.Problem != "":
			note(name, "is not as sealed: %s", e.Problem)
			return nil
		case !ok:
			note(name, "is not in the seal")
			return nil
		}
		size, digest, err := digest(e, sealed, to)
		if err != nil {
			note(name, "cannot be verified: %v", err)
		} else if size > sealed.Size {
			note(name, "was changed: it has more than the %d bytes that were sealed", sealed.Size)
		} else if digest != sealed.SHA256 {
			note(name, "was changed: it has %d bytes and the SHA-256 %.12s…, and was sealed with %d and %.12s…", size, digest, sealed.Size, sealed.SHA256)
		}
		return nil
	})
	for _, f := range files {
		if _, gone := missing[f.Name]; gone {
			note(f.Name, "is in the seal, and not in the set")
		}
	}
	return first, err
}

// digest reads a file to its end and writes it where it is wanted.
func digest(e tree.Entry, sealed proofbox.SealedFile, to func(proofbox.SealedFile) (io.WriteCloser, error)) (size int64, sum string, err error) {
	h := sha256.New()
	err = e.Read(func(f *os.File, _ int64) error {
		w, err := to(sealed)
		if err != nil {
			return err
		}
		// One byte more than was sealed is enough to know that it is another file.
		size, err = io.Copy(io.MultiWriter(h, w), io.LimitReader(f, sealed.Size+1))
		if err = errors.Join(err, w.Close()); err != nil {
			return fmt.Errorf("reading it: %w", err)
		}
		return nil
	})
	return size, hex.EncodeToString(h.Sum(nil)), err
}

// explain looks into a set that is not as it was sealed, so that the refusal can
// name the record that its class does not allow, where there is one.
func (k *Keeper) explain(ctx context.Context, path string, seal proofbox.Seal, disagrees *proofbox.Refusal, now time.Time) error {
	found, err := k.Scanner.Scan(ctx, path)
	if err != nil {
		disagrees.Reason += fmt.Sprintf("; what it holds now could not be looked at: %v", err)
		return disagrees
	}
	if refusal, ok := errors.AsType[*proofbox.Refusal](claim(seal.Class, seal.Grant, found, now)); ok {
		disagrees.Reason += "; and it is not " + string(seal.Class) + " any more: " + refusal.Reason + " (rule " + refusal.Rule + ")"
	}
	return disagrees
}
