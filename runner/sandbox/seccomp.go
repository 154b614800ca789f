package sandbox

import (
	"fmt"
	"runtime"
	"unsafe"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// The filter is written out here, and not asked of a library, for two reasons.
// The libraries send a foreign architecture (int 0x80 in a 64-bit program) to
// the default action, which in a list of denials is to allow. And they compare
// 64 bits where the kernel looks at 32: socket(AF_INET | 1<<32) would pass, as
// TIOCSTI once did in other sandboxes (CVE-2019-10063). Only the lower words of
// arguments are compared below.

// denied are the system calls that no build and no test needs, and that reach
// other processes, the kernel's rarer parts, or out of the sandbox.
var denied = []uint32{
	// Other processes.
	unix.SYS_PTRACE, unix.SYS_PROCESS_VM_READV, unix.SYS_PROCESS_VM_WRITEV, unix.SYS_PIDFD_GETFD, unix.SYS_KCMP, unix.SYS_PROCESS_MADVISE,
	// Keys, and doors into the kernel that had many holes or that go round the
	// other rules, as io_uring does.
	unix.SYS_ADD_KEY, unix.SYS_REQUEST_KEY, unix.SYS_KEYCTL, unix.SYS_BPF, unix.SYS_PERF_EVENT_OPEN, unix.SYS_USERFAULTFD,
	unix.SYS_IO_URING_SETUP, unix.SYS_IO_URING_ENTER, unix.SYS_IO_URING_REGISTER, unix.SYS_FANOTIFY_INIT,
	unix.SYS_INIT_MODULE, unix.SYS_FINIT_MODULE, unix.SYS_DELETE_MODULE, unix.SYS_KEXEC_LOAD, unix.SYS_KEXEC_FILE_LOAD, unix.SYS_OPEN_BY_HANDLE_AT,
	// Queues that outlive whoever made them, and stand in no directory that we could look into.
	unix.SYS_MQ_OPEN,
	// Mounts and namespaces; clone with such flags is below.
	unix.SYS_MOUNT, unix.SYS_UMOUNT2, unix.SYS_PIVOT_ROOT, unix.SYS_CHROOT, unix.SYS_SETNS, unix.SYS_UNSHARE, unix.SYS_FSOPEN, unix.SYS_FSMOUNT,
	unix.SYS_FSCONFIG, unix.SYS_FSPICK, unix.SYS_MOVE_MOUNT, unix.SYS_OPEN_TREE, unix.SYS_MOUNT_SETATTR,
	// The machine.
	unix.SYS_SWAPON, unix.SYS_SWAPOFF, unix.SYS_REBOOT, unix.SYS_ACCT, unix.SYS_SETTIMEOFDAY, unix.SYS_CLOCK_SETTIME, unix.SYS_QUOTACTL, unix.SYS_SYSLOG,
}

const (
	namespaces = unix.CLONE_NEWUSER | unix.CLONE_NEWNS | unix.CLONE_NEWNET | unix.CLONE_NEWPID | unix.CLONE_NEWUTS | unix.CLONE_NEWIPC | unix.CLONE_NEWCGROUP

	x32Bit      = 0x40000000 // amd64 numbers with this bit are the x32 ABI: the same calls again
	typeMask    = 0xf        // of socket's second argument; the rest are flags
	addrNoRand  = 0x0040000  // ADDR_NO_RANDOMIZE, which the race detector asks for
	personality = 0xffffffff // asks for the personality and changes nothing
	tioclinux   = 0x541c
)

var (
	allow  = bpf.RetConstant{Val: unix.SECCOMP_RET_ALLOW}
	refuse = bpf.RetConstant{Val: unix.SECCOMP_RET_ERRNO | uint32(unix.EPERM)}
	absent = bpf.RetConstant{Val: unix.SECCOMP_RET_ERRNO | uint32(unix.ENOSYS)}
	kill   = bpf.RetConstant{Val: unix.SECCOMP_RET_KILL_PROCESS}
)

// filter is the program that sees every system call of a command.
func filter(arch string, n Net, unixSockets bool) []bpf.Instruction {
	audit := map[string]uint32{"amd64": unix.AUDIT_ARCH_X86_64, "arm64": unix.AUDIT_ARCH_AARCH64}[arch]
	p := []bpf.Instruction{bpf.LoadAbsolute{Off: 4, Size: 4}}
	p = append(p, unless(audit, kill)...)
	p = append(p, bpf.LoadAbsolute{Off: 0, Size: 4})
	if arch == "amd64" {
		p = append(p, bpf.JumpIf{Cond: bpf.JumpLessThan, Val: x32Bit, SkipTrue: 1}, kill)
	}
	for _, nr := range denied {
		p = append(p, when(nr, refuse)...)
	}
	// clone3 has its flags in memory, where a filter cannot look. Told that it
	// does not exist, libc falls back to clone.
	p = append(p, when(unix.SYS_CLONE3, absent)...)
	p = append(p, when(unix.SYS_CLONE, arg(0), bpf.JumpIf{Cond: bpf.JumpBitsNotSet, Val: namespaces, SkipTrue: 1}, refuse, allow)...)
	// Typing into a terminal that was inherited.
	p = append(p, when(unix.SYS_IOCTL, list(arg(1), when(unix.TIOCSTI, refuse), when(tioclinux, refuse), allow)...)...)
	// A process may limit itself, but not another: without a user of its own
	// that other could be us.
	p = append(p, when(unix.SYS_PRLIMIT64, list(arg(0), when(0, allow), refuse)...)...)
	p = append(p, when(unix.SYS_PERSONALITY, list(arg(0), when(personality, allow), when(0, allow), when(addrNoRand, allow), refuse)...)...)
	p = append(p, when(unix.SYS_SOCKET, sockets(n, unixSockets)...)...)
	return append(p, allow)
}

// sockets names what may be opened, and refuses the other forty families.
func sockets(n Net, unixSockets bool) []bpf.Instruction {
	internet := []bpf.Instruction{refuse}
	switch n {
	case None:
	case Full:
		internet = []bpf.Instruction{allow}
	case Local:
		// Plain TCP. Landlock's rules for ports see neither UDP nor MPTCP nor SCTP.
		internet = list(arg(1), bpf.ALUOpConstant{Op: bpf.ALUOpAnd, Val: typeMask}, unless(unix.SOCK_STREAM, refuse),
			arg(2), when(0, allow), when(unix.IPPROTO_TCP, allow), refuse)
	}
	path := refuse
	if unixSockets {
		path = allow
	}
	return list(arg(0),
		when(unix.AF_UNIX, path),
		// What network cards there are: getaddrinfo and node want to know.
		when(unix.AF_NETLINK, list(arg(2), when(unix.NETLINK_ROUTE, allow), refuse)...),
		when(unix.AF_INET, internet...),
		when(unix.AF_INET6, internet...),
		refuse)
}

// arg loads the lower word of an argument, on the little-endian machines that
// climb accepts.
func arg(n uint32) bpf.Instruction { return bpf.LoadAbsolute{Off: 16 + 8*n, Size: 4} }

// when runs body, which must end the program, if what is loaded is v.
func when(v uint32, body ...bpf.Instruction) []bpf.Instruction {
	return append([]bpf.Instruction{bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: v, SkipTrue: uint8(len(body))}}, body...) //nolint:gosec // bodies are a few instructions long
}

// unless runs body, which must end the program, if what is loaded is not v.
func unless(v uint32, body ...bpf.Instruction) []bpf.Instruction {
	return append([]bpf.Instruction{bpf.JumpIf{Cond: bpf.JumpEqual, Val: v, SkipTrue: uint8(len(body))}}, body...) //nolint:gosec // bodies are a few instructions long
}

// list joins instructions and lists of them.
func list(parts ...any) []bpf.Instruction {
	var p []bpf.Instruction
	for _, part := range parts {
		switch part := part.(type) {
		case bpf.Instruction:
			p = append(p, part)
		case []bpf.Instruction:
			p = append(p, part...)
		}
	}
	return p
}

// load puts the filter on the calling thread, for good.
func load(n Net, unixSockets bool) error {
	raw, err := bpf.Assemble(filter(runtime.GOARCH, n, unixSockets))
	if err != nil {
		return fmt.Errorf("assemble the filter: %w", err)
	}
	prog := unix.SockFprog{Len: uint16(len(raw)), Filter: (*unix.SockFilter)(unsafe.Pointer(&raw[0]))} //nolint:gosec // the kernel takes at most 4096
	if _, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, 0, uintptr(unsafe.Pointer(&prog))); errno != 0 {
		return fmt.Errorf("set the filter: %w", errno)
	}
	return nil
}
