package boxfile

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/goccy/go-yaml/ast"

	"proofbox"
)

// fields says how the value of each key of a mapping is read.
type fields map[string]func(ast.Node) error

// spec reads the whole file.
func (d *document) spec(root ast.Node, s *proofbox.Spec) error {
	err := d.mapping(root, fields{
		"version":   d.version(&s.Version),
		"name":      d.text(&s.Name),
		"risk":      d.risk(&s.Risk),
		"wall":      word(d, &s.Wall, proofbox.ParseWall),
		"accept":    d.accept(s),
		"image":     d.text(&s.Image),
		"expose":    d.texts(&s.Expose),
		"workspace": d.workspace(&s.Workspace),
		"contents":  list(d, &s.Contents, d.content),
		"egress":    d.egress(&s.Egress),
		"secrets":   list(d, &s.Secrets, d.secret),
		"tools":     list(d, &s.Tools, d.tool),
		"models":    list(d, &s.Models, d.model),
		"record":    d.truth(&s.Record),
		"budget":    d.budget(s),
		"limits":    d.limits(&s.Limits),
		"env":       d.environment(s),
	})
	if err != nil {
		return err
	}
	if s.Version == 0 {
		return d.at(root, "the file does not say `version: 1`")
	}
	return nil
}

func (d *document) version(v *int) func(ast.Node) error {
	return func(n ast.Node) error {
		if err := d.whole(v)(n); err != nil {
			return err
		}
		if *v != 1 {
			return d.at(n, "version %d is not known; this proofbox reads version 1", *v)
		}
		return nil
	}
}

func (d *document) risk(r *proofbox.Risk) func(ast.Node) error {
	return func(n ast.Node) error {
		return d.mapping(n, fields{
			"code":    word(d, &r.Code, proofbox.ParseCode),
			"data":    word(d, &r.Data, proofbox.ParseClass),
			"actions": d.texts(&r.Actions),
		})
	}
}

func (d *document) accept(s *proofbox.Spec) func(ast.Node) error {
	return func(n ast.Node) error {
		s.Accept = &proofbox.Acceptance{}
		return d.mapping(n, fields{
			"wall":    word(d, &s.Accept.Wall, proofbox.ParseWall),
			"because": d.text(&s.Accept.Because),
		})
	}
}

func (d *document) workspace(w *proofbox.Workspace) func(ast.Node) error {
	return func(n ast.Node) error {
		return d.mapping(n, fields{"original": d.text(&w.Original), "hide": d.texts(&w.Hide)})
	}
}

func (d *document) content(n ast.Node, c *proofbox.Content) error {
	return d.mapping(n, fields{
		"path": d.text(&c.Path), "at": d.text(&c.At), "class": word(d, &c.Class, proofbox.ParseClass),
	})
}

func (d *document) egress(e *proofbox.Egress) func(ast.Node) error {
	return func(n ast.Node) error {
		return d.mapping(n, fields{
			"allow": d.texts(&e.Allow), "inspect": list(d, &e.Inspect, d.inspection),
			"stage": d.texts(&e.Stage), "upload": word(d, &e.Upload, proofbox.ParseLimit),
		})
	}
}

func (d *document) inspection(n ast.Node, i *proofbox.Inspection) error {
	return d.mapping(n, fields{"host": d.text(&i.Host), "methods": d.texts(&i.Methods), "paths": d.texts(&i.Paths)})
}

func (d *document) secret(n ast.Node, s *proofbox.Secret) error {
	return d.mapping(n, fields{
		"name": d.text(&s.Name), "host": d.text(&s.Host), "methods": d.texts(&s.Methods), "paths": d.texts(&s.Paths),
	})
}

func (d *document) tool(n ast.Node, t *proofbox.Tool) error {
	return d.mapping(n, fields{"mock": d.text(&t.Mock), "at": d.text(&t.At)})
}

func (d *document) model(n ast.Node, m *proofbox.Model) error {
	return d.mapping(n, fields{
		"name": d.text(&m.Name), "provider": d.text(&m.Provider), "cap": d.truth(&m.Cap), "script": d.text(&m.Script),
		"base": d.text(&m.Base), "key_from": d.text(&m.KeyFrom),
		"price": d.price(m), "max_output": positive(d, &m.MaxOutput, d.whole),
	})
}

func (d *document) price(m *proofbox.Model) func(ast.Node) error {
	return func(n ast.Node) error {
		m.Price = &proofbox.Price{}
		keys := d.rates(&m.Price.Rates)
		keys["above"] = func(n ast.Node) error {
			m.Price.Above = &proofbox.LongRates{}
			keys := d.rates(&m.Price.Above.Rates)
			keys["tokens"] = positive(d, &m.Price.Above.Tokens, d.whole)
			return d.mapping(n, keys)
		}
		return d.mapping(n, keys)
	}
}

func (d *document) rates(r *proofbox.Rates) fields {
	return fields{
		"input":          word(d, &r.Input, proofbox.ParseMoney),
		"output":         word(d, &r.Output, proofbox.ParseMoney),
		"cache_read":     word(d, &r.CacheRead, proofbox.ParseMoney),
		"cache_write":    word(d, &r.CacheWrite, proofbox.ParseMoney),
		"cache_write_1h": word(d, &r.CacheWrite1h, proofbox.ParseMoney),
	}
}

func (d *document) budget(s *proofbox.Spec) func(ast.Node) error {
	return func(n ast.Node) error {
		s.Budget = &proofbox.Budget{}
		return d.mapping(n, fields{"usd": d.text(&s.Budget.USD)})
	}
}

func (d *document) limits(l *proofbox.Limits) func(ast.Node) error {
	return func(n ast.Node) error {
		return d.mapping(n, fields{
			"memory": word(d, &l.Memory, proofbox.ParseLimit),
			"cpus":   positive(d, &l.CPUs, d.number),
			"pids":   positive(d, &l.Pids, d.whole),
			"disk":   word(d, &l.Disk, proofbox.ParseLimit),
			"time":   word(d, &l.Time, proofbox.ParseDuration),
			"output": word(d, &l.Output, proofbox.ParseLimit),
		})
	}
}

func (d *document) environment(s *proofbox.Spec) func(ast.Node) error {
	return func(n ast.Node) error {
		s.Env = map[string]string{}
		return d.entries(n, func(key, value ast.Node, name string) error {
			if name == "" || strings.ContainsAny(name, "=\x00") {
				return d.at(key, "%q is no name of a variable", name)
			}
			var text string
			if err := d.text(&text)(value); err != nil {
				return err
			}
			s.Env[name] = text
			return nil
		})
	}
}

// mapping reads a mapping whose keys are known.
func (d *document) mapping(n ast.Node, known fields) error {
	return d.entries(n, func(key, value ast.Node, name string) error {
		read, ok := known[name]
		if !ok {
			return d.unknown(key, name, slices.Sorted(maps.Keys(known)))
		}
		return read(value)
	})
}

// entries reads a mapping with any keys, each once.
func (d *document) entries(n ast.Node, each func(key, value ast.Node, name string) error) error {
	var values []*ast.MappingValueNode
	switch m := n.(type) {
	case *ast.MappingNode:
		values = m.Values
	case *ast.MappingValueNode:
		values = []*ast.MappingValueNode{m}
	case *ast.NullNode:
		return d.at(n, "here a mapping is wanted, and there is nothing")
	default:
		return d.at(n, "here a mapping is wanted, not %s", kind(n))
	}
	seen := map[string]bool{}
	for _, v := range values {
		key, ok := v.Key.(*ast.StringNode)
		if !ok {
			return d.at(v.Key, "a key must be a plain word, not %s", kind(v.Key))
		}
		if seen[key.Value] {
			return d.at(key, "the key %q is there twice", key.Value)
		}
		seen[key.Value] = true
		if err := each(key, v.Value, key.Value); err != nil {
			return err
		}
	}
	return nil
}

func (d *document) unknown(n ast.Node, name string, known []string) error {
	nearest, distance := "", 4
	for _, k := range known {
		if dist := editDistance(name, k); dist < distance {
			nearest, distance = k, dist
		}
	}
	hint := ""
	if nearest != "" {
		hint = fmt.Sprintf("; did you mean %q?", nearest)
	}
	return d.at(n, "unknown key %q%s (known here: %s)", name, hint, strings.Join(known, ", "))
}

// editDistance counts the insertions, deletions and replacements of bytes
// between two short words (Levenshtein). Long ones are simply far apart.
func editDistance(a, b string) int {
	const long = 64
	if len(a) > long || len(b) > long {
		return long
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			diagonal, row[j+1] = row[j+1], min(diagonal+cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
