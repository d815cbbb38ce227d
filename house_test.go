package proofbox_test

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// Bounds at which a reader loses the thread. Good files and functions are far
// below them.
const (
	maxFileLines = 600
	maxFuncLines = 80
)

// source is one Go file of this module.
type source struct {
	name string // relative to the root, with slashes
	text []byte
	file *ast.File
	set  *token.FileSet
}

func (s source) isTest() bool { return strings.HasSuffix(s.name, "_test.go") }

func (s source) line(n ast.Node) string {
	return s.name + ":" + strconv.Itoa(s.set.Position(n.Pos()).Line)
}

// files lists the files of the repository that a person writes.
func files(t *testing.T) []string {
	t.Helper()
	var list []string
	err := filepath.WalkDir(".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if name == ".git" && !entry.IsDir() {
			return nil // a second work tree has a file there
		}
		if entry.IsDir() && slices.Contains([]string{".git", "bin"}, name) {
			return filepath.SkipDir
		}
		if entry.Type().IsRegular() && name != ".git" { // a file, in a linked working tree
			list = append(list, filepath.ToSlash(name))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func sources(t *testing.T) []source {
	t.Helper()
	var list []source
	for _, name := range files(t) {
		if path.Ext(name) != ".go" || strings.Contains(name, "testdata/") {
			continue
		}
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		set := token.NewFileSet()
		file, err := parser.ParseFile(set, name, text, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, source{name, text, file, set})
	}
	if len(list) < 10 {
		t.Fatalf("only %d Go files found", len(list))
	}
	return list
}

// TestHousePackages: a package is a noun whose comment says what it does.
func TestHousePackages(t *testing.T) {
	t.Parallel()
	vague := []string{"util", "utils", "common", "helpers", "types", "models", "core", "store", "misc", "shared", "base"}
	for _, p := range goPackages(t) {
		if len(p.GoFiles) == 0 {
			continue // a package of tests alone
		}
		start := "Package " + p.Name + " "
		if p.Name == "main" {
			start = "Command " + path.Base(p.ImportPath) + " "
		}
		if !strings.HasPrefix(p.Doc, start) {
			t.Errorf("the comment of %s begins %q, not %q", p.ImportPath, p.Doc[:min(len(p.Doc), 30)], start)
		}
		if slices.Contains(vague, p.Name) {
			t.Errorf("the package name %s says nothing", p.ImportPath)
		}
	}
}

// TestHouseFiles: files and functions fit a reader.
func TestHouseFiles(t *testing.T) {
	t.Parallel()
	for _, s := range sources(t) {
		if n := bytes.Count(s.text, []byte("\n")); n > maxFileLines {
			t.Errorf("%s has %d lines, more than %d", s.name, n, maxFileLines)
		}
		if slices.Contains([]string{"util.go", "utils.go", "common.go", "helpers.go", "types.go", "misc.go"}, path.Base(s.name)) {
			t.Errorf("the file name %s says nothing", s.name)
		}
		for _, d := range s.file.Decls {
			f, ok := d.(*ast.FuncDecl)
			if !ok {
				continue
			}
			if n := s.set.Position(f.End()).Line - s.set.Position(f.Pos()).Line + 1; n > maxFuncLines {
				t.Errorf("%s: %s has %d lines, more than %d", s.line(f), f.Name.Name, n, maxFuncLines)
			}
			if f.Recv == nil && f.Name.Name == "init" {
				t.Errorf("%s: nothing happens by importing a package; give init a name and a caller", s.line(f))
			}
		}
	}
}

// TestHouseTests: tests wait for what they need, not for the clock, and compare
// with the standard library and go-cmp.
func TestHouseTests(t *testing.T) {
	t.Parallel()
	for _, s := range sources(t) {
		for _, i := range s.file.Imports {
			if strings.Contains(i.Path.Value, "stretchr/testify") {
				t.Errorf("%s imports %s", s.name, i.Path.Value)
			}
		}
		if !s.isTest() {
			continue
		}
		ast.Inspect(s.file, func(n ast.Node) bool {
			if call, ok := n.(*ast.SelectorExpr); ok && call.Sel.Name == "Sleep" {
				if pkg, ok := call.X.(*ast.Ident); ok && pkg.Name == "time" {
					t.Errorf("%s sleeps; wait for the event instead", s.line(n))
				}
			}
			return true
		})
	}
}

// TestHouseSkips: a test that is left out for want of something must fail where
// PROOFBOX_REQUIRE says that the thing is there.
func TestHouseSkips(t *testing.T) {
	t.Parallel()
	for _, s := range sources(t) {
		for _, d := range s.file.Decls {
			f, ok := d.(*ast.FuncDecl)
			if !ok || !s.isTest() {
				continue
			}
			skips, asks := false, false
			ast.Inspect(f, func(n ast.Node) bool {
				switch n := n.(type) {
				case *ast.SelectorExpr:
					skips = skips || slices.Contains([]string{"Skip", "Skipf", "SkipNow"}, n.Sel.Name)
				case *ast.BasicLit:
					asks = asks || n.Value == `"PROOFBOX_REQUIRE"`
				}
				return true
			})
			if skips && !asks {
				t.Errorf("%s: %s skips without asking PROOFBOX_REQUIRE", s.line(f), f.Name.Name)
			}
		}
	}
}

// TestHouseErrors: a message says what was being done, not that it failed.
func TestHouseErrors(t *testing.T) {
	t.Parallel()
	for _, s := range sources(t) {
		ast.Inspect(s.file, func(n ast.Node) bool {
			text, ok := n.(*ast.BasicLit)
			if ok && !s.isTest() && text.Kind == token.STRING && strings.HasPrefix(strings.Trim(text.Value, "`\""), "failed to") {
				t.Errorf("%s: %s", s.line(n), text.Value)
			}
			return true
		})
	}
}

// TestHouseDaemonIsLocal: one file of the client knows that a daemon can be in
// the same process; the others would do the same over a network.
func TestHouseDaemonIsLocal(t *testing.T) {
	t.Parallel()
	for _, s := range sources(t) {
		for _, i := range s.file.Imports {
			if strings.HasPrefix(s.name, "client/") && s.name != "client/local.go" && i.Path.Value == `"proofbox/internal/daemon"` {
				t.Errorf("%s imports the daemon", s.name)
			}
		}
	}
}

// TestHouseWords: nothing here is unfinished, or names the machine it was
// written on. The words are put together so that this file does not match.
func TestHouseWords(t *testing.T) {
	t.Parallel()
	banned := regexp.MustCompile(strings.Join([]string{
		`\bTO` + `DO\b`, `\bFIX` + `ME\b`, `\bXX` + `X\b`, `/wo` + `rk/`, `/tmp/br` + `ief`, `\bpb` + `test\b`, `/ro` + `ot/\.pyenv`,
	}, "|"))
	for _, name := range files(t) {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if path.Base(name) == "go.sum" || bytes.IndexByte(text, 0) >= 0 {
			continue
		}
		for i, line := range bytes.Split(text, []byte("\n")) {
			if found := banned.Find(line); found != nil {
				t.Errorf("%s:%d has %q", name, i+1, found)
			}
		}
	}
}
