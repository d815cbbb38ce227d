package image

import (
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// machines are the processors that proofbox runs on, as ELF names them.
var machines = map[string]elf.Machine{"amd64": elf.EM_X86_64, "arm64": elf.EM_AARCH64}

// Of the header of an ELF file, whatever its class; see elf(5).
const (
	headerSize = 20
	machineAt  = 18
)

// suits checks that the shell of an image is a program for this machine. An
// image without a shell, or whose shell is a script, says nothing about itself.
func suits(root string) error {
	shell, err := openIn(root, "bin/sh")
	if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ELOOP) || errors.Is(err, unix.ENOTDIR) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("reading its /bin/sh: %w; make it readable to whoever runs proofbox", err)
	}
	defer shell.Close()
	header := make([]byte, headerSize)
	if _, err := io.ReadFull(shell, header); errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return nil
	} else if err != nil {
		return fmt.Errorf("reading its /bin/sh: %w", err)
	}
	if string(header[:4]) != elf.ELFMAG {
		return nil
	}
	// Every machine that proofbox runs on is little-endian, and the code of one
	// of the others is that of none of these.
	got := elf.Machine(uint16(header[machineAt]) | uint16(header[machineAt+1])<<8)
	if want := machines[runtime.GOARCH]; got != want || elf.Class(header[elf.EI_CLASS]) != elf.ELFCLASS64 {
		return fmt.Errorf("its /bin/sh is for the machine %v (%v), and this one is %v; use an image for linux/%s",
			got, elf.Class(header[elf.EI_CLASS]), want, runtime.GOARCH)
	}
	return nil
}

// openIn opens a file as a process does whose root is the folder: no link leads
// out of it. What is neither a file nor a link to one is not opened.
func openIn(root, name string) (*os.File, error) {
	dir, err := unix.Open(root, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	defer unix.Close(dir)
	fd, err := unix.Openat2(dir, name, &unix.OpenHow{
		Flags:   unix.O_RDONLY | unix.O_NONBLOCK | unix.O_CLOEXEC,
		Resolve: unix.RESOLVE_IN_ROOT | unix.RESOLVE_NO_MAGICLINKS,
	})
	if err != nil {
		return nil, err
	}
	f := os.NewFile(uintptr(fd), name)
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return nil, errors.Join(err, f.Close(), unix.ENOENT)
	}
	return f, nil
}
