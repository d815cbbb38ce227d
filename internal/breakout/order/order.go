// Package order is what a trial and its attack program, cmd/proofbox-attack,
// say to each other. The program gets its order as arguments: the name of an
// attack and what the attack needs. It writes one line, a [Report], when it has
// done what it can, and then holds whatever it has reached until its standard
// input ends, so that the host can look.
package order

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
)

// Report is what an attack says of itself. Nothing of it decides about the wall,
// but that it was written shows that the attempt took place.
type Report struct {
	// Got is what the attack has read that it should not have.
	Got []string `json:"got,omitempty"`
	// Said is how the attempt went, in words: mostly an error of the kernel.
	Said string `json:"said,omitempty"`
	// Absent says that the kernel does not have what the attack is about. It
	// counts only on the weakened twin, where nothing is left to refuse it.
	Absent string `json:"absent,omitempty"`
}

// Stay before the name of an attack has the program hold what it has reached
// until it is killed.
const Stay = "stay"

// Works is what ordinary work says when it has gone well; see [Report.Said].
const Works = "works"

// mark begins the line of a report, so that it is told from other output.
const mark = "proofbox-attack "

// NetworkShort gives a number in the order of bytes that networks have, as
// htons(3) does.
func NetworkShort(n uint16) uint16 {
	return binary.NativeEndian.Uint16(binary.BigEndian.AppendUint16(nil, n))
}

// MaxLine bounds a report, in bytes.
const MaxLine = 256 << 10

// Line gives a report as a line.
func (r Report) Line() []byte {
	data, err := json.Marshal(r)
	if err != nil {
		panic(fmt.Sprintf("order: a report of strings cannot be encoded: %v", err))
	}
	return append([]byte(mark), append(data, '\n')...)
}

// Find looks for a report in what a program has written so far.
func Find(output []byte) (r Report, found bool) {
	for line := range bytes.Lines(output) {
		text, marked := bytes.CutPrefix(line, []byte(mark))
		if !marked || !bytes.HasSuffix(line, []byte("\n")) {
			continue
		}
		if err := json.Unmarshal(text, &r); err == nil {
			return r, true
		}
	}
	return Report{}, false
}
