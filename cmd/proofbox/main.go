// Command proofbox runs AI agents, models and generated code where mistakes
// cost nothing. `proofbox --help` says how.
package main

import (
	"os"

	"proofbox/internal/cli"
)

func main() { os.Exit(cli.Main(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) }
