package main

import (
	"bytes"
	"compress/gzip"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"proofbox/internal/breakout/order"
)

// copyout are attacks on whoever takes over the workspace.
var copyout = map[string]attack{
	"plant-link":   plantLink,
	"plant-links":  plantLinks,
	"replace-link": replaceLink,
	"plant-node":   plantNode,
	"plant-mode":   plantMode,
	"plant-hole":   plantHole,
	"plant-config": plantConfig,
	"plant-bomb":   plantBomb,
	"plant-texts":  plantTexts,
	"flip":         flip,
}

func inFolder(name string) error { return os.MkdirAll(filepath.Dir(name), 0o777) }

// plantLink leaves a link: NAME TARGET.
func plantLink(args []string) order.Report {
	return said(errors.Join(inFolder(args[0]), os.Symlink(args[1], args[0])), "left a link")
}

// plantLinks leaves two: NAME TARGET NAME TARGET.
func plantLinks(args []string) order.Report {
	err := errors.Join(inFolder(args[0]), os.Symlink(args[1], args[0]), os.Symlink(args[3], args[2]))
	return said(err, "left two links")
}

// replaceLink puts a folder with a file in the place of a link: LINK FILE TEXT.
func replaceLink(args []string) order.Report {
	err := os.Remove(args[0])
	err = errors.Join(err, os.Mkdir(args[0], 0o777), os.WriteFile(filepath.Join(args[0], args[1]), []byte(args[2]), 0o666))
	return said(err, "put a folder in the place of a link")
}

// plantNode leaves what is neither file nor folder: NAME pipe|socket|device.
func plantNode(args []string) order.Report {
	kinds := map[string]uint32{"pipe": unix.S_IFIFO, "socket": unix.S_IFSOCK, "device": unix.S_IFCHR}
	null := int(unix.Mkdev(1, 3))
	err := inFolder(args[0])
	return said(errors.Join(err, unix.Mknod(args[0], kinds[args[1]]|0o666, null)), "left a node")
}

// plantMode leaves a program with a mode: NAME OCTAL.
func plantMode(args []string) order.Report {
	mode, err := strconv.ParseUint(args[1], 8, 32)
	if err != nil {
		fail("plant-mode: %v", err)
	}
	err = errors.Join(inFolder(args[0]), os.WriteFile(args[0], []byte("#!/bin/sh\n"), 0o755), unix.Chmod(args[0], uint32(mode)))
	return said(err, "left a program")
}

// plantHole leaves a file with little in it and a large hole: NAME SIZE.
func plantHole(args []string) order.Report {
	size, err := strconv.ParseInt(args[1], 10, 64)
	if err != nil {
		fail("plant-hole: %v", err)
	}
	err = errors.Join(inFolder(args[0]), os.WriteFile(args[0], []byte("x"), 0o666), os.Truncate(args[0], size))
	return said(err, "left a hole")
}

// plantConfig leaves a repository with a configuration of its own, and two files
// to compare: CONFIGURATION ATTRIBUTES.
func plantConfig(args []string) order.Report {
	err := errors.Join(os.MkdirAll(".git/objects", 0o777), os.MkdirAll(".git/refs", 0o777))
	for name, text := range map[string]string{
		".git/HEAD": "ref: refs/heads/main\n", ".git/config": args[0], ".gitattributes": args[1],
		"before": "1\n", "after": "2\n",
	} {
		err = errors.Join(err, os.WriteFile(name, []byte(text), 0o666))
	}
	return said(err, "left a repository")
}

// plantBomb leaves a file, packed twice, that is thousands of times as large as it
// looks, of lines of 64 bytes: NAME BYTES.
func plantBomb(args []string) order.Report {
	const piece = 1 << 20
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	_, err := z.Write(bytes.Repeat([]byte(strings.Repeat("x", 63)+"\n"), piece/64))
	if err = errors.Join(err, z.Close(), inFolder(args[0])); err != nil {
		return said(err, "")
	}
	// What is packed may be put together without being packed anew; see RFC 1952.
	inner := bytes.Repeat(packed.Bytes(), count(args[1])/piece)
	packed.Reset()
	z.Reset(&packed)
	_, err = z.Write(inner)
	err = errors.Join(err, z.Close(), os.WriteFile(args[0], packed.Bytes(), 0o666))
	return said(err, "left a bomb")
}

// plantTexts leaves files of text: FOLDER HOW MANY BYTES.
func plantTexts(args []string) order.Report {
	err := os.MkdirAll(args[0], 0o777)
	text := bytes.Repeat([]byte(strings.Repeat("y", 63)+"\n"), count(args[2])/64)
	for n := range count(args[1]) {
		err = errors.Join(err, os.WriteFile(filepath.Join(args[0], strconv.Itoa(n)), text, 0o666))
	}
	return said(err, "left texts")
}

// flip changes a file back and forth for as long as it lives: NAME.
func flip(args []string) order.Report {
	err := inFolder(args[0])
	for _, text := range []string{"a", "b"} {
		err = errors.Join(err, os.WriteFile(args[0]+text, []byte(text), 0o666))
	}
	err = errors.Join(err, os.Rename(args[0]+"a", args[0]))
	if err != nil {
		return said(err, "")
	}
	go func() {
		for unix.Renameat2(unix.AT_FDCWD, args[0]+"b", unix.AT_FDCWD, args[0], unix.RENAME_EXCHANGE) == nil {
		}
	}()
	return said(nil, "changes it")
}
