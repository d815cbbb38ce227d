package api

import (
	"net/http"

	"proofbox"
)

func (h handler) spending(w http.ResponseWriter, r *http.Request) error {
	list, err := h.service.Spending(r.Context())
	return reply(w, list, err)
}

func (h handler) cap(w http.ResponseWriter, r *http.Request) error {
	var req proofbox.CapRequest
	if err := read(r, &req); err != nil {
		return err
	}
	list, err := h.service.Cap(r.Context(), req)
	return reply(w, list, err)
}

func (h handler) abandonSpending(w http.ResponseWriter, r *http.Request) error {
	var req proofbox.AbandonRequest
	if err := read(r, &req); err != nil {
		return err
	}
	abandoned, err := h.service.AbandonSpending(r.Context(), req)
	return reply(w, abandoned, err)
}

func (h handler) verifySpending(w http.ResponseWriter, r *http.Request) error {
	report, err := h.service.VerifySpending(r.Context())
	return reply(w, report, err)
}

func (h handler) spendHistory(w http.ResponseWriter, r *http.Request) error {
	var req proofbox.HistoryRequest
	if err := read(r, &req); err != nil {
		return err
	}
	list, err := h.service.SpendHistory(r.Context(), req)
	return reply(w, list, err)
}

func (h handler) whatIf(w http.ResponseWriter, r *http.Request) error {
	var req proofbox.WhatIfRequest
	if err := read(r, &req); err != nil {
		return err
	}
	report, err := h.service.WhatIf(r.Context(), req)
	return reply(w, report, err)
}
