package image

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// systemDirs are the host's system folders, as folders or as links into /usr.
// Everything else at the top of a host belongs to its users or its services.
var systemDirs = []string{"/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32"}

// etcAllowed lists what a box sees of /etc, and why. Secrets, users, network
// and services are not on it.
var etcAllowed = []string{
	"ld.so.cache", "ld.so.conf", "ld.so.conf.d", // shared libraries are found
	"ssl/certs", "ssl/openssl.cnf", "ca-certificates", "ca-certificates.conf", "pki/ca-trust/extracted", // certificates are checked
	"alternatives",          // which of several programs a name means
	"localtime", "timezone", // the time of day
	"mime.types", "services", "protocols", "rpc", "ethertypes", "magic", "magic.mime", // names of numbers and formats
	"os-release", "debian_version", "lsb-release", "issue", // which system it is
	"fonts", "terminfo", "inputrc", "bash.bashrc", "profile", "shells", "login.defs", // how text looks, how shells start
	"locale.alias", "locale.conf", "default/locale",
	"perl", "python2.7", "python3", "python3.9", "python3.10", "python3.11", "python3.12", "python3.13", "python3.14",
	"java", "java-11-openjdk", "java-17-openjdk", "java-21-openjdk", "java-25-openjdk", "maven", // runtimes
	"gitattributes", "nanorc", "vim", "wgetrc", "xml", "sgml", "papersize", "gai.conf", "host.conf", "netconfig", "debuginfod",
}

// host is the machine's own system, without what belongs to people on it.
func host() (*Image, error) {
	img := &Image{
		Name:  "the host's system folders (" + systemName() + ")",
		Files: identityFiles(),
		Dirs:  []Dir{{"/sys", 0o555}, {"/var/cache", 0o755}, {"/var/lib", 0o755}, {"/var/log", 0o755}},
		Links: []Link{{"/var/tmp", "/tmp"}, {"/var/run", "/run"}},
	}
	for _, dir := range systemDirs {
		if err := img.show(dir, dir); err != nil {
			return nil, err
		}
	}
	for _, name := range etcAllowed {
		if err := img.showPublic(path.Join("/etc", name)); err != nil {
			return nil, err
		}
	}
	return img, img.warnOfMounts("/usr")
}

// show takes an entry of the host into the image: a folder or file as a bind, a
// link as a link. What does not exist is passed over.
func (img *Image) show(source, target string) error {
	info, err := os.Lstat(source)
	if os.IsNotExist(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("looking at %q for the image: %w", source, err)
	}
	switch {
	case info.Mode()&fs.ModeSymlink != 0:
		to, err := os.Readlink(source)
		if err != nil {
			return fmt.Errorf("looking at %q for the image: %w", source, err)
		}
		img.Links = append(img.Links, Link{target, to})
	case info.IsDir():
		img.Binds = append(img.Binds, Bind{source, target, true})
	case info.Mode().IsRegular():
		img.Binds = append(img.Binds, Bind{source, target, false})
	}
	return nil
}

// showPublic takes in what everybody on the host may read anyway.
func (img *Image) showPublic(source string) error {
	info, err := os.Lstat(source)
	if err == nil && info.Mode()&fs.ModeSymlink == 0 && info.Mode().Perm()&0o004 == 0 {
		return nil
	}
	return img.show(source, source)
}

// systemName is what the host calls itself.
func systemName() string {
	text, err := os.ReadFile("/etc/os-release")
	if err != nil {
		return "unknown"
	}
	for line := range strings.Lines(string(text)) {
		if name, ok := strings.CutPrefix(strings.TrimSpace(line), "PRETTY_NAME="); ok {
			return strings.Trim(name, `"`)
		}
	}
	return "unknown"
}

// warnOfMounts names what somebody has mounted below a folder that the box sees
// whole.
func (img *Image) warnOfMounts(dir string) error {
	text, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return fmt.Errorf("looking for mounts below %q: %w", dir, err)
	}
	for line := range strings.Lines(string(text)) {
		fields := strings.Fields(line)
		if len(fields) > 4 && strings.HasPrefix(fields[4], dir+"/") {
			img.Warnings = append(img.Warnings, fmt.Sprintf("what is mounted on %q is readable in the box, as part of %s", fields[4], dir))
		}
	}
	return nil
}

// folder is an image from a folder of the host.
func folder(dir string) (*Image, error) {
	root, err := filepath.Abs(dir)
	if err == nil {
		root, err = filepath.EvalSymlinks(root)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("the image's folder %q does not exist", dir)
	}
	if err != nil {
		return nil, fmt.Errorf("finding the image's folder %q: %w", dir, err)
	}
	if why := forbidden(root); why != "" {
		return nil, fmt.Errorf("the folder %q cannot be an image: %s", root, why)
	}
	return fromFolder(root, "the folder "+root)
}

// fromFolder describes an image whose root is a folder. Its own files of
// identity and network are replaced, and what is not a folder, link or file is
// left out.
func fromFolder(root, name string) (*Image, error) {
	if err := suits(root); err != nil {
		return nil, fmt.Errorf("%s cannot be an image here: %w", name, err)
	}
	entries, err := os.ReadDir(root)
	if err != nil {
		return nil, fmt.Errorf("reading the image's folder: %w", err)
	}
	img := &Image{Name: name, Files: identityFiles()}
	for _, e := range entries {
		switch {
		case ours[e.Name()]:
		case e.Name() == "etc" && e.IsDir():
			err = img.showEtc(filepath.Join(root, "etc"))
		default:
			err = img.show(filepath.Join(root, e.Name()), "/"+e.Name())
		}
		if err != nil {
			return nil, err
		}
	}
	return img, nil
}

// showEtc takes in the entries of an image's /etc that are not made for the
// box.
func (img *Image) showEtc(etc string) error {
	made := map[string]bool{"mtab": true}
	for _, f := range img.Files {
		made[path.Base(f.Path)] = true
	}
	entries, err := os.ReadDir(etc)
	if err != nil {
		return fmt.Errorf("reading the image's /etc: %w", err)
	}
	for _, e := range entries {
		if made[e.Name()] {
			continue
		}
		if err := img.show(filepath.Join(etc, e.Name()), "/etc/"+e.Name()); err != nil {
			return err
		}
	}
	return nil
}
