package debian

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// sources lists where this host's apt gets the recipe's suite from, in the form
// of sources.list(5): its mirrors, and never a name that is written here.
func (m *maker) sources(ctx context.Context) (string, error) {
	out, err := m.output(ctx, "apt-get", "indextargets", "Created-By: Packages")
	if err != nil {
		return "", err
	}
	var list []string
	for _, s := range stanzas(out) {
		if s["Codename"] != m.recipe.Suite && !strings.HasPrefix(s["Codename"], m.recipe.Suite+"-") {
			continue
		}
		if s["Origin"] != "Debian" || s["Component"] != "main" || strings.HasSuffix(s["Codename"], "-backports") {
			continue
		}
		line := fmt.Sprintf("deb %s%s %s main\n", signedBy(s["Sourcesentry"]), s["Repo-URI"], s["Release"])
		if !slices.Contains(list, line) {
			list = append(list, line)
		}
	}
	if len(list) == 0 {
		return "", fmt.Errorf("this host's apt knows no packages of Debian %s; name a mirror of it in /etc/apt/sources.list, run `apt-get update` as root, and try again", m.recipe.Suite)
	}
	return strings.Join(list, ""), nil
}

// signedBy gives the option that names the keyring of an entry of apt's sources
// ("FILE:NUMBER"), empty where it has none of its own. In FILE.sources the
// number counts paragraphs, in FILE.list lines. See sources.list(5).
func signedBy(entry string) string {
	colon := max(0, strings.LastIndexByte(entry, ':'))
	text, err := os.ReadFile(entry[:colon])
	n, nerr := strconv.Atoi(strings.TrimPrefix(entry[colon:], ":"))
	if err != nil || nerr != nil {
		return "" // apt knows the entry by something else than a file
	}
	keyring := ""
	if all := stanzas(text); strings.HasSuffix(entry[:colon], ".sources") && n > 0 && n <= len(all) {
		keyring = all[n-1]["Signed-By"]
	} else if lines := strings.Split(string(text), "\n"); n > 0 && n <= len(lines) {
		_, keyring, _ = strings.Cut(lines[n-1], "signed-by=")
		keyring = keyring[:strings.IndexAny(keyring+" ", " ]")]
	}
	if !filepath.IsAbs(keyring) {
		return ""
	}
	return "[signed-by=" + keyring + "] "
}

// fetching writes down the host's settings of apt for how to fetch, its proxies
// and the like, for mmdebstrap, and gives the file. It is this user's alone,
// because a proxy's address may hold a password, and none of it stays in the
// root, see [Recipe.Drop].
func (m *maker) fetching(ctx context.Context) (string, error) {
	out, err := m.output(ctx, "apt-config", "dump", "--no-empty", "Acquire")
	if err != nil {
		return "", err
	}
	var settings strings.Builder
	settings.WriteString("APT::Sandbox::User \"root\";\nAcquire::Retries \"3\";\n")
	for line := range strings.Lines(string(out)) {
		if strings.HasPrefix(line, "Acquire::http::") || strings.HasPrefix(line, "Acquire::https::") {
			settings.WriteString(line)
		}
	}
	path := m.path(tempDir, "apt.conf")
	return path, os.WriteFile(path, []byte(settings.String()), 0o600)
}

// apt gives a command line of apt that sees the recipe's suite only.
func (m *maker) apt(args ...string) []string {
	return append([]string{
		args[0], "-o", "Dir::Etc::SourceList=" + m.path(sourcesFile), "-o", "Dir::Etc::SourceParts=-",
		"-o", "Dir::Cache::pkgcache=" + m.path(tempDir, "pkgcache.bin"), "-o", "Dir::Cache::srcpkgcache=", "-o", "APT::Sandbox::User=root",
	}, args[1:]...)
}

// kernel fetches and unpacks the newest kernel. It is not installed.
func (m *maker) kernel(ctx context.Context) error {
	if m.exists(kernelDir) {
		return nil
	}
	name, err := m.newestKernel(ctx)
	if err != nil {
		return err
	}
	m.say("fetching the package " + name)
	temp := m.path(tempDir)
	download := append([]string{"env", "--chdir=" + temp}, m.apt("apt-get", "download", name)...)
	if err := m.run(ctx, nil, download...); err != nil {
		return fmt.Errorf("%w; `apt-get update` as root tells apt which packages there are now", err)
	}
	debs, err := filepath.Glob(filepath.Join(temp, name+"_*.deb"))
	if err != nil || len(debs) != 1 {
		return errors.Join(err, fmt.Errorf("apt-get has left %d files of %s", len(debs), name))
	}
	m.say("unpacking the kernel")
	unpacked := filepath.Join(temp, kernelDir)
	if err := m.run(ctx, nil, "dpkg-deb", "-x", debs[0], unpacked); err != nil {
		return err
	}
	version := strings.TrimPrefix(name, "linux-image-")
	if err := m.run(ctx, nil, "/usr/sbin/depmod", "-b", unpacked, version); err != nil {
		return err
	}
	return m.placeKernel(unpacked, version)
}

// newestKernel asks apt what the kernel's package depends on.
func (m *maker) newestKernel(ctx context.Context) (string, error) {
	line := m.apt("apt-cache", "show", "--no-all-versions", m.recipe.Kernel)
	out, err := m.output(ctx, line...)
	if err != nil {
		return "", err
	}
	for _, s := range stanzas(out) {
		name, _, _ := strings.Cut(s["Depends"], " ")
		if strings.HasPrefix(name, "linux-image-") {
			return name, nil
		}
	}
	return "", fmt.Errorf("apt names no kernel that %s depends on", m.recipe.Kernel)
}

// placeKernel puts the kernel and its modules where a base has them.
func (m *maker) placeKernel(unpacked, version string) error {
	half := m.path(kernelDir + part)
	err := errors.Join(os.RemoveAll(half), os.Mkdir(half, 0o755), os.Mkdir(filepath.Join(half, "modules"), 0o755))
	if err != nil {
		return err
	}
	return errors.Join(
		os.Rename(filepath.Join(unpacked, "boot", "vmlinuz-"+version), filepath.Join(half, "vmlinuz")),
		os.Rename(filepath.Join(unpacked, "lib", "modules", version), filepath.Join(half, "modules", version)),
		os.Rename(half, m.path(kernelDir)))
}

// archive has mmdebstrap put the root together, as an archive: what it makes on
// the way belongs to several users.
func (m *maker) archive(ctx context.Context) error {
	if m.exists(archiveFile) || m.exists(rootDir) {
		return nil
	}
	m.say("putting a Debian root together, of some hundred packages")
	half := m.path(archiveFile + part)
	settings, err := m.fetching(ctx)
	if err != nil {
		return err
	}
	line := []string{
		"mmdebstrap", "--mode=root", "--format=tar", "--variant=" + m.recipe.Variant,
		"--include=" + strings.Join(m.recipe.Packages, ","), "--aptopt=" + settings,
	}
	for _, pattern := range m.recipe.Leave {
		line = append(line, "--dpkgopt=path-exclude="+pattern)
	}
	line = append(line, m.recipe.Suite, half, m.path(sourcesFile))
	epoch, err := m.epoch(ctx)
	if err != nil {
		return err
	}
	if err := m.run(ctx, []string{"SOURCE_DATE_EPOCH=" + epoch}, m.alone(line...)...); err != nil {
		return err
	}
	return os.Rename(half, m.path(archiveFile))
}

// epoch is when the newest of apt's lists was made, in seconds: nothing of the
// root is older, so that the same packages give the same root.
func (m *maker) epoch(ctx context.Context) (string, error) {
	out, err := m.output(ctx, m.apt("apt-get", "indextargets", "Created-By: Packages")...)
	if err != nil {
		return "", err
	}
	newest := int64(0)
	for _, s := range stanzas(out) {
		if info, err := os.Stat(s["Filename"]); err == nil {
			newest = max(newest, info.ModTime().Unix())
		}
	}
	if newest == 0 {
		return "", errors.New("apt has no lists of packages; run `apt-get update` as root, and try again")
	}
	return strconv.FormatInt(newest, 10), nil
}

// root unpacks the archive. The files are this user's, may be read by
// everybody and give nobody a privilege.
func (m *maker) root(ctx context.Context) error {
	if m.exists(rootDir) {
		return nil
	}
	m.say("unpacking the Debian root")
	half := m.path(rootDir + part)
	if err := errors.Join(os.RemoveAll(half), os.Mkdir(half, 0o755)); err != nil {
		return err
	}
	line := []string{"tar", "--extract", "--file=" + m.path(archiveFile), "--directory=" + half, "--no-same-owner", "--preserve-permissions"}
	for _, pattern := range m.recipe.Drop {
		line = append(line, "--exclude="+pattern)
	}
	if err := m.run(ctx, nil, line...); err != nil {
		return err
	}
	if err := m.run(ctx, nil, "chmod", "--recursive", "u+rwX,go+rX,go-w,a-s,a-t", half); err != nil {
		return err
	}
	return os.Rename(half, m.path(rootDir))
}

// manifest says what was made.
func (m *maker) manifest(ctx context.Context) (Manifest, error) {
	versions, err := os.ReadDir(m.path(modulesDir))
	if err != nil {
		return Manifest{}, err
	}
	if len(versions) != 1 {
		return Manifest{}, fmt.Errorf("there are the modules of %d kernels", len(versions))
	}
	manifest := Manifest{
		Format: format, Recipe: m.recipe.digest(), Suite: m.recipe.Suite,
		Version: versions[0].Name(), Packages: map[string]string{},
	}
	if manifest.Kernel, err = fileDigest(m.path(kernelFile)); err != nil {
		return manifest, err
	}
	modules, err := treeDigest(ctx, m.path(modulesDir, manifest.Version))
	if err != nil {
		return manifest, err
	}
	root, err := treeDigest(ctx, m.path(rootDir))
	if err != nil {
		return manifest, err
	}
	manifest.Modules, manifest.Root, manifest.Bytes = modules.digest, root.digest, root.bytes
	status, err := os.ReadFile(m.path(rootDir, "var/lib/dpkg/status"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return manifest, err
	}
	for _, s := range stanzas(status) {
		manifest.Packages[s["Package"]] = s["Version"]
	}
	return manifest, nil
}
