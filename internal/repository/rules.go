package repository

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/go-git/go-git/v5/plumbing/format/gitignore"
)

// Rules are what a work tree says of its files in .gitignore and .gitattributes.
type Rules struct {
	root    *os.Root
	prefix  string
	read    map[string]bool // folders
	ignore  []gitignore.Pattern
	attribs []attributeLine
	last    []attributeLine // of info/attributes, which has the last word
	macros  map[string][]string
	err     error
}

// Rules reads them as they are asked for. folder is the one that the repository
// was opened for.
func (r *Repository) Rules(folder string) (*Rules, error) {
	top := filepath.Clean(folder)
	for range strings.Count(r.Prefix, "/") {
		top = filepath.Dir(top)
	}
	root, err := os.OpenRoot(top)
	if err != nil {
		return nil, err
	}
	rules := &Rules{root: root, prefix: r.Prefix, read: map[string]bool{}, macros: map[string][]string{}}
	rules.own(filepath.Join(r.common, "info", "exclude"), rules.addIgnore)
	rules.own(filepath.Join(r.common, "info", "attributes"), rules.addAttribute)
	rules.last, rules.attribs = rules.attribs, nil
	if rules.err != nil {
		return nil, errors.Join(rules.err, root.Close())
	}
	return rules, nil
}

// own reads a file of the repository's own, where there is one. One that cannot be
// read is an error: what it forbids is not known.
func (r *Rules) own(path string, take func(string, []string)) {
	f, err := os.Open(path)
	switch {
	case err == nil:
		r.lines(f, nil, take)
	case !errors.Is(err, fs.ErrNotExist):
		r.err = errors.Join(r.err, err)
	}
}

// Close gives up the folder.
func (r *Rules) Close() error { return r.root.Close() }

// converted are the attributes by which git has other bytes in a commit than on
// the disk.
var converted = []string{"filter", "ident", "working-tree-encoding"}

// Unfit says why a file's bytes do not belong in a commit as they are; empty where
// they do. A file that the commit before has already is never ignored.
func (r *Rules) Unfit(name string, tracked bool) (string, error) {
	parts := strings.Split(r.prefix+name, "/")
	for i := range parts {
		r.folder(parts[:i])
	}
	if r.err != nil {
		return "", r.err
	}
	if !tracked && gitignore.NewMatcher(r.ignore).Match(parts, false) {
		return "git ignores it here, and the commit before does not have it", nil
	}
	if attribute := r.converts(parts); attribute != "" {
		return fmt.Sprintf("git has other bytes of it in a commit than on the disk (%s in .gitattributes), and proofbox runs no filter; keep it without --commit", attribute), nil
	}
	return "", nil
}

// converts gives the attribute by which a file's bytes are converted. The last line
// that matches says.
func (r *Rules) converts(parts []string) string {
	found := map[string]bool{}
	for _, line := range slices.Concat(r.attribs, r.last) {
		if !line.matches(parts) {
			continue
		}
		for _, word := range line.words {
			r.apply(found, word, true)
		}
	}
	for _, attribute := range converted {
		if found[attribute] {
			return attribute
		}
	}
	return ""
}

// apply takes one word of a line: ATTRIBUTE, -ATTRIBUTE, !ATTRIBUTE or
// ATTRIBUTE=VALUE, where a macro stands for further ones.
func (r *Rules) apply(found map[string]bool, word string, expand bool) {
	name, _, _ := strings.Cut(strings.TrimLeft(word, "-!"), "=")
	set := !strings.HasPrefix(word, "-") && !strings.HasPrefix(word, "!")
	if set && expand {
		for _, more := range r.macros[name] {
			r.apply(found, more, false)
		}
	}
	found[name] = set
}

// attributeLine is a line of .gitattributes.
type attributeLine struct {
	folder  []string // that the file lies in
	pattern string
	words   []string
}

// matches says whether a line is about a file: by its name alone where the pattern
// has no slash, else by its path below the line's folder.
func (l attributeLine) matches(parts []string) bool {
	if len(parts) <= len(l.folder) || !slices.Equal(parts[:len(l.folder)], l.folder) {
		return false
	}
	if !strings.Contains(l.pattern, "/") {
		return matchParts([]string{l.pattern}, parts[len(parts)-1:])
	}
	return matchParts(strings.Split(strings.TrimPrefix(l.pattern, "/"), "/"), parts[len(l.folder):])
}

// matchParts matches a path part by part; ** stands for any number of them.
func matchParts(pattern, parts []string) bool {
	for i, p := range pattern {
		if p == "**" {
			for at := range len(parts) - i + 1 {
				if matchParts(pattern[i+1:], parts[i+at:]) {
					return true
				}
			}
			return i == len(pattern)-1 && len(parts) > i
		}
		if i == len(parts) {
			return false
		}
		if ok, err := path.Match(strings.ReplaceAll(p, "[!", "[^"), parts[i]); !ok || err != nil {
			return false
		}
	}
	return len(parts) == len(pattern)
}

// folder reads what a folder says, once.
func (r *Rules) folder(parts []string) {
	dir := strings.Join(parts, "/")
	if r.read[dir] {
		return
	}
	r.read[dir] = true
	for name, take := range map[string]func(string, []string){".gitignore": r.addIgnore, ".gitattributes": r.addAttribute} {
		full := path.Join(dir, name)
		info, err := r.root.Lstat(full)
		if err != nil || !info.Mode().IsRegular() {
			continue // git takes none but regular files, either
		}
		f, err := r.root.Open(full)
		if err != nil {
			r.err = errors.Join(r.err, err)
			continue
		}
		r.lines(f, parts, take)
	}
}

// maxRules bounds a file of rules.
const maxRules = 4 << 20

func (r *Rules) lines(f io.ReadCloser, parts []string, take func(string, []string)) {
	lines := bufio.NewScanner(io.LimitReader(f, maxRules))
	lines.Buffer(nil, maxRules)
	for lines.Scan() {
		if line := strings.TrimRight(lines.Text(), "\r"); line != "" && !strings.HasPrefix(line, "#") {
			take(line, parts)
		}
	}
	r.err = errors.Join(r.err, lines.Err(), f.Close())
}

func (r *Rules) addIgnore(line string, parts []string) {
	r.ignore = append(r.ignore, gitignore.ParsePattern(line, parts))
}

// maxStars bounds how often ** is in a pattern, each of which multiplies the work.
const maxStars = 4

// addAttribute reads a line of .gitattributes. A pattern that ends in a slash is
// about no file.
func (r *Rules) addAttribute(line string, parts []string) {
	line = strings.TrimSpace(line)
	at := strings.IndexAny(line, " \t")
	if at < 0 {
		return
	}
	pattern, rest := line[:at], line[at:]
	if strings.HasPrefix(pattern, `"`) {
		quoted, err := strconv.QuotedPrefix(line)
		if err != nil {
			return // git warns of it and passes it over
		}
		rest = strings.TrimPrefix(line, quoted)
		pattern, _ = strconv.Unquote(quoted) // it is one
	}
	if macro, ok := strings.CutPrefix(pattern, "[attr]"); ok {
		r.macros[macro] = strings.Fields(rest)
		return
	}
	if !strings.HasSuffix(pattern, "/") && !strings.HasPrefix(pattern, "!") && strings.Count(pattern, "**") <= maxStars {
		r.attribs = append(r.attribs, attributeLine{slices.Clone(parts), pattern, strings.Fields(rest)})
	}
}
