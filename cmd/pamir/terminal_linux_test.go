package main

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"
)

// TestDemoOnTerminal: a demo whose shell waits for a person ends when it is told
// to, and leaves the terminal as it was.
func TestDemoOnTerminal(t *testing.T) {
	t.Parallel()
	bin, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	master, slave := openTerminal(t)
	before := settings(t, master)
	out := &output{}
	cmd := exec.Command(bin, "demo", "--nodes=1", "--sql-addr=127.0.0.1:0", "--http-addr=127.0.0.1:0")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = slave, slave, slave
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	t.Cleanup(func() { _ = cmd.Process.Kill() }) // it has ended if all is well
	go func() {
		b := make([]byte, 4096)
		for {
			n, err := master.Read(b)
			if err != nil {
				return // the test is over
			}
			_, _ = out.Write(b[:n]) // never fails
		}
	}()
	deadline := time.After(20 * time.Second)
	for !strings.Contains(out.String(), "/defaultdb> ") || settings(t, master) == before {
		select {
		case <-deadline:
			t.Fatalf("no prompt: %s", out)
		case err := <-ended:
			t.Fatalf("ended: %v\n%s", err, out)
		case <-time.After(10 * time.Millisecond):
		}
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	select {
	case <-deadline:
		t.Fatalf("it goes on: %s", out)
	case err := <-ended:
		if err != nil {
			t.Errorf("ended with %v\n%s", err, out)
		}
	}
	if settings(t, master) != before {
		t.Error("the terminal is still raw")
	}
}

// openTerminal makes a pair of pseudo terminals that closes with the test.
func openTerminal(t *testing.T) (master, slave *os.File) {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { master.Close() })
	var number, unlock uint32
	control(t, master, syscall.TIOCSPTLCK, unsafe.Pointer(&unlock))
	control(t, master, syscall.TIOCGPTN, unsafe.Pointer(&number))
	slave, err = os.OpenFile(fmt.Sprint("/dev/pts/", number), os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { slave.Close() })
	return master, slave
}

// settings are those of a terminal.
func settings(t *testing.T, f *os.File) (s syscall.Termios) {
	t.Helper()
	control(t, f, syscall.TCGETS, unsafe.Pointer(&s))
	return s
}

func control(t *testing.T, f *os.File, request uintptr, arg unsafe.Pointer) {
	t.Helper()
	raw, err := f.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var failed syscall.Errno
	if err := raw.Control(func(fd uintptr) { _, _, failed = syscall.Syscall(syscall.SYS_IOCTL, fd, request, uintptr(arg)) }); err != nil {
		t.Fatal(err)
	}
	if failed != 0 {
		t.Fatal(failed)
	}
}
