package daemon

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"proofbox"
	"proofbox/internal/box"
	"proofbox/internal/box/jail"
	"proofbox/internal/gateway"
	"proofbox/internal/image"
	"proofbox/internal/model"
	"proofbox/internal/policy"
	"proofbox/internal/recording"
	"proofbox/internal/workspace"
)

// noWorkspace is how a spec says that the box gets no workspace.
const noWorkspace = "none"

// prepared is a plan with what was found out to make it.
type prepared struct {
	plan    proofbox.Plan
	runtime box.Runtime
	image   *image.Image
	expose  []image.Bind
	// recording is of a run's calls to models; nil where it is not recorded, or
	// has not begun.
	recording *recording.Writer
}

// Plan works out what a run of a spec would do, and why, without doing it. It
// answers a [proofbox.Refusal] where policy refuses.
func (d *Daemon) Plan(ctx context.Context, spec proofbox.Spec, command []string) (proofbox.Plan, error) {
	p, err := d.prepare(ctx, spec, command)
	if err != nil {
		return proofbox.Plan{}, err
	}
	for _, c := range p.plan.Spec.Contents {
		if _, err := d.contents.Verify(ctx, c.Path, c.Class, time.Now()); err != nil {
			return proofbox.Plan{}, err
		}
	}
	if p.plan.Workspace == nil {
		return p.plan, nil
	}
	freezing, err := workspace.Survey(ctx, d.freezeOptions(p.plan.Spec, ""))
	if err != nil {
		return proofbox.Plan{}, err
	}
	p.plan.Workspace = &freezing
	return p.plan, nil
}

// prepare decides everything about a run that does not take long; the
// workspace is named in the plan but not yet looked at.
func (d *Daemon) prepare(ctx context.Context, spec proofbox.Spec, command []string) (*prepared, error) {
	spec, err := complete(spec)
	if err != nil {
		return nil, err
	}
	spec.Models = priced(spec.Models)
	terms, err := d.decide(ctx, spec)
	if err != nil {
		return nil, err
	}
	spec.Limits, spec.Risk = terms.Limits, policy.Risk(spec)
	spec.Image = cmp.Or(spec.Image, defaultImage(terms.Wall))
	warnings, err := d.guard(&spec)
	if err != nil {
		return nil, err
	}
	p := &prepared{runtime: d.runtimes[terms.Wall]}
	if p.image, err = image.Resolve(ctx, spec.Image, filepath.Join(d.store.home, "cache")); err != nil {
		return nil, err
	}
	if p.expose, err = image.Expose(spec.Expose); err != nil {
		return nil, err
	}
	user, err := jail.BoxUser()
	if err != nil {
		return nil, err
	}
	p.plan = proofbox.Plan{
		Warnings: slices.Concat(warnings, p.image.Warnings),
		Spec:     spec, Terms: terms, Image: p.image.Name, Command: command, User: user,
		Mounts: mounts(p, spec),
	}
	if spec.Workspace.Original != noWorkspace {
		p.plan.Workspace = &proofbox.Freezing{Original: spec.Workspace.Original}
	}
	return p, nil
}

// defaultImage is what a box boots from where its spec does not say.
func defaultImage(wall proofbox.Wall) string {
	if wall == proofbox.MicroVM {
		return "base"
	}
	return "host"
}

// guard checks the workspace, and hides from the box the places in it where
// credentials are known to live.
func (d *Daemon) guard(spec *proofbox.Spec) (warnings []string, err error) {
	if spec.Workspace.Original == noWorkspace {
		return nil, nil
	}
	if err := d.freezeOptions(*spec, "").Check(); err != nil {
		return nil, err
	}
	secrets, err := image.SecretsBelow(spec.Workspace.Original)
	if err != nil || len(secrets) == 0 {
		return nil, err
	}
	hide := slices.Clone(spec.Workspace.Hide)
	for _, s := range secrets {
		hide = append(hide, workspace.Literal(s))
	}
	spec.Workspace.Hide = hide
	return []string{fmt.Sprintf("hidden from the box, because credentials are known to live there: %s", strings.Join(secrets, ", "))}, nil
}

// decide asks policy, with what this host can do.
func (d *Daemon) decide(ctx context.Context, spec proofbox.Spec) (proofbox.Terms, error) {
	return policy.Decide(spec, d.facts(ctx, policy.Risk(spec).Code))
}

// facts says what this host can do, as far as the decision about code needs it:
// looking for certificates takes the digests of large programs.
func (d *Daemon) facts(ctx context.Context, code proofbox.Code) policy.Host {
	host := policy.Host{Walls: map[proofbox.Wall]policy.WallState{}, Root: os.Geteuid() == 0}
	for _, wall := range proofbox.Walls {
		state := d.wallState(ctx, wall)
		if state.Available && code == proofbox.Generated {
			state.Certificate = d.certificate(ctx, wall)
		}
		host.Walls[wall] = state
	}
	return host
}

// wallState says whether a wall can be built here and how it would hold its
// limits.
func (d *Daemon) wallState(ctx context.Context, wall proofbox.Wall) policy.WallState {
	runtime, ok := d.runtimes[wall]
	if !ok {
		return policy.WallState{Why: "this build of proofbox does not have it yet"}
	}
	if err := runtime.Check(ctx); err != nil {
		return policy.WallState{Why: err.Error()}
	}
	state := policy.WallState{Available: true, Limits: d.host.Enforcements(wall)}
	if machine, ok := runtime.(box.Machine); ok {
		state.Accelerator, state.AcceleratorWhy = machine.Accelerator()
	}
	return state
}

// complete fills in what a spec leaves open and makes its paths absolute.
func complete(spec proofbox.Spec) (proofbox.Spec, error) {
	if err := checkName(spec.Name); err != nil {
		return spec, err
	}
	spec.Contents = slices.Clone(spec.Contents)
	for i, c := range spec.Contents {
		if !filepath.IsAbs(c.Path) {
			return spec, fmt.Errorf("the path %q of the data is not absolute", c.Path)
		}
		spec.Contents[i].Path = filepath.Clean(c.Path)
		spec.Contents[i].At = cmp.Or(c.At, "/data/"+filepath.Base(c.Path))
	}
	if spec.Workspace.Original == noWorkspace {
		return spec, nil
	}
	original, err := filepath.Abs(spec.Workspace.Original)
	if err != nil {
		return spec, fmt.Errorf("finding the workspace: %w", err)
	}
	switch real, err := filepath.EvalSymlinks(original); {
	case errors.Is(err, fs.ErrNotExist):
		return spec, fmt.Errorf("the workspace %q does not exist; name a folder with --workspace", original)
	case err != nil:
		return spec, fmt.Errorf("finding the workspace: %w", err)
	default:
		spec.Workspace.Original = real
	}
	return spec, nil
}

// mounts lists everything of the host that the box can see.
func mounts(p *prepared, spec proofbox.Spec) []proofbox.Mount {
	var list []proofbox.Mount
	for _, b := range p.image.Binds {
		list = append(list, proofbox.Mount{Source: b.Source, Target: b.Target, Why: "image"})
	}
	for _, b := range p.expose {
		list = append(list, proofbox.Mount{Source: b.Source, Target: b.Target, Why: "exposed"})
	}
	for _, c := range spec.Contents {
		list = append(list, proofbox.Mount{Source: c.Path, Target: c.At, Why: "sealed " + string(c.Class) + " data, a copy"})
	}
	if spec.Workspace.Original != noWorkspace {
		list = append(list, proofbox.Mount{
			Source: spec.Workspace.Original, Target: box.Workdir, Writable: true, Why: "workspace copy",
		})
	}
	return list
}

func (d *Daemon) freezeOptions(spec proofbox.Spec, dir string) workspace.Options {
	return workspace.Options{
		Original: spec.Workspace.Original, Hide: spec.Workspace.Hide, Dir: dir,
		Reserved: []string{d.store.home},
	}
}

// nameRoot names what is in the root of a box that gets it as a disk.
func (p *prepared) nameRoot(ctx context.Context, c *box.Config) (err error) {
	if _, ok := c.Runtime.(box.Machine); ok {
		c.RootKey, err = p.image.Key(ctx, p.expose)
	}
	return err
}

// rootSteps gives what the image and the exposed folders put into the box.
func (p *prepared) rootSteps() []jail.Step {
	var steps []jail.Step
	for _, d := range p.image.Dirs {
		steps = append(steps, jail.Step{Dir: &jail.Dir{Path: d.Path, Mode: d.Mode}})
	}
	for _, b := range slices.Concat(p.image.Binds, p.expose) {
		steps = append(steps, jail.Step{Bind: &jail.Bind{Source: b.Source, Target: b.Target, Folder: b.Folder}})
	}
	for _, l := range p.image.Links {
		steps = append(steps, jail.Step{Link: &jail.Link{Path: l.Path, Target: l.Target}})
	}
	for _, f := range p.image.Files {
		steps = append(steps, jail.Step{File: &jail.File{Path: f.Path, Mode: f.Mode, Data: f.Data}})
	}
	return steps
}

// certificates is the folder of those that the host trusts, where the box sees it.
const certificates = "/etc/ssl/certs"

// systemPath is where every box looks for commands.
const systemPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// searchPath is where the command is looked for: where every box looks, and
// then where this process does, as far as the box sees the same folder there.
func (p *prepared) searchPath() string {
	folders := strings.Split(systemPath, ":")
	for _, dir := range filepath.SplitList(os.Getenv("PATH")) {
		if filepath.IsAbs(dir) && !slices.Contains(folders, dir) && p.shows(dir) {
			folders = append(folders, dir)
		}
	}
	return strings.Join(folders, ":")
}

// shows says whether the box sees a folder of the host at its own path.
func (p *prepared) shows(dir string) bool {
	return slices.ContainsFunc(slices.Concat(p.image.Binds, p.expose), func(b image.Bind) bool {
		return b.Folder && b.Source == b.Target && (dir == b.Target || strings.HasPrefix(dir, b.Target+"/"))
	})
}

// environment is what a command starts with: what every box has, then the
// image's, then the spec's.
func (s *session) environment() []string {
	p := s.prepared
	env := map[string]string{
		"PATH": p.searchPath(),
		"HOME": box.HomePath, "USER": "box", "LOGNAME": "box", "SHELL": "/bin/sh",
		"LANG": "C.UTF-8", "container": "proofbox", "PROOFBOX_RUN": s.run.ID,
	}
	if s.way != nil {
		maps.Copy(env, gateway.Environment(box.GatewayAddress))
	}
	if len(p.plan.Spec.Models) > 0 {
		maps.Copy(env, model.Environment(box.GatewayAddress))
	}
	if p.shows(certificates) {
		env["NODE_EXTRA_CA_CERTS"] = certificates + "/ca-certificates.crt" // node has a list of its own
	}
	if len(p.plan.Terms.Inspect) > 0 {
		maps.Copy(env, gateway.Trusting(trustFile))
	}
	maps.Copy(env, p.image.Env)
	maps.Copy(env, p.plan.Spec.Env)
	maps.Copy(env, s.run.Placeholders)
	list := make([]string, 0, len(env))
	for _, name := range slices.Sorted(maps.Keys(env)) {
		list = append(list, name+"="+env[name])
	}
	return list
}
