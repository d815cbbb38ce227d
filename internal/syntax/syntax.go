// Package syntax says which words of source text are keywords, comments, literals
// and names, for a screen to colour. A program works it out, cmd/proofbox-syntax:
// what it looks at comes out of a box, and may be slow or make it fail.
package syntax

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os/exec"
	"time"

	"proofbox"
)

// Class is what a part of a line is.
type Class byte

// Classes that are told apart.
const (
	Plain Class = iota
	Keyword
	Comment
	Literal
	Name
)

// Part is a part of a line.
type Part struct {
	Bytes int   `json:"bytes"`
	Class Class `json:"class"`
}

// Order is what the program is asked about: the hunks of a change to a file.
type Order struct {
	Path  proofbox.Raw    `json:"path"`
	Hunks []proofbox.Hunk `json:"hunks"`
}

// Bounds of the program.
const (
	maxAnswer = 16 << 20 // bytes
	answering = 3 * time.Second
)

// Program is where cmd/proofbox-syntax is.
type Program string

// Parts gives the parts of the lines of hunks, without their signs, by hunk and by
// line from 1. What the program does not know has none; whoever draws a line holds
// its parts against it. An error is about the program.
func (p Program) Parts(ctx context.Context, o Order) ([][][]Part, error) {
	ctx, cancel := context.WithTimeout(ctx, answering)
	defer cancel()
	order, err := json.Marshal(o)
	if err != nil {
		return nil, fmt.Errorf("encoding what to colour: %w", err)
	}
	cmd := exec.CommandContext(ctx, string(p))
	cmd.Env, cmd.Stdin = []string{}, bytes.NewReader(order)
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("starting %q: %w", p, err)
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting %q: %w; `make build` builds it", p, err)
	}
	var parts [][][]Part
	readErr := json.NewDecoder(io.LimitReader(out, maxAnswer)).Decode(&parts)
	cancel()       // it has said all that it is asked for, or too much
	_ = cmd.Wait() // what it has said is whole, or an error
	if readErr != nil {
		return nil, fmt.Errorf("hearing from %q: %w", p, readErr)
	}
	return parts, nil
}
