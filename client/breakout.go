package client

import (
	"bytes"
	"context"
	"net/http"

	"proofbox"
)

// Breakout tries to break out of a wall of the host and says what held.
func (c *Client) Breakout(ctx context.Context, r proofbox.TrialRequest, progress func(proofbox.Event)) (proofbox.Trial, error) {
	return steps[proofbox.Trial](ctx, c, request{method: http.MethodPost, path: "/v1/breakout", body: r}, progress)
}

// Probes lists what a trial attempts.
func (c *Client) Probes(ctx context.Context) ([]proofbox.ProbeInfo, error) {
	return ask[[]proofbox.ProbeInfo](ctx, c, request{method: http.MethodGet, path: "/v1/breakout/probes"})
}

// VerifyCertificate checks the certificate of a trial against the host as it is
// now.
func (c *Client) VerifyCertificate(ctx context.Context, envelope []byte) (proofbox.CertificateCheck, error) {
	return ask[proofbox.CertificateCheck](ctx, c, request{
		method: http.MethodPost, path: "/v1/breakout/verify", body: bytes.NewReader(envelope),
	})
}
