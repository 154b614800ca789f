package sandbox

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// The helper is this program under another name. It stands between us and a
// command: it gives up what the command must not have, and becomes the command.
const helperName = "autonomous-loop-sandbox"

// The helper's descriptors. The report stays silent when all went well, and is
// closed by becoming the command.
const (
	policyFD = 3
	reportFD = 4
)

// Main is the helper, if this program was started as one, and then does not
// return. It must be the first call in main and in every TestMain.
func Main() {
	if len(os.Args) == 0 || filepath.Base(os.Args[0]) != helperName {
		return
	}
	runtime.LockOSThread()     // Landlock, seccomp and exec are this thread's
	os.Exit(help(os.Args[1:])) //nolint:forbidigo // this is a main
}

// help becomes the command. Called by a wrapper it has the file of the policy
// and more arguments for the command; else the policy is on a descriptor. It
// returns only if that failed.
func help(args []string) int {
	report := os.Stderr
	if len(args) == 0 {
		report = os.NewFile(reportFD, "report")
	}
	err := become(args)
	if failed, ok := errors.AsType[*startError](err); ok {
		fmt.Fprintln(os.Stderr, failed)
		return failed.code
	}
	if err != nil {
		fmt.Fprintln(report, err)
		return cannot
	}
	return 0
}

func become(args []string) error {
	p, err := readPolicy(args)
	if err != nil {
		return fmt.Errorf("read the policy: %w", err)
	}
	// Descriptors that somebody forgot to close end here, not in the command.
	if err := unix.CloseRange(uint(p.Keep), ^uint(0), unix.CLOSE_RANGE_CLOEXEC); err != nil {
		return fmt.Errorf("close descriptors: %w", err)
	}
	// Should memory run out, the kernel is to take the command and not us.
	// Without a group, it is also the mark.
	if err := os.WriteFile("/proc/self/oom_score_adj", []byte(strconv.Itoa(p.Slot)), 0); err != nil && p.Mark == 0 {
		return fmt.Errorf("mark the command: %w", err)
	}
	syscall.Umask(0o022)
	if err := limit(unix.RLIMIT_CORE, 0); err != nil {
		return err
	}
	if err := drop(p); err != nil {
		return err
	}
	if err := os.Chdir(p.Dir); err != nil {
		return fmt.Errorf("go to the command's directory as its user: %w", err)
	}
	if p.Confine {
		if err := confine(p); err != nil {
			return err
		}
	}
	if p.Probe != nil {
		return p.Probe.run()
	}
	path, err := program(p.Argv[0], p.Env)
	if err != nil {
		return err
	}
	// The last step before exec: this runtime must be able to make a thread.
	if p.Processes > 0 {
		if err := limit(unix.RLIMIT_NPROC, p.Processes); err != nil {
			return err
		}
	}
	err = syscall.Exec(path, p.Argv, p.Env)
	return &startError{cannot, p.Argv[0], err}
}

func readPolicy(args []string) (policy, error) {
	var p policy
	f := os.NewFile(policyFD, "policy")
	if len(args) > 0 {
		var err error
		if f, err = os.Open(args[0]); err != nil { //nolint:gosec // the wrapper names it, which only we can start
			return p, err
		}
	}
	defer f.Close()
	if err := json.NewDecoder(f).Decode(&p); err != nil {
		return p, err
	}
	if len(args) > 0 {
		p.Argv = append(p.Argv, args[1:]...)
		p.Keep = keep()
	}
	return p, nil
}

// keep is the first descriptor that a wrapped program does not get. A browser is
// spoken to on 3 and 4; anything there but pipes and sockets was forgotten.
func keep() int {
	for fd := 3; fd < 5; fd++ {
		var st unix.Stat_t
		if unix.Fstat(fd, &st) != nil {
			return fd
		}
		if kind := st.Mode & unix.S_IFMT; kind != unix.S_IFIFO && kind != unix.S_IFSOCK {
			return fd
		}
	}
	return 5
}

// drop gives up root, where there is a user to become, and every capability.
func drop(p policy) error {
	switch {
	case p.Drop:
		if err := syscall.Setgroups([]int{int(p.Mark)}); err != nil {
			return fmt.Errorf("set groups: %w", err)
		}
		// The mark is its only group, so that it is that of all it makes: see sweep.
		if err := syscall.Setresgid(int(p.Mark), int(p.Mark), int(p.Mark)); err != nil {
			return fmt.Errorf("become group %d: %w", p.Mark, err)
		}
		if err := syscall.Setresuid(p.UID, p.UID, p.UID); err != nil {
			return fmt.Errorf("become user %d: %w", p.UID, err)
		}
	case p.Mark != 0:
		groups, err := syscall.Getgroups()
		if err != nil {
			return fmt.Errorf("get groups: %w", err)
		}
		if err := syscall.Setgroups(append(groups, int(p.Mark))); err != nil {
			return fmt.Errorf("set groups: %w", err)
		}
	}
	// After the change of user, which would clear it.
	if p.Parent != 0 {
		if err := unix.Prctl(unix.PR_SET_PDEATHSIG, uintptr(unix.SIGKILL), 0, 0, 0); err != nil {
			return fmt.Errorf("set the signal of the parent's death: %w", err)
		}
		if os.Getppid() != p.Parent {
			return errors.New("the parent is gone")
		}
	}
	if !p.Confine {
		return nil
	}
	if err := unix.Prctl(unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0); err != nil {
		return fmt.Errorf("clear ambient capabilities: %w", err)
	}
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var none [2]unix.CapUserData
	if err := unix.Capset(&header, &none[0]); err != nil {
		return fmt.Errorf("clear capabilities: %w", err)
	}
	return nil
}

func confine(p policy) error {
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("set no_new_privs: %w", err)
	}
	// No limit on processor time: a build on many cores uses minutes of it in
	// seconds, and the command's timeout bounds it anyway.
	if err := errors.Join(limit(unix.RLIMIT_FSIZE, p.FileBytes), limit(unix.RLIMIT_NOFILE, p.Files)); err != nil {
		return err
	}
	if p.Ports && p.Net == Local {
		if err := confinePorts(); err != nil {
			return err
		}
	}
	if err := confineFiles(p); err != nil {
		return err
	}
	return load(p.Net, p.Unix)
}

// limit lowers a limit; what is lower already stays.
func limit(resource int, most uint64) error {
	var l unix.Rlimit
	if err := unix.Getrlimit(resource, &l); err != nil {
		return fmt.Errorf("get limit %d: %w", resource, err)
	}
	most = min(most, l.Max)
	if err := unix.Setrlimit(resource, &unix.Rlimit{Cur: most, Max: most}); err != nil {
		return fmt.Errorf("set limit %d: %w", resource, err)
	}
	return nil
}

// The exit codes that shells use.
const (
	cannot  = 126 // it is there and cannot be executed
	missing = 127
)

// A startError says that the command itself is at fault: that is its output,
// not a failure of the sandbox.
type startError struct {
	code int
	name string
	err  error
}

func (e *startError) Error() string { return fmt.Sprintf("%s: %v", e.name, e.err) }
func (e *startError) Unwrap() error { return e.err }

// program finds name as a shell would, on the PATH of the command and with its
// rights.
func program(name string, env []string) (string, error) {
	if strings.Contains(name, "/") {
		if _, err := os.Stat(name); err != nil {
			return "", &startError{missing, name, errors.New("no such program")}
		}
		return name, nil
	}
	path := ""
	for _, e := range env {
		if v, ok := strings.CutPrefix(e, "PATH="); ok {
			path = v
		}
	}
	for _, dir := range filepath.SplitList(path) {
		file := filepath.Join(dir, name)
		if info, err := os.Stat(file); err == nil && info.Mode().IsRegular() && unix.Faccessat(unix.AT_FDCWD, file, unix.X_OK, unix.AT_EACCESS) == nil {
			return file, nil
		}
	}
	return "", &startError{missing, name, fmt.Errorf("no such program in %s: %w", path, fs.ErrNotExist)}
}
