package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"proofbox"
	"proofbox/internal/gateway"
	"proofbox/internal/model"
	"proofbox/internal/spend"
	"proofbox/internal/spend/spendtest"
)

// Sizes of the measurements of calls to models.
const (
	callers     = 16
	timedCalls  = 3200
	manyCalls   = 12000
	openStreams = 10000
	answerTime  = 20 * time.Millisecond // of a provider that is quicker than any
)

// calls measures calls to models through a gateway, with holds that are on the
// disk, beside the same calls to the provider itself.
func (b *bench) calls(ctx context.Context) error {
	slow, err := newCalling(filepath.Join(b.dir, "slow.db"), slowly)
	if err != nil {
		return err
	}
	defer slow.close()
	fast, err := newCalling(filepath.Join(b.dir, "fast.db"), func(w http.ResponseWriter, _ *http.Request) { answer(w) })
	if err != nil {
		return err
	}
	defer fast.close()
	if err := b.added(ctx, slow, "added to a call with a durable hold"); err != nil {
		return err
	}
	began := time.Now()
	if _, err := fast.many(ctx, fast.through, manyCalls); err != nil {
		return err
	}
	each := time.Since(began) / manyCalls
	b.add(target{"a call to a local model, of 16 callers", each.Seconds() * 1000, "ms", 1.0 / 3, fmt.Sprintf("%.0f calls a second", 1/each.Seconds())})
	return errors.Join(b.callsWithServer(ctx), b.streams(ctx))
}

// callsWithServer measures the same with a ledger that hosts share, in a PostgreSQL on
// the same disk.
func (b *bench) callsWithServer(ctx context.Context) (err error) {
	server, err := spendtest.New(os.TempDir())
	if errors.Is(err, spendtest.ErrMissing) {
		fmt.Printf("calls with the ledger in a PostgreSQL were not measured: %v\n", err)
		return nil
	}
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, server.Remove()) }()
	if err := server.Start(); err != nil {
		return err
	}
	c, err := newCalling(server.URL("bench"), slowly)
	if err != nil {
		return err
	}
	defer c.close()
	return b.added(ctx, c, "added to a call, hold in PostgreSQL")
}

// slowly answers as a provider that is quicker than any.
func slowly(w http.ResponseWriter, _ *http.Request) {
	time.Sleep(answerTime)
	answer(w)
}

// added measures what the gateway adds to a call.
func (b *bench) added(ctx context.Context, c *calling, what string) error {
	through, err := c.many(ctx, c.through, timedCalls)
	if err != nil {
		return err
	}
	direct, err := c.many(ctx, c.direct, timedCalls)
	if err != nil {
		return err
	}
	sync, err := fsyncs(b.dir)
	if err != nil {
		return err
	}
	for _, q := range []struct {
		name  string
		of    int // per cent
		limit float64
	}{{"median", 50, 0.4}, {"99th percentile", 99, 3}} {
		ours, bare := through[len(through)*q.of/100], direct[len(direct)*q.of/100]
		b.add(target{
			what + ", " + q.name, (ours - bare).Seconds() * 1000, "ms", q.limit,
			fmt.Sprintf("%d callers; %.1f ms, without %.1f ms; the disk alone takes %.2f ms", callers, ours.Seconds()*1000, bare.Seconds()*1000, sync.Seconds()*1000),
		})
	}
	return nil
}

// fsyncs says how long the disk takes for a small write.
func fsyncs(dir string) (time.Duration, error) {
	f, err := os.Create(filepath.Join(dir, "fsync"))
	if err != nil {
		return 0, err
	}
	defer f.Close()
	var all []time.Duration
	for range 50 {
		began := time.Now()
		if _, err := f.Write(make([]byte, 4096)); err != nil {
			return 0, err
		}
		if err := f.Sync(); err != nil {
			return 0, err
		}
		all = append(all, time.Since(began))
	}
	return middle(all), nil
}

func answer(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "application/json")
	fmt.Fprint(w, `{"object":"chat.completion","choices":[{"message":{"role":"assistant","content":"hello"}}],"usage":{"prompt_tokens":10,"completion_tokens":5}}`)
}

// calling is a provider, and the gateway of a box in front of it.
type calling struct {
	provider        *httptest.Server
	ledger          *spend.Ledger
	gateway         *gateway.Gateway
	listener        net.Listener
	direct, through string // where calls are made
	client          *http.Client
}

func newCalling(place string, provider http.HandlerFunc) (*calling, error) {
	ledger, err := spend.Open(place)
	if err != nil {
		return nil, err
	}
	c := &calling{provider: httptest.NewServer(provider), ledger: ledger}
	pool := &http.Transport{MaxIdleConnsPerHost: callers}
	c.client = &http.Client{Transport: pool}
	c.gateway = gateway.New(gateway.Config{Models: desk(ledger, c.provider.URL, &http.Transport{MaxIdleConnsPerHost: callers})})
	if c.listener, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		return nil, errors.Join(err, ledger.Close())
	}
	go func() {
		for {
			conn, err := c.listener.Accept()
			if err != nil {
				return // it was closed
			}
			c.gateway.Serve(conn)
		}
	}()
	c.direct = c.provider.URL + "/chat/completions"
	c.through = "http://" + c.listener.Addr().String() + "/openai/v1/chat/completions"
	return c, ledger.SetCap(context.Background(), "runs", proofbox.Total, 1000*proofbox.Dollar)
}

func desk(ledger *spend.Ledger, base string, out http.RoundTripper) *model.Desk {
	price := model.Prices{Rates: proofbox.Rates{Input: proofbox.Dollar / 1000, Output: proofbox.Dollar / 1000}}
	return &model.Desk{Purse: purse{ledger}, Models: []model.Model{{
		Name: "m", Formats: []string{"openai"}, Base: base, Transport: out, Prices: price, MaxOutput: 100,
	}}}
}

func (c *calling) close() {
	_ = c.gateway.Close()
	_ = c.listener.Close()
	c.provider.Close()
	_ = c.ledger.Close()
}

// many makes calls, some at a time, and gives how long each took, sorted.
func (c *calling) many(ctx context.Context, address string, total int) ([]time.Duration, error) {
	took := make([]time.Duration, total)
	errs := make(chan error, callers)
	var all sync.WaitGroup
	for n := range callers {
		all.Go(func() {
			for i := n; i < total; i += callers {
				began := time.Now()
				if err := c.call(ctx, address); err != nil {
					errs <- err
					return
				}
				took[i] = time.Since(began)
			}
		})
	}
	all.Wait()
	close(errs)
	slices.Sort(took)
	return took, <-errs
}

const question = `{"model":"m","messages":[{"role":"user","content":"Say hello."}],"max_tokens":100}`

func (c *calling) call(ctx context.Context, address string) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, address, strings.NewReader(question))
	if err != nil {
		return err
	}
	in, err := c.client.Do(r)
	if err != nil {
		return err
	}
	defer in.Body.Close()
	text, err := io.ReadAll(in.Body)
	if err == nil && in.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", in.Status, text)
	}
	return err
}

// purse pays out of a ledger, as a run's does.
type purse struct{ ledger *spend.Ledger }

// Hold implements [model.Purse].
func (p purse) Hold(ctx context.Context, fixed, each proofbox.Money, wanted int64, detail string) (int64, proofbox.CapCertificate, error) {
	h, err := p.ledger.Reserve(ctx, spend.Claim{Account: "runs/bench", Owner: "bench", Fixed: fixed, Each: each, Units: wanted, Least: 1, Detail: detail})
	return h.Units, proofbox.CapCertificate{Hold: h.ID, Lease: h.Lease, Time: h.Time, Bound: h.Amount, Balances: h.Balances}, err
}

// Settle implements [model.Purse].
func (p purse) Settle(hold int64, charge proofbox.Money) { p.ledger.SettleSoon(hold, charge) }

// stream is a provider whose answers begin, and go on until they are let go.
type stream struct{ over chan struct{} }

// RoundTrip implements [http.RoundTripper].
func (s stream) RoundTrip(r *http.Request) (*http.Response, error) {
	first := strings.NewReader("data: {\"object\":\"chat.completion.chunk\",\"choices\":[{\"delta\":{\"content\":\"x\"}}]}\n\n")
	rest := readerFunc(func([]byte) (int, error) {
		<-s.over
		return 0, io.EOF
	})
	return &http.Response{
		StatusCode: http.StatusOK, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Request: r,
		Header: http.Header{"Content-Type": {"text/event-stream"}}, Body: io.NopCloser(io.MultiReader(first, rest)),
	}, nil
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// streams opens many streams at once and measures the memory of this process, which
// has the clients as well.
func (b *bench) streams(ctx context.Context) error {
	ledger, err := spend.Open(filepath.Join(b.dir, "streams.db"))
	if err != nil {
		return err
	}
	defer ledger.Close()
	over := make(chan struct{})
	g := gateway.New(gateway.Config{Models: desk(ledger, "http://provider", stream{over})})
	defer g.Close()
	defer close(over)
	before := resident()
	body := bytes.Replace([]byte(question), []byte("{"), []byte(`{"stream":true,`), 1)
	conns := make([]net.Conn, openStreams)
	var all sync.WaitGroup
	errs := make(chan error, callers)
	for n := range callers {
		all.Go(func() {
			for i := n; i < openStreams; i += callers {
				ours, theirs := net.Pipe()
				conns[i] = ours
				g.Serve(theirs)
				if err := begin(ours, body); err != nil {
					errs <- err
					return
				}
			}
		})
	}
	all.Wait()
	close(errs)
	if err := <-errs; err != nil {
		return fmt.Errorf("opening streams: %w", err)
	}
	used := resident() - before
	b.add(target{fmt.Sprintf("memory of %d open streams", openStreams), float64(used) / (1 << 20), "MiB", 1 << 10, "of the gateway and its clients"})
	for _, c := range conns {
		_ = c.Close()
	}
	return context.Cause(ctx)
}

// begin asks for a stream and reads its first event.
func begin(conn net.Conn, body []byte) error {
	go fmt.Fprintf(conn, "POST /openai/v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
	in, err := http.ReadResponse(bufio.NewReaderSize(conn, 1<<10), nil)
	if err != nil {
		return err
	}
	event := make([]byte, 16)
	if _, err := io.ReadFull(in.Body, event); err != nil || in.StatusCode != http.StatusOK {
		return fmt.Errorf("%s %q: %v", in.Status, event, err)
	}
	return nil
}

// resident is how many bytes of memory this process has.
func resident() int64 {
	runtime.GC()
	text, _ := os.ReadFile("/proc/self/statm")
	fields := strings.Fields(string(text))
	if len(fields) < 2 {
		return 0
	}
	pages, _ := strconv.ParseInt(fields[1], 10, 64)
	return pages * int64(os.Getpagesize())
}
