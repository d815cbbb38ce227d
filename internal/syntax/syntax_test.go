package syntax_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"proofbox"
	"proofbox/internal/syntax"
)

// program finds the real one.
func program(t *testing.T) syntax.Program {
	t.Helper()
	bin := os.Getenv("PROOFBOX_BIN")
	if bin == "" {
		bin = "../../bin"
	}
	path, err := filepath.Abs(filepath.Join(bin, "proofbox-syntax"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); err != nil {
		if slices.Contains(strings.Split(os.Getenv("PROOFBOX_REQUIRE"), ","), "proofbox-syntax") {
			t.Fatalf("proofbox-syntax is required and missing: %v", err)
		}
		t.Skip("proofbox-syntax is missing; `make build` makes it")
	}
	return syntax.Program(path)
}

// TestProgram: the program that is built answers, with the parts of the lines that it
// was asked about.
func TestProgram(t *testing.T) {
	parts, err := program(t).Parts(t.Context(), syntax.Order{
		Path: "main.go", Hunks: []proofbox.Hunk{{N: 1, Text: "@@ -1 +1 @@\n-return 1\n+return \"\xff\"\n+return 2 // c\n"}},
	})
	if err != nil || len(parts) != 1 || len(parts[0]) != 4 {
		t.Fatalf("%v, %v", parts, err)
	}
	for n, last := range map[int]syntax.Class{1: syntax.Literal, 3: syntax.Comment} {
		line := parts[0][n]
		if line[0].Class != syntax.Keyword || line[len(line)-1].Class != last {
			t.Errorf("line %d has the parts %v", n, line)
		}
	}
	if len(parts[0][2]) != 0 {
		t.Errorf("what is no text has the parts %v", parts[0][2])
	}
}

// TestProgramThatFails: one that is missing, fails, answers nonsense, never ends its
// answer or never answers is an error, in bounded time.
func TestProgramThatFails(t *testing.T) {
	if _, err := syntax.Program("/does/not/exist").Parts(t.Context(), syntax.Order{}); err == nil || !strings.Contains(err.Error(), "make build") {
		t.Errorf("missing: %v", err)
	}
	for name, script := range map[string]string{
		"fails": "exit 1", "nonsense": "echo '{'", "endless": "exec /usr/bin/yes '['", "silent": "exec /usr/bin/sleep 1000",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), name)
			if err := os.WriteFile(path, []byte("#!/bin/sh\n"+script+"\n"), 0o755); err != nil {
				t.Fatal(err)
			}
			if parts, err := syntax.Program(path).Parts(t.Context(), syntax.Order{}); err == nil {
				t.Errorf("it answered %v", parts)
			}
		})
	}
}
