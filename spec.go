package proofbox

import "time"

// Spec declares a box, as a box file or the flags of a command do. It is a
// wish: policy turns it into [Terms] or refuses it.
type Spec struct {
	// Version of the box file; 1, or 0 where the spec came from flags alone.
	Version int    `json:"version,omitempty" yaml:"version"`
	Name    string `json:"name,omitempty" yaml:"name"`
	Risk    Risk   `json:"risk" yaml:"risk"`
	// Wall asks for a wall; empty or "auto" leaves it to policy.
	Wall Wall `json:"wall,omitempty" yaml:"wall"`
	// Accept lowers what policy demands, with a reason that is recorded.
	Accept *Acceptance `json:"accept,omitempty" yaml:"accept"`
	// Image is what the box boots from: "host", "base" (what `proofbox setup`
	// makes), "dir:PATH" or "oci:PATH[:TAG]". Empty means host, and behind the
	// wall microvm base.
	Image string `json:"image,omitempty" yaml:"image"`
	// Expose lists host folders or files that are readable in the box at the
	// same path.
	Expose    []string  `json:"expose,omitempty" yaml:"expose"`
	Workspace Workspace `json:"workspace" yaml:"workspace"`
	Contents  []Content `json:"contents,omitempty" yaml:"contents"`
	Egress    Egress    `json:"egress" yaml:"egress"`
	Secrets   []Secret  `json:"secrets,omitempty" yaml:"secrets"`
	Tools     []Tool    `json:"tools,omitempty" yaml:"tools"`
	Models    []Model   `json:"models,omitempty" yaml:"models"`
	// Record keeps every call to a model with its answer.
	Record bool    `json:"record,omitempty" yaml:"record"`
	Budget *Budget `json:"budget,omitempty" yaml:"budget"`
	Limits Limits  `json:"limits" yaml:"limits"`
	// Env is the environment of the command beside what the box itself sets.
	Env map[string]string `json:"env,omitempty" yaml:"env"`
}

// Acceptance is an owner's recorded consent to a wall weaker than the risk
// demands. Both fields are required.
type Acceptance struct {
	Wall    Wall   `json:"wall" yaml:"wall"`
	Because string `json:"because" yaml:"because"`
}

// Workspace names the folder whose copy the box may write.
type Workspace struct {
	// Original is the folder on the host; it is never written by the box.
	// Empty means the current folder; "none" means no workspace at all.
	Original string `json:"original,omitempty" yaml:"original"`
	// Hide lists patterns, in .gitignore syntax, of paths that do not exist
	// in the box.
	Hide []string `json:"hide,omitempty" yaml:"hide"`
}

// Content is a file or folder of declared data that is readable in the box.
type Content struct {
	Path  string `json:"path" yaml:"path"`
	At    string `json:"at,omitempty" yaml:"at"`
	Class Class  `json:"class" yaml:"class"`
}

// Egress lists where a box may connect to. Empty denies everything.
type Egress struct {
	// Allow lists HOST or HOST:PORT; HOST is a name, or "*." and a name.
	Allow []string `json:"allow,omitempty" yaml:"allow"`
	// Inspect lists where it may connect to and is looked at on the way.
	Inspect []Inspection `json:"inspect,omitempty" yaml:"inspect"`
	// Stage lists where requests that change something are held until a person
	// has them sent, in the form of Allow.
	Stage []string `json:"stage,omitempty" yaml:"stage"`
	// Upload bounds the bytes that may be sent to each of them; 0 means
	// [DefaultUpload].
	Upload Size `json:"upload,omitzero" yaml:"upload"`
}

// Inspection opens the connections to a destination: each request is recorded,
// and must be one of those that are listed.
type Inspection struct {
	// Host is HOST or HOST:PORT, as in [Egress.Allow].
	Host string `json:"host" yaml:"host"`
	// Methods are those of HTTP; empty for all.
	Methods []string `json:"methods,omitempty" yaml:"methods"`
	// Paths are whole paths, or beginnings that end with a "*"; empty for all.
	Paths []string `json:"paths,omitempty" yaml:"paths"`
}

// Secret is something that a box uses and never has. What is in its environment
// under the name is a placeholder, which the gateway puts the secret in the place
// of, in the headers of certain requests by HTTPS.
type Secret struct {
	// Name is the variable that has the secret in proofbox's own environment, and
	// the placeholder in the box's.
	Name string `json:"name" yaml:"name"`
	// Host is HOST or HOST:PORT, and one that the box may connect to. There is no
	// "*" in it.
	Host string `json:"host" yaml:"host"`
	// Methods and Paths are as in [Inspection]; no methods means GET and HEAD.
	Methods []string `json:"methods,omitempty" yaml:"methods"`
	Paths   []string `json:"paths,omitempty" yaml:"paths"`
}

// DefaultUpload is what a box may send to each allowed destination where its
// spec does not say.
const DefaultUpload Size = 64 << 20

// Tool puts a stand-in for a real service in the box.
type Tool struct {
	Mock string `json:"mock" yaml:"mock"`
	At   string `json:"at" yaml:"at"`
}

// Model names a language model that the box may call.
type Model struct {
	// Name is what the box and the provider call it.
	Name string `json:"name" yaml:"name"`
	// Provider is one of [Providers].
	Provider string `json:"provider" yaml:"provider"`
	// Cap refuses the box where no budget caps what it may spend.
	Cap bool `json:"cap,omitempty" yaml:"cap"`
	// Script is the file that a scripted model answers from.
	Script string `json:"script,omitempty" yaml:"script"`
	// Base is where a server is that speaks as the provider does, up to where its
	// paths begin ("http://localhost:11434/v1"); empty for the provider's own.
	Base string `json:"base,omitempty" yaml:"base"`
	// KeyFrom names the variable, in proofbox's own environment, that has the key
	// for Base; empty where it needs none.
	KeyFrom string `json:"key_from,omitempty" yaml:"key_from"`
	// Price may be left out where proofbox's table has it, and for a scripted
	// model, which then costs nothing.
	Price *Price `json:"price,omitempty" yaml:"price"`
	// MaxOutput is how many tokens the model answers with at most; 0 means
	// [DefaultMaxOutput]. It is written into requests that do not say.
	MaxOutput int `json:"max_output,omitempty" yaml:"max_output"`
}

// Providers are who a [Model] can be from: proofbox's own script, or a service
// whose key proofbox finds in its own environment (OPENAI_API_KEY,
// ANTHROPIC_API_KEY) and never gives to a box.
var Providers = []string{"scripted", "openai", "anthropic"}

// DefaultMaxOutput is a [Model]'s limit of output tokens where none is declared.
const DefaultMaxOutput = 16384

// Price is what a model costs.
type Price struct {
	Rates
	// Above are the rates of a whole call whose input is longer than that.
	Above *LongRates `json:"above,omitempty" yaml:"above"`
	// Source says where the price is from; empty for one that a box file gives.
	Source string `json:"source,omitempty" yaml:"-"`
}

// Rates are what a million tokens cost. Where one is zero it is not known, and
// what it is for is charged as input.
type Rates struct {
	Input      Money `json:"input" yaml:"input"`
	Output     Money `json:"output" yaml:"output"`
	CacheRead  Money `json:"cache_read,omitzero" yaml:"cache_read"`
	CacheWrite Money `json:"cache_write,omitzero" yaml:"cache_write"`
	// CacheWrite1h is for what is kept for an hour and not for minutes.
	CacheWrite1h Money `json:"cache_write_1h,omitzero" yaml:"cache_write_1h"`
}

// LongRates are for calls with more tokens of input than Tokens.
type LongRates struct {
	Tokens int `json:"tokens" yaml:"tokens"`
	Rates
}

// Budget caps what a run may cost, in decimal text ("5.00").
type Budget struct {
	USD string `json:"usd" yaml:"usd"`
}

// Limits bound what a box may use. Zero means proofbox's default, see
// [DefaultLimits].
type Limits struct {
	Memory Size     `json:"memory,omitzero" yaml:"memory"` // bytes of memory, all processes together
	CPUs   float64  `json:"cpus,omitzero" yaml:"cpus"`     // CPU seconds per second
	Pids   int      `json:"pids,omitzero" yaml:"pids"`     // tasks, as the kernel counts them: threads
	Disk   Size     `json:"disk,omitzero" yaml:"disk"`     // bytes written to the copy, /tmp and the home folder
	Time   Duration `json:"time,omitzero" yaml:"time"`     // wall clock of the command
	Output Size     `json:"output,omitzero" yaml:"output"` // bytes of standard output and error together
}

// DefaultLimits are the limits of a box that declares none.
var DefaultLimits = Limits{
	Memory: 512 << 20,
	CPUs:   1,
	Pids:   256,
	Disk:   1 << 30,
	Time:   Duration(10 * time.Minute),
	Output: 16 << 20,
}

// Or returns l with every zero field taken from d.
func (l Limits) Or(d Limits) Limits {
	l.Memory = or(l.Memory, d.Memory)
	l.CPUs = or(l.CPUs, d.CPUs)
	l.Pids = or(l.Pids, d.Pids)
	l.Disk = or(l.Disk, d.Disk)
	l.Time = or(l.Time, d.Time)
	l.Output = or(l.Output, d.Output)
	return l
}

func or[T comparable](v, d T) T {
	var zero T
	if v == zero {
		return d
	}
	return v
}
