package door

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"
)

// Operations of a box that has a kernel of its own, where that kernel's process
// 1 answers beside the box's.
const (
	OpUsage   = "usage"   // answered with Usage
	OpChanges = "changes" // answered with Changes, then chunks of a tar
)

// Usage is what a guest's kernel has counted. The host sees of a guest only
// the machine that it runs on. It is the guest's own word, for a report and for
// no decision about trust.
type Usage struct {
	CPU        time.Duration `json:"cpu"`
	PeakMemory int64         `json:"peak_memory"` // bytes
	// OOMKills counts processes that the memory limit has killed, PidsRefused
	// the tasks that the limit of tasks has refused.
	OOMKills    int64 `json:"oom_kills"`
	PidsRefused int64 `json:"pids_refused"`
	// DiskFree is how much may still be written, in bytes, and FilesFree how
	// many files may be made.
	DiskFree  int64  `json:"disk_free"`
	FilesFree int64  `json:"files_free"`
	Error     string `json:"error,omitempty"`
}

// Changes answers a request for them: every process of the box is gone.
type Changes struct {
	Error string `json:"error,omitempty"`
}

// Usage asks the guest's kernel what the box has used.
func (d *Door) Usage(ctx context.Context) (Usage, error) {
	var u Usage
	if err := d.ask(ctx, Request{Op: OpUsage}, &u); err != nil {
		return u, err
	}
	if u.Error != "" {
		return u, fmt.Errorf("the guest cannot say what it has used: %q", u.Error)
	}
	if min(u.CPU, time.Duration(u.PeakMemory), time.Duration(u.OOMKills), time.Duration(u.PidsRefused)) < 0 {
		return u, fmt.Errorf("the guest says that it has used %+v", u)
	}
	return u, nil
}

// Changes ends every process of the box and gives the upper layer of its copy
// of the workspace as a tar; package harvest unpacks it. Its end is io.EOF only
// where the guest has said that it was all. Time is bounded by ctx alone.
func (d *Door) Changes(ctx context.Context) (io.ReadCloser, error) {
	s, err := d.begin(Request{Op: OpChanges})
	if err != nil {
		return nil, err
	}
	var answer Changes
	if err := await(ctx, s, &answer); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	if answer.Error != "" {
		return nil, errors.Join(fmt.Errorf("the guest cannot give its changes: %q", answer.Error), s.Close())
	}
	stop := context.AfterFunc(ctx, func() { s.SetReadDeadline(time.Unix(1, 0)) })
	return &chunkReader{from: s, stop: stop}, nil
}

// Records of the tar in which changes come out, beside those that every tar has.
const (
	// RecordOpaque marks a folder that shows nothing of the one below it. It
	// is how tars have the attribute AttrOpaque.
	RecordOpaque = "SCHILY.xattr." + AttrOpaque
	// RecordSize and RecordOffset are those of a piece of a file with holes:
	// how large the whole is, and where the piece begins. The pieces of a file
	// follow each other.
	RecordSize   = "PROOFBOX.size"
	RecordOffset = "PROOFBOX.offset"
	// RecordSocket makes a socket of a FIFO; a tar has none.
	RecordSocket = "PROOFBOX.socket"
)

// AttrOpaque is the attribute by which an overlay marks such a folder; see the
// kernel's Documentation/filesystems/overlayfs.rst.
const AttrOpaque = "user.overlay.opaque"
