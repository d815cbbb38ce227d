package breakout

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"log"
	"math/big"
	"net/http"
	"net/http/httputil"
	"strings"
	"time"
)

// This file has the server of a trial's world that speaks TLS, and what is
// looked for around it: it says what it is asked, again, with the secrets in it.

// listenSecurely starts the canary that speaks HTTPS, and gives who vouches for
// it.
func (s *stage) listenSecurely() (*x509.CertPool, error) {
	certificate, roots, err := selfSigned(securedName)
	if err != nil {
		return nil, err
	}
	l, err := tls.Listen("tcp4", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{certificate}})
	if err != nil {
		return nil, fmt.Errorf("starting the canary secure: %w", err)
	}
	c := &canary{}
	server := &http.Server{Handler: http.HandlerFunc(c.echo), ReadHeaderTimeout: dialTime, ErrorLog: log.New(c, "", 0)}
	c.close = func() { server.Close() }
	s.canaries["secure"], s.words["secure"] = c, l.Addr().String()
	go func() { _ = server.Serve(l) }() // ends with close
	return roots, nil
}

// Write hears what a server has to say of nonsense that it was told.
func (c *canary) Write(p []byte) (int, error) {
	c.hear(p)
	return len(p), nil
}

// echo says a request again, in two pieces; below /open/base64 its credentials
// alone, encoded.
func (c *canary) echo(w http.ResponseWriter, r *http.Request) {
	text, err := httputil.DumpRequest(r, false)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	c.hear(text)
	if strings.HasSuffix(r.URL.Path, "/base64") {
		text = []byte(base64.StdEncoding.EncodeToString([]byte(r.Header.Get("Authorization"))))
	}
	half := len(text) / 2
	_, _ = w.Write(text[:half]) // who asked may have gone
	_ = http.NewResponseController(w).Flush()
	_, _ = w.Write(text[half:])
}

// selfSigned makes a certificate that vouches for itself.
func selfSigned(name string) (tls.Certificate, *x509.CertPool, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, nil, fmt.Errorf("making a key for %s: %w", name, err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: []string{name}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return tls.Certificate{}, nil, fmt.Errorf("signing a certificate for %s: %w", name, err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		return tls.Certificate{}, nil, fmt.Errorf("reading a certificate for %s: %w", name, err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(leaf)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}, roots, nil
}

// tellsSecret looks whether a canary was told the secret itself, by this attempt.
func tellsSecret(name string) Oracle {
	return during("whether the host's listener at "+name+" hears the secret", func(a *attempt) (string, error) {
		if a.stage.canary(name).hears(a.token + a.stage.world.secret) {
			return "the listener at " + name + " was told the secret", nil
		}
		return "", nil
	})
}

// learnsSecret looks for the secret, or most of it in base64, in what the attack
// writes.
func learnsSecret() Oracle {
	return during("whether the attack can say the secret", func(a *attempt) (string, error) {
		if !a.stage.canary("secure").heard(a.token) {
			return "", errors.New("the server was not asked")
		}
		const known = "Bearer " // before it, so that it begins within three bytes of the encoding
		encoded := base64.RawStdEncoding.EncodeToString([]byte(known + a.stage.world.secret))
		for _, form := range []string{a.stage.world.secret, encoded[len(encoded)/2:]} {
			if strings.Contains(string(a.output), form) {
				return "it says the secret", nil
			}
		}
		return "", nil
	})
}

// goesOn takes a host away that a canary hears the box at, and looks whether it
// still does.
func goesOn(host, name string) Oracle {
	return during("whether the listener at "+name+" hears the box after "+host+" was taken away", func(a *attempt) (string, error) {
		c := a.stage.canary(name)
		if !c.hears(a.token) {
			return "", errors.New("it was not heard before either")
		}
		if err := a.box.Deny(a.context, host); err != nil {
			return "", err
		}
		if err := pause(a.context); err != nil { // what was under way is heard now
			return "", err
		}
		before := c.times(a.token)
		if err := pause(a.context); err != nil {
			return "", err
		}
		if now := c.times(a.token); now > before {
			return fmt.Sprintf("it was heard %d times more", now-before), nil
		}
		return "", nil
	})
}

// pause waits as long as a canary may take to hear something.
func pause(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(hearTime):
		return nil
	}
}

// times says how often the canary was told a text.
func (c *canary) times(text string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return strings.Count(c.told.String(), text)
}
