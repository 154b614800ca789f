package sandbox

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

const canary = "sk-canary-6f1d2c"

// A victim stands for the process that holds the secrets, so that an attack that
// succeeds does not take the test with it.
type victim struct {
	PID      int
	Address  uintptr // of the canary in its memory
	FD       int     // of a file that only it may open
	Abstract string  // socket
	Path     string  // socket, mode 0660
}

// TestAttacks tries to get out: each attack first unconfined, where it must
// succeed, lest it prove nothing, then in the sandbox.
func TestAttacks(t *testing.T) {
	t.Setenv("LOOP_SECRET", canary)
	s, work := box(t, Options{})
	out := place(t)
	file := func(name string, mode os.FileMode) string {
		path := filepath.Join(out, name)
		if err := errors.Join(os.WriteFile(path, []byte(canary), mode), os.Chmod(path, mode)); err != nil {
			t.Fatal(err)
		}
		return path
	}
	closed, open, writable := file("closed", 0o600), file("open", 0o644), file("writable", 0o666)
	if err := os.Chmod(out, 0o777); err != nil {
		t.Fatal(err)
	}
	// A descriptor that nobody marked close-on-exec.
	leaked, err := unix.Open(closed, unix.O_RDONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(leaked)
	v := startVictim(t, out, closed)
	pid := strconv.Itoa(v.PID)

	// What else can stand in the way of an unconfined attack.
	container := func() bool { return exists("/.dockerenv") }
	sysctl := func(name string) func() bool {
		return func() bool {
			b, err := os.ReadFile("/proc/sys/" + name)
			return err == nil && strings.TrimSpace(string(b)) != "0" || container()
		}
	}
	yama := sysctl("kernel/yama/ptrace_scope")
	notRoot := func() bool { return !asRoot }
	for _, a := range []struct {
		name   string
		args   []string
		net    Net
		spared func() bool // the machine may refuse it by itself
	}{
		{name: "own environment", args: []string{"environ", "self"}},
		{name: "its environment", args: []string{"environ", pid}, spared: container},
		{name: "its memory", args: []string{"mem", pid, fmt.Sprint(v.Address)}, spared: yama},
		{name: "ptrace", args: []string{"ptrace", pid}, spared: yama},
		{name: "process_vm_readv", args: []string{"vmread", pid, fmt.Sprint(v.Address)}, spared: yama},
		{name: "pidfd_getfd", args: []string{"getfd", pid, strconv.Itoa(v.FD)}, spared: yama},
		{name: "its descriptor by proc", args: []string{"read", fmt.Sprintf("/proc/%d/fd/%d", v.PID, v.FD)}, spared: yama},
		{name: "its limits", args: []string{"prlimit", pid}, spared: container},
		{name: "its signals", args: []string{"signal", pid}},
		{name: "its abstract socket", args: []string{"connect", v.Abstract}},
		{name: "its socket", args: []string{"connect", v.Path}},
		{name: "leaked descriptor", args: []string{"descriptors"}},
		{name: "closed file", args: []string{"read", closed}},
		{name: "open file", args: []string{"read", open}},
		{name: "open file by a link", args: []string{"symlink", open, filepath.Join(work, "link")}},
		{name: "open file by a hard link", args: []string{"link", open, filepath.Join(work, "hard")}},
		{name: "open file by a rename", args: []string{"rename", open, filepath.Join(work, "moved")}},
		{name: "writable file", args: []string{"write", writable}},
		{name: "writable directory", args: []string{"create", filepath.Join(out, "planted")}},
		{name: "passwd", args: []string{"write", "/etc/passwd"}, spared: notRoot},
		{name: "core pattern", args: []string{"write", "/proc/sys/kernel/core_pattern"}, spared: func() bool { return !asRoot || container() }},
		{name: "its own mark", args: []string{"write", "/proc/self/oom_score_adj"}},
		{name: "the sandbox's own files", args: []string{"create", filepath.Join(s.private, "planted")}},
		{name: "become root", args: []string{"setuid"}, spared: notRoot},
		{name: "user namespace", args: []string{"userns"}, spared: sysctl("kernel/apparmor_restrict_unprivileged_userns")},
		{name: "io_uring", args: []string{"iouring"}, spared: sysctl("kernel/io_uring_disabled")},
		{name: "TCP with no network", args: []string{"tcp", "41234", "0"}},
		{name: "listen with no network", args: []string{"listen", "0"}},
		{name: "UDP with no network", args: []string{"udp"}},
		{name: "TCP by 64 bits", args: []string{"wide"}},
		{name: "TCP by another architecture", args: []string{"int80"}, spared: func() bool { return runtime.GOARCH != "amd64" || container() }},
		{name: "HTTPS with local", args: []string{"tcp", "443", "0"}, net: Local},
		{name: "the same by MPTCP", args: []string{"tcp", "443", strconv.Itoa(unix.IPPROTO_MPTCP)}, net: Local, spared: container},
		{name: "low port with local", args: []string{"listen", "81"}, net: Local, spared: notRoot},
		{name: "DNS with local", args: []string{"udp"}, net: Local},
		{name: "raw socket with local", args: []string{"raw"}, net: Local, spared: notRoot},
		{name: "packets with full", args: []string{"packet"}, net: Full, spared: notRoot},
		{name: "user namespace with full", args: []string{"userns"}, net: Full, spared: sysctl("kernel/apparmor_restrict_unprivileged_userns")},
	} {
		t.Run(a.name, func(t *testing.T) {
			args := append([]string{"act"}, a.args...)
			plain := exec.CommandContext(t.Context(), actor, args...)
			plain.Dir = work
			said, err := plain.CombinedOutput()
			switch {
			case err == nil:
			case a.spared != nil && a.spared():
				t.Logf("refused even unconfined, by this machine: %v %s", err, said)
			default:
				t.Fatalf("the attack does not even succeed unconfined and proves nothing: %v %s", err, said)
			}
			restore(t, open, filepath.Join(work, "moved"))

			c := sh(work, "")
			c.Argv, c.Net = append([]string{actor}, args...), a.net
			res := ran(t, s, c)
			if res.Code == 0 {
				t.Fatalf("succeeded: %s", res.Text)
			}
			if res.Code != 1 && res.Signal != unix.SIGSYS.String() {
				t.Fatalf("was not refused but broke: %+v", res)
			}
			t.Logf("refused: %s%s", strings.TrimSpace(res.Text), res.Signal)
		})
	}
}

// restore undoes what an attack achieved that worked.
func restore(t *testing.T, open, moved string) {
	t.Helper()
	if !exists(open) {
		if err := os.Rename(moved, open); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"link", "hard"} {
		os.Remove(filepath.Join(filepath.Dir(moved), name))
	}
}

func startVictim(t *testing.T, dir, closed string) victim {
	t.Helper()
	cmd := exec.Command(actor, "act", "victim", dir, closed)
	cmd.Env = append(os.Environ(), "LOOP_SECRET="+canary)
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		stdin.Close()
		if err := cmd.Wait(); err != nil {
			t.Errorf("the victim did not survive: %v", err)
		}
	})
	var v victim
	line, err := bufio.NewReader(stdout).ReadBytes('\n')
	if err = errors.Join(err, json.Unmarshal(line, &v)); err != nil {
		t.Fatal(err)
	}
	return v
}

// act is one program of the tests: 0 where it got what it wanted, 1 where it was
// refused.
func act(what string, args []string) int {
	do, ok := acts[what]
	if !ok {
		fmt.Println("no such act:", what)
		return 3
	}
	if err := do(args); err != nil {
		fmt.Println(err)
		return 1
	}
	return 0
}

var acts = map[string]func([]string) error{
	"victim": actVictim,
	"environ": func(args []string) error {
		return expect(os.ReadFile("/proc/" + args[0] + "/environ"))
	},
	"accept": func(args []string) error { // at an address, for ever
		l, err := net.Listen("tcp", args[0])
		if err != nil {
			return err
		}
		fmt.Println("up")
		for {
			if c, err := l.Accept(); err == nil {
				c.Close()
			}
		}
	},
	"read": func(args []string) error { return expect(os.ReadFile(args[0])) },
	"mem": func(args []string) error {
		f, err := os.Open("/proc/" + args[0] + "/mem")
		if err != nil {
			return err
		}
		b := make([]byte, len(canary))
		_, err = f.ReadAt(b, int64(number(args[1])))
		return expect(b, err)
	},
	"ptrace": func(args []string) error {
		runtime.LockOSThread()
		pid := number(args[0])
		if err := unix.PtraceAttach(pid); err != nil {
			return err
		}
		if _, err := unix.Wait4(pid, nil, unix.WALL, nil); err != nil {
			return err
		}
		return unix.PtraceDetach(pid)
	},
	"vmread": func(args []string) error {
		b := make([]byte, len(canary))
		local := []unix.Iovec{{Base: &b[0], Len: uint64(len(b))}}
		remote := []unix.RemoteIovec{{Base: uintptr(number(args[1])), Len: len(b)}}
		_, err := unix.ProcessVMReadv(number(args[0]), local, remote, 0)
		return expect(b, err)
	},
	"getfd": func(args []string) error {
		pidfd, err := unix.PidfdOpen(number(args[0]), 0)
		if err != nil {
			return err
		}
		fd, err := unix.PidfdGetfd(pidfd, number(args[1]), 0)
		if err != nil {
			return err
		}
		b := make([]byte, len(canary))
		_, err = unix.Pread(fd, b, 0)
		return expect(b, err)
	},
	"prlimit": func(args []string) error {
		return unix.Prlimit(number(args[0]), unix.RLIMIT_CORE, &unix.Rlimit{}, nil)
	},
	"signal": func(args []string) error { return unix.Kill(number(args[0]), 0) },
	"connect": func(args []string) error {
		c, err := net.Dial("unix", args[0])
		if err != nil {
			return err
		}
		return expect(io.ReadAll(c))
	},
	"descriptors": func([]string) error {
		for fd := 3; fd < 256; fd++ {
			b := make([]byte, len(canary))
			if _, err := unix.Pread(fd, b, 0); err == nil && string(b) == canary {
				return nil
			}
		}
		return errors.New("no descriptor with the canary")
	},
	"symlink": func(args []string) error {
		return errors.Join(os.Symlink(args[0], args[1]), expect(os.ReadFile(args[1])))
	},
	"link": func(args []string) error {
		return errors.Join(os.Link(args[0], args[1]), expect(os.ReadFile(args[1])))
	},
	"rename": func(args []string) error {
		return errors.Join(os.Rename(args[0], args[1]), expect(os.ReadFile(args[1])))
	},
	"write": func(args []string) error {
		f, err := os.OpenFile(args[0], os.O_WRONLY|os.O_APPEND, 0)
		if err != nil {
			return err
		}
		return f.Close()
	},
	"create": func(args []string) error { return os.WriteFile(args[0], nil, 0o644) },
	"setuid": func([]string) error { return unix.Setuid(0) },
	"userns": func([]string) error {
		cmd := exec.Command("true")
		cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWUSER}
		return cmd.Run()
	},
	"iouring": func([]string) error {
		var params [120]byte
		_, _, errno := unix.Syscall(unix.SYS_IO_URING_SETUP, 1, uintptr(unsafe.Pointer(&params)), 0)
		return result(errno)
	},
	"tcp": func(args []string) error {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM, number(args[1]))
		if err != nil {
			return err
		}
		err = unix.Connect(fd, &unix.SockaddrInet4{Port: number(args[0]), Addr: [4]byte{127, 0, 0, 1}})
		if errors.Is(err, unix.ECONNREFUSED) {
			return nil // it came as far as the other machine
		}
		return err
	},
	"listen": func(args []string) error {
		l, err := net.Listen("tcp", "127.0.0.1:"+args[0])
		if err == nil {
			l.Close()
		}
		return err
	},
	"udp": func([]string) error {
		c, err := net.Dial("udp", "127.0.0.1:53")
		if err != nil {
			return err
		}
		if _, err = c.Write([]byte("secret.example.com")); errors.Is(err, unix.ECONNREFUSED) {
			err = nil
		}
		return err
	},
	"raw": func([]string) error {
		_, err := unix.Socket(unix.AF_INET, unix.SOCK_RAW, unix.IPPROTO_ICMP)
		return err
	},
	"packet": func([]string) error {
		_, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW, 0)
		return err
	},
	"wide": func([]string) error {
		_, _, errno := unix.Syscall(unix.SYS_SOCKET, unix.AF_INET|1<<32, unix.SOCK_STREAM, 0)
		return result(errno)
	},
	"int80": func([]string) error { return int80() },

	// And programs that are no attack.
	"httptest": func([]string) error {
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, canary) }))
		defer srv.Close()
		res, err := http.Get(srv.URL)
		if err != nil {
			return err
		}
		return expect(io.ReadAll(res.Body))
	},
	"orphan": actOrphan,
}

func actVictim(args []string) error {
	secret := bytes.Clone([]byte(canary))
	v := victim{
		PID: os.Getpid(), Address: uintptr(unsafe.Pointer(&secret[0])),
		Abstract: "@sandbox-victim-" + strconv.Itoa(os.Getpid()), Path: filepath.Join(args[0], "victim.sock"),
	}
	f, err := os.Open(args[1])
	if err != nil {
		return err
	}
	v.FD = int(f.Fd())
	for _, addr := range []string{v.Abstract, v.Path} {
		l, err := net.Listen("unix", addr)
		if err != nil {
			return err
		}
		go func() {
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				c.Write(secret)
				c.Close()
			}
		}()
	}
	if err := os.Chmod(v.Path, 0o660); err != nil {
		return err
	}
	if err := json.NewEncoder(os.Stdout).Encode(v); err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, os.Stdin)
	runtime.KeepAlive(f)
	runtime.KeepAlive(secret)
	return err
}

func expect(b []byte, err error) error {
	if err == nil && !bytes.Contains(b, []byte(canary)) {
		err = errors.New("no canary in it")
	}
	return err
}

func result(errno syscall.Errno) error {
	if errno != 0 {
		return errno
	}
	return nil
}

func number(s string) int {
	n, err := strconv.Atoi(s)
	if err != nil {
		panic(err)
	}
	return n
}
