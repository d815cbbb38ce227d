package client

import (
	"context"
	"net/http"

	"proofbox"
	"proofbox/internal/api"
)

// ScanContents looks for identifiers and secrets, and for names where that is
// asked for, in a file or folder of the host,
// named by its absolute path.
func (c *Client) ScanContents(ctx context.Context, path string, names bool) (proofbox.Scan, error) {
	return ask[proofbox.Scan](ctx, c, request{method: http.MethodPost, path: "/v1/contents/scan", body: api.ScanRequest{Path: path, Names: names}})
}

// SynthesiseContents makes up a data set on the host.
func (c *Client) SynthesiseContents(ctx context.Context, r proofbox.SynthRequest) (proofbox.Synthesised, error) {
	return ask[proofbox.Synthesised](ctx, c, request{method: http.MethodPost, path: "/v1/contents/synth", body: r})
}

// MessContents says how dirty a data set is.
func (c *Client) MessContents(ctx context.Context, r proofbox.MessRequest) (proofbox.MessJudged, error) {
	return ask[proofbox.MessJudged](ctx, c, request{method: http.MethodPost, path: "/v1/contents/mess", body: r})
}

// SealContents scans a data set and, if it is what the class claims, seals it.
func (c *Client) SealContents(ctx context.Context, r proofbox.SealRequest) (proofbox.Verified, error) {
	return ask[proofbox.Verified](ctx, c, request{method: http.MethodPost, path: "/v1/contents/seal", body: r})
}

// MaskContents masks a data set to a path that is not there, and seals it.
func (c *Client) MaskContents(ctx context.Context, r proofbox.MaskRequest) (proofbox.Verified, error) {
	return ask[proofbox.Verified](ctx, c, request{method: http.MethodPost, path: "/v1/contents/mask", body: r})
}

// UnmaskContents gets the numbers of a masked set's reversible fields back, in a copy of it.
func (c *Client) UnmaskContents(ctx context.Context, r proofbox.UnmaskRequest) (proofbox.Unmasked, error) {
	return ask[proofbox.Unmasked](ctx, c, request{method: http.MethodPost, path: "/v1/contents/unmask", body: r})
}

// VerifyContents holds a data set against its seal. One that was verified before and is unchanged is
// not read again, unless all is asked for.
func (c *Client) VerifyContents(ctx context.Context, path string, all bool) (proofbox.Verified, error) {
	return ask[proofbox.Verified](ctx, c, request{method: http.MethodPost, path: "/v1/contents/verify", body: api.VerifyRequest{Path: path, All: all}})
}

// SeenContents gives what a run's box could see of data.
func (c *Client) SeenContents(ctx context.Context, run string) (proofbox.Sight, error) {
	return ask[proofbox.Sight](ctx, c, request{method: http.MethodGet, run: &run, verb: "contents"})
}
