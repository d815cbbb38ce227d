package contents

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// Descriptors by which cmd/proofbox-contents asks a plug; see docs/contents.md.
const (
	Answers   = 3 // a line of JSON for each question
	Questions = 4 // a line of JSON for each text
)

// plug is a program of the user's that finds names, while it runs. It is not confined:
// it may need a network, or a processor of its own. What it says is believed no more
// than the data.
type plug struct {
	digest             string // SHA-256 of the program's file
	cmd                *exec.Cmd
	stop               context.CancelFunc
	questions, answers *os.File // the other ends of its input and output
	complaint          *head
}

// plugEnd is how long a plug may take to end once it is asked nothing more.
const plugEnd = 5 * time.Second

func startPlug(ctx context.Context, path string) (*plug, error) {
	if !filepath.IsAbs(path) {
		return nil, errors.New("give the whole path of a program, from / on")
	}
	p := &plug{complaint: &head{most: maxComplaint}}
	var err error
	if p.digest, err = digestOf(path); err != nil {
		return nil, err
	}
	in, questions, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer in.Close()
	answers, out, err := os.Pipe()
	if err != nil {
		return nil, errors.Join(err, questions.Close())
	}
	defer out.Close()
	ctx, p.stop = context.WithCancel(ctx)
	p.cmd, p.questions, p.answers = exec.CommandContext(ctx, path), questions, answers
	p.cmd.Stdin, p.cmd.Stdout, p.cmd.Stderr, p.cmd.WaitDelay = in, out, p.complaint, plugEnd
	if err := p.cmd.Start(); err != nil {
		p.stop()
		return nil, errors.Join(err, questions.Close(), answers.Close())
	}
	return p, nil
}

func digestOf(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	sum := sha256.New()
	_, err = io.Copy(sum, f)
	return hex.EncodeToString(sum.Sum(nil)), err
}

// files are what the program that asks it gets, from descriptor 3 on.
func (p *plug) files() []*os.File { return []*os.File{p.answers, p.questions} }

// end asks nothing more, and waits for the plug to end. The error says what it has
// complained of.
func (p *plug) end() error {
	defer p.stop()
	_ = p.questions.Close() // it hears the end
	_ = p.answers.Close()
	late := time.AfterFunc(plugEnd, p.stop)
	defer late.Stop()
	err := p.cmd.Wait()
	if said := strings.TrimSpace(p.complaint.String()); err != nil && said != "" {
		err = fmt.Errorf("%w: %s", err, said)
	}
	return err
}
