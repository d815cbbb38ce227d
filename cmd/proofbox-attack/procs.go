package main

var procs = map[string]attack{}
