package contents

import (
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"proofbox"
)

// memory is what a set was when every byte of it had been read: of each folder and each file the number that the
// file system knows it by, its size, and when it was written and changed. It is kept in a folder of proofbox's own,
// with a code that only who has the key can make. The time of a change is the file system's own, which no program
// can set; that it says enough is looked at by reading some files again, which nobody can foresee.
type memory struct {
	Verified proofbox.Verified // without the seal's files
	Time     time.Time         // when reading began
	Device   uint64
	Files    int
	Folders  []knownFolder

	folders string // as they are written, where it was read
	settled time.Duration
}

// knownFolder is a folder: its own path in the set, and what is in it that is no folder.
type knownFolder struct {
	Name  string
	State identity
	Files []knownFile
}

type knownFile struct {
	Name  string
	State identity
	Sum   [sha256.Size]byte
}

// identity tells a file from another, and from itself once it has changed.
type identity struct {
	Inode                  uint64
	Size, Written, Changed int64
}

// Bounds of a memory.
const (
	maxMemory   = 512 << 20 // bytes
	settled     = 2 * time.Second
	sampleFiles = 32
	sampleBytes = 64 << 20
)

// trusted are the file systems whose times of change are their own and fine enough, and which notice a write to a
// mapped page once it has been synced.
var trusted = []int64{unix.EXT4_SUPER_MAGIC, unix.XFS_SUPER_MAGIC, unix.BTRFS_SUPER_MAGIC}

var errForgotten = errors.New("it is not as it was")

// Check verifies a data set as [Keeper.Verify] does. What was verified before and is unchanged is not read again,
// unless all is asked for. more is done to what is read, before it is remembered.
func (k *Keeper) Check(ctx context.Context, path string, all bool, now time.Time, more func(proofbox.Verified) error) (proofbox.Verified, error) {
	if !all && k.Memory != "" {
		if v, err := k.recall(ctx, path, now); err == nil {
			return v, nil
		}
	}
	settle(path)
	began := time.Now()
	v, err := k.Verify(ctx, path, "", now)
	if err == nil {
		err = more(v)
	}
	if err != nil {
		return v, err
	}
	v.How, v.Files = "every byte was read", len(v.Seal.Files)
	if k.Memory != "" {
		if err := k.remember(path, v, began); err != nil {
			v.How += fmt.Sprintf("; it will be again the next time, because %v", err)
		}
	}
	return v, nil
}

// settle has what was written to a set's mapped pages noticed: a page that is synced cannot be written without a
// change of its file's times.
func settle(path string) {
	if f, err := os.Open(path); err == nil {
		_ = unix.Syncfs(int(f.Fd())) // what is not synced has too new a time to be remembered
		_ = f.Close()
	}
}

// file is where the memory of a path is kept.
func (k *Keeper) file(path string) string {
	sum := sha256.Sum256([]byte(filepath.Clean(path)))
	return filepath.Join(k.Memory, hex.EncodeToString(sum[:]))
}

// remember notes what a set is, of which every byte was read since a time.
func (k *Keeper) remember(path string, v proofbox.Verified, began time.Time) error {
	m := memory{Verified: v, Time: began, settled: cmp.Or(k.settled, settled)}
	sums := map[string]string{}
	for _, f := range v.Seal.Files {
		sums[string(f.Name)] = f.SHA256
	}
	m.Verified.Seal.Files, m.Verified.Envelope = nil, nil
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return fmt.Errorf("it cannot be opened: %w", err)
	}
	var sys unix.Statfs_t
	var st unix.Stat_t
	err = errors.Join(unix.Fstatfs(fd, &sys), unix.Fstat(fd, &st), unix.Close(fd))
	switch {
	case err != nil:
		return err
	case !slices.Contains(trusted, sys.Type):
		return errors.New("its file system is none whose times of change are relied on")
	case st.Mode&unix.S_IFMT != unix.S_IFDIR:
		return errors.New("it is a single file")
	}
	m.Device = st.Dev
	if err := m.gather(path, ".", sums); err != nil {
		return err
	}
	if len(sums) > 0 {
		return errForgotten
	}
	if err := os.MkdirAll(k.Memory, 0o700); err != nil {
		return err
	}
	data := m.encode()
	return replace(k.file(path), append(data, k.code("data sets", data)...))
}

// code is what only who has the key can make of a memory of something.
func (k *Keeper) code(of string, data []byte) []byte {
	mac := hmac.New(sha256.New, k.Key.Derive("memory of "+of))
	mac.Write(data)
	return mac.Sum(nil)
}

// gather notes a folder and what is in it, and takes what it has found out of the sums.
func (m *memory) gather(root, name string, sums map[string]string) error {
	dir, err := os.Open(filepath.Join(root, name))
	if err != nil {
		return err
	}
	defer dir.Close()
	state, err := m.state(int(dir.Fd()), "", unix.S_IFDIR)
	if err != nil {
		return err
	}
	entries, err := dir.ReadDir(-1)
	if err != nil {
		return err
	}
	folder := knownFolder{Name: name, State: state}
	for _, e := range entries {
		if e.IsDir() {
			continue
		}
		state, err := m.state(int(dir.Fd()), e.Name(), unix.S_IFREG)
		if err != nil {
			return err
		}
		f := knownFile{Name: e.Name(), State: state}
		whole := filepath.Join(name, e.Name())
		if n, err := hex.Decode(f.Sum[:], []byte(sums[whole])); err != nil || n != len(f.Sum) {
			return errForgotten
		}
		delete(sums, whole)
		folder.Files = append(folder.Files, f)
	}
	m.Folders, m.Files = append(m.Folders, folder), m.Files+len(folder.Files)
	for _, e := range entries {
		if e.IsDir() {
			if err := m.gather(root, filepath.Join(name, e.Name()), sums); err != nil {
				return err
			}
		}
	}
	return nil
}

// state is that of a name in a folder, or of the folder where it is empty. What has changed too lately may change
// again without a sign.
func (m *memory) state(dir int, name string, kind uint32) (identity, error) {
	var st unix.Stat_t
	var err error
	if name == "" {
		err = unix.Fstat(dir, &st)
	} else {
		err = unix.Fstatat(dir, name, &st, unix.AT_SYMLINK_NOFOLLOW)
	}
	if err != nil {
		return identity{}, err
	}
	if st.Mode&unix.S_IFMT != kind || st.Dev != m.Device {
		return identity{}, errForgotten
	}
	if st.Ctim.Nano() > m.Time.Add(-m.settled).UnixNano() {
		return identity{}, errors.New("it was changed a moment ago")
	}
	return identity{Inode: st.Ino, Size: st.Size, Written: st.Mtim.Nano(), Changed: st.Ctim.Nano()}, nil
}

// recall confirms a set that is as it was remembered. An error says that it has to be read.
func (k *Keeper) recall(ctx context.Context, path string, now time.Time) (proofbox.Verified, error) {
	m, err := k.load(path)
	if err != nil {
		return proofbox.Verified{}, err
	}
	rules := make(chan string, 1)
	go func() {
		r, _ := k.rules(ctx) // none is not those of the seal
		rules <- r
	}()
	v := m.Verified
	envelope, err := read(File(path))
	if err != nil {
		return v, err
	}
	if sum := sha256.Sum256(envelope); hex.EncodeToString(sum[:]) != v.Digest || now.Before(m.Time) || v.KeyID != k.Key.ID() {
		return v, errForgotten
	}
	if refusal := granted(v.Seal.Class, v.Seal.Grant, now); refusal != nil {
		return v, refusal
	}
	if refusal := awake(v.Seal.Planted, v.Seal.Awake, v.Seal.Time, now); refusal != nil {
		return v, refusal
	}
	sampled, err := m.same(path)
	if err != nil {
		return v, err
	}
	if <-rules != v.Seal.Rules {
		return v, errForgotten
	}
	v.How = fmt.Sprintf("every byte was read on %s; since then no file and no folder has changed by the file system's own times, and %d of the files, at random, were read again",
		m.Time.Local().Format(time.DateTime), sampled)
	return v, nil
}

// same says whether everything is as it was, and how many files were read again for that.
func (m *memory) same(path string) (int, error) {
	root, err := unix.Open(path, unix.O_PATH|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return 0, err
	}
	defer unix.Close(root)
	sample := make(map[int]bool, sampleFiles)
	for range min(sampleFiles, m.Files) {
		sample[rand.IntN(m.Files)] = true
	}
	var sampled, left atomic.Int64
	left.Store(sampleBytes)
	var group errgroup.Group
	workers := runtime.GOMAXPROCS(0)
	for n := range workers {
		group.Go(func() error {
			return m.each(func(i, first int, f *knownFolder) error {
				if i%workers != n {
					return nil
				}
				if err := m.sameFolder(root, f); err != nil {
					return err
				}
				for j := range f.Files {
					if file := &f.Files[j]; sample[first+j] && left.Add(-file.State.Size) >= 0 {
						sampled.Add(1)
						if err := file.again(filepath.Join(path, f.Name, file.Name)); err != nil {
							return err
						}
					}
				}
				return nil
			})
		})
	}
	err = group.Wait()
	return int(sampled.Load()), err
}

// sameFolder says whether a folder and the files in it are as they were. A name that was added or taken away has
// changed the folder.
func (m *memory) sameFolder(root int, f *knownFolder) error {
	how := unix.OpenHow{Flags: unix.O_PATH | unix.O_DIRECTORY | unix.O_CLOEXEC, Resolve: unix.RESOLVE_NO_SYMLINKS | unix.RESOLVE_BENEATH}
	fd, err := unix.Openat2(root, f.Name, &how)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if state, err := m.state(fd, "", unix.S_IFDIR); err != nil || state != f.State {
		return errForgotten
	}
	for i := range f.Files {
		if state, err := m.state(fd, f.Files[i].Name, unix.S_IFREG); err != nil || state != f.Files[i].State {
			return errForgotten
		}
	}
	return nil
}

// again reads a file and holds it against what it was.
func (f *knownFile) again(path string) error {
	r, err := os.OpenFile(path, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return err
	}
	defer r.Close()
	h := sha256.New()
	if _, err := io.Copy(h, r); err != nil {
		return err
	}
	if [sha256.Size]byte(h.Sum(nil)) != f.Sum {
		return errForgotten
	}
	return nil
}

// encode writes a memory: what was verified, in JSON, then the numbers and names, each name with its length.
func (m *memory) encode() []byte {
	head, err := json.Marshal(m.Verified)
	if err != nil {
		panic(fmt.Sprintf("contents: encoding what was verified: %v", err)) // it was decoded before
	}
	b := binary.LittleEndian.AppendUint64(nil, uint64(m.Time.UnixNano()))
	b = binary.LittleEndian.AppendUint64(b, m.Device)
	b = binary.AppendUvarint(b, uint64(m.Files))
	b = append(binary.AppendUvarint(b, uint64(len(head))), head...)
	named := func(name string, s identity) {
		b = append(binary.AppendUvarint(b, uint64(len(name))), name...)
		for _, n := range []uint64{s.Inode, uint64(s.Size), uint64(s.Written), uint64(s.Changed)} {
			b = binary.LittleEndian.AppendUint64(b, n)
		}
	}
	for _, f := range m.Folders {
		named(f.Name, f.State)
		b = binary.AppendUvarint(b, uint64(len(f.Files)))
		for _, file := range f.Files {
			named(file.Name, file.State)
			b = append(b, file.Sum[:]...)
		}
	}
	return b
}

// load reads the memory of a path.
func (k *Keeper) load(path string) (*memory, error) {
	r, err := os.Open(k.file(path))
	if err != nil {
		return nil, err
	}
	defer r.Close()
	data, err := io.ReadAll(io.LimitReader(r, maxMemory))
	if err != nil || len(data) < sha256.Size {
		return nil, errors.Join(err, errForgotten)
	}
	body := data[:len(data)-sha256.Size]
	if !hmac.Equal(k.code("data sets", body), data[len(body):]) {
		return nil, errForgotten
	}
	d := decoder{unsafe.String(&data[0], len(body))} // nobody changes it
	m := &memory{settled: cmp.Or(k.settled, settled), Time: time.Unix(0, int64(d.number())), Device: d.number(), Files: d.count()}
	if err := json.Unmarshal([]byte(d.text()), &m.Verified); err != nil {
		return nil, err
	}
	m.folders = d.rest
	return m, nil
}

// each visits the folders of a memory that was read, with the number of each and that of its first file. A folder
// is for the visit alone.
func (m *memory) each(visit func(i, first int, f *knownFolder) error) error {
	d, first := decoder{m.folders}, 0
	var f knownFolder
	for i := 0; d.rest != ""; i++ {
		f.Name, f.State = d.text(), d.identity()
		f.Files = f.Files[:0]
		for range d.count() {
			file := knownFile{Name: d.text(), State: d.identity()}
			copy(file.Sum[:], d.take(sha256.Size))
			f.Files = append(f.Files, file)
		}
		if err := visit(i, first, &f); err != nil {
			return err
		}
		first += len(f.Files)
	}
	return nil
}

// decoder reads what [memory.encode] has written; that it has, its code says.
type decoder struct{ rest string }

func (d *decoder) take(n int) string {
	part := d.rest[:n]
	d.rest = d.rest[n:]
	return part
}

func (d *decoder) number() uint64 {
	n := uint64(0)
	for i, part := 0, d.take(8); i < 8; i++ {
		n |= uint64(part[i]) << (8 * i)
	}
	return n
}

func (d *decoder) count() int {
	n := 0
	for i := 0; ; i += 7 {
		b := d.take(1)[0]
		n |= int(b&127) << i
		if b < 128 {
			return n
		}
	}
}

func (d *decoder) text() string { return d.take(d.count()) }

func (d *decoder) identity() identity {
	return identity{Inode: d.number(), Size: int64(d.number()), Written: int64(d.number()), Changed: int64(d.number())}
}
