package repository

import (
	"context"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// maxIncludes bounds how deep files of settings include each other, as git does.
const maxIncludes = 10

// read reads one of the user's files of settings, with what it includes in the places
// where it does so: a later setting goes before an earlier one. What cannot be read has
// none.
func (r *Repository) read(ctx context.Context, file string, found map[string]string, depth int) {
	r.entries(ctx, file, func(key, value string) {
		condition, isInclude := strings.CutSuffix(key, ".path")
		switch {
		case !isInclude || condition != "include" && !strings.HasPrefix(condition, "includeif."):
			found[key] = value
		case depth > 0 && (condition == "include" || r.holds(ctx, strings.TrimPrefix(condition, "includeif."), file)):
			r.read(ctx, beside(value, file), found, depth-1)
		}
	})
}

// entries gives the settings in a file in their order, without what it includes. Names
// are in small letters but for their middle part; see git-config(1), "Syntax".
func (r *Repository) entries(ctx context.Context, file string, each func(key, value string)) {
	out, err := r.output(ctx, "config", "--no-includes", "--file", file, "--null", "--list")
	if err != nil {
		return
	}
	for entry := range strings.SplitSeq(string(out), "\x00") {
		key, value, ok := strings.Cut(entry, "\n")
		if !ok {
			value = "true" // a name alone
		}
		if key != "" {
			each(key, value)
		}
	}
}

// beside gives a path in a file of settings, which is relative to that file.
func beside(path, file string) string {
	if rest, ok := strings.CutPrefix(path, "~/"); ok {
		return filepath.Join(os.Getenv("HOME"), rest)
	}
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(filepath.Dir(file), path)
}

// holds says whether a condition of an include does; see git-config(1), "Conditional
// includes". One that is not known does not.
func (r *Repository) holds(ctx context.Context, condition, file string) bool {
	kind, pattern, _ := strings.Cut(condition, ":")
	switch kind {
	case "gitdir":
		return r.lies(pattern, file, "")
	case "gitdir/i":
		return r.lies(pattern, file, "(?i)")
	case "onbranch":
		_, branch, err := r.head()
		return err == nil && matches(below(pattern), strings.TrimPrefix(branch, "refs/heads/"), "")
	}
	remote, ok := strings.CutPrefix(condition, "hasconfig:remote.*.url:")
	if !ok {
		return false
	}
	for key, value := range r.own(ctx) {
		if strings.HasPrefix(key, "remote.") && strings.HasSuffix(key, ".url") && matches(remote, value, "") {
			return true
		}
	}
	return false
}

// lies says whether the repository is where a pattern says, as it was found or with
// its links resolved.
func (r *Repository) lies(pattern, file, flags string) bool {
	whole := below(pattern)
	switch {
	case strings.HasPrefix(pattern, "~/"), strings.HasPrefix(pattern, "./"):
		whole = beside(strings.TrimPrefix(whole, "./"), file)
	case !strings.HasPrefix(pattern, "/"):
		whole = "**/" + whole
	}
	real, err := filepath.EvalSymlinks(r.dir)
	return matches(whole, r.dir, flags) || err == nil && matches(whole, real, flags)
}

// below has a pattern that ends in a slash match all that is below.
func below(pattern string) string {
	if strings.HasSuffix(pattern, "/") {
		return pattern + "**"
	}
	return pattern
}

// matches compares a path with a pattern of git's: * and ? stay between slashes, and
// ** between slashes is any number of folders.
func matches(pattern, path, flags string) bool {
	var out strings.Builder
	out.WriteString(flags + "(?s)^")
	for i := 0; i < len(pattern); i++ {
		rest := pattern[i:]
		switch {
		case strings.HasPrefix(rest, "**/") && (i == 0 || pattern[i-1] == '/'):
			out.WriteString("(?:.*/)?")
			i += 2
		case rest == "**" && i > 0 && pattern[i-1] == '/':
			out.WriteString(".*")
			i++
		case rest[0] == '*':
			out.WriteString("[^/]*")
		case rest[0] == '?':
			out.WriteString("[^/]")
		case rest[0] == '[' && strings.IndexByte(rest[1:], ']') > 0:
			end := 1 + strings.IndexByte(rest[1:], ']')
			set := rest[1:end]
			out.WriteByte('[')
			if set[0] == '!' || set[0] == '^' {
				out.WriteByte('^')
				set = set[1:]
			}
			out.WriteString(strings.NewReplacer(`\`, `\\`, "[", `\[`, "^", `\^`).Replace(set) + "]")
			i += end
		default:
			out.WriteString(regexp.QuoteMeta(rest[:1]))
		}
	}
	compiled, err := regexp.Compile(out.String() + "$")
	return err == nil && compiled.MatchString(path)
}
