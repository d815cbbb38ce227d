package gateway

import (
	"crypto/x509"
	"net/netip"
	"strings"
	"testing"
)

// TrustAddresses makes the weakened twin of a gateway: whatever a name resolves
// to may be connected to. It must be called before the gateway serves.
func TrustAddresses(g *Gateway) { g.internal = func(netip.Addr) string { return "" } }

// NotPublic is notPublic.
func NotPublic(a netip.Addr) string { return notPublic(a) }

// MaxCalls is maxCalls.
const MaxCalls = maxCalls

// Unveil has answers pass as they come: the twin of what hides secrets in them.
func Unveil(g *Gateway) { g.vault.unveiled = true }

// Redact is a redactor in pieces.
func Redact(pieces []string, from, to string) string {
	var out strings.Builder
	r := &redactor{out: &out, swaps: []swap{{from, to}}}
	for _, p := range pieces {
		_, _ = r.Write([]byte(p))
	}
	_ = r.Close()
	return out.String()
}

// Leaf is what an authority would vouch for a name with.
func Leaf(t *testing.T, a *Authority, name string) *x509.Certificate {
	t.Helper()
	leaf, err := a.leaf(name)
	if err != nil {
		t.Fatal(err)
	}
	return leaf.Leaf
}
