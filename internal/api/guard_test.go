package api_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"proofbox/internal/api"
)

// TestGuard: a server at a loopback address answers who has its token, and neither
// a web page nor who came by another name.
func TestGuard(t *testing.T) {
	const address, token = "127.0.0.1:4000", "secret"
	open := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	for name, c := range map[string]struct {
		host   string
		header map[string]string
		want   int
	}{
		"with the token":         {address, map[string]string{"Authorization": "Bearer secret"}, http.StatusNoContent},
		"as localhost":           {"localhost:4000", map[string]string{"Authorization": "Bearer secret"}, http.StatusNoContent},
		"without a token":        {address, nil, http.StatusForbidden},
		"with another token":     {address, map[string]string{"Authorization": "Bearer secre"}, http.StatusForbidden},
		"with an empty token":    {address, map[string]string{"Authorization": "Bearer "}, http.StatusForbidden},
		"as a user":              {address, map[string]string{"Authorization": "Basic secret"}, http.StatusForbidden},
		"by a rebound name":      {"evil.example:4000", map[string]string{"Authorization": "Bearer secret"}, http.StatusForbidden},
		"at another port":        {"127.0.0.1:4001", map[string]string{"Authorization": "Bearer secret"}, http.StatusForbidden},
		"from a page":            {address, map[string]string{"Authorization": "Bearer secret", "Origin": "https://evil.example"}, http.StatusForbidden},
		"from a page of its own": {address, map[string]string{"Authorization": "Bearer secret", "Origin": "http://" + address}, http.StatusForbidden},
		"from a sandboxed page":  {address, map[string]string{"Authorization": "Bearer secret", "Origin": "null"}, http.StatusForbidden},
		"by an image of a page":  {address, map[string]string{"Authorization": "Bearer secret", "Sec-Fetch-Site": "cross-site"}, http.StatusForbidden},
	} {
		t.Run(name, func(t *testing.T) {
			r := httptest.NewRequest(http.MethodGet, "http://"+c.host+"/v1/runs", nil)
			for k, v := range c.header {
				r.Header.Set(k, v)
			}
			w := httptest.NewRecorder()
			api.Guard(open, address, token).ServeHTTP(w, r)
			if w.Code != c.want {
				t.Errorf("answered with %d, want %d: %s", w.Code, c.want, w.Body)
			}
		})
	}
}
