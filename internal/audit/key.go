// Package audit keeps the record that nobody can quietly change: an
// append-only log whose every byte is covered by a signature, and signed
// receipts of what a teardown or a keep did.
//
// One ed25519 key per state folder signs both. It proves that a record was
// written by a proofbox that had the key, and that it has not changed since; it
// does not protect against somebody who can read the key. See
// docs/formats/audit-log.md.
package audit

import (
	"crypto/ed25519"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/mod/sumdb/note"
)

// keyName is the name under which log heads are signed.
const keyName = "proofbox"

// Key signs for one state folder.
type Key struct {
	private  ed25519.PrivateKey
	verifier note.Verifier
}

// Files of a key's folder.
const (
	privateFile = "signing.key" // the seed, base64, one line, mode 0600
	publicFile  = "signing.pub" // a note verifier key, see x/mod/sumdb/note
)

// OpenKey opens the key in a folder and makes it where there is none. Of
// several processes that do so at once, all get the same key.
func OpenKey(dir string) (*Key, error) {
	seed, err := readSeed(dir)
	if errors.Is(err, fs.ErrNotExist) {
		if err := makeSeed(dir); err != nil {
			return nil, err
		}
		seed, err = readSeed(dir)
	}
	if err != nil {
		return nil, err
	}
	return newKey(dir, seed)
}

func newKey(dir string, seed []byte) (*Key, error) {
	private := ed25519.NewKeyFromSeed(seed)
	public, err := note.NewEd25519VerifierKey(keyName, private.Public().(ed25519.PublicKey))
	if err != nil {
		return nil, fmt.Errorf("deriving the public key: %w", err)
	}
	verifier, err := note.NewVerifier(public)
	if err != nil {
		return nil, fmt.Errorf("deriving the public key: %w", err)
	}
	k := &Key{private: private, verifier: verifier}
	return k, publish(filepath.Join(dir, publicFile), public)
}

// publish writes the public key for others to verify with.
func publish(path, key string) error {
	if old, err := os.ReadFile(path); err == nil && string(old) == key+"\n" {
		return nil
	}
	if err := os.WriteFile(path, []byte(key+"\n"), 0o644); err != nil {
		return fmt.Errorf("publishing the public key: %w", err)
	}
	return nil
}

func readSeed(dir string) ([]byte, error) {
	path := filepath.Join(dir, privateFile)
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading the signing key: %w", err)
	}
	seed, err := base64.StdEncoding.DecodeString(strings.TrimSpace(string(text)))
	if err != nil || len(seed) != ed25519.SeedSize {
		return nil, fmt.Errorf("reading the signing key: %q does not hold one; move it away to start with a new key", path)
	}
	return seed, nil
}

// makeSeed makes a key file, unless another process was faster.
func makeSeed(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("making the key's folder: %w", err)
	}
	temp, err := os.CreateTemp(dir, ".new-*")
	if err != nil {
		return fmt.Errorf("making the signing key: %w", err)
	}
	defer os.Remove(temp.Name())
	seed := make([]byte, ed25519.SeedSize)
	rand.Read(seed)
	_, err = temp.WriteString(base64.StdEncoding.EncodeToString(seed) + "\n")
	if err = errors.Join(err, temp.Sync(), temp.Close()); err != nil {
		return fmt.Errorf("making the signing key: %w", err)
	}
	// A link, unlike a rename, does not replace what is there.
	err = os.Link(temp.Name(), filepath.Join(dir, privateFile))
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("making the signing key: %w", err)
	}
	return nil
}

// Public gives the public half.
func (k *Key) Public() ed25519.PublicKey { return k.private.Public().(ed25519.PublicKey) }

// ID names the key: the hex SHA-256 of its public half.
func (k *Key) ID() string {
	sum := sha256.Sum256(k.Public())
	return hex.EncodeToString(sum[:])
}

// Name, KeyHash and Sign make the key a [note.Signer].
func (k *Key) Name() string { return k.verifier.Name() }

// KeyHash implements [note.Signer].
func (k *Key) KeyHash() uint32 { return k.verifier.KeyHash() }

// Sign implements [note.Signer].
func (k *Key) Sign(msg []byte) ([]byte, error) { return ed25519.Sign(k.private, msg), nil }

// Derive gives a secret of 32 bytes for another purpose, which tells nothing of the
// key (HKDF, RFC 5869, with SHA-256). Who can sign can derive it.
func (k *Key) Derive(purpose string) []byte {
	secret, err := hkdf.Key(sha256.New, k.private.Seed(), nil, "proofbox "+purpose, sha256.Size)
	if err != nil {
		panic(fmt.Sprintf("audit: deriving a secret: %v", err)) // only of a length that HKDF does not have
	}
	return secret
}
