package proofbox

import "time"

// Period is how long a cap counts what was spent: "total", or one "day" or
// "month" of UTC.
type Period string

const (
	Total Period = "total"
	Day   Period = "day"
	Month Period = "month"
)

// Periods lists every valid [Period].
var Periods = []Period{Total, Day, Month}

// ParsePeriod reads a [Period] as the command line spells it.
func ParsePeriod(s string) (Period, error) { return parseWord("period", s, Periods) }

// Balance is what an account has spent in one period. Charged and held together
// never pass the cap.
type Balance struct {
	// Account is a path: what is charged to "team/anna/RUN" is charged to
	// "team/anna" and "team", too.
	Account string `json:"account"`
	// Period says which: "total", "day 2026-11-25", "month 2026-11".
	Period  string `json:"period"`
	Cap     *Money `json:"cap,omitempty"` // nil where there is none
	Charged Money  `json:"charged"`       // settled
	Held    Money  `json:"held"`          // the worst case of what goes on
}

// CapCertificate shows that one call was within every cap before its first byte
// was sent. It is taken from the ledger in the same step that holds the money.
type CapCertificate struct {
	Hold  int64     `json:"hold"` // the number of the hold in the ledger
	Time  time.Time `json:"time"`
	Bound Money     `json:"bound"` // what the call can cost at most
	// Clamp is the limit of output tokens that was written into the request
	// because more did not fit; 0 where none was needed.
	Clamp int64 `json:"clamp,omitempty"`
	// Balances are those that have a cap, with the hold in them.
	Balances []Balance `json:"balances"`
}

// SpendReport is what became of checking the ledger of spending.
type SpendReport struct {
	OK      bool   `json:"ok"`
	Events  int    `json:"events"` // that were replayed
	Open    int    `json:"open"`   // holds that are not settled
	Problem string `json:"problem,omitempty"`
}

// CapRequest asks to cap an account.
type CapRequest struct {
	Account string `json:"account"`
	Period  Period `json:"period"`
	USD     Money  `json:"usd"`
}
