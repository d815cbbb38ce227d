package breakout

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"proofbox"
	"proofbox/internal/box"
)

// scriptName is where a script that somebody brings lies in the workspace.
const scriptName = "attack"

// scriptTime bounds such a script.
const scriptTime = 5 * time.Minute

// Script runs a script that somebody brings as the only attack, in a whole box
// and in a twin that is open to it, and says what it has reached. It finds what
// there is to reach in its environment: PROOFBOX_FLAG_HOME and the like are
// files, PROOFBOX_CANARY_TCP and the like are listeners.
func (t *Trial) Script(ctx context.Context, script []byte) (proofbox.Trial, error) {
	t.Probes = targets()
	began := time.Now().UTC()
	t.begin()
	itself := box.Opening{Source: "{workspace}", Target: box.Workdir, Writable: true}
	open := Setting{Weakness: box.Weakness{Binds: append(onHost(true), itself), Network: true}, Shown: true, HostKernel: t.Wall == proofbox.MicroVM}
	for _, s := range []*sitting{{as: asUser}, {as: asTwin, setting: open}} {
		s.setting.Weakness = together(s.setting.Weakness, t.Base)
		if err := t.runScript(ctx, s, script); err != nil {
			return proofbox.Trial{}, err
		}
	}
	report := t.report(began)
	report.Holds = report.Tally[proofbox.Escaped] == 0 // what it has not tried says nothing about the wall
	return report, nil
}

// targets are what a script can reach, as probes.
func targets() []Probe {
	var list []Probe
	add := func(id, title string, o Oracle) {
		list = append(list, Probe{ID: id, Title: title, Oracle: o})
	}
	for _, name := range []string{"home", "tmp", "state", "hidden"} {
		add("read-"+name, "read the flag "+name, revealed(name))
	}
	for _, name := range []string{"home", "tmp", "state", "original"} {
		add("write-"+name, "change the flag "+name, changed(name))
	}
	for _, name := range []string{"tcp", "tcp6", "udp", "abstract", "socket", "control"} {
		add("reach-"+name, "reach the listener "+name, touched(name))
	}
	return list
}

// touched looks whether a canary listener was told anything at all.
func touched(name string) Oracle {
	return during("whether the host's listener at "+name+" hears anything", func(a *attempt) (string, error) {
		if a.stage.canary(name).touched() {
			return "the listener at " + name + " was told something", nil
		}
		return "", nil
	})
}

// runScript runs the script once and has every oracle look.
func (t *Trial) runScript(ctx context.Context, sitting *sitting, script []byte) error {
	s, err := t.open(sitting)
	if s != nil {
		defer s.stage.close()
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(s.workspace, scriptName), script, 0o755)
	}
	if err != nil {
		return fmt.Errorf("preparing the script: %w", err)
	}
	made, fault := s.script(ctx)
	for i, p := range t.Probes {
		a := proofbox.Attempt{As: sitting.as, Without: sitting.setting.words(), Fault: fault}
		if made != nil {
			a.Evidence, err = p.Oracle.look(made)
			if a.Reached = a.Evidence != ""; err != nil {
				a.Fault = err.Error()
			}
		}
		t.record(i, a)
	}
	return errors.Join(context.Cause(ctx), s.part(ctx))
}

// script runs the script to its end, or to the end of its time. A fault means
// that it did not run.
func (s *session) script(ctx context.Context) (made *attempt, fault string) {
	b, err := s.started(ctx)
	if err != nil {
		return nil, err.Error()
	}
	ctx, cancel := context.WithTimeout(ctx, scriptTime)
	defer cancel()
	made = &attempt{session: s, stage: s.stage, box: b, token: newNonce(), workspace: s.workspace, context: ctx}
	args := append([]string{"/usr/bin/env", "PROOFBOX_TOKEN=" + made.token}, s.stage.environment()...)
	said := newHearing()
	ended := make(chan error, 1)
	var result proofbox.ExecResult
	go func() {
		var err error
		result, err = b.Exec(ctx, append(args, box.Workdir+"/"+scriptName), Stdio{Stdout: said, Stderr: said})
		ended <- err
	}()
	select {
	case err = <-ended:
	case <-ctx.Done():
		err = errors.New("the script has taken too long")
	}
	made.output = said.bytes()
	if err == nil && (result.ExitCode == 126 || result.ExitCode == 127) {
		return nil, "the script did not run: " + result.Ended + "; it needs a first line like #!/bin/sh"
	}
	return made, "" // a box that was broken has shown what it was broken for
}

// environment names everything that there is to reach.
func (s *stage) environment() []string {
	names := map[string]string{}
	for _, f := range []string{"home", "tmp", "state", "hidden", "original"} {
		names["PROOFBOX_FLAG_"+strings.ToUpper(f)] = s.words[f]
	}
	for _, c := range []string{"tcp", "tcp6", "udp", "abstract", "socket", "control"} {
		names["PROOFBOX_CANARY_"+strings.ToUpper(c)] = s.words[c]
	}
	var list []string
	for _, name := range slices.Sorted(maps.Keys(names)) {
		list = append(list, name+"="+names[name])
	}
	return list
}
