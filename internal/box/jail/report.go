package jail

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// listen takes the jail's reports until it ends, and closes the control socket
// then. The outcome of the building goes to built, exactly once.
func (j *Jail) listen(built chan<- error) {
	defer j.control.Close()
	for {
		report, fd, err := j.receive()
		switch {
		case err != nil:
			built <- fmt.Errorf("hearing from the jail: %w", err)
			return
		case report.Error != "":
			err := fmt.Errorf("in the jail: %s", report.Error)
			j.fail(err)
			built <- err
			return
		case report.Built:
			j.Scratch = fd
			built <- nil
			j.awaitExit()
			return
		}
	}
}

// Look asks the jail what the processes of its box use.
func (j *Jail) Look(ctx context.Context) (Used, error) {
	j.looking.Lock()
	defer j.looking.Unlock()
	select {
	case <-j.looks: // the answer to a look that was given up
	default:
	}
	if err := j.order(Look); err != nil {
		select {
		case <-j.gone:
			return Used{}, nil
		default:
			return Used{}, err
		}
	}
	select {
	case u := <-j.looks:
		return u, nil
	case <-j.gone:
		return Used{}, nil
	case <-ctx.Done():
		return Used{}, fmt.Errorf("looking at what the box uses: %w", context.Cause(ctx))
	}
}

func (j *Jail) awaitExit() {
	defer close(j.empty)
	for {
		report, _, err := j.receive()
		switch {
		case err != nil:
			return // the jail is gone
		case report.Error != "":
			j.fail(fmt.Errorf("in the jail: %s", report.Error))
		case report.Used != nil:
			select {
			case j.looks <- *report.Used:
			default: // whoever asked has given up
			}
		case report.Exited:
			j.status <- report.Status
		case report.Empty:
			return
		}
	}
}

// receive reads one report, with the descriptor that came along, if any.
func (j *Jail) receive() (Report, *os.File, error) {
	raw, err := j.control.SyscallConn()
	if err != nil {
		return Report{}, nil, err
	}
	buf, oob := make([]byte, maxReport), make([]byte, unix.CmsgSpace(4))
	var n, oobn int
	var rerr error
	err = raw.Read(func(fd uintptr) bool {
		n, oobn, _, _, rerr = unix.Recvmsg(int(fd), buf, oob, unix.MSG_CMSG_CLOEXEC)
		return !errors.Is(rerr, syscall.EAGAIN)
	})
	if err = errors.Join(err, rerr); err != nil {
		return Report{}, nil, err
	}
	if n == 0 {
		return Report{}, nil, io.EOF
	}
	var report Report
	if err := json.Unmarshal(buf[:n], &report); err != nil {
		return Report{}, nil, fmt.Errorf("reading a report: %w", err)
	}
	return report, received(oob[:oobn]), nil
}

// received gives the one file in a control message, or nil.
func received(oob []byte) *os.File {
	messages, err := unix.ParseSocketControlMessage(oob)
	if err != nil || len(messages) == 0 {
		return nil
	}
	fds, err := unix.ParseUnixRights(&messages[0])
	if err != nil || len(fds) == 0 {
		return nil
	}
	return os.NewFile(uintptr(fds[0]), "jail scratch")
}
