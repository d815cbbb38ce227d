package api

import (
	"crypto/subtle"
	"net"
	"net/http"
	"strings"

	"proofbox"
)

// Guard lets a handler that is reached at a loopback address answer only whoever
// has the token, and nobody who came there by another name or in a browser: any
// page can have its reader's browser ask such an address, also by a name of the
// page's own that leads there.
func Guard(h http.Handler, address, token string) http.Handler {
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		panic("api: guarding " + address + ", which has no port")
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch given, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); {
		case r.Host != address && r.Host != "localhost:"+port:
			fail(w, &proofbox.Problem{Code: proofbox.CodeForbidden, Message: "a server at a loopback address is asked for by that address"})
		case r.Header.Get("Origin") != "" || r.Header.Get("Sec-Fetch-Site") != "":
			fail(w, &proofbox.Problem{Code: proofbox.CodeForbidden, Message: "a web page is not answered"})
		case !ok || subtle.ConstantTimeCompare([]byte(given), []byte(token)) != 1:
			fail(w, &proofbox.Problem{
				Code: proofbox.CodeForbidden, Message: "set PROOFBOX_TOKEN to the server's token, which is in serve.token of its state folder",
			})
		default:
			h.ServeHTTP(w, r)
		}
	})
}
