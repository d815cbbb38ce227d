package model

import (
	"time"

	"proofbox"
)

// Made is a call that is over, as one who measures sees it.
type Made struct {
	Number  int // of the desk's calls, from 1; 0 where nothing was held
	Format  string
	Model   string // as the box has named it
	Began   time.Time
	Held    time.Duration // that holding the cost took
	Sent    time.Time     // zero where nothing was
	Ended   time.Time
	Status  int    // of the provider's answer; 0 where there was none
	Usage   *Usage // as the provider reports it; nil where it does not
	Hold    proofbox.CapCertificate
	Charged proofbox.Money
	Err     error // why the box was refused; nil where it has the provider's answer
}

// tell has whoever measures hear of a call.
func (d *Desk) tell(m *Made, err error) {
	if d.Ended == nil {
		return
	}
	m.Ended, m.Err = time.Now(), err
	d.Ended(*m)
}

// account takes down what became of a call that was paid for.
func (c *call) account() {
	m := c.made
	m.Number, m.Status, m.Hold, m.Charged = c.number, c.status, c.certificate, c.charge()
	if c.report.known {
		m.Usage = &c.report.usage
	}
}
