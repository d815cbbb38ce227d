package api

import (
	"fmt"
	"io"
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

// maxCertificate bounds a certificate, in bytes.
const maxCertificate = 1 << 20

func (h handler) verifyCertificate(w http.ResponseWriter, r *http.Request) error {
	envelope, err := io.ReadAll(http.MaxBytesReader(nil, r.Body, maxCertificate))
	if err != nil {
		return &proofbox.Problem{Code: proofbox.CodeInvalid, Message: fmt.Sprintf("reading the certificate: %v", err)}
	}
	check, err := h.service.VerifyCertificate(r.Context(), envelope)
	return reply(w, check, err)
}
