package main

import (
	"strconv"
	"time"

	"proofbox/internal/breakout/order"
)

var snapshots = map[string]attack{"clock": clock}

// clock says what time it is, in nanoseconds since 1970.
func clock([]string) order.Report {
	return order.Report{Got: []string{strconv.FormatInt(time.Now().UnixNano(), 10)}}
}
