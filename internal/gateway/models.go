package gateway

import (
	"io"
	"maps"
	"net/http"
	"slices"

	"proofbox"
)

// models has a request to the gateway itself answered, and enters it.
func (g *Gateway) models(w http.ResponseWriter, r *http.Request) {
	entry := g.ledger.open(proofbox.Call{Host: "models", Method: r.Method, Path: short(r.URL.Path)})
	defer entry.close(nil)
	spotter := g.vault.spotter()
	r.Body = &heard{r.Body, io.TeeReader(g.config.Incoming("the context of a model", r.Body), spotter), entry}
	defer func() {
		// No secret is for a model, which is told all that its agent has seen.
		spotted := slices.Sorted(maps.Keys(spotter.found))
		entry.left(spotted)
		entry.alarm(spotted)
	}()
	g.config.Models.ServeHTTP(&told{w, entry}, r)
}

// heard is a request's body that counts.
type heard struct {
	io.Closer
	body  io.Reader
	entry *entry
}

func (h *heard) Read(p []byte) (int, error) {
	n, err := h.body.Read(p)
	h.entry.add(int64(n), 0)
	return n, err
}

// told is an answer that counts.
type told struct {
	http.ResponseWriter
	entry *entry
}

func (t *told) WriteHeader(status int) {
	t.entry.answered(status)
	t.ResponseWriter.WriteHeader(status)
}

func (t *told) Write(p []byte) (int, error) {
	n, err := t.ResponseWriter.Write(p)
	t.entry.add(0, int64(n))
	return n, err
}

// Unwrap is for [http.ResponseController].
func (t *told) Unwrap() http.ResponseWriter { return t.ResponseWriter }
