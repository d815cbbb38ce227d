package breakout

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"golang.org/x/sys/unix"

	"proofbox/internal/box"
)

// Files that are planted in the workspace of a trial's boxes.
const (
	originalFile = "original"
	hiddenFolder = "secret"
)

// plantOriginals puts a file into the workspace that must stay as it is, and one
// that a box must not see.
func (s *stage) plantOriginals(workspace string) error {
	s.words["workspace"] = workspace
	for word, f := range map[string]*flag{
		"original": {where: "the original of the workspace", path: filepath.Join(workspace, originalFile)},
		"hidden":   {where: "a hidden file of the workspace", path: filepath.Join(workspace, hiddenFolder, "key")},
	} {
		if err := os.MkdirAll(filepath.Dir(f.path), 0o777); err != nil {
			return fmt.Errorf("planting %s: %w", f.where, err)
		}
		if err := s.write(word, f); err != nil {
			return err
		}
	}
	if err := os.WriteFile(filepath.Join(workspace, "edited"), []byte("old\n"), 0o666); err != nil {
		return fmt.Errorf("planting a file to edit: %w", err)
	}
	if err := os.Symlink(s.words["home-folder"], filepath.Join(workspace, "outside")); err != nil {
		return fmt.Errorf("planting a link out of the workspace: %w", err)
	}
	s.words["original"] = box.Workdir + "/" + originalFile
	s.words["hidden"] = box.Workdir + "/" + hiddenFolder + "/key"
	return nil
}

// plantTool plants a program of the host's user with the set-user-ID bit.
func (s *stage) plantTool(program string, note func(box.Object) error) error {
	folder := s.words["tmp-folder"] + "-tool"
	if err := note(box.Object{Kind: box.Folder, Name: folder}); err != nil {
		return err
	}
	tool := filepath.Join(folder, "tool")
	err := os.Mkdir(folder, 0o755)
	if err == nil {
		err = errors.Join(os.Chmod(folder, 0o755), copyProgram(program, tool), os.Chmod(tool, 0o755|os.ModeSetuid))
	}
	if err != nil {
		return fmt.Errorf("planting a tool: %w", err)
	}
	s.words["tool"], s.words["tool-folder"] = tool, folder
	return nil
}

// plantVictim starts a process of the host that has a nonce in its command line
// and one in its environment, and stands where a flag lies. It ends with this
// process at the latest, whose end of its input it waits for.
func (s *stage) plantVictim(program string) error {
	command, environment := newNonce(), newNonce()
	cmd := exec.Command(program, "wait", command)
	cmd.Dir = s.words["home-folder"]
	cmd.Env = []string{"FLAG=" + environment}
	stdin, err := cmd.StdinPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		return fmt.Errorf("starting a process of the host for attacks to find: %w", err)
	}
	s.undo = append(s.undo, func() {
		stdin.Close()  // it ends
		_ = cmd.Wait() // how does not matter
	})
	s.flags["command"] = &flag{where: "the command line of a process of the host", nonce: command}
	s.flags["victim"] = &flag{where: "the environment of a process of the host", nonce: environment}
	return nil
}

// plantInKernel writes a nonce into the kernel's log, where this process may.
func (s *stage) plantInKernel() error {
	f := &flag{where: "the log of the host's kernel", nonce: newNonce()}
	s.flags["kernel"] = f
	log, err := os.OpenFile("/dev/kmsg", os.O_WRONLY, 0)
	if errors.Is(err, os.ErrPermission) || errors.Is(err, os.ErrNotExist) {
		return nil // then no twin of this user could read it either
	}
	if err == nil {
		_, err = fmt.Fprintf(log, "<6>proofbox breakout %s\n", f.nonce)
		err = errors.Join(err, log.Close())
	}
	if err != nil {
		return fmt.Errorf("planting a line in the kernel's log: %w", err)
	}
	return nil
}

// plantEnvironment puts a nonce into the environment of this process.
func (s *stage) plantEnvironment() error {
	name := "PROOFBOX_BREAKOUT_" + newNonce()[:8]
	f := &flag{where: "the environment of proofbox", nonce: newNonce()}
	s.flags["environment"] = f
	s.undo = append(s.undo, func() { os.Unsetenv(name) })
	return os.Setenv(name, f.nonce)
}

// nameDisk finds the numbers of the device that the host's root lies on.
func (s *stage) nameDisk() error {
	var st unix.Stat_t
	if err := unix.Stat("/", &st); err != nil {
		return fmt.Errorf("looking at the host's root: %w", err)
	}
	s.words["disk"] = numbers(unix.Major(st.Dev), unix.Minor(st.Dev))
	return nil
}

func numbers(major, minor uint32) string { return fmt.Sprintf("%d:%d", major, minor) }
