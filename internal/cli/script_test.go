package cli_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"proofbox/internal/spend/spendtest"
)

// TestScript runs the command line end to end, with the programs that `make
// build` makes, as the scripts of testdata/script tell it. Beside testscript's
// own, they have three commands:
//
//	exits STATUS PROGRAM [ARG…]    it must exit with the status
//	json PATH REGEXP               in the document on standard output, the value
//	                               at the path ("teardown.objects.0.gone") matches
//	agent                          installs a coding agent from npm, in the folder $AGENT
func TestScript(t *testing.T) {
	runScripts(t, testscript.Params{Dir: "../../testdata/script"}, func(*testscript.Env) {})
}

// TestScriptWithDatabase runs what has to do with spending where the ledger is in a
// PostgreSQL, whose password stays out of all that proofbox keeps.
func TestScriptWithDatabase(t *testing.T) {
	const password = "hunter2correct"
	server, err := spendtest.New("")
	if errors.Is(err, spendtest.ErrMissing) && !slices.Contains(strings.Split(os.Getenv("PROOFBOX_REQUIRE"), ","), "postgres") {
		t.Skip(err)
	}
	if err == nil {
		t.Cleanup(func() {
			if err := server.Remove(); err != nil {
				t.Error(err)
			}
		})
		err = server.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	runScripts(t, testscript.Params{Files: []string{"../../testdata/script/models.txtar"}}, func(env *testscript.Env) {
		env.Setenv("PROOFBOX_DATABASE", strings.Replace(server.URL("ledger"), "test@", "test:"+password+"@", 1))
		env.Defer(func() { lacks(t, filepath.Join(env.WorkDir, "state"), password) })
	})
}

// lacks looks for a secret in all files of a folder.
func lacks(t *testing.T, dir, secret string) {
	files := 0
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		files++
		data, err := os.ReadFile(path)
		if bytes.Contains(data, []byte(secret)) {
			t.Errorf("the password is in %s", path)
		}
		return err
	})
	if err != nil || files < 10 {
		t.Errorf("looking at %d files: %v", files, err)
	}
}

func runScripts(t *testing.T, p testscript.Params, setup func(*testscript.Env)) {
	t.Helper()
	bin := programs(t)
	p.Setup = func(env *testscript.Env) error {
		env.Setenv("PATH", bin+":"+os.Getenv("PATH"))
		env.Setenv("PROOFBOX_BIN", bin)
		env.Setenv("PROOFBOX_HOME", filepath.Join(env.WorkDir, "state"))
		env.Setenv("TERM", "xterm")
		home := filepath.Join(env.WorkDir, "home") // what a tool leaves there goes with the test
		env.Setenv("HOME", home)
		env.Setenv("BASE", os.Getenv("PROOFBOX_BASE"))
		setup(env)
		return os.Mkdir(home, 0o755)
	}
	p.Cmds = map[string]func(*testscript.TestScript, bool, []string){
		"exits": exits,
		"json":  jsonField,
		"agent": agent,
	}
	p.Condition = func(cond string) (bool, error) {
		switch cond {
		case "root":
			return os.Geteuid() == 0, nil
		case "base":
			return haveBase()
		case "registry":
			return registry(), nil
		}
		return false, fmt.Errorf("the condition %q is not known", cond)
	}
	p.RequireExplicitExec, p.RequireUniqueNames = true, true
	testscript.Run(t, p)
}

// registry says whether npm and its registry are there to be installed from.
func registry() bool {
	if slices.Contains(strings.Split(os.Getenv("PROOFBOX_REQUIRE"), ","), "registry") {
		return true
	}
	if _, err := exec.LookPath("npm"); err != nil {
		return false
	}
	conn, err := net.DialTimeout("tcp", "registry.npmjs.org:443", 5*time.Second)
	if err != nil {
		return false
	}
	return conn.Close() == nil
}

// agent installs the coding agent of the demonstration, or finds it installed.
func agent(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) > 0 {
		ts.Fatalf("usage: agent")
	}
	install := exec.Command("../../scripts/agent/install")
	var said bytes.Buffer
	install.Stderr = &said
	folder, err := install.Output()
	if err != nil {
		ts.Fatalf("installing the agent: %v\n%s", err, &said)
	}
	ts.Setenv("AGENT", strings.TrimSpace(string(folder)))
}

// programs gives the folder of the built programs.
func programs(t *testing.T) string {
	t.Helper()
	bin := os.Getenv("PROOFBOX_BIN")
	if bin == "" {
		var err error
		if bin, err = filepath.Abs("../../bin"); err != nil {
			t.Fatal(err)
		}
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

// haveBase says whether this host has a base; that it has none is an error
// where PROOFBOX_REQUIRE says that it has.
func haveBase() (bool, error) {
	dir := os.Getenv("PROOFBOX_BASE")
	if dir == "" {
		dir = "/var/lib/proofbox/base"
	}
	_, err := os.Stat(filepath.Join(dir, "manifest.json"))
	if err != nil && slices.Contains(strings.Split(os.Getenv("PROOFBOX_REQUIRE"), ","), "base") {
		return false, fmt.Errorf("the base is required and missing; `proofbox setup --install` makes it: %w", err)
	}
	return err == nil, nil
}

func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits STATUS PROGRAM [ARG…]")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	err = ts.Exec(args[1], args[2:]...)
	got := 0
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		got = exit.ExitCode()
	} else {
		ts.Check(err)
	}
	if got != want {
		ts.Fatalf("it exited with %d, want %d", got, want)
	}
}

func jsonField(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: json PATH REGEXP")
	}
	var value any
	ts.Check(json.Unmarshal([]byte(ts.ReadFile("stdout")), &value))
	for step := range strings.SplitSeq(args[0], ".") {
		value = within(ts, value, step)
	}
	text, ok := value.(string)
	if !ok {
		data, err := json.Marshal(value)
		ts.Check(err)
		text = string(data)
	}
	if regexp.MustCompile(`^(?s:`+args[1]+`)$`).MatchString(text) == neg {
		ts.Fatalf("%s is %q, and %q should match: %t", args[0], text, args[1], !neg)
	}
}

// within takes one step into a JSON document.
func within(ts *testscript.TestScript, value any, step string) any {
	switch v := value.(type) {
	case map[string]any:
		if inner, ok := v[step]; ok {
			return inner
		}
	case []any:
		i, err := strconv.Atoi(step)
		if i < 0 {
			i += len(v) // from the end
		}
		if err == nil && i >= 0 && i < len(v) {
			return v[i]
		}
	}
	ts.Fatalf("there is no %q in %v", step, value)
	return nil
}
