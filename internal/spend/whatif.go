package spend

import (
	"cmp"
	"container/heap"
	"slices"
	"strings"

	"proofbox"
)

// Scope says for whom a cap would be: for each period of one account, or, where
// Account is empty, for every account that calls were charged to.
type Scope struct {
	Account string
	Period  proofbox.Period
}

// of gives whose money a call would have been, and in which period; false where
// the cap would not have been for it.
func (s Scope) of(c Call) (account, period string, ok bool) {
	account = cmp.Or(s.Account, c.Account)
	if account != c.Account && !strings.HasPrefix(c.Account, account+"/") {
		return "", "", false
	}
	return account, spans(c.At.UnixNano())[slices.Index(proofbox.Periods, s.Period)], true
}

// WhatIf replays calls, which are in their order, under another cap. It gives
// those whom the cap would have touched, who would have been stopped first first,
// and says how many there were in all. A call that would not have fitted is left
// out, and all later ones are taken to come as they did.
func WhatIf(calls []Call, scope Scope, limit proofbox.Money) (stops []proofbox.Stop, spenders int) {
	stops = []proofbox.Stop{}
	all := map[[2]string]*spender{}
	for _, c := range calls {
		account, period, ok := scope.of(c)
		if !ok {
			continue
		}
		key := [2]string{account, period}
		if all[key] == nil {
			all[key] = &spender{Stop: proofbox.Stop{Account: account, Period: period}, left: limit}
		}
		all[key].call(c)
	}
	for _, s := range all {
		if s.Refused > 0 || s.Clamped > 0 {
			stops = append(stops, s.Stop)
		}
	}
	slices.SortFunc(stops, func(a, b proofbox.Stop) int {
		return cmp.Or(boolean(a.Time.IsZero())-boolean(b.Time.IsZero()), a.Time.Compare(b.Time), cmp.Compare(a.Account, b.Account), cmp.Compare(a.Period, b.Period))
	})
	return stops, len(all)
}

func boolean(b bool) int {
	if b {
		return 1
	}
	return 0
}

// spender is an account in one period, under a cap.
type spender struct {
	proofbox.Stop
	left proofbox.Money // of the cap, without what is held
	open pending
}

// call replays one call.
func (s *spender) call(c Call) {
	for len(s.open) > 0 && s.open[0].at < c.Begin {
		s.left += heap.Pop(&s.open).(given).back
	}
	s.Calls++
	s.Spent += c.Charged
	if c.Charged > s.left || s.left == 0 {
		if s.Refused == 0 {
			s.Time = c.At
		}
		s.Refused++
		s.Spared += c.Charged
		return
	}
	held := min(c.Held, s.left)
	if held < c.Held {
		s.Clamped++
	}
	s.left -= held
	if c.End > 0 {
		heap.Push(&s.open, given{c.End, held - c.Charged})
	}
}

// given is money that a call gives back when it is settled.
type given struct {
	at   int64 // the number of the event
	back proofbox.Money
}

// pending has what is given back next at its top; see [heap.Interface].
type pending []given

func (p pending) Len() int           { return len(p) }
func (p pending) Less(i, j int) bool { return p[i].at < p[j].at }
func (p pending) Swap(i, j int)      { p[i], p[j] = p[j], p[i] }

// Push implements [heap.Interface].
func (p *pending) Push(x any) { *p = append(*p, x.(given)) }

// Pop implements [heap.Interface].
func (p *pending) Pop() any {
	last := (*p)[len(*p)-1]
	*p = (*p)[:len(*p)-1]
	return last
}
