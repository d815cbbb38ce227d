package contents

import (
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// knownRules are the rules that a program scans by, and what its file was when it said so: starting it takes longer
// than confirming some thousand files.
type knownRules struct {
	Path   string
	Device uint64
	File   identity
	Rules  string
}

// rules gives the digest of what a scan knows identifiers by. The program is asked once; its file, like a data set, has
// changed if the file system says so.
func (k *Keeper) rules(ctx context.Context) (string, error) {
	before, ok := k.program()
	if known, err := k.recallRules(); err == nil && ok {
		if before.Rules = known.Rules; before == known {
			return known.Rules, nil
		}
	}
	rules, err := k.Scanner.Rules(ctx)
	if err == nil && ok {
		k.learn(before, rules)
	}
	return rules, err
}

// examine has the scanner examine a set, and remembers by which rules.
func (k *Keeper) examine(ctx context.Context, path string) (*Scanned, error) {
	before, ok := k.program()
	found, err := k.Scanner.Examine(ctx, path)
	if err == nil && ok {
		k.learn(before, found.Rules)
	}
	return found, err
}

// learn remembers the rules of a program, unless it has changed since it was what it was before.
func (k *Keeper) learn(before knownRules, rules string) {
	after, ok := k.program()
	if before.Rules = ""; ok && before == after {
		after.Rules = rules
		_ = k.rememberRules(after) // else it is asked again
	}
}

// program says what the program's file is, unless that can change without a sign or is not to be remembered.
func (k *Keeper) program() (knownRules, bool) {
	now, none := time.Now(), knownRules{}
	if k.Memory == "" {
		return none, false
	}
	f, err := os.Open(k.Scanner.File())
	if err != nil {
		return none, false
	}
	defer f.Close()
	var sys unix.Statfs_t
	var st unix.Stat_t
	if unix.Fstatfs(int(f.Fd()), &sys) != nil || unix.Fstat(int(f.Fd()), &st) != nil || !slices.Contains(trusted, sys.Type) {
		return none, false
	}
	if st.Ctim.Nano() > now.Add(-cmp.Or(k.settled, settled)).UnixNano() {
		return none, false
	}
	file := identity{Inode: st.Ino, Size: st.Size, Written: st.Mtim.Nano(), Changed: st.Ctim.Nano()}
	return knownRules{Path: k.Scanner.File(), Device: st.Dev, File: file}, true
}

func (k *Keeper) rulesFile() string { return filepath.Join(k.Memory, "rules") }

func (k *Keeper) rememberRules(r knownRules) error {
	data, err := json.Marshal(r)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(k.Memory, 0o700); err != nil {
		return err
	}
	return replace(k.rulesFile(), append(data, k.code("rules", data)...))
}

func (k *Keeper) recallRules() (r knownRules, err error) {
	data, err := os.ReadFile(k.rulesFile())
	if err != nil {
		return r, err
	}
	n := len(data) - sha256.Size
	if n < 0 || !hmac.Equal(k.code("rules", data[:n]), data[n:]) {
		return r, errForgotten
	}
	return r, json.Unmarshal(data[:n], &r)
}
