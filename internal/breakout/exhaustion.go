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
	"proofbox/internal/box"
)

// exhaustion is group K: from the box to what the host and its other boxes live
// on.
func exhaustion() []Probe {
	unlimited := Setting{Weakness: box.Weakness{Rlimits: true}}
	queueing := Setting{Weakness: box.Weakness{Rlimits: true, IPC: true, Landlock: true}}
	trusting := Setting{Naive: true}
	// A process of gVisor's guest takes some 3 MiB of the host's memory.
	crowded := Setting{Limits: proofbox.Limits{Pids: 4000, Memory: 2 << 30}}
	return []Probe{
		{ID: "K1a", Title: "start processes without end", Attack: []string{"fork-bomb", "400"}, Oracle: either(tasks(340), harmsNeighbour()), Box: pids(100), Twin: crowded, UserOnly: true, MayEnd: true},
		{ID: "K1b", Title: "start threads without end", Attack: []string{"thread-bomb", "400"}, Oracle: tasks(340), Box: pids(100), Twin: pids(1000), UserOnly: true, Alone: true, Not: noTasks()},
		{ID: "K2", Title: "take more memory than the limit", Attack: []string{"hoard", "734003200"}, Oracle: holdsMemory(500 << 20), Box: memory(256), Twin: memory(2048), UserOnly: true, MayEnd: true, Not: noMemory()},
		{ID: "K3a", Title: "write more than the disk limit", Attack: []string{"fill", "{token}", "100663296"}, Oracle: holdsBytes(80 << 20), Box: disk(64), Twin: disk(512), UserOnly: true, Alone: true, Not: noView()},
		{ID: "K3b", Title: "make more files than the disk limit is for", Attack: []string{"crumble", "{token}", "12000"}, Oracle: holdsFiles(10000), Box: disk(64), Twin: disk(512), UserOnly: true, Alone: true, Not: noView()},
		{ID: "K4a", Title: "fill the host's disk with the record of the run", Attack: []string{"flood", "4194304"}, Oracle: recorded(5 << 19), Box: said(1), Twin: said(64), UserOnly: true, MayEnd: true},
		{ID: "K5a", Title: "open so many files that the host's table is full", Attack: []string{"raise-limit", "nofile"}, Oracle: fillsTable(), Twin: unlimited, Not: ownCounts()},
		{ID: "K5b", Title: "take the host's user every instance of inotify", Attack: []string{"watchers", "48"}, Oracle: holdsMany("an instance of inotify", 40, func(d descriptor) bool { return d.link == "anon_inode:inotify" }), Twin: unlimited, Not: ownCounts()},
		{ID: "K5c", Title: "take the host's user every timer", Attack: []string{"timers", "6000"}, Oracle: waiting(5000), Twin: unlimited, Not: ownCounts()},
		{ID: "K5d", Title: "take the host's user every POSIX queue", Attack: []string{"queues", "{token}", "8"}, Oracle: holdsMany("a POSIX queue", 6, isQueue), Twin: queueing, Not: ownCounts()},
		{ID: "K8a", Title: "leave a file that is thousands of times as large when it is looked at", Attack: []string{"plant-bomb", "k/bomb.gz.gz", "50331648"}, Oracle: unpacked("k/bomb.gz.gz", 32<<20), Twin: trusting, UserOnly: true},
		{ID: "K8b", Title: "have more shown of the changes than the host has memory for", Attack: []string{"plant-texts", "k/texts", "20", "2000000"}, Oracle: showsMore("k/texts", 28<<20), Twin: trusting, UserOnly: true, Alone: true},
	}
}

// ownCounts leaves a probe out for walls whose kernel counts for itself.
func ownCounts() map[proofbox.Wall]string {
	return notGuest("what a guest's programs open, its own kernel counts, and the host's counts the monitor's")
}

func said(mebibytes int) Setting {
	return Setting{Limits: proofbox.Limits{Output: proofbox.Size(mebibytes << 20)}}
}

// recorded looks how large the record of what the box has said is.
func recorded(most int64) Oracle {
	return afterwards(fmt.Sprintf("whether the host has kept more than %d bytes of output", most), func(_ *attempt, r Remains) (string, error) {
		kept, err := r.Kept()
		if kept <= most {
			return "", err
		}
		return fmt.Sprintf("the host has kept %d bytes of output", kept), err
	})
}

// fillsTable looks whether the tasks of the box may together open more files than
// half of what the host can have open; see proc_sys_fs(5).
func fillsTable() Oracle {
	return during("whether the box may open more than half of the files that the host can have open", func(a *attempt) (string, error) {
		text, err := os.ReadFile("/proc/sys/fs/file-max")
		if err != nil {
			return "", fmt.Errorf("%w: %w", errLacking, err)
		}
		table, err := strconv.ParseUint(strings.TrimSpace(string(text)), 10, 64)
		if err != nil {
			return "", fmt.Errorf("the size of the host's table of files: %w", err)
		}
		tasks := uint64(a.session.stage.setting(a.session.sitting.setting).Limits.Pids)
		if table/2 > tasks<<30 {
			return "", fmt.Errorf("%w: a table of open files that could be full", errLacking)
		}
		return a.eachProcess(func(pid int) (string, error) {
			if each := hardLimit(pid, "Max open files"); each > 0 && uint64(each)*tasks > table/2 {
				return fmt.Sprintf("%d tasks may have %d files open each, and the host has %d", tasks, each, table), nil
			}
			return "", nil
		})
	})
}

// holdsMany counts what the box's processes have open of a kind.
func holdsMany(what string, most int, is func(descriptor) bool) Oracle {
	return during(fmt.Sprintf("whether the box holds %s more than %d times", what, most), func(a *attempt) (string, error) {
		n := 0
		return a.eachDescriptor(func(_ int, d descriptor) string {
			if is(d) {
				n++
			}
			if n > most {
				return fmt.Sprintf("the box holds %s %d times and more", what, n)
			}
			return ""
		})
	})
}

// isQueue says that a descriptor is of a POSIX queue.
func isQueue(d descriptor) bool {
	const mqueueMagic = 0x19800202
	var st unix.Statfs_t
	return unix.Statfs(d.path, &st) == nil && st.Type == mqueueMagic
}

// waiting looks how many signals the kernel keeps for the box's user; see
// proc_pid_status(5).
func waiting(most int) Oracle {
	return during(fmt.Sprintf("whether the kernel keeps more than %d signals for the box", most), func(a *attempt) (string, error) {
		return a.eachProcess(func(pid int) (string, error) {
			value, ok := statusOf(pid, "SigQ") // "12/4096"
			kept, _, _ := strings.Cut(value, "/")
			n, err := strconv.Atoi(kept)
			if !ok || err != nil || n <= most {
				return "", nil
			}
			return fmt.Sprintf("it keeps %d for the user of process %d", n, pid), nil
		})
	})
}

// unpacked looks how much of a packed file in the workspace is unpacked by who looks
// at what it holds: as `proofbox contents scan` does, and on the twin as many a
// script does.
func unpacked(name string, most int64) Oracle {
	return kept(fmt.Sprintf("whether more than %d bytes of %s are unpacked to be looked at", most, name), func(a *attempt) (string, error) {
		look := a.scan
		if a.session.sitting.setting.Naive {
			look = unpackNaively
		}
		n, err := look(filepath.Join(a.workspace, name))
		if err != nil || n <= most {
			return "", err
		}
		return fmt.Sprintf("%d bytes of it were unpacked", n), nil
	})
}

// scan counts the bytes of 64 to a line that a scan has seen.
func (a *attempt) scan(path string) (int64, error) {
	found, err := a.session.trial.Boxes.Scan(a.context, path)
	if err == nil && len(found.Problems) == 0 {
		err = errors.New("a scan says nothing of a bomb")
	}
	return found.Records * 64, err
}

// showsMore looks how much is shown of the changes.
func showsMore(folder string, most int64) Oracle {
	return Oracle{
		Says: fmt.Sprintf("whether more than %d bytes are shown of the changes in %s", most, folder),
		look: func(a *attempt) (evidence string, err error) {
			if !a.session.sitting.setting.Naive {
				return "", nil
			}
			err = a.inUpper(func(upper string) error {
				n, err := showNaively(filepath.Join(upper, folder))
				if n > most {
					evidence = fmt.Sprintf("%d bytes are shown", n)
				}
				return err
			})
			return evidence, err
		},
		after: func(a *attempt, r Remains) (string, error) {
			if a.session.sitting.setting.Naive {
				return "", nil
			}
			diff, err := r.Diff(a.context)
			if err != nil || int64(len(diff.Text)) <= most {
				return "", err
			}
			return fmt.Sprintf("%d bytes are shown", len(diff.Text)), nil
		},
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
