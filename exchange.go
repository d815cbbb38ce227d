package proofbox

import (
	"encoding/json"
	"time"
)

// Exchange is one call to a model with its answer, as a recording keeps it: what
// is needed to make the call again, and to give the same answer again, byte for
// byte and at the same pace.
type Exchange struct {
	Number int       `json:"number"` // in the order in which calls were made, from 1 on
	Time   time.Time `json:"time"`
	// Format is "openai.chat", "openai.responses", "openai.embeddings",
	// "anthropic.messages" or "anthropic.tokens".
	Format string `json:"format"`
	Model  string `json:"model"`
	// Request is what the box has sent, and Sent what was sent on, where that is
	// not the same.
	Request json.RawMessage `json:"request"`
	Sent    json.RawMessage `json:"sent,omitempty"`
	Status  int             `json:"status"`
	Type    string          `json:"type"` // of the answer's content
	Answer  []Piece         `json:"answer"`
	// Complete says that the answer has come to its own end.
	Complete bool        `json:"complete"`
	Usage    *TokenUsage `json:"usage,omitempty"` // as the provider has reported it
	Charged  Money       `json:"charged"`
}

// Piece is a part of an answer: one event of a stream, or all of an answer that is
// none.
type Piece struct {
	After Duration `json:"after,omitzero"` // since the call was made
	Text  string   `json:"text,omitempty"`
	Bytes []byte   `json:"bytes,omitempty"` // where they are no text
}

// TokenUsage is what a call has used, in tokens. What was read from a cache or
// written to one is not in Input.
type TokenUsage struct {
	Input        int64 `json:"input"`
	Output       int64 `json:"output"`
	CacheRead    int64 `json:"cache_read,omitempty"`
	CacheWrite   int64 `json:"cache_write,omitempty"`
	CacheWrite1h int64 `json:"cache_write_1h,omitempty"`
}

// Recording says what is kept of a run's calls to models.
type Recording struct {
	Exchanges int `json:"exchanges"`
	// Digest is the SHA-256 of the file, "sha256:…".
	Digest string `json:"digest"`
}
