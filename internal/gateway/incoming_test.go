package gateway_test

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"proofbox/internal/gateway"
)

// withheld gives nothing of what it is asked to look at, where that has a word.
type withheld struct{ r io.Reader }

func (w withheld) Read(p []byte) (int, error) {
	n, err := w.r.Read(p)
	if strings.Contains(string(p[:n]), "real") {
		return 0, errors.New("it is real")
	}
	return n, err
}

// TestIncoming: what comes by HTTP, and what is told to a model, passes only by
// who looks at it.
func TestIncoming(t *testing.T) {
	_, w := web(t, false, func(rw http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(rw, r.URL.RawQuery) })
	var told string
	roads := make(chan string, 10)
	g := gateway.New(gateway.Config{
		Allow: rules(t, "example.com:80"), Network: w, Upload: 1 << 20,
		Models: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			told = string(body)
		}),
		Incoming: func(road string, r io.Reader) io.Reader {
			roads <- road
			return withheld{r}
		},
	})
	t.Cleanup(func() {
		if err := g.Close(); err != nil {
			t.Error(err)
		}
	})
	for query, want := range map[string]string{"made-up": "made-up", "real-data": ""} {
		r, err := client(t, g, nil, "").Get("http://example.com/?" + query)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(r.Body)
		if string(body) != want || (err == nil) != (want != "") {
			t.Errorf("of the answer %q comes %q, %v", query, body, err)
		}
		_ = r.Body.Close()
		if road := <-roads; road != "answers of example.com:80" {
			t.Errorf("it came by %q", road)
		}
	}
	ask(t, g, "POST /v1/x HTTP/1.1\r\nHost: models\r\nContent-Length: 4\r\nConnection: close\r\n\r\nreal")
	if road := <-roads; road != "the context of a model" || told != "" {
		t.Errorf("a model was told %q by %q", told, road)
	}
}
