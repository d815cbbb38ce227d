package gateway

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"strings"
	"sync"
	"time"

	"proofbox"
)

// Authority vouches, in one box, for the hosts whose connections are opened. Its
// key is in this process's memory alone and ends with the run; its certificate
// is good for the names of those hosts, for no other and for no address.
type Authority struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
	end         time.Time

	mu     sync.Mutex
	leaves map[string]*tls.Certificate // by name, guarded by mu
}

// NewAuthority makes the authority of one run, which lasts no longer than life.
func NewAuthority(hosts []proofbox.Inspected, life time.Duration) (*Authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("making a key for the run: %w", err)
	}
	a := &Authority{key: key, end: time.Now().Add(life + day), leaves: map[string]*tls.Certificate{}}
	template := a.template("proofbox: the gateway of this run")
	template.IsCA, template.BasicConstraintsValid, template.MaxPathLenZero = true, true, true
	template.KeyUsage = x509.KeyUsageCertSign
	template.PermittedDNSDomainsCritical = true
	for _, h := range hosts {
		template.PermittedDNSDomains = append(template.PermittedDNSDomains, strings.TrimPrefix(h.Host, "*."))
	}
	for _, all := range []string{"0.0.0.0/0", "::/0"} {
		_, network, err := net.ParseCIDR(all)
		if err != nil {
			panic(fmt.Sprintf("gateway: %v", err))
		}
		template.ExcludedIPRanges = append(template.ExcludedIPRanges, network)
	}
	a.certificate, err = a.sign(template, template, &key.PublicKey)
	return a, err
}

const day = 24 * time.Hour

// template is what every certificate of the run has.
func (a *Authority) template(name string) *x509.Certificate {
	var serial [16]byte
	rand.Read(serial[:])
	serial[0] &= 0x7f // a serial number is positive
	return &x509.Certificate{
		SerialNumber: new(big.Int).SetBytes(serial[:]), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-day), NotAfter: a.end,
	}
}

func (a *Authority) sign(template, parent *x509.Certificate, public any) (*x509.Certificate, error) {
	der, err := x509.CreateCertificate(rand.Reader, template, parent, public, a.key)
	if err != nil {
		return nil, fmt.Errorf("signing a certificate of the run: %w", err)
	}
	return x509.ParseCertificate(der)
}

// PEM is the certificate that the box is to trust.
func (a *Authority) PEM() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.certificate.Raw})
}

// leaf gives the certificate by which the gateway is a host to the box.
func (a *Authority) leaf(name string) (*tls.Certificate, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if made := a.leaves[name]; made != nil {
		return made, nil
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("making a key for %s: %w", name, err)
	}
	template := a.template("") // a name longer than 64 characters fits no subject
	template.DNSNames = []string{name}
	template.KeyUsage, template.ExtKeyUsage = x509.KeyUsageDigitalSignature, []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	signed, err := a.sign(template, a.certificate, &key.PublicKey)
	if err != nil {
		return nil, err
	}
	if len(a.leaves) >= maxLeaves {
		clear(a.leaves)
	}
	a.leaves[name] = &tls.Certificate{Certificate: [][]byte{signed.Raw, a.certificate.Raw}, PrivateKey: key, Leaf: signed}
	return a.leaves[name], nil
}

// maxLeaves bounds the names that are kept: a wildcard has as many as a box can
// think of.
const maxLeaves = 256
