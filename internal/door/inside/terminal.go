package inside

import (
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"

	"proofbox"
)

// newTerminal makes a pseudoterminal of the box's own devpts and gives its
// master end and the name of the other. See pts(4).
func newTerminal() (*os.File, string, error) {
	fd, err := unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, "", fmt.Errorf("opening /dev/ptmx: %w", err)
	}
	master := os.NewFile(uintptr(fd), "terminal")
	n, err := unix.IoctlGetUint32(fd, unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0)
	}
	if err != nil {
		_ = master.Close()
		return nil, "", fmt.Errorf("unlocking a terminal: %w", err)
	}
	return master, "/dev/pts/" + strconv.Itoa(int(n)), nil
}

func setSize(tty *os.File, s proofbox.TerminalSize) error {
	raw, err := tty.SyscallConn()
	if err != nil {
		return fmt.Errorf("sizing the terminal: %w", err)
	}
	var ioctlErr error
	err = raw.Control(func(fd uintptr) {
		ioctlErr = unix.IoctlSetWinsize(int(fd), unix.TIOCSWINSZ, &unix.Winsize{Row: s.Rows, Col: s.Cols})
	})
	if err == nil {
		err = ioctlErr
	}
	if err != nil {
		return fmt.Errorf("sizing the terminal: %w", err)
	}
	return nil
}
