// Command proofbox-contents looks at data: it is a program of its own because
// what it reads is hostile, and because loading the tables that it knows
// identifiers by takes longer than starting all the rest of proofbox. Package
// internal/contents starts it and reads its answer, JSON on standard output.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"proofbox/internal/contents"
	"proofbox/internal/contents/scan"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if len(os.Args) > 1 && os.Args[1] == contents.WatchOrder {
		if err := watch(ctx, os.Args[2:]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	answer, err := do(ctx, os.Args[1:])
	if err == nil {
		err = json.NewEncoder(os.Stdout).Encode(answer)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func do(ctx context.Context, args []string) (any, error) {
	switch {
	case len(args) == 1 && args[0] == contents.RulesOrder:
		return scan.Rules(), nil
	case len(args) == 2 && args[0] == contents.ScanOrder:
		return scanned(scan.Path(ctx, args[1]))
	case len(args) == 2 && args[0] == contents.NamesOrder:
		return scanned(scan.Names(ctx, args[1]))
	}
	return nil, fmt.Errorf("usage: proofbox-contents %s | %s PATH | %s PATH | %s [FOLDER]", contents.RulesOrder, contents.ScanOrder, contents.NamesOrder, contents.WatchOrder)
}

func scanned(found *scan.Result, err error) (any, error) {
	if err != nil {
		return nil, err
	}
	return contents.Scanned(*found), nil
}
