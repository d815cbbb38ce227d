package provenance

import (
	"encoding/binary"
	"errors"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// event is one of fanotify(7).
type event struct {
	mask      uint64
	fd, pid   int
	pidfd     int    // negative where the process has gone
	file      string // the handle of what something was done to
	dir, name string // and the handle of the folder, and the name in it
}

// eventBuffer is in bytes.
const eventBuffer = 256 << 10

// follow takes events until [Record.Close].
func (r *Record) follow() {
	defer close(r.done)
	fds := []unix.PollFd{{Fd: int32(r.execs), Events: unix.POLLIN}, {Fd: int32(r.writes), Events: unix.POLLIN}, {Fd: int32(r.end), Events: unix.POLLIN}}
	buf := make([]byte, eventBuffer)
	for {
		if _, err := unix.Poll(fds, int(pollEvery/time.Millisecond)); err != nil && !errors.Is(err, unix.EINTR) {
			r.lose("watching what is written: " + err.Error())
			unix.Close(r.execs) // the kernel lets all programs start that wait for an answer
			r.execs = -1
			return
		}
		r.cycle.look()
		// What was written before a program starts is noted before: its process may
		// have the number of one that has written and gone.
		var starting []event
		r.take(r.execs, buf, func(e event) { starting = append(starting, e) })
		for r.take(r.writes, buf, r.writesTo) {
		}
		for _, e := range starting {
			r.starts(e)
		}
		if fds[2].Revents != 0 && len(starting) == 0 {
			return
		}
	}
}

// take takes the events that are there, as many as fit, and says whether there were
// any.
func (r *Record) take(group int, buf []byte, each func(event)) bool {
	n, err := unix.Read(group, buf)
	if errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EINTR) {
		return errors.Is(err, unix.EINTR)
	}
	if err != nil {
		r.lose("reading what is written: " + err.Error())
		return false
	}
	for b := buf[:n]; len(b) >= unix.FAN_EVENT_METADATA_LEN; {
		size := int(binary.NativeEndian.Uint32(b))
		e := parse(b[:size])
		if e.mask&unix.FAN_Q_OVERFLOW != 0 {
			r.lose("the box has written faster than could be noted")
		} else {
			each(e)
		}
		b = b[size:]
	}
	return true
}

// parse reads an event, which is the kernel's.
func parse(b []byte) event {
	e := event{
		mask: binary.NativeEndian.Uint64(b[8:]), fd: int(int32(binary.NativeEndian.Uint32(b[16:]))),
		pid: int(int32(binary.NativeEndian.Uint32(b[20:]))), pidfd: -1,
	}
	for b = b[unix.FAN_EVENT_METADATA_LEN:]; len(b) >= 4; {
		size := int(binary.NativeEndian.Uint16(b[2:]))
		switch b[0] {
		case unix.FAN_EVENT_INFO_TYPE_PIDFD:
			e.pidfd = int(int32(binary.NativeEndian.Uint32(b[4:])))
		case unix.FAN_EVENT_INFO_TYPE_FID:
			e.file, _ = handleIn(b[:size])
		case unix.FAN_EVENT_INFO_TYPE_DFID_NAME:
			var rest []byte
			e.dir, rest = handleIn(b[:size])
			e.name = unix.ByteSliceToString(rest)
		}
		b = b[size:]
	}
	return e
}

// handleIn reads a handle of a record, after its head and the file system's number;
// and what is behind it.
func handleIn(b []byte) (string, []byte) {
	const head = 4 + 8
	size := int(binary.NativeEndian.Uint32(b[head:]))
	kind := int32(binary.NativeEndian.Uint32(b[head+4:]))
	return handleKey(kind, b[head+8:][:size]), b[head+8+size:]
}

func (e event) close() {
	for _, fd := range []int{e.pidfd, e.fd} {
		if fd >= 0 {
			unix.Close(fd)
		}
	}
}

// starts notes a program that a process of the box is about to start, and lets it.
func (r *Record) starts(e event) {
	defer e.close()
	file, err := os.Readlink("/proc/self/fd/" + strconv.Itoa(e.fd))
	if p := r.find(e.pidfd, e.pid); p != nil {
		if err != nil {
			p.doubt = true
		}
		p.runs(e.pid, file)
	}
	var answer [8]byte
	binary.NativeEndian.PutUint32(answer[:], uint32(e.fd))
	binary.NativeEndian.PutUint32(answer[4:], unix.FAN_ALLOW)
	if _, err := unix.Write(r.execs, answer[:]); err != nil && !errors.Is(err, unix.ENOENT) {
		r.lose("letting a program of the box start: " + err.Error())
	}
}

// writesTo notes that something was written.
func (r *Record) writesTo(e event) {
	defer e.close()
	if r.unknown != "" {
		return
	}
	p := r.find(e.pidfd, e.pid)
	r.count++
	moved := e.mask&unix.FAN_MOVED_TO != 0
	if e.name != "" && e.mask&(unix.FAN_CREATE|unix.FAN_DELETE|unix.FAN_MOVED_TO|unix.FAN_MOVED_FROM) != 0 {
		r.of(e.dir+"/"+e.name).add(p, r.count, moved)
	}
	if e.file != "" && e.mask&(unix.FAN_MODIFY|unix.FAN_CLOSE_WRITE|unix.FAN_ATTRIB|unix.FAN_CREATE) != 0 {
		r.of(e.file).add(p, r.count, false)
	}
}
