// Package boxfile reads box files strictly: whatever is not understood is an
// error with file, line and column, never a silent default. The format is
// described in docs/formats/box-file.md.
package boxfile

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"

	"proofbox"
)

// maxSize bounds a box file, in bytes.
const maxSize = 1 << 20

// Error is what is wrong with a box file, and where.
type Error struct {
	File         string
	Line, Column int // from 1; 0 where the whole file is meant
	Message      string
}

func (e *Error) Error() string {
	if e.Line == 0 {
		return e.File + ": " + e.Message
	}
	return fmt.Sprintf("%s:%d:%d: %s", e.File, e.Line, e.Column, e.Message)
}

// ReadFile reads a box file. Relative paths in it are relative to its folder.
func ReadFile(path string) (proofbox.Spec, error) {
	f, err := os.Open(path)
	if err != nil {
		return proofbox.Spec{}, fmt.Errorf("reading the box file: %w", err)
	}
	defer f.Close()
	spec, err := Read(path, f)
	if err != nil {
		return spec, err
	}
	dir, err := filepath.Abs(filepath.Dir(path))
	if err != nil {
		return spec, fmt.Errorf("finding the box file's folder: %w", err)
	}
	resolve(&spec, dir)
	return spec, nil
}

// Read reads a box file that is called name in errors.
func Read(name string, r io.Reader) (proofbox.Spec, error) {
	data, err := io.ReadAll(io.LimitReader(r, maxSize+1))
	if err != nil {
		return proofbox.Spec{}, fmt.Errorf("reading the box file: %w", err)
	}
	d := &document{name: name}
	root, err := d.parse(data)
	if err != nil {
		return proofbox.Spec{}, err
	}
	var spec proofbox.Spec
	if err := d.spec(root, &spec); err != nil {
		return proofbox.Spec{}, err
	}
	return spec, nil
}

type document struct{ name string }

func (d *document) wrong(format string, args ...any) error {
	return &Error{File: d.name, Message: fmt.Sprintf(format, args...)}
}

// at is an error at a node.
func (d *document) at(n ast.Node, format string, args ...any) error {
	e := &Error{File: d.name, Message: fmt.Sprintf(format, args...)}
	if t := n.GetToken(); t != nil && t.Position != nil {
		e.Line, e.Column = t.Position.Line, t.Position.Column
	}
	return e
}

// parse gives the one mapping that a box file is.
func (d *document) parse(data []byte) (root ast.Node, err error) {
	switch {
	case len(data) > maxSize:
		return nil, d.wrong("the file is over %d bytes", maxSize)
	case !utf8.Valid(data):
		return nil, d.wrong("the file is not UTF-8")
	case len(bytes.TrimSpace(data)) == 0:
		return nil, d.wrong("the file is empty; it must at least say `version: 1`")
	}
	// The parser is code that we do not control; whatever it makes of hostile
	// input must not end the program.
	defer func() {
		if p := recover(); p != nil {
			err = d.wrong("the file could not be parsed: %v", p)
		}
	}()
	file, err := parser.ParseBytes(bytes.TrimPrefix(data, []byte("\ufeff")), 0)
	if err != nil {
		return nil, d.syntax(err)
	}
	var bodies []ast.Node
	for _, doc := range file.Docs {
		if doc.Body != nil {
			bodies = append(bodies, doc.Body)
		}
	}
	if len(bodies) != 1 {
		return nil, d.wrong("the file has %d documents; a box file is one", len(bodies))
	}
	return bodies[0], nil
}

// syntax turns the parser's error, which has a position and a drawing, into one
// line.
func (d *document) syntax(err error) error {
	first, _, _ := strings.Cut(err.Error(), "\n")
	e := &Error{File: d.name, Message: first}
	if _, serr := fmt.Sscanf(first, "[%d:%d]", &e.Line, &e.Column); serr == nil {
		_, e.Message, _ = strings.Cut(first, "] ")
	}
	return e
}

// resolve makes the paths of a spec absolute.
func resolve(s *proofbox.Spec, dir string) {
	abs := func(path string) string {
		if path == "" || filepath.IsAbs(path) {
			return path
		}
		return filepath.Join(dir, path)
	}
	switch s.Workspace.Original {
	case "none":
	case "":
		s.Workspace.Original = dir
	default:
		s.Workspace.Original = abs(s.Workspace.Original)
	}
	for i := range s.Expose {
		s.Expose[i] = abs(s.Expose[i])
	}
	for i := range s.Contents {
		s.Contents[i].Path = abs(s.Contents[i].Path)
	}
	for i := range s.Models {
		s.Models[i].Script = abs(s.Models[i].Script)
	}
	for _, kind := range []string{"dir:", "oci:"} {
		if path, ok := strings.CutPrefix(s.Image, kind); ok {
			s.Image = kind + abs(path)
		}
	}
}
