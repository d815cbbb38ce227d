package box_test

import (
	"bytes"
	"os"
	"testing"

	"proofbox"
	"proofbox/internal/box"
	"proofbox/internal/box/cgroup"
	"proofbox/internal/box/jail"
	"proofbox/internal/box/oci"
	"proofbox/internal/door"
)

func TestTry(t *testing.T) {
	bin := os.Getenv("PROOFBOX_BIN")
	for _, f := range []oci.Flavour{oci.Runc, oci.Runsc} {
		t.Run(string(f), func(t *testing.T) {
			dir, ws := t.TempDir(), t.TempDir()
			os.WriteFile(ws+"/a", []byte("hello\n"), 0o644)
			h := &box.Host{State: dir, Jail: bin + "/proofbox-jail", Init: bin + "/proofbox-init", Cgroups: cgroup.Detect()}
			j, err := box.NewJournal(dir)
			if err != nil {
				t.Fatal(err)
			}
			rt := &oci.Runtime{Flavour: f, Path: bin + "/" + string(f)}
			b, err := h.Start(t.Context(), box.Config{
				ID: "t" + string(f), Dir: dir, Journal: j, Runtime: rt, Hostname: "box",
				Root: []jail.Step{
					{Bind: &jail.Bind{Source: "/usr", Target: "/usr", Folder: true}},
					{Link: &jail.Link{Path: "/bin", Target: "usr/bin"}},
					{Link: &jail.Link{Path: "/lib", Target: "usr/lib"}},
					{Link: &jail.Link{Path: "/lib64", Target: "usr/lib64"}},
				},
				Workspace: &box.Workspace{Lower: ws, UID: os.Getuid(), GID: os.Getgid()},
				Limits:    proofbox.DefaultLimits, Enforced: h.Enforcements(rt.Wall()),
			})
			if err != nil {
				t.Fatal(err)
			}
			for _, c := range b.Controls {
				t.Logf("%+v", c)
			}
			var out bytes.Buffer
			o := b.Run(t.Context(), door.Command{Args: []string{"sh", "-c", "id; ls -la / /workspace; cat a; echo x > b; rm a; touch /usr/x; cat /proc/self/cgroup; exit 3"}, Env: []string{"PATH=/usr/bin:/bin"}, Dir: "/workspace"}, box.Stdio{Stdout: &out, Stderr: &out}, nil)
			t.Logf("%+v\n%s", o, out.String())
			for _, ob := range b.TakeDown(t.Context()) {
				t.Logf("%+v", ob)
			}
			acc, err := b.Close(t.Context())
			t.Logf("%+v %v", acc[len(acc)-1], err)
		})
	}
}
