package breakout

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"

	"proofbox/internal/terminal"
)

// output is group P: what the box says to whoever reads it at a terminal. See
// ECMA-48 and xterm's list of control sequences.
func output() []Probe {
	var list []Probe
	for _, p := range []struct{ id, title, text string }{
		{"P1a", "clear the reader's screen", "\x1b[2J\x1b[H"},
		{"P1b", "hide a line by moving the cursor over it", "\x1b[1A\x1b[2K"},
		{"P1c", "switch the reader to another screen", "\x1b[?1049h"},
		{"P2a", "set the title of the reader's window", "\x1b]0;rm -rf ~\x07"},
		{"P2b", "have the title answered as if it had been typed", "\x1b[21t"},
		{"P2c", "have the terminal answer who it is", "\x1b[c"},
		{"P3", "write the reader's clipboard", "\x1b]52;c;cm0gLXJmIH4=\x07"},
		{"P4", "show a link that leads elsewhere", "\x1b]8;;http://evil.invalid\x1b\\"},
		{"P5a", "send a string to the terminal (DCS)", "\x1bP$qm\x1b\\"},
		{"P5b", "send a picture or a file to the terminal (APC)", "\x1b_Gf=24;\x1b\\"},
		{"P5c", "speak past a terminal multiplexer", "\x1bPtmux;\x1b\x1b]52;c;\x07\x1b\\"},
		{"P6a", "begin a sequence by one character of the upper half (C1)", "\u009b2J"},
		{"P6b", "begin a sequence by one byte that is no character", "\x9b2J"},
		{"P7b", "reorder what is read (bidirectional override)", "\u202e"},
		{"P7c", "hide characters that have no width", "\u200b"},
		{"P7d", "write with characters that do not show (tags)", "\U000e0041"},
	} {
		list = append(list, Probe{
			ID: p.id, Title: p.title, Attack: []string{"say", strconv.QuoteToASCII(p.text), "{token}"},
			Oracle: shown(p.text), Twin: Setting{Naive: true}, UserOnly: true,
		})
	}
	return list
}

// shown looks whether a reader's terminal is sent what the attack has written, as
// `proofbox run` and `proofbox logs` send it. On the twin a naive tool passes the
// bytes on.
func shown(text string) Oracle {
	return during("whether a terminal is sent "+strconv.QuoteToASCII(text), func(a *attempt) (string, error) {
		said := a.output
		if !bytes.Contains(said, []byte(a.token+text)) {
			return "", fmt.Errorf("the attack has not said what it was to say: %.200q", said)
		}
		if a.session.sitting.setting.Naive {
			return fmt.Sprintf("the terminal is sent %+q", text), nil
		}
		live, stored, err := rendered(said)
		if err != nil {
			return "", err
		}
		for _, seen := range []string{live, stored} {
			if strings.Contains(seen, text) {
				return fmt.Sprintf("the terminal is sent %+q", text), nil
			}
		}
		return "", nil
	})
}

// rendered gives output as a terminal gets it while the command runs, where it
// comes byte by byte so that no sequence is whole, and later out of the record.
func rendered(said []byte) (live, stored string, err error) {
	var now, later bytes.Buffer
	filter, escape := terminal.NewLive(&now), terminal.NewWriter(&later)
	for i := range said {
		if _, err := filter.Write(said[i : i+1]); err != nil {
			return "", "", err
		}
		if _, err := escape.Write(said[i : i+1]); err != nil {
			return "", "", err
		}
	}
	if err := filter.Close(); err != nil {
		return "", "", err
	}
	return now.String(), later.String(), escape.Close()
}
