package main

import (
	"os"
	"strconv"

	"proofbox/internal/breakout/order"
)

var output = map[string]attack{
	"say": say,
}

// say writes a mark and a text to whoever reads the output: QUOTED MARK.
func say(args []string) order.Report {
	text, err := strconv.Unquote(args[0])
	if err != nil {
		fail("say: %v", err)
	}
	_, err = os.Stdout.WriteString(args[1] + text + "\n")
	return said(err, "said it")
}
