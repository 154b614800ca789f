package main

import (
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

// GitHub runs a container action without an init: the program is process 1,
// inherits every orphan, and has to bury it. The program itself cannot, because
// whoever waits for all children takes their ends away from those who started
// them. So process 1 starts the program once more, hands on the signals, and
// buries; when the program ends it ends, and with it the container.

// beFirst is process 1 of a container, if this is one, and then does not return.
func beFirst() {
	if os.Getpid() != 1 {
		return
	}
	code, err := first("/proc/self/exe", os.Args)
	if err != nil {
		fmt.Fprintf(os.Stderr, "autonomous-loop: begin as the first process of a container: %v\n", err)
	}
	os.Exit(code) //nolint:forbidigo // of main, before it begins
}

// first runs a program and is its init. The code is the program's, or 128 and
// the signal that ended it.
func first(path string, args []string) (int, error) {
	// The environment holds secrets; nobody is to read it from here.
	if _, _, errno := syscall.RawSyscall(syscall.SYS_PRCTL, syscall.PR_SET_DUMPABLE, 0, 0); errno != 0 {
		return exitFailed, errno
	}
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, stopping...)
	p, err := os.StartProcess(path, args, &os.ProcAttr{ // #nosec G702 -- this program itself, with its own arguments
		Files: []*os.File{os.Stdin, os.Stdout, os.Stderr},
		Sys:   &syscall.SysProcAttr{Setpgid: true}, // a terminal tells us, and we the program: once
	})
	if err != nil {
		return exitFailed, err
	}
	go func() {
		for s := range signals {
			_ = p.Signal(s) // one that has ended needs none
		}
	}()
	return bury(p.Pid)
}

// bury waits for every child there is, until the one with pid has ended.
func bury(pid int) (int, error) {
	for {
		var status syscall.WaitStatus
		got, err := syscall.Wait4(-1, &status, 0, nil)
		switch {
		case err == syscall.EINTR:
		case err != nil:
			return exitFailed, fmt.Errorf("wait for children: %w", err)
		case got == pid && status.Signaled():
			return 128 + int(status.Signal()), nil
		case got == pid && status.Exited():
			return status.ExitStatus(), nil
		}
	}
}
