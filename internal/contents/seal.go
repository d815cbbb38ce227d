package contents

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"proofbox"
	"proofbox/internal/audit"
)

// Predicate is the type of the statement in a seal, see
// docs/formats/seal.md.
const Predicate = "https://proofbox.dev/contents/v1"

// rootDigest names the subject's digest: the root of the Merkle tree.
const rootDigest = "rfc6962"

// maxSeal bounds a seal's file, in bytes: some three million files.
const maxSeal = 512 << 20

// File is where the seal of a data set is: beside it, so that it is not a part
// of it.
func File(path string) string { return filepath.Clean(path) + sealEnd }

const sealEnd = ".seal"

// Seal scans a data set, holds it against a class and, where nothing speaks
// against that, writes its seal. A seal that is there is replaced. The error is
// a [*proofbox.Refusal] where the set is not what the class claims.
func (k *Keeper) Seal(ctx context.Context, r proofbox.SealRequest, now time.Time) (proofbox.Verified, error) {
	if refusal := granted(r.Class, r.Grant, now); refusal != nil {
		return proofbox.Verified{}, refusal
	}
	if refusal := unmasked(r.Class, nil); refusal != nil {
		return proofbox.Verified{}, refusal
	}
	if err := stricter(r.Awake); err != nil {
		return proofbox.Verified{}, err
	}
	found, err := k.examine(ctx, r.Path)
	if err != nil {
		return proofbox.Verified{}, err
	}
	if err := claim(r.Class, r.Grant, found, now); err != nil {
		return proofbox.Verified{}, err
	}
	if found.Files == 0 {
		return proofbox.Verified{}, refuse("contents-not-empty", "name the folder that has the data", "%q holds no file", r.Path)
	}
	return k.sign(ctx, r, found, nil, now)
}

// sign writes the seal of a set that nothing speaks against.
func (k *Keeper) sign(ctx context.Context, r proofbox.SealRequest, found *Scanned, by *proofbox.Masking, now time.Time) (proofbox.Verified, error) {
	if refusal := awake(found.Planted, r.Awake, now, now); refusal != nil {
		return proofbox.Verified{}, refusal
	}
	seal := proofbox.Seal{
		Class: r.Class, Root: root(found.Sealed), Files: found.Sealed,
		Bytes: found.Bytes, Records: found.Records, Values: found.Values,
		Rules: found.Rules, Kinds: found.Kinds, Blind: found.Blind,
		Grant: r.Grant, Masking: by, Planted: found.Planted, Awake: r.Awake, Creator: "proofbox " + proofbox.Version, Time: now.UTC(),
	}
	subject := audit.Subject{Name: filepath.Base(r.Path), Digest: map[string]string{rootDigest: seal.Root}}
	envelope, err := k.Key.SignStatement(ctx, subject, Predicate, seal)
	if err != nil {
		return proofbox.Verified{}, err
	}
	if err := replace(File(r.Path), envelope); err != nil {
		return proofbox.Verified{}, err
	}
	return verified(k.Key, r.Path, envelope, seal), nil
}

func verified(key *audit.Key, path string, envelope []byte, seal proofbox.Seal) proofbox.Verified {
	sum := sha256.Sum256(envelope)
	return proofbox.Verified{Path: path, File: File(path), KeyID: key.ID(), Digest: hex.EncodeToString(sum[:]), Seal: seal, Envelope: envelope}
}

// replace writes a file so that a reader sees the old one or the new one.
func replace(path string, data []byte) error {
	temp, err := os.CreateTemp(filepath.Dir(path), ".seal-*")
	if err != nil {
		return fmt.Errorf("writing the seal: %w", err)
	}
	defer os.Remove(temp.Name())
	_, err = temp.Write(data)
	if err = errors.Join(err, temp.Chmod(0o644), temp.Sync(), temp.Close()); err != nil {
		return fmt.Errorf("writing the seal: %w", err)
	}
	if err := os.Rename(temp.Name(), path); err != nil {
		return fmt.Errorf("writing the seal: %w", err)
	}
	return nil
}

// root is the root of the Merkle tree (RFC 6962) whose leaves are the files, in
// JSON, in the order of their names' bytes. It names the set: a file added,
// left out, renamed or changed gives another.
func root(files []proofbox.SealedFile) string {
	files = slices.SortedFunc(slices.Values(files), func(a, b proofbox.SealedFile) int { return cmp.Compare(a.Name, b.Name) })
	leaves := make([]tlog.Hash, len(files))
	for i, f := range files {
		line, err := json.Marshal(f)
		if err != nil {
			panic(fmt.Sprintf("contents: encoding a file's entry: %v", err)) // it has strings and a number
		}
		leaves[i] = tlog.RecordHash(line)
	}
	h := join(leaves)
	return hex.EncodeToString(h[:])
}

func join(leaves []tlog.Hash) tlog.Hash {
	switch len(leaves) {
	case 0:
		return sha256.Sum256(nil)
	case 1:
		return leaves[0]
	}
	half := 1
	for half*2 < len(leaves) {
		half *= 2
	}
	return tlog.NodeHash(join(leaves[:half]), join(leaves[half:]))
}

// open reads the seal of a data set and checks that the key signed it, and that
// it is a seal and agrees with itself.
func open(ctx context.Context, key *audit.Key, path string) (proofbox.Verified, error) {
	var none proofbox.Verified
	const again = "seal the set anew with proofbox contents seal, if it is what it should be"
	envelope, err := read(File(path))
	if errors.Is(err, fs.ErrNotExist) {
		return none, refuse("contents-are-sealed", "seal it with proofbox contents seal "+path+" --class CLASS",
			"%q has no seal: there is no %q", path, File(path))
	}
	if err != nil {
		return none, err
	}
	statement, err := key.VerifyReceipt(ctx, envelope)
	if ids := signers(envelope); err != nil && len(ids) > 0 && !slices.Contains(ids, key.ID()) {
		return none, refuse("seal-is-signed", "use the state folder that it was sealed with, or seal the set anew if it is what it should be",
			"the seal %q is signed with the key %.16s…, and this proofbox has the key %.16s…: it was made by another one, or with another state folder", File(path), ids[0], key.ID())
	}
	if err != nil {
		return none, refuse("seal-is-signed", again, "the seal %q is not one that this proofbox has signed: %v", File(path), err)
	}
	if statement.PredicateType != Predicate {
		return none, refuse("seal-is-signed", again, "%q is signed, but it is a %q, and not a seal", File(path), statement.PredicateType)
	}
	var seal proofbox.Seal
	dec := json.NewDecoder(bytes.NewReader(statement.Predicate))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&seal); err != nil {
		return none, refuse("seal-is-signed", again, "the seal %q does not read as one: %v", File(path), err)
	}
	if len(statement.Subject) != 1 || statement.Subject[0].Digest[rootDigest] != seal.Root || root(seal.Files) != seal.Root {
		return none, refuse("seal-is-signed", again, "the seal %q does not agree with itself about its root", File(path))
	}
	return verified(key, path, envelope, seal), nil
}

// signers are the keys that an envelope says it is signed with. That is a claim, and good for words alone.
func signers(envelope []byte) (ids []string) {
	var e struct {
		Signatures []struct {
			KeyID string `json:"keyid"`
		} `json:"signatures"`
	}
	if json.Unmarshal(envelope, &e) != nil {
		return nil
	}
	for _, s := range e.Signatures {
		ids = append(ids, s.KeyID)
	}
	return ids
}

func read(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("reading the seal: %w", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxSeal+1))
	if err == nil && len(data) > maxSeal {
		err = fmt.Errorf("%q has more than %d bytes", path, maxSeal)
	}
	if err != nil {
		return nil, fmt.Errorf("reading the seal: %w", err)
	}
	return data, nil
}
