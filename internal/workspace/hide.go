package workspace

import (
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
	var parsed []gitignore.Pattern
	for _, p := range patterns {
		if strings.TrimSpace(p) == "" || strings.HasPrefix(p, "#") {
			continue
		}
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

func (h *hider) hides(path string, folder bool) bool {
	return h.matcher != nil && h.matcher.Match(strings.Split(path, "/"), folder)
}
