package proofbox

import (
	"fmt"
	"strings"
)

// Code says how far the code that will run in a box is trusted.
type Code string

const (
	// Reviewed code was read by a person before it runs.
	Reviewed Code = "reviewed"
	// Agent code is a known tool steered by a model.
	Agent Code = "agent"
	// Generated code came out of a model and nobody has read it.
	Generated Code = "generated"
)

// Codes lists every valid [Code], the most trusted first.
var Codes = []Code{Reviewed, Agent, Generated}

// Class says what data is, and what may therefore be claimed about it.
// Data that nobody declared is treated as [Real].
type Class string

const (
	// None means that the box holds no data of this kind at all.
	None Class = "none"
	// Synthetic data was made up: every identifier in it is reserved or tagged.
	Synthetic Class = "synthetic"
	// Masked data was real and has had every real value replaced.
	Masked Class = "masked"
	// Real data is about real people or real business.
	Real Class = "real"
)

// Classes lists every valid [Class], the least sensitive first.
var Classes = []Class{None, Synthetic, Masked, Real}

// Wall names an isolation technology.
type Wall string

const (
	// AutoWall leaves the choice to policy; it is never the wall of a run.
	AutoWall Wall = "auto"
	// Container is an OCI runtime on the host's own kernel.
	Container Wall = "container"
	// Gvisor is a kernel in user space between the box and the host's kernel.
	Gvisor Wall = "gvisor"
	// MicroVM is a virtual machine with a kernel of its own.
	MicroVM Wall = "microvm"
)

// Walls lists the real walls, the weakest first.
var Walls = []Wall{Container, Gvisor, MicroVM}

// Strength orders walls: a larger number is a stronger wall. It panics on a
// wall that is not in [Walls], because strength is only ever asked of a
// decided wall.
func (w Wall) Strength() int {
	for i, known := range Walls {
		if w == known {
			return i + 1
		}
	}
	panic(fmt.Sprintf("proofbox: strength of undecided wall %q", w))
}

// Risk is what can go wrong in a box, as its owner declares it.
type Risk struct {
	// Code is how far the code is trusted. Empty means [Agent].
	Code Code `json:"code" yaml:"code"`
	// Data is the most sensitive class of data in the box. Empty means that
	// it follows from the contents, and [None] where there are none.
	Data Class `json:"data" yaml:"data"`
	// Actions names what the job could do in the world ("payments",
	// "messages", "deletion" …), in the words of whoever declares them.
	Actions []string `json:"actions,omitempty" yaml:"actions"`
}

// ParseCode reads a [Code] as the command line and the box file spell it.
func ParseCode(s string) (Code, error) { return parseWord("code", s, Codes) }

// ParseClass reads a data [Class] as the command line and the box file spell it.
func ParseClass(s string) (Class, error) { return parseWord("data class", s, Classes) }

// ParseWall reads a [Wall]; "auto" and the empty string give [AutoWall].
func ParseWall(s string) (Wall, error) {
	if s == "" {
		return AutoWall, nil
	}
	return parseWord("wall", s, append([]Wall{AutoWall}, Walls...))
}

func parseWord[T ~string](what, s string, valid []T) (T, error) {
	words := make([]string, len(valid))
	for i, v := range valid {
		if T(s) == v {
			return v, nil
		}
		words[i] = string(v)
	}
	return "", fmt.Errorf("%s %q is not one of %s", what, s, strings.Join(words, ", "))
}
