package daemon_test

import (
	"net/http/cgi"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"proofbox"
)

// pushing makes a box clone, commit and push: a small file and, after that, one for
// which git asks first whether it may send much. What only looks like a fetch is none.
const pushing = `
exec 2>&1
export HOME=/tmp
git config --global user.name Box && git config --global user.email box@example.com
git clone -q https://example.com/repository.git clone && cd clone
head -c 9 /dev/urandom >file && git add file && git commit -qm one && git push origin HEAD:main
head -c 3000000 /dev/urandom >large && git add large && git commit -qm two && git push -f origin HEAD:other
curl -sS -H "Content-Type: application/x-git-upload-pack-request" -d 0000 https://example.com/other.git/git-upload-pack
curl -sS -H "Content-Type: application/json" -d 0000 https://example.com/repository.git/git-upload-pack
`

// gitServer serves a repository with one commit, as git's own program does.
func gitServer(t *testing.T) (*httptest.Server, string) {
	t.Helper()
	root := t.TempDir()
	repository := filepath.Join(root, "repository.git")
	git(t, root, "init", "-q", "--bare", "-b", "main", "repository.git")
	git(t, repository, "config", "http.receivepack", "true")
	tree := strings.TrimSpace(git(t, repository, "mktree"))
	first := strings.TrimSpace(git(t, repository, "-c", "user.name=Ann", "-c", "user.email=ann@example.org", "commit-tree", "-m", "first", tree))
	git(t, repository, "update-ref", "refs/heads/main", first)
	libexec := strings.TrimSpace(git(t, root, "--exec-path"))
	s := httptest.NewTLSServer(&cgi.Handler{
		Path: filepath.Join(libexec, "git-http-backend"), Env: []string{"GIT_PROJECT_ROOT=" + root, "GIT_HTTP_EXPORT_ALL=1"},
	})
	t.Cleanup(s.Close)
	return s, repository
}

func git(t *testing.T, dir string, args ...string) string {
	t.Helper()
	cmd := exec.Command("git", append([]string{"-C", dir}, args...)...)
	cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_NOSYSTEM=1")
	var problems strings.Builder
	cmd.Stderr = &problems
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("git %s: %v\n%s", args[0], err, problems.String())
	}
	return string(out)
}

// TestPushIsHeld: git is told that its push is held, in its own words; a person sends
// it, and what the other side does not take is not taken for sent.
func TestPushIsHeld(t *testing.T) {
	s, repository := gitServer(t)
	d := open(t)
	meet(d, s)
	spec := proofbox.Spec{Workspace: proofbox.Workspace{Original: t.TempDir()}, Egress: proofbox.Egress{Stage: []string{"example.com"}, Upload: 16 << 20}}
	push := func() (proofbox.Run, []proofbox.StagedID) {
		t.Helper()
		r := run(t, d, spec, pushing)
		for _, want := range []string{"HEAD -> main (held as request 1, and pushed when a person says so)", "HEAD -> other (held as request 2, ", "request 3 is held", "request 4 is held"} {
			if !strings.Contains(r.stdout, want) {
				t.Errorf("git was not told %q in the box:\n%s", want, r.stdout)
			}
		}
		diff, err := d.Diff(t.Context(), r.ID, proofbox.DiffRequest{})
		if err != nil || len(diff.Staged) != 4 {
			t.Fatalf("%d requests are held: %+v, %v", len(diff.Staged), diff.Staged, err)
		}
		return r.Run, []proofbox.StagedID{{N: 1, Hash: diff.Staged[0].Hash}, {N: 2, Hash: diff.Staged[1].Hash}}
	}
	first, requests := push()
	if log := git(t, repository, "log", "--all", "--format=%s"); log != "first\n" {
		t.Errorf("before anybody has said so, the server has %q", log)
	}
	sent, err := d.Send(t.Context(), first.ID, proofbox.SendRequest{Of: requests})
	if err != nil || sent.Staged[0].State != proofbox.Sent || !strings.Contains(string(sent.Staged[0].Answer), "ok refs/heads/main") {
		t.Errorf("%+v, %v", sent.Staged, err)
	}
	if log := git(t, repository, "log", "--format=%s", "other"); log != "two\none\nfirst\n" {
		t.Errorf("the server has %q", log)
	}
	if _, err := d.Send(t.Context(), first.ID, proofbox.SendRequest{Of: requests[:1], Again: true}); err == nil {
		t.Error("what was sent is sent once more")
	}

	// Two runs push to what both have seen; the second is too late.
	second, again := push()
	third, _ := push()
	if _, err := d.Send(t.Context(), second.ID, proofbox.SendRequest{Of: again}); err != nil {
		t.Fatal(err)
	}
	sent, err = d.Send(t.Context(), third.ID, proofbox.SendRequest{All: true})
	if err == nil || !strings.Contains(err.Error(), "ng refs/heads/main") || sent.Staged[1].State != proofbox.Held {
		t.Errorf("a push that came too late: %+v, %v", sent.Staged, err)
	}
}

// TestOpenedConnectionsAreKept: a client that has said nothing for a moment goes on in
// the same connection.
func TestOpenedConnectionsAreKept(t *testing.T) {
	s, _ := gitServer(t)
	d := open(t)
	meet(d, s)
	spec := proofbox.Spec{Workspace: proofbox.Workspace{Original: t.TempDir()}, Egress: proofbox.Egress{Inspect: []proofbox.Inspection{{Host: "example.com"}}}}
	const offer = "https://example.com/repository.git/info/refs?service=git-upload-pack"
	r := run(t, d, spec, "curl -sS -w '%{http_code} in %{num_connects} new connections\\n' -o /dev/null "+offer+" -o /dev/null "+offer)
	if want := "200 in 1 new connections\n200 in 0 new connections\n"; r.stdout != want {
		t.Errorf("curl says %q, want %q; %s", r.stdout, want, r.stderr)
	}
}
