package repository

import (
	"cmp"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
)

// Identity is who the user is to git: what the environment says, else the
// repository's own settings, else the user's. Settings are read and never used:
// includes in the repository's are not followed.
func (r *Repository) Identity(ctx context.Context) (Person, error) {
	p := Person{Name: os.Getenv("GIT_AUTHOR_NAME"), Email: os.Getenv("GIT_AUTHOR_EMAIL")}
	own := []string{"--no-includes", "--file", filepath.Join(r.common, "config")}
	files := [][]string{own}
	for _, file := range userFiles() {
		files = append(files, []string{"--includes", "--file", file})
	}
	for _, from := range files {
		p.Name = cmp.Or(p.Name, r.setting(ctx, from, "user.name"))
		p.Email = cmp.Or(p.Email, r.setting(ctx, from, "user.email"))
	}
	p.Name, p.Email = plain(p.Name), plain(p.Email)
	if p.Name == "" || p.Email == "" {
		return p, errors.New("a commit needs to know who makes it: `git config --global user.name NAME` and `git config --global user.email ADDRESS` say so")
	}
	return p, nil
}

// userFiles are where git looks for its user's settings, see git-config(1).
func userFiles() []string {
	if file, ok := os.LookupEnv("GIT_CONFIG_GLOBAL"); ok {
		return []string{file}
	}
	home := os.Getenv("HOME")
	return []string{
		filepath.Join(home, ".gitconfig"),
		filepath.Join(cmp.Or(os.Getenv("XDG_CONFIG_HOME"), filepath.Join(home, ".config")), "git", "config"),
		"/etc/gitconfig",
	}
}

// setting gives the value of a setting in a file; empty where it has none, or
// cannot be read.
func (r *Repository) setting(ctx context.Context, from []string, key string) string {
	out, err := r.output(ctx, append(append([]string{"config"}, from...), "--get", key)...)
	if err != nil {
		return ""
	}
	return strings.TrimRight(string(out), "\n")
}
