package contents

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"proofbox"
)

// TestUnmask: what is reversible comes back, and nothing else; it is noted before it can be read; and nobody gets it
// with another key, from a set that was changed, or over what is there.
func TestUnmask(t *testing.T) {
	t.Parallel()
	key := newKey(t)
	k := keeper(key)
	k.Drafts = t.TempDir()
	by := program
	by.Secret = Tags(key)
	k.Scanner = by
	dir := t.TempDir()
	in, out := filepath.Join(dir, "in"), filepath.Join(dir, "out")
	write(t, filepath.Join(in, "a.csv"), "ref,mail,note\n73104422,anna.meier@web.de,left 73104423\n73104499,bert@web.de,\n")
	plan := proofbox.MaskPlan{Version: 1, Fields: []proofbox.MaskField{{Field: "ref", Kind: "number", Reversible: true}}}
	if _, err := k.Mask(context.Background(), by, proofbox.MaskRequest{In: in, Out: out, Plan: plan}, filepath.Join(dir, "lists"), now); err != nil {
		t.Fatal(err)
	}
	back := filepath.Join(dir, "back")
	noted := 0
	note := func(u proofbox.Unmasked) error {
		if noted++; u.Restored != 2 || u.Out != back {
			t.Errorf("noted as %+v", u)
		}
		if _, err := os.Lstat(back); err == nil {
			t.Error("it can be read before it is noted")
		}
		return nil
	}
	ask := func(k *Keeper, by Unmasker, note func(proofbox.Unmasked) error) error {
		_, err := k.Unmask(context.Background(), by, proofbox.UnmaskRequest{In: out, Out: back}, note, now)
		return err
	}
	full := errors.New("the log is full")
	if err := ask(k, by, func(proofbox.Unmasked) error { return full }); !errors.Is(err, full) {
		t.Errorf("what could not be noted: %v", err)
	}
	other := keeper(newKey(t))
	other.Drafts = t.TempDir()
	refused(t, ask(other, program, note), "seal-is-signed")
	if _, err := os.Lstat(back); err == nil || noted > 0 {
		t.Fatalf("it was noted %d times, and there is %v", noted, err)
	}
	if err := ask(k, by, note); err != nil || noted != 1 {
		t.Fatalf("noted %d times: %v", noted, err)
	}
	text, err := os.ReadFile(filepath.Join(back, "a.csv"))
	if err != nil || !strings.Contains(string(text), "\n73104422,") || !strings.Contains(string(text), "\n73104499,") || strings.Contains(string(text), "web.de") {
		t.Errorf("%q, %v", text, err)
	}
	if err := ask(k, by, note); err == nil || !strings.Contains(err.Error(), "is there already") {
		t.Errorf("over what is there: %v", err)
	}
	if err := os.RemoveAll(back); err != nil {
		t.Fatal(err)
	}
	if left, err := filepath.Glob(filepath.Join(dir, draftPrefix+"*")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %q, %v", left, err)
	}
	write(t, filepath.Join(out, "a.csv"), string(text))
	refused(t, ask(k, by, note), "contents-as-sealed")
	plain := sealed(t, key)
	_, err = k.Unmask(context.Background(), by, proofbox.UnmaskRequest{In: plain, Out: back}, note, now)
	refused(t, err, "class-as-sealed")
}

// TestBlindList: a masked set is only said to have no survivors by the list that its seal names. Without that, an empty
// list put in its place would find none.
func TestBlindList(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	k := helpKeeperFor(t, dir)
	by, lists := k.Scanner.(Program), filepath.Join(dir, "lists")
	mask := func(in, out, text string) proofbox.Verified {
		t.Helper()
		write(t, filepath.Join(dir, in), text)
		v, err := k.Mask(t.Context(), by, proofbox.MaskRequest{In: filepath.Join(dir, in), Out: filepath.Join(dir, out), Plan: proofbox.MaskPlan{Version: 1}}, lists, now)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	v, other := mask("a.csv", "a.masked.csv", export), mask("b.csv", "b.masked.csv", "n\nnothing\n")
	check := func() error { return k.Unsurvived(t.Context(), by, v.Path, v.Seal, lists) }
	if err := check(); err != nil {
		t.Fatal(err)
	}
	list := filepath.Join(lists, v.Seal.Root)
	empty, err := os.ReadFile(filepath.Join(lists, other.Seal.Root))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(list, empty, 0o600); err != nil {
		t.Fatal(err)
	}
	if found, err := by.Survivor(t.Context(), filepath.Join(dir, "a.csv"), list); err != nil || found != nil {
		t.Errorf("the attempt proves nothing: %v, %v", found, err)
	}
	refused(t, check(), "blind-list-as-sealed", "is not the one")
	if err := os.Remove(list); err != nil {
		t.Fatal(err)
	}
	refused(t, check(), "blind-list-as-sealed", "is gone")
}

// TestSurvivorPlace: the refusal of a masked set in which a real value is names its file, record and field, whatever the
// format.
func TestSurvivorPlace(t *testing.T) {
	t.Parallel()
	const mail = "anna.meier@web.de"
	for name, c := range map[string]struct{ text, want string }{
		"a.csv":   {"id,mail,note\n1,x@example.com,\"a \"\"b\"\"\"\n2,y@example.com,\"told MAIL\"\n", `a.csv", record 3, field "note", byte `},
		"a.jsonl": {"{\"id\":1}\n\n{\"id\":2,\"to\":{\"cc\":[\"x\",\"MAIL\"]}}\n", `a.jsonl", record 2, field "to.cc[1]", byte `},
		"b.jsonl": {"{\"id\":1}\n{\"MAIL\":2}\n", `b.jsonl", record 2, byte `},
		"a.sql":   {"INSERT INTO people (id, mail) VALUES (1,'x'),(2,'MAIL');\n", `a.sql", record 3, field "people.mail", byte `},
		"a.txt":   {"one\ntwo\nhello MAIL\n", `a.txt", record 3, byte `},
	} {
		dir := t.TempDir()
		k := helpKeeperFor(t, dir)
		by, lists := k.Scanner.(Program), filepath.Join(dir, "lists")
		write(t, filepath.Join(dir, "in", name), strings.ReplaceAll(c.text, "MAIL", mail))
		v, err := k.Mask(t.Context(), by, proofbox.MaskRequest{In: filepath.Join(dir, "in"), Out: filepath.Join(dir, "out"), Plan: proofbox.MaskPlan{Version: 1}}, lists, now)
		if err != nil {
			t.Fatal(err)
		}
		refused(t, k.Unsurvived(t.Context(), by, filepath.Join(dir, "in"), v.Seal, lists), "no-real-value-survives", c.want, "kind email")
	}
}
