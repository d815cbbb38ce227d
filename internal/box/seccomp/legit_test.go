package seccomp_test

import (
	"os"
	"strings"
	"testing"

	"proofbox/internal/box/seccomp"
)

// threads is Python that uses threads, processes, sockets and a debugger's
// neighbours.
const threads = `
import socket, subprocess, threading, tempfile, select, mmap, os, signal
found = []
t = threading.Thread(target=lambda: found.append(1)); t.start(); t.join()
assert found
a, b = socket.socketpair(); a.send(b"x"); assert b.recv(1) == b"x"
s = socket.socket(); s.bind(("127.0.0.1", 0)); s.listen()
assert subprocess.run(["true"]).returncode == 0
with tempfile.TemporaryFile() as f:
    f.truncate(4096); mmap.mmap(f.fileno(), 4096).close()
os.mkfifo("/tmp/fifo")
pid = os.fork()
if pid == 0: os._exit(0)
os.waitpid(pid, 0)
print("worked")
`

// TestOrdinaryWork shows that what a coding agent does works under the
// profile. Each script ends by printing "worked".
func TestOrdinaryWork(t *testing.T) {
	t.Parallel()
	work := []struct{ name, program, script string }{
		{"python", "/usr/bin/python3", "python3 -c '" + threads + "'"},
		{"git", "/usr/bin/git", `git init -q r && cd r && echo a > f && git add f &&
			git -c user.name=n -c user.email=e@example.com commit -qm m && git gc -q && git clone -q . ../c && echo worked`},
		{"gcc", "/usr/bin/gcc", `printf '#include <stdio.h>\nint main(void){puts("worked");}\n' > m.c && gcc -O2 m.c -o m && ./m`},
		{"go", "/usr/local/go/bin/go", `mkdir m && cd m && printf 'module m\n' > go.mod &&
			printf 'package main\nfunc main(){c := make(chan int); go func(){c <- 1}(); <-c; println("worked")}\n' > m.go && go build && ./m 2>&1`},
		{"node", "/usr/bin/node", `node -e 'const {Worker} = require("worker_threads"); require("fs").promises.readdir("/tmp").then(() =>
			new Worker("0", {eval: true}).on("exit", () => console.log("worked")))'`},
	}
	for _, w := range work {
		t.Run(w.name, func(t *testing.T) {
			t.Parallel()
			if _, err := os.Stat(w.program); err != nil {
				missing(t, w.name, "this host has no %s", w.program)
			}
			got := container{profile: seccomp.Profile(), args: []string{"/bin/sh", "-c", w.script}}.run(t)
			if got.status != 0 || !strings.HasSuffix(strings.TrimSpace(got.stdout), "worked") {
				t.Errorf("exit status %d\n%s%s", got.status, got.stdout, got.stderr)
			}
		})
	}
}
