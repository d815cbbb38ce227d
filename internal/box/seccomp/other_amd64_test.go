package seccomp_test

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"proofbox/internal/box/seccomp"
)

// killed is the status of a program that the filter has ended, as a shell
// counts.
const killed = 128 + int(unix.SIGSYS)

// tiny writes a program of one thread that runs the machine code.
func tiny(t *testing.T, code []byte) string {
	t.Helper()
	const base, headers = 0x400000, 64 + 56
	header := elf.Header64{
		Ident:   [elf.EI_NIDENT]byte{0x7f, 'E', 'L', 'F', byte(elf.ELFCLASS64), byte(elf.ELFDATA2LSB), byte(elf.EV_CURRENT)},
		Type:    uint16(elf.ET_EXEC),
		Machine: uint16(elf.EM_X86_64), Version: uint32(elf.EV_CURRENT),
		Entry: base + headers, Phoff: 64, Ehsize: 64, Phentsize: 56, Phnum: 1,
	}
	size := uint64(headers + len(code))
	segment := elf.Prog64{Type: uint32(elf.PT_LOAD), Flags: uint32(elf.PF_R | elf.PF_X), Vaddr: base, Paddr: base, Filesz: size, Memsz: size, Align: 0x1000}
	var file bytes.Buffer
	for _, part := range []any{header, segment, code} {
		if err := binary.Write(&file, binary.LittleEndian, part); err != nil {
			t.Fatal(err)
		}
	}
	path := filepath.Join(t.TempDir(), "tiny")
	if err := os.WriteFile(path, file.Bytes(), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

// exit ends a program with the status 0 by the 64-bit table.
var exit = []byte{
	0x31, 0xff, // xor edi, edi
	0xb8, 0xe7, 0, 0, 0, // mov eax, 231 (exit_group)
	0x0f, 0x05, // syscall
}

// faulted is the status of a program that has raised an exception of the processor.
const faulted = 128 + int(unix.SIGSEGV)

// TestOtherTables makes harmless calls by the 32-bit and the x32 table, where
// the profile's numbers mean other calls. Each must end the program; without
// the profile none does, but for that by interrupt on a kernel that was built
// without it, where it is no call at all.
func TestOtherTables(t *testing.T) {
	t.Parallel()
	tables := map[string][]byte{
		"32-bit": {
			0xb8, 20, 0, 0, 0, // mov eax, 20 (getpid)
			0xcd, 0x80, // int 0x80
		},
		"x32": {
			0xb8, 39, 0, 0, 0x40, // mov eax, 0x40000000 | 39 (getpid)
			0x0f, 0x05, // syscall
		},
		"none": {0x90}, // nop
	}
	for name, code := range tables {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			program := tiny(t, append(code, exit...))
			twin := container{program: program, args: []string{"/program"}}.run(t)
			want := killed
			switch {
			case name == "none":
				want = 0
			case name == "32-bit" && twin.status == faulted:
				want = faulted
			}
			got := container{profile: seccomp.Profile(), program: program, args: []string{"/program"}}.run(t)
			if got.status != want {
				t.Errorf("exit status %d under the profile, want %d\n%s", got.status, want, got.stderr)
			}
			if twin.status != 0 && want != faulted {
				t.Errorf("exit status %d without a profile, want 0\n%s", twin.status, twin.stderr)
			}
		})
	}
}
