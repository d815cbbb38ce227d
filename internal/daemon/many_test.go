package daemon_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"proofbox"
	"proofbox/internal/daemon"
	"proofbox/internal/workspace"
)

// TestTooManyToList: more changes than anybody reads are summed up by folder, and what
// lies in one is listed.
func TestTooManyToList(t *testing.T) {
	open(t) // makes sure of the programs
	home, ws := t.TempDir(), t.TempDir()
	d, err := daemon.Open(home)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	r := run(t, d, proofbox.Spec{Workspace: proofbox.Workspace{Original: ws}}, `echo x >x`)
	absent, folder := proofbox.Entry{Kind: proofbox.Absent}, proofbox.Entry{Kind: proofbox.Folder, Mode: 0o755}
	var list []proofbox.Change
	for i := range workspace.MaxListed + 1 {
		list = append(list, proofbox.Change{Path: proofbox.Raw(fmt.Sprintf("d%02d/f%06d", i/5_000, i)), Before: absent, After: folder})
	}
	data, err := json.Marshal(map[string]any{"version": 2, "changes": list, "warnings": []string{}})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(home, "runs", r.ID, "changes", "changes.json"), data, 0o600); err != nil {
		t.Fatal(err)
	}
	all, err := d.Diff(t.Context(), r.ID, proofbox.DiffRequest{})
	if err != nil || len(all.Changes) != 0 || all.Text != "" || len(all.Folders) != 21 || all.Folders[0] != (proofbox.FolderSum{Path: "d00", Changes: 5_000}) {
		t.Errorf("all of them: %d changes, folders %v, %v", len(all.Changes), all.Folders, err)
	}
	if shown, err := workspace.Shown(list); err != nil || shown != all.Shown {
		t.Errorf("a keep would be bound to %s, %v", all.Shown, err)
	}
	some, err := d.Diff(t.Context(), r.ID, proofbox.DiffRequest{Paths: []proofbox.Raw{"d03"}, Stat: true})
	if err != nil || len(some.Changes) != 5_000 || len(some.Folders) != 0 {
		t.Errorf("of one folder: %d changes, %d folders, %v", len(some.Changes), len(some.Folders), err)
	}
}
