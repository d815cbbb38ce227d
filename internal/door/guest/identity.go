package guest

import (
	"fmt"
	"os"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"

	"proofbox/internal/door"
)

// entropyBuffer is struct rand_pool_info of random(4).
type entropyBuffer struct {
	bits, size int32
	data       [256]byte
}

// reseed makes the kernel's generator another one than that of every guest
// that was saved with this one. Bytes alone would only be mixed in, and used at
// the next reseeding, so that is asked for.
func reseed(entropy []byte) error {
	random, err := os.OpenFile("/dev/urandom", os.O_WRONLY, 0)
	if err != nil {
		return fmt.Errorf("opening the generator: %w", err)
	}
	defer random.Close()
	pool := entropyBuffer{}
	n := copy(pool.data[:], entropy)
	pool.size, pool.bits = int32(n), int32(8*n)
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, random.Fd(), unix.RNDADDENTROPY, uintptr(unsafe.Pointer(&pool)))
	runtime.KeepAlive(&pool)
	if errno != 0 {
		return fmt.Errorf("giving the generator entropy: %w", errno)
	}
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, random.Fd(), unix.RNDRESEEDCRNG, 0); errno != 0 {
		return fmt.Errorf("reseeding the generator: %w", errno)
	}
	return nil
}

// renew makes the machine another one than all that were saved with it: it gets
// its name, its generator and its clock, unless a trial leaves it as it was saved.
func renew(w door.WakeUp) error {
	if err := unix.Sethostname([]byte(w.Hostname)); err != nil {
		return fmt.Errorf("setting the hostname %q: %w", w.Hostname, err)
	}
	if w.Weak != nil && w.Weak.Unwoken {
		return nil
	}
	if err := reseed(w.Entropy); err != nil {
		return err
	}
	now := unix.NsecToTimespec(w.Time.UnixNano())
	if err := unix.ClockSettime(unix.CLOCK_REALTIME, &now); err != nil {
		return fmt.Errorf("setting the clock: %w", err)
	}
	return nil
}

// loopback brings up the one network interface that there is; see
// netdevice(7).
func loopback() error {
	s, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("opening a socket for the loopback interface: %w", err)
	}
	defer unix.Close(s)
	lo, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	lo.SetUint16(unix.IFF_UP | unix.IFF_RUNNING)
	if err := unix.IoctlIfreq(s, unix.SIOCSIFFLAGS, lo); err != nil {
		return fmt.Errorf("bringing up the loopback interface: %w", err)
	}
	return nil
}
