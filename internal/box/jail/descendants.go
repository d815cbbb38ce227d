package jail

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// attempts bounds how often a family is listed until it has a member.
const attempts = 20

// Family lists the descendants of a process, of which member is known to be
// one: a listing is not atomic, and while a parent ends and its children move
// up, they can be missed. What is still missing after some listings is not of
// the family, which is an error.
func Family(pid, member int) ([]int, error) {
	for range attempts {
		found, err := descendants(pid)
		if err != nil || slices.Contains(found, member) {
			return found, err
		}
	}
	return nil, fmt.Errorf("process %d is not of this box", member)
}

// First gives the process that a jail's process 1 has started, its program.
func First(pid int) (int, error) {
	found, err := descendants(pid)
	if err == nil && len(found) == 0 {
		err = errors.New("the jail's program has ended")
	}
	if err != nil {
		return 0, err
	}
	return found[0], nil
}

// descendants lists a process's children, their children and so on, as far as
// they are there at this moment; see "/proc/pid/task/tid/children" in proc(5).
func descendants(pid int) ([]int, error) {
	tasks, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
	if ended(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("listing the children of process %d: %w", pid, err)
	}
	var found []int
	for _, task := range tasks {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%s/children", pid, task.Name()))
		if err != nil && !ended(err) {
			return nil, fmt.Errorf("listing the children of process %d: %w", pid, err)
		}
		for field := range strings.FieldsSeq(string(text)) {
			child, err := strconv.Atoi(field)
			if err != nil {
				return nil, fmt.Errorf("listing the children of process %d: %w", pid, err)
			}
			below, err := descendants(child)
			if err != nil {
				return nil, err
			}
			found = append(append(found, child), below...)
		}
	}
	return found, nil
}

func ended(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ESRCH)
}
