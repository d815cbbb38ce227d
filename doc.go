// Package proofbox is the vocabulary of proofbox: the words that every other
// package speaks, and the documents that every reading command prints.
//
// A box is one sandbox, declared by a [Spec]. A [Risk] says what can go wrong
// in it; policy turns the risk into [Terms]: the wall, the limits and the
// openings the box gets, each with the rule that caused it. A [Run] is one
// execution in a box; it always ends torn down, and its record is what
// remains. A [Change] is one path in which the box's copy of the workspace
// differs from the original; a person keeps or discards it.
//
// The types here are plain data with a stable JSON form, described in
// docs/formats. They import the standard library only and do nothing: the
// packages below internal/ act on them, and the client package carries them
// between a caller and the part of proofbox that supervises the box.
package proofbox

// Version of proofbox.
const Version = "0.1.0"
