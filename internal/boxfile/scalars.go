package boxfile

import (
	"math"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml/ast"
)

// maxItems bounds a list.
const maxItems = 10_000

// kind names what a node is, for an error.
func kind(n ast.Node) string {
	switch n.(type) {
	case *ast.MappingNode, *ast.MappingValueNode:
		return "a mapping"
	case *ast.SequenceNode:
		return "a list"
	case *ast.AnchorNode, *ast.AliasNode:
		return "an anchor or alias, which box files do not have"
	case *ast.TagNode:
		return "a tag, which box files do not have"
	case *ast.NullNode:
		return "nothing"
	case *ast.BoolNode:
		return "true or false"
	case *ast.IntegerNode, *ast.FloatNode, *ast.InfinityNode, *ast.NanNode:
		return "a number"
	}
	return "text"
}

// scalar gives a scalar as it is written in the file, so that 1.50 stays "1.50".
func (d *document) scalar(n ast.Node, wanted string) (string, error) {
	switch s := n.(type) {
	case *ast.StringNode:
		return s.Value, nil
	case *ast.LiteralNode:
		return s.Value.Value, nil
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode:
		return strings.TrimSpace(n.GetToken().Value), nil
	}
	return "", d.at(n, "here %s is wanted, not %s", wanted, kind(n))
}

func (d *document) text(to *string) func(ast.Node) error {
	return func(n ast.Node) error {
		text, err := d.scalar(n, "text")
		if err != nil {
			return err
		}
		if strings.ContainsRune(text, 0) {
			return d.at(n, "the text has a NUL character in it")
		}
		*to = text
		return nil
	}
}

// word reads a scalar that parse understands.
func word[T any](d *document, to *T, parse func(string) (T, error)) func(ast.Node) error {
	return func(n ast.Node) error {
		text, err := d.scalar(n, "a word")
		if err != nil {
			return err
		}
		v, err := parse(text)
		if err != nil {
			return d.at(n, "%v", err)
		}
		*to = v
		return nil
	}
}

func (d *document) whole(to *int) func(ast.Node) error {
	return func(n ast.Node) error {
		text, err := d.scalar(n, "a whole number")
		if err != nil {
			return err
		}
		v, err := strconv.Atoi(text)
		if err != nil {
			return d.at(n, "%q is not a whole number", text)
		}
		*to = v
		return nil
	}
}

func (d *document) number(to *float64) func(ast.Node) error {
	return func(n ast.Node) error {
		text, err := d.scalar(n, "a number")
		if err != nil {
			return err
		}
		v, err := strconv.ParseFloat(text, 64)
		if err != nil || math.IsNaN(v) || math.IsInf(v, 0) {
			return d.at(n, "%q is not a number", text)
		}
		*to = v
		return nil
	}
}

// positive reads a number that is a limit.
func positive[T int | float64](d *document, to *T, read func(*T) func(ast.Node) error) func(ast.Node) error {
	return func(n ast.Node) error {
		if err := read(to)(n); err != nil {
			return err
		}
		if *to <= 0 {
			return d.at(n, "a limit of %v would allow nothing; leave it out for the default", *to)
		}
		return nil
	}
}

func (d *document) truth(to *bool) func(ast.Node) error {
	return func(n ast.Node) error {
		b, ok := n.(*ast.BoolNode)
		if !ok {
			return d.at(n, "here true or false is wanted, not %s", kind(n))
		}
		*to = b.Value
		return nil
	}
}

func (d *document) texts(to *[]string) func(ast.Node) error {
	return list(d, to, func(n ast.Node, s *string) error { return d.text(s)(n) })
}

// list reads a list whose items are read by each.
func list[T any](d *document, to *[]T, each func(ast.Node, *T) error) func(ast.Node) error {
	return func(n ast.Node) error {
		seq, ok := n.(*ast.SequenceNode)
		if !ok {
			return d.at(n, "here a list is wanted, not %s", kind(n))
		}
		if len(seq.Values) > maxItems {
			return d.at(n, "the list has %d items; at most %d are read", len(seq.Values), maxItems)
		}
		items := make([]T, len(seq.Values))
		for i, v := range seq.Values {
			if err := each(v, &items[i]); err != nil {
				return err
			}
		}
		*to = items
		return nil
	}
}
