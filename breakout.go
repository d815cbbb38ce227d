package proofbox

import "time"

// Verdict is what a trial found out about one probe.
type Verdict string

const (
	// Contained: every attempt was stopped, and the same attempt succeeded on
	// the weakened twin, so that it could have succeeded.
	Contained Verdict = "contained"
	// Escaped: an attempt reached what it must not.
	Escaped Verdict = "escaped"
	// Unproven: the attempt did not take place, or it failed on the weakened
	// twin too, so that its failure says nothing.
	Unproven Verdict = "unproven"
	// NotApplicable: the probe makes no sense here, for the reason given.
	NotApplicable Verdict = "not applicable"
)

// Verdicts lists every [Verdict].
var Verdicts = []Verdict{Contained, Escaped, Unproven, NotApplicable}

// TrialRequest asks for a trial of a wall: an attempt to break out of it.
type TrialRequest struct {
	Wall Wall `json:"wall"`
	// Only is a pattern of path.Match for the IDs of the probes to run ("G*");
	// empty means all. Only a trial of all gives a certificate.
	Only string `json:"only,omitempty"`
	// Attack is the text of a script that is run as the only probe.
	Attack []byte `json:"attack,omitempty"`
}

// Trial is what a trial of a wall found out.
type Trial struct {
	Wall        Wall          `json:"wall"`
	Accelerator string        `json:"accelerator,omitempty"`
	Began       time.Time     `json:"began"`
	Ended       time.Time     `json:"ended"`
	Probes      []ProbeResult `json:"probes"`
	// Uses are what must still work behind the same wall.
	Uses []UseResult `json:"uses,omitempty"`
	// Boxes is how many boxes the trial has started, and BoxTime how long they
	// took to start and to be taken down, all together.
	Boxes   int      `json:"boxes"`
	BoxTime Duration `json:"box_time,omitzero"`
	// Tally counts the probes by verdict.
	Tally map[Verdict]int `json:"tally"`
	// Made counts the attempts that were made, by [Attempt.As].
	Made map[string]int `json:"made,omitempty"`
	// Holds is true where no probe escaped or is unproven and every use works.
	Holds bool `json:"holds"`
	// Certificate is the file of the signed certificate; empty where the trial
	// gave none.
	Certificate string `json:"certificate,omitempty"`
}

// ProbeResult is what became of one probe.
type ProbeResult struct {
	ID      string  `json:"id"` // its line in the catalogue and, where a line has several, a letter: "G6b"
	Title   string  `json:"title"`
	Verdict Verdict `json:"verdict"`
	// Why says what the verdict rests on, in words.
	Why      string    `json:"why"`
	Attempts []Attempt `json:"attempts"`
}

// Attempt is one execution of a probe.
type Attempt struct {
	// As is "user", "root", "monitor" or "twin": the box's user, root in the box,
	// a program in the place of a machine's monitor, and the weakened twin.
	As string `json:"as"`
	// Without lists what the wall was started without.
	Without []string `json:"without,omitempty"`
	// Reached says that the host saw the attempt reach its aim.
	Reached bool `json:"reached"`
	// Evidence is what the host saw; it may hold words of the box.
	Evidence string `json:"evidence,omitempty"`
	// Said is what the attempt says of itself, which decides nothing.
	Said string `json:"said,omitempty"`
	// Absent says why the attempt could not reach its aim on any wall of this
	// host: a kernel without the interface, a twin that cannot be had.
	Absent string `json:"absent,omitempty"`
	// Took is how long it took, with the host's look.
	Took Duration `json:"took,omitzero"`
	// Fault says why the attempt could not be made or judged.
	Fault string `json:"fault,omitempty"`
}

// UseResult says whether ordinary work went well behind the wall.
type UseResult struct {
	Name  string `json:"name"`
	Works bool   `json:"works"`
	Found string `json:"found"`
	// Took is how long it took, and Within how long it may: longer where the
	// wall's processor is emulated.
	Took   Duration `json:"took,omitzero"`
	Within Duration `json:"within,omitzero"`
	// Left out says why the work was not tried.
	LeftOut string `json:"left_out,omitempty"`
}

// ProbeInfo describes one probe of the suite.
type ProbeInfo struct {
	ID     string `json:"id"`
	Title  string `json:"title"`
	Oracle string `json:"oracle"` // what the host looks at
	// Twin lists what the twin's wall is started without.
	Twin []string `json:"twin"`
	// Itself says that also a wall with a kernel of its own is started so. The
	// twin of other probes shares the host's kernel there.
	Itself bool `json:"itself,omitempty"`
	// Not says for which walls the probe makes no sense, and why.
	Not map[Wall]string `json:"not,omitempty"`
}
