// Command proofbox-contents looks at data: it is a program of its own because
// what it reads is hostile, and because loading the tables that it knows
// identifiers by takes longer than starting all the rest of proofbox. Package
// internal/contents starts it and reads its answer, JSON on standard output.
package main

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"proofbox"
	"proofbox/internal/contents"
	"proofbox/internal/contents/scan"
	"proofbox/internal/contents/synth"
	"proofbox/internal/contents/tag"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := confine(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	key, err := readKey(os.Stdin)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	if len(os.Args) > 1 && os.Args[1] == contents.WatchOrder {
		if err := watch(ctx, key, os.Args[2:]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	answer, err := do(ctx, key, os.Args[1:])
	if err == nil {
		err = json.NewEncoder(os.Stdout).Encode(answer)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func do(ctx context.Context, key *tag.Key, args []string) (any, error) {
	switch {
	case len(args) == 1 && args[0] == contents.RulesOrder:
		return scan.Rules(), nil
	case len(args) == 2 && args[0] == contents.ScanOrder:
		return scanned(scan.Path(ctx, args[1], key))
	case len(args) == 2 && args[0] == contents.NamesOrder:
		return scanned(scan.Names(ctx, args[1], key))
	case len(args) == 3 && args[0] == contents.PluggedOrder:
		return scanned(scan.NamesBy(ctx, args[1], key, plugged(args[2])))
	case len(args) == 2 && args[0] == contents.ExamineOrder:
		return examined(ctx, key, args[1])
	case len(args) == 2 && args[0] == contents.MessOrder:
		return measured(ctx, args[1])
	case len(args) == 4 && args[0] == contents.MaskOrder:
		return masked(ctx, key, args[1], args[2], args[3])
	case len(args) == 3 && args[0] == contents.UnmaskOrder:
		return unmasked(ctx, key, args[1], args[2])
	case len(args) == 3 && args[0] == contents.SurvivorOrder:
		return survivor(ctx, key, args[1], args[2])
	case len(args) == 2 && args[0] == contents.SynthOrder:
		return synthesise(ctx, args[1])
	}
	return nil, fmt.Errorf("usage: proofbox-contents %s | %s IN OUT LIST | %s IN OUT | %s PATH LIST | %s PATH | %s PATH DIGEST | %s PATH | %s PATH | %s PATH | %s REQUEST | %s [FOLDER]", contents.RulesOrder, contents.MaskOrder, contents.UnmaskOrder, contents.SurvivorOrder, contents.ScanOrder, contents.NamesOrder, contents.PluggedOrder, contents.ExamineOrder, contents.MessOrder, contents.SynthOrder, contents.WatchOrder)
}

// synthesise makes the set that a request in JSON asks for.
func synthesise(ctx context.Context, request string) (any, error) {
	var r proofbox.SynthRequest
	if err := json.Unmarshal([]byte(request), &r); err != nil {
		return nil, fmt.Errorf("reading the request: %w", err)
	}
	held, err := contents.Hold(filepath.Dir(r.Out))
	if err != nil {
		return nil, err
	}
	defer held.Close()
	return synth.Make(ctx, r)
}

func scanned(found *scan.Result, err error) (*contents.Scanned, error) {
	if err != nil {
		return nil, err
	}
	return &contents.Scanned{Scan: found.Scan, Sealed: found.Sealed}, nil
}

// readKey reads the secret of tags: the first line of the input, in hexadecimal; an
// empty one, or none, for no key. It reads no byte more, because orders follow.
func readKey(in io.Reader) (*tag.Key, error) {
	var line []byte
	for one := make([]byte, 1); len(line) < maxKeyLine; line = append(line, one[0]) {
		if _, err := io.ReadFull(in, one); errors.Is(err, io.EOF) || err == nil && one[0] == '\n' {
			break
		} else if err != nil {
			return nil, fmt.Errorf("reading the key of tags: %w", err)
		}
	}
	secret, err := hex.DecodeString(string(line))
	if err != nil {
		return nil, errors.New("the first line of the input is not the key of tags, in hexadecimal")
	}
	return tag.New(secret), nil
}

// maxKeyLine bounds the line of a key, in bytes.
const maxKeyLine = 256
