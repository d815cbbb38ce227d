package hazard

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strings"

	"proofbox"
)

// locked is a package in a lock file.
type locked struct {
	name, version, address, integrity string
	script                            bool
}

// maxPackages bounds how many packages of a lock file are told, and maxLocked how
// many are read.
const (
	maxPackages = 500
	maxLocked   = 100_000
)

// Packages says what a change of a lock file does to the packages in it, sorted by
// name. It knows the forms of npm, yarn 1, pnpm, Go, and those that list
// [[package]] (Cargo, Poetry, uv, PDM); of others there is nothing to say.
func Packages(name, before, after string) []proofbox.LockedPackage {
	if !lockRule.matches(fold(name)) {
		return nil
	}
	was, is := packages(before), packages(after)
	keys := maps.Clone(was)
	maps.Copy(keys, is)
	var list []proofbox.LockedPackage
	for key := range keys {
		old, had := was[key]
		own, has := is[key]
		if old == own {
			continue
		}
		p := proofbox.LockedPackage{Name: cmp.Or(own.name, old.name), Before: old.version, After: own.version, Script: own.script, Integrity: integrity(old, own, had, has)}
		if u, err := url.Parse(own.address); err == nil {
			p.Host = u.Host
		}
		list = append(list, p)
	}
	slices.SortFunc(list, func(a, b proofbox.LockedPackage) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Before, b.Before), cmp.Compare(a.After, b.After))
	})
	return list[:min(len(list), maxPackages)]
}

func integrity(old, own locked, had, has bool) string {
	switch {
	case has && own.integrity == "" && old.integrity == "":
		return "none"
	case own.integrity == "":
		return "gone"
	case !had || old.integrity == "":
		return "new"
	case old.integrity == own.integrity:
		return "same"
	}
	return "changed"
}

// lockRule is the rule for lock files.
var lockRule = func() rule {
	return rules[slices.IndexFunc(rules, func(r rule) bool { return r.id == "lockfile" })]
}()

// packages reads a lock file by what it looks like. Its bytes may be anything.
func packages(text string) map[string]locked {
	switch {
	case strings.HasPrefix(strings.TrimSpace(text), "{"):
		return npmPackages(text)
	case strings.Contains(text, "# yarn lockfile v1"):
		return blocks(text, yarnHead)
	case strings.Contains(text, "[[package]]"):
		return blocks(text, tomlHead)
	case strings.Contains(text, "lockfileVersion:"):
		return blocks(text, pnpmHead)
	}
	return goPackages(text)
}

// npmPackages reads package-lock.json of versions 2 and 3, by where a package is
// installed, and of version 1, at its first level.
func npmPackages(text string) map[string]locked {
	type entry struct {
		Name, Version, Resolved, Integrity string
		HasInstallScript                   bool
	}
	var file struct{ Packages, Dependencies map[string]entry }
	if json.Unmarshal([]byte(text), &file) != nil {
		return nil
	}
	found := map[string]locked{}
	for where, e := range file.Packages {
		if where != "" && len(found) < maxLocked {
			_, name, ok := cutLast(where, "node_modules/")
			if !ok {
				name = where
			}
			name = cmp.Or(e.Name, name)
			found[where] = locked{name, e.Version, e.Resolved, e.Integrity, e.HasInstallScript}
		}
	}
	if len(found) == 0 {
		for name, e := range file.Dependencies {
			found[name] = locked{name, e.Version, e.Resolved, e.Integrity, false}
		}
	}
	return found
}

func cutLast(text, sep string) (before, after string, ok bool) {
	i := strings.LastIndex(text, sep)
	if i < 0 {
		return text, "", false
	}
	return text[:i], text[i+len(sep):], true
}

// Heads of a package's lines, with its name and, where it is there, its version.
var (
	yarnHead = regexp.MustCompile(`^"?(@?[^@"\s]+)@[^\s].*:$`)
	tomlHead = regexp.MustCompile(`^\[\[package\]\]()()$`)
	pnpmHead = regexp.MustCompile(`^  '?/?(@?[^@'(\s]+)@([^:'(\s]+)[^:]*'?:$`)
)

// values of a package, by the names that the lock files have for them.
var lockValue = regexp.MustCompile(`\b(name|version|resolved|source|tarball|registry|url|integrity|checksum|hash|requiresBuild)\b"?\s*[:= ]\s*"?([A-Za-z0-9][^"\s,{}]*)`)

// blocks reads a lock file that has a package's lines one after the other.
func blocks(text string, head *regexp.Regexp) map[string]locked {
	found := map[string]locked{}
	var own locked
	end := func() {
		if own.name != "" && len(found) < maxLocked {
			found[keyOf(own, found)] = own
		}
		own = locked{}
	}
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\r\n")
		if m := head.FindStringSubmatch(line); m != nil {
			end()
			own = locked{name: m[1]}
			if len(m) > 2 {
				own.version = m[2]
			}
			continue
		}
		for _, m := range lockValue.FindAllStringSubmatch(line, -1) {
			own.set(m[1], m[2])
		}
	}
	end()
	return found
}

// keyOf keeps packages apart of which there are several versions: the second and
// later ones have their version in the key.
func keyOf(l locked, found map[string]locked) string {
	if _, ok := found[l.name]; ok {
		return l.name + "@" + l.version
	}
	return l.name
}

func (l *locked) set(key, value string) {
	switch key {
	case "name":
		l.name = cmp.Or(l.name, value)
	case "version":
		l.version = cmp.Or(l.version, value)
	case "resolved", "source", "tarball", "registry", "url":
		l.address = cmp.Or(l.address, strings.TrimPrefix(value, "registry+"))
	case "integrity", "checksum", "hash":
		l.integrity += value
	case "requiresBuild":
		l.script = value == "true"
	}
}

// goPackages reads go.sum.
func goPackages(text string) map[string]locked {
	found := map[string]locked{}
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		if len(f) != 3 || !strings.HasPrefix(f[2], "h1:") || len(found) >= maxLocked {
			continue
		}
		if version, ok := strings.CutSuffix(f[1], "/go.mod"); ok {
			f[1] = version + " (go.mod)"
		}
		found[f[0]+"@"+f[1]] = locked{name: f[0], version: f[1], integrity: f[2]}
	}
	return found
}

// tampered says which packages a lock file has under the same version with other
// bytes, and which come from an address that is another package's. A trusted host
// is not enough: it has the packages of everybody.
func tampered(before, after string) []string {
	was, is := packages(before), packages(after)
	var words []string
	for _, key := range slices.Sorted(maps.Keys(is)) {
		own, old := is[key], was[key]
		switch {
		case old.version == own.version && old.integrity != "" && old.integrity != own.integrity:
			words = append(words, fmt.Sprintf("has other bytes of %q %q than before, under the same version", own.name, own.version))
		case old.address != own.address && !addressOf(own):
			words = append(words, fmt.Sprintf("has %q fetched from an address that is not that package's: %q", own.name, own.address))
		}
	}
	if more := len(words) - maxHosts; more > 0 {
		words = append(words[:maxHosts], fmt.Sprintf("and does the like to %d more packages", more))
	}
	return words
}

// addressOf says whether an address that ends in a package's archive is the
// package's own: it has its name, as all registries' addresses do.
func addressOf(l locked) bool {
	u, err := url.Parse(l.address)
	if err != nil || u.Host == "" || path.Ext(u.Path) == "" {
		return true // no address of an archive
	}
	short := l.name[strings.LastIndexByte(l.name, '/')+1:]
	return strings.Contains(strings.ToLower(u.Path), strings.ToLower(short))
}
