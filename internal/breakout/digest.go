package breakout

import (
	"encoding/json"
	"fmt"

	"proofbox/internal/audit"
)

// Digest is that of the suite: the program that attacks, and what is attempted
// and looked at.
func Digest(program string) (string, error) {
	binary, err := audit.DigestFile(program)
	if err != nil {
		return "", err
	}
	type line struct {
		ID, Oracle string
		Attack     []string
		Box, Twin  []string
		Itself     bool
	}
	var table []line
	for _, p := range Table() {
		table = append(table, line{p.ID, p.Oracle.Says, p.Attack, p.Box.words(), p.Twin.words(), p.Itself})
	}
	text, err := json.Marshal(table)
	if err != nil {
		return "", fmt.Errorf("encoding the suite: %w", err)
	}
	return audit.Digest(append([]byte(binary), text...)), nil
}
