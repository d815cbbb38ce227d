package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"proofbox"
	"proofbox/client"
)

// What a review is measured with.
const (
	keptFiles    = 1_000  // of 4 KB each
	keptRounds   = 5      // of a keep and a loop
	changedFiles = 10_000 // of the run that is listed and reviewed
)

// review measures what a person waits for who decides on a run: the keep, the list
// and the screen.
func (b *bench) review(ctx context.Context) error {
	if err := b.keeps(ctx); err != nil {
		return err
	}
	dir := filepath.Join(b.dir, "many")
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	id, err := b.change(ctx, dir, fmt.Sprintf("for d in $(seq 100 199); do mkdir $d; for f in $(seq %d); do echo $f >$d/$f; done; done", changedFiles/100))
	if err != nil {
		return err
	}
	if err := b.list(ctx, id); err != nil {
		return err
	}
	return b.screen(ctx, id)
}

// change has a run change a folder.
func (b *bench) change(ctx context.Context, dir, script string) (id string, err error) {
	run, err := b.client.Run(ctx, client.Command{
		Spec: proofbox.Spec{Workspace: proofbox.Workspace{Original: dir}}, Args: []string{"sh", "-c", script},
	})
	if err == nil && run.ExitCode != 0 {
		err = fmt.Errorf("the run %s ended with %s", run.ID, run.Ended)
	}
	return run.ID, err
}

// keeps compares a keep of many files with a loop that writes as many under other
// names and renames them, with one sync, and checks nothing. Both leave their disk
// synced. Each round has new folders: a file system looks longer for a place where
// many files have just been removed, as by an undo.
func (b *bench) keeps(ctx context.Context) error {
	var keeps, loops []time.Duration
	for i := range keptRounds {
		dir, plain := filepath.Join(b.dir, fmt.Sprint("kept", i)), filepath.Join(b.dir, fmt.Sprint("plain", i))
		if err := errors.Join(manyFiles(dir), manyFiles(plain)); err != nil {
			return err
		}
		id, err := b.change(ctx, dir, "for f in */*; do echo more >>$f; done")
		if err != nil {
			return err
		}
		unix.Sync()
		began := time.Now()
		receipt, err := b.client.Keep(ctx, id, proofbox.KeepRequest{All: true})
		if err != nil || len(receipt.Kept) != keptFiles {
			return errors.Join(err, fmt.Errorf("%d changes were kept", len(receipt.Kept)))
		}
		keeps = append(keeps, time.Since(began))
		unix.Sync()
		began = time.Now()
		if err := renameLoop(plain); err != nil {
			return err
		}
		loops = append(loops, time.Since(began))
	}
	mine, rival := middle(keeps), middle(loops)
	b.add(target{
		what: fmt.Sprintf("keeping %d files / a rename loop with one sync", keptFiles), got: float64(mine) / float64(rival), unit: "x", limit: 1.5,
		how: fmt.Sprintf("%v / %v, medians of %d", mine.Round(time.Millisecond), rival.Round(time.Millisecond), keptRounds),
	})
	return nil
}

// manyFiles makes a folder of files of 4 KB.
func manyFiles(dir string) error {
	text := make([]byte, 4_000)
	for i := range keptFiles {
		path := keptFile(dir, i)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, append(text, strconv.Itoa(i)...), 0o644)); err != nil {
			return err
		}
	}
	return nil
}

func keptFile(dir string, i int) string {
	return filepath.Join(dir, strconv.Itoa(i/100), strconv.Itoa(i))
}

func renameLoop(dir string) error {
	for i := range keptFiles {
		path := keptFile(dir, i)
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if err := errors.Join(os.WriteFile(path+".new", append(data, "more\n"...), 0o644), os.Rename(path+".new", path)); err != nil {
			return err
		}
	}
	fd, err := unix.Open(dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	return errors.Join(unix.Syncfs(fd), unix.Close(fd))
}

func (b *bench) proofbox(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, filepath.Join(b.bin, "proofbox"), args...)
	cmd.Env = append(os.Environ(), "PROOFBOX_HOME="+filepath.Join(b.dir, "state"), "TERM=xterm-256color")
	return cmd
}

// list measures the whole command that lists a run's changes.
func (b *bench) list(ctx context.Context, id string) error {
	var took []time.Duration
	var memory int64
	for range 5 {
		cmd := b.proofbox(ctx, "diff", id, "--stat")
		began := time.Now()
		if err := quietly(cmd); err != nil {
			return err
		}
		took = append(took, time.Since(began))
		memory = max(memory, peak(cmd))
	}
	b.add(target{fmt.Sprintf("listing a run of %d changes", changedFiles), middle(took).Seconds(), "s", 1, "proofbox diff RUN --stat, the whole command"})
	b.add(target{"memory of that", float64(memory) / (1 << 20), "MiB", 200, "the most of five"})
	return nil
}

// peak is the most memory that a process that has ended had, in bytes.
func peak(cmd *exec.Cmd) int64 { return cmd.ProcessState.SysUsage().(*syscall.Rusage).Maxrss << 10 }

// reviewKeys are pressed in turn: through the list, into a change and out again, a
// filter, a search, decisions.
var reviewKeys = []string{"j", "j", "\x1b[6~", "G", "g", "k", "y", "n", "u", "f", "f", "f", "j", "\r", "j", "j", "\r", "y", "n", "h", "/", "1", "5", "\r", "\x1b", "?", "x"}

// screen measures from a key's press to what the screen answers first.
func (b *bench) screen(ctx context.Context, id string) error {
	master, slave, err := pty()
	if err != nil {
		return err
	}
	defer master.Close()
	cmd := b.proofbox(ctx, "review", id)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = slave, slave, slave
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := errors.Join(cmd.Start(), slave.Close()); err != nil {
		return err
	}
	said := make(chan struct{}, 1<<16)
	go func() {
		buf := make([]byte, 64<<10)
		for {
			if _, err := master.Read(buf); err != nil {
				return // the review has ended
			}
			said <- struct{}{}
		}
	}()
	quiet(said, time.Second)
	var answers []time.Duration
	for range 4 {
		for _, key := range reviewKeys {
			began := time.Now()
			if _, err := master.WriteString(key); err != nil {
				return err
			}
			select {
			case <-said:
				answers = append(answers, time.Since(began))
			case <-time.After(time.Second): // a key that changes nothing on the screen
			}
			quiet(said, 100*time.Millisecond)
		}
	}
	for range 2 { // the first may find that a decision is being written
		if _, err := master.WriteString("q"); err != nil {
			return err
		}
		quiet(said, 100*time.Millisecond)
	}
	if err := cmd.Wait(); err != nil {
		return fmt.Errorf("the review: %w", err)
	}
	if len(answers) < 2*len(reviewKeys) {
		return fmt.Errorf("the review has answered %d keys of %d", len(answers), 4*len(reviewKeys))
	}
	slices.Sort(answers)
	slow := answers[len(answers)*95/100]
	b.add(target{
		fmt.Sprintf("a key in the review of %d changes", changedFiles), float64(slow.Microseconds()) / 1000, "ms", 50,
		fmt.Sprintf("of %d answers, 95 in 100 are as fast; median %v, slowest %v", len(answers), middle(answers).Round(100*time.Microsecond), answers[len(answers)-1].Round(100*time.Microsecond)),
	})
	b.add(target{"memory of the review", float64(peak(cmd)) / (1 << 20), "MiB", 200, ""})
	return nil
}

// quiet waits until nothing was said for a time.
func quiet(said <-chan struct{}, d time.Duration) {
	for {
		select {
		case <-said:
		case <-time.After(d):
			return
		}
	}
}

// pty opens a terminal of 80 columns and 24 rows.
func pty() (master, slave *os.File, err error) {
	master, err = os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		return nil, nil, err
	}
	fd := int(master.Fd())
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0)
	}
	if err == nil {
		err = unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, &unix.Winsize{Row: 24, Col: 80})
	}
	if err == nil {
		slave, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	}
	if err != nil {
		return nil, nil, errors.Join(err, master.Close())
	}
	return master, slave, nil
}
