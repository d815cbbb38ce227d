// Command hostile is process 1 of guests that tests start: it does not do what
// it should when it is woken, or already when it rehearses that. Its mode is set when
// it is linked.
package main

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

var mode string

func main() {
	switch mode {
	case "hang":
		time.Sleep(time.Hour)
	case "panic":
		return
	}
	port := open()
	fmt.Println("proofbox: ready")
	mode, early := strings.CutPrefix(mode, "rehearsing ")
	if !early {
		hear(port)
		say(port, `{"memory":0}`)
	}
	hear(port)
	switch mode {
	case "flood":
		line := bytes.Repeat([]byte("flood "), 1<<10)
		for range 200 {
			fmt.Printf("%s\n", line)
		}
		garble(port)
	case "endless":
		for {
			fmt.Print("no end of line ")
		}
	case "garble":
		garble(port)
	case "boast":
		say(port, `{"memory":9223372036854775807}`)
		time.Sleep(time.Hour)
	case "close":
		fmt.Println("hostile: going")
		fmt.Println(unix.Reboot(unix.LINUX_REBOOT_CMD_RESTART))
	}
}

// garble says what is no frame.
func garble(port io.Writer) {
	fmt.Fprint(port, strings.Repeat("\xff", 1<<10))
	time.Sleep(time.Hour)
}

// hear hears a frame.
func hear(port io.Reader) {
	var size [4]byte
	_, err := io.ReadFull(port, size[:])
	if err == nil {
		_, err = io.CopyN(io.Discard, port, int64(binary.BigEndian.Uint32(size[:])))
	}
	if err != nil {
		fmt.Println("hostile:", err)
	}
}

// say says a frame.
func say(port io.Writer, text string) {
	fmt.Fprintf(port, "\x00\x00\x00%c%s", len(text), text)
}

// open brings up the machine as far as to its port.
func open() *os.File {
	for _, m := range []string{"proc", "devtmpfs"} {
		dir := map[string]string{"proc": "/proc", "devtmpfs": "/dev"}[m]
		if err := os.MkdirAll(dir, 0o755); err != nil {
			panic(err)
		}
		if err := unix.Mount(m, dir, m, 0, ""); err != nil {
			panic(err)
		}
	}
	list, err := os.ReadFile("/modules")
	if err != nil {
		panic(err)
	}
	for name := range strings.FieldsSeq(string(list)) {
		f, err := os.Open(name)
		if err != nil {
			panic(err)
		}
		if err := unix.FinitModule(int(f.Fd()), "", 0); err != nil {
			fmt.Println("hostile:", name, err)
		}
	}
	for {
		if port, err := os.OpenFile("/dev/vport0p1", os.O_RDWR, 0); err == nil {
			return port
		}
		time.Sleep(10 * time.Millisecond)
	}
}
