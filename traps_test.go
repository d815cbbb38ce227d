package proofbox_test

import (
	"go/ast"
	"os"
	"path"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// trap is one way in which taking over what an untrusted program wrote has hurt
// somebody, and what holds proofbox against it: tests as "package Test" or, of a
// test whose cases have names, "package Test/case", lines of a file as "file: line".
type trap struct {
	what string
	held []string
}

// traps are those of the field notes on workspaces, section 5, in their order. A
// test that goes takes its line with it, or fails here.
var traps = []trap{
	// 5.1 Published holes, and what they teach.
	{"CVE-2023-23946: a patch makes a link and writes through it", []string{"internal/workspace TestPatchOfASetThatLeadsOut/through a link", "internal/workspace TestASetWritesThroughNoLinkOfItsOwn"}},
	{"CVE-2023-25652: a side file is planted beforehand", []string{"internal/workspace TestPlantedTemporaryName/link", "internal/workspace TestPatchOfASetThatLeadsOut/a rejects file", "internal/workspace TestTraps/a temporary name of a keep", "internal/workspace TestTraps/a name of the journal"}},
	{"CVE-2023-29007: settings are rewritten with names of the run's", []string{"internal/repository TestSettingsStay"}},
	{"CVE-2024-32002, CVE-2021-21300: case, normal form and a link", []string{"internal/hazard TestTwins/case", "internal/hazard TestTwins/normal form", "internal/workspace TestTraps/another case of a folder", "internal/workspace TestTraps/another normal form"}},
	{"CVE-2024-32004, -32020, -32021, -32465: a hostile repository is cloned by path", []string{"internal/repository TestNothingOfTheRepositoryRuns", ". TestProgramsOfTheHost"}},
	{"CVE-2025-48384: a carriage return at the end of a path", []string{"internal/workspace TestTraps/name with a carriage return"}},
	{"CVE-2022-39253, CVE-2023-22490: links in objects/ leak files", []string{"internal/workspace TestLinksOfTheBoxAreNotFollowed"}},
	{"CVE-2019-1352, -1353, -1354, CVE-2014-9390: aliases of .git", []string{
		"internal/workspace TestTraps/.git in capitals", "internal/workspace TestTraps/.git with a dot", "internal/workspace TestTraps/.git with a blank", "internal/workspace TestTraps/.git with zero width",
		"internal/workspace TestTraps/.git as an NTFS stream", "internal/workspace TestTraps/.git by its short name", "internal/workspace TestTraps/name with a backslash",
	}},
	{"CVE-2018-1000156, CVE-2019-13636, -13638, CVE-2015-1196: patch(1)", []string{". TestProgramsOfTheHost", "internal/workspace FuzzPatch"}},
	{"CVE-2021-42574: Trojan Source", []string{"internal/workspace TestTraps/Trojan Source (CVE-2021-42574)"}},
	{"CVE-2021-42694: homoglyphs", []string{"internal/workspace TestTraps/homoglyph (CVE-2021-42694)"}},
	{"CVE-2025-22873, CVE-2026-32282, CVE-2026-39822: os.Root", []string{". TestGoIsMended", "internal/workspace TestOriginalWhoseLinksLeadIn"}},
	{"an export is written where a link leads", []string{"testdata/script/review.txtar: ! exec proofbox diff last --export-patch ../planted"}},
	{"CVE-2025-59536, CVE-2026-21852, CVE-2025-61260: settings of agents run programs", []string{"internal/hazard/testdata/paths: .claude/settings.json", "internal/hazard/testdata/paths: .codex/config.toml", "internal/hazard/testdata/paths: .mcp.json"}},
	{"an approval is bound to a folder and used again", []string{"internal/workspace TestKeepRefusesByName", "internal/workspace TestKeepOnlyWhatWasShown"}},

	// 5.2 The host's git in a tree that was written by somebody else.
	{"status, diff, add, stash, commit, checkout and log run filters, fsmonitor, hooks, textconv", []string{"internal/repository TestNothingOfTheRepositoryRuns", "testdata/script/commit.txtar: ! exists $WORK/sprung", ". TestProgramsOfTheHost"}},

	// 5.3 What hides a change from git diff.
	{"info/attributes: -diff", []string{"internal/workspace TestTraps/attributes that hide", "testdata/script/githides.txtar: stdout 'modified +\\+1 -1 +attributed.js$'"}},
	{"skip-worktree, assume-unchanged", []string{"internal/workspace TestTraps/skip-worktree, assume-unchanged", "testdata/script/githides.txtar: stdout 'modified +\\+1 -1 +skipped.js$'"}},
	{"info/exclude", []string{"internal/workspace TestTraps/exclude that hides", "testdata/script/githides.txtar: stdout 'added +\\+1 -0 +excluded.js$'"}},
	{"an embedded repository", []string{"internal/workspace TestTraps/.git as a file", "internal/workspace TestTraps/bare repository (embedded)", "testdata/script/githides.txtar: stdout 'added +\\+1 -0 +embedded/evil.js$'"}},
	{"an amended commit", []string{"internal/workspace TestTraps/an amended commit", "testdata/script/githides.txtar: stdout 'modified +\\+1 -1 +amended.js$'"}},
	{"core.fileMode=false", []string{"internal/workspace TestTraps/file mode that git ignores", "testdata/script/githides.txtar: stdout 'modified .* x.sh \\(mode 644 → 755\\)'"}},
	{".gitignore", []string{"internal/workspace TestTraps/ignored by its own .gitignore"}},
	{"linguist-generated", []string{"internal/workspace TestTraps/attributes in the tree"}},
	{"a huge generated file comes first", []string{"internal/workspace TestTraps/huge generated file first"}},
	{"noise of line ends", []string{"internal/workspace TestChangesAtLineEndsAreSaid"}},

	// 5.4 Paths.
	{"absolute, .., empty part, NUL", []string{"internal/workspace TestPathsThatAreNone", "internal/workspace TestIndexThatWasAlteredIsNotRead", "internal/workspace TestJournalThatWasAlteredIsNotReplayed"}},
	{"newline, CR, ESC", []string{"internal/workspace TestTraps/name with a new line", "internal/workspace TestTraps/name with an escape sequence"}},
	{"invalid UTF-8", []string{"internal/workspace TestTraps/name that is no UTF-8"}},
	{"very long", []string{"internal/workspace TestTraps/very long name", "internal/workspace TestDeepNesting"}},
	{"a dot or blank at the end", []string{"internal/workspace TestTraps/name with a dot at its end", "internal/workspace TestTraps/name with a blank at its end"}},
	{"names of devices", []string{"internal/workspace TestTraps/name of a device"}},
	{"file and folder swap", []string{"internal/workspace TestTypesMaySwap", "internal/workspace TestChangesAreWhatTheAgentSaw"}},
	{"a name equal to one of proofbox's own", []string{"internal/workspace TestTraps/a temporary name of a keep", "internal/workspace TestPlantedTemporaryName/name"}},

	// 5.4 Objects.
	{"a link whose parent or target changes in the same set", []string{"internal/workspace TestASetWritesThroughNoLinkOfItsOwn", "internal/workspace TestTraps/link that goes down and up", "internal/workspace TestKeepWritesNothingWhereOnePathHasMoved/link in the way"}},
	{"a link to an absolute path, or outside", []string{"internal/workspace TestTraps/absolute link", "internal/workspace TestTraps/link out of the workspace"}},
	{"a hard link to outside", []string{"internal/workspace TestKeepDoesNotWriteThroughHardLinks", "internal/workspace TestNamesOfOneFile"}},
	{"FIFO, socket, device", []string{"internal/workspace TestTraps/FIFO", "internal/workspace TestTraps/socket", "internal/workspace TestDevicesAreRefused"}},
	{"setuid, setgid, sticky", []string{"internal/workspace TestTraps/set-user-ID", "internal/workspace TestTraps/set-group-ID", "internal/workspace TestRightsOfFilesAreNotKept"}},
	{"capabilities and access lists", []string{"internal/workspace TestRightsOfFilesAreNotKept", "internal/workspace TestAttributesAreSaid"}},
	{"sparse, and larger than 4 GiB", []string{"internal/workspace TestTraps/sparse file of a terabyte", "internal/workspace TestSparseFilesStaySparse"}},
	{"immutable", []string{"internal/workspace TestOriginalThatMayNotChange"}},

	// 5.4 What runs by itself, and never by a bulk keep.
	{"a repository's own files", []string{
		"internal/hazard/testdata/paths: .git/hooks/pre-commit", "internal/hazard/testdata/paths: .git/config", "internal/hazard/testdata/paths: .git/info/attributes", "internal/hazard/testdata/paths: .git/modules/x/config",
		"internal/workspace TestTraps/commondir of a worktree", "internal/workspace TestTraps/alternates", "internal/hazard/testdata/paths: sub/.git",
	}},
	{"hooks of other tools", []string{"internal/hazard/testdata/paths: .husky/pre-push", "internal/hazard/testdata/paths: .pre-commit-config.yaml"}},
	{"editors", []string{"internal/hazard/testdata/paths: .vscode/tasks.json", "internal/hazard/testdata/paths: .vscode/settings.json", "internal/hazard/testdata/paths: .idea/runConfigurations/x.xml"}},
	{"dev containers", []string{"internal/hazard/testdata/paths: .devcontainer/devcontainer.json", "internal/hazard/testdata/paths: .devcontainer.json"}},
	{"direnv", []string{"internal/hazard/testdata/paths: .envrc"}},
	{"settings and instructions of agents", []string{"internal/hazard/testdata/paths: .gemini/settings.json", "internal/hazard/testdata/paths: .cursor/rules/x.mdc", "internal/hazard/testdata/paths: AGENTS.md", "internal/hazard/testdata/paths: docs/CLAUDE.md"}},
	{"shells", []string{"internal/hazard/testdata/paths: .bashrc", "internal/hazard/testdata/paths: .zshenv"}},
	{".gitattributes, .gitmodules", []string{"internal/hazard/testdata/paths: .gitattributes", "internal/hazard/testdata/paths: .gitmodules"}},
	{"package managers", []string{"internal/hazard/testdata/paths: .npmrc", "internal/hazard/testdata/paths: .yarnrc.yml", "internal/hazard/testdata/paths: pip.conf"}},
	{"Python", []string{"internal/hazard/testdata/paths: conftest.py", "internal/hazard/testdata/paths: sitecustomize.py", "internal/hazard/testdata/paths: lib/x.pth"}},
	{"build.rs, go:generate, tools.go", []string{"internal/hazard/testdata/paths: build.rs", "internal/hazard/testdata/paths: gen.go", "internal/hazard/testdata/paths: tools.go"}},
	{"CI", []string{"internal/hazard/testdata/paths: .github/workflows/ci.yml", "internal/hazard/testdata/paths: .gitlab-ci.yml", "internal/hazard/testdata/paths: Jenkinsfile"}},
	{"builds", []string{
		"internal/hazard/testdata/paths: Makefile", "internal/hazard/testdata/paths: Taskfile.yml", "internal/hazard/testdata/paths: justfile", "internal/hazard/testdata/paths: package.json", "internal/hazard/testdata/paths: pyproject.toml",
		"internal/hazard/testdata/paths: setup.py", "internal/hazard/testdata/paths: Cargo.toml", "internal/hazard/testdata/paths: Dockerfile", "internal/hazard/testdata/paths: x.csproj", "internal/hazard/testdata/paths: CMakeLists.txt",
		"internal/hazard/testdata/paths: gradle/wrapper/gradle-wrapper.jar", "internal/hazard/testdata/paths: gradle/wrapper/gradle-wrapper.properties",
	}},
	{"lock files: hosts, digests, scripts, another package at a trusted host", []string{"internal/hazard TestPackages", "internal/hazard TestTamperedPackages"}},

	// 5.4 Text.
	{"bidi, zero-width, tags, variation selectors, mixed scripts, far right, BOM, ANSI", []string{"internal/hazard TestHiddenText", "internal/workspace TestTraps/text far to the right", "internal/workspace TestTraps/byte order mark inside", "internal/terminal FuzzWriter"}},
	{"blanks at line ends, mixed line ends", []string{"internal/workspace TestChangesAtLineEndsAreSaid"}},
	{"NUL after eight kilobytes", []string{"internal/workspace TestTraps/NUL after eight kilobytes"}},

	// 5.4 Race.
	{"processes of the run still write", []string{"testdata/script/hostile.txtar: ! exec grep -laz writes-after-the-end -r /proc --include=cmdline", "internal/workspace TestShownBytesAreTheKeptBytes", "internal/workspace TestPlantedTemporaryName/FIFO"}},

	// Bad input beside these.
	{"a file that changed after it was shown", []string{"internal/workspace TestShownBytesAreTheKeptBytes", "internal/workspace TestKeepOnlyWhatWasShown", "internal/workspace TestStoreThatWasAlteredIsNotApplied"}},
	{"a million changed files", []string{"internal/daemon TestTooManyToList", "internal/workspace TestSum"}},
	{"a binary of 2 GiB", []string{"internal/workspace TestTraps/binary of 2 GiB"}},
	{"one line of 50 MB", []string{"internal/workspace TestTraps/one line of 50 MB"}},

	// 5.5 os.Root.
	{"a write through a link that stays inside", []string{"internal/workspace TestOriginalWhoseLinksLeadIn", "internal/workspace TestTraps/link into git (os.Root)", "internal/workspace TestTraps/link to a hook"}},
	{"a write in place into a file with a name outside", []string{"internal/workspace TestOriginalWhoseLinksLeadIn", "internal/workspace TestKeepDoesNotWriteThroughHardLinks"}},
}

// TestTraps finds, for each trap, the tests that are said to hold.
func TestTraps(t *testing.T) {
	t.Parallel()
	tests := testNames(t)
	for _, trap := range traps {
		t.Run(trap.what, func(t *testing.T) {
			if len(trap.held) == 0 {
				t.Error("nothing holds it")
			}
			for _, held := range trap.held {
				name, line, ok := strings.Cut(held, ": ")
				if !ok {
					if !tests[held] {
						t.Errorf("there is no test %q", held)
					}
					continue
				}
				text, err := os.ReadFile(name)
				if err != nil || !slices.Contains(strings.Split(string(text), "\n"), line) {
					t.Errorf("%s has no line %q, %v", name, line, err)
				}
			}
		})
	}
}

// testNames gives the tests of all packages, and with each the texts in it and in
// the tables of its file, which name its cases.
func testNames(t *testing.T) map[string]bool {
	names := map[string]bool{}
	for _, s := range sources(t) {
		if !s.isTest() {
			continue
		}
		var tables []ast.Node
		var own []*ast.FuncDecl
		for _, d := range s.file.Decls {
			f, ok := d.(*ast.FuncDecl)
			switch {
			case !ok:
				tables = append(tables, d)
			case strings.HasPrefix(f.Name.Name, "Test") || strings.HasPrefix(f.Name.Name, "Fuzz"):
				own = append(own, f)
			}
		}
		for _, f := range own {
			name := path.Dir(s.name) + " " + f.Name.Name
			names[name] = true
			for _, n := range append(slices.Clone(tables), f) {
				for text := range keys(n) {
					names[name+"/"+text] = true
				}
			}
		}
	}
	return names
}

// keys gives the texts that are keys of a table in a declaration.
func keys(n ast.Node) map[string]bool {
	found := map[string]bool{}
	ast.Inspect(n, func(n ast.Node) bool {
		pair, ok := n.(*ast.KeyValueExpr)
		if !ok {
			return true
		}
		if lit, ok := pair.Key.(*ast.BasicLit); ok {
			if text, err := strconv.Unquote(lit.Value); err == nil {
				found[text] = true
			}
		}
		return true
	})
	return found
}

// TestGoIsMended: this Go has no known way out of os.Root.
func TestGoIsMended(t *testing.T) {
	t.Parallel()
	least := []int{1, 26, 5}
	for i, part := range strings.Split(strings.TrimPrefix(runtime.Version(), "go"), ".") {
		n, err := strconv.Atoi(part)
		if err != nil {
			t.Fatalf("%s is no release, so nobody knows", runtime.Version())
		}
		if n != least[i] {
			if n < least[i] {
				t.Errorf("%s is older than 1.26.5, and os.Root lets out of its folder (CVE-2026-39822)", runtime.Version())
			}
			return
		}
	}
}

// starters are the packages that start programs on the host, and which. What came
// out of a box is handed to none of them but ours that confine themselves first: no
// git in a tree of a box's, no patch(1), no tar, no shell.
var starters = map[string]string{
	"internal/box":             "mkfs.ext4, on a new and empty image",
	"internal/box/jail":        "proofbox-jail, and newuidmap for it",
	"internal/contents":        "proofbox-contents, which gives up what it does not need",
	"internal/daemon":          "itself, to supervise a run, and apt-get for `proofbox setup`",
	"internal/debian":          "apt-get, to make a base",
	"internal/repository":      "git, in a folder of proofbox's own with none of a repository's settings",
	"internal/breakout":        "tools in trials, on what the trial has made",
	"internal/syntax":          "proofbox-syntax, which gives up all that it had",
	"internal/bench":           "what is measured",
	"internal/spend/spendtest": "a PostgreSQL, for tests and measurements",
	"cmd/proofbox-attack":      "what attacks, inside a box",
}

// TestProgramsOfTheHost: no other package starts any.
func TestProgramsOfTheHost(t *testing.T) {
	t.Parallel()
	found := map[string]bool{}
	for _, s := range sources(t) {
		for _, i := range s.file.Imports {
			if i.Path.Value == `"os/exec"` && !s.isTest() {
				found[path.Dir(s.name)] = true
			}
		}
	}
	for dir := range found {
		if starters[dir] == "" {
			t.Errorf("%s starts programs and is not in the list", dir)
		}
	}
	for dir := range starters {
		if !found[dir] {
			t.Errorf("%s starts no program any more", dir)
		}
	}
}
