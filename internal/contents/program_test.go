package contents

import (
	"net"
	"os/exec"
	"testing"
)

// TestNoNetwork: what looks at data cannot reach a listener of the host's. Its twin in
// the host's network can.
func TestNoNetwork(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	reach := func(p Program) *exec.Cmd {
		return p.command(t.Context(), "64MiB", "-c", "exec 3<>/dev/tcp/127.0.0.1/"+port)
	}
	bash := Program{Path: "/bin/bash"}
	if out, err := reach(bash).CombinedOutput(); err == nil {
		t.Errorf("it reached the host: %s", out)
	}
	twin := reach(bash)
	twin.SysProcAttr = nil
	if out, err := twin.CombinedOutput(); err != nil {
		t.Errorf("the attempt proves nothing: %v: %s", err, out)
	}
}
