// Package client is the Go SDK of proofbox.
//
// The zero [Client] works on this machine, in this process: it supervises the
// boxes that it runs, and shares the user's state folder with every other
// proofbox process. It needs the programs that `make build` puts beside
// proofbox (proofbox-jail, proofbox-init, runc, runsc): beside the program that
// uses this package, or in the folder that $PROOFBOX_BIN names. A client with an
// Address talks to another process. Both speak the same HTTP, so what works with
// one works with the other.
//
//	var c client.Client
//	defer c.Close()
//	run, err := c.Run(ctx, client.Command{
//		Spec: proofbox.Spec{Workspace: proofbox.Workspace{Original: "."}},
//		Args: []string{"go", "test", "./..."},
//		Stdout: os.Stdout, Stderr: os.Stderr,
//	})
package client

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"

	"proofbox"
	"proofbox/internal/attach"
)

// Client talks to proofbox. It may be used from many goroutines.
type Client struct {
	// Address is where proofbox serves: "unix:///path" or "http://host:port".
	// Empty means $PROOFBOX_HOST, and this process where that is empty too.
	Address string
	// Token is what a server at an http address wants to know; empty means
	// $PROOFBOX_TOKEN.
	Token string
	// Home is the state folder of an in-process client; empty means the
	// user's own.
	Home string

	once  sync.Once
	err   error
	local *local // nil where Address is set
}

// dialer opens connections to a server.
type dialer func(ctx context.Context) (net.Conn, error)

// Close stops the runs that an in-process client still supervises and waits for
// their teardown. A client is closed for good.
func (c *Client) Close() error {
	c.once.Do(func() { c.err = errors.New("the client is closed") })
	if c.local == nil {
		return nil
	}
	return c.local.close()
}

// address is where the client talks to; empty for this process.
func (c *Client) address() string {
	if c.Address != "" {
		return c.Address
	}
	return os.Getenv("PROOFBOX_HOST")
}

// dial says how to reach the server for a request about a run; run may be empty.
func (c *Client) dial(run string) (dialer, error) {
	if address := c.address(); address != "" {
		return remote(address)
	}
	c.once.Do(func() { c.local, c.err = openLocal(c.Home) })
	if c.err != nil {
		return nil, c.err
	}
	return c.local.dialer(run), nil
}

func remote(address string) (dialer, error) {
	u, err := url.Parse(address)
	if err != nil {
		return nil, fmt.Errorf("reading the address %q: %w", address, err)
	}
	switch u.Scheme {
	case "unix":
		return socketDialer(u.Path), nil
	case "http":
		return func(ctx context.Context) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "tcp", u.Host)
		}, nil
	}
	return nil, fmt.Errorf("the address %q is neither unix:///path nor http://host:port", address)
}

func socketDialer(path string) dialer {
	return func(ctx context.Context) (net.Conn, error) { return attach.DialSocket(ctx, path) }
}

// request is one call of the API.
type request struct {
	method string
	path   string
	run    *string // instead of a path, the run that it is about
	verb   string  // what to do with the run; empty for the run itself
	query  url.Values
	live   bool // it must go to the run's supervisor
	body   any  // encoded as JSON, unless it is a reader
}

// target is the path of the request.
func (r request) target() (string, error) {
	if r.run == nil {
		return r.path, nil
	}
	if *r.run == "" {
		return "", errors.New("no run is named: give an ID, the beginning of one, a name, or last")
	}
	return strings.TrimSuffix("/v1/runs/"+url.PathEscape(*r.run)+"/"+r.verb, "/"), nil
}

// supervised names the run whose supervisor must answer; empty where anybody
// may.
func (r request) supervised() string {
	if r.live && r.run != nil {
		return *r.run
	}
	return ""
}

func (r request) build(ctx context.Context) (*http.Request, error) {
	var body io.Reader
	switch b := r.body.(type) {
	case nil:
	case io.Reader:
		body = b
	default:
		data, err := json.Marshal(b)
		if err != nil {
			return nil, fmt.Errorf("encoding the request: %w", err)
		}
		body = bytes.NewReader(data)
	}
	path, err := r.target()
	if err != nil {
		return nil, err
	}
	target := "http://proofbox" + path
	if len(r.query) > 0 {
		target += "?" + r.query.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, r.method, target, body)
	if err != nil {
		return nil, fmt.Errorf("making the request: %w", err)
	}
	return req, nil
}

// build makes a request, with what a server at a network address wants to know of
// its callers.
func (c *Client) build(ctx context.Context, r request) (*http.Request, error) {
	req, err := r.build(ctx)
	if host, ok := strings.CutPrefix(c.address(), "http://"); ok && err == nil {
		req.Host = strings.TrimSuffix(host, "/")
		req.Header.Set("Authorization", "Bearer "+cmp.Or(c.Token, os.Getenv("PROOFBOX_TOKEN")))
	}
	return req, err
}

// send sends a request and gives the answer, whose body is the caller's to
// close. An answer that says that it failed is an error.
func (c *Client) send(ctx context.Context, r request) (*http.Response, error) {
	req, err := c.build(ctx, r)
	if err != nil {
		return nil, err
	}
	dial, err := c.dial(r.supervised())
	if err != nil {
		return nil, err
	}
	transport := &http.Transport{
		DisableKeepAlives: true,
		DialContext:       func(ctx context.Context, _, _ string) (net.Conn, error) { return dial(ctx) },
	}
	resp, err := transport.RoundTrip(req)
	if err != nil {
		return nil, fmt.Errorf("asking proofbox: %w", err)
	}
	if resp.StatusCode >= 400 {
		defer resp.Body.Close()
		return nil, readProblem(resp.Body)
	}
	return resp, nil
}

// maxProblem bounds what is read of an error.
const maxProblem = 1 << 20

func readProblem(r io.Reader) error {
	var p proofbox.Problem
	if err := json.NewDecoder(io.LimitReader(r, maxProblem)).Decode(&p); err != nil {
		return fmt.Errorf("proofbox answered with an error that is none of its own: %w", err)
	}
	return &p
}

// ask sends a request and reads the document that answers it.
func ask[T any](ctx context.Context, c *Client, r request) (T, error) {
	var answer T
	resp, err := c.send(ctx, r)
	if err != nil {
		return answer, err
	}
	defer resp.Body.Close()
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
		return answer, fmt.Errorf("reading proofbox's answer: %w", err)
	}
	return answer, nil
}

// upgrade asks a server to take the connection over from HTTP.
func upgrade(ctx context.Context, conn net.Conn, req *http.Request) (*bufio.Reader, error) {
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	if err := req.Write(conn); err != nil {
		return nil, fmt.Errorf("asking proofbox: %w", err)
	}
	buffered := bufio.NewReader(conn)
	resp, err := http.ReadResponse(buffered, req)
	if err != nil {
		return nil, errors.Join(context.Cause(ctx), fmt.Errorf("asking proofbox: %w", err))
	}
	if resp.StatusCode != http.StatusSwitchingProtocols {
		defer resp.Body.Close()
		return nil, readProblem(resp.Body)
	}
	return buffered, nil
}
