//go:build !amd64

package main

import "proofbox/internal/breakout/order"

func compat([]string) order.Report { return noTable() }
func x32([]string) order.Report    { return noTable() }

func noTable() order.Report {
	return order.Report{Absent: "this processor has no further table of system calls"}
}
