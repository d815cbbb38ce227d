package proofbox

import (
	"fmt"
	"strings"
)

// Terms are what policy decided a box may do. Every enforcer takes its part.
type Terms struct {
	Wall Wall `json:"wall"`
	// Accelerator is how a microVM's processor is run: "kvm" or "tcg"; empty
	// for the other walls.
	Accelerator string `json:"accelerator,omitempty"`
	Limits      Limits `json:"limits"`
	// Egress lists where the box may connect to; everything else is denied.
	Egress []Destination `json:"egress,omitempty"`
	// Inspect lists those of them whose connections the gateway opens.
	Inspect []Inspected `json:"inspect,omitempty"`
	// Stage lists those whose requests are held where they change something.
	Stage []Destination `json:"stage,omitempty"`
	// Secrets lists what the gateway puts into which requests.
	Secrets []SecretUse `json:"secrets,omitempty"`
	// Upload is how many bytes may be sent to each of them.
	Upload Size `json:"upload,omitzero"`
	// Cap is what calls to models may cost, all together; nil where nothing
	// bounds it.
	Cap *Money `json:"cap,omitempty"`
	// Enforced says by which means each limit is enforced on this host, and
	// names what is weaker than its usual form. Keys are the names of the
	// fields of [Limits] in JSON.
	Enforced map[string]Enforcement `json:"enforced,omitempty"`
	// Certificate is the file of the certificate that the wall was chosen with;
	// empty where the risk demands none.
	Certificate string `json:"certificate,omitempty"`
	// Reasons gives every decision with the rule that caused it, in the order
	// in which they were taken.
	Reasons []Reason `json:"reasons"`
}

// Destination is where a box may connect to.
type Destination struct {
	// Host is a DNS name in lower case, or "*." and a name: one label more.
	Host string `json:"host"`
	Port int    `json:"port"`
}

func (d Destination) String() string { return fmt.Sprintf("%s:%d", d.Host, d.Port) }

// Inspected is a destination whose connections are opened, and which requests
// may pass.
type Inspected struct {
	Destination
	Methods []string `json:"methods,omitempty"` // in upper case; none for all
	Paths   []string `json:"paths,omitempty"`   // whole, or with a "*" at the end; none for all
}

// Covers says whether a destination, which names one host, is inspected by this.
func (i Inspected) Covers(to Destination) bool {
	_, parent, _ := strings.Cut(to.Host, ".")
	return i.Port == to.Port && (i.Host == to.Host || i.Host == "*."+parent)
}

// Text says which requests may pass.
func (i Inspected) Text() string {
	methods, paths := "every method", "all paths"
	if len(i.Methods) > 0 {
		methods = strings.Join(i.Methods, ", ")
	}
	if len(i.Paths) > 0 {
		paths = strings.Join(i.Paths, ", ")
	}
	return methods + " of " + paths
}

// SecretUse says for which requests a secret is meant.
type SecretUse struct {
	Name string `json:"name"`
	Inspected
}

// Enforcement says how one limit is enforced.
type Enforcement struct {
	By string `json:"by"` // "cgroup v2", "cgroup v1", "file system", "supervisor", "rlimit" …
	// Weaker says what the means does not guarantee; empty where it is exact.
	Weaker string `json:"weaker,omitempty"`
}

// Reason is one decision of policy and the rule behind it.
type Reason struct {
	Rule     string `json:"rule"`     // stable name: "generated-needs-microvm"
	Decision string `json:"decision"` // what was decided: "wall microvm"
	Because  string `json:"because"`  // in words
}

// Refusal is policy's no. It names the rule and what its owner can do.
type Refusal struct {
	Rule   string `json:"rule"`
	Reason string `json:"reason"`
	Repair string `json:"repair"`
}

func (r *Refusal) Error() string {
	return fmt.Sprintf("refused by rule %s: %s; %s", r.Rule, r.Reason, r.Repair)
}

// Plan is what a run would do and why, worked out without doing it.
type Plan struct {
	Spec      Spec      `json:"spec"` // complete: every default filled in
	Terms     Terms     `json:"terms"`
	Image     string    `json:"image"`     // what the image reference resolved to
	Mounts    []Mount   `json:"mounts"`    // everything of the host that the box can see
	Workspace *Freezing `json:"workspace"` // nil where the box has no workspace
	Command   []string  `json:"command"`
	User      string    `json:"user"` // whom the box's processes are to the host, in words
	// Warnings are what its owner should know and policy does not refuse.
	Warnings []string `json:"warnings,omitempty"`
}

// Mount is one piece of the host that a box can see.
type Mount struct {
	Source   string `json:"source"` // on the host
	Target   string `json:"target"` // in the box
	Writable bool   `json:"writable,omitempty"`
	Why      string `json:"why"` // "image", "exposed", "workspace copy" …
}

// Freezing says how the original is held still while a box works on its copy.
type Freezing struct {
	Original string `json:"original"`
	// Method is "reflink", "copy" or "overlay".
	Method string `json:"method"`
	Why    string `json:"why"`
	Files  int    `json:"files"` // entries of every kind
	Bytes  int64  `json:"bytes"` // apparent size of the regular files
	Hidden int    `json:"hidden"`
}
