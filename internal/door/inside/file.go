package inside

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/hashicorp/yamux"

	"proofbox/internal/door"
)

// failed puts an error into the answer to a request about a file.
func failed(err error) door.File {
	f := door.File{Error: err.Error()}
	if errno, ok := errors.AsType[syscall.Errno](err); ok {
		f.Errno = int(errno)
	}
	return f
}

// readFile answers with a regular file's bytes.
func readFile(stream *yamux.Stream, path string) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0) // a FIFO must not make it wait
	if err != nil {
		_ = door.WriteFrame(stream, failed(err))
		return
	}
	defer f.Close()
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = errors.New("not a regular file")
	}
	if err != nil {
		_ = door.WriteFrame(stream, failed(err))
		return
	}
	if err := door.WriteFrame(stream, door.File{Size: info.Size()}); err != nil {
		return
	}
	_, _ = io.Copy(stream, f) // the host may stop listening
}

// writeFile writes a file whole or not at all, and answers.
func writeFile(stream *yamux.Stream, path string, mode fs.FileMode) {
	answer := door.File{}
	if err := replace(path, mode, stream); err != nil {
		answer = failed(err)
	}
	_ = door.WriteFrame(stream, answer)
}

func replace(path string, mode fs.FileMode, from io.Reader) (err error) {
	temp, err := os.CreateTemp(filepath.Dir(path), ".proofbox-*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(temp.Name()))
		}
	}()
	err = door.ReadChunks(temp, from)
	if err == nil {
		err = temp.Chmod(mode.Perm())
	}
	if err = errors.Join(err, temp.Close()); err != nil {
		return err
	}
	return os.Rename(temp.Name(), path)
}
