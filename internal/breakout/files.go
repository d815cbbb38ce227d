package breakout

import (
	"proofbox"
	"proofbox/internal/box"
)

// onHost are the planted folders of the host, as they would be seen by a box
// that has the host's own root.
func onHost(writable bool) []box.Opening {
	var list []box.Opening
	for _, word := range []string{"{home-folder}", "{tmp-folder}", "{state-folder}"} {
		list = append(list, box.Opening{Source: word, Target: word, Writable: writable})
	}
	return list
}

func opened(o ...box.Opening) Setting { return Setting{Weakness: box.Weakness{Binds: o}} }

// seen and spoiled are twins to which the planted folders are shown.
func seen() Setting    { return opened(onHost(false)...) }
func spoiled() Setting { return opened(onHost(true)...) }

// everything is a twin that has nothing left of the wall between its root and
// the host's: the powers of the host's root, and no filter.
func everything(o ...box.Opening) Setting {
	return Setting{Weakness: box.Weakness{
		Binds: o, Root: true, HostUsers: true, Calls: true, Masks: true, Landlock: true, WritableRoot: true,
	}}
}

// credentials are where programs keep what opens doors, beside the home folder
// that a box is shown as its own.
var credentials = []string{
	"/root/.ssh/id_ed25519", "/root/.aws/credentials", "/home/box/.config/gcloud/credentials.db",
	"/root/.netrc", "/root/.docker/config.json", "/var/run/secrets/kubernetes.io/serviceaccount/token",
}

// readable is a twin to which everything is shown that group A looks for: one for
// all, because starting it can be what takes longest.
func readable() Setting {
	shown := append(onHost(false), box.Opening{Source: "{tmp-folder}", Target: "/home/box/left"})
	for _, path := range credentials {
		shown = append(shown, box.Opening{Source: "{home}", Target: path})
	}
	return Setting{Weakness: box.Weakness{Binds: shown, Environment: true}, Shown: true}
}

// files is group A: from the box to files of the host.
func files() []Probe {
	open := readable()
	list := []Probe{
		{ID: "A1a", Title: "read a file in the home folder of the host's user by its path", Attack: []string{"read", "{home}"}, Oracle: revealed("home"), Twin: open, Itself: true},
		{ID: "A1b", Title: "read a file in the host's /tmp by its path", Attack: []string{"read", "{tmp}"}, Oracle: revealed("tmp"), Twin: open, Itself: true},
		{ID: "A1c", Title: "read proofbox's own state by its path", Attack: []string{"read", "{state}"}, Oracle: revealed("state"), Twin: open, Itself: true},
		{ID: "A1d", Title: "write a file of the host by its path", Attack: []string{"write", "{home}", "{token}"}, Oracle: changed("home"), Twin: spoiled()},
		{ID: "A2a", Title: "climb out of the workspace by many ..", Attack: []string{"climb", "{home}"}, Oracle: revealed("home"), Twin: open, Itself: true},
		{ID: "A2b", Title: "climb out of a folder that was moved while it is held open", Attack: []string{"climb-moved", "{tmp}"}, Oracle: revealed("tmp"), Twin: open, Itself: true},
		{ID: "A3a", Title: "read through a link out of the workspace", Attack: []string{"read-link", "{home}"}, Oracle: revealed("home"), Twin: open, Itself: true},
		{ID: "A3b", Title: "write through a link out of the workspace", Attack: []string{"write-link", "{home}", "{token}"}, Oracle: changed("home"), Twin: spoiled()},
		{ID: "A6", Title: "open a file past its folders by its handle (shocker)", Attack: []string{"handle", "{tmp-folder}", "{home}"}, Oracle: revealed("home"), Box: opened(box.Opening{Source: "{tmp-folder}", Target: "{tmp-folder}"}), Twin: everything(box.Opening{Source: "{tmp-folder}", Target: "{tmp-folder}"}), Not: onlyKernel()},
		{ID: "A7a", Title: "read a hidden file of the workspace", Attack: []string{"read", "{hidden}"}, Oracle: revealed("hidden"), Twin: open, Itself: true},
		{ID: "A7b", Title: "move the folder of a hidden file, then read it", Attack: []string{"read-moved", "{hidden}"}, Oracle: revealed("hidden"), Twin: open, Itself: true},
		{ID: "A7c", Title: "remove what hides a file, then read it", Attack: []string{"read-uncovered", "{hidden}"}, Oracle: revealed("hidden"), Twin: open, Itself: true},
		{ID: "A13", Title: "find the environment of proofbox in a process of the box", Attack: []string{"environments"}, Oracle: revealed("environment"), Twin: open, Itself: true},
		{ID: "A14", Title: "find what another box has left or is writing", Attack: []string{"search", "/tmp", "/var/tmp", "/dev/shm", "/home/box", "/run"}, Oracle: revealed("neighbour", "tmp"), Neighbour: true, Twin: open, Itself: true},
	}
	for i, how := range []struct{ way, title string }{
		{"append", "write the original through its copy"},
		{"truncate", "cut the original off through its copy"},
		{"map", "write the original through a shared mapping of its copy"},
		{"punch", "punch a hole into the original through its copy"},
		{"replace", "put another file in the original's place"},
		{"remove", "remove the original"},
		{"link", "write the original through a hard link to its copy"},
	} {
		id := "A5" + string(rune('a'+i))
		if how.way == "link" {
			id = "A4"
		}
		p := Probe{
			ID: id, Title: how.title, Attack: []string{"spoil", how.way, "{original}", "{token}"},
			Oracle: changed("original"), Twin: opened(box.Opening{Source: "{workspace}", Target: box.Workdir, Writable: true}),
		}
		if how.way == "punch" {
			p.Not = map[proofbox.Wall]string{proofbox.Gvisor: "gVisor's files have no holes"}
		}
		list = append(list, p)
	}
	for i, path := range credentials {
		list = append(list, Probe{
			ID: "A12" + string(rune('a'+i)), Title: "read credentials in " + path, Attack: []string{"read", path},
			Oracle: revealed("home"), Twin: open, Itself: true,
		})
	}
	return list
}
