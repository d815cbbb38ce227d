package daemon

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"proofbox"
	"proofbox/internal/gateway"
)

// stagedDir is the folder of a run with the requests that were held: each a
// document N.json, and its body in N.body.
const stagedDir = "staged"

// maxStaged is how many requests of a run are held.
const maxStaged = 1000

// outbox keeps the requests of one run that wait for a person.
type outbox struct {
	dir   string
	limit int64 // bytes of all bodies

	mu   sync.Mutex
	n    int   // guarded by mu
	left int64 // guarded by mu
}

func newOutbox(dir string, limit proofbox.Size) *outbox {
	return &outbox{dir: dir, limit: int64(limit), left: int64(limit)}
}

// hold is a [gateway.Hold]. What it has answered for is on the disk.
func (o *outbox) hold(r proofbox.Staged, body io.Reader) (int, error) {
	if err := os.MkdirAll(o.dir, 0o700); err != nil {
		return 0, fmt.Errorf("holding a request: %w", err)
	}
	temp, err := os.CreateTemp(o.dir, ".body-*")
	if err != nil {
		return 0, fmt.Errorf("holding a request: %w", err)
	}
	defer os.Remove(temp.Name()) // it has another name by then, or is of no use
	sum := sha256.New()
	r.Bytes, err = io.Copy(io.MultiWriter(&rationed{temp, o}, sum), body)
	if err = errors.Join(err, temp.Sync(), temp.Close()); err != nil {
		return 0, err
	}
	r.Digest, r.Time, r.State = hex.EncodeToString(sum.Sum(nil)), time.Now().UTC(), proofbox.Held
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.n >= maxStaged {
		return 0, &gateway.TooMuchError{Why: fmt.Sprintf("%d requests are held already", maxStaged)}
	}
	r.N = o.n + 1
	if r.Hash, err = hashStaged(r); err != nil {
		return 0, err
	}
	if err := os.Rename(temp.Name(), bodyOf(o.dir, r.N)); err != nil {
		return 0, fmt.Errorf("holding a request: %w", err)
	}
	if err := saveStaged(o.dir, r); err != nil {
		return 0, err
	}
	o.n++
	return r.N, nil
}

// rationed is a body that takes from what all of them may have.
type rationed struct {
	io.Writer
	of *outbox
}

func (r *rationed) Write(p []byte) (int, error) {
	r.of.mu.Lock()
	defer r.of.mu.Unlock()
	if int64(len(p)) > r.of.left {
		return 0, &gateway.TooMuchError{Why: fmt.Sprintf("more than %s would be held; raise it with --upload", proofbox.Size(r.of.limit))}
	}
	r.of.left -= int64(len(p))
	return r.Writer.Write(p)
}

func bodyOf(dir string, n int) string   { return filepath.Join(dir, fmt.Sprintf("%d.body", n)) }
func recordOf(dir string, n int) string { return filepath.Join(dir, fmt.Sprintf("%d.json", n)) }

// hashStaged names what would be sent.
func hashStaged(r proofbox.Staged) (string, error) {
	data, err := json.Marshal([]any{r.Method, r.URL, r.Header, r.Bytes, r.Digest})
	if err != nil {
		return "", fmt.Errorf("naming a request: %w", err)
	}
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:8]), nil
}

// saveStaged writes what is known of a request, so that it is there after a crash
// of the host.
func saveStaged(dir string, r proofbox.Staged) error {
	r.Body = ""
	if err := writeJSON(recordOf(dir, r.N), r); err != nil {
		return err
	}
	for _, path := range []string{recordOf(dir, r.N), dir} {
		if err := flush(path); err != nil {
			return fmt.Errorf("keeping the record of a request: %w", err)
		}
	}
	return nil
}

// staged lists the requests of a run that were held, with the beginnings of their
// bodies where they are asked for.
func (d *Daemon) staged(run string, bodies bool) ([]proofbox.Staged, error) {
	dir := filepath.Join(d.store.dir(run), stagedDir)
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading the requests that were held: %w", err)
	}
	var list []proofbox.Staged
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), ".") || !strings.HasSuffix(e.Name(), ".json") {
			continue
		}
		r, err := loadStaged(dir, e.Name(), bodies)
		if err != nil {
			return nil, fmt.Errorf("reading the request %s that was held: %w", e.Name(), err)
		}
		list = append(list, r)
	}
	slices.SortFunc(list, func(a, b proofbox.Staged) int { return cmp.Compare(a.N, b.N) })
	return list, nil
}

// maxBodyShown is how much of a body a person is shown.
const maxBodyShown = 16 << 10

func loadStaged(dir, name string, body bool) (r proofbox.Staged, err error) {
	data, err := os.ReadFile(filepath.Join(dir, name))
	if err == nil {
		err = json.Unmarshal(data, &r)
	}
	if err != nil || !body || r.State == proofbox.Dropped {
		return r, err
	}
	f, err := os.Open(bodyOf(dir, r.N))
	if err != nil {
		return r, err
	}
	data, err = io.ReadAll(io.LimitReader(f, maxBodyShown))
	r.Body = proofbox.Raw(data)
	return r, errors.Join(err, f.Close())
}

// drop says of the requests that are still held that they will not be sent.
func (d *Daemon) drop(run string) error {
	list, err := d.staged(run, false)
	if err != nil || len(list) == 0 {
		return err
	}
	dir := filepath.Join(d.store.dir(run), stagedDir)
	lock, err := alone(dir)
	if err != nil {
		return &StateError{Run: run, Why: err.Error()}
	}
	defer lock.Close()
	if list, err = d.staged(run, false); err != nil { // as it is now
		return err
	}
	for _, r := range list {
		if r.State != proofbox.Held {
			continue
		}
		r.State = proofbox.Dropped
		if err := errors.Join(saveStaged(dir, r), os.Remove(bodyOf(dir, r.N))); err != nil {
			return err
		}
	}
	return nil
}
