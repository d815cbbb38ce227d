package breakout

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"time"

	"proofbox"
	"proofbox/internal/box"
)

// interfaces is group R: the API and what a run is declared with.
func interfaces() []Probe {
	runs := box.Opening{Source: "{runs}", Target: "{runs}"}
	return []Probe{
		{ID: "R1a", Title: "have the API read a file of the host as one of the box", Attack: []string{"idle"}, Oracle: readByAPI("home"), Twin: seen(), UserOnly: true},
		{ID: "R1b", Title: "have the API write a file of the host as one of the box", Attack: []string{"idle"}, Oracle: writtenByAPI("home"), Twin: spoiled(), UserOnly: true},
		{ID: "R2", Title: "forge what is signed", Not: nowhereFor("nothing is let in for its signature: receipts and certificates are checked, and tests alter their bytes")},
		asked("R3", "ask proofbox's server by another name that leads to it (rebinding)", func(r *http.Request) { r.Host = "rebound.example.com" }),
		{ID: "R4", Title: "race the making of a box with its end", Not: nowhereFor("it takes no attacker: tests kill supervisors at every phase, and stop runs that are starting")},
		{ID: "R5", Title: "have variables act on what starts a command", Not: nowhereFor("a command's variables are a list that process 1 gives to that command alone, in the box; nothing on the host is started with them")},
		{ID: "R6", Title: "climb out of the folder of an image that is unpacked", Not: nowhereFor("nothing is uploaded; what layers of a local image may do is attempted in tests of its unpacking")},
		{ID: "R7", Title: "have the gateway ask a service of the host for something (SSRF)", Attack: []string{"proxy", "GET http://127.0.0.1:8080/{token} HTTP/1.1\r\nHost: " + allowedName + "\r\n\r\n", "", "0"}, Oracle: heard("inside"), Twin: Setting{Weakness: box.Weakness{Gateway: true}}, Itself: true, UserOnly: true},
		{ID: "R8", Title: "have an image start something, or show a folder of the host", Not: nowhereFor("of an image's configuration only the variables are read: entry points, volumes and health checks have no meaning here")},
		{ID: "R9", Title: "ask proofbox for a box of one's own choice, by the socket of the own run", Attack: []string{"ask-runs", "{runs}/*/control.sock"}, Oracle: answeredByAPI(), Twin: everything(runs)},
		asked("R10a", "have a page in the user's browser ask proofbox's server", func(r *http.Request) { r.Header.Set("Origin", "http://page.example.com") }),
		asked("R10b", "have a page in the user's browser ask proofbox's server without saying so", func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "cross-site") }),
		asked("R10c", "ask proofbox's server as somebody on the host who has no token", func(r *http.Request) { r.Header.Del("Authorization") }),
	}
}

// asked is a request to proofbox's server in which everything is right but what is
// changed.
func asked(id, title string, change func(*http.Request)) Probe {
	return Probe{
		ID: id, Title: title, Deed: visited(change), Twin: Setting{Open: true},
		Oracle: Oracle{Says: "whether the server answers with the runs that there are"},
	}
}

// nowhereFor leaves a line of the catalogue out for every wall: what it is about is
// attempted by no probe, and this is why.
func nowhereFor(why string) map[proofbox.Wall]string {
	not := map[proofbox.Wall]string{}
	for _, wall := range proofbox.Walls {
		not[wall] = why
	}
	return not
}

// answer is what a handler answers.
type answer struct {
	header http.Header
	status int
	bytes.Buffer
}

func (w *answer) Header() http.Header    { return w.header }
func (w *answer) WriteHeader(status int) { w.status = status }

// api makes a request to proofbox's API.
func (a *attempt) api(method, target, body string) (*answer, error) {
	r, err := http.NewRequestWithContext(a.context, method, target, strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	w := &answer{header: http.Header{}, status: http.StatusOK}
	a.session.trial.Boxes.API("", "").ServeHTTP(w, r)
	return w, nil
}

// run finds the run of the attempt's box, as the API lists it.
func (a *attempt) run() (string, error) {
	listed, err := a.api(http.MethodGet, "/v1/runs", "")
	if err != nil {
		return "", err
	}
	var runs []proofbox.Run
	if err := json.Unmarshal(listed.Bytes(), &runs); err != nil {
		return "", fmt.Errorf("reading the list of runs: %w", err)
	}
	for _, r := range runs {
		if r.Plan.Workspace != nil && r.Plan.Workspace.Original == a.workspace && r.State == proofbox.Running {
			return r.ID, nil
		}
	}
	return "", errors.New("the API does not list the box of the attempt")
}

// eachName asks for a file of the box by every name that could mean one of the host.
func (a *attempt) eachName(method, path, query, body string, look func(*answer) (string, error)) (string, error) {
	id, err := a.run()
	if err != nil {
		return "", err
	}
	for _, name := range []string{
		path, strings.Repeat("../", 12) + path, "/proc/1/root" + path, "/proc/self/root/../.." + path,
		box.Workdir + "/outside/" + filepath.Base(path), "outside/../outside/" + filepath.Base(path), path + "\x00.txt",
	} {
		w, err := a.api(method, "/v1/runs/"+id+"/files?"+query+"path="+url.QueryEscape(name), body)
		if err != nil {
			return "", err
		}
		if evidence, err := look(w); evidence != "" || err != nil {
			return evidence, err
		}
	}
	return "", nil
}

// readByAPI has the API read a flag of the host's.
func readByAPI(word string) Oracle {
	return during("whether the API gives what is written in the flag "+word, func(a *attempt) (string, error) {
		f := a.stage.flag(word)
		return a.eachName(http.MethodGet, f.path, "", "", func(w *answer) (string, error) {
			if strings.Contains(w.String(), f.nonce) {
				return "the API gives what is written in " + f.where, nil
			}
			return "", nil
		})
	})
}

// writtenByAPI has the API write one.
func writtenByAPI(word string) Oracle {
	o := changed(word)
	return during(o.Says+" when the API was asked to write it", func(a *attempt) (string, error) {
		return a.eachName(http.MethodPut, a.stage.flag(word).path, "mode=666&", a.token, func(*answer) (string, error) { return o.look(a) })
	})
}

// answeredByAPI looks whether the attack can say where the host has the workspace of
// its run, which the API alone tells.
func answeredByAPI() Oracle {
	return during("whether the attack can say where the host has its workspace", func(a *attempt) (string, error) {
		if bytes.Contains(a.output, []byte(filepath.Base(a.workspace))) {
			return "the API has answered it", nil
		}
		return "", nil
	})
}

// visited serves the API at a loopback address, as `proofbox serve` does, and has
// somebody ask it for the runs who has everything right but what is changed. On the
// twin nothing guards it but a token that the trial alone has.
func visited(change func(*http.Request)) func(*attempt) (string, error) {
	return func(a *attempt) (evidence string, err error) {
		l, err := net.Listen("tcp4", "127.0.0.1:0")
		if err != nil {
			return "", fmt.Errorf("serving the API: %w", err)
		}
		at := l.Addr().String()
		handler := a.session.trial.Boxes.API(at, a.token)
		if a.session.sitting.setting.Open {
			handler = a.openAPI()
		}
		server := &http.Server{ReadHeaderTimeout: visitTime, Handler: handler}
		go server.Serve(l) // ends when it is closed
		defer func() { err = errors.Join(err, server.Close()) }()
		ctx, cancel := context.WithTimeout(a.context, visitTime)
		defer cancel()
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+at+"/v1/runs?"+a.token, http.NoBody)
		if err != nil {
			return "", err
		}
		r.Header.Set("Authorization", "Bearer "+a.token)
		change(r)
		return visit(r)
	}
}

// visitTime bounds how long the server may take to answer.
const visitTime = 10 * time.Second

// visit makes the request and looks whether the answer is a list of runs.
func visit(r *http.Request) (string, error) {
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	w, err := client.Do(r)
	if err != nil {
		return "", fmt.Errorf("asking the server: %w", err)
	}
	defer w.Body.Close()
	var runs []proofbox.Run
	if json.NewDecoder(io.LimitReader(w.Body, 64<<20)).Decode(&runs) != nil {
		return "", nil
	}
	return fmt.Sprintf("it answers with %d runs", len(runs)), nil
}

// openAPI gives the list of runs to whoever puts the attempt's token into the
// address, however it came there.
func (a *attempt) openAPI() http.Handler {
	api := a.session.trial.Boxes.API("", "")
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/v1/runs" || r.URL.RawQuery != a.token {
			http.NotFound(w, r)
			return
		}
		api.ServeHTTP(w, r)
	})
}
