package main

import (
	"fmt"
	"strconv"
	"syscall"

	"proofbox/internal/breakout/order"
)

var exhaustion = map[string]attack{
	"fork-bomb": forkBomb,
}

// forkBomb starts children that wait: HOW MANY.
func forkBomb(args []string) order.Report {
	most, err := strconv.Atoi(args[0])
	if err != nil {
		fail("fork-bomb: %v", err)
	}
	for n := range most {
		if err := spawn(syscall.SysProcAttr{}); err != nil {
			return said(fmt.Errorf("after %d: %w", n, err), "")
		}
	}
	return said(nil, fmt.Sprintf("started %d", most))
}
