package workspace

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"proofbox"
)

// TestBinaryPatch: git applies the bytes of what is no text, both ways, and a
// patch that makes other bytes than the run is not kept.
func TestBinaryPatch(t *testing.T) {
	t.Parallel()
	git := needGit(t)
	noise := make([]byte, 100_000)
	for i := range noise {
		noise[i] = byte(rand.Uint32())
	}
	old, neu := "\x00old", string(noise)
	s := newSite(t, map[string]string{"changed": old, "gone": "\x00gone", "same": "text"}).freeze(t, false)
	plant(t, s.upper, map[string]string{"changed": neu, "new": "\x00", "same": "text", "large": strings.Repeat("line\n", maxText/4)})
	must(t, os.Chmod(s.upper+"/changed", 0o600))
	must(t, setOpaque(s.upper))
	c := s.collect(t)
	for _, change := range c.List() {
		if !Patched(change, true) || Patched(change, false) {
			t.Errorf("%q: is it in a patch? %t; without bytes? %t", change.Path, Patched(change, true), Patched(change, false))
		}
	}
	var patch bytes.Buffer
	must(t, c.WritePatch(&patch, c.List()))
	apply := func(flags ...string) {
		cmd := exec.Command(git, append([]string{"apply"}, flags...)...)
		cmd.Dir, cmd.Stdin = s.original, bytes.NewReader(patch.Bytes())
		cmd.Env = append(os.Environ(), "GIT_CEILING_DIRECTORIES="+filepath.Dir(s.original), "GIT_CONFIG_GLOBAL=/dev/null")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("git apply %q: %v\n%s", flags, err, out)
		}
	}
	apply()
	wantTree(t, s.original, map[string]string{"changed": neu, "new": "\x00", "same": "text", "large": strings.Repeat("line\n", maxText/4)})
	apply("-R")
	wantTree(t, s.original, map[string]string{"changed": old, "gone": "\x00gone", "same": "text"})

	keep := func(patch string) error {
		_, err := c.Keep(t.Context(), KeepOptions{Original: s.original, KeepRequest: proofbox.KeepRequest{Patch: proofbox.Raw(patch)}})
		return err
	}
	whole := patch.String()
	for name, altered := range map[string]string{
		"other bytes":   strings.Replace(whole, fragment(noise), fragment([]byte("evil")), 1),
		"as many bytes": strings.Replace(whole, fragment(noise), fragment(bytes.Repeat([]byte("x"), len(noise))), 1),
		"a delta":       strings.Replace(whole, "literal 100000\n", "delta 100000\n", 1),
	} {
		if err := keep(altered); altered == whole || !errors.As(err, new(*InvalidError)) {
			t.Errorf("%s: %v", name, err)
		}
	}
	wantTree(t, s.original, map[string]string{"changed": old, "gone": "\x00gone", "same": "text"})
	must(t, keep(whole))
	wantTree(t, s.original, map[string]string{"changed": neu, "new": "\x00", "same": "text", "large": strings.Repeat("line\n", maxText/4)})
}
