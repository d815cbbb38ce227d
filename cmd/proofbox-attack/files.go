package main

import (
	"errors"
	"os"
	"strings"

	"proofbox/internal/breakout/order"
)

// maxRead bounds what is read of a file that should not be readable.
const maxRead = 4 << 10

var files = map[string]attack{
	"read":  read,
	"write": write,
}

// waysTo are names by which a path of the host could be reached.
func waysTo(path string) []string {
	return []string{
		path, "/host" + path, "/mnt" + path, "/rootfs" + path, "/proc/1/root" + path,
		"/proc/self/root/../../.." + path, "../../../../../../../.." + path, "/workspace/.." + path,
	}
}

// read reads files by every way to them: PATH…
func read(args []string) order.Report {
	var r order.Report
	var err error
	for _, path := range args {
		for _, way := range waysTo(path) {
			text, readErr := os.ReadFile(way)
			if readErr != nil {
				err = errors.Join(err, readErr)
				continue
			}
			r.Got = append(r.Got, string(text[:min(len(text), maxRead)]))
		}
	}
	if err != nil {
		r.Said, _, _ = strings.Cut(err.Error(), "\n")
	}
	return r
}

// write appends a mark to a file by every way to it: PATH MARK.
func write(args []string) order.Report {
	var last error
	for _, way := range waysTo(args[0]) {
		f, err := os.OpenFile(way, os.O_WRONLY|os.O_APPEND, 0)
		if err != nil {
			last = err
			continue
		}
		_, err = f.WriteString(args[1])
		return said(errors.Join(err, f.Close()), "wrote "+way)
	}
	return said(last, "")
}
