package api

import (
	"fmt"
	"net/http"
	"path/filepath"

	"proofbox"
)

// VerifyRequest asks to hold a data set on the host against its seal.
type VerifyRequest struct {
	Path string `json:"path"`
	// All asks for every byte to be read, also of what is unchanged.
	All bool `json:"all,omitempty"`
}

// ScanRequest asks for a scan.
type ScanRequest struct {
	Path string `json:"path"`
	// Names asks for names, places and addresses, too.
	Names bool `json:"names,omitempty"`
}

func (h handler) scan(w http.ResponseWriter, r *http.Request) error {
	var req ScanRequest
	err := read(r, &req)
	if err == nil {
		err = absolute(req.Path)
	}
	if err != nil {
		return err
	}
	scan, err := h.service.Scan(r.Context(), req.Path, req.Names)
	return reply(w, scan, err)
}

func (h handler) seal(w http.ResponseWriter, r *http.Request) error {
	var req proofbox.SealRequest
	err := read(r, &req)
	if err == nil {
		err = absolute(req.Path)
	}
	if err != nil {
		return err
	}
	sealed, err := h.service.Seal(r.Context(), req)
	return reply(w, sealed, err)
}

func (h handler) mask(w http.ResponseWriter, r *http.Request) error {
	var req proofbox.MaskRequest
	err := read(r, &req)
	if err == nil {
		err = absolute(req.In, req.Out)
	}
	if err != nil {
		return err
	}
	masked, err := h.service.Mask(r.Context(), req)
	return reply(w, masked, err)
}

func (h handler) unmask(w http.ResponseWriter, r *http.Request) error {
	var req proofbox.UnmaskRequest
	err := read(r, &req)
	if err == nil {
		err = absolute(req.In, req.Out)
	}
	if err != nil {
		return err
	}
	unmasked, err := h.service.Unmask(r.Context(), req)
	return reply(w, unmasked, err)
}

func (h handler) synthesise(w http.ResponseWriter, r *http.Request) error {
	var req proofbox.SynthRequest
	err := read(r, &req)
	if err == nil {
		err = absolute(req.Out)
	}
	if err != nil {
		return err
	}
	made, err := h.service.Synthesise(r.Context(), req)
	return reply(w, made, err)
}

func (h handler) mess(w http.ResponseWriter, r *http.Request) error {
	var req proofbox.MessRequest
	err := read(r, &req)
	if err == nil {
		err = absolute(req.Path)
	}
	if err != nil {
		return err
	}
	judged, err := h.service.Mess(r.Context(), req)
	return reply(w, judged, err)
}

func (h handler) verify(w http.ResponseWriter, r *http.Request) error {
	var req VerifyRequest
	err := read(r, &req)
	if err == nil {
		err = absolute(req.Path)
	}
	if err != nil {
		return err
	}
	verified, err := h.service.Verify(r.Context(), req.Path, req.All)
	return reply(w, verified, err)
}

func (h handler) seen(w http.ResponseWriter, r *http.Request) error {
	seen, err := h.service.Seen(r.Context(), r.PathValue("run"))
	return reply(w, seen, err)
}

// absolute refuses a path that means another place for the caller than here.
func absolute(paths ...string) error {
	for _, path := range paths {
		if !filepath.IsAbs(path) {
			return &proofbox.Problem{Code: proofbox.CodeInvalid, Message: fmt.Sprintf("the path %q of the data set is not absolute", path)}
		}
	}
	return nil
}
