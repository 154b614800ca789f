package sandbox

import (
	"fmt"
	"os"
	"runtime"
	"unsafe"

	ll "github.com/landlock-lsm/go-landlock/landlock/syscall"
	"golang.org/x/sys/unix"
)

// A machine is what there is to build a sandbox from.
type machine struct {
	root    bool
	uid     int
	abi     int // of Landlock; 0: none
	seccomp bool
	arch    string
}

// A rung is one step of the ladder of isolations: what holds the commands.
type rung struct {
	confine bool // Landlock and seccomp
	drop    bool // to users of their own
	abi     int
	local   bool // the network [Local] can be had
	unix    bool // unix sockets may be opened
	line    string
}

// Landlock by what came when; https://docs.kernel.org/userspace-api/landlock.html.
const (
	abiRefer = 2 // Linux 5.19; before it, go-landlock drops a ruleset that mentions refer, and with it everything
	abiTCP   = 4 // Linux 6.7
	abiScope = 6 // Linux 6.12: signals and abstract unix sockets
	abiUnix  = 9 // unix sockets that have a path
)

// look asks the kernel what it offers.
func look() machine {
	m := machine{root: os.Geteuid() == 0, uid: os.Geteuid(), arch: runtime.GOARCH}
	if abi, err := ll.LandlockGetABIVersion(); err == nil {
		m.abi = abi
	}
	action := uint32(unix.SECCOMP_RET_KILL_PROCESS)
	_, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_GET_ACTION_AVAIL, 0, uintptr(unsafe.Pointer(&action)))
	m.seccomp = errno == 0
	return m
}

// climb decides how commands are held on m. It never goes below what was asked
// for: what cannot be had is an error that says what to do.
func climb(isolation string, m machine, uid uint32) (rung, error) {
	const hint = "; run where it is offered, or say isolation: none to run commands with no protection at all"
	switch isolation {
	case "none":
		return rung{
			local: true, unix: true,
			line: "none: commands run with all rights of this process; nothing protects its files, secrets and network from them",
		}, nil
	case "auto", "landlock", "":
	default:
		return rung{}, fmt.Errorf("isolation %q: want auto, landlock or none", isolation)
	}
	switch {
	case m.arch != "amd64" && m.arch != "arm64":
		return rung{}, fmt.Errorf("isolation landlock: not known to hold on %s%s", m.arch, hint)
	case !m.seccomp:
		return rung{}, fmt.Errorf("isolation landlock: this kernel or container refuses seccomp filters%s", hint)
	case m.abi < abiRefer:
		return rung{}, fmt.Errorf("isolation landlock: Landlock ABI %d, and it takes %d (Linux 5.19 with Landlock switched on; Docker 20.10.18)%s", m.abi, abiRefer, hint)
	case !m.root && m.abi < abiScope:
		// Without a user of their own, only this scope keeps commands from
		// sending signals to us.
		return rung{}, fmt.Errorf("isolation landlock: Landlock ABI %d, and without root it takes %d (Linux 6.12)%s", m.abi, abiScope, hint)
	}
	// Without root, the sockets of the person's own agents (ssh, gpg, docker,
	// the session bus) would be one connect away; until Landlock sees them,
	// only no unix sockets at all will do.
	r := rung{confine: true, drop: m.root, abi: m.abi, local: m.abi >= abiTCP, unix: m.root || m.abi >= abiUnix}
	who := fmt.Sprintf("as uid %d", uid)
	if !m.root {
		who = fmt.Sprintf("as you (uid %d)", m.uid)
	}
	r.line = fmt.Sprintf("landlock: commands run %s under Landlock (ABI %d) and seccomp, without this process's environment", who, m.abi)
	if !r.local {
		r.line += "; network none or full, as local takes ABI 4 (Linux 6.7)"
	}
	if !r.unix {
		r.line += "; no unix sockets"
	}
	return r, nil
}
