package crash

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// A tracer runs the program as it was built, with all processes that it starts,
// and stops each of their system calls that changes something on the disk: before
// it is carried out, and where it is asked to after it. That is what a debugger
// does (ptrace). A filter (seccomp) lets all other calls pass, so that a traced
// loop takes little longer than one that is not.

// A call is a system call that changes the disk.
type call struct {
	by   string // name of the program that makes it
	what string // name of the call
	path string // on what, without what differs from run to run
}

func (c call) String() string { return c.by + " " + c.what + " " + c.path }

// changing are the calls that change the disk, those that every architecture
// has. The paths of a call, or the open file, are among its arguments.
var changing = map[uint32]changes{
	unix.SYS_RENAMEAT: {"rename", 3}, unix.SYS_RENAMEAT2: {"rename", 3}, unix.SYS_LINKAT: {"link", 3}, unix.SYS_SYMLINKAT: {"symlink", 2},
	unix.SYS_UNLINKAT: {"unlink", 1}, unix.SYS_MKDIRAT: {"mkdir", 1}, unix.SYS_OPENAT: {"open", 1}, unix.SYS_TRUNCATE: {"truncate", 0 | plain},
	unix.SYS_FTRUNCATE: {"ftruncate", open}, unix.SYS_WRITE: {"write", open}, unix.SYS_PWRITE64: {"write", open}, unix.SYS_WRITEV: {"write", open},
	unix.SYS_COPY_FILE_RANGE: {"copy", 2 | open}, unix.SYS_FCHMODAT: {"chmod", 1}, unix.SYS_FCHMOD: {"chmod", open},
}

// changes says what a call is, and which argument names what it changes: the
// number of one that holds a path, with the directory before it, or of one that
// is an open file.
type changes struct {
	what string
	arg  int
}

const (
	open  = 1 << 8
	plain = 1 << 9 // a path without a directory before it
)

// stub puts the filter on this process and becomes the program, if it is started
// as that.
func stub() {
	if os.Getenv(stubVariable) == "" {
		return
	}
	err := os.Unsetenv(stubVariable)
	if err == nil {
		err = filtered()
	}
	if err == nil {
		err = syscall.Exec(os.Args[1], os.Args[1:], os.Environ())
	}
	fmt.Fprintln(os.Stderr, "stub:", err)
	os.Exit(125)
}

const stubVariable = "CRASH_STUB"

func filtered() error {
	trace, pass := bpf.RetConstant{Val: unix.SECCOMP_RET_TRACE}, bpf.RetConstant{Val: unix.SECCOMP_RET_ALLOW}
	program := []bpf.Instruction{bpf.LoadAbsolute{Off: 0, Size: 4}}
	for nr, c := range all() {
		body := []bpf.Instruction{trace}
		if c.what == "open" { // changes something if it creates a file, or empties it
			flags := 16 + 8*uint32(c.arg&^plain+1)
			body = []bpf.Instruction{bpf.LoadAbsolute{Off: flags, Size: 4}, bpf.JumpIf{Cond: bpf.JumpBitsSet, Val: unix.O_CREAT | unix.O_TRUNC, SkipTrue: 1}, pass, trace}
		}
		program = append(append(program, bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: nr, SkipTrue: uint8(len(body))}), body...)
	}
	raw, err := bpf.Assemble(append(program, pass))
	if err != nil {
		return err
	}
	runtime.LockOSThread() // what is allowed to a thread is its own
	prog := unix.SockFprog{Len: uint16(len(raw)), Filter: (*unix.SockFilter)(unsafe.Pointer(&raw[0]))}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return err
	}
	if _, _, e := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, unix.SECCOMP_FILTER_FLAG_TSYNC, uintptr(unsafe.Pointer(&prog))); e != 0 {
		return e
	}
	return nil
}

func all() map[uint32]changes {
	all := maps.Clone(changing)
	maps.Copy(all, older)
	return all
}

// A traced is one run of the program under a tracer.
type traced struct {
	roots map[string]string // directories whose changes count, by what they are called
	// meet is asked before each call, and says whether it is the last.
	meet func(c call) death

	main   int
	calls  map[uint32]changes
	mu     sync.Mutex
	tasks  map[int]death // all there are: how they die when the call that they make is carried out
	killed bool
}

// A death is how a program is killed at a call.
type death struct {
	at    kill // before the call, or after it; "": not at all
	alone bool // the process that makes the call, and no other
}

// run starts a command and follows it, and all that it starts, to their end. It
// returns how the program itself ended.
func (tr *traced) run(cmd *exec.Cmd) (syscall.WaitStatus, error) {
	runtime.LockOSThread() // who traces is a thread
	defer runtime.UnlockOSThread()
	tr.tasks, tr.calls = map[int]death{}, all()
	self, err := os.Executable()
	if err != nil {
		return 0, err
	}
	null, err := os.Open(os.DevNull)
	if err != nil {
		return 0, err
	}
	defer null.Close()
	out := cmd.Stdout.(*os.File)
	p, err := os.StartProcess(self, append([]string{self}, cmd.Args...), &os.ProcAttr{
		Dir: cmd.Dir, Env: append([]string{stubVariable + "=1"}, cmd.Env...), Files: []*os.File{null, out, out}, Sys: &syscall.SysProcAttr{Ptrace: true, Setpgid: true},
	})
	if err != nil {
		return 0, err
	}
	tr.main = p.Pid
	if err := p.Release(); err != nil {
		return 0, err
	}
	const long = 10 * time.Minute
	late := time.AfterFunc(long, tr.kill)
	defer late.Stop()
	var end syscall.WaitStatus
	ready := false
	for {
		var status syscall.WaitStatus
		pid, err := syscall.Wait4(-1, &status, unix.WALL|unix.WNOTHREAD, nil)
		if errors.Is(err, syscall.EINTR) {
			continue
		}
		if errors.Is(err, syscall.ECHILD) {
			return end, nil
		}
		if err != nil {
			return end, err
		}
		if status.Exited() || status.Signaled() {
			tr.forget(pid)
			if pid == tr.main {
				end = status
			}
			continue
		}
		if !ready {
			ready = true
			if err := syscall.PtraceSetOptions(pid, unix.PTRACE_O_TRACECLONE|unix.PTRACE_O_TRACEFORK|unix.PTRACE_O_TRACEVFORK|
				unix.PTRACE_O_TRACESYSGOOD|unix.PTRACE_O_TRACESECCOMP|unix.PTRACE_O_EXITKILL); err != nil {
				return end, fmt.Errorf("ptrace: %w", err)
			}
		}
		tr.stopped(pid, status)
	}
}

// stopped lets a task that has stopped go on, or kills it, or everything.
func (tr *traced) stopped(pid int, status syscall.WaitStatus) {
	tr.mu.Lock()
	dies, known := tr.tasks[pid]
	if !known {
		tr.tasks[pid] = death{}
	}
	killed := tr.killed
	tr.mu.Unlock()
	if killed {
		_ = syscall.Kill(pid, syscall.SIGKILL)
		return
	}
	signal := 0
	switch s := status.StopSignal(); {
	case s == syscall.SIGTRAP|0x80: // a call was carried out
		if dies.at == after {
			tr.die(pid, dies)
			return
		}
	case s == syscall.SIGTRAP && status.TrapCause() == unix.PTRACE_EVENT_SECCOMP:
		c, ok := tr.call(pid)
		if !ok {
			break
		}
		switch dies := tr.meet(c); dies.at {
		case before:
			tr.die(pid, dies)
			return
		case after:
			tr.mu.Lock()
			tr.tasks[pid] = dies
			tr.mu.Unlock()
			_ = syscall.PtraceSyscall(pid, 0)
			return
		case lost: // no answer is lost here
		}
	case s == syscall.SIGTRAP: // another event, or the new program
	case s == syscall.SIGSTOP && !known: // it begins
	default:
		signal = int(s)
	}
	_ = syscall.PtraceCont(pid, signal) // unless somebody else has killed it
}

func (tr *traced) die(pid int, d death) {
	if d.alone {
		_ = syscall.Kill(pid, syscall.SIGKILL) // all of its threads
		return
	}
	tr.kill()
}

// kill kills everything at once, as the end of the machine would.
func (tr *traced) kill() {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	tr.killed = true
	for pid := range tr.tasks {
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
}

func (tr *traced) forget(pid int) {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	delete(tr.tasks, pid)
}

// call reads which call a task is about to make, if it is one that counts.
func (tr *traced) call(pid int) (call, bool) {
	var info struct {
		op   uint8
		_    [3]uint8
		arch uint32
		_    [2]uint64 // where it is
		nr   uint64
		args [6]uint64
		ret  uint32
	}
	if _, _, e := syscall.Syscall6(unix.SYS_PTRACE, unix.PTRACE_GET_SYSCALL_INFO, uintptr(pid), unsafe.Sizeof(info), uintptr(unsafe.Pointer(&info)), 0, 0); e != 0 {
		return call{}, false
	}
	c, ok := tr.calls[uint32(info.nr)]
	if !ok {
		return call{}, false
	}
	link := func(name string) string {
		to, _ := os.Readlink(fmt.Sprintf("/proc/%d/%s", pid, name))
		return to
	}
	var path string
	switch arg := c.arg &^ (open | plain); {
	case c.arg&open != 0:
		path = link(fmt.Sprint("fd/", int32(info.args[arg])))
	default:
		path = peek(pid, uintptr(info.args[arg]))
		at := "cwd"
		if c.arg&plain == 0 && int32(info.args[arg-1]) != unix.AT_FDCWD {
			at = fmt.Sprint("fd/", int32(info.args[arg-1]))
		}
		if !filepath.IsAbs(path) {
			path = filepath.Join(link(at), path)
		}
	}
	name, ok := class(tr.roots, path)
	if !ok {
		return call{}, false
	}
	by, _ := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
	return call{strings.TrimSpace(string(by)), c.what, name}, true
}

// peek reads a text of a task.
func peek(pid int, at uintptr) string {
	buf := make([]byte, 4096)
	f, err := os.Open(fmt.Sprintf("/proc/%d/mem", pid))
	if err != nil {
		return ""
	}
	defer f.Close()
	n, err := f.ReadAt(buf, int64(at))
	if err != nil && !errors.Is(err, io.EOF) && n == 0 {
		return ""
	}
	text, _, _ := strings.Cut(string(buf[:n]), "\x00")
	return text
}

var differing = []struct {
	re *regexp.Regexp
	as string
}{
	{regexp.MustCompile(`(/objects|incoming-\w+)/[0-9a-f]{2}(/|$)`), "$1/H$2"},
	{regexp.MustCompile(`[0-9a-f]{12,}`), "H"},
	{regexp.MustCompile(`tmp_(pack|idx|rev|obj)_\w+`), "tmp_${1}_H"},
	{regexp.MustCompile(`incoming-\w+`), "incoming-H"},
	{regexp.MustCompile(`\d+`), "N"},
}

// class is a path below one of the roots, without what differs from run to run.
func class(roots map[string]string, path string) (string, bool) {
	for name, root := range roots {
		below, ok := strings.CutPrefix(filepath.Clean(path), root)
		if !ok {
			continue
		}
		for _, d := range differing {
			below = d.re.ReplaceAllString(below, d.as)
		}
		return name + below, true
	}
	return "", false
}
