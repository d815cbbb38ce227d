package proofbox

import "time"

// Staged is a request of a box that would change something outside. It was held,
// and leaves when a person says so.
type Staged struct {
	N    int       `json:"n"` // counted from 1, in the order in which they came
	Time time.Time `json:"time"`
	// Method, URL and Header are as the box sent them, with placeholders in the
	// place of secrets.
	Method string              `json:"method"`
	URL    string              `json:"url"`
	Header map[string][]string `json:"header"`
	Bytes  int64               `json:"bytes"`  // of its body
	Digest string              `json:"digest"` // SHA-256 of its body
	// Hash names all of this: what a person has seen is what is sent.
	Hash  string      `json:"hash"`
	State StagedState `json:"state"`
	// Status and Answer are what came back when it was sent; of the answer, the
	// beginning. Problem says why it has not been, or why the other side has not
	// done what it asks, as git's does with a push that comes too late.
	Status  int    `json:"status,omitempty"`
	Answer  Raw    `json:"answer,omitempty"`
	Problem string `json:"problem,omitempty"`
	// Body is its beginning, where it was asked for.
	Body Raw `json:"body,omitempty"`
}

// StagedState is what became of a request that was held.
type StagedState string

const (
	Held    StagedState = "held"
	Sending StagedState = "sending" // it was begun; whether it has arrived is not known
	Sent    StagedState = "sent"
	Dropped StagedState = "dropped" // it will not be sent
)

// SendRequest asks to send requests that were held, in their order. The first that
// is not answered with success ends it.
type SendRequest struct {
	// All sends every one that is held; else those that are named.
	All bool       `json:"all,omitempty"`
	Of  []StagedID `json:"of,omitempty"`
	// Again sends also what may have arrived already.
	Again bool `json:"again,omitempty"`
}

// StagedID names a request that was held, and the bytes of it that were shown.
type StagedID struct {
	N    int    `json:"n"`
	Hash string `json:"hash"`
}
