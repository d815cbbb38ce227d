package daemon

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"proofbox"
	"proofbox/internal/box"
	"proofbox/internal/box/jail"
	"proofbox/internal/gateway"
)

// trustFile is where a box whose connections are opened finds whom to trust: this
// host's authorities, and the gateway's of the run. It lies in the run's folder
// while it runs.
const trustFile = box.DataPath + "/.authorities.pem"

// inspect has a gateway open connections and put secrets in, where the terms say
// so, and prepares the box to trust it.
func (s *session) inspect(c *gateway.Config) (err error) {
	terms := s.run.Plan.Terms
	if len(terms.Inspect) == 0 {
		return nil
	}
	c.Inspect, c.Stage = terms.Inspect, terms.Stage
	c.Hold = newOutbox(filepath.Join(s.daemon.store.dir(s.run.ID), stagedDir), terms.Upload).hold
	if c.Authority, err = gateway.NewAuthority(terms.Inspect, time.Duration(terms.Limits.Time)); err != nil {
		return err
	}
	s.run.Placeholders = map[string]string{}
	for _, use := range terms.Secrets {
		secret, err := s.secretOf(use)
		if err != nil {
			return err
		}
		c.Secrets = append(c.Secrets, secret)
		s.run.Placeholders[use.Name] = secret.Placeholder
	}
	return s.trust(c.Authority.PEM())
}

// reveal gives the box of a twin, whose gateway decides nothing, the secrets
// themselves.
func (s *session) reveal() error {
	s.run.Placeholders = map[string]string{}
	for _, use := range s.run.Plan.Terms.Secrets {
		secret, err := s.secretOf(use)
		if err != nil {
			return err
		}
		s.run.Placeholders[use.Name] = secret.Value
	}
	return nil
}

// secretOf finds a secret: that of a trial in its world.
func (s *session) secretOf(use proofbox.SecretUse) (gateway.Secret, error) {
	if s.world != nil {
		return gateway.NewSecret(use, s.world.Secret())
	}
	return secretOf(use)
}

// secretOf finds a secret where proofbox was started.
func secretOf(use proofbox.SecretUse) (gateway.Secret, error) {
	value := os.Getenv(use.Name)
	if value == "" {
		return gateway.Secret{}, fmt.Errorf("the secret %s has no value: set it where proofbox is started; it will not be in the box", use.Name)
	}
	return gateway.NewSecret(use, value)
}

// trust has the box trust whom this host does, and one more.
func (s *session) trust(one []byte) error {
	trusted, err := authorities()
	if err != nil {
		return err
	}
	path := filepath.Join(s.daemon.store.dir(s.run.ID), filepath.Base(trustFile))
	if err := s.note(box.Object{Kind: box.FilePath, Name: path}); err != nil {
		return err
	}
	if err := errors.Join(os.WriteFile(path, append(trusted, one...), 0o444), os.Chmod(path, 0o444)); err != nil {
		return fmt.Errorf("writing whom the box trusts: %w", err)
	}
	s.data = append(s.data, jail.Step{Bind: &jail.Bind{Source: path, Target: trustFile}})
	return nil
}

// bundles lists where systems have the certificates of those that they trust, in
// one file.
var bundles = []string{"/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/ca-bundle.pem", "/etc/ssl/cert.pem"}

// authorities gives the certificates of those that this host trusts; none where
// it has no file of them.
func authorities() ([]byte, error) {
	for _, path := range bundles {
		data, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("reading whom this host trusts: %w", err)
		}
		return append(bytes.TrimRight(data, "\n"), '\n'), nil
	}
	return nil, nil
}
