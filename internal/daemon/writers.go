package daemon

import (
	"os"

	"proofbox"
	"proofbox/internal/box/provenance"
)

// followWriters begins to note which commands of the box write what, where the
// wall lets the host see that.
func (s *session) followWriters() {
	switch {
	case s.base == nil || s.proposal != nil || s.weakness.Root:
		return // nobody will ask
	case s.run.Wall != proofbox.Container:
		s.unwatched = "behind the wall " + string(s.run.Wall) + " the host does not see the box's processes"
		return
	}
	var err error
	if s.writers, err = provenance.Follow(provenance.Box{Init: s.box.Init(), Scratch: s.box.Scratch()}); err != nil {
		s.unwatched = err.Error()
	}
}

// wrote gives who has written a path of the box's copy, once the box is down; or why
// nobody knows.
func (s *session) wrote(upper *os.File) (func(path string) proofbox.Writers, string) {
	if s.writers == nil {
		return nil, s.unwatched
	}
	return s.writers.Find(upper).Writers, s.writers.Unknown()
}
