package microvm

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// measureTime is how long the counter's rate is measured: the error is that of
// one reading of the clock, some ten nanoseconds.
const measureTime = 50 * time.Millisecond

// bootID is another one each time that the host is started; see random(4).
const bootID = "/proc/sys/kernel/random/boot_id"

// counter reads the time stamp counter, which an emulated processor shares with
// the host's; see RDTSC in the Intel SDM, volume 2.
func counter() int64

// counterRate is how fast the time stamp counter runs, in kHz. It is measured
// once while the host is up: a saved guest is bound to it.
func (r *Runtime) counterRate() (int64, error) {
	boot, err := os.ReadFile(bootID)
	if err != nil {
		return 0, fmt.Errorf("asking since when the host is up: %w", err)
	}
	path := filepath.Join(r.Cache, "counter-"+strings.TrimSpace(string(boot)))
	if rate, err := readRate(path); err == nil {
		return rate, nil
	}
	if err := os.MkdirAll(r.Cache, 0o700); err != nil {
		return 0, fmt.Errorf("making the folder of guests: %w", err)
	}
	temp := fmt.Sprintf("%s.%d", path, os.Getpid())
	defer os.Remove(temp)
	if err := os.WriteFile(temp, strconv.AppendInt(nil, measure(), 10), 0o600); err != nil {
		return 0, fmt.Errorf("noting how fast the processor counts: %w", err)
	}
	// Of several that measure at once the first wins, and all take its number.
	if err := os.Link(temp, path); err != nil && !os.IsExist(err) {
		return 0, fmt.Errorf("noting how fast the processor counts: %w", err)
	}
	return readRate(path)
}

func readRate(path string) (int64, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return 0, err
	}
	rate, err := strconv.ParseInt(string(text), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("reading how fast the processor counts from %q: %w; remove the file", path, err)
	}
	return rate, nil
}

func measure() int64 {
	began, first := time.Now(), counter()
	time.Sleep(measureTime)
	elapsed, last := time.Since(began), counter()
	return (last - first) * int64(time.Millisecond) / int64(elapsed)
}
