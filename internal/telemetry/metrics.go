package telemetry

import (
	"bufio"
	"fmt"
	"io"
	"slices"
	"strings"
)

// Family is the numbers of one name.
type Family struct {
	Name, Help string
	Kind       string // "gauge" or "counter"
	Samples    []Sample
}

// Sample is one number. It is text, so that money is exact.
type Sample struct {
	Labels []Label
	Value  string
}

// Label tells samples of one name apart. Its value may be from anywhere.
type Label struct{ Name, Value string }

// MaxSamples bounds the samples of one name: who collects them keeps each for
// good.
const MaxSamples = 200

// WriteMetrics writes numbers in the text format of Prometheus, version 0.0.4. It
// is an error to have more than [MaxSamples] of one name.
func WriteMetrics(w io.Writer, families []Family) error {
	out := bufio.NewWriter(w)
	for _, f := range families {
		if len(f.Samples) > MaxSamples {
			return fmt.Errorf("%s has %d samples, and %d are the most", f.Name, len(f.Samples), MaxSamples)
		}
		fmt.Fprintf(out, "# HELP %s %s\n# TYPE %s %s\n", f.Name, escaped.Replace(f.Help), f.Name, f.Kind)
		for _, s := range f.Samples {
			fmt.Fprintf(out, "%s%s %s\n", f.Name, labels(s.Labels), s.Value)
		}
	}
	return out.Flush()
}

// escaped writes what would end a line, or a label's value, in another way.
var (
	escaped = strings.NewReplacer(`\`, `\\`, "\n", `\n`)
	quoted  = strings.NewReplacer(`\`, `\\`, "\n", `\n`, `"`, `\"`)
)

func labels(list []Label) string {
	if len(list) == 0 {
		return ""
	}
	texts := make([]string, len(list))
	for i, l := range list {
		texts[i] = l.Name + `="` + quoted.Replace(Clip(l.Value)) + `"`
	}
	slices.Sort(texts)
	return "{" + strings.Join(texts, ",") + "}"
}
