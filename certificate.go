package proofbox

import "time"

// Certificate says what a trial of the whole suite found out about a wall of a
// host. It is signed, and counts for as long as it is fresh and nothing that it
// is about has changed.
type Certificate struct {
	Wall        Wall      `json:"wall"`
	Accelerator string    `json:"accelerator,omitempty"`
	Time        time.Time `json:"time"`
	// Parts are what the trial was of: the kernel, the digests of the programs
	// and of the configuration, the suite itself.
	Parts map[string]string `json:"parts"`
	// Probes has the verdict on each probe, by its ID.
	Probes map[string]Verdict `json:"probes"`
	// Made counts the attempts behind them, by [Attempt.As].
	Made map[string]int `json:"made,omitempty"`
	// Uses says which ordinary work went well.
	Uses  map[string]bool `json:"uses"`
	Holds bool            `json:"holds"`
}

// CertificateCheck is what a look at a certificate found.
type CertificateCheck struct {
	// Valid is true where the certificate is signed by this host's key, fresh
	// and of this host as it is now, and the wall held.
	Valid bool `json:"valid"`
	// Problem says what is wrong where it is not.
	Problem string `json:"problem,omitempty"`
	// Changed lists what has changed since the trial.
	Changed     []PartChange `json:"changed"`
	Certificate Certificate  `json:"certificate"`
}

// PartChange is one part of a wall that is not what it was at the trial.
type PartChange struct {
	Part string `json:"part"`
	Was  string `json:"was"`
	Is   string `json:"is"`
}
