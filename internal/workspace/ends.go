package workspace

import (
	"fmt"
	"strings"
)

// fewEnds is up to how many lines may change at their ends alone without a word: a
// reader sees past them.
const fewEnds = 10

// lineEnds says where most of a change is in what lines end with, which nobody
// reads, and where the rest is; empty where it is not so.
func lineEnds(hunks []hunk) string {
	old := map[string]int{} // by what is before their ends, the lines that go
	for i := range hunks {
		for _, l := range hunks[i].lines {
			if l.sign == '-' {
				old[trimEnd(l.text)]++
			}
		}
	}
	ends, others, first := 0, 0, 0
	for i := range hunks {
		n := hunks[i].to
		for _, l := range hunks[i].lines {
			switch body := trimEnd(l.text); {
			case l.sign == '+' && old[body] > 0:
				old[body]--
				ends++
			case l.sign == '+':
				if others++; others == 1 {
					first = n
				}
			}
			if l.sign != '-' {
				n++
			}
		}
	}
	switch {
	case ends < fewEnds || ends < others:
		return ""
	case others == 0:
		return fmt.Sprintf("has changed %d lines in nothing but line ends and blanks before them, or in their order", ends)
	}
	return fmt.Sprintf("has changed %d lines in nothing but line ends and blanks before them, and %d otherwise, from line %d on", ends, others, first)
}

func trimEnd(line string) string { return strings.TrimRight(line, " \t\r\n") }
