package audit_test

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"proofbox/internal/audit"
)

// contextOf is for code that has no test to ask.
func contextOf() context.Context { return context.Background() }

func TestReceiptIsVerifiedAndAlterationsAreFound(t *testing.T) {
	t.Parallel()
	key, err := audit.OpenKey(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	envelope, err := key.SignReceipt(t.Context(), "r1", audit.TeardownPredicate, map[string]bool{"clean": true})
	if err != nil {
		t.Fatal(err)
	}
	s, err := key.VerifyReceipt(t.Context(), envelope)
	if err != nil || s.PredicateType != audit.TeardownPredicate || s.Subject[0].Name != "run/r1" {
		t.Fatalf("verified %+v, %v", s, err)
	}
	var clean map[string]bool
	if err := json.Unmarshal(s.Predicate, &clean); err != nil || !clean["clean"] {
		t.Errorf("the predicate is %s, %v", s.Predicate, err)
	}
	other, err := audit.OpenKey(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := other.VerifyReceipt(t.Context(), envelope); err == nil {
		t.Error("another key's receipt verifies")
	}
	payload := bytes.Index(envelope, []byte(`"payload": "`)) + len(`"payload": "`)
	altered := bytes.Clone(envelope)
	altered[payload+20] ^= 1
	if _, err := key.VerifyReceipt(t.Context(), altered); err == nil {
		t.Error("an altered receipt verifies")
	}
}

func TestKeyIsMadeOnceAndPrivate(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "keys")
	first, err := audit.OpenKey(dir)
	if err != nil {
		t.Fatal(err)
	}
	again, err := audit.OpenKey(dir)
	if err != nil || first.ID() != again.ID() {
		t.Errorf("opened again it is another key: %v", err)
	}
	info, err := os.Stat(filepath.Join(dir, "signing.key"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the key's mode is %v, %v", info.Mode(), err)
	}
	if err := os.WriteFile(filepath.Join(dir, "signing.key"), []byte("rubbish"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := audit.OpenKey(dir); err == nil {
		t.Error("rubbish is taken for a key")
	}
}
