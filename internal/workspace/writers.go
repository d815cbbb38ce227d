package workspace

import (
	"fmt"
	"slices"

	"proofbox"
)

// Attribute notes who has written each change, or why nothing is known of that.
func (c *Changes) Attribute(wrote func(path string) proofbox.Writers, unknown string) error {
	c.list.Writers = unknown
	for i := range c.list.Changes {
		if change := &c.list.Changes[i]; unknown == "" {
			change.Writers = new(wrote(string(change.Path)))
		}
	}
	return c.save()
}

// unnoted is said of changes that were collected before anybody noted who writes.
const unnoted = "nobody has noted who writes"

// WritersUnknown says why nothing is known of who has written the changes.
func (c *Changes) WritersUnknown() string {
	known := slices.ContainsFunc(c.list.Changes, func(change proofbox.Change) bool { return change.Writers != nil })
	if c.list.Writers == "" && !known && len(c.list.Changes) > 0 {
		return unnoted
	}
	return c.list.Writers
}

// from says why a change is left out by who has written it.
func (c *Changes) from(o KeepOptions, change proofbox.Change) string {
	if len(o.NotFrom) == 0 {
		return ""
	}
	unknown := c.list.Writers
	if at, ok := c.find(string(change.Path)); ok && c.list.Changes[at].Writers != nil {
		w := c.list.Changes[at].Writers
		for _, name := range o.NotFrom {
			if slices.Contains(w.Names, proofbox.Raw(name)) {
				return fmt.Sprintf("it was written by %q, or by what that has started", name)
			}
		}
		unknown = w.Unknown
	} else if unknown == "" {
		unknown = unnoted
	}
	if unknown == "" || o.Unknown {
		return ""
	}
	return fmt.Sprintf("it may be from %q: %s; --unknown-too keeps such changes", o.NotFrom[0], unknown)
}
