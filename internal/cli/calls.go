package cli

import (
	"fmt"
	"strings"

	"proofbox"
)

// showCalls lists what a run asked its gateway for.
func (a *app) showCalls(calls []proofbox.Call) {
	a.printf("network    %s\n", plural(len(calls), "call"))
	for _, c := range calls {
		a.printf("  %-8s %s\n", c.Verdict, callText(c))
		if len(c.Secrets) > 0 {
			a.printf("  %8s with the secret %s, which the gateway has put in\n", "", strings.Join(c.Secrets, ", "))
		}
		if len(c.Placeholders) > 0 && c.Alarm == "" {
			a.printf("  %8s with the placeholder of %s, as it is\n", "", strings.Join(c.Placeholders, ", "))
		}
		if c.Alarm != "" {
			a.printf("  %8s ALARM: %s\n", "", c.Alarm)
		}
		if c.Reason != "" {
			a.printf("  %8s %s\n", "", c.Reason)
		}
	}
}

// callText is a call on one line: what, where to, how much.
func callText(c proofbox.Call) string {
	to := c.Host
	if c.Port != 0 {
		to = fmt.Sprintf("%s:%d", c.Host, c.Port)
	}
	words := []string{c.Method, to + c.Path}
	if c.Status != 0 {
		words = append(words, fmt.Sprint(c.Status))
	}
	if c.Sent+c.Received > 0 {
		words = append(words, fmt.Sprintf("(%s sent, %s received)", proofbox.Size(c.Sent).Rounded(), proofbox.Size(c.Received).Rounded()))
	}
	if c.Times > 1 {
		words = append(words, fmt.Sprintf("(%d times)", c.Times))
	}
	return strings.TrimSpace(strings.Join(words, " "))
}
