package proofbox

// Problem is the form that every error of the API has.
type Problem struct {
	// Code tells kinds of errors apart: one of the constants below.
	Code    string `json:"code"`
	Message string `json:"message"`
	// Refusal is set where Code is [CodeRefused].
	Refusal *Refusal `json:"refusal,omitempty"`
}

// Codes of a [Problem].
const (
	CodeRefused   = "refused"   // policy or contents refused the run
	CodeNotFound  = "not-found" // there is no such run or path
	CodeConflict  = "conflict"  // the original or the run is in no state for it
	CodeInvalid   = "invalid"   // the request makes no sense
	CodeForbidden = "forbidden" // the server does not answer this caller
	CodeFailed    = "failed"    // proofbox could not do its work
)

func (p *Problem) Error() string { return p.Message }

// Unwrap gives the refusal where there is one.
func (p *Problem) Unwrap() error {
	if p.Refusal == nil {
		return nil
	}
	return p.Refusal
}
