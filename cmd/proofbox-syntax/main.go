// Command proofbox-syntax says which words of changed source text are what: a
// [syntax.Order] on its input, the parts of each line on its output. It is a program
// of its own because reading the rules of all languages takes longer than starting
// all the rest of proofbox, and because the text comes out of a box.
package main

import (
	"encoding/json"
	"fmt"
	"os"

	"proofbox/internal/syntax"
)

func main() {
	if err := answer(); err != nil {
		fmt.Fprintln(os.Stderr, "proofbox-syntax:", err)
		os.Exit(1)
	}
}

func answer() error {
	if err := confine(); err != nil {
		return err
	}
	var o syntax.Order
	if err := json.NewDecoder(os.Stdin).Decode(&o); err != nil {
		return fmt.Errorf("reading the order: %w", err)
	}
	return json.NewEncoder(os.Stdout).Encode(parts(o))
}
