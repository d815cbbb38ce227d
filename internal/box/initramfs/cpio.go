package initramfs

import (
	"fmt"
	"io"

	"golang.org/x/sys/unix"
)

// archive is a cpio archive in the "newc" format, the one that the kernel
// reads; see its Documentation/driver-api/early-userspace/buffer-format.rst.
// Times, owners and inode numbers are the same in every archive.
type archive struct {
	to      io.Writer
	entries int
	size    int64
}

// trailer is the name of an archive's last entry.
const trailer = "TRAILER!!!"

func (a *archive) file(name string, mode uint32, data []byte) error {
	return a.add(name, unix.S_IFREG|mode, 0, 0, data)
}

// node adds a folder or a device.
func (a *archive) node(name string, mode, major, minor uint32) error {
	return a.add(name, mode, major, minor, nil)
}

func (a *archive) end() error { return a.add(trailer, 0, 0, 0, nil) }

// add writes a header of 13 numbers of 8 hexadecimal digits, the name, and the
// data, each filled up to 4 bytes.
func (a *archive) add(name string, mode, major, minor uint32, data []byte) error {
	const magic = "070701"
	a.entries++
	fields := []uint32{
		uint32(a.entries), mode, 0, 0, 1, 0, uint32(len(data)), // inode, mode, uid, gid, links, mtime, size
		0, 0, major, minor, uint32(len(name) + 1), 0, // device, the node's device, length of the name, checksum
	}
	header := []byte(magic)
	for _, f := range fields {
		header = fmt.Appendf(header, "%08X", f)
	}
	if err := a.padded(append(append(header, name...), 0)); err != nil {
		return err
	}
	return a.padded(data)
}

func (a *archive) padded(data []byte) error {
	const align = 4
	a.size += int64(len(data))
	fill := (align - a.size%align) % align
	a.size += fill
	if _, err := a.to.Write(append(data[:len(data):len(data)], make([]byte, fill)...)); err != nil {
		return fmt.Errorf("writing the initramfs: %w", err)
	}
	return nil
}
