package breakout

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// This file has the oracles that look at what goes between the box and the
// network, and at what two processes of one host can share without a network.

// onlyWith is an oracle for a host that has what a canary listens at.
func onlyWith(name string, o Oracle) Oracle {
	return during(o.Says, func(a *attempt) (string, error) {
		if _, ok := a.stage.canaries[name]; !ok {
			return "", fmt.Errorf("%w: the canary %s cannot listen here", errLacking, name)
		}
		return o.look(a)
	})
}

// sends looks for a socket of the box that has an address as its other end: the
// kernel knows a way there.
func sends(network, address string) Oracle {
	to := netip.MustParseAddrPort(address)
	return during("whether a socket of the box has a way to "+address+" ("+network+")", func(a *attempt) (string, error) {
		return a.eachProcess(func(pid int) (string, error) {
			list, err := open(pid)
			if err != nil {
				return "", err
			}
			own := map[string]bool{}
			for _, d := range list {
				own[strings.Trim(d.link, "socket:[]")] = true
			}
			for _, inode := range connected(pid, network, to) {
				if own[inode] {
					return fmt.Sprintf("process %d has a socket to %s", pid, address), nil
				}
			}
			return "", nil
		})
	})
}

// connected lists the inodes of sockets to an address in the network namespace of
// a process; see proc_pid_net(5). None where it has ended.
func connected(pid int, network string, to netip.AddrPort) (inodes []string) {
	if to.Addr().Is6() {
		network += "6"
	}
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/net/%s", pid, network))
	if err != nil {
		return nil
	}
	const remote, inode = 2, 9
	for line := range strings.Lines(string(text)) {
		if f := strings.Fields(line); len(f) > inode && f[remote] == kernelForm(to) {
			inodes = append(inodes, f[inode])
		}
	}
	return inodes
}

// kernelForm writes an address as the kernel does: words of four bytes as this
// machine has them, and the port.
func kernelForm(a netip.AddrPort) string {
	var text strings.Builder
	for raw := a.Addr().AsSlice(); len(raw) > 0; raw = raw[4:] {
		fmt.Fprintf(&text, "%08X", binary.NativeEndian.Uint32(raw))
	}
	fmt.Fprintf(&text, ":%04X", a.Port())
	return text.String()
}

// takes looks whether a port that was free on the host's loopback is taken.
func takes(network, word string) Oracle {
	return during("whether the host's port is still free ("+network+")", func(a *attempt) (string, error) {
		address := a.stage.words[word]
		err := tryPort(network, address)
		if errors.Is(err, unix.EADDRINUSE) {
			return fmt.Sprintf("%s is taken on the host", address), nil
		}
		return "", err
	})
}

func tryPort(network, address string) error {
	if network == "udp" {
		l, err := net.ListenPacket("udp4", address)
		if err != nil {
			return err
		}
		return l.Close()
	}
	l, err := net.Listen("tcp4", address)
	if err != nil {
		return err
	}
	return l.Close()
}

// nameFreePort finds a port that nobody has: at an address of its own, and not
// one of those that the kernel gives to whoever wants any.
func (s *stage) nameFreePort() error {
	var err error
	for range 8 {
		r := rand.Uint32()
		address := fmt.Sprintf("127.%d.%d.%d:%d", r>>24, r>>16&0xff, r>>8&0xff|1, 10000+r%20000)
		if err = errors.Join(tryPort("tcp", address), tryPort("udp", address)); err == nil {
			s.words["free"] = address
			return nil
		}
	}
	return fmt.Errorf("finding a free port: %w", err)
}

// dialTime bounds how long the host talks to what a box serves.
const dialTime = 2 * time.Second

// serves looks whether the host reaches what the box serves at an address: {port}
// in it is what the attack says that it has, {token} the attempt's token.
func serves(network, address string) Oracle {
	return during("whether the host reaches a service of the box at "+address, func(a *attempt) (string, error) {
		port := 0
		if len(a.report.Got) > 0 {
			n, err := strconv.ParseUint(a.report.Got[0], 10, 16)
			if err != nil {
				return "", nil // it serves nothing that could be reached
			}
			port = int(n)
		}
		at := strings.NewReplacer("{port}", strconv.Itoa(port), "{token}", a.token).Replace(address)
		conn, err := net.DialTimeout(network, at, dialTime)
		if err != nil {
			return "", nil // which is what should be
		}
		defer conn.Close()
		if err := conn.SetDeadline(time.Now().Add(dialTime)); err != nil {
			return "", err
		}
		said, _ := io.ReadAll(io.LimitReader(conn, int64(len(a.token)))) // whoever else answers has no token
		if string(said) == a.token {
			return "the box says the token at " + at, nil
		}
		return "", nil
	})
}

// watches looks for a watch of the box on a planted file; see
// proc_pid_fdinfo(5).
func watches(word string) Oracle {
	return during("whether a process of the box watches the flag "+word, func(a *attempt) (string, error) {
		var st unix.Stat_t
		if err := unix.Stat(a.stage.flag(word).path, &st); err != nil {
			return "", fmt.Errorf("looking at the flag %s: %w", word, err)
		}
		mark := fmt.Sprintf("ino:%x ", st.Ino)
		return a.eachDescriptor(func(pid int, d descriptor) string {
			text, err := os.ReadFile(fmt.Sprintf("/proc/%d/fdinfo/%s", pid, d.number))
			if err != nil || !strings.HasPrefix(d.link, "anon_inode:inotify") || !strings.Contains(string(text), mark) {
				return ""
			}
			return fmt.Sprintf("process %d has a watch on inode %d", pid, st.Ino)
		})
	})
}

// keyOf makes a key of System V IPC from an attempt's token.
func keyOf(token string) int {
	n, err := strconv.ParseInt(token[:7], 16, 32)
	if err != nil {
		panic(fmt.Sprintf("breakout: the token %q is not of hexadecimal digits: %v", token, err))
	}
	return int(n)
}

// memoryShared looks for shared memory under the attempt's key in the host's IPC
// namespace, and queued for a queue. What is found is removed.
func memoryShared() Oracle { return inIPC("shm", unix.SYS_SHMCTL) }
func queued() Oracle       { return inIPC("msg", unix.SYS_MSGCTL) }

func inIPC(kind string, control uintptr) Oracle {
	return during("whether the host's /proc/sysvipc/"+kind+" has the attack's key", func(a *attempt) (string, error) {
		id, found, err := ofKey(kind, keyOf(a.token))
		if !found || err != nil {
			return "", err
		}
		if _, _, errno := unix.Syscall(control, uintptr(id), unix.IPC_RMID, 0); errno != 0 && errno != unix.EPERM {
			return "", fmt.Errorf("removing what an attack has left: %w", errno)
		}
		return fmt.Sprintf("the host has %s %d of the attack's key", kind, id), nil
	})
}

// ofKey finds the number of what has a key in the host's IPC namespace.
func ofKey(kind string, key int) (id int, found bool, err error) {
	text, err := os.ReadFile("/proc/sysvipc/" + kind)
	if err != nil {
		return 0, false, fmt.Errorf("%w: %w", errLacking, err)
	}
	for line := range strings.Lines(string(text)) {
		f := strings.Fields(line)
		if len(f) < 2 || f[0] != strconv.Itoa(key) {
			continue
		}
		id, err := strconv.Atoi(f[1])
		return id, err == nil, err
	}
	return 0, false, nil
}
