package logstore

import (
	"os"
	"syscall"
)

// datasync makes a file's data durable, and of its metadata only what reading
// the data needs.
func datasync(f *os.File) error {
	for {
		err := syscall.Fdatasync(int(f.Fd()))
		if err != syscall.EINTR {
			return os.NewSyscallError("fdatasync", err)
		}
	}
}
