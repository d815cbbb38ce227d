package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"

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
