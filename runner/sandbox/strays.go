package sandbox

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// A proc is one process, as /proc shows it.
type proc struct {
	pid, ppid, sid int
	uid            int
	groups         []uint32
	slot           int // read without root only
	zombie         bool
	threads        int
	filters        int // of seccomp; a confined command has one more than we have
}

// A kin is the processes of one command.
type kin struct {
	mark     mark
	uids     []int // as whom they run
	main     int   // the one that we started and wait for; 0: none, it was wrapped
	confined bool
}

// A world is where this process stands in the process table.
type world struct {
	self, sid int
	filters   int
}

// of picks the processes that belong to k. A group is enough, with the user: on
// a shared machine, somebody may be in a group of that number. A slot counts for
// those who descend from us, with nobody between who is not confined: another
// sandbox may be at work in a child of ours.
func (k kin) of(ps []proc, w world) []proc {
	byPID := make(map[int]proc, len(ps))
	for _, p := range ps {
		byPID[p.pid] = p
	}
	var mine []proc
	for _, p := range ps {
		if !slices.Contains(k.uids, p.uid) {
			continue
		}
		if k.mark.gid != 0 && slices.Contains(p.groups, k.mark.gid) || k.mark.gid == 0 && p.slot == k.mark.slot && k.descends(p, byPID, w) {
			mine = append(mine, p)
		}
	}
	return mine
}

// descends says whether p is a descendant of ours through confined processes.
func (k kin) descends(p proc, byPID map[int]proc, w world) bool {
	for range len(byPID) { // a torn picture of the table could have a cycle
		if k.confined && !p.zombie && p.filters <= w.filters {
			return false
		}
		if p.ppid == w.self {
			return true
		}
		var ok bool
		if p, ok = byPID[p.ppid]; !ok {
			return false
		}
	}
	return false
}

// survey pictures the process table.
func survey() ([]proc, world, error) {
	ps, err := processes()
	if err != nil {
		return nil, world{}, err
	}
	w := world{self: os.Getpid()}
	if w.sid, err = unix.Getsid(0); err != nil {
		return nil, world{}, fmt.Errorf("get the session: %w", err)
	}
	uid := os.Geteuid()
	for i, p := range ps {
		if p.pid == w.self {
			w.filters = p.filters
		}
		if uid != 0 && p.uid == uid {
			if b, err := os.ReadFile(fmt.Sprintf("/proc/%d/oom_score_adj", p.pid)); err == nil {
				ps[i].slot, _ = strconv.Atoi(strings.TrimSpace(string(b)))
			}
		}
	}
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
	buf := make([]byte, 0, 4<<10)
	for _, name := range names {
		pid, err := strconv.Atoi(name)
		if err != nil {
			continue
		}
		if buf, err = slurp(int(d.Fd()), name+"/status", buf[:0]); err == nil { // else it has gone
			ps = append(ps, parseStatus(pid, buf))
		}
	}
	return ps, nil
}

// slurp reads a file below the directory dir into buf. Each command has the
// process table pictured at least once, so this makes no call of the system
// more than that takes, and no garbage.
func slurp(dir int, name string, buf []byte) ([]byte, error) {
	fd, err := unix.Openat(dir, name, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return buf, err
	}
	defer unix.Close(fd)
	for {
		if len(buf) == cap(buf) {
			buf = slices.Grow(buf, cap(buf))
		}
		n, err := unix.Read(fd, buf[len(buf):cap(buf)])
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case err != nil || n == 0:
			return buf, err
		}
		buf = buf[:len(buf)+n]
	}
}

func parseStatus(pid int, status []byte) proc {
	p := proc{pid: pid}
	for line := range bytes.Lines(status) {
		key, value, _ := bytes.Cut(line, []byte(":"))
		switch string(key) {
		case "State":
			value = bytes.TrimSpace(value)
			p.zombie = len(value) > 0 && (value[0] == 'Z' || value[0] == 'X')
		case "PPid":
			p.ppid, _ = leading(value)
		case "NSsid":
			p.sid, _ = leading(value)
		case "Uid":
			p.uid, _ = leading(value)
		case "Groups":
			for n, rest := leading(value); rest != nil; n, rest = leading(rest) {
				p.groups = append(p.groups, uint32(n)) //nolint:gosec // a group's number has 32 bits
			}
		case "Threads":
			p.threads, _ = leading(value)
		case "Seccomp_filters":
			p.filters, _ = leading(value)
		}
	}
	return p
}

// leading is the first number of a list between blanks, and what comes after it;
// rest is nil if there is none.
func leading(list []byte) (n int, rest []byte) {
	list = bytes.TrimLeft(list, " \t\n")
	i := 0
	for ; i < len(list) && list[i] >= '0' && list[i] <= '9'; i++ {
		n = n*10 + int(list[i]-'0')
	}
	if i == 0 {
		return 0, nil
	}
	return n, list[i:]
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
		alive, lost := 0, false
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
			case p.ppid != w.self:
				// Its parent's to bury, and ours once that has died, which it may
				// have since the picture began.
				lost = lost || !slices.ContainsFunc(ps, func(q proc) bool { return q.pid == p.ppid && !q.zombie })
			case p.pid != k.main && p.sid != w.sid: // those are waited for by whoever started them
				_, _ = unix.Wait4(p.pid, nil, unix.WNOHANG, nil)
			}
		}
		if alive == 0 && !lost {
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
			if !p.zombie && slices.Contains(uids, p.uid) && gid >= firstMark && gid <= lastMark {
				marks[gid] = true
			}
		}
	}
	for gid := range marks {
		m, ok := claimOne(gid)
		if !ok {
			continue
		}
		_, err := kin{mark: m, uids: uids}.end()
		m.release()
		if err != nil {
			return fmt.Errorf("end what an earlier session left behind: %w", err)
		}
	}
	return nil
}
