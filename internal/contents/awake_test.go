package contents

import (
	"context"
	"math"
	"path/filepath"
	"strings"
	"testing"

	"proofbox"
)

// asleep is a scanner that misses some of what is planted.
type asleep struct {
	Program
	missed int
}

func (a asleep) Examine(ctx context.Context, path string) (*Scanned, error) {
	found, err := a.Program.Examine(ctx, path)
	if err != nil {
		return nil, err
	}
	p := found.Planted
	p.Missed, p.Bound = a.missed, float64(a.missed)/float64(p.Values)
	return found, nil
}

// TestAwake: a set is not sealed by a scan that misses too much, a seal does not count
// for ever, and the scan that runs misses next to nothing.
func TestAwake(t *testing.T) {
	t.Parallel()
	path, key := filepath.Join(t.TempDir(), "a.csv"), newKey(t)
	write(t, path, madeUp)
	want := proofbox.SealRequest{Path: path, Class: proofbox.Synthetic}
	_, err := (&Keeper{Key: key, Scanner: asleep{program, 31}}).Seal(t.Context(), want, now)
	refused(t, err, "scan-is-awake", "missed 31 of 3000")
	v, err := keeper(key).Seal(t.Context(), want, now)
	if err != nil {
		t.Fatal(err)
	}
	if p := v.Seal.Planted; p.Values != 3000 || p.Missed > 5 || p.Bound < .0009 {
		t.Errorf("the seal says %+v", p)
	}
	if _, err := keeper(key).Verify(t.Context(), path, "", now.AddDate(0, 0, 89)); err != nil {
		t.Error(err)
	}
	_, err = keeper(key).Verify(t.Context(), path, "", now.AddDate(0, 0, 91))
	refused(t, err, "scan-is-awake", "counts for 90 days")
	if refusal := awake(nil, nil, now, now); refusal == nil {
		t.Error("a seal without a test counts")
	}
}

// TestAwakeAsked: a seal can ask for more than what always is, which every verification and every run then does, and for
// nothing less.
func TestAwakeAsked(t *testing.T) {
	t.Parallel()
	path, key := filepath.Join(t.TempDir(), "a.csv"), newKey(t)
	write(t, path, madeUp)
	ask := func(s Scanner, a proofbox.Awake) error {
		_, err := (&Keeper{Key: key, Scanner: s}).Seal(t.Context(), proofbox.SealRequest{Path: path, Class: proofbox.Synthetic, Awake: &a}, now)
		return err
	}
	for _, less := range []proofbox.Awake{{Miss: .011}, {Miss: -1}, {Miss: math.NaN()}, {Days: 91}, {Days: -1}} {
		if err := ask(program, less); err == nil || !strings.Contains(err.Error(), "at most") {
			t.Errorf("%+v: %v", less, err)
		}
	}
	refused(t, ask(asleep{program, 15}, proofbox.Awake{Miss: .004}), "scan-is-awake", "missed 15 of 3000", "0.4 % is the most")
	if err := ask(asleep{program, 11}, proofbox.Awake{Miss: .004, Days: 30}); err != nil {
		t.Fatal(err)
	}
	if _, err := keeper(key).Verify(t.Context(), path, "", now.AddDate(0, 0, 29)); err != nil {
		t.Error(err)
	}
	_, err := keeper(key).Verify(t.Context(), path, "", now.AddDate(0, 0, 31))
	refused(t, err, "scan-is-awake", "counts for 30 days")
	_, err = keeper(key).Freeze(t.Context(), path, "", filepath.Join(t.TempDir(), "copy"), now.AddDate(0, 0, 31))
	refused(t, err, "scan-is-awake", "counts for 30 days")
}
