package repository

import (
	"context"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var me = Person{Name: "Me <b> \n Myself", Email: "me@example.org"}

// TestMain gives the tests a user whom git knows, whoever runs them.
func TestMain(m *testing.M) {
	dir := value(os.MkdirTemp("", "identity"))
	settings := filepath.Join(dir, "gitconfig")
	if err := os.WriteFile(settings, []byte("[user]\n\tname = Me\n\temail = me@example.org\n"), 0o600); err != nil {
		panic(err)
	}
	for _, name := range []string{"GIT_AUTHOR_NAME", "GIT_AUTHOR_EMAIL"} {
		_ = os.Unsetenv(name)
	}
	_ = os.Setenv("GIT_CONFIG_GLOBAL", settings)
	code := m.Run()
	_ = os.RemoveAll(dir)
	os.Exit(code)
}

// git runs stock git as its user would, in a folder.
func git(t *testing.T, dir string, args ...string) string {
	t.Helper()
	cmd := exec.Command("git", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_NOSYSTEM=1", "HOME="+t.TempDir(),
		"GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@example.org", "GIT_COMMITTER_NAME=a", "GIT_COMMITTER_EMAIL=a@example.org")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("git %q: %v\n%s", args, err, out)
	}
	return strings.TrimSpace(string(out))
}

// repository makes one with a commit of "a" and "sub/b".
func repository(t *testing.T, init ...string) string {
	t.Helper()
	if _, err := exec.LookPath("git"); err != nil {
		if slices.Contains(strings.Split(os.Getenv("PROOFBOX_REQUIRE"), ","), "git") {
			t.Fatalf("git is required and missing: %v", err)
		}
		t.Skipf("git is missing: %v", err)
	}
	dir := t.TempDir()
	git(t, dir, append([]string{"init", "-q", "-b", "main"}, init...)...)
	plant(t, dir, map[string]string{"a": "1\n", "sub/b": "1\n"})
	git(t, dir, "add", "-A")
	git(t, dir, "commit", "-qm", "first")
	return dir
}

func plant(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	for name, text := range files {
		path := filepath.Join(dir, name)
		must(t, os.MkdirAll(filepath.Dir(path), 0o755))
		must(t, os.WriteFile(path, []byte(text), 0o755))
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func open(t *testing.T, folder string) *Repository {
	t.Helper()
	r, err := Open(t.Context(), folder, filepath.Join(t.TempDir(), "desk"))
	must(t, err)
	return r
}

func text(path, body string) File {
	return File{Path: path, Size: int64(len(body)), Open: func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(body)), nil }}
}

func plainMode(string, bool) fs.FileMode { return 0o644 }

// commit does all that a commit is.
func commit(ctx context.Context, r *Repository, dir, branch string, files ...File) (string, error) {
	tip, err := r.Tip(branch)
	if err != nil {
		return "", err
	}
	if _, err := r.Identity(ctx); err != nil {
		return "", err
	}
	var paths []string
	for _, f := range files {
		paths = append(paths, f.Path)
	}
	if err := r.Checkout(ctx, tip, dir, paths, plainMode); err != nil {
		return "", err
	}
	return r.Commit(ctx, tip, branch, "message", me, files)
}

// evil is a repository in which every program that git could be told to run leaves
// a file.
func evil(t *testing.T) (dir, canaries string) {
	dir, canaries = repository(t), t.TempDir()
	bird := func(name string) string {
		return "touch " + canaries + "/" + name + "; cat"
	}
	script := func(name string) string { return "#!/bin/sh\n" + bird(name) + " >/dev/null </dev/null\n" }
	hooks := map[string]string{}
	for _, hook := range []string{"pre-commit", "prepare-commit-msg", "commit-msg", "post-commit", "post-index-change", "reference-transaction", "post-checkout", "pre-auto-gc", "post-rewrite", "update", "post-update", "proc-receive", "pre-receive", "post-receive"} {
		hooks[hook] = script("hook-" + hook)
	}
	plant(t, filepath.Join(dir, ".git", "hooks"), hooks)
	plant(t, canaries, map[string]string{"program": script("program"), "included": "[core]\n\tfsmonitor = " + canaries + "/program\n"})
	plant(t, dir, map[string]string{".gitattributes": "* filter=evil diff=evil merge=evil\n"})
	config := "[user]\n\tname = From Repository\n\temail = repo@example.org\n[include]\n\tpath = " + canaries + "/included\n[filter \"evil\"]\n\tclean = " + bird("clean") + "\n\tsmudge = " + bird("smudge") + "\n\trequired\n" +
		"[diff \"evil\"]\n\ttextconv = " + canaries + "/program\n[merge \"evil\"]\n\tdriver = " + canaries + "/program\n[commit]\n\tgpgSign = false\n[gpg]\n\tprogram = " + canaries + "/program\n" +
		"[core]\n\thooksPath = " + dir + "/.git/hooks\n\tsshCommand = " + canaries + "/program\n\teditor = " + canaries + "/program\n\tpager = " + canaries + "/program\n[diff]\n\texternal = " + canaries + "/program\n" +
		"[alias]\n\tcat-file = !" + canaries + "/program\n\tfast-import = !" + canaries + "/program\n[extensions]\n\tpartialClone = evil\n[remote \"evil\"]\n\turl = ext::" + canaries + "/program\n\tpromisor = true\n[maintenance]\n\tauto = true\n"
	f, err := os.OpenFile(filepath.Join(dir, ".git", "config"), os.O_APPEND|os.O_WRONLY, 0)
	must(t, err)
	_, err = f.WriteString(config)
	must(t, err)
	must(t, f.Close())
	return dir, canaries
}

func sung(t *testing.T, canaries string) (names []string) {
	list, err := os.ReadDir(canaries)
	must(t, err)
	for _, e := range list {
		if e.Name() != "included" && (e.Name() != "program" || len(names) > 0) {
			names = append(names, e.Name())
		}
	}
	return slices.DeleteFunc(names, func(n string) bool { return n == "program" })
}

// TestNothingOfTheRepositoryRuns: a commit into a repository full of traps springs
// none of them. Stock git, the twin, springs several in the same repository.
func TestNothingOfTheRepositoryRuns(t *testing.T) {
	dir, canaries := evil(t)
	for _, name := range []string{"GIT_EXEC_PATH", "GIT_SSH_COMMAND", "GIT_EXTERNAL_DIFF", "GIT_PAGER", "GIT_EDITOR", "GIT_TEMPLATE_DIR", "GIT_OBJECT_DIRECTORY", "GIT_WORK_TREE", "GIT_INDEX_FILE"} {
		t.Setenv(name, canaries+"/program")
	}
	t.Setenv("GIT_CONFIG_COUNT", "1")
	t.Setenv("GIT_CONFIG_KEY_0", "core.fsmonitor")
	t.Setenv("GIT_CONFIG_VALUE_0", canaries+"/program")
	r := open(t, dir)
	who, err := r.Identity(t.Context())
	if err != nil || who.Email != "repo@example.org" {
		t.Errorf("the identity is %+v, %v", who, err)
	}
	_, err = commit(t.Context(), r, t.TempDir(), "kept", text("a", "2\n"), text("new", "x"))
	must(t, err)
	if names := sung(t, canaries); len(names) > 0 {
		t.Errorf("it has run %q", names)
	}
	rules, err := r.Rules(dir)
	must(t, err)
	if why, err := rules.Unfit("a", true); err != nil || !strings.Contains(why, "filter") {
		t.Errorf("a file with a filter is fit: %q, %v", why, err)
	}
	must(t, rules.Close())
	for _, name := range []string{"GIT_EXEC_PATH", "GIT_OBJECT_DIRECTORY", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_CONFIG_COUNT", "GIT_TEMPLATE_DIR", "GIT_EXTERNAL_DIFF"} {
		must(t, os.Unsetenv(name))
	}
	plant(t, dir, map[string]string{"a": "3\n"})
	git(t, dir, "add", "-A")
	git(t, dir, "commit", "-qm", "second")
	if names := sung(t, canaries); len(names) < 4 {
		t.Errorf("the traps are not armed: stock git has run %q", names)
	}
}

// TestKindsOfRepositories: each gets the commit on its branch, and nothing else of
// it changes.
func TestKindsOfRepositories(t *testing.T) {
	t.Parallel()
	for name, make := range map[string]func(t *testing.T) (folder, top string){
		"plain":       func(t *testing.T) (string, string) { d := repository(t); return d, d },
		"a subfolder": func(t *testing.T) (string, string) { d := repository(t); return d + "/sub", d },
		"SHA-256":     func(t *testing.T) (string, string) { d := repository(t, "--object-format=sha256"); return d, d },
		"packed": func(t *testing.T) (string, string) {
			d := repository(t)
			git(t, d, "branch", "other")
			git(t, d, "gc", "-q")
			return d, d
		},
		"a second work tree": func(t *testing.T) (string, string) {
			d := repository(t)
			w := filepath.Join(t.TempDir(), "tree")
			git(t, d, "worktree", "add", "-q", w)
			return w, w
		},
		"nothing checked out by name": func(t *testing.T) (string, string) {
			d := repository(t)
			git(t, d, "checkout", "-q", "--detach")
			return d, d
		},
		"no commit yet": func(t *testing.T) (string, string) {
			d := t.TempDir()
			git(t, d, "init", "-q")
			return d, d
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			folder, top := make(t)
			before, head := git(t, top, "status", "--porcelain"), value(os.ReadFile(filepath.Join(value(gitDir(top+"/.git")), "HEAD")))
			r := open(t, folder)
			odd := "we\"ird\\\n\x1b\xff ü"
			id, err := commit(t.Context(), r, t.TempDir(), "proofbox/x", text("new", "x"), text(odd, "odd\n"), text("deep/er/file", ""))
			must(t, err)
			again, err := commit(t.Context(), open(t, folder), t.TempDir(), "proofbox/x", File{Path: "new", Gone: true}, File{Path: "link", Link: true, Size: 3, Open: text("", "new").Open}, File{Path: "run", Program: true, Size: 1, Open: text("", "x").Open})
			must(t, err)
			if got := git(t, top, "log", "--format=%H %an", "-2", "proofbox/x"); got != again+" Me b  Myself\n"+id+" Me b  Myself" {
				t.Errorf("the log is %q", got)
			}
			tree := git(t, top, "ls-tree", "-r", "-z", "--full-tree", "proofbox/x")
			for _, want := range []string{odd + "\x00", "deep/er/file\x00", "120000 blob", "100755 blob"} {
				if !strings.Contains(tree, want) {
					t.Errorf("%q is not in %q", want, tree)
				}
			}
			if strings.Contains(tree, "\tnew\x00") {
				t.Error("what is gone is there")
			}
			git(t, top, "fsck", "--strict")
			if now := git(t, top, "status", "--porcelain"); now != before {
				t.Errorf("the status was %q and is %q", before, now)
			}
			if now := value(os.ReadFile(filepath.Join(value(gitDir(top+"/.git")), "HEAD"))); string(now) != string(head) {
				t.Errorf("HEAD was %q and is %q", head, now)
			}
		})
	}
}

func value[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// TestBranchesThatAreRefused: a name that git would refuse or that leads out, a
// branch that somebody works on, one in the way, one that is locked.
func TestBranchesThatAreRefused(t *testing.T) {
	t.Parallel()
	dir := repository(t)
	git(t, dir, "branch", "taken/deep")
	git(t, dir, "branch", "packed/deep")
	git(t, dir, "pack-refs", "--all")
	git(t, dir, "branch", "loose/deep")
	git(t, dir, "worktree", "add", "-q", filepath.Join(t.TempDir(), "w"), "-b", "elsewhere")
	outside := t.TempDir()
	must(t, os.Symlink(outside, filepath.Join(dir, ".git", "refs", "heads", "out")))
	plant(t, filepath.Join(dir, ".git", "refs", "heads"), map[string]string{"locked.lock": ""})
	must(t, os.Symlink(outside+"/target", filepath.Join(dir, ".git", "refs", "heads", "planted.lock")))
	for _, branch := range []string{
		"../x", "/x", "x/", "a//b", "-x", "HEAD", "x.lock", ".x", "a/.b", "x..y", "x y", "x\ny", "x~1", "x^", "x:y", "x?", "x*", "x[", `x\y`, "x@{1}", "@", "x.", "",
		"main", "elsewhere", "taken", "packed", "loose", "main/deeper", "out/x", "locked", "planted",
	} {
		before := git(t, dir, "for-each-ref")
		if id, err := commit(t.Context(), open(t, dir), t.TempDir(), branch, text("new", "x")); err == nil {
			t.Errorf("%q got the commit %s", branch, id)
		}
		if after := git(t, dir, "for-each-ref"); after != before {
			t.Errorf("%q: the branches are\n%s", branch, cmp.Diff(before, after))
		}
	}
	if list := value(os.ReadDir(outside)); len(list) > 0 {
		t.Errorf("outside there is %v", list)
	}
	must(t, os.Rename(filepath.Join(dir, ".git", "objects", "pack"), outside+"/pack"))
	must(t, os.Symlink(outside+"/pack", filepath.Join(dir, ".git", "objects", "pack")))
	before := len(value(os.ReadDir(outside + "/pack")))
	if _, err := commit(t.Context(), open(t, dir), t.TempDir(), "fine", text("new", "other bytes")); err == nil {
		t.Error("a pack was written through a link")
	}
	if after := len(value(os.ReadDir(outside + "/pack"))); after != before {
		t.Errorf("%d files became %d", before, after)
	}
}

// TestConditionalIncludes: who somebody is where, is what git says there.
func TestConditionalIncludes(t *testing.T) {
	dir := repository(t)
	home := filepath.Dir(dir)
	t.Setenv("HOME", home)
	git(t, dir, "remote", "add", "origin", "https://work.example/x/y.git")
	base, above, top := filepath.Base(dir), filepath.Base(home), filepath.Join(home, "settings")
	link := filepath.Join(t.TempDir(), "link")
	must(t, os.Symlink(dir, link))
	plant(t, home, map[string]string{"settings/work": "[user]\n\temail = work@example.org\n", "settings/circle": "[include]\n\tpath = circle\n[user]\n\temail = circle@example.org\n"})
	for condition, want := range map[string]bool{
		"gitdir:" + dir + "/": true, "gitdir:" + home + "/": true, "gitdir:" + dir + "/.git": true, "gitdir:" + dir: false, "gitdir:" + base + "/": true, "gitdir:~/" + base + "/": true, "gitdir:~/other/": false, "gitdir:../" + base + "/": false,
		"gitdir:" + strings.ToUpper(above) + "/": false, "gitdir/i:" + strings.ToUpper(above) + "/": true, "gitdir:*/.git": true, "gitdir:/*/.git": false, "gitdir:**/" + base[:1] + "*/.git": true, "gitdir:/**/.gi[!x]": true, "gitdir:/**/.gi[a-c]": false, "gitdir:" + link + "/": true,
		"onbranch:main": true, "onbranch:ma?n": true, "onbranch:feature/": false, "onbranch:m": false, "hasconfig:remote.*.url:https://work.example/**": true, "hasconfig:remote.*.url:https://other.example/**": false, "moon:full": false,
	} {
		plant(t, top, map[string]string{"global": "[user]\n\temail = home@example.org\n\tname = Me\n[includeIf \"" + condition + "\"]\n\tpath = work\n"})
		t.Setenv("GIT_CONFIG_GLOBAL", filepath.Join(top, "global"))
		folder := dir
		if strings.Contains(condition, link) {
			folder = link
		}
		who, err := open(t, folder).Identity(t.Context())
		must(t, err)
		if got := who.Email == "work@example.org"; got != want {
			t.Errorf("%s: %t, want %t", condition, got, want)
		}
		cmd := exec.Command("git", "-C", folder, "config", "user.email")
		if out, err := cmd.Output(); err != nil || strings.TrimSpace(string(out)) != who.Email && !strings.HasPrefix(condition, "gitdir:"+link) {
			t.Errorf("%s: git says %q, %v, and not %q", condition, out, err, who.Email)
		}
	}
	plant(t, top, map[string]string{"global": "[include]\n\tpath = circle\n[user]\n\tname = Me\n"})
	if who, err := open(t, dir).Identity(t.Context()); err != nil || who.Email != "circle@example.org" {
		t.Errorf("in a circle: %+v, %v", who, err)
	}
	// What the repository includes was written by whoever has written that.
	plant(t, dir, map[string]string{".git/evil": "[user]\n\temail = evil@example.org\n"})
	git(t, dir, "config", "include.path", "evil")
	if who, err := open(t, dir).Identity(t.Context()); err != nil || who.Email != "circle@example.org" {
		t.Errorf("by an include of the repository's: %+v, %v", who, err)
	}
}

// TestSigns: whether commits are to be signed is what the last setting says.
func TestSigns(t *testing.T) {
	for text, want := range map[string]bool{"": false, "\tgpgSign\n": true, "\tgpgsign = true\n": true, "\tGPGSIGN = yes\n": true, "\tgpgSign = true\n\tgpgSign = off\n": false, "\tgpgSign = 0\n": false} {
		dir, settings := repository(t), filepath.Join(t.TempDir(), "global")
		must(t, os.WriteFile(settings, []byte("[commit]\n"+text), 0o600))
		t.Setenv("GIT_CONFIG_GLOBAL", settings)
		if got := open(t, dir).Signs(t.Context()); got != want {
			t.Errorf("%q: %t", text, got)
		}
		git(t, dir, "config", "commit.gpgSign", "false")
		if open(t, dir).Signs(t.Context()) {
			t.Errorf("%q goes before the repository's own", text)
		}
	}
}

// TestReftableIsRefused: a repository in a form that is not known is refused with the
// way out.
func TestReftableIsRefused(t *testing.T) {
	t.Parallel()
	dir := repository(t)
	must(t, os.WriteFile(filepath.Join(dir, ".git", "HEAD"), []byte("ref: refs/heads/.invalid\n"), 0o644)) // as git has it there
	if _, err := Open(t.Context(), dir, filepath.Join(t.TempDir(), "desk")); err == nil || !strings.Contains(err.Error(), "git refs migrate") {
		t.Errorf("the error is %v", err)
	}
}

// TestSettingsStay (CVE-2023-29007): names that come out of a box, however long,
// leave a repository's settings as they are.
func TestSettingsStay(t *testing.T) {
	t.Parallel()
	dir := repository(t)
	settings := filepath.Join(dir, ".git", "config")
	was := value(os.ReadFile(settings))
	long := strings.Repeat("x", 200) + "/" + strings.Repeat("[core]fsmonitor=evil/", 60)
	_, err := commit(t.Context(), open(t, dir), t.TempDir(), "proofbox/"+strings.Repeat("y", 200), text(long+"x", "x"), text("submodule \"x\"]\n[core]\n\tfsmonitor = evil", "x"), text("a", "2\n"))
	must(t, err)
	if is := value(os.ReadFile(settings)); string(is) != string(was) {
		t.Errorf("the settings are\n%s", is)
	}
	for _, name := range []string{"config.worktree", "modules", "worktrees"} {
		if _, err := os.Lstat(filepath.Join(dir, ".git", name)); err == nil {
			t.Errorf("there is %q now", name)
		}
	}
}

// TestCheckoutHasWhatLiesInTheWay: a file where a folder is wanted, and the files
// of a folder where a file is.
func TestCheckoutHasWhatLiesInTheWay(t *testing.T) {
	t.Parallel()
	dir := repository(t)
	r := open(t, dir)
	tip, err := r.Tip("x")
	must(t, err)
	for paths, want := range map[string][]string{"a/deeper": {"a"}, "sub": {"sub/b"}, "other": nil, "a": {"a"}} {
		found, err := r.Tracked(t.Context(), tip, []string{paths})
		must(t, err)
		var got []string
		for path := range found {
			got = append(got, path)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%q: %q, want %q", paths, got, want)
		}
	}
}

// TestRules: what git ignores or converts is told as git tells it.
func TestRules(t *testing.T) {
	t.Parallel()
	dir := repository(t)
	plant(t, dir, map[string]string{
		".gitignore": "*.log\n/build/\n!keep.log\n# x\n", "sub/.gitignore": "here\n",
		".gitattributes":     "[attr]big filter=lfs -text\n*.bin big\n*.png filter=x diff\nsub/*.png -filter\n\"q q\" ident\n/ filter=x\na/ filter=x\nsub -filter\nsub/*/deep/*.x filter=x\n**/any.[!y] filter=x\n/top.* filter=x\n[ filter=x\n** \n*.txt text\n",
		"sub/.gitattributes": "deep.* working-tree-encoding=UTF-16\n",
	})
	plant(t, dir, map[string]string{".git/info/exclude": "private\n", ".git/info/attributes": "forced.bin -filter\n"})
	rules, err := open(t, dir).Rules(dir)
	must(t, err)
	defer rules.Close()
	for path, fit := range map[string]bool{
		"a.log": false, "keep.log": true, "build/x": false, "sub/build/x": true, "sub/here": false, "here": true, "private": false,
		"x.bin": false, "forced.bin": true, "x.png": false, "sub/x.png": true, "q q": false, "a/b": true, "x.txt": true, "sub/deep.c": false, "deep.c": true,
		"sub/m.bin": false, "sub/1/deep/a.x": false, "sub/1/2/deep/a.x": true, "any.x": false, "1/2/any.x": false, "any.y": true, "top.x": false, "sub/top.x": true,
	} {
		why, err := rules.Unfit(path, false)
		if err != nil || (why == "") != fit {
			t.Errorf("%q: %q, %v", path, why, err)
		}
		// What stock git says of the same path.
		ignored := exec.Command("git", "-C", dir, "check-ignore", "-q", "--no-index", path).Run() == nil
		out, err := exec.Command("git", "-C", dir, "check-attr", "filter", "ident", "working-tree-encoding", "--", path).Output()
		must(t, err)
		converts := slices.ContainsFunc(strings.Split(strings.TrimSpace(string(out)), "\n"), func(line string) bool {
			return !strings.HasSuffix(line, ": unspecified") && !strings.HasSuffix(line, ": unset")
		})
		if fit == (ignored || converts) {
			t.Errorf("git says of %q: ignored %t, converted %t", path, ignored, converts)
		}
	}
	if why, _ := rules.Unfit("a.log", true); why != "" {
		t.Errorf("a file that is in the commit before is %q", why)
	}
}

// FuzzRules: whatever the lines are, a path is judged.
func FuzzRules(f *testing.F) {
	f.Add("*.log\n!a/\n**/x/**\n[", "* filter=x\n[attr]a b\n\"\\q\" ident\na/ -filter", "a/b")
	f.Fuzz(func(t *testing.T, ignore, attributes, path string) {
		r := &Rules{macros: map[string][]string{}, read: map[string]bool{}}
		r.lines(io.NopCloser(strings.NewReader(ignore)), nil, r.addIgnore)
		r.lines(io.NopCloser(strings.NewReader(attributes)), []string{"a"}, r.addAttribute)
		for dir := path; dir != "."; dir = filepath.Dir(dir) {
			r.read[dir] = true
			if dir == "/" || dir == "" {
				break
			}
		}
		r.converts(strings.Split(path, "/"))
	})
}
