package initramfs

import (
	"bytes"
	"debug/elf"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// loadOrder gives the files of modules and of all that they need, each after
// what it needs. It reads that from the modules themselves, as depmod(8) does.
// What is built into the kernel has no file.
func loadOrder(dir string, names []string) ([]string, error) {
	files, err := moduleFiles(dir)
	if err != nil {
		return nil, err
	}
	builtin, err := builtinModules(dir)
	if err != nil {
		return nil, err
	}
	o := &order{files: files, builtin: builtin, seen: map[string]bool{}}
	for _, name := range names {
		if err := o.add(name); err != nil {
			return nil, fmt.Errorf("the kernel module %s: %w", name, err)
		}
	}
	return o.list, nil
}

// order collects modules.
type order struct {
	files   map[string]string // by name
	builtin map[string]bool
	seen    map[string]bool
	list    []string
}

func (o *order) add(name string) error {
	if o.seen[name] || o.builtin[name] {
		return nil
	}
	o.seen[name] = true
	path, ok := o.files[name]
	if !ok {
		return fmt.Errorf("the kernel does not have %s: %w", name, fs.ErrNotExist)
	}
	depends, err := dependencies(path)
	if err != nil {
		return err
	}
	for _, d := range depends {
		if err := o.add(d); err != nil {
			return err
		}
	}
	o.list = append(o.list, path)
	return nil
}

// moduleName is what a file's module is called: the kernel has no hyphens.
func moduleName(file string) string {
	return strings.ReplaceAll(strings.TrimSuffix(filepath.Base(file), ".ko"), "-", "_")
}

// moduleFiles finds the modules below a folder.
func moduleFiles(dir string) (map[string]string, error) {
	files := map[string]string{}
	err := filepath.WalkDir(filepath.Join(dir, "kernel"), func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() && filepath.Ext(path) == ".ko" {
			files[moduleName(path)] = path
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("looking for kernel modules: %w", err)
	}
	return files, nil
}

// builtinModules reads which modules are part of the kernel itself.
func builtinModules(dir string) (map[string]bool, error) {
	text, err := os.ReadFile(filepath.Join(dir, "modules.builtin"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading which modules are built in: %w", err)
	}
	builtin := map[string]bool{}
	for line := range strings.Lines(string(text)) {
		builtin[moduleName(strings.TrimSpace(line))] = true
	}
	return builtin, nil
}

// dependencies reads what a module needs from its section .modinfo, in which
// strings end with a zero byte: "depends=a,b".
func dependencies(path string) ([]string, error) {
	f, err := elf.Open(path)
	if err != nil {
		return nil, fmt.Errorf("reading a module: %w", err)
	}
	defer f.Close()
	section := f.Section(".modinfo")
	if section == nil {
		return nil, fmt.Errorf("%q is no kernel module", path)
	}
	info, err := section.Data()
	if err != nil {
		return nil, fmt.Errorf("reading %q: %w", path, err)
	}
	for text := range bytes.SplitSeq(info, []byte{0}) {
		if list, ok := strings.CutPrefix(string(text), "depends="); ok && list != "" {
			return strings.Split(list, ","), nil
		}
	}
	return nil, nil
}
