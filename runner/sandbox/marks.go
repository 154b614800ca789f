package sandbox

import (
	"errors"
	"fmt"
	"os"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// A mark is a supplementary group that no other command on this machine has.
// Children inherit it, and a process without CAP_SETGID can neither drop nor
// change it, whatever it forks, setsids or double-forks; /proc/PID/status shows
// it. So it finds all that a command has started, with neither a pid namespace
// nor a cgroup, which a default container does not give.
//
// A lock on one byte of a file that is root's makes it unique among processes,
// and free again however its owner ends. The numbers are the ones that neither
// Debian nor systemd gives to anyone, below 65536 as user namespaces map no more:
// https://systemd.io/UIDS-GIDS.
type mark struct {
	gid  uint32 // 0: no mark
	lock *os.File
}

const (
	firstMark = 60578
	lastMark  = 61183
	markFile  = "/run/autonomous-loop-sandbox.lock"
)

// turn spreads the marks, so that one that has just been given back is the last
// to be taken again.
var turn atomic.Uint32

// claim takes a mark that is free.
func claim() (mark, error) {
	const n = lastMark - firstMark + 1
	f, err := os.OpenFile(markFile, os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return mark{}, fmt.Errorf("claim a mark: %w", err)
	}
	for range n {
		gid := firstMark + turn.Add(1)%n
		switch err := lock(f, gid); {
		case err == nil:
			return mark{gid, f}, nil
		case !errors.Is(err, unix.EAGAIN) && !errors.Is(err, unix.EACCES):
			f.Close()
			return mark{}, fmt.Errorf("claim mark %d: %w", gid, err)
		}
	}
	f.Close()
	return mark{}, fmt.Errorf("claim a mark: all %d are taken by commands that run now", n)
}

// claimOne takes a certain mark, if it is free.
func claimOne(gid uint32) (mark, bool) {
	f, err := os.OpenFile(markFile, os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return mark{}, false
	}
	if lock(f, gid) != nil {
		f.Close()
		return mark{}, false
	}
	return mark{gid, f}, true
}

// lock takes the byte of gid. The lock belongs to the open file, not to the
// process, so that it also holds among the sandboxes of one process.
func lock(f *os.File, gid uint32) error {
	l := unix.Flock_t{Type: unix.F_WRLCK, Start: int64(gid - firstMark), Len: 1}
	return unix.FcntlFlock(f.Fd(), unix.F_OFD_SETLK, &l)
}

// release gives the mark back.
func (m mark) release() {
	if m.lock != nil {
		m.lock.Close()
	}
}
