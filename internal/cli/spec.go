package cli

import (
	"fmt"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"proofbox"
	"proofbox/internal/boxfile"
)

// specFlags are the flags that declare a box, for run and plan.
type specFlags struct {
	file, name, wall, code, workspace, image string
	expose, env, data, allow, hide           []string
	budget, upload                           string
	memory, disk, time, output, cpus, pids   string
}

func (s *specFlags) add(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVarP(&s.file, "file", "f", "", "read the box from a box `FILE`; other flags override it, and lists are added to it")
	f.StringVar(&s.name, "name", "", "give the run a `NAME`, by which other commands know it")
	f.StringVar(&s.wall, "wall", "", "`WALL` to use: auto, container, gvisor or microvm (default auto)")
	f.StringVar(&s.code, "code", "", "how far the `CODE` is trusted: reviewed, agent or generated (default agent)")
	f.StringVar(&s.workspace, "workspace", "", "`DIR` to work on a copy of, or none (default the current folder)")
	f.StringVar(&s.image, "image", "", "what to boot from: host, base, dir:PATH or oci:PATH[:TAG] (default host, behind the wall microvm base)")
	f.StringArrayVar(&s.expose, "expose", nil, "show a folder or file of the host, read-only, at the same `PATH`")
	f.StringArrayVar(&s.hide, "hide", nil, "hide what matches a .gitignore `PATTERN` from the box")
	f.StringArrayVar(&s.env, "env", nil, "set a variable, `K=V`")
	f.StringArrayVar(&s.data, "data", nil, "give the box sealed data of a class, `PATH=CLASS`, at /data/NAME")
	f.StringArrayVar(&s.allow, "allow", nil, "allow connections to `HOST[:PORT]`, by name; the port is 443 unless it says another")
	f.StringVar(&s.upload, "upload", "", "what may be sent to each allowed host, `SIZE` (default "+proofbox.DefaultUpload.String()+")")
	f.StringVar(&s.budget, "budget", "", "cap what the run may cost, in `USD`")
	f.StringVar(&s.memory, "memory", "", "memory limit, `SIZE` such as 512MiB (default "+proofbox.DefaultLimits.Memory.String()+")")
	f.StringVar(&s.cpus, "cpus", "", "processors, a `NUMBER` (default 1)")
	f.StringVar(&s.pids, "pids", "", "tasks, a `NUMBER` (default 256)")
	f.StringVar(&s.disk, "disk", "", "what may be written, `SIZE` (default "+proofbox.DefaultLimits.Disk.String()+")")
	f.StringVar(&s.time, "time", "", "time limit, a `DURATION` (default "+proofbox.DefaultLimits.Time.String()+")")
	f.StringVar(&s.output, "output", "", "output limit, `SIZE` (default "+proofbox.DefaultLimits.Output.String()+")")
}

// spec puts the box file and the flags together.
func (s *specFlags) spec(cmd *cobra.Command) (proofbox.Spec, error) {
	spec, err := s.base()
	if err != nil {
		return spec, err
	}
	for _, set := range []func(*proofbox.Spec) error{s.words, s.lists, s.limits} {
		if err := set(&spec); err != nil {
			return spec, usage(cmd, err)
		}
	}
	// Paths are meant where the command was typed, whoever will read the spec.
	if spec.Workspace.Original != "none" {
		if spec.Workspace.Original, err = filepath.Abs(spec.Workspace.Original); err != nil {
			return spec, fmt.Errorf("finding the workspace: %w", err)
		}
	}
	return spec, s.absolute(&spec)
}

func (s *specFlags) base() (proofbox.Spec, error) {
	if s.file == "" {
		return proofbox.Spec{}, nil
	}
	return boxfile.ReadFile(s.file)
}

func (s *specFlags) words(spec *proofbox.Spec) (err error) {
	if s.name != "" {
		spec.Name = s.name
	}
	if s.workspace != "" {
		spec.Workspace.Original = s.workspace
	}
	if s.image != "" {
		spec.Image = s.image
	}
	if s.wall != "" {
		if spec.Wall, err = proofbox.ParseWall(s.wall); err != nil {
			return err
		}
	}
	if s.code != "" {
		spec.Risk.Code, err = proofbox.ParseCode(s.code)
	}
	return err
}

func (s *specFlags) lists(spec *proofbox.Spec) error {
	spec.Expose = append(spec.Expose, s.expose...)
	spec.Workspace.Hide = append(spec.Workspace.Hide, s.hide...)
	spec.Egress.Allow = append(spec.Egress.Allow, s.allow...)
	if s.budget != "" {
		spec.Budget = &proofbox.Budget{USD: s.budget}
	}
	for _, e := range s.env {
		name, value, ok := strings.Cut(e, "=")
		if !ok || name == "" {
			return fmt.Errorf("--env %q is not NAME=VALUE", e)
		}
		if spec.Env == nil {
			spec.Env = map[string]string{}
		}
		spec.Env[name] = value
	}
	for _, d := range s.data {
		path, word, ok := strings.Cut(d, "=")
		class, err := proofbox.ParseClass(word)
		if !ok || path == "" || err != nil {
			return fmt.Errorf("--data %q is not PATH=CLASS with a class of none, synthetic, masked or real", d)
		}
		spec.Contents = append(spec.Contents, proofbox.Content{Path: path, Class: class})
	}
	return nil
}

func (s *specFlags) limits(spec *proofbox.Spec) error {
	for _, l := range []struct {
		flag, text string
		to         *proofbox.Size
	}{{"memory", s.memory, &spec.Limits.Memory}, {"disk", s.disk, &spec.Limits.Disk}, {"output", s.output, &spec.Limits.Output}, {"upload", s.upload, &spec.Egress.Upload}} {
		if l.text == "" {
			continue
		}
		size, err := proofbox.ParseLimit(l.text)
		if err != nil {
			return fmt.Errorf("--%s: %w", l.flag, err)
		}
		*l.to = size
	}
	if s.time != "" {
		limit, err := proofbox.ParseDuration(s.time)
		if err != nil {
			return fmt.Errorf("--time: %w", err)
		}
		spec.Limits.Time = limit
	}
	return s.counts(spec)
}

// counts reads the limits that are plain numbers.
func (s *specFlags) counts(spec *proofbox.Spec) error {
	if s.cpus != "" {
		n, err := strconv.ParseFloat(s.cpus, 64)
		if err != nil || !(n > 0) {
			return fmt.Errorf("--cpus %q is not a number above 0 (0.5, say)", s.cpus)
		}
		spec.Limits.CPUs = n
	}
	if s.pids != "" {
		n, err := strconv.Atoi(s.pids)
		if err != nil || n <= 0 {
			return fmt.Errorf("--pids %q is not a whole number above 0", s.pids)
		}
		spec.Limits.Pids = n
	}
	return nil
}

// absolute makes the paths that flags gave absolute.
func (s *specFlags) absolute(spec *proofbox.Spec) error {
	var err error
	for i := range spec.Expose {
		if spec.Expose[i], err = filepath.Abs(spec.Expose[i]); err != nil {
			return fmt.Errorf("finding an exposed path: %w", err)
		}
	}
	for i := range spec.Contents {
		if spec.Contents[i].Path, err = filepath.Abs(spec.Contents[i].Path); err != nil {
			return fmt.Errorf("finding the data: %w", err)
		}
	}
	for _, kind := range []string{"dir:", "oci:"} {
		if path, ok := strings.CutPrefix(spec.Image, kind); ok {
			full, err := filepath.Abs(path)
			if err != nil {
				return fmt.Errorf("finding the image: %w", err)
			}
			spec.Image = kind + full
		}
	}
	return nil
}
