package boxfile_test

import (
	"encoding/json"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"proofbox"
	"proofbox/internal/boxfile"
)

// example is the box file of docs/formats/box-file.md.
const example = `version: 1
name: invoice-bot
risk:
  code: generated            # reviewed | agent | generated
  data: masked               # none | synthetic | masked | real
  actions: [payments]        # what the job could do in the world
wall: auto                   # never weaker than the risk demands
image: host
workspace: {original: ., hide: [".env", "secrets/**"]}
contents:
  - {path: data/tasks.jsonl, at: /data/tasks.jsonl, class: masked}
egress: {allow: ["pypi.org:443"]}
tools:
  - {mock: stripe, at: api.stripe.com}
models:
  - {name: default, provider: openai, cap: true}
budget: {usd: "5.00"}
env: {A: 1, B: "two"}
limits: {memory: 512MiB, cpus: 1, pids: 256, disk: 1GiB, time: 10m, output: 16MiB}
`

func TestReadExample(t *testing.T) {
	t.Parallel()
	got, err := boxfile.Read("box.yaml", strings.NewReader(example))
	if err != nil {
		t.Fatal(err)
	}
	want := proofbox.Spec{
		Version: 1, Name: "invoice-bot",
		Risk:      proofbox.Risk{Code: proofbox.Generated, Data: proofbox.Masked, Actions: []string{"payments"}},
		Wall:      proofbox.AutoWall,
		Image:     "host",
		Workspace: proofbox.Workspace{Original: ".", Hide: []string{".env", "secrets/**"}},
		Contents:  []proofbox.Content{{Path: "data/tasks.jsonl", At: "/data/tasks.jsonl", Class: proofbox.Masked}},
		Egress:    proofbox.Egress{Allow: []string{"pypi.org:443"}},
		Tools:     []proofbox.Tool{{Mock: "stripe", At: "api.stripe.com"}},
		Models:    []proofbox.Model{{Name: "default", Provider: "openai", Cap: true}},
		Budget:    &proofbox.Budget{USD: "5.00"},
		Env:       map[string]string{"A": "1", "B": "two"},
		Limits:    proofbox.DefaultLimits,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestReadSaysWhatIsWrongAndWhere(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ in, want string }{
		"unknown key":     {"version: 1\nwal: gvisor\n", `box.yaml:2:1: unknown key "wal"; did you mean "wall"?`},
		"unknown nested":  {"version: 1\nrisk:\n  kode: agent\n", `box.yaml:3:3: unknown key "kode"; did you mean "code"?`},
		"far key":         {"version: 1\nzzzzzzzzzz: 1\n", `box.yaml:2:1: unknown key "zzzzzzzzzz" (known here:`},
		"twice":           {"version: 1\nwall: gvisor\nwall: container\n", "box.yaml:3:1"},
		"wrong word":      {"version: 1\nwall: castle\n", `box.yaml:2:7: wall "castle" is not one of auto, container`},
		"wrong size":      {"version: 1\nlimits: {memory: lots}\n", `box.yaml:2:18: size "lots"`},
		"wrong type":      {"version: 1\nexpose: yes\n", "box.yaml:2:9: here a list is wanted"},
		"list for map":    {"version: 1\nrisk: [a]\n", "box.yaml:2:7: here a mapping is wanted, not a list"},
		"null map":        {"version: 1\nrisk:\n", "here a mapping is wanted"},
		"no version":      {"name: x\n", "does not say `version: 1`"},
		"later version":   {"version: 2\n", "box.yaml:1:10: version 2 is not known"},
		"empty":           {" \n", "box.yaml: the file is empty"},
		"two documents":   {"version: 1\n---\nversion: 1\n", "2 documents"},
		"not text":        {"version: 1\nname: \xff\n", "not UTF-8"},
		"alias":           {"version: 1\nname: &a x\nimage: *a\n", "anchor or alias"},
		"tab":             {"version: 1\nrisk:\n\tcode: agent\n", "box.yaml:3:"},
		"huge":            {strings.Repeat("#", 1<<20+1), "over 1048576 bytes"},
		"a list at top":   {"- version: 1\n", "here a mapping is wanted, not a list"},
		"negative time":   {"version: 1\nlimits: {time: -1m}\n", `duration "-1m"`},
		"number for word": {"version: 1\nwall: 3\n", `wall "3" is not one of`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := boxfile.Read("box.yaml", strings.NewReader(c.in))
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want it to hold %q", err, c.want)
			}
		})
	}
}

func FuzzRead(f *testing.F) {
	f.Add(example)
	f.Add("version: 1\nlimits: {time: -1m}\n")
	f.Fuzz(func(t *testing.T, in string) {
		if _, err := boxfile.Read("box.yaml", strings.NewReader(in)); err != nil && err.Error() == "" {
			t.Error("an error that says nothing")
		}
	})
}

// TestSchemaHasTheSameKeys compares the published schema with what is read: for
// every mapping, an unknown key's error lists what is known there.
func TestSchemaHasTheSameKeys(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile("../../docs/formats/box.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	var schema struct {
		Properties map[string]struct {
			Properties map[string]any `json:"properties"`
			Items      struct {
				Properties map[string]any `json:"properties"`
			} `json:"items"`
		} `json:"properties"`
	}
	if err := json.Unmarshal(data, &schema); err != nil {
		t.Fatal(err)
	}
	expect := func(file string, keys []string) {
		_, err := boxfile.Read("box.yaml", strings.NewReader(file))
		if want := "(known here: " + strings.Join(keys, ", ") + ")"; err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", file, err, want)
		}
	}
	expect("zzzzzzzzzz: 1\n", slices.Sorted(maps.Keys(schema.Properties)))
	for key, p := range schema.Properties {
		if len(p.Properties) > 0 {
			expect("version: 1\n"+key+": {zzzzzzzzzz: 1}\n", slices.Sorted(maps.Keys(p.Properties)))
		}
		if len(p.Items.Properties) > 0 {
			expect("version: 1\n"+key+": [{zzzzzzzzzz: 1}]\n", slices.Sorted(maps.Keys(p.Items.Properties)))
		}
	}
}
