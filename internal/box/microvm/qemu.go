package microvm

import (
	"fmt"
	"strconv"
	"strings"

	"proofbox/internal/box"
)

// translated bounds the code that an emulated processor keeps translated, in
// MiB. The cgroup's allowance for the monitor has room for it.
const translated = 64

// emulated is all that QEMU can emulate but ERMS: a kernel that has it copies
// memory byte by byte, which an emulator is several times slower at.
const emulated = "max,-erms"

// arguments is QEMU's command line for a machine, without its name. Whatever is
// on it is part of what a saved guest is bound to.
func (r *Runtime) arguments(h box.Hardware) ([]string, error) {
	line, err := r.commandLine(h.KVM)
	if err != nil {
		return nil, err
	}
	args := []string{
		"-nodefaults", "-no-user-config", "-no-reboot", "-display", "none", "-L", firmwareDir,
		"-sandbox", "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny",
		// Of the machine's own devices those are left that the kernel starts its
		// clock with, and waits for where there are none, and the serial port
		// for its console.
		"-M", "microvm,x-option-roms=off,pit=on,pic=off,rtc=on,isa-serial=on,graphics=off,memory-backend=memory",
		"-object", fmt.Sprintf("memory-backend-file,id=memory,mem-path=%s,size=%d,share=%s,merge=off,dump=off", h.Memory, h.Bytes, onOff(!h.Saved)),
		"-m", strconv.FormatInt(h.Bytes>>20, 10) + "M", "-smp", strconv.Itoa(h.CPUs),
		"-chardev", "stdio,id=console,signal=off", "-serial", "chardev:console",
		"-device", "virtio-serial-device",
		"-chardev", "socket,id=door,path=" + h.Door,
		"-device", "virtserialport,chardev=door,name=proofbox.door",
		"-chardev", "socket,id=monitor,path=" + h.Monitor, "-mon", "chardev=monitor,mode=control",
	}
	args = append(args, processor(h.KVM)...)
	if h.Saved { // the kernel is in its memory
		args = append(args, "-incoming", "defer")
	} else {
		args = append(args, "-kernel", kernelPath, "-initrd", initramfsPath, "-append", line)
	}
	args = append(args, disk("root", h.Root, "readonly=on")...)
	args = append(args, disk("work", h.Work, "readonly=on")...)
	args = append(args, disk("data", h.Data, "readonly=on")...)
	// Nothing on the scratch disk outlives the box, so nothing is ever synced.
	return append(args, disk("scratch", h.Scratch, "cache=unsafe,discard=unmap")...), nil
}

// processor is how the guest's is run.
func processor(byKVM bool) []string {
	if byKVM {
		return []string{"-accel", "kvm", "-cpu", "host"}
	}
	return []string{"-accel", fmt.Sprintf("tcg,tb-size=%d", translated), "-cpu", emulated}
}

func onOff(on bool) string {
	if on {
		return "on"
	}
	return "off"
}

// disk is a block device that the guest finds by its serial number.
func disk(name, file, options string) []string {
	return []string{
		"-drive", fmt.Sprintf("if=none,id=%s,format=raw,file=%s,%s", name, file, options),
		"-device", fmt.Sprintf("virtio-blk-device,drive=%s,serial=proofbox-%s", name, name),
	}
}

// commandLine is the kernel's. The rate of the processor's time stamp counter
// is told: a kernel that has to measure it on an emulated machine gets it wrong,
// or gives up, whenever the host is busy.
func (r *Runtime) commandLine(byKVM bool) (string, error) {
	rate, err := r.counterRate()
	if err != nil {
		return "", err
	}
	words := []string{
		"console=ttyS0", "quiet", "loglevel=3", "panic=-1", "reboot=t",
		// What takes long on an emulated processor and serves nobody here.
		"cryptomgr.notests", "initcall_blacklist=load_system_certificate_list",
		fmt.Sprintf("tsc_early_khz=%d", rate), "tsc=reliable",
	}
	if !byKVM {
		words = append(words, sameAddresses)
	}
	return strings.Join(words, " "), nil
}

// sameAddresses has the kernel put every program where it put it last time. An
// emulated processor keeps what it has translated by its address, and would
// translate each program anew whenever it is started, which takes several times
// as long as running it. Where the kernel itself lies stays random.
const sameAddresses = "norandmaps"
