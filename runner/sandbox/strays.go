package sandbox

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// A proc is one process, as /proc shows it.
type proc struct {
	pid, ppid, sid int
	uid            int
	groups         []uint32
	zombie         bool
	threads        int
	filters        int // of seccomp; a confined command has one more than we have
}

// A kin is what makes a process one of a command's.
type kin struct {
	mark     uint32 // its mark; 0 where there can be none
	uids     []int  // of whom a process with that mark must be
	main     int    // the process that was started; 0: all that wrappers have started
	confined bool
}

// A world is what else there is in this process's part of the process table.
type world struct {
	self, sid int
	filters   int
	mains     map[int]bool // the processes that were started and not yet waited for, of all sandboxes of this process
}

// of picks the processes that belong to k.
//
// With a mark that is simple. Without root there is none; then it is who
// descends from the command, and who was orphaned into our arms (we are the
// subreaper) in its session, or in a session of which no running command is the
// leader: the last thing a command can do to hide is to call setsid, and then it
// belongs to nobody and dies with whichever command ends next. Processes in our
// own session were not started here, but by a wrapper or by other code.
func (k kin) of(ps []proc, w world) []proc {
	var mine []proc
	if k.mark != 0 {
		for _, p := range ps {
			if slices.Contains(k.uids, p.uid) && slices.Contains(p.groups, k.mark) {
				mine = append(mine, p)
			}
		}
		return mine
	}
	byPID := make(map[int]proc, len(ps))
	for _, p := range ps {
		byPID[p.pid] = p
	}
	for _, p := range ps {
		if k.confined && p.filters <= w.filters && !p.zombie {
			continue
		}
		top, main, ok := climbTo(p, byPID, w)
		switch {
		case !ok:
		case main != 0:
			if main == k.main {
				mine = append(mine, p)
			}
		case k.main == 0 && top.sid == w.sid:
			mine = append(mine, p)
		case k.main != 0 && (p.sid == k.main || top.sid == k.main):
			mine = append(mine, p)
		case top.sid != w.sid && !w.mains[top.sid] && !w.mains[p.sid]:
			mine = append(mine, p)
		}
	}
	return mine
}

// climbTo finds the ancestor of p (or p) that is our child, and the first
// process on the way that was started as a command.
func climbTo(p proc, byPID map[int]proc, w world) (top proc, main int, ok bool) {
	for range len(byPID) { // a torn picture of the table could have a cycle
		if w.mains[p.pid] && main == 0 {
			main = p.pid
		}
		if p.ppid == w.self {
			return p, main, true
		}
		p, ok = byPID[p.ppid]
		if !ok || p.pid == w.self {
			break
		}
	}
	return proc{}, 0, false
}

// running are the commands of all sandboxes of this process. The process table
// knows processes and not sandboxes, so neither does this.
var running = struct {
	sync.Mutex
	mains map[int]bool
}{mains: map[int]bool{}}

// enrol starts a process and notes it, before anyone can take it for a stray.
func enrol(start func() (pid int, err error)) error {
	running.Lock()
	defer running.Unlock()
	pid, err := start()
	if err == nil {
		running.mains[pid] = true
	}
	return err
}

// over forgets a process that has been waited for.
func over(pid int) {
	running.Lock()
	defer running.Unlock()
	delete(running.mains, pid)
}

// survey pictures the process table. The commands are read after the processes:
// whoever is in the picture then is noted.
func survey() ([]proc, world, error) {
	ps, err := processes()
	if err != nil {
		return nil, world{}, err
	}
	w := world{self: os.Getpid()}
	if w.sid, err = unix.Getsid(0); err != nil {
		return nil, world{}, fmt.Errorf("get the session: %w", err)
	}
	for _, p := range ps {
		if p.pid == w.self {
			w.filters = p.filters
		}
	}
	running.Lock()
	defer running.Unlock()
	w.mains = maps.Clone(running.mains)
	return ps, w, nil
}

func processes() ([]proc, error) {
	d, err := os.Open("/proc")
	if err != nil {
		return nil, err
	}
	defer d.Close()
	names, err := d.Readdirnames(-1)
	if err != nil {
		return nil, err
	}
	var ps []proc
	for _, name := range names {
		pid, err := strconv.Atoi(name)
		if err != nil {
			continue
		}
		status, err := os.ReadFile("/proc/" + name + "/status")
		if err != nil {
			continue // It has gone.
		}
		ps = append(ps, parseStatus(pid, string(status)))
	}
	return ps, nil
}

func parseStatus(pid int, status string) proc {
	p := proc{pid: pid}
	for line := range strings.Lines(status) {
		key, value, _ := strings.Cut(line, ":")
		words := strings.Fields(value)
		if len(words) == 0 {
			continue
		}
		switch key {
		case "State":
			p.zombie = words[0] == "Z" || words[0] == "X"
		case "PPid":
			p.ppid, _ = strconv.Atoi(words[0])
		case "NSsid":
			p.sid, _ = strconv.Atoi(words[0])
		case "Uid":
			p.uid, _ = strconv.Atoi(words[0])
		case "Groups":
			for _, word := range words {
				if gid, err := strconv.ParseUint(word, 10, 32); err == nil {
					p.groups = append(p.groups, uint32(gid))
				}
			}
		case "Threads":
			p.threads, _ = strconv.Atoi(words[0])
		case "Seccomp_filters":
			p.filters, _ = strconv.Atoi(words[0])
		}
	}
	return p
}

// tell sends a signal to all of k.
func (k kin) tell(sig unix.Signal) error {
	ps, w, err := survey()
	if err != nil {
		return err
	}
	for _, p := range k.of(ps, w) {
		if !p.zombie {
			_ = unix.Kill(p.pid, sig) // whoever has gone needs no signal
		}
	}
	return nil
}

// end kills all of k and buries the orphans among it, and says how many were
// alive besides the process that was started.
func (k kin) end() (int, error) {
	const tries = 300
	killed := map[int]bool{}
	for try := range tries {
		ps, w, err := survey()
		if err != nil {
			return len(killed), err
		}
		alive, left := 0, false
		mine := k.of(ps, w)
		for _, p := range mine {
			if !p.zombie && try == 0 {
				_ = unix.Kill(p.pid, unix.SIGSTOP) // freeze all first, so that fewer fork away
			}
		}
		for _, p := range mine {
			switch {
			case !p.zombie:
				_ = unix.Kill(p.pid, unix.SIGKILL)
				alive++
				if p.pid != k.main {
					killed[p.pid] = true
				}
			case w.mains[p.pid] || p.ppid == w.self && p.sid == w.sid:
				// Whoever started it waits for it.
			case p.ppid == w.self:
				_, _ = unix.Wait4(p.pid, nil, unix.WNOHANG, nil)
			default:
				left = left || try < tries/4 // its parent is about to die or to bury it; not for ever
			}
		}
		if alive == 0 && !left {
			return len(killed), nil
		}
		pause(time.Duration(min(try, 20)) * time.Millisecond)
	}
	return len(killed), fmt.Errorf("processes of a command would not die within %d rounds", tries)
}

// pause waits for the kernel, which tells nobody when a process is gone that is
// not a child.
func pause(d time.Duration) {
	if d > 0 {
		<-time.NewTimer(d).C
	}
}

// sweep kills what commands left behind whose process was killed: those with a
// mark that nobody holds.
func sweep(uids []int) error {
	ps, _, err := survey()
	if err != nil {
		return err
	}
	marks := map[uint32]bool{}
	for _, p := range ps {
		for _, gid := range p.groups {
			if slices.Contains(uids, p.uid) && gid >= firstMark && gid <= lastMark {
				marks[gid] = true
			}
		}
	}
	for gid := range marks {
		m, ok := claimOne(gid)
		if !ok {
			continue
		}
		_, err := kin{mark: gid, uids: uids}.end()
		m.release()
		if err != nil {
			return fmt.Errorf("end what an earlier session left behind: %w", err)
		}
	}
	return nil
}
