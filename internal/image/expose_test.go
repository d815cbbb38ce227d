package image

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestExpose(t *testing.T) {
	home := t.TempDir()
	t.Setenv("HOME", home)
	for _, dir := range []string{".ssh", ".cargo/bin", "go/bin", "plain"} {
		if err := os.MkdirAll(filepath.Join(home, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(home, ".cargo/credentials.toml"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(filepath.Join(home, ".ssh"), filepath.Join(home, "innocent")); err != nil {
		t.Fatal(err)
	}
	socket, err := net.Listen("unix", filepath.Join(home, "plain/socket"))
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	for path, why := range map[string]string{
		"go":                      "",
		"go/bin":                  "",
		".cargo/bin":              "",
		".cargo":                  "credentials.toml",
		".":                       ".ssh",
		".ssh":                    "credentials are known to live",
		"innocent":                "credentials are known to live",
		"plain/socket":            "neither a folder nor a file",
		"nowhere":                 "does not exist",
		"/":                       "whole host",
		"/etc":                    "/etc/",
		"/etc/ssh":                "credentials are known to live",
		"/proc":                   "/proc",
		"/run":                    "/run",
		"/dev":                    "/dev",
		"/sys":                    "/sys",
		filepath.Dir(home) + "/.": "credentials are known to live",
	} {
		full := path
		if !filepath.IsAbs(path) {
			full = filepath.Join(home, path)
		}
		if _, err := os.Lstat(full); os.IsNotExist(err) && why != "does not exist" {
			continue // this host does not have it
		}
		binds, err := Expose([]string{full})
		switch {
		case why == "" && (err != nil || len(binds) != 1 || binds[0].Source != full || binds[0].Target != full):
			t.Errorf("%s: %v, %v", path, binds, err)
		case why != "" && (err == nil || !strings.Contains(err.Error(), why)):
			t.Errorf("%s: %v, %v, want a refusal with %q", path, binds, err, why)
		}
	}
}

func TestHostImageHoldsNoSecretPlace(t *testing.T) {
	t.Parallel()
	img, err := Resolve(t.Context(), "host", t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range img.Binds {
		for _, s := range append(secrets(), "/home", "/root", "/run", "/var", "/srv", "/mnt", "/tmp", "/etc/environment", "/etc/machine-id") {
			if within(s, b.Source) && exists(s) || within(b.Source, s) {
				t.Errorf("the image shows %q, which is or contains %q", b.Source, s)
			}
		}
	}
	made := map[string]bool{}
	for _, f := range img.Files {
		made[f.Path] = true
	}
	if !made["/etc/passwd"] || !made["/etc/resolv.conf"] || made["/etc/shadow"] {
		t.Errorf("made are %v", made)
	}
}
