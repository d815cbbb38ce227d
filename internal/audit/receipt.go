package audit

import (
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/secure-systems-lab/go-securesystemslib/dsse"
)

// statementType is that of the in-toto attestation framework, version 1.
const statementType = "https://in-toto.io/Statement/v1"

// payloadType is the DSSE payload type of an in-toto statement.
const payloadType = "application/vnd.in-toto+json"

// Predicate types of proofbox's receipts, described in
// docs/formats/receipt.md.
const (
	TeardownPredicate = "https://proofbox.dev/teardown/v1"
	KeepPredicate     = "https://proofbox.dev/keep/v1"
	BreakoutPredicate = "https://proofbox.dev/breakout/v1"
)

// Statement says something about subjects, in the form of an in-toto
// attestation.
type Statement struct {
	Type          string          `json:"_type"`
	Subject       []Subject       `json:"subject"`
	PredicateType string          `json:"predicateType"`
	Predicate     json.RawMessage `json:"predicate"`
}

// Subject is what a statement is about.
type Subject struct {
	Name   string            `json:"name"`
	Digest map[string]string `json:"digest"`
}

// SignReceipt wraps a predicate about a run in a statement and signs it as a
// DSSE envelope.
func (k *Key) SignReceipt(ctx context.Context, run, predicateType string, predicate any) ([]byte, error) {
	body, err := json.Marshal(predicate)
	if err != nil {
		return nil, fmt.Errorf("encoding a receipt: %w", err)
	}
	sum := sha256.Sum256(body)
	subject := Subject{Name: "run/" + run, Digest: map[string]string{"sha256": hex.EncodeToString(sum[:])}}
	return k.SignStatement(ctx, subject, predicateType, json.RawMessage(body))
}

// SignStatement says something about a subject, and signs it as a DSSE envelope.
func (k *Key) SignStatement(ctx context.Context, subject Subject, predicateType string, predicate any) ([]byte, error) {
	body, err := json.Marshal(predicate)
	if err != nil {
		return nil, fmt.Errorf("encoding a statement: %w", err)
	}
	payload, err := json.Marshal(Statement{
		Type: statementType, Subject: []Subject{subject}, PredicateType: predicateType, Predicate: body,
	})
	if err != nil {
		return nil, fmt.Errorf("encoding a statement: %w", err)
	}
	signer, err := dsse.NewEnvelopeSigner(envelopeKey{k})
	if err != nil {
		return nil, fmt.Errorf("signing a statement: %w", err)
	}
	envelope, err := signer.SignPayload(ctx, payloadType, payload)
	if err != nil {
		return nil, fmt.Errorf("signing a statement: %w", err)
	}
	data, err := json.MarshalIndent(envelope, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("encoding a statement: %w", err)
	}
	return append(data, '\n'), nil
}

// VerifyReceipt checks the signature of an envelope and gives its statement.
func (k *Key) VerifyReceipt(ctx context.Context, envelope []byte) (Statement, error) {
	var s Statement
	var e dsse.Envelope
	if err := json.Unmarshal(envelope, &e); err != nil {
		return s, fmt.Errorf("reading a receipt: %w", err)
	}
	verifier, err := dsse.NewEnvelopeVerifier(envelopeKey{k})
	if err != nil {
		return s, fmt.Errorf("verifying a receipt: %w", err)
	}
	_, payload, err := verifier.VerifyAndDecode(ctx, &e)
	if err != nil {
		return s, fmt.Errorf("verifying a receipt: %w", err)
	}
	if err := json.Unmarshal(payload, &s); err != nil {
		return s, fmt.Errorf("reading a receipt: %w", err)
	}
	if s.Type != statementType || e.PayloadType != payloadType {
		return s, fmt.Errorf("the receipt is a %q of type %q, not an in-toto statement", e.PayloadType, s.Type)
	}
	return s, nil
}

// envelopeKey makes a key what package dsse signs and verifies with.
type envelopeKey struct{ key *Key }

func (e envelopeKey) Sign(_ context.Context, data []byte) ([]byte, error) {
	return ed25519.Sign(e.key.private, data), nil
}

func (e envelopeKey) Verify(_ context.Context, data, sig []byte) error {
	if !ed25519.Verify(e.key.Public(), data, sig) {
		return errors.New("the signature does not fit")
	}
	return nil
}

func (e envelopeKey) KeyID() (string, error)   { return e.key.ID(), nil }
func (e envelopeKey) Public() crypto.PublicKey { return e.key.Public() }
