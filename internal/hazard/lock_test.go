package hazard

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"proofbox"
)

// TestPackages: what a change of a lock file does to packages, in each of the forms.
func TestPackages(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		before, after string
		want          []proofbox.LockedPackage
	}{
		"package-lock.json": {
			`{"lockfileVersion": 3, "packages": {"": {"name": "me"}, "node_modules/a": {"version": "1.0.0", "resolved": "https://registry.npmjs.org/a/-/a-1.0.0.tgz", "integrity": "sha512-1"}, "node_modules/gone": {"version": "1.0.0"}}}`,
			`{"lockfileVersion": 3, "packages": {"": {"name": "me"}, "node_modules/a": {"version": "1.1.0", "resolved": "https://registry.npmjs.org/a/-/a-1.1.0.tgz", "integrity": "sha512-2"}, "node_modules/a/node_modules/@s/b": {"version": "2.0.0", "resolved": "https://evil.example/b.tgz", "hasInstallScript": true}}}`,
			[]proofbox.LockedPackage{
				{Name: "@s/b", After: "2.0.0", Host: "evil.example", Integrity: "none", Script: true},
				{Name: "a", Before: "1.0.0", After: "1.1.0", Host: "registry.npmjs.org", Integrity: "changed"},
				{Name: "gone", Before: "1.0.0", Integrity: "gone"},
			},
		},
		"sub/yarn.lock": {
			"# yarn lockfile v1\n\na@^1.0.0:\n  version \"1.0.0\"\n  resolved \"https://registry.yarnpkg.com/a/-/a-1.0.0.tgz#1\"\n  integrity sha512-1\n",
			"# yarn lockfile v1\n\na@^1.0.0:\n  version \"1.0.1\"\n  resolved \"https://registry.yarnpkg.com/a/-/a-1.0.1.tgz#1\"\n  integrity sha512-2\n\n\"@s/b@^2\":\n  version \"2.0.0\"\n",
			[]proofbox.LockedPackage{{Name: "@s/b", After: "2.0.0", Integrity: "none"}, {Name: "a", Before: "1.0.0", After: "1.0.1", Host: "registry.yarnpkg.com", Integrity: "changed"}},
		},
		"Cargo.lock": {
			"[[package]]\nname = \"a\"\nversion = \"1.0.0\"\nsource = \"registry+https://github.com/rust-lang/crates.io-index\"\nchecksum = \"11\"\n",
			"[[package]]\nname = \"a\"\nversion = \"1.0.0\"\nsource = \"registry+https://github.com/rust-lang/crates.io-index\"\nchecksum = \"22\"\n",
			[]proofbox.LockedPackage{{Name: "a", Before: "1.0.0", After: "1.0.0", Host: "github.com", Integrity: "changed"}},
		},
		"uv.lock": {
			"", "[[package]]\nname = \"a\"\nversion = \"1.0.0\"\nsource = { registry = \"https://pypi.org/simple\" }\nsdist = { url = \"https://files.pythonhosted.org/a-1.0.0.tar.gz\", hash = \"sha256:1\" }\n",
			[]proofbox.LockedPackage{{Name: "a", After: "1.0.0", Host: "pypi.org", Integrity: "new"}},
		},
		"pnpm-lock.yaml": {
			"lockfileVersion: '9.0'\n", "lockfileVersion: '9.0'\npackages:\n\n  '@s/b@1.2.3':\n    resolution: {integrity: sha512-1}\n    requiresBuild: true\n",
			[]proofbox.LockedPackage{{Name: "@s/b", After: "1.2.3", Integrity: "new", Script: true}},
		},
		"go.sum": {
			"example.com/a v1.0.0 h1:1=\nexample.com/a v1.0.0/go.mod h1:2=\n", "example.com/a v1.0.0 h1:9=\nexample.com/a v1.0.0/go.mod h1:2=\nexample.com/b v1.0.0 h1:3=\n",
			[]proofbox.LockedPackage{{Name: "example.com/a", Before: "v1.0.0", After: "v1.0.0", Integrity: "changed"}, {Name: "example.com/b", After: "v1.0.0", Integrity: "new"}},
		},
		"notes.txt": {"{", "}", nil},
	} {
		if diff := cmp.Diff(c.want, Packages(name, c.before, c.after)); diff != "" {
			t.Errorf("%s (-want +got)\n%s", name, diff)
		}
	}
}

// TestTamperedPackages: other bytes under the same version, and a trusted host's
// address of another package, want a yes.
func TestTamperedPackages(t *testing.T) {
	t.Parallel()
	lock := func(resolved, integrity string) string {
		return `{"packages": {"node_modules/left-pad": {"version": "1.3.0", "resolved": "https://registry.npmjs.org/` + resolved + `", "integrity": "` + integrity + `"}}}`
	}
	c := added("package-lock.json")
	c.Before = c.After
	before := lock("left-pad/-/left-pad-1.3.0.tgz", "sha512-1")
	for after, want := range map[string]string{
		before: "",
		lock("left-pad/-/left-pad-1.3.0.tgz", "sha512-2"):                                       "other bytes of",
		lock("evil/-/evil-1.3.0.tgz", "sha512-1"):                                               "not that package's",
		strings.ReplaceAll(lock("left-pad/-/left-pad-1.4.0.tgz", "sha512-2"), "1.3.0", "1.4.0"): "",
	} {
		list := Of(c, before, after)
		if (want == "") != (len(list) == 0) || want != "" && !strings.Contains(list[0].Words, want) {
			t.Errorf("%s: %v, want %q", after, list, want)
		}
	}
}

// FuzzPackages: whatever a lock file is, it is read.
func FuzzPackages(f *testing.F) {
	f.Add(`{"packages": {"node_modules/": {"version": "1"}}}`)
	f.Add("# yarn lockfile v1\n@:\n version")
	f.Add("[[package]]\nname = \"\"\n")
	f.Add("lockfileVersion: 1\n  'a@1':\n")
	f.Fuzz(func(t *testing.T, text string) {
		for _, name := range []string{"package-lock.json", "go.sum"} {
			Packages(name, text, text+text)
			Packages(name, "", text)
		}
	})
}
