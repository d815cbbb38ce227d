package jail

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"syscall"
)

// Descendants lists a process's children, their children and so on, as far as
// they are there at this moment.
func Descendants(pid int) ([]int, error) {
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
			below, err := Descendants(child)
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
