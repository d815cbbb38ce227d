package api

import (
	"net/http"

	"proofbox"
)

func (h handler) breakout(w http.ResponseWriter, r *http.Request) error {
	var req proofbox.TrialRequest
	if err := read(r, &req); err != nil {
		return err
	}
	return steps(w, func(progress func(proofbox.Event)) (any, error) {
		return h.service.Breakout(r.Context(), req, progress)
	})
}

func (h handler) probes(w http.ResponseWriter, r *http.Request) error {
	probes, err := h.service.Probes(r.Context())
	return reply(w, probes, err)
}
