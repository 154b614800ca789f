package sandbox

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Listens says who accepts connections on a TCP port of this machine: the
// process or what it started, anyone else, both, or nobody. Who asks a port gets
// whoever is there; only this says that it is who was meant.
func (p *Process) Listens(port int) (own, others bool, err error) {
	sockets, err := listening("/proc/net/tcp", port)
	if err == nil {
		var six map[string]bool
		six, err = listening("/proc/net/tcp6", port)
		for inode := range six {
			sockets[inode] = true
		}
	}
	if err != nil {
		return false, false, fmt.Errorf("look up who listens on port %d: %w", port, err)
	}
	if len(sockets) == 0 {
		return false, false, nil
	}
	ps, w, err := survey()
	if err != nil {
		return false, false, fmt.Errorf("look up who listens on port %d: %w", port, err)
	}
	var pids []int
	for _, q := range p.kin.of(ps, w) {
		pids = append(pids, q.pid)
	}
	held := p.s.held(pids, int(p.kin.mark.gid))
	n := 0
	for inode := range sockets {
		if held[inode] {
			n++
		}
	}
	return n > 0, n < len(sockets), nil
}

// listening is the inodes of the sockets of a table of the kernel's that listen
// on port.
func listening(table string, port int) (map[string]bool, error) {
	data, err := os.ReadFile(table)
	if errors.Is(err, fs.ErrNotExist) { // a kernel without IPv6
		return map[string]bool{}, nil
	}
	if err != nil {
		return nil, err
	}
	const listen = "0A"
	at := fmt.Sprintf(":%04X", port)
	inodes := map[string]bool{}
	for line := range bytes.Lines(data) {
		// sl local_address rem_address st tx:rx tr:tm retrnsmt uid timeout inode …
		f := strings.Fields(string(line))
		if len(f) > 9 && strings.HasSuffix(f[1], at) && f[3] == listen {
			inodes[f[9]] = true
		}
	}
	return inodes, nil
}

// held is the inodes of the sockets that the processes of a group have open. What another user
// has open is shown to that user only, where root has not all of its power, as in
// a container; so each of ours is asked in turn by a thread that is that user to
// the file system.
func (s *Sandbox) held(pids []int, group int) map[string]bool {
	users := []user{s.user}
	for _, u := range []user{s.judge, s.browser} {
		if !slices.ContainsFunc(users, func(v user) bool { return v.uid == u.uid }) {
			users = append(users, u)
		}
	}
	inodes := map[string]bool{}
	look := func() {
		for _, pid := range pids {
			d, err := os.Open("/proc/" + strconv.Itoa(pid) + "/fd")
			if err != nil {
				continue // it has gone, or is another's
			}
			names, _ := d.Readdirnames(-1)
			d.Close()
			for _, name := range names {
				to, err := os.Readlink("/proc/" + strconv.Itoa(pid) + "/fd/" + name)
				if inode, ok := strings.CutPrefix(to, "socket:["); err == nil && ok {
					inodes[strings.TrimSuffix(inode, "]")] = true
				}
			}
		}
	}
	if !s.rung.drop {
		look()
		return inodes
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread()            // never unlocked: the thread ends with what it has become
		_, _ = unix.SetfsgidRetGid(group) // if not, it sees less
		for _, u := range users {
			_, _ = unix.SetfsuidRetUid(u.uid)
			look()
			_, _ = unix.SetfsuidRetUid(0)
		}
	}()
	<-done
	return inodes
}
