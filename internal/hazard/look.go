package hazard

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// runningKeys are the parts of a package.json or composer.json that run, or say
// what is fetched to run.
var runningKeys = []string{
	"scripts", "bin", "hooks", "husky", "lint-staged", "pre-commit", "simple-git-hooks", "gitHooks", "pnpm", "packageManager", "devEngines", "gypfile", "config",
	"imports", "exports", "main", "overrides", "resolutions", "workspaces", "repositories", "jest", "babel", "eslintConfig", "ava", "mocha", "nyc", "c8", "wireit", "trustedDependencies", "allowScripts", "volta",
}

// dependencyKeys are lists of packages by their versions.
var dependencyKeys = []string{"dependencies", "devDependencies", "optionalDependencies", "peerDependencies", "bundleDependencies", "bundledDependencies", "require", "require-dev"}

// packageJSON looks for what has changed of what runs.
func packageJSON(before, after string) []string {
	var was, is map[string]json.RawMessage
	_ = json.Unmarshal([]byte(before), &was) // what cannot be read was nothing
	if err := json.Unmarshal([]byte(after), &is); err != nil {
		return []string{"is no JSON that could be looked through; it says what the next install runs"}
	}
	var words []string
	for _, key := range runningKeys {
		if string(was[key]) == string(is[key]) || len(is[key]) == 0 {
			continue
		}
		if key == "scripts" {
			words = append(words, scriptWords(was[key], is[key])...)
			continue
		}
		words = append(words, fmt.Sprintf("changes %q, which says what the next install, build or test runs", key))
	}
	for _, key := range dependencyKeys {
		words = append(words, dependencyWords(was[key], is[key])...)
	}
	return words
}

// installScripts run without anybody calling them.
var installScripts = []string{"preinstall", "install", "postinstall", "preprepare", "prepare", "postprepare", "prepublish", "pre-install-cmd", "post-install-cmd", "post-update-cmd", "post-autoload-dump", "post-root-package-install"}

func scriptWords(before, after json.RawMessage) []string {
	var was, is map[string]json.RawMessage
	_ = json.Unmarshal(before, &was)
	if err := json.Unmarshal(after, &is); err != nil {
		return []string{"has scripts that cannot be looked through"}
	}
	var words []string
	for _, name := range slices.Sorted(maps.Keys(is)) {
		switch {
		case string(was[name]) == string(is[name]):
		case slices.Contains(installScripts, name):
			words = append(words, fmt.Sprintf("runs its script %q on the next install", name))
		default:
			words = append(words, fmt.Sprintf("changes its script %q, which runs when it is called", name))
		}
	}
	return words
}

// plainVersion matches what a registry resolves. Anything else names a place.
var plainVersion = regexp.MustCompile(`^[\^~<>=v0-9A-Za-z.*+\- |,@]*$`)

func dependencyWords(before, after json.RawMessage) []string {
	var was, is map[string]any
	_ = json.Unmarshal(before, &was)
	if len(after) == 0 || json.Unmarshal(after, &is) != nil {
		return nil
	}
	var words []string
	for _, name := range slices.Sorted(maps.Keys(is)) {
		version, _ := is[name].(string)
		switch old, had := was[name]; {
		case had && old == is[name]:
		case !plainVersion.MatchString(version):
			words = append(words, fmt.Sprintf("takes %q from %q, whose scripts run on the next install", name, version))
		case !had:
			words = append(words, fmt.Sprintf("adds the package %q, whose scripts run on the next install", name))
		}
	}
	return words
}

// newLines gives the lines of a text that it did not have before.
func newLines(before, after string) []string {
	had := map[string]bool{}
	for line := range strings.Lines(before) {
		had[strings.TrimRight(line, "\r\n")] = true
	}
	var list []string
	for line := range strings.Lines(after) {
		if line = strings.TrimRight(line, "\r\n"); !had[line] {
			list = append(list, line)
		}
	}
	return list
}

// sources looks for lines of a list of requirements that name a place, or an
// option.
func sources(before, after string) []string {
	for _, line := range newLines(before, after) {
		trimmed := strings.TrimSpace(line)
		if strings.HasPrefix(trimmed, "-") || strings.Contains(trimmed, "://") || strings.Contains(trimmed, " @ ") || strings.HasPrefix(trimmed, ".") || strings.HasPrefix(trimmed, "/") {
			return []string{"changes where the next `pip install` fetches from, whose setup it runs"}
		}
	}
	if len(newLines(before, after)) > 0 {
		return []string{"changes which packages the next `pip install` installs, whose setup it runs"}
	}
	return nil
}

var anyURL = regexp.MustCompile(`[A-Za-z][A-Za-z0-9+.-]*://[^\s"'<>)\]},]+`)

// hosts gives the hosts of the addresses in a text.
func hosts(text string) map[string]bool {
	found := map[string]bool{}
	for _, address := range anyURL.FindAllString(text, -1) {
		u, err := url.Parse(address)
		if err != nil || u.Host == "" {
			found[address] = true
			continue
		}
		found[strings.ToLower(u.Host)] = true
	}
	return found
}

var installScript = regexp.MustCompile(`"hasInstallScript"\s*:\s*true|requiresBuild:\s*true`)

// maxHosts bounds how many hosts are named.
const maxHosts = 5

// lockfile looks for new places that packages come from, and new scripts that
// they run.
func lockfile(before, after string) []string {
	was := hosts(before)
	var fresh []string
	for _, host := range slices.Sorted(maps.Keys(hosts(after))) {
		if !was[host] {
			fresh = append(fresh, host)
		}
	}
	var words []string
	for _, host := range fresh[:min(len(fresh), maxHosts)] {
		words = append(words, fmt.Sprintf("has the next install fetch from the new host %q", host))
	}
	if more := len(fresh) - maxHosts; more > 0 {
		words = append(words, fmt.Sprintf("and from %d more new hosts", more))
	}
	if n := len(installScript.FindAllString(after, -1)) - len(installScript.FindAllString(before, -1)); n > 0 {
		words = append(words, fmt.Sprintf("has the next install run the scripts of %d more packages", n))
	}
	return append(words, tampered(before, after)...)
}

// goModule looks for directives that replace code or run tools.
func goModule(before, after string) []string {
	var words []string
	for _, d := range []struct{ directive, words string }{
		{"replace", "replaces modules by others"},
		{"toolchain", "chooses the Go toolchain that the next go command fetches and runs"},
		{"tool", "has `go tool` build and run another program"},
		{"use", "takes other modules into the workspace"},
	} {
		for _, line := range newLines(before, after) {
			if strings.HasPrefix(strings.TrimSpace(line), d.directive) || d.directive == "replace" && strings.Contains(line, "=>") {
				words = append(words, d.words)
				break
			}
		}
	}
	return words
}

// goSource looks for comments that run programs.
func goSource(before, after string) []string {
	var words []string
	for _, line := range newLines(before, after) {
		switch {
		case strings.HasPrefix(line, "//go:generate"):
			words = append(words, "runs a command on the next `go generate`: "+short(strings.TrimPrefix(line, "//go:generate")))
		case strings.Contains(line, "#cgo"):
			words = append(words, "gives the C compiler options on the next `go build`: "+short(line))
		}
	}
	return words
}

// short bounds a line in words.
func short(line string) string {
	const most = 80
	line = strings.TrimSpace(line)
	if len(line) > most {
		line = line[:most] + "…"
	}
	return fmt.Sprintf("%q", line)
}

// notebook looks for outputs that run in a browser.
func notebook(before, after string) []string {
	for _, line := range newLines(before, after) {
		if strings.Contains(line, "application/javascript") || strings.Contains(line, "text/html") || strings.Contains(line, "<script") {
			return []string{"has outputs that run JavaScript when the notebook is opened"}
		}
	}
	return nil
}
