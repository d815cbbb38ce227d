package repository

import (
	"cmp"
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Identity is who the user is to git: what the environment says, else the
// repository's own settings, else the user's. Settings are read and never used:
// includes in the repository's are not followed.
func (r *Repository) Identity(ctx context.Context) (Person, error) {
	p := Person{Name: os.Getenv("GIT_AUTHOR_NAME"), Email: os.Getenv("GIT_AUTHOR_EMAIL")}
	for _, s := range r.settings(ctx) {
		p.Name = cmp.Or(p.Name, s["user.name"])
		p.Email = cmp.Or(p.Email, s["user.email"])
	}
	p.Name, p.Email = plain(p.Name), plain(p.Email)
	if p.Name == "" || p.Email == "" {
		return p, errors.New("a commit needs to know who makes it: `git config --global user.name NAME` and `git config --global user.email ADDRESS` say so")
	}
	return p, nil
}

// Signs says whether the user's settings or the repository's have commits signed. A
// commit that is made here is not: a signature is made by a program that settings
// name.
func (r *Repository) Signs(ctx context.Context) bool {
	for _, s := range r.settings(ctx) {
		if value, ok := s["commit.gpgsign"]; ok {
			return !slices.Contains([]string{"false", "no", "off", "0", ""}, strings.ToLower(value))
		}
	}
	return false
}

// settings reads the repository's own settings, then the user's files of them.
func (r *Repository) settings(ctx context.Context) []map[string]string {
	list := []map[string]string{r.own(ctx)}
	for _, file := range userFiles() {
		found := map[string]string{}
		r.read(ctx, file, found, maxIncludes)
		list = append(list, found)
	}
	return list
}

// own gives the repository's own settings, without what they include.
func (r *Repository) own(ctx context.Context) map[string]string {
	found := map[string]string{}
	r.entries(ctx, filepath.Join(r.common, "config"), func(key, value string) { found[key] = value })
	return found
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
