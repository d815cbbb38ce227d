package breakout

import (
	"bytes"
	"context"
	"os/exec"
	"time"

	"proofbox/internal/breakout/order"
)

// bareTime bounds an attack on the host itself.
const bareTime = 10 * time.Second

// refusedAnyway says that this host refuses an attack outside of any box with the
// same words as on the twin. Then there is nothing that a wall could add: hosts
// are often containers or guests themselves.
func (s *session) refusedAnyway(ctx context.Context, a *attempt, p Probe) bool {
	if !p.Bare || a.report.Said == "" {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, bareTime)
	defer cancel()
	cmd := exec.CommandContext(ctx, s.trial.Program, a.words(p)...)
	cmd.Dir = s.workspace
	var out bytes.Buffer
	cmd.Stdout = &out // the input is empty, so it does not wait
	if err := cmd.Run(); err != nil {
		return false
	}
	report, found := order.Find(out.Bytes())
	return found && report.Said == a.report.Said
}
