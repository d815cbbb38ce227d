package image

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// homeSecrets are places below a home folder where credentials are known to
// live.
var homeSecrets = []string{
	".ssh", ".gnupg", ".aws", ".azure", ".oci", ".kube", ".docker", ".netrc", ".npmrc", ".yarnrc.yml",
	".pypirc", ".git-credentials", ".gitconfig", ".password-store", ".vault-token", ".pgpass", ".my.cnf", ".boto", ".s3cfg",
	".config/gcloud", ".config/gh", ".config/hub", ".config/glab-cli", ".config/doctl", ".config/op", ".config/rclone",
	".config/google-chrome", ".config/chromium", ".config/BraveSoftware", ".config/Code", ".config/Cursor",
	".mozilla", ".thunderbird", ".local/share/keyrings", ".local/share/kwalletd",
	".claude", ".claude.json", ".codex", ".gemini", ".cursor", ".config/opencode", ".local/share/opencode",
	".cargo/credentials", ".cargo/credentials.toml", ".gem/credentials", ".m2/settings.xml", ".m2/settings-security.xml",
	".gradle/gradle.properties", ".terraform.d/credentials.tfrc.json", ".terraformrc", ".composer/auth.json",
	".bash_history", ".zsh_history", ".python_history", ".node_repl_history", ".psql_history", ".mysql_history",
	".local/state/proofbox",
}

// systemSecrets are such places elsewhere.
var systemSecrets = []string{
	"/etc/shadow", "/etc/gshadow", "/etc/sudoers", "/etc/sudoers.d", "/etc/ssh", "/etc/ssl/private", "/etc/kubernetes",
	"/etc/docker", "/etc/krb5.keytab", "/etc/NetworkManager", "/etc/wpa_supplicant", "/var/lib/docker", "/var/lib/containerd",
	"/var/lib/kubelet", "/var/run/secrets", "/boot", "/lost+found",
}

// reserved are folders that a box has of its own or that are no files at all.
var reserved = []string{"/proc", "/sys", "/dev", "/run", "/var/run", "/tmp", "/workspace", "/home/box"}

// Expose gives binds that show folders or files of the host at the same path,
// read-only. A place where credentials are known to live, or a folder that
// contains one, is refused by name.
func Expose(paths []string) ([]Bind, error) {
	var binds []Bind
	for _, p := range paths {
		b, err := expose(p)
		if err != nil {
			return nil, err
		}
		binds = append(binds, b)
	}
	return binds, nil
}

func expose(p string) (Bind, error) {
	full, err := filepath.Abs(p)
	if err != nil {
		return Bind{}, fmt.Errorf("exposing %q: %w", p, err)
	}
	real, err := filepath.EvalSymlinks(full)
	if errors.Is(err, fs.ErrNotExist) {
		return Bind{}, fmt.Errorf("exposing %q: it does not exist", p)
	}
	if err != nil {
		return Bind{}, fmt.Errorf("exposing %q: %w", p, err)
	}
	for _, place := range []string{full, real} {
		if why := forbidden(place); why != "" {
			return Bind{}, fmt.Errorf("exposing %q is refused: %s", p, why)
		}
	}
	info, err := os.Stat(real)
	if err != nil {
		return Bind{}, fmt.Errorf("exposing %q: %w", p, err)
	}
	if !info.IsDir() && !info.Mode().IsRegular() {
		return Bind{}, fmt.Errorf("exposing %q is refused: it is neither a folder nor a file", p)
	}
	return Bind{Source: real, Target: full, Folder: info.IsDir()}, nil
}

// forbidden says why a place must not be seen by a box; empty where it may. A
// place is forbidden if it is a secret one, lies in one, or contains one that
// exists.
func forbidden(place string) string {
	if place == "/" {
		return "it is the whole host"
	}
	for _, r := range reserved {
		if within(place, r) && !strings.HasPrefix(place, "/tmp/") {
			return fmt.Sprintf("%s is the box's own or the kernel's", r)
		}
	}
	for _, secret := range secrets() {
		switch {
		case within(place, secret):
			return fmt.Sprintf("credentials are known to live in %q", secret)
		case within(secret, place) && exists(secret):
			return fmt.Sprintf("it contains %q, where credentials are known to live; expose a folder beside it", secret)
		}
	}
	return ""
}

// SecretsBelow lists the places below a folder where credentials are known to
// live, those that exist, relative to the folder. A folder that lies in such a
// place is an error.
func SecretsBelow(folder string) ([]string, error) {
	var found []string
	for _, secret := range secrets() {
		switch {
		case within(folder, secret):
			return nil, fmt.Errorf("the folder %q cannot be a workspace: credentials are known to live in %q", folder, secret)
		case within(secret, folder) && exists(secret):
			found = append(found, strings.TrimPrefix(secret[len(folder):], "/"))
		}
	}
	return found, nil
}

// within says whether a path is a folder or lies below it.
func within(path, folder string) bool {
	return path == folder || strings.HasPrefix(path, strings.TrimSuffix(folder, "/")+"/")
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return !errors.Is(err, fs.ErrNotExist)
}

// secrets lists the secret places of every home on this host.
func secrets() []string {
	list := slices.Clone(systemSecrets)
	if home := os.Getenv("PROOFBOX_HOME"); filepath.IsAbs(home) {
		list = append(list, filepath.Clean(home))
	}
	for _, home := range homes() {
		for _, s := range homeSecrets {
			list = append(list, filepath.Join(home, s))
		}
	}
	return list
}

// homes lists home folders: those of all accounts, and this user's own.
func homes() []string {
	var list []string
	add := func(home string) {
		if filepath.IsAbs(home) && home != "/" && !slices.Contains(list, home) {
			list = append(list, filepath.Clean(home))
		}
	}
	if home, err := os.UserHomeDir(); err == nil {
		add(home)
	}
	f, err := os.Open("/etc/passwd")
	if err != nil {
		return list
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if fields := strings.Split(lines.Text(), ":"); len(fields) == 7 {
			add(fields[5])
		}
	}
	return list
}
