// Package provenance knows which commands of a box have written what, from outside.
//
// The kernel tells an administrator's fanotify group who has done something to a file
// system. A box on the host's kernel writes to one of its own. Each program
// that the box starts waits until it was noted, so that a process that has ended
// long ago still has its names, and those of all that it descends from. What was not
// seen is unknown, and whatever is doubtful is.
//
// It says who wrote, not who talked him into it: commands of one box trust each
// other, and one may leave a script that another runs.
package provenance

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"proofbox"
	"proofbox/internal/box/posture"
)

// Box is a box whose command has not started yet.
type Box struct {
	Init    int      // its process 1, as the host counts
	Scratch *os.File // the file system of its own that all it writes goes to
}

// Bounds of what is remembered. What is beyond them makes everything unknown.
const (
	maxProcesses = 1 << 17
	maxKeys      = 1 << 20
	// maxWriters is how many processes of one path are told apart.
	maxWriters = 64
)

// Record is who has written what.
type Record struct {
	init     int
	program  inode // what process 1 runs
	expected atomic.Int64
	execs    int // groups of fanotify(7)
	writes   int
	end      int // an eventfd
	done     chan struct{}

	// What follows belongs to follow, and then to whoever has closed the record.
	unknown   string // why nothing is known
	processes map[uint64]*process
	deeds     map[string]*deeds
	numbers   map[int]*process // the last that was seen with a number
	count     int
	cycle     cycle
}

// inode names a file while it is there.
type inode struct{ dev, ino uint64 }

// deeds are who has done something to a file, or to a name in a folder.
type deeds struct {
	by    []*process // each once
	last  *process
	when  int  // counts events
	doubt bool // somebody has who is not known
	moved bool // the name was given to what had another
}

const written = unix.FAN_MODIFY | unix.FAN_CLOSE_WRITE | unix.FAN_ATTRIB | unix.FAN_CREATE | unix.FAN_DELETE | unix.FAN_MOVED_TO | unix.FAN_MOVED_FROM

// pidfsMagic is PID_FS_MAGIC of the kernel's linux/magic.h. A pidfd in that file system has a
// number of its own for each process there ever was: since Linux 6.9.
const pidfsMagic = 0x50494446

// handleFID is AT_HANDLE_FID of the kernel's linux/fcntl.h: a handle as events have it.
const handleFID = 0x200

// Follow begins to note who writes. The error says why that cannot be known here.
func Follow(b Box) (*Record, error) {
	r := empty()
	if err := r.open(b); err != nil {
		r.closeFiles()
		return nil, err
	}
	go r.follow()
	return r, nil
}

func empty() *Record {
	return &Record{
		execs: -1, writes: -1, end: -1, done: make(chan struct{}),
		processes: map[uint64]*process{}, numbers: map[int]*process{}, deeds: map[string]*deeds{},
	}
}

func (r *Record) open(b Box) (err error) {
	r.init = b.Init
	if os.Geteuid() != 0 {
		return errors.New("the kernel tells only root who writes")
	}
	if err := distinct(b.Init); err != nil {
		return err
	}
	if err := own(b.Scratch); err != nil {
		return err
	}
	if r.program, err = programOf(b.Init); err != nil {
		return fmt.Errorf("looking at the box's process 1: %w", err)
	}
	if err := r.openGroups(b.Scratch); err != nil {
		return err
	}
	return r.markMounts()
}

// openGroups begins to collect what is written to a file system.
func (r *Record) openGroups(scratch *os.File) (err error) {
	if r.cycle, err = newCycle(); err != nil {
		return err
	}
	const common = unix.FAN_CLOEXEC | unix.FAN_NONBLOCK | unix.FAN_REPORT_PIDFD
	if r.execs, err = unix.FanotifyInit(common|unix.FAN_CLASS_CONTENT, unix.O_RDONLY|unix.O_CLOEXEC); err != nil {
		return fmt.Errorf("watching what is started: %w", err)
	}
	if r.writes, err = unix.FanotifyInit(common|unix.FAN_CLASS_NOTIF|unix.FAN_REPORT_DFID_NAME_TARGET, unix.O_RDONLY|unix.O_CLOEXEC); err != nil {
		return fmt.Errorf("watching what is written: %w", err)
	}
	if r.end, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK); err != nil {
		return err
	}
	if err := unix.FanotifyMark(r.writes, unix.FAN_MARK_ADD|unix.FAN_MARK_FILESYSTEM, written|unix.FAN_ONDIR, int(scratch.Fd()), "."); err != nil {
		return fmt.Errorf("watching what is written: %w", err)
	}
	return nil
}

// distinct says whether this kernel tells a process from a later one with the same
// number.
func distinct(pid int) error {
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return fmt.Errorf("opening the box's process 1: %w", err)
	}
	defer unix.Close(fd)
	var fs unix.Statfs_t
	if err := unix.Fstatfs(fd, &fs); err != nil || fs.Type != pidfsMagic {
		return errors.Join(err, errors.New("this kernel does not tell a process from a later one with its number; Linux 6.9 does"))
	}
	return nil
}

// own refuses a scratch that is not a mount's root: there would be others who write.
func own(scratch *os.File) error {
	var st unix.Statx_t
	err := unix.Statx(int(scratch.Fd()), "", unix.AT_EMPTY_PATH, unix.STATX_BASIC_STATS, &st)
	if err != nil || st.Attributes&unix.STATX_ATTR_MOUNT_ROOT == 0 {
		return errors.Join(err, errors.New("what the box writes is in no file system of its own"))
	}
	return nil
}

// markMounts has each program that is started from a mount of the box wait to be
// noted. The box cannot mount another.
func (r *Record) markMounts() error {
	mounts, err := posture.ReadMounts(r.init)
	if err != nil {
		return fmt.Errorf("listing the box's mounts: %w", err)
	}
	for _, m := range mounts {
		if m.Has("noexec") {
			continue
		}
		err := unix.FanotifyMark(r.execs, unix.FAN_MARK_ADD|unix.FAN_MARK_MOUNT, unix.FAN_OPEN_EXEC_PERM, -1, procFile(r.init, "root")+m.Point)
		if err != nil {
			return fmt.Errorf("watching what is started from %q: %w", m.Point, err)
		}
	}
	return nil
}

func procFile(pid int, name string) string {
	return filepath.Join("/proc", strconv.Itoa(pid), name)
}

// Expect says that the box's process 1 is about to start a command. A process
// whose parent it is and that was not expected is one whose parent has ended. A nil
// record takes it.
func (r *Record) Expect() {
	if r != nil {
		r.expected.Add(1)
	}
}

// Close ends the record, once no process of the box is left. A nil record takes it.
func (r *Record) Close() {
	if r == nil {
		return
	}
	var one [8]byte
	binary.NativeEndian.PutUint64(one[:], 1)
	_, _ = unix.Write(r.end, one[:]) // an eventfd takes it
	<-r.done
	r.closeFiles()
}

// Unknown says why nothing is known of who has written, once the record is closed.
func (r *Record) Unknown() string { return r.unknown }

func (r *Record) closeFiles() {
	for _, fd := range []int{r.execs, r.writes, r.end} {
		if fd >= 0 {
			unix.Close(fd)
		}
	}
}

// of gives who a name or a file was touched by, made where nobody was.
func (r *Record) of(key string) *deeds {
	d := r.deeds[key]
	if d == nil {
		d = &deeds{}
		if len(r.deeds) >= maxKeys {
			r.lose(fmt.Sprintf("the box has written to more than %d names", maxKeys))
			return d
		}
		r.deeds[key] = d
	}
	return d
}

// lose makes everything unknown, and forgets.
func (r *Record) lose(why string) {
	if r.unknown == "" {
		r.unknown = why
		clear(r.deeds)
	}
}

func (d *deeds) add(p *process, when int, moved bool) {
	d.when, d.last = when, p
	d.moved = d.moved || moved
	if p == nil || len(d.by) >= maxWriters {
		d.doubt = true
		return
	}
	if slices.Contains(d.by, p) {
		return
	}
	d.by = append(d.by, p)
}

// unseen is what is said of a path that nobody was seen to write.
const unseen = "nobody was seen to write it"

// Find gives who has written paths of the box's copy, whose upper layer is given.
func (r *Record) Find(upper *os.File) *Finder {
	return &Finder{record: r, upper: upper, folders: map[string]folder{}}
}

// Finder looks paths up.
type Finder struct {
	record  *Record
	upper   *os.File
	folders map[string]folder
}

// folder is one of the upper layer: its handle, and who has moved it or one that it
// lies in. Without a handle there is none.
type folder struct {
	handle string
	movers []*deeds
}

// Writers gives who has written a path: it, or what has hidden it.
func (f *Finder) Writers(path string) proofbox.Writers {
	dir, name := filepath.Split(path)
	dir = filepath.Clean(dir)
	in := f.folder(dir)
	if in.handle == "" {
		return f.Writers(dir) // it went with the folder
	}
	var found []*deeds
	for _, key := range []string{in.handle + "/" + name, f.handle(path)} {
		if d := f.record.deeds[key]; d != nil && key != "" {
			found = append(found, d)
		}
	}
	if len(found) == 0 {
		if dir != "." && f.handle(path) == "" {
			return f.Writers(dir) // hidden by a folder that took the place of its own
		}
		return proofbox.Writers{Unknown: unseen}
	}
	return sum(found, in.movers)
}

func (f *Finder) folder(path string) folder {
	if known, ok := f.folders[path]; ok {
		return known
	}
	var found folder
	if path == "." {
		found = folder{handle: f.handle(path)}
	} else if in := f.folder(filepath.Dir(path)); in.handle != "" {
		found = folder{f.handleOf(path, unix.O_DIRECTORY), in.movers}
		if d := f.record.deeds[in.handle+"/"+filepath.Base(path)]; d != nil && d.moved {
			found.movers = append(in.movers[:len(in.movers):len(in.movers)], d)
		}
	}
	f.folders[path] = found
	return found
}

func (f *Finder) handle(path string) string { return f.handleOf(path, 0) }

// handleOf names what is at a path of the upper layer as events do; empty where there is
// nothing.
func (f *Finder) handleOf(path string, flags uint64) string {
	fd, err := unix.Openat2(int(f.upper.Fd()), path, &unix.OpenHow{
		Flags: unix.O_PATH | unix.O_NOFOLLOW | unix.O_CLOEXEC | flags, Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS | unix.RESOLVE_NO_XDEV,
	})
	if err != nil {
		return ""
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil || st.Mode&unix.S_IFMT == unix.S_IFCHR {
		return "" // one whiteout has many names
	}
	h, _, err := unix.NameToHandleAt(fd, "", unix.AT_EMPTY_PATH|handleFID)
	if err != nil {
		return ""
	}
	return handleKey(h.Type(), h.Bytes())
}

func handleKey(kind int32, bytes []byte) string {
	return string(binary.NativeEndian.AppendUint32(nil, uint32(kind))) + string(bytes)
}
