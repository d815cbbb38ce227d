package breakout

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"proofbox/internal/breakout/order"
)

// Oracle looks at the host while an attack holds what it has reached, and says
// what it sees of it. It believes nothing that comes out of the box but a nonce,
// which nobody can make up.
type Oracle struct {
	// Says is what it looks at, in words.
	Says string
	// look gives what shows that the attempt has reached its aim; nothing where
	// it has not. It is nil where only after decides.
	look func(*attempt) (evidence string, err error)
	// after, where it is set, looks once more when the box has been torn down.
	after func(*attempt, Remains) (evidence string, err error)
}

// during is an oracle that looks while the attack holds.
func during(says string, look func(*attempt) (string, error)) Oracle {
	return Oracle{Says: says, look: look}
}

// afterwards is an oracle that looks when the box has been torn down.
func afterwards(says string, after func(*attempt, Remains) (string, error)) Oracle {
	return Oracle{Says: says, after: after}
}

// attempt is an attack that is being carried out in a box.
type attempt struct {
	context context.Context // of the attempt
	session *session
	stage   *stage
	box     Box
	token   string // a nonce that the attack leaves wherever it gets to
	output  []byte // all that the attack has written
	report  order.Report
	// workspace is the folder on the host whose copy the box has.
	workspace string
	noted     string // by an oracle, for when the box is gone
}

// either is reached where one of some oracles is.
func either(oracles ...Oracle) Oracle {
	says := make([]string, len(oracles))
	for i, o := range oracles {
		says[i] = o.Says
	}
	return during(strings.Join(says, ", or "), func(a *attempt) (string, error) {
		for _, o := range oracles {
			if evidence, err := o.look(a); evidence != "" || err != nil {
				return evidence, err
			}
		}
		return "", nil
	})
}

// revealed looks for the nonces of planted flags in what the attack writes.
func revealed(flags ...string) Oracle {
	return during("whether the attack can say what is written in the flag "+strings.Join(flags, ", "), func(a *attempt) (string, error) {
		for _, name := range flags {
			f := a.stage.flag(name)
			if bytes.Contains(a.output, []byte(f.nonce)) {
				return fmt.Sprintf("it says what is written in %s", f.where), nil
			}
		}
		return "", nil
	})
}

// changed looks whether planted files are as they were.
func changed(flags ...string) Oracle {
	return during("whether the flag "+strings.Join(flags, ", ")+" is as it was planted", func(a *attempt) (string, error) {
		for _, name := range flags {
			f := a.stage.flag(name)
			now, err := f.read()
			if err != nil {
				return "", err
			}
			if now != f.text {
				return fmt.Sprintf("%s has changed", f.where), nil
			}
		}
		return "", nil
	})
}

// heard looks whether a canary listener was sent the attack's token.
func heard(names ...string) Oracle {
	return during("whether the host's listener at "+strings.Join(names, ", ")+" hears the attack", func(a *attempt) (string, error) {
		for _, name := range names {
			if a.stage.canary(name).heard(a.token) {
				return fmt.Sprintf("the listener at %s was told the token", name), nil
			}
		}
		return "", nil
	})
}

// eventually is heard for what is said without an answer to wait for.
func eventually(name string) Oracle {
	o := heard(name)
	return during(o.Says, func(a *attempt) (string, error) {
		_ = a.stage.canary(name).hears(a.token) // the oracle says it
		return o.look(a)
	})
}

// holds looks for a descriptor of the box's processes whose link in /proc
// matches one of some patterns of filepath.Match.
func holds(patterns ...string) Oracle {
	return during("whether a process of the box holds "+strings.Join(patterns, ", "), func(a *attempt) (string, error) {
		return a.eachDescriptor(func(pid int, d descriptor) string {
			if matches(patterns, d.link) {
				return fmt.Sprintf("process %d holds %s", pid, d.link)
			}
			return ""
		})
	})
}

func matches(patterns []string, name string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool {
		ok, err := filepath.Match(p, name)
		if err != nil {
			panic(fmt.Sprintf("breakout: the pattern %q: %v", p, err))
		}
		return ok
	})
}

// shares looks for a process of the box that is in a namespace of the host.
func shares(kind string) Oracle {
	return during("whether a process of the box is in the host's "+kind+" namespace", func(a *attempt) (string, error) {
		host, err := os.Readlink("/proc/self/ns/" + kind)
		if err != nil {
			return "", fmt.Errorf("looking at this process's namespaces: %w", err)
		}
		return a.eachProcess(func(pid int) (string, error) {
			own, err := namespacesOf(pid, kind)
			if slices.Contains(own, host) {
				return fmt.Sprintf("process %d is in the host's %s namespace %s", pid, kind, host), nil
			}
			return "", err
		})
	})
}

// parts looks for two processes of the box that are in different namespaces of
// a kind: one of them has made itself a new one.
func parts(kind string) Oracle {
	return during("whether a process of the box has made itself a "+kind+" namespace", func(a *attempt) (string, error) {
		first := ""
		return a.eachProcess(func(pid int) (string, error) {
			own, err := namespacesOf(pid, kind)
			for _, space := range own {
				if first == "" {
					first = space
				}
				if space != first {
					return fmt.Sprintf("process %d is in %s and not in %s", pid, space, first), nil
				}
			}
			return "", err
		})
	})
}

// namespacesOf gives the namespaces of a kind that the threads of a process are
// in, each once; none where it has ended.
func namespacesOf(pid int, kind string) (all []string, err error) {
	for _, task := range tasksOf(pid) {
		space, err := os.Readlink(task + "/ns/" + kind)
		if errors.Is(err, fs.ErrPermission) {
			return all, unseen(pid)
		}
		if err == nil && !slices.Contains(all, space) {
			all = append(all, space)
		}
	}
	return all, nil
}

// status looks for a process of the box whose field in proc_pid_status(5) is not
// what the wall promises.
func status(field, promised string) Oracle {
	return during("whether "+field+" of a process of the box is not "+promised, func(a *attempt) (string, error) {
		return a.eachTask(func(task string) string {
			if value := fieldOf(task+"/status", field); value != "" && value != promised {
				return fmt.Sprintf("%s of %s is %s", field, task, value)
			}
			return ""
		})
	})
}

// statusOf reads a field of a process's status; not ok where it has ended.
func statusOf(pid int, field string) (value string, ok bool) {
	value = fieldOf(fmt.Sprintf("/proc/%d/status", pid), field)
	return value, value != ""
}

// threadsOf counts the tasks of a process; 0 where it has ended.
func threadsOf(pid int) int {
	value, ok := statusOf(pid, "Threads")
	n, err := strconv.Atoi(value)
	if !ok || err != nil {
		return 0
	}
	return n
}

// eachProcess looks at every process of the box until one shows something.
func (a *attempt) eachProcess(look func(pid int) (string, error)) (string, error) {
	pids, err := a.box.Processes()
	if err != nil {
		return "", err
	}
	if len(pids) == 0 {
		return "", fmt.Errorf("no process of the box is there to look at")
	}
	for _, pid := range pids {
		if evidence, err := look(pid); evidence != "" || err != nil {
			return evidence, err
		}
	}
	return "", nil
}

// eachTask looks at every thread of every process of the box, by its folder in
// /proc: what belongs to a thread, as credentials, namespaces and a personality
// do, another one of its process need not have.
func (a *attempt) eachTask(look func(task string) string) (string, error) {
	return a.eachProcess(func(pid int) (string, error) {
		for _, task := range tasksOf(pid) {
			if evidence := look(task); evidence != "" {
				return evidence, nil
			}
		}
		return "", nil
	})
}
