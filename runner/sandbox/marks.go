package sandbox

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// A mark is what all processes of one command have, and no others of ours. It
// finds whatever a command has started, however that forked and hid, with
// neither a pid namespace nor a cgroup, which a default container does not give.
//
// As root it is a group, the only one that they have. Children inherit it, a process without
// CAP_SETGID can neither drop nor change it, and /proc/PID/status shows it. A
// lock on one byte of a file that is root's makes it unique among processes, and
// free again however its owner ends.
//
// Without root it is a slot: the value of oom_score_adj, which children inherit
// too, and which they could change through /proc alone, where Landlock does not
// let them write. It is unique among the children of this process, and counts
// only for them.
type mark struct {
	gid  uint32
	lock *os.File
	slot int
}

// The groups that neither Debian nor systemd gives to anyone, below 65536 as
// user namespaces map no more: https://systemd.io/UIDS-GIDS. The slots all make
// the kernel take a command before us, should memory run out.
const (
	firstMark = 60578
	lastMark  = 61183
	markFile  = "/run/autonomous-loop-sandbox.lock"

	firstSlot = 500
	lastSlot  = 999
)

// claimed are the slots in use. The children of a process are known to it, and
// not to its sandboxes, so neither are these.
var claimed = struct {
	sync.Mutex
	slots map[int]bool
}{slots: map[int]bool{}}

// turn spreads the marks, so that one that has just been given back is the last
// to be taken again.
var turn atomic.Uint32

// claim takes a mark that is free.
func claim() (mark, error) {
	if os.Geteuid() == 0 {
		return claimGroup()
	}
	const n = lastSlot - firstSlot + 1
	claimed.Lock()
	defer claimed.Unlock()
	for range n {
		slot := firstSlot + int(turn.Add(1)%n)
		if !claimed.slots[slot] {
			claimed.slots[slot] = true
			return mark{slot: slot}, nil
		}
	}
	return mark{}, fmt.Errorf("claim a mark: all %d are taken by commands that run now", n)
}

func claimGroup() (mark, error) {
	const n = lastMark - firstMark + 1
	f, err := os.OpenFile(markFile, os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return mark{}, fmt.Errorf("claim a mark: %w", err)
	}
	for range n {
		gid := firstMark + turn.Add(1)%n
		switch err := lock(f, gid); {
		case err == nil:
			return mark{gid: gid, lock: f, slot: firstSlot}, nil
		case !errors.Is(err, unix.EAGAIN) && !errors.Is(err, unix.EACCES):
			f.Close()
			return mark{}, fmt.Errorf("claim mark %d: %w", gid, err)
		}
	}
	f.Close()
	return mark{}, fmt.Errorf("claim a mark: all %d are taken by commands that run now", n)
}

// claimOne takes a certain group, if it is free.
func claimOne(gid uint32) (mark, bool) {
	f, err := os.OpenFile(markFile, os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return mark{}, false
	}
	if lock(f, gid) != nil {
		f.Close()
		return mark{}, false
	}
	return mark{gid: gid, lock: f, slot: firstSlot}, true
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
		return
	}
	claimed.Lock()
	defer claimed.Unlock()
	delete(claimed.slots, m.slot)
}
