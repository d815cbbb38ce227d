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
	Held    Money  `json:"held"`          // the worst case of what goes on, and what is set aside for calls to come
}

// CapCertificate shows that one call was within every cap before its first byte
// was sent. It is taken from the ledger in the same step that holds the money, for
// the call alone or for a block that the call is then taken from.
type CapCertificate struct {
	Hold int64 `json:"hold"` // the number of the hold in the ledger
	// Lease is the number of that block; 0 where there was none. All of it is in
	// what the balances hold, as they were when it was held.
	Lease int64     `json:"lease,omitempty"`
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

// AbandonRequest asks to charge what a run holds and will never settle.
type AbandonRequest struct {
	Run string `json:"run"`
}

// Abandoned is what became of that.
type Abandoned struct {
	Run   string `json:"run"`
	Holds int    `json:"holds"` // that were charged in full
}

// Charge is one call in the history of spending.
type Charge struct {
	Hold    int64     `json:"hold"` // its number in the ledger
	Account string    `json:"account"`
	Run     string    `json:"run"`
	Kind    string    `json:"kind"` // of task, see [Proposal]
	Time    time.Time `json:"time"` // when it was held
	Model   string    `json:"model"`
	Held    Money     `json:"held"`              // what it could cost at most
	Charged *Money    `json:"charged,omitempty"` // nil while it goes on
}

// HistoryRequest asks for the newest charges of an account and of those below it.
type HistoryRequest struct {
	Account string `json:"account"` // empty for all
	Limit   int    `json:"limit"`
}

// WhatIfRequest asks what another cap would have done.
type WhatIfRequest struct {
	// Cap is for each period of Account, or of each run where Account is empty;
	// nil asks for proposals alone.
	Cap     *Money `json:"cap,omitempty"`
	Account string `json:"account"`
	Period  Period `json:"period"`
}

// WhatIf says what another cap would have done to what was spent.
type WhatIf struct {
	Cap *Money `json:"cap,omitempty"`
	// Spenders is how many accounts, or periods of one, the cap would have been
	// for, and Stopped those that it would have touched.
	Spenders  int        `json:"spenders"`
	Stopped   []Stop     `json:"stopped"`
	Spent     Money      `json:"spent"`
	Proposals []Proposal `json:"proposals"`
}

// Stop is a spender whom a cap would have stopped, if all later calls had come
// as they did.
type Stop struct {
	Account string `json:"account"`
	Period  string `json:"period"`
	Kind    string `json:"kind"`
	// Time is when the first call would have been refused; zero where none would,
	// and answers would only have had less room.
	Time    time.Time `json:"time,omitzero"`
	Calls   int       `json:"calls"`
	Refused int       `json:"refused"`
	// Clamped is how many calls would have got less room than they had, and
	// needed no more.
	Clamped int   `json:"clamped"`
	Spent   Money `json:"spent"`
	Spared  Money `json:"spared"` // by the calls that would have been refused
}

// Proposal is a cap for a kind of task, worked out of what its runs have cost.
type Proposal struct {
	// Kind is the name that the runs' box files give, else the program that they
	// ran.
	Kind   string `json:"kind"`
	Runs   int    `json:"runs"`
	Median Money  `json:"median"`
	// P95 is what 19 of 20 of these runs have cost at most, and Low and High are
	// where that is of all such runs, with 95 % confidence, by order statistics.
	P95  Money  `json:"p95"`
	Low  *Money `json:"low,omitempty"`
	High *Money `json:"high,omitempty"`
	Max  Money  `json:"max"`
	// Cap is High; nil where there are too few runs to know it, and Missing is
	// how many more it takes.
	Cap     *Money `json:"cap,omitempty"`
	Missing int    `json:"missing,omitempty"`
}
