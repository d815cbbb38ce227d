package breakout

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"proofbox"
)

// exhaustion is group K: from the box to what the host and its other boxes live
// on.
func exhaustion() []Probe {
	return []Probe{
		{ID: "K1a", Title: "start processes without end", Attack: []string{"fork-bomb", "400"}, Oracle: either(tasks(340), harmsNeighbour()), Box: pids(100), Twin: pids(4000), UserOnly: true, MayEnd: true},
		{ID: "K1b", Title: "start threads without end", Attack: []string{"thread-bomb", "400"}, Oracle: tasks(340), Box: pids(100), Twin: pids(1000), UserOnly: true, Alone: true, Not: noTasks()},
		{ID: "K2", Title: "take more memory than the limit", Attack: []string{"hoard", "734003200"}, Oracle: holdsMemory(500 << 20), Box: memory(256), Twin: memory(2048), UserOnly: true, MayEnd: true, Not: noMemory()},
		{ID: "K3a", Title: "write more than the disk limit", Attack: []string{"fill", "{token}", "100663296"}, Oracle: holdsBytes(80 << 20), Box: disk(64), Twin: disk(512), UserOnly: true, Alone: true, Not: noView()},
		{ID: "K3b", Title: "make more files than the disk limit is for", Attack: []string{"crumble", "{token}", "12000"}, Oracle: holdsFiles(10000), Box: disk(64), Twin: disk(512), UserOnly: true, Alone: true, Not: noView()},
	}
}

// noView leaves a probe out whose oracle looks into what the box has written.
func noView() map[proofbox.Wall]string {
	return map[proofbox.Wall]string{proofbox.MicroVM: "the host has no view of a guest's disk while it runs"}
}

// noTasks leaves a probe out whose oracle counts threads that wait.
func noTasks() map[proofbox.Wall]string {
	return map[proofbox.Wall]string{proofbox.Gvisor: "a thread of the box that waits is no task of the host there"}
}

func disk(mebibytes int) Setting {
	return Setting{Limits: proofbox.Limits{Disk: proofbox.Size(mebibytes << 20)}}
}

// holdsBytes looks how much of the host's disk a file of the attack takes.
func holdsBytes(most int64) Oracle {
	return during(fmt.Sprintf("whether a file of the box takes more than %d bytes of the host's disk", most), func(a *attempt) (evidence string, err error) {
		err = a.inUpper(func(upper string) error {
			var st unix.Stat_t
			if unix.Lstat(filepath.Join(upper, a.token), &st) == nil && st.Blocks*512 > most {
				evidence = fmt.Sprintf("it takes %d bytes", st.Blocks*512)
			}
			return nil
		})
		return evidence, err
	})
}

// holdsFiles counts the files in a folder of the attack.
func holdsFiles(most int) Oracle {
	return during(fmt.Sprintf("whether the box has made more than %d files on the host's disk", most), func(a *attempt) (evidence string, err error) {
		err = a.inUpper(func(upper string) error {
			entries, err := os.ReadDir(filepath.Join(upper, a.token))
			if errors.Is(err, fs.ErrNotExist) {
				return nil
			}
			if len(entries) > most {
				evidence = fmt.Sprintf("it has made %d files", len(entries))
			}
			return err
		})
		return evidence, err
	})
}

func memory(mebibytes int) Setting {
	return Setting{Limits: proofbox.Limits{Memory: proofbox.Size(mebibytes << 20)}}
}

// noMemory leaves a probe out whose oracle looks for memory of the box's processes.
func noMemory() map[proofbox.Wall]string {
	return map[proofbox.Wall]string{proofbox.Gvisor: "gVisor keeps its guest's memory in a file of its own, which no process of the box shows as its memory"}
}

// holdsMemory looks for a process of the box that has much memory.
func holdsMemory(most int64) Oracle {
	return during(fmt.Sprintf("whether a process of the box has more than %d bytes of the host's memory", most), func(a *attempt) (string, error) {
		return a.eachProcess(func(pid int) (string, error) {
			value, _ := statusOf(pid, "VmRSS") // "1234 kB"; none where it has ended
			kib, err := strconv.ParseInt(strings.TrimSuffix(value, " kB"), 10, 64)
			if err == nil && kib<<10 > most {
				return fmt.Sprintf("process %d has %d bytes of memory", pid, kib<<10), nil
			}
			return "", nil
		})
	})
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
