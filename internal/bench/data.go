package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"proofbox"
)

// Sizes of the data, in bytes.
const (
	scanBytes   = 64 << 20
	maskBytes   = 16 << 20
	verifyBytes = 256 << 20
)

// data measures what looks at data: the processor's time for a megabyte, because a clock also counts what others do,
// and how long a person waits for a large set that is unchanged.
func (b *bench) data(ctx context.Context) error {
	few, many, large := filepath.Join(b.dir, "few.jsonl"), filepath.Join(b.dir, "many.jsonl"), filepath.Join(b.dir, "large.txt")
	err := errors.Join(
		written(few, scanBytes, func(w io.Writer, i int) {
			to := ""
			if i%500 == 0 {
				to = fmt.Sprintf("customer%d@example.com", i)
			}
			fmt.Fprintf(w, `{"id":%d,"status":"shipped","amount":"%d.50","note":"left at the door, nobody was there","to":"%s"}`+"\n", i, i%900, to)
		}),
		written(many, maskBytes, func(w io.Writer, i int) {
			fmt.Fprintf(w, `{"id":%d,"mail":"customer%d@web.de","phone":"+1 212 736 %04d","note":"%s"}`+"\n", i, i%40000, i%10000,
				"they said that the parcel was left at the door, which nobody had asked for, and that a neighbour has it now; please look into this and tell them when it is there")
		}),
		written(large, verifyBytes, func(w io.Writer, i int) {
			fmt.Fprintf(w, "row %d has nothing in it that anybody would call personal, whatever is looked for\n", i)
		}),
	)
	if err != nil {
		return err
	}
	scan, err := processor(func() error { _, err := b.client.ScanContents(ctx, few, false); return err })
	if err != nil {
		return err
	}
	mask, err := processor(func() error {
		_, err := b.client.MaskContents(ctx, proofbox.MaskRequest{In: many, Out: many + ".masked", Plan: proofbox.MaskPlan{Version: 1}})
		return err
	})
	if err != nil {
		return err
	}
	if _, err := b.client.SealContents(ctx, proofbox.SealRequest{Path: large, Class: proofbox.None}); err != nil {
		return err
	}
	verify, err := processor(func() error { _, err := b.client.VerifyContents(ctx, large, true); return err })
	if err != nil {
		return err
	}
	b.add(target{"scanning, few hits, a megabyte", perMegabyte(scan, scanBytes), "ms", 12.5, "of a processor: 80 MB/s"})
	b.add(target{"masking, two identifiers a record, a megabyte", perMegabyte(mask, maskBytes), "ms", 100, "of a processor, with the search for survivors and the seal's scan: 10 MB/s"})
	b.add(target{"verifying, every byte, a megabyte", perMegabyte(verify, verifyBytes), "ms", 1, "of a processor: 1 GB/s"})
	return b.unchanged(ctx)
}

// unchanged measures how long it takes to confirm 100,000 files.
func (b *bench) unchanged(ctx context.Context) error {
	dir := filepath.Join(b.dir, "many")
	if err := grow(dir); err != nil {
		return err
	}
	if _, err := b.client.SealContents(ctx, proofbox.SealRequest{Path: dir, Class: proofbox.None}); err != nil {
		return err
	}
	if _, err := b.client.VerifyContents(ctx, dir, false); err != nil {
		return err
	}
	var all []time.Duration
	how := ""
	for range 5 {
		began := time.Now()
		v, err := b.client.VerifyContents(ctx, dir, false)
		if err != nil {
			return err
		}
		all, how = append(all, time.Since(began)), v.How
	}
	b.add(target{"verifying 100,000 unchanged files", middle(all).Seconds(), "s", .3, how})
	return nil
}

// written makes a file of some bytes, line by line.
func written(path string, bytes int64, line func(io.Writer, int)) (err error) {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	w := bufio.NewWriterSize(f, 1<<20)
	for i := 0; ; i++ {
		if i%1000 == 0 {
			if at, err := f.Seek(0, io.SeekCurrent); err != nil || at+int64(w.Buffered()) >= bytes {
				return errors.Join(err, w.Flush())
			}
		}
		line(w, i)
	}
}

// processor is the time that processors spend on something, in this program and in those that it starts.
func processor(do func() error) (time.Duration, error) {
	before, err := spent()
	if err == nil {
		err = do()
	}
	if err != nil {
		return 0, err
	}
	after, err := spent()
	return after - before, err
}

func spent() (time.Duration, error) {
	var own, others unix.Rusage
	err := errors.Join(unix.Getrusage(unix.RUSAGE_SELF, &own), unix.Getrusage(unix.RUSAGE_CHILDREN, &others))
	return time.Duration(own.Utime.Nano() + own.Stime.Nano() + others.Utime.Nano() + others.Stime.Nano()), err
}

func perMegabyte(d time.Duration, bytes float64) float64 {
	return float64(d.Microseconds()) / 1000 / (bytes / 1e6)
}
