package policy

import (
	"fmt"
	"time"

	"proofbox"
)

// CertificateAge is how long the certificate of a trial counts.
const CertificateAge = 7 * 24 * time.Hour

// Certificate says whether a wall has shown on this host, as it is now, that it
// holds.
type Certificate struct {
	File string // empty where there is none that counts
	Time time.Time
	// Why says what is missing where there is none.
	Why string
}

// Valid says that there is a certificate that counts.
func (c Certificate) Valid() bool { return c.File != "" }

// certified lets generated code behind a wall only that has shown that it holds.
func (d *decision) certified(wall proofbox.Wall) *proofbox.Refusal {
	if d.spec.Risk.Code != proofbox.Generated {
		return nil
	}
	c := d.host.Walls[wall].Certificate
	if !c.Valid() {
		return refuse("generated-needs-certificate",
			fmt.Sprintf("`proofbox breakout run --wall %s` tries the wall and makes one; or `proofbox run --certify …` does so first", wall),
			"code that nobody has read runs only behind a wall that was attacked on this host and held, and the wall %s has no certificate of that: %s", wall, c.Why)
	}
	d.terms.Certificate = c.File
	d.because("generated-has-certificate", "certificate of "+c.Time.UTC().Format(time.DateTime)+" UTC",
		"the wall was attacked on this host as it is now, and held; the certificate is %s", c.File)
	return nil
}
