package breakout

import "golang.org/x/sys/unix"

// devices is group C: nodes of devices.
func devices() []Probe {
	list := []Probe{
		{ID: "C10", Title: "write into the log of the host's kernel", Attack: []string{"node-write", "1:11", "proofbox breakout {token}"}, Oracle: logged(), Twin: everything(), Not: onlyKernel()},
	}
	for _, d := range []struct {
		id, title    string
		major, minor uint32
	}{
		{"C2a", "open the host's memory as /dev/mem", 1, 1},
		{"C2b", "open the host's input and output ports as /dev/port", 1, 4},
		{"C3", "open the host's hypervisor as /dev/kvm", 10, 232},
		{"C4a", "serve a file system to the host as /dev/fuse", 10, 229},
		{"C4b", "open a network tunnel as /dev/net/tun", 10, 200},
		{"C5a", "open the host's side of guests' networks as /dev/vhost-net", 10, 238},
		{"C5b", "open the host's random generator as /dev/hwrng", 10, 183},
		{"C8", "open the control of loop devices", 10, 237},
		{"C9a", "open a terminal of the host", 4, 1},
		{"C9b", "open the host's console", 5, 1},
		{"C9c", "open the log of the host's kernel", 1, 11},
	} {
		list = append(list, Probe{
			ID: d.id, Title: d.title, Attack: []string{"node", "char", numbers(d.major, d.minor)},
			Oracle: device(unix.S_IFCHR, d.major, d.minor), Twin: everything(), Not: onlyKernel(), Bare: true, KVM: d.id == "C3",
		})
	}
	return append(list, Probe{
		ID: "C1", Title: "open the host's disk by a node of its numbers", Attack: []string{"node", "block", "{disk}"},
		Oracle: hostDisk(), Twin: everything(), Not: onlyKernel(), Bare: true,
	})
}
