package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"proofbox/internal/breakout/order"
)

var exhaustion = map[string]attack{
	"fork-bomb":   forkBomb,
	"thread-bomb": func(args []string) order.Report { return heardWithin(bombTime, "threads", args[0]) },
	"threads":     threads,
	"fill":        fill,
	"crumble":     crumble,
	"hoard":       hoard,
	"flood":       flood,
	"watchers":    watchers,
	"timers":      timers,
	"queues":      queues,
}

// forkBomb starts children that wait until the box ends: HOW MANY.
func forkBomb(args []string) order.Report {
	most := count(args[0])
	for n := range most {
		if _, errno := fork(); errno != 0 {
			return said(fmt.Errorf("after %d: %w", n, errno), "")
		}
	}
	return said(nil, fmt.Sprintf("started %d", most))
}

// count reads how many there shall be.
func count(text string) int {
	n, err := strconv.Atoi(text)
	if err != nil {
		fail("%v", err)
	}
	return n
}

// threads starts threads that wait: HOW MANY. A program of Go does not survive it
// that it gets none, so a child does this.
func threads(args []string) order.Report {
	most := count(args[0])
	started := make(chan struct{})
	for range most {
		go func() {
			runtime.LockOSThread()
			started <- struct{}{}
			_ = unix.Pause()
		}()
		<-started
	}
	return said(nil, "started them")
}

// fill writes a file: NAME SIZE.
func fill(args []string) order.Report {
	f, err := os.Create(args[0])
	if err != nil {
		return said(err, "")
	}
	block := bytes.Repeat([]byte("x"), 1<<20)
	for range count(args[1]) / len(block) {
		if _, err := f.Write(block); err != nil {
			return said(err, "")
		}
	}
	return said(f.Sync(), "wrote it all")
}

// crumble makes empty files in a folder: FOLDER HOW MANY.
func crumble(args []string) order.Report {
	if err := os.Mkdir(args[0], 0o777); err != nil {
		return said(err, "")
	}
	for n := range count(args[1]) {
		fd, err := unix.Open(filepath.Join(args[0], strconv.Itoa(n)), unix.O_CREAT|unix.O_WRONLY|unix.O_CLOEXEC, 0o666)
		if err != nil {
			return said(err, "")
		}
		_ = unix.Close(fd)
	}
	return said(nil, "made them all")
}

// hoard takes memory and holds it: BYTES.
func hoard(args []string) order.Report {
	m, err := unix.Mmap(-1, 0, count(args[0]), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
	if err != nil {
		return said(err, "")
	}
	for at := 0; at < len(m); at += os.Getpagesize() {
		m[at] = 1
	}
	return said(nil, "has it all")
}

// flooded is there when the main command has written what it was told to, and
// listens when it can be told.
const (
	flooded = "/tmp/flooded"
	listens = flooded + ".listens"
)

// flood has the box's main command write to the record of the run, which is what
// its output is, until it has written so many bytes or is not let: BYTES.
func flood(args []string) order.Report {
	if err := errors.Join(awaitFile(listens), os.WriteFile(flooded+".order", []byte(args[0]), 0o666)); err != nil {
		return said(err, "")
	}
	for _, pid := range others() {
		line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
		if err == nil && strings.HasSuffix(string(line), "/proofbox-attack\x00wait\x00") {
			return said(errors.Join(unix.Kill(pid, unix.SIGUSR1), awaitFile(flooded)), "had it written")
		}
	}
	return order.Report{Said: "the main command is not to be seen"}
}

// floodWhenTold is the main command's part of it.
func floodWhenTold() {
	told := make(chan os.Signal, 1)
	signal.Notify(told, unix.SIGUSR1)
	_ = os.WriteFile(listens, nil, 0o666) // whoever waits for it says that it is not there
	<-told
	size, err := os.ReadFile(flooded + ".order")
	if err != nil {
		fail("%v", err)
	}
	block := bytes.Repeat([]byte("flooding the record of the run..\n"), 1<<10)
	for left := count(string(size)); left > 0 && err == nil; left -= len(block) {
		_, err = os.Stdout.Write(block)
	}
	if err := os.WriteFile(flooded, nil, 0o666); err != nil {
		fail("%v", err)
	}
}

// awaitFile waits for a file to be made.
func awaitFile(path string) error {
	for range 5000 {
		if _, err := os.Stat(path); err == nil {
			return nil
		}
		time.Sleep(10 * time.Millisecond)
	}
	return fmt.Errorf("%s is never made", path)
}

// watchers makes instances of inotify, after allowing itself more of them: HOW MANY.
func watchers(args []string) order.Report {
	_ = os.WriteFile("/proc/sys/user/max_inotify_instances", []byte("1000000"), 0) // what comes of it shows next
	for n := range count(args[0]) {
		if _, err := unix.InotifyInit1(unix.IN_CLOEXEC); err != nil {
			return said(fmt.Errorf("after %d: %w", n, err), "")
		}
	}
	return said(nil, "has them all")
}

// timers makes timers, each with a signal that is kept for it: HOW MANY.
func timers(args []string) order.Report {
	for n := range count(args[0]) {
		var id int32
		if errno := call(unix.SYS_TIMER_CREATE, unix.CLOCK_MONOTONIC, 0, uintptr(unsafe.Pointer(&id))); errno != 0 {
			return said(fmt.Errorf("after %d: %w", n, errno), "")
		}
	}
	return said(nil, "has them all")
}

// queues makes POSIX queues of messages, which nobody finds by their names: PREFIX
// HOW MANY.
func queues(args []string) order.Report {
	for n := range count(args[1]) {
		name := []byte(args[0] + strconv.Itoa(n) + "\x00")
		const everybody = 0o666
		errno := call(unix.SYS_MQ_OPEN, uintptr(unsafe.Pointer(&name[0])), unix.O_RDWR|unix.O_CREAT, everybody, 0)
		if errno != 0 {
			return without(errno, "POSIX queues", unix.ENOSYS)
		}
		_ = call(unix.SYS_MQ_UNLINK, uintptr(unsafe.Pointer(&name[0])))
	}
	return said(nil, "has them all")
}
