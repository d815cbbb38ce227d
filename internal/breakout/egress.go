package breakout

import (
	"proofbox"
	"proofbox/internal/box"
)

// Addresses outside of this host at which nobody answers, by RFC 5737, and the
// first of them behind a NAT64, by RFC 6052.
const (
	nowhere     = "198.51.100.1"
	elsewhere   = "203.0.113.53"
	nowhereByV6 = "64:ff9b::c633:6401"
)

// egress is group J: from the box to the network.
func egress() []Probe {
	shared := Setting{Weakness: box.Weakness{Network: true}}
	unfiltered := Setting{Weakness: box.Weakness{Network: true, Calls: true, Landlock: true}}
	powerful := everything()
	powerful.Network = true
	return []Probe{
		{ID: "J1a", Title: "connect to a service on the host's loopback", Attack: []string{"dial", "tcp", "{tcp}", "{token}"}, Oracle: heard("tcp"), Twin: shared},
		{ID: "J1b", Title: "connect to an address in the internet", Attack: []string{"reach", "tcp", nowhere + ":443"}, Oracle: sends("tcp", nowhere+":443"), Twin: shared},
		{ID: "J2a", Title: "connect to a service on the host's loopback by IPv6", Attack: []string{"dial", "tcp", "{tcp6}", "{token}"}, Oracle: heard("tcp6"), Twin: shared},
		{ID: "J2b", Title: "connect to IPv4 by an IPv6 socket (v4-mapped)", Attack: []string{"dial-mapped", "{tcp}", "{token}"}, Oracle: heard("tcp"), Twin: shared},
		{ID: "J2c", Title: "connect to IPv4 through a NAT64", Attack: []string{"reach", "udp", "[" + nowhereByV6 + "]:443"}, Oracle: sends("udp", "["+nowhereByV6+"]:443"), Twin: shared},
		{ID: "J3a", Title: "send a packet (UDP) to the host's loopback", Attack: []string{"dial", "udp", "{udp}", "{token}"}, Oracle: heard("udp"), Twin: shared},
		{ID: "J3b", Title: "speak QUIC with an address in the internet", Attack: []string{"reach", "udp", nowhere + ":443"}, Oracle: sends("udp", nowhere+":443"), Twin: shared},
		{ID: "J4", Title: "hide text in an echo request (ICMP)", Attack: []string{"ping", "127.0.0.1", "{token}"}, Oracle: onlyWith("icmp", eventually("icmp")), Twin: powerful, Not: onlyKernel()}, // the kernel answers, whether the listener has looked or not
		{ID: "J5", Title: "send a packet that the box has made itself (raw socket)", Attack: []string{"forge", "{udp}", "{token}"}, Oracle: heard("udp"), Twin: powerful, Not: onlyKernel()},
		{ID: "J6a", Title: "send a packet by UDP-Lite, which rules for UDP leave out", Attack: []string{"dial-protocol", "dgram", "136", "{udplite}", "{token}"}, Oracle: onlyWith("udplite", heard("udplite")), Twin: unfiltered, Not: onlyKernel()},
		{ID: "J6b", Title: "connect by Multipath TCP, which rules for TCP leave out", Attack: []string{"dial-protocol", "stream", "262", "{tcp}", "{token}"}, Oracle: heard("tcp"), Twin: unfiltered, Not: onlyKernel()},
		{ID: "J6c", Title: "open a socket of SCTP", Attack: []string{"socket", "2", "1", "132"}, Oracle: socketOf("SCTP"), Twin: unfiltered, Not: onlyKernel()},
		{ID: "J6d", Title: "open a socket of DCCP", Attack: []string{"socket", "2", "6", "33"}, Oracle: socketOf("DCCP"), Twin: unfiltered, Not: onlyKernel()},
		{ID: "J6e", Title: "open a socket of L2TP", Attack: []string{"socket", "2", "2", "115"}, Oracle: socketOf("L2TP/IP"), Twin: unfiltered, Not: onlyKernel()},
		{ID: "J6f", Title: "open a socket for packets in packets (GRE)", Attack: []string{"socket", "2", "3", "47"}, Oracle: socketOf("RAW"), Twin: powerful, Not: onlyKernel()},
		{ID: "J7a", Title: "ask for the metadata of a cloud", Attack: []string{"reach", "tcp", "169.254.169.254:80"}, Oracle: sends("tcp", "169.254.169.254:80"), Twin: shared},
		{ID: "J7b", Title: "ask for the metadata of a cloud by IPv6", Attack: []string{"reach", "udp", "[fd00:ec2::254]:80"}, Oracle: sends("udp", "[fd00:ec2::254]:80"), Twin: shared},
		{ID: "J9a", Title: "connect to the host by its address in its network", Attack: []string{"dial", "tcp", "{lan}", "{token}"}, Oracle: onlyWith("lan", heard("lan")), Twin: shared},
		{ID: "J9b", Title: "connect to the host by the address 0.0.0.0", Attack: []string{"dial-any", "{tcp}", "{token}"}, Oracle: heard("tcp"), Twin: shared},
		{ID: "J10a", Title: "send a frame that the box has made itself (ARP)", Attack: []string{"frame", "lo", "{token}"}, Oracle: onlyWith("arp", eventually("arp")), Twin: powerful, Not: onlyKernel()},
		{ID: "J10b", Title: "be a router to the hosts of a network (ICMPv6)", Attack: []string{"advertise", "::1", "{token}"}, Oracle: onlyWith("icmp6", eventually("icmp6")), Twin: powerful, Not: onlyKernel()},
		{ID: "J10c", Title: "reach other boxes on a bridge", Not: nowhereFor("there is no bridge, and no box has an interface but its loopback; J10a and J10b try the frames themselves")},
		{ID: "J12a", Title: "ask a resolver of its own choice (UDP)", Attack: []string{"reach", "udp", elsewhere + ":53"}, Oracle: sends("udp", elsewhere+":53"), Twin: shared},
		{ID: "J12b", Title: "ask a resolver of its own choice (TCP)", Attack: []string{"reach", "tcp", elsewhere + ":53"}, Oracle: sends("tcp", elsewhere+":53"), Twin: shared},
		{ID: "J13a", Title: "ask a resolver by an encrypted connection (DoT)", Attack: []string{"reach", "tcp", elsewhere + ":853"}, Oracle: sends("tcp", elsewhere+":853"), Twin: shared},
		{ID: "J22", Title: "leave the proxy aside, and say where an allowed name leads", Attack: []string{"unproxied", "{tcp}", allowedName, "{token}"}, Oracle: heard("tcp"), Twin: shared},
		{ID: "J28", Title: "kill what stands between the box and the network", Attack: []string{"kill-and-dial", "{tcp}", "{token}"}, Oracle: heard("tcp"), Twin: shared, MayEnd: true, Not: map[proofbox.Wall]string{proofbox.Gvisor: "gVisor ends a box with its first process, so that nobody is left to connect"}},
		{ID: "J30a", Title: "take a port of the host (TCP)", Attack: []string{"take-port", "tcp", "{free}"}, Oracle: takes("tcp", "free"), Twin: shared},
		{ID: "J30b", Title: "take a port of the host (UDP)", Attack: []string{"take-port", "udp", "{free}"}, Oracle: takes("udp", "free"), Twin: shared},
		{ID: "J30c", Title: "fill the host's table of connections through the gateway", Not: nowhereFor("a box has a bounded number of connections through its door, which a test of the door fills (TestVisitsAreBounded); a twin without that bound takes the host's memory")},
		{ID: "J31", Title: "keep the proxy busy with requests that are only begun", Not: nowhereFor("as J30c; a request has 30 seconds to come")},
		{ID: "J32a", Title: "talk through a named pipe of the host", Attack: []string{"write", "{pipe}", "{token}"}, Oracle: eventually("pipe"), Twin: seen(), Not: noPipes()},
		{ID: "J32b", Title: "watch what the host does with a file (inotify)", Attack: []string{"watch", "{home}"}, Oracle: watches("home"), Twin: seen(), Not: onlyKernel()},
		{ID: "J32c", Title: "leave a message in shared memory (System V)", Attack: []string{"share-memory", "{token}"}, Oracle: memoryShared(), Twin: Setting{Weakness: box.Weakness{IPC: true, Calls: true}}, Not: onlyKernel()},
		{ID: "J32d", Title: "leave a message in a queue (System V)", Attack: []string{"queue", "{token}"}, Oracle: queued(), Twin: Setting{Weakness: box.Weakness{IPC: true, Calls: true}}, Not: onlyKernel()},
		{ID: "J32e", Title: "talk through an abstract socket", Not: nowhereFor("I2 attempts it")},
		{ID: "J33", Title: "reach services of the host by the hypervisor's sockets", Not: nowhereFor("G8 attempts to have such a socket at all; a microVM has no device for one")},
		{ID: "J34a", Title: "serve the host's network on all of its addresses", Attack: []string{"serve", "tcp", "0.0.0.0:0", "{token}"}, Oracle: serves("tcp", "127.0.0.1:{port}"), Twin: shared},
		{ID: "J34b", Title: "serve the host's processes by an abstract socket", Attack: []string{"serve", "unix", "@pb-{token}", "{token}"}, Oracle: serves("unix", "@pb-{token}"), Twin: shared, Not: notAbstract()},
	}
}

func noPipes() map[proofbox.Wall]string {
	return map[proofbox.Wall]string{
		proofbox.Gvisor: "gVisor opens no named pipe of the host",
	}
}
