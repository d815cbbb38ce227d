package attach

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
)

// A socket is named by its folder's descriptor here: so its address is short
// enough for any path.

// ListenSocket makes a socket at a path. Closing the listener leaves the file.
func ListenSocket(path string) (net.Listener, error) {
	folder, err := os.Open(filepath.Dir(path))
	if err != nil {
		return nil, fmt.Errorf("making the socket %q: %w", path, err)
	}
	defer folder.Close()
	l, err := net.ListenUnix("unix", address(folder, path))
	if err != nil {
		return nil, fmt.Errorf("making the socket %q: %w", path, err)
	}
	l.SetUnlinkOnClose(false) // by then the name is nobody's
	return l, nil
}

// DialSocket connects to the socket at a path.
func DialSocket(ctx context.Context, path string) (net.Conn, error) {
	folder, err := os.Open(filepath.Dir(path))
	if err != nil {
		return nil, fmt.Errorf("reaching the socket %q: %w", path, err)
	}
	defer folder.Close()
	conn, err := (&net.Dialer{}).DialContext(ctx, "unix", address(folder, path).Name)
	if err != nil {
		return nil, fmt.Errorf("reaching the socket %q: %w", path, err)
	}
	return conn, nil
}

func address(folder *os.File, path string) *net.UnixAddr {
	return &net.UnixAddr{Net: "unix", Name: fmt.Sprintf("/proc/self/fd/%d/%s", folder.Fd(), filepath.Base(path))}
}
