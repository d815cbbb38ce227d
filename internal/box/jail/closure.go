package jail

import (
	"debug/elf"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// libraryPath lists where the libraries of the host's programs lie; see
// ld.so(8). What is configured beyond that is not looked at.
var libraryPath = []string{
	"/lib/x86_64-linux-gnu", "/usr/lib/x86_64-linux-gnu", "/lib64", "/usr/lib64", "/lib", "/usr/lib",
}

// LibraryEnv is the variable with which a program finds the libraries that
// [Closure] has put into a jail.
const LibraryEnv = "LD_LIBRARY_PATH=/lib"

// Closure gives the steps that put a program of the host into a jail, with
// what it is linked to: the program and its interpreter at their own paths, the
// libraries in /lib. It reads the files and runs nothing. A program that is
// linked statically is its own closure.
func Closure(program string) ([]Step, error) {
	real, err := filepath.EvalSymlinks(program)
	if err != nil {
		return nil, fmt.Errorf("finding the program %q: %w", program, err)
	}
	steps := []Step{{Bind: &Bind{Source: real, Target: program}}}
	needed, interpreter, err := linked(real)
	if err != nil {
		return nil, err
	}
	if interpreter != "" {
		steps = append(steps, Step{Bind: &Bind{Source: interpreter, Target: interpreter}})
	}
	found := map[string]bool{filepath.Base(interpreter): true}
	for len(needed) > 0 {
		name := needed[0]
		needed = needed[1:]
		if found[name] {
			continue
		}
		found[name] = true
		path, err := library(name)
		if err != nil {
			return nil, fmt.Errorf("finding what %q is linked to: %w", program, err)
		}
		more, _, err := linked(path)
		if err != nil {
			return nil, err
		}
		needed = append(needed, more...)
		steps = append(steps, Step{Bind: &Bind{Source: path, Target: "/lib/" + name}})
	}
	return steps, nil
}

// linked reads which libraries an ELF file needs, and its interpreter.
func linked(path string) (needed []string, interpreter string, err error) {
	f, err := elf.Open(path)
	if err != nil {
		return nil, "", fmt.Errorf("reading the program %q: %w", path, err)
	}
	defer f.Close()
	for _, p := range f.Progs {
		if p.Type != elf.PT_INTERP || p.Filesz > 4096 {
			continue
		}
		text := make([]byte, p.Filesz)
		if _, err := p.ReadAt(text, 0); err != nil {
			return nil, "", fmt.Errorf("reading the program %q: %w", path, err)
		}
		interpreter = string(text[:max(0, len(text)-1)]) // a NUL ends it
	}
	needed, err = f.ImportedLibraries()
	if err != nil {
		return nil, "", fmt.Errorf("reading the program %q: %w", path, err)
	}
	return needed, interpreter, nil
}

// library finds a library of the host.
func library(name string) (string, error) {
	for _, dir := range libraryPath {
		path, err := filepath.EvalSymlinks(filepath.Join(dir, name))
		if err == nil {
			return path, nil
		}
	}
	return "", &fs.PathError{Op: "finding the library", Path: name, Err: os.ErrNotExist}
}
