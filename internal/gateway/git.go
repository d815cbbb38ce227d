package gateway

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"

	"proofbox"
)

// git's smart HTTP protocol, at a host whose requests are held; see
// gitprotocol-http(5) and gitprotocol-pack(5). A fetch asks by POST and changes nothing.
// A push is held; git takes no answer but one in its own form, so it is told for each ref
// that the other side has not taken it, and why.
const (
	fetchRequest  = "application/x-git-upload-pack-request"
	fetchOffer    = "application/x-git-upload-pack-advertisement"
	fetchPath     = "/git-upload-pack"
	offerPath     = "/info/refs"
	pushRequest   = "application/x-git-receive-pack-request"
	pushResult    = "application/x-git-receive-pack-result"
	maxPushHead   = 64 << 10 // bytes of a push in which its commands are looked for
	maxPacket     = 65_520   // bytes of a packet with its length; gitprotocol-common(5)
	flushPacket   = "0000"
	maxRepository = 1000 // repositories of a run
)

// repositories are those from which servers have offered to be fetched, by what comes
// before fetchPath in their addresses. That a path and a type of content look like a
// fetch is only what the box says.
type repositories struct {
	mu    sync.Mutex
	known map[string]bool // guarded by mu
}

// note remembers what an answer to a box offers.
func (r *repositories) note(to proofbox.Destination, in *http.Response) {
	base, ok := strings.CutSuffix(in.Request.URL.EscapedPath(), offerPath)
	if !ok || in.StatusCode != http.StatusOK || in.Header.Get("Content-Type") != fetchOffer {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.known == nil {
		r.known = map[string]bool{}
	}
	if len(r.known) < maxRepository {
		r.known[to.String()+base] = true
	}
}

// fetches says whether a request only fetches from one of them.
func (r *repositories) fetches(to proofbox.Destination, q *http.Request) bool {
	base, ok := strings.CutSuffix(q.URL.EscapedPath(), fetchPath)
	if !ok || q.Method != http.MethodPost || q.URL.RawQuery != "" || q.Header.Get("Content-Type") != fetchRequest {
		return false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.known[to.String()+base]
}

// push is what a push asks for, as far as that stands in its beginning.
type push struct {
	refs     []string
	sideband bool // the answer comes in packets of a channel each
}

func isPush(h http.Header) bool {
	return h.Get("Content-Type") == pushRequest && h.Get("Content-Encoding") == ""
}

// isProbe says whether a push asks for nothing, as git does before it sends much.
func isProbe(r *http.Request) bool {
	if !isPush(r.Header) || r.ContentLength != int64(len(flushPacket)) {
		return false
	}
	text, _ := io.ReadAll(r.Body) // where it breaks off, it is none
	r.Body = io.NopCloser(bytes.NewReader(text))
	return string(text) == flushPacket
}

// readPush reads the commands at the beginning of a push. One that has none that can
// be told is no push.
func readPush(head []byte) (p push, ok bool) {
	for {
		line, rest, ok := packet(head)
		if !ok || line == nil {
			return p, ok && len(p.refs) > 0
		}
		head = rest
		command, features, _ := strings.Cut(string(line), "\x00")
		if strings.Contains(" "+features+" ", " side-band-64k ") {
			p.sideband = true
		}
		fields := strings.SplitN(strings.TrimSuffix(command, "\n"), " ", 3)
		if len(fields) == 3 { // what was, what is to be, and the ref
			p.refs = append(p.refs, fields[2])
		}
	}
}

// packet reads the first packet: nil for a flush. ok is false where there is none.
func packet(text []byte) (line, rest []byte, ok bool) {
	if len(text) < len(flushPacket) {
		return nil, nil, false
	}
	n, err := strconv.ParseUint(string(text[:4]), 16, 16)
	switch {
	case err != nil || n > uint64(len(text)) || n > 0 && n <= 4:
		return nil, nil, false
	case n == 0:
		return nil, text[4:], true
	}
	return text[4:n], text[n:], true
}

func writePacket(w *bytes.Buffer, text string) {
	text = text[:min(len(text), maxPacket-4)]
	fmt.Fprintf(w, "%04x%s", len(text)+4, text)
}

// answer says that no ref was taken, in git's words.
func (p push) answer(why string) []byte {
	var report bytes.Buffer
	writePacket(&report, "unpack ok\n")
	for _, ref := range p.refs {
		writePacket(&report, "ng "+ref+" "+why+"\n")
	}
	report.WriteString(flushPacket)
	if !p.sideband {
		return report.Bytes()
	}
	var out bytes.Buffer
	for text := report.Bytes(); len(text) > 0; {
		n := min(len(text), maxPacket-5)
		writePacket(&out, "\x01"+string(text[:n]))
		text = text[n:]
	}
	out.WriteString(flushPacket)
	return out.Bytes()
}

// pushed reads a server's answer to a push: its lines in words, and why a ref was not
// taken, empty where all were.
func pushed(answer []byte) (text, rejected string) {
	var report, words []byte
	for {
		line, rest, ok := packet(answer)
		if !ok || line == nil {
			break
		}
		answer = rest
		switch line[0] {
		case 1:
			report = append(report, line[1:]...)
		case 2, 3:
			words = append(words, line[1:]...)
		default: // without channels
			words = append(words, line...)
			rejected = ngOf(rejected, line)
		}
	}
	for {
		line, rest, ok := packet(report)
		if !ok || line == nil {
			return string(words), rejected
		}
		report, words = rest, append(words, line...)
		rejected = ngOf(rejected, line)
	}
}

// ngOf gives the first line that says that something was not taken.
func ngOf(before string, line []byte) string {
	text := strings.TrimSpace(string(line))
	if before != "" || !strings.HasPrefix(text, "ng ") && !(strings.HasPrefix(text, "unpack ") && text != "unpack ok") {
		return before
	}
	return text
}

// pushHead keeps the first bytes of what is written to it.
type pushHead struct{ bytes.Buffer }

func (h *pushHead) Write(p []byte) (int, error) {
	h.Buffer.Write(p[:min(len(p), maxPushHead-h.Len())])
	return len(p), nil
}

// answerPush tells git what has become of its push.
func answerPush(w http.ResponseWriter, text []byte) {
	w.Header().Set("Content-Type", pushResult)
	w.Header().Set("Cache-Control", "no-cache")
	_, _ = w.Write(text) // who asked may have gone
}
