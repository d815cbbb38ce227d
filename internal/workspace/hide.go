package workspace

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/go-git/go-git/v5/plumbing/format/gitignore"
)

// hider says what a box must not see.
type hider struct{ matcher gitignore.Matcher }

// newHider reads patterns in .gitignore syntax. One that could be read as
// nothing is an error: what it should hide would be seen.
func newHider(patterns []string) (*hider, error) {
	if len(patterns) > 0 && strings.HasPrefix(patterns[0], "!") {
		return nil, fmt.Errorf("the pattern %q of what to hide: nothing is hidden before it that it could show again", patterns[0])
	}
	var parsed []gitignore.Pattern
	for _, p := range patterns {
		if err := checkPattern(p); err != nil {
			return nil, fmt.Errorf("the pattern %q of what to hide: %w", p, err)
		}
		parsed = append(parsed, gitignore.ParsePattern(p, nil))
	}
	if len(parsed) == 0 {
		return &hider{}, nil
	}
	return &hider{gitignore.NewMatcher(parsed)}, nil
}

func checkPattern(p string) error {
	switch {
	case strings.Trim(p, "/ \t") == "":
		return errors.New("it matches nothing")
	case strings.HasPrefix(p, "#"):
		return errors.New("it is a comment and matches nothing; a name that begins with # is written \\#")
	}
	for part := range strings.SplitSeq(strings.TrimPrefix(p, "!"), "/") {
		if _, err := filepath.Match(part, ""); err != nil {
			return fmt.Errorf("%w: [ without ], or a backslash at the end", err)
		}
		if strings.Contains(part, "**") && part != "**" {
			return fmt.Errorf("** stands for whole folders and must be alone between slashes, not in %q", part)
		}
		if part == "." || part == ".." {
			return fmt.Errorf("it must not hold %q", part)
		}
	}
	return nil
}

// Literal gives the pattern that hides the one path, relative to the
// workspace, and what is below it.
func Literal(path string) string {
	var p strings.Builder
	p.WriteByte('/')
	for _, c := range []byte(path) {
		if strings.IndexByte(`\*?[]!# `, c) >= 0 {
			p.WriteByte('\\')
		}
		p.WriteByte(c)
	}
	return p.String()
}

func (h *hider) hides(path string, folder bool) bool {
	return h.matcher != nil && h.matcher.Match(strings.Split(path, "/"), folder)
}
