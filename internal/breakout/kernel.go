package breakout

import "proofbox/internal/box"

// kernel is group G: interfaces of the kernel that have led out of boxes.
func kernel() []Probe {
	noList := Setting{Weakness: box.Weakness{Calls: true}}
	return []Probe{
		{ID: "G1", Title: "open an io_uring", Attack: []string{"io-uring"}, Oracle: holds("anon_inode:?io_uring?"), Twin: noList, Not: onlyKernel()},
		{ID: "G3", Title: "open a userfaultfd", Attack: []string{"userfaultfd"}, Oracle: holds("anon_inode:?userfaultfd?"), Twin: noList, Not: onlyKernel()},
	}
}
