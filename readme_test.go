package proofbox_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"proofbox"
	"proofbox/internal/boxfile"
)

// documents are those whose commands a reader will type.
var documents = []string{"README.md", "ARCHITECTURE.md", "SECURITY.md", "docs/review.md"}

// commands gives the lines of a document's fenced sh blocks, without comments.
func commands(t *testing.T, document string) []string {
	t.Helper()
	text, err := os.ReadFile(document)
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	for _, block := range regexp.MustCompile("(?s)```sh\n(.*?)```").FindAllStringSubmatch(string(text), -1) {
		for line := range strings.Lines(block[1]) {
			line, _, _ = strings.Cut(line, "#")
			if line = strings.TrimSpace(line); line != "" {
				list = append(list, line)
			}
		}
	}
	return list
}

// TestReadmeTargets: every make target that a document names is there.
func TestReadmeTargets(t *testing.T) {
	t.Parallel()
	makefile, err := os.ReadFile("Makefile")
	if err != nil {
		t.Fatal(err)
	}
	named := map[string]bool{}
	for _, d := range documents {
		for _, c := range commands(t, d) {
			words := strings.Fields(c)
			if words[0] != "make" {
				continue
			}
			for _, target := range words[1:] {
				named[target] = true
				if !regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(target) + `:.*## `).Match(makefile) {
					t.Errorf("%s names `make %s`, which the Makefile does not explain", d, target)
				}
			}
		}
	}
	if !named["demo"] || !named["test"] {
		t.Errorf("README.md does not name `make demo` and `make test`: %v", named)
	}
}

// TestReadmeCommands: every proofbox command that a document shows is there,
// with the flags that it is shown with.
func TestReadmeCommands(t *testing.T) {
	t.Parallel()
	binary := filepath.Join(t.TempDir(), "proofbox")
	if out, err := exec.Command("go", "build", "-o", binary, "./cmd/proofbox").CombinedOutput(); err != nil {
		t.Fatalf("building proofbox: %v\n%s", err, out)
	}
	shown := 0
	for _, d := range documents {
		for _, c := range commands(t, d) {
			words := strings.Fields(c)
			if words[0] != "proofbox" && words[0] != "bin/proofbox" {
				continue
			}
			shown++
			if end := slices.Index(words, "--"); end >= 0 {
				words = words[:end]
			}
			verbs := words[1:]
			if end := slices.IndexFunc(verbs, func(w string) bool { return strings.HasPrefix(w, "-") || strings.ToUpper(w) == w }); end >= 0 {
				verbs = verbs[:end]
			}
			help, err := exec.Command(binary, append(slices.Clone(verbs), "--help")...).CombinedOutput()
			if err != nil {
				t.Errorf("%s shows %q, but proofbox says: %v\n%s", d, c, err, help)
			}
			for _, w := range words {
				flag, _, _ := strings.Cut(w, "=")
				if strings.HasPrefix(flag, "-") && !regexp.MustCompile(`(?m)(^|[\s,])`+regexp.QuoteMeta(flag)+`\b`).Match(help) {
					t.Errorf("%s shows %q, but the command has no flag %s", d, c, flag)
				}
			}
		}
	}
	if shown == 0 {
		t.Error("no document shows a proofbox command")
	}
}

// TestReadmeWorksAsWritten types the commands of README.md one after another,
// in a folder like the one that they were written for.
func TestReadmeWorksAsWritten(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	plant(t, folder, map[string]string{"docs/page.md": "a page\n", "main.go": "package main\n"})
	typed(t, "README.md", "bin/", folder)
	kept, err := os.ReadFile(filepath.Join(folder, "hello.txt"))
	if err != nil || string(kept) != "hello\n" {
		t.Errorf("the kept file holds %q, %v", kept, err)
	}
	if _, err := os.Stat(filepath.Join(folder, "docs/page.md")); err != nil {
		t.Errorf("what was discarded is gone from the original: %v", err)
	}
}

// TestReviewGuideWorksAsWritten does so with docs/review.md.
func TestReviewGuideWorksAsWritten(t *testing.T) {
	t.Parallel()
	folder, plan := t.TempDir(), ""
	for i := range 30 {
		plan += fmt.Sprintf("step %d\n", i+1)
	}
	plant(t, folder, map[string]string{"plan.txt": plan})
	for _, args := range [][]string{{"init", "-q"}, {"config", "user.name", "Ann"}, {"config", "user.email", "ann@example.org"}, {"add", "."}, {"commit", "-qm", "a plan"}} {
		if out, err := exec.Command("git", append([]string{"-C", folder}, args...)...).CombinedOutput(); err != nil {
			t.Fatalf("git %s: %v\n%s", args[0], err, out)
		}
	}
	typed(t, "docs/review.md", "", folder)
	// The last keep of a file was undone, the one before is still there.
	want := strings.NewReplacer("step 3\n", "step 3, done\n", "step 28\n", "step 28, done\n").Replace(plan)
	if got, err := os.ReadFile(filepath.Join(folder, "plan.txt")); err != nil || string(got) != want {
		t.Errorf("the plan is %q, %v", got, err)
	}
	if out, err := exec.Command("git", "-C", folder, "log", "--all", "--format=%s").CombinedOutput(); err != nil || string(out) != "notes of a run\na plan\n" {
		t.Errorf("the commits are %q, %v", out, err)
	}
}

func plant(t *testing.T, folder string, files map[string]string) {
	t.Helper()
	for path, text := range files {
		path = filepath.Join(folder, path)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
}

// typed types those commands of a document in a folder that begin so.
func typed(t *testing.T, document, prefix, folder string) {
	t.Helper()
	bin, home := programs(t), t.TempDir()
	n := 0
	for _, c := range commands(t, document) {
		rest, ok := strings.CutPrefix(c, prefix)
		if !ok {
			continue
		}
		n++
		cmd := exec.Command("/bin/sh", "-c", rest)
		cmd.Dir = folder
		cmd.Env = append(os.Environ(), "PATH="+bin+":"+os.Getenv("PATH"), "PROOFBOX_BIN="+bin, "PROOFBOX_HOME="+home)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", c, err, out)
		}
	}
	if n == 0 {
		t.Errorf("%s shows no command to type", document)
	}
}

// programs gives the folder of the built programs.
func programs(t *testing.T) string {
	t.Helper()
	bin := os.Getenv("PROOFBOX_BIN")
	if bin == "" {
		bin, _ = filepath.Abs("bin")
	}
	for _, program := range []string{"proofbox", "proofbox-jail", "proofbox-init", "runc", "runsc"} {
		if _, err := os.Stat(filepath.Join(bin, program)); err == nil {
			continue
		}
		if slices.Contains(strings.Split(os.Getenv("PROOFBOX_REQUIRE"), ","), program) {
			t.Fatalf("%s is required and missing; `make build` makes it", program)
		}
		t.Skipf("%s is missing; `make build` makes it", program)
	}
	return bin
}

// TestReadmeBoxFile: the box file that README.md shows is one.
func TestReadmeBoxFile(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := regexp.MustCompile("(?s)```yaml\n(.*?)```").FindAllStringSubmatch(string(text), -1)
	if len(blocks) == 0 {
		t.Fatal("README.md shows no box file")
	}
	for _, b := range blocks {
		spec, err := boxfile.Read("README.md", strings.NewReader(b[1]))
		if err != nil {
			t.Error(err)
		}
		if spec.Risk.Code != proofbox.Agent {
			t.Errorf("the box file in README.md was read as %+v", spec)
		}
	}
}
