package breakout

import (
	"proofbox"
	"proofbox/internal/box"
)

// controls are the sockets by which a host is controlled.
var controls = []struct{ id, path, what string }{
	{"I1a", "/run/docker.sock", "Docker"},
	{"I1b", "/run/podman/podman.sock", "Podman"},
	{"I1c", "/run/containerd/containerd.sock", "containerd"},
	{"I1d", "/run/crio/crio.sock", "CRI-O"},
	{"I1e", "/run/buildkit/buildkitd.sock", "BuildKit"},
	{"I4a", "/run/dbus/system_bus_socket", "D-Bus"},
	{"I4b", "/run/systemd/private", "systemd"},
	{"I4c", "/tmp/.X11-unix/X0", "X11"},
	{"I4d", "/run/user/1000/wayland-0", "Wayland"},
	{"I4e", "/tmp/ssh-agent.sock", "the SSH agent"},
	{"I4f", "/run/user/1000/gnupg/S.gpg-agent", "the GPG agent"},
	{"I4g", "/run/user/1000/pulse/native", "PulseAudio"},
	{"I4h", "/run/user/1000/bus", "the session's D-Bus"},
}

// sockets is group I: sockets by which the host, or proofbox, is controlled.
func sockets() []Probe {
	list := []Probe{
		{ID: "I2", Title: "reach an abstract socket of the host (CVE-2020-15257)", Attack: []string{"dial", "unix", "{abstract}", "{token}"}, Oracle: heard("abstract"), Twin: Setting{Weakness: box.Weakness{Network: true}}, Not: notAbstract()},
		{ID: "I3", Title: "look for services on the host's loopback by their ports", Attack: []string{"dial-ports", "{tcp}", "{token}"}, Oracle: heard("tcp"), Twin: Setting{Weakness: box.Weakness{Network: true}}},
		{ID: "I4i", Title: "reach a socket of the host by its path", Attack: []string{"dial", "unix", "{socket}", "{token}"}, Oracle: heard("socket"), Twin: seen()},
		{ID: "I5", Title: "reach the socket by which proofbox is controlled", Attack: []string{"dial", "unix", "{control}", "{token}"}, Oracle: heard("control"), Twin: seen()},
		{ID: "I6", Title: "reach the door of another box", Attack: []string{"dial", "unix", "{door}", "{token}"}, Oracle: heard("door"), Twin: seen()},
	}
	var shown []box.Opening
	for _, c := range controls {
		shown = append(shown, box.Opening{Source: "{socket}", Target: c.path})
	}
	for _, c := range controls {
		list = append(list, Probe{
			ID: c.id, Title: "reach " + c.what + " at " + c.path, Attack: []string{"dial", "unix", c.path, "{token}"},
			Oracle: heard("socket"), Twin: opened(shown...),
		})
	}
	return list
}

func notAbstract() map[proofbox.Wall]string {
	return map[proofbox.Wall]string{proofbox.Gvisor: "gVisor has its own abstract sockets, also where it shares the host's network"}
}
