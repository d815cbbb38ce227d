package breakout

import (
	"fmt"

	"proofbox"
)

// exhaustion is group K: from the box to what the host and its other boxes live
// on.
func exhaustion() []Probe {
	return []Probe{
		{ID: "K1a", Title: "start processes without end", Attack: []string{"fork-bomb", "400"}, Oracle: either(tasks(340), harmsNeighbour()), Box: pids(100), Twin: pids(1000), UserOnly: true, Alone: true},
	}
}

func pids(n int) Setting { return Setting{Limits: proofbox.Limits{Pids: n}} }

// tasks counts the tasks of the box on the host.
func tasks(most int) Oracle {
	return during(fmt.Sprintf("whether the box has more than %d tasks on the host", most), func(a *attempt) (string, error) {
		pids, err := a.box.Processes()
		if err != nil {
			return "", err
		}
		n := 0
		for _, pid := range pids {
			n += threadsOf(pid)
		}
		if n > most {
			return fmt.Sprintf("the box has %d tasks", n), nil
		}
		return "", nil
	})
}

// harmsNeighbour asks another box to do a little work.
func harmsNeighbour() Oracle {
	return during("whether a neighbour still answers", func(a *attempt) (string, error) {
		b, err := a.session.beside(a.context)
		if err != nil {
			return "", err
		}
		other := &attempt{session: a.session, stage: a.stage, box: b, token: newNonce(), workspace: a.workspace}
		if _, err := other.make(a.context, Probe{Attack: []string{"idle"}}); err != nil {
			return "a neighbour does not answer: " + err.Error(), nil
		}
		return "", nil
	})
}
