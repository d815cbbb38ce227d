// Command bench measures what a user of proofbox waits for, as ratios to named
// rivals in one run, and prints a table. `make bench` runs it, as root. With
// arguments, it takes only the measurements of those names.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"proofbox/client"
)

// target is a number that proofbox has set itself.
type target struct {
	what  string
	got   float64
	unit  string
	limit float64 // the most that got may be
	how   string
}

// bench is one run of all measurements.
type bench struct {
	bin, dir string
	client   *client.Client
	table    []target
}

func main() {
	if err := run(context.Background(), os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, only []string) (err error) {
	if os.Geteuid() != 0 {
		return errors.New("comparing with bare runtimes needs root: sudo make bench")
	}
	bin, err := filepath.Abs(os.Getenv("PROOFBOX_BIN"))
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "proofbox-bench-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, tidy(dir)) }()
	b := &bench{bin: bin, dir: dir, client: &client.Client{Home: filepath.Join(dir, "state")}}
	defer func() { err = errors.Join(err, b.client.Close()) }()
	for _, m := range []struct {
		name string
		take func(context.Context) error
	}{{"starts", b.starts}, {"tree", b.tree}, {"disks", b.disks}, {"machines", b.machines}, {"review", b.review}, {"data", b.data}, {"calls", b.calls}, {"tunnel", b.tunnel}, {"leaks", b.leaks}} {
		if len(only) > 0 && !slices.Contains(only, m.name) {
			continue
		}
		if err := m.take(ctx); err != nil {
			return err
		}
	}
	b.print()
	return nil
}

// tidy removes the folder, with the mount that a bare runsc leaves in it.
func tidy(dir string) error {
	left := filepath.Join(dir, "oci", "null-netns")
	if err := unix.Unmount(left, unix.MNT_DETACH); err != nil && !errors.Is(err, unix.ENOENT) && !errors.Is(err, unix.EINVAL) {
		return fmt.Errorf("unmounting what runsc left: %w", err)
	}
	return os.RemoveAll(dir)
}

func (b *bench) add(t target) { b.table = append(b.table, t) }

func (b *bench) print() {
	fmt.Printf("\n%-52s %12s %12s  %s\n", "", "measured", "at most", "")
	for _, t := range b.table {
		verdict := "ok"
		if t.got > t.limit {
			verdict = "OVER"
		}
		fmt.Printf("%-52s %9.2f %-2s %9.2f %-2s  %-4s  %s\n", t.what, t.got, t.unit, t.limit, t.unit, verdict, t.how)
	}
}

// middle gives the median.
func middle(all []time.Duration) time.Duration {
	all = slices.Clone(all)
	slices.Sort(all)
	return all[len(all)/2]
}
