package workspace

import (
	"strings"

	"github.com/go-git/go-git/v5/plumbing/format/gitignore"
)

// hider says what a box must not see.
type hider struct{ matcher gitignore.Matcher }

func newHider(patterns []string) *hider {
	if len(patterns) == 0 {
		return &hider{}
	}
	parsed := make([]gitignore.Pattern, len(patterns))
	for i, p := range patterns {
		parsed[i] = gitignore.ParsePattern(p, nil)
	}
	return &hider{gitignore.NewMatcher(parsed)}
}

func (h *hider) hides(path string, folder bool) bool {
	return h.matcher != nil && h.matcher.Match(strings.Split(path, "/"), folder)
}
