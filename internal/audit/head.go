package audit

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// head is what is signed: a checkpoint of the tree, and how long the records
// are.
type head struct {
	Size   int64
	Root   tlog.Hash
	Length int64 // bytes of records
}

// origin is the first line of a head, as in C2SP's tlog-checkpoint.
const origin = "proofbox audit log"

func (h head) text() string {
	return fmt.Sprintf("%s\n%d\n%s\nrecords %d\n", origin, h.Size, h.Root, h.Length)
}

func parseHead(text string) (head, error) {
	var h head
	var root string
	n, err := fmt.Sscanf(text, origin+"\n%d\n%s\nrecords %d\n", &h.Size, &root, &h.Length)
	if err != nil || n != 3 || h.Size < 0 || h.Length < 0 {
		return head{}, errors.New("the head of the log does not read as one")
	}
	if h.Root, err = tlog.ParseHash(root); err != nil {
		return head{}, errors.New("the head of the log has no root")
	}
	if h.text() != text {
		return head{}, errors.New("the head of the log is spelled in another way than it was signed")
	}
	return h, nil
}

func (l *Log) sign(h head) ([]byte, error) {
	signed, err := note.Sign(&note.Note{Text: h.text()}, l.key)
	if err != nil {
		return nil, fmt.Errorf("signing the head of the log: %w", err)
	}
	return signed, nil
}

// readHead reads and verifies the head. A log that was never written to has an
// empty one; records without a head are an altered log.
func (l *Log) readHead() (head, error) {
	data, err := os.ReadFile(l.path("head"))
	if errors.Is(err, fs.ErrNotExist) {
		for _, name := range []string{"records", "hashes"} {
			if l.size(name) != 0 {
				return head{}, fmt.Errorf("the log has %s and no signed head: the head was removed", name)
			}
		}
		return emptyHead()
	}
	if err != nil {
		return head{}, fmt.Errorf("reading the head of the log: %w", err)
	}
	return l.verifyHead(data)
}

func (l *Log) verifyHead(data []byte) (head, error) {
	signed, err := note.Open(data, note.VerifierList(l.key.verifier))
	if err != nil {
		return head{}, fmt.Errorf("verifying the head of the log: %w", err)
	}
	if !bytes.Equal(data, spell(signed)) {
		return head{}, errors.New("the head of the log is spelled in another way than it was signed")
	}
	return parseHead(signed.Text)
}

// spell writes a note in the one form that proofbox writes: base64 and white
// space would allow others that verify as well.
func spell(n *note.Note) []byte {
	out := []byte(n.Text + "\n")
	for _, s := range n.Sigs {
		sig, err := base64.StdEncoding.DecodeString(s.Base64)
		if err != nil || len(sig) < 4 {
			return nil
		}
		full := append(binary.BigEndian.AppendUint32(nil, s.Hash), sig[4:]...)
		out = fmt.Appendf(out, "\u2014 %s %s\n", s.Name, base64.StdEncoding.EncodeToString(full))
	}
	return out
}

func emptyHead() (head, error) {
	root, err := tlog.TreeHash(0, nil)
	if err != nil {
		return head{}, fmt.Errorf("hashing an empty log: %w", err)
	}
	return head{Root: root}, nil
}
