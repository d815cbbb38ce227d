package breakout

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// planted is group Q: what the box plants in the workspace for the host to run
// later.
func planted() []Probe {
	var list []Probe
	for _, p := range []struct{ id, name, title string }{
		{"Q1", ".git/hooks/post-checkout", "plant a hook of git"},
		{"Q2", ".git/config", "plant git's configuration, which names programs to run"},
		{"Q3a", ".git", "plant a file that sends git to another repository"},
		{"Q3b", "deep/er/.git/config", "plant a repository in a folder"},
		{"Q3d", ".GIT/config", "plant a repository under a name that some file systems take for .git: capitals"},
		{"Q3e", "git~1/config", "plant a repository under a name that some file systems take for .git: a short name"},
		{"Q3f", ".git. /config", "plant a repository under a name that some file systems take for .git: dots and spaces"},
		{"Q3g", ".g\u200cit/config", "plant a repository under a name that some file systems take for .git: invisible characters"},
		{"Q3h", ".git::$INDEX_ALLOCATION/config", "plant a repository under a name that some file systems take for .git: a stream"},
		{"Q4", ".git/commondir", "plant a file that has git take another folder's hooks"},
	} {
		list = append(list, Probe{
			ID: p.id, Title: p.title, Attack: []string{"plant", "q/" + p.id + "/" + p.name, "{token}"},
			Oracle: takenOver("q/" + p.id + "/" + p.name), Twin: Setting{Naive: true}, UserOnly: true,
		})
	}
	return list
}

// kept is an oracle that lets the box's changes be kept in bulk, as a person
// would who does not look closely, and looks at the workspace then. On the twin a
// naive tool takes them over while the box runs.
func kept(says string, look func(a *attempt) (evidence string, err error)) Oracle {
	return Oracle{
		Says: says,
		look: func(a *attempt) (string, error) {
			if !a.session.sitting.setting.Naive {
				return "", nil
			}
			if err := a.takeNaively(); err != nil {
				return "", err
			}
			return look(a)
		},
		after: func(a *attempt, r Remains) (string, error) {
			if a.session.sitting.setting.Naive {
				return "", nil // it was looked at
			}
			if err := a.session.keep(a.context, r); err != nil {
				return "", err
			}
			return look(a)
		},
	}
}

// takenOver looks whether a planted file has got into the workspace on the host.
func takenOver(name string) Oracle {
	return kept("whether a bulk keep puts "+name+" into the workspace on the host", func(a *attempt) (string, error) {
		text, err := os.ReadFile(filepath.Join(a.workspace, name))
		if err == nil && strings.Contains(string(text), a.token) {
			return fmt.Sprintf("%q is in the workspace on the host", name), nil
		}
		return "", nil
	})
}
