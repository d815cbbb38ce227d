package boxfile

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/goccy/go-yaml/ast"

	"proofbox"
)

// ReadPlan reads a plan for masking, see docs/formats/mask-plan.md. It is as strict as
// [ReadFile].
func ReadPlan(path string) (proofbox.MaskPlan, error) {
	var p proofbox.MaskPlan
	f, err := os.Open(path)
	if err != nil {
		return p, fmt.Errorf("reading the plan: %w", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxSize+1))
	if err != nil {
		return p, fmt.Errorf("reading the plan: %w", err)
	}
	d := &document{name: path}
	root, err := d.parse(data)
	if err != nil {
		return p, err
	}
	err = d.mapping(root, fields{
		"version": d.version(&p.Version), "context": d.text(&p.Context), "names": d.truth(&p.Names),
		"fields": d.maskFields(&p),
	})
	if err == nil && p.Version == 0 {
		err = d.at(root, "the file does not say `version: 1`")
	}
	return p, err
}

func (d *document) maskFields(p *proofbox.MaskPlan) func(ast.Node) error {
	return func(n ast.Node) error {
		return d.entries(n, func(_, value ast.Node, name string) error {
			var kind string
			if err := d.text(&kind)(value); err != nil {
				return err
			}
			kind, reversible := strings.CutSuffix(kind, ", reversible")
			if !slices.Contains(proofbox.MaskKinds, kind) {
				return d.at(value, "%q is no kind that can be masked; the kinds are %s", kind, strings.Join(proofbox.MaskKinds, ", "))
			}
			if reversible && kind != "number" {
				return d.at(value, "only a number can be reversible, as `number, reversible`")
			}
			p.Fields = append(p.Fields, proofbox.MaskField{Field: name, Kind: kind, Reversible: reversible})
			return nil
		})
	}
}
