package daemon

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"proofbox/internal/api"
	"proofbox/internal/attach"
)

// Files of a server in the state folder.
const (
	serveSocket = "serve.sock"
	serveLock   = "serve.lock"
	serveToken  = "serve.token"
)

// Serve answers the API for other processes until the context ends: at a socket in
// the state folder, which nobody but its user reaches, or, where address is
// "http://HOST:PORT", at a loopback address for whoever has the token. When it
// ends, no further caller is heard, the daemon is closed, and those whose runs
// that has stopped get their answers. There is one server of a state folder.
func (d *Daemon) Serve(ctx context.Context, address string, listening func(host, tokenFile string)) error {
	lock, err := d.lockServing()
	if err != nil {
		return err
	}
	defer lock.Close()
	at, err := d.serveAt(address)
	if err != nil {
		return err
	}
	var callers sync.WaitGroup
	server := &http.Server{
		ReadHeaderTimeout: headerTime,
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			callers.Add(1) // also of those that take the connection over
			defer callers.Done()
			at.handler.ServeHTTP(w, r)
		}),
	}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(at.listener) }()
	listening(at.host, at.token)
	select {
	case err = <-failed:
	case <-ctx.Done():
		err = at.listener.Close()
	}
	err = errors.Join(err, d.Close())
	awaitCallers(&callers)
	return errors.Join(err, server.Close())
}

// headerTime is how long a caller has to say what it wants.
const headerTime = 10 * time.Second

// awaitCallers waits until those who were heard have their answers, for as long
// as is bearable.
func awaitCallers(callers *sync.WaitGroup) {
	done := make(chan struct{})
	go func() {
		callers.Wait()
		close(done)
	}()
	select {
	case <-done:
	case <-time.After(drainTime):
	}
}

// lockServing makes this process the server of the state folder.
func (d *Daemon) lockServing() (*os.File, error) {
	path := filepath.Join(d.store.home, serveLock)
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("making the server's lock: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return nil, errors.Join(fmt.Errorf("another process serves the state folder %q; stop it, or name another folder in PROOFBOX_HOME", d.store.home), f.Close())
	}
	return f, nil
}

// place is where a server is reached.
type place struct {
	listener net.Listener
	handler  http.Handler
	host     string // as $PROOFBOX_HOST has it
	token    string // the file with what $PROOFBOX_TOKEN has; empty where none is needed
}

// serveAt opens the place where the server is reached.
func (d *Daemon) serveAt(address string) (p place, err error) {
	p.handler = d.elsewhere(d.Handler())
	if address == "" {
		p.host = "unix://" + filepath.Join(d.store.home, serveSocket)
		p.listener, err = d.listenSocket()
		return p, err
	}
	host, err := loopback(address)
	if err != nil {
		return p, err
	}
	token, err := d.token()
	if err != nil {
		return p, err
	}
	if p.listener, err = net.Listen("tcp", host); err != nil {
		return p, fmt.Errorf("listening at %q: %w", address, err)
	}
	at := p.listener.Addr().String()
	p.host, p.token, p.handler = "http://"+at, filepath.Join(d.store.home, serveToken), api.Guard(p.handler, at, token)
	return p, nil
}

// elsewhere hands what the supervisor of a run has to answer to it, where that is
// another process.
func (d *Daemon) elsewhere(h http.Handler) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/", h)
	for _, live := range []string{"POST /v1/runs/{run}/exec", "POST /v1/runs/{run}/stop", "POST /v1/runs/{run}/deny", "/v1/runs/{run}/files"} {
		mux.HandleFunc(live, func(w http.ResponseWriter, r *http.Request) {
			if socket, ok := d.Control(r.PathValue("run")); ok {
				handOver(socket).ServeHTTP(w, r)
				return
			}
			h.ServeHTTP(w, r)
		})
	}
	return mux
}

// handOver asks the server at a socket, and answers what that answers.
func handOver(socket string) http.Handler {
	return &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) { r.Out.URL.Scheme, r.Out.URL.Host = "http", "proofbox" },
		Transport: &http.Transport{
			DisableKeepAlives: true,
			DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				return attach.DialSocket(ctx, socket)
			},
		},
		FlushInterval: -1,
		ErrorLog:      log.New(io.Discard, "", 0), // whoever asked is told
	}
}

// listenSocket makes the server's socket. Its folder is the user's alone, and
// who holds the lock may remove the one that a killed server has left.
func (d *Daemon) listenSocket() (net.Listener, error) {
	path := filepath.Join(d.store.home, serveSocket)
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("removing an old server's socket: %w", err)
	}
	l, err := attach.ListenSocket(path)
	return socketListener{l, path}, err
}

// socketListener removes its socket when it is closed.
type socketListener struct {
	net.Listener
	path string
}

// Close implements [net.Listener].
func (s socketListener) Close() error { return errors.Join(os.Remove(s.path), s.Listener.Close()) }

// loopback gives the host and port of an address, which must be this host's own:
// nothing that is sent there is encrypted.
func loopback(address string) (string, error) {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "http" || u.Host == "" || strings.Trim(u.Path, "/") != "" {
		return "", fmt.Errorf("the address %q is not http://HOST:PORT", address)
	}
	at, err := netip.ParseAddrPort(strings.Replace(u.Host, "localhost:", "127.0.0.1:", 1))
	if err != nil {
		return "", fmt.Errorf("the address %q has no host and port: %w", address, err)
	}
	if !at.Addr().IsLoopback() {
		return "", fmt.Errorf("the address %q can be reached from other hosts, and what is sent there is not encrypted; "+
			"serve at 127.0.0.1 and let ssh -L or a proxy with TLS lead there", address)
	}
	return at.String(), nil
}

// token gives what a caller must know, and makes it where there is none.
func (d *Daemon) token() (string, error) {
	path := filepath.Join(d.store.home, serveToken)
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		raw := make([]byte, 32)
		rand.Read(raw) // never fails, see its documentation
		text = []byte(hex.EncodeToString(raw) + "\n")
		err = writeFile(path, text)
	}
	token := strings.TrimSpace(string(text))
	if err == nil && len(token) < 32 {
		err = fmt.Errorf("the token in %q is too short to keep anybody out; remove the file, and a new one is made", path)
	}
	return token, err
}
