package main

import (
	"fmt"

	"proofbox/internal/cell"
)

// maxData bounds the memory of this process, in bytes, whatever a rule does with
// hostile text.
const maxData = 512 << 20

// confine leaves this process nothing but the order that it has been given.
func confine() error {
	if err := cell.Enter(maxData); err != nil {
		return fmt.Errorf("confining what looks at text: %w", err)
	}
	return nil
}
