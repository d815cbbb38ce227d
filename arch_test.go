package proofbox_test

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// layer is what one package may import beside the standard library. It is
// meant: a package that is not in the table fails the test.
type layer struct {
	ours   []string // packages of this module, without its name; "." is the root
	theirs []string // other modules' packages, by their modules
	tests  []string // packages of this module that only its tests import
	why    string
}

// The modules that packages may build on.
const (
	sys     = "golang.org/x/sys"
	net     = "golang.org/x/net"
	mod     = "golang.org/x/mod"
	term    = "golang.org/x/term"
	sync    = "golang.org/x/sync"
	yamux   = "github.com/hashicorp/yamux"
	dsse    = "github.com/secure-systems-lab/go-securesystemslib"
	yaml    = "github.com/goccy/go-yaml"
	oci     = "github.com/opencontainers/runtime-spec"
	images  = "github.com/google/go-containerregistry"
	ignore  = "github.com/go-git/go-git/v5"
	differ  = "github.com/aymanbagabas/go-udiff"
	patches = "github.com/bluekeyes/go-gitdiff"
	tui     = "charm.land/bubbletea/v2"
	columns = "github.com/charmbracelet/x/ansi"
	syntax  = "github.com/alecthomas/chroma/v2"
	cobra   = "github.com/spf13/cobra"
	pflag   = "github.com/spf13/pflag"
	unicode = "golang.org/x/text"
	zstd    = "github.com/klauspost/compress"
	phones  = "github.com/nyaruka/phonenumbers"
	leaks   = "github.com/zricethezav/gitleaks/v8"
	toml    = "github.com/pelletier/go-toml/v2"
	sqlite  = "modernc.org/sqlite"
	server  = "github.com/jackc/pgx/v5"
	locks   = "github.com/landlock-lsm/go-landlock"
	parquet = "github.com/parquet-go/parquet-go"
	lz4     = "github.com/pierrec/lz4/v4"
	pdf     = "github.com/ledongthuc/pdf"
	tokens  = "github.com/tiktoken-go/tokenizer"
)

// testTools are the modules that any test may use.
var testTools = []string{
	"github.com/google/go-cmp", "pgregory.net/rapid", "github.com/rogpeppe/go-internal", sys,
	"go.opentelemetry.io/collector/pdata", "github.com/prometheus/client_golang", "github.com/prometheus/common",
	"github.com/anishathalye/porcupine", "github.com/openai/openai-go/v3", "github.com/anthropics/anthropic-sdk-go",
}

// layers is the house, from the ground up. ARCHITECTURE.md draws it.
var layers = map[string]layer{
	".": {tests: []string{"internal/boxfile"}, why: "the vocabulary is plain data that everything may speak"},

	// the ground
	"internal/policy":    {ours: []string{"."}, theirs: []string{net}, why: "decisions are a pure function of risk and host"},
	"internal/audit":     {ours: []string{"."}, theirs: []string{mod, dsse, sys}, why: "the record trusts nothing but well-known cryptography"},
	"internal/boxfile":   {ours: []string{"."}, theirs: []string{yaml}, why: "reading a declaration decides nothing"},
	"internal/terminal":  {ours: []string{"."}, theirs: []string{unicode, term}, why: "escaping knows bytes, not boxes"},
	"internal/hazard":    {ours: []string{"."}, theirs: []string{unicode}, why: "what a change would run is a question of its path and bytes; pure"},
	"internal/syntax":    {ours: []string{"."}, why: "the screen asks a program about text, and does not read it"},
	"internal/debian":    {theirs: []string{sys}, tests: []string{"internal/box/boxtest"}, why: "making a base needs apt and a disk, and no box"},
	"internal/telemetry": {why: "the forms of others, whatever goes on"},
	"internal/attach":    {ours: []string{"."}, theirs: []string{yamux}, why: "client and api share the wire, not each other"},

	// the nouns
	"internal/door":            {ours: []string{"."}, theirs: []string{yamux, sys}, why: "the protocol, and the host's end"},
	"internal/door/inside":     {ours: []string{".", "internal/door"}, theirs: []string{yamux, sys}, why: "the box's end is linked into process 1, which stays tiny"},
	"internal/gateway":         {ours: []string{".", "internal/policy"}, why: "what leaves a box is decided by name, whoever carries it here"},
	"internal/model":           {ours: []string{"."}, theirs: []string{yaml, tokens}, why: "a call to a model is held and settled by a purse, whoever keeps the money"},
	"internal/recording":       {ours: []string{".", "internal/telemetry"}, why: "what was said is read and written without knowing who said it"},
	"internal/spend":           {ours: []string{"."}, theirs: []string{sqlite, server}, tests: []string{"internal/spend/spendtest"}, why: "caps are one transaction, whatever the money is for"},
	"internal/spend/spendtest": {why: "a server is started without knowing what for"},
	"internal/image":           {ours: []string{".", "internal/audit", "internal/debian"}, theirs: []string{images, sys, zstd}, why: "what a box boots from is data for the jail"},
	"internal/workspace":       {ours: []string{".", "internal/audit", "internal/hazard", "internal/policy"}, theirs: []string{differ, patches, ignore, sys, sync}, why: "changes are computed from bytes, whatever wall they came through"},
	"internal/repository":      {theirs: []string{ignore, sys}, why: "a commit is made without knowing where its files are from"},
	"internal/contents":        {ours: []string{".", "internal/audit", "internal/contents/tree"}, theirs: []string{mod, sys, sync}, why: "what data is, is shown without knowing who will see it"},
	"internal/box":             {ours: []string{".", "internal/audit", "internal/box/cgroup", "internal/box/harvest", "internal/box/jail", "internal/door", "internal/policy"}, theirs: []string{sys, sync}, tests: []string{"internal/box/boxtest", "internal/box/oci", "internal/image"}, why: "a box's life knows the jail and the door, and no runtime"},
	"internal/box/cgroup":      {ours: []string{"."}, theirs: []string{sys}, why: "one host facility"},
	"internal/box/jail":        {ours: []string{"."}, theirs: []string{sys}, why: "the plan that cmd/proofbox-jail carries out stays small enough to read"},
	"internal/cell":            {ours: []string{"internal/box/seccomp"}, theirs: []string{locks, sys}, why: "what reads hostile data shuts itself in, by one way"},
	"internal/box/seccomp":     {theirs: []string{oci, sys, net}, why: "the profile is data, or a program for the kernel"},
	"internal/box/boxtest":     {ours: []string{".", "internal/audit", "internal/box", "internal/box/cgroup", "internal/box/jail", "internal/door", "internal/image"}, theirs: []string{sys}, why: "the conformance suite runs any runtime"},
	"internal/box/posture":     {ours: []string{".", "internal/box/jail"}, why: "what the host's /proc says of a process, whatever wall it is behind"},
	"internal/box/oci":         {ours: []string{".", "internal/audit", "internal/box", "internal/box/jail", "internal/box/posture", "internal/box/proc", "internal/box/seccomp"}, theirs: []string{oci, sys}, tests: []string{"internal/box/boxtest", "internal/box/cgroup", "internal/door"}, why: "an adapter implements box.Runtime and is known to the daemon alone"},
	"internal/box/microvm":     {ours: []string{".", "internal/audit", "internal/box", "internal/box/initramfs", "internal/box/jail", "internal/box/posture", "internal/box/seccomp"}, theirs: []string{sys}, tests: []string{"internal/box/boxtest", "internal/debian", "internal/door"}, why: "as internal/box/oci"},

	// who has written what
	"internal/box/provenance": {ours: []string{".", "internal/box/posture"}, theirs: []string{sys}, why: "who wrote is the kernel's word, and knows no box but by its process 1"},

	// the trial of walls
	"internal/breakout":       {ours: []string{".", "internal/audit", "internal/box", "internal/breakout/order", "internal/terminal"}, theirs: []string{sys, sync}, why: "attacks and oracles know boxes by an interface that the daemon fills"},
	"internal/breakout/order": {why: "what a trial and its attack program say to each other; the program links nothing else"},

	// what is in data
	"internal/contents/tag":   {why: "what made by us means is one definition, which who makes and who checks may both know"},
	"internal/contents/mint":  {ours: []string{"internal/contents/tag"}, tests: []string{"internal/contents/scan"}, why: "what makes values knows nothing of what checks them"},
	"internal/contents/mask":  {ours: []string{".", "internal/contents/mint", "internal/contents/tag", "internal/contents/tree"}, tests: []string{"internal/contents/scan"}, why: "what replaces values is told where they are, and proves by itself that none is left"},
	"internal/contents/scan":  {ours: []string{".", "internal/contents/names", "internal/contents/tag", "internal/contents/tree"}, theirs: []string{leaks, toml, phones, unicode, sqlite, parquet, lz4, zstd, pdf}, why: "what looks for identifiers shares nothing with what makes them"},
	"internal/contents/mess":  {ours: []string{"."}, tests: []string{"internal/contents/scan", "internal/contents/synth"}, why: "how dirty data is, is a question of values, wherever they are read from"},
	"internal/contents/names": {why: "what is learned from texts depends on nothing but words"},
	"internal/contents/plant": {ours: []string{"internal/contents/tree"}, why: "what tries the scan has values of its own"},
	"internal/contents/synth": {ours: []string{"."}, theirs: []string{yaml}, tests: []string{"internal/contents/scan"}, why: "what makes data knows nothing of what checks it"},
	"internal/contents/tree":  {theirs: []string{sys}, why: "a data set's files are read one way"},

	// a guest with a kernel of its own
	"internal/box/harvest":   {ours: []string{"internal/door"}, theirs: []string{sys}, tests: []string{"internal/door/guest"}, why: "what a guest sends is taken in without knowing the guest"},
	"internal/box/initramfs": {ours: []string{"internal/door/guest"}, theirs: []string{sys}, why: "what a guest starts with is files and their names"},
	"internal/box/proc":      {why: "two lists that every wall has"},
	"internal/door/guest":    {ours: []string{".", "internal/door", "internal/door/inside", "internal/box/proc"}, theirs: []string{yamux, sys}, tests: []string{"internal/box/harvest", "internal/box/initramfs", "internal/box/seccomp", "internal/workspace"}, why: "the guest's end is linked into process 1, too"},

	// the surface
	"internal/api":    {ours: []string{".", "internal/attach"}, theirs: []string{yamux}, why: "handlers over interfaces that they declare"},
	"internal/daemon": {ours: []string{".", "internal/api", "internal/attach", "internal/audit", "internal/box", "internal/box/cgroup", "internal/box/jail", "internal/box/microvm", "internal/box/oci", "internal/box/provenance", "internal/box/seccomp", "internal/breakout", "internal/contents", "internal/debian", "internal/door", "internal/gateway", "internal/image", "internal/model", "internal/policy", "internal/recording", "internal/repository", "internal/spend", "internal/telemetry", "internal/terminal", "internal/workspace"}, theirs: []string{sys, sync}, tests: []string{"internal/box/boxtest", "internal/spend/spendtest", "client"}, why: "it wires everything, and nothing else does"},
	"client":          {ours: []string{".", "internal/api", "internal/attach", "internal/daemon"}, theirs: []string{yamux}, why: "the verbs, in the api's words, over a connection; local.go alone knows that a daemon may be in the same process"},
	"internal/cli":    {ours: []string{".", "client", "internal/boxfile", "internal/hazard", "internal/recording", "internal/review", "internal/syntax", "internal/terminal"}, theirs: []string{tui, cobra, pflag, term, sys}, tests: []string{"internal/api", "internal/attach", "internal/spend/spendtest"}, why: "every command tests the client and the api"},
	"internal/review": {ours: []string{".", "internal/hazard", "internal/syntax", "internal/terminal"}, theirs: []string{tui, columns}, why: "the screen knows a run by an interface that the command line fills"},
	"internal/bench":  {ours: []string{".", "client", "internal/box", "internal/box/jail", "internal/box/microvm", "internal/box/oci", "internal/box/seccomp", "internal/door", "internal/gateway", "internal/model", "internal/spend", "internal/spend/spendtest"}, theirs: []string{oci, sys}, why: "it measures what a user meets, beside the bare runtime with the same specification"},

	// the programs
	"cmd/proofbox":          {ours: []string{"internal/cli"}, why: "main is one line"},
	"cmd/proofbox-init":     {ours: []string{"internal/door/guest", "internal/door/inside"}, theirs: []string{sys}, why: "process 1 of every box"},
	"cmd/proofbox-attack":   {ours: []string{"internal/breakout/order"}, theirs: []string{sys}, why: "what attacks knows nothing of what it attacks"},
	"cmd/proofbox-syntax":   {ours: []string{".", "internal/cell", "internal/syntax"}, theirs: []string{syntax}, why: "the rules of all languages, and hostile text, are in no other program"},
	"cmd/proofbox-contents": {ours: []string{".", "internal/cell", "internal/contents", "internal/contents/mask", "internal/contents/mess", "internal/contents/names", "internal/contents/plant", "internal/contents/scan", "internal/contents/synth", "internal/contents/tag", "internal/contents/tree"}, theirs: []string{locks, sys}, why: "what reads hostile data, and its large tables, are in no other program"},
	"cmd/proofbox-jail":     {ours: []string{"internal/box/jail"}, theirs: []string{sys}, why: "the one program that meets the host's mounts"},
}

// goPackage is what `go list` says of a package.
type goPackage struct {
	ImportPath, Dir, Name, Doc         string
	GoFiles                            []string
	Imports, TestImports, XTestImports []string
}

// short is the package's name in the table.
func (p goPackage) short() string {
	if p.ImportPath == "proofbox" {
		return "."
	}
	return strings.TrimPrefix(p.ImportPath, "proofbox/")
}

// goPackages asks go for the packages of this module.
func goPackages(t *testing.T) []goPackage {
	t.Helper()
	cmd := exec.Command("go", "list", "-e", "-json=ImportPath,Dir,Name,Doc,GoFiles,Imports,TestImports,XTestImports", "./...")
	var problem strings.Builder
	cmd.Stderr = &problem
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("listing packages: %v\n%s", err, &problem)
	}
	var list []goPackage
	for d := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p goPackage
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			return list
		} else if err != nil {
			t.Fatalf("reading the list of packages: %v", err)
		}
		list = append(list, p)
	}
}

// TestLayers holds every import against the table.
func TestLayers(t *testing.T) {
	t.Parallel()
	for _, p := range goPackages(t) {
		l, ok := layers[p.short()]
		if !ok {
			t.Errorf("%s is not in the table of layers; say there what it may import, and why", p.ImportPath)
			continue
		}
		for _, path := range p.Imports {
			if !l.allows(path) {
				t.Errorf("%s imports %s, which its layer does not: %s", p.ImportPath, path, l.why)
			}
		}
		for _, path := range slices.Concat(p.TestImports, p.XTestImports) {
			own := path == p.ImportPath
			if !own && !l.allows(path) && !slices.Contains(l.tests, strings.TrimPrefix(path, "proofbox/")) && !among(path, testTools) {
				t.Errorf("tests of %s import %s, which its layer does not: %s", p.ImportPath, path, l.why)
			}
		}
	}
}

func (l layer) allows(path string) bool {
	switch {
	case path == "proofbox":
		return slices.Contains(l.ours, ".")
	case strings.HasPrefix(path, "proofbox/"):
		return slices.Contains(l.ours, strings.TrimPrefix(path, "proofbox/"))
	default:
		first, _, _ := strings.Cut(path, "/")
		return !strings.Contains(first, ".") || among(path, l.theirs)
	}
}

// among says whether a package belongs to one of the modules.
func among(path string, modules []string) bool {
	return slices.ContainsFunc(modules, func(m string) bool { return path == m || strings.HasPrefix(path, m+"/") })
}

// TestLayersHold holds the table itself against the rules that it stands for,
// so that a line in it cannot give them up unseen.
func TestLayersHold(t *testing.T) {
	t.Parallel()
	ground := []string{"internal/policy", "internal/audit", "internal/boxfile", "internal/terminal", "internal/hazard", "internal/debian", "internal/attach", "internal/syntax"}
	nouns := []string{"internal/box", "internal/contents", "internal/door", "internal/gateway", "internal/image", "internal/model", "internal/spend", "internal/workspace"}
	adapters := []string{"internal/box/oci", "internal/box/microvm"}
	importers := func(target string) (names []string) {
		for name, l := range layers {
			if slices.Contains(l.ours, target) {
				names = append(names, name)
			}
		}
		slices.Sort(names)
		return names
	}
	for _, name := range ground {
		if extra := slices.DeleteFunc(slices.Clone(layers[name].ours), func(s string) bool { return s == "." }); len(extra) > 0 {
			t.Errorf("%s is on the ground and may import %v", name, extra)
		}
	}
	for _, name := range nouns {
		for _, other := range nouns {
			if slices.Contains(layers[name].ours, other) && (name != "internal/box" || other != "internal/door") {
				t.Errorf("the noun %s may import its sibling %s", name, other)
			}
		}
	}
	for _, name := range adapters {
		got := slices.DeleteFunc(importers(name), func(s string) bool { return s == "internal/bench" })
		if len(got) > 0 && !slices.Equal(got, []string{"internal/daemon"}) {
			t.Errorf("the adapter %s may be imported by %v", name, got)
		}
	}
	if got := importers("internal/daemon"); !slices.Equal(got, []string{"client"}) {
		t.Errorf("internal/daemon may be imported by %v", got)
	}
	for name, l := range layers {
		if l.why == "" {
			t.Errorf("%s has a layer without a reason", name)
		}
		for _, o := range l.ours {
			if _, ok := layers[o]; !ok || strings.HasPrefix(o, "cmd/") {
				t.Errorf("%s may import %s, which is a program or not in the table", name, o)
			}
		}
	}
	if len(layers["."].ours)+len(layers["."].theirs) > 0 {
		t.Error("the root package may import more than the standard library")
	}
}
