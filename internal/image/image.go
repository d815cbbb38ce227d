// Package image says what a box boots from: the host's own system folders, the
// base that `proofbox setup` has made, a folder, or an OCI image. The answer is a description, folders, links, files
// and read-only binds, from which a box's root is put together; nothing of it
// is writable in the box.
package image

import (
	"context"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
)

// Image is what a box boots from. Paths are absolute and as the box sees them.
type Image struct {
	Name  string // what the reference resolved to, for people
	Dirs  []Dir
	Links []Link
	Files []File
	Binds []Bind
	// Env holds variables that the image wants commands to have.
	Env map[string]string
	// Warnings name what its user should know.
	Warnings []string

	// digest names the content where that is known and does not change; see
	// [Image.Key].
	digest string
}

// Dir is an empty folder.
type Dir struct {
	Path string
	Mode fs.FileMode
}

// Link is a symbolic link.
type Link struct{ Path, Target string }

// File is a small file that is made for the box.
type File struct {
	Path string
	Mode fs.FileMode
	Data []byte
}

// Bind shows a file or folder of the host, read-only.
type Bind struct {
	Source, Target string
	Folder         bool
}

// Resolve finds the image that a reference names: "host", "base", "dir:PATH" or
// "oci:PATH[:TAG]". What has to be unpacked is kept in the cache folder.
func Resolve(ctx context.Context, ref, cache string) (*Image, error) {
	kind, rest, _ := strings.Cut(ref, ":")
	switch {
	case ref == "host":
		return host()
	case ref == "base":
		return base()
	case kind == "dir":
		return folder(rest)
	case kind == "oci":
		return layoutImage(ctx, rest, filepath.Join(cache, "oci"))
	}
	return nil, fmt.Errorf("the image %q is none of host, base, dir:PATH and oci:PATH; this version of proofbox does not pull from registries: `skopeo copy docker://%s oci:PATH` makes a layout that it can use", ref, ref)
}

// ours are the top-level folders that every box has of its own, whatever its
// image holds there.
var ours = map[string]bool{
	"proc": true, "sys": true, "dev": true, "tmp": true, "run": true,
	"home": true, "root": true, "workspace": true,
}

// accounts are the users and groups of a box.
const (
	passwd = "root:x:0:0:root:/root:/bin/sh\n" +
		"nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n" +
		"box:x:1000:1000:box:/home/box:/bin/sh\n"
	group = "root:x:0:\nnogroup:x:65534:\nbox:x:1000:\n"
	hosts = "127.0.0.1 localhost\n::1 localhost ip6-localhost\n127.0.1.1 box\n"
	// names resolve from the hosts file only: there is nobody to ask.
	nsswitch = "passwd: files\ngroup: files\nhosts: files\nservices: files\nprotocols: files\n"
	resolv   = "# names do not resolve in a box\n"
)

// identityFiles are the files of /etc that are made for every box.
func identityFiles() []File {
	var files []File
	for _, f := range []struct{ name, text string }{
		{"passwd", passwd},
		{"group", group},
		{"hosts", hosts},
		{"hostname", "box\n"},
		{"nsswitch.conf", nsswitch},
		{"resolv.conf", resolv},
	} {
		files = append(files, File{Path: "/etc/" + f.name, Mode: 0o644, Data: []byte(f.text)})
	}
	return files
}
