package cli

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"
)

var update = flag.Bool("update", false, "write docs/cli.md anew")

// TestReference holds docs/cli.md against what the commands say of themselves.
// `go test ./internal/cli -run Reference -update` writes it anew.
func TestReference(t *testing.T) {
	const path = "../../docs/cli.md"
	var text strings.Builder
	text.WriteString("# The command line\n\n" +
		"Written by a test from what the commands say of themselves; `proofbox help COMMAND` says the same.\n")
	describe(&text, (&app{}).root())
	if *update {
		if err := os.WriteFile(path, []byte(text.String()), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	have, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(have), text.String()); diff != "" {
		t.Errorf("docs/cli.md is not what the commands say; write it anew with -update:\n%s", diff)
	}
}

// describe writes a command and those below it.
func describe(text *strings.Builder, cmd *cobra.Command) {
	if cmd.Hidden || cmd.Name() == "help" || cmd.Name() == "completion" {
		return
	}
	if cmd.HasParent() {
		long := cmd.Long
		if long == "" {
			long = cmd.Short + "."
		}
		fmt.Fprintf(text, "\n## %s\n\n    %s\n\n%s\n", cmd.CommandPath(), cmd.UseLine(), long)
		block(text, cmd.LocalFlags().FlagUsages())
		block(text, cmd.Example)
	}
	for _, c := range cmd.Commands() {
		describe(text, c)
	}
}

func block(text *strings.Builder, body string) {
	if body != "" {
		fmt.Fprintf(text, "\n```\n%s\n```\n", strings.TrimRight(body, "\n"))
	}
}
