package sandbox

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// The test binary is also the helper, the victim of the attacks and the
// programs that attack it.
func TestMain(m *testing.M) {
	Main()
	if len(os.Args) > 2 && os.Args[1] == "act" {
		os.Exit(act(os.Args[2], os.Args[3:]))
	}
	os.Exit(run(m))
}

// actor is a copy of the test binary that everybody may execute.
var actor string

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "sandbox-test-")
	if err == nil {
		defer os.RemoveAll(dir)
		actor = filepath.Join(dir, "sandbox.test")
		err = errors.Join(os.Chmod(dir, 0o755), copyFile("/proc/self/exe", actor, 0o755))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

func copyFile(from, to string, mode os.FileMode) error {
	b, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return errors.Join(os.WriteFile(to, b, mode), os.Chmod(to, mode))
}

// asRoot tells the two ways apart in which the whole suite runs: as root, with
// users of their own for commands, and without; see TestWithoutRoot.
var asRoot = os.Geteuid() == 0

func needRoot(t *testing.T) {
	t.Helper()
	if !asRoot {
		t.Skip("takes root: without it there are no users for commands")
	}
}

// TestWithoutRoot runs the suite as a user who is not root, as on a laptop.
func TestWithoutRoot(t *testing.T) {
	if !asRoot {
		t.Skip("this is that run, or one of somebody who is not root anyway")
	}
	t.Parallel()
	const uid = 60123
	tmp := place(t)
	if err := os.Chown(tmp, uid, uid); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), actor, "-test.v", "-test.timeout=10m")
	cmd.Dir = tmp
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "TMPDIR=" + tmp, "HOME=" + tmp}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: uid}}
	out, err := cmd.CombinedOutput()
	t.Logf("%s", out)
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(out), "\n--- PASS: "); n < 15 {
		t.Fatalf("only %d tests passed without root", n)
	}
}

// place is a directory that commands can reach, which t.TempDir is not.
func place(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "sandbox-test-") //nolint:usetesting // see above
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

// box opens a sandbox and makes a directory that its commands may write.
func box(t testing.TB, o Options) (s *Sandbox, work string) {
	t.Helper()
	dir := place(t)
	o.Dir = filepath.Join(dir, "box")
	if o.Path == "" {
		o.Path = os.Getenv("PATH")
	}
	s, err := Open(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	if err := s.Held(); err != nil {
		t.Fatal(err)
	}
	work = filepath.Join(dir, "work")
	if err := errors.Join(os.Mkdir(work, 0o755), s.Own(work)); err != nil {
		t.Fatal(err)
	}
	return s, work
}

// ran runs c and wants no error.
func ran(t testing.TB, s *Sandbox, c Command) Output {
	t.Helper()
	if c.Timeout == 0 {
		c.Timeout = time.Minute
	}
	out, err := s.Run(context.Background(), c)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// sh is a command that a shell runs in work, which it may write.
func sh(work, script string) Command {
	return Command{Argv: []string{"bash", "-c", script}, Dir: work, Write: []string{work}, Read: []string{filepath.Dir(actor)}}
}

// gone wants the processes to have been killed and buried whose ids stand in
// the files that match.
func gone(t *testing.T, pattern string, want int) {
	t.Helper()
	files, err := filepath.Glob(pattern)
	if err != nil || len(files) != want {
		t.Fatalf("%d processes wrote down their ids (%v), want %d", len(files), err, want)
	}
	for _, file := range files {
		pid := pidIn(t, file)
		if err := unix.Kill(pid, 0); !errors.Is(err, unix.ESRCH) {
			status, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
			t.Errorf("%s: process %d is still there: %v\n%s", filepath.Base(file), pid, err, status)
		}
	}
}

func pidIn(t *testing.T, file string) int {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil {
		t.Fatal(err)
	}
	return pid
}

// until waits for something that another process is about to do.
func until(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for range 6000 { // a minute: other tests may want the machine too
		if ok() {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatalf("waited for %s in vain", what)
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
