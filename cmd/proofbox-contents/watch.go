package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"

	"proofbox/internal/contents"
	"proofbox/internal/contents/scan"
	"proofbox/internal/contents/tag"
)

// watch answers one look after the other until its input ends. The argument is
// the folder of what the box writes.
func watch(ctx context.Context, key *tag.Key, args []string) error {
	written := ""
	if len(args) > 0 {
		written = args[0]
	}
	s, err := scan.NewSentinel(written, key)
	if err != nil {
		return err
	}
	in, out := json.NewDecoder(os.Stdin), json.NewEncoder(os.Stdout)
	for {
		var l contents.Look
		if err := in.Decode(&l); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		var seen []scan.Sighting
		if l.Road != "" {
			seen = s.Take(l.Road, l.Stream, l.Data, l.End)
		} else if seen, err = s.Look(ctx); err != nil {
			return err
		}
		var answer contents.Looked
		for _, one := range seen {
			answer.Sightings = append(answer.Sightings, contents.Sighting(one))
		}
		for _, one := range s.Missed() {
			answer.Missed = append(answer.Missed, contents.Missed(one))
		}
		if err := out.Encode(answer); err != nil {
			return err
		}
	}
}
