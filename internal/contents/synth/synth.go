// Package synth makes up data sets: customers, what they buy and write, and
// what a shop says of itself, in several countries. What records say of each
// other agrees. Every identifier is one that its issuer or a standard reserves,
// so that it is nobody's, and the scan can see that. On purpose a set can be made
// as dirty as real ones are; what was damaged is told in a log beside it.
//
// The same plan, rows and seed give the same bytes, on every machine and for as
// long as [Version] is the same. Memory does not grow with the rows.
package synth

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"proofbox"
)

// Version changes whenever the same plan and seed give other bytes.
const Version = 1

// Make makes a data set at r.Out, where nothing may be. A file is made if its
// name says its format, and a folder otherwise. What cannot be made whole is not
// there.
func Make(ctx context.Context, r proofbox.SynthRequest) (proofbox.Synthesised, error) {
	made := proofbox.Synthesised{Path: r.Out, Plan: r.Plan, Seed: r.Seed, Maker: Version}
	plan, err := ReadPlan(r.Plan)
	if err != nil {
		return made, err
	}
	if r.Mess != "" {
		if plan.mess, err = ParseLevel(r.Mess); err != nil {
			return made, err
		}
	}
	if r.Rows < 1 || r.Rows > maxRows {
		return made, fmt.Errorf("%d rows is not between 1 and %d", r.Rows, maxRows)
	}
	w, err := plan.world(r.Rows, r.Seed)
	if err != nil {
		return made, err
	}
	s := &set{ctx: ctx, plan: plan, world: w, rows: r.Rows, made: &made}
	return made, s.make(r.Out)
}

// set is a data set that is being made.
type set struct {
	ctx   context.Context
	plan  *Plan
	world *world
	rows  int64
	made  *proofbox.Synthesised
	truth *truth
}

// make makes it beside its place, and then moves it there.
func (s *set) make(out string) error {
	for _, path := range []string{out, TruthFile(out)} {
		if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("%q is there already (%v); name a place where nothing is", path, err)
		}
	}
	format, single, err := s.format(out)
	if err != nil {
		return err
	}
	temp, err := os.MkdirTemp(filepath.Dir(out), ".synth-*")
	if err != nil {
		return fmt.Errorf("making the set: %w", err)
	}
	defer os.RemoveAll(temp)
	dir := filepath.Join(temp, "set")
	err = errors.Join(os.Mkdir(dir, 0o755), os.Chmod(dir, 0o755))
	if err == nil && s.plan.mess != (Level{}) {
		s.truth, err = newTruth(filepath.Join(temp, "truth"))
		s.made.Truth, s.made.Defects = TruthFile(out), s.truth.counts
	}
	if err != nil {
		return fmt.Errorf("making the set: %w", err)
	}
	from := dir
	for i := range s.plan.Tables {
		t := &s.plan.Tables[i]
		name := t.Name + "." + format
		if single {
			from = filepath.Join(dir, name)
			name = ""
		}
		rows, err := s.table(t, filepath.Join(dir, t.Name+"."+format), format)
		if err != nil {
			return err
		}
		s.made.Tables = append(s.made.Tables, proofbox.MadeTable{Name: name, Rows: rows})
	}
	if s.truth != nil {
		if err := errors.Join(s.truth.close(), os.Rename(filepath.Join(temp, "truth"), TruthFile(out))); err != nil {
			return fmt.Errorf("writing what was damaged: %w", err)
		}
	}
	if err := os.Rename(from, out); err != nil {
		if s.truth != nil {
			err = errors.Join(err, os.Remove(TruthFile(out)))
		}
		return fmt.Errorf("putting the set in its place: %w", err)
	}
	return nil
}

// format gives the format of the files, and whether the set is one file.
func (s *set) format(out string) (format string, single bool, err error) {
	for _, f := range formats {
		if strings.EqualFold(filepath.Ext(out), "."+f) {
			format, single = f, true
		}
	}
	switch {
	case single && len(s.plan.Tables) > 1:
		return "", false, fmt.Errorf("%q is one file, and the plan has %d tables; name a folder", out, len(s.plan.Tables))
	case single && s.plan.Format != "" && s.plan.Format != format:
		return "", false, fmt.Errorf("%q says %s, and the plan says %s", out, format, s.plan.Format)
	case single:
		return format, true, nil
	case s.plan.Format != "":
		return s.plan.Format, false, nil
	}
	return "jsonl", false, nil
}

// table writes one table and gives the number of its records.
func (s *set) table(t *Table, path, format string) (int64, error) {
	out, err := newWriter(path, format)
	if err != nil {
		return 0, err
	}
	if err = s.records(t, out); err == nil {
		err = out.close()
	} else {
		_ = out.file.Close() // what is wrong is said
	}
	if err != nil {
		return 0, fmt.Errorf("making %s: %w", t.Name, err)
	}
	return out.rows, nil
}

func (s *set) records(t *Table, out *writer) error {
	kind := tables[t.Of]
	var hand *clerks
	if s.truth != nil {
		hand = &clerks{world: s.world, level: s.plan.mess, table: t, truth: s.truth}
	}
	for i := range max(1, s.plan.rows(*t, s.rows)) {
		if i%1024 == 0 && s.ctx.Err() != nil {
			return context.Cause(s.ctx)
		}
		r := t.choose(kind.make(s.world, i))
		written := []record{r}
		if hand != nil {
			written = hand.spoil(i, out.rows, r)
		}
		for _, one := range written {
			if err := out.write(one); err != nil {
				return err
			}
		}
	}
	return nil
}
