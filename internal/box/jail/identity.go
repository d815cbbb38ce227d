package jail

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// IDRange maps Size IDs from Inside in a user namespace to Outside in its
// parent.
type IDRange struct {
	Inside, Outside, Size int
}

// BoxID is the user and group ID of everything that runs in a box, as the box
// sees it.
const BoxID = 1000

// idSpace is how many IDs a jail has where it has more than one.
const idSpace = 1 << 16

// Identity is whom a jail's processes are to the host.
type Identity struct {
	// UIDs and GIDs map the jail's IDs to the host's.
	UIDs, GIDs []IDRange
	// Box is the jail's ID of the box's user.
	Box int
	// Nested maps the box's IDs to the jail's.
	Nested []IDRange
	// Tools says that the mappings have to be written by newuidmap(1) and
	// newgidmap(1), because they use subordinate IDs.
	Tools bool
	// Text says in words whom the box's processes are to the host.
	Text string

	lock *os.File
}

// Release gives the identity's ID range back. It is safe on every identity.
func (id *Identity) Release() error {
	if id.lock == nil {
		return nil
	}
	return id.lock.Close()
}

// firstRootID is the first host ID that boxes started by root are given. It
// lies above what useradd(8) and systemd allocate, and below the sign bit.
const firstRootID = 1 << 30

// rootRanges is how many ranges of idSpace there are above firstRootID.
const rootRanges = 1 << 13

// RootIdentity reserves a range of host IDs that no other running box of the
// same state folder has. The lock file that reserves it stays in dir; the
// kernel drops the lock with the process.
func RootIdentity(dir string) (*Identity, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("making the folder of ID ranges: %w", err)
	}
	for n := range rootRanges {
		lock, err := lockRange(filepath.Join(dir, strconv.Itoa(n)))
		if errors.Is(err, syscall.EWOULDBLOCK) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("reserving an ID range: %w", err)
		}
		return rootIdentity(firstRootID+n*idSpace, lock), nil
	}
	return nil, fmt.Errorf("all %d ID ranges are in use; stop some runs", rootRanges)
}

func rootIdentity(first int, lock *os.File) *Identity {
	all := []IDRange{{Inside: 0, Outside: first, Size: idSpace}}
	return &Identity{
		UIDs: all, GIDs: all, Box: BoxID,
		Nested: []IDRange{{Inside: 0, Outside: 0, Size: idSpace}},
		Text:   fmt.Sprintf("the subordinate user %d, one that no account of this host has", first+BoxID),
		lock:   lock,
	}
}

// SampleIdentity is the first of those that [RootIdentity] gives, without
// reserving it.
func SampleIdentity() *Identity { return rootIdentity(firstRootID, nil) }

// HostIdentity is that of a jail that shares the host's users: the box's user
// is the host's account of that number. A trial starts such jails as root, to
// show what the user namespace is for.
func HostIdentity() (*Identity, error) {
	if os.Geteuid() != 0 {
		return nil, errors.New("only root can start a jail without a user namespace")
	}
	all := []IDRange{{Inside: 0, Outside: 0, Size: idSpace}}
	return &Identity{UIDs: all, GIDs: all, Box: BoxID, Nested: all, Text: "the host's own users"}, nil
}

func lockRange(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// UserIdentity is the identity of boxes that an ordinary user starts: the box's
// user is that user, and the box's other IDs are the user's subordinate IDs,
// where there are any and the tools to map them are installed.
func UserIdentity() (*Identity, error) {
	me, err := user.Current()
	if err != nil {
		return nil, fmt.Errorf("looking up the current user: %w", err)
	}
	uid, gid := os.Getuid(), os.Getgid()
	id := &Identity{
		UIDs:   []IDRange{{0, uid, 1}},
		GIDs:   []IDRange{{0, gid, 1}},
		Nested: []IDRange{{BoxID, 0, 1}},
		Text:   fmt.Sprintf("the user %s (%d), and nobody else", me.Username, uid),
	}
	subUID := subordinate("/etc/subuid", me)
	subGID := subordinate("/etc/subgid", me)
	if subUID == 0 || subGID == 0 || !mappingTools() {
		return id, nil
	}
	id.UIDs = append(id.UIDs, IDRange{1, subUID, idSpace})
	id.GIDs = append(id.GIDs, IDRange{1, subGID, idSpace})
	id.Nested = []IDRange{
		{0, 1, BoxID},
		{BoxID, 0, 1},
		{BoxID + 1, BoxID + 1, idSpace - BoxID - 1},
	}
	id.Tools = true
	id.Text = fmt.Sprintf("the user %s (%d); other IDs in the box are subordinate to it", me.Username, uid)
	return id, nil
}

func mappingTools() bool {
	for _, tool := range []string{"newuidmap", "newgidmap"} {
		if _, err := exec.LookPath(tool); err != nil {
			return false
		}
	}
	return true
}

// subordinate finds the first range of at least idSpace IDs that belongs to
// the user in a file of subuid(5)'s form. It returns 0 where there is none.
func subordinate(file string, me *user.User) int {
	text, err := os.ReadFile(file)
	if err != nil {
		return 0 // without the file nobody has subordinate IDs
	}
	for line := range strings.Lines(string(text)) {
		fields := strings.Split(strings.TrimSpace(line), ":")
		if len(fields) != 3 || fields[0] != me.Username && fields[0] != me.Uid {
			continue
		}
		first, err1 := strconv.Atoi(fields[1])
		size, err2 := strconv.Atoi(fields[2])
		if err1 == nil && err2 == nil && size >= idSpace {
			return first
		}
	}
	return 0
}

// HasRoot says whether the box has a user 0.
func (id *Identity) HasRoot() bool {
	for _, r := range id.Nested {
		if r.Inside == 0 {
			return true
		}
	}
	return false
}

// HostBox is the host's ID of the box's user.
func (id *Identity) HostBox() int {
	for _, r := range id.UIDs {
		if id.Box >= r.Inside && id.Box < r.Inside+r.Size {
			return r.Outside + id.Box - r.Inside
		}
	}
	panic("jail: the box's user is not mapped")
}

// BoxUser says in words whom the boxes that this process starts are to the
// host, without reserving anything.
func BoxUser() (string, error) {
	if os.Geteuid() == 0 {
		return "a subordinate user, one that no account of this host has", nil
	}
	id, err := UserIdentity()
	if err != nil {
		return "", err
	}
	return id.Text, nil
}
