package sandbox

import (
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

func itoa(n int) string { return strconv.Itoa(n) }

func TestWrapper(t *testing.T) {
	t.Setenv("LOOP_SECRET", canary)
	s, work := box(t, Options{})
	path := filepath.Join(place(t), "it's wrapped")
	c := sh(work, `id -u; printf '<%s>' "$@"; echo; env | grep -c `+canary+`; echo said > $HOME/file && cat <&3 >&4; echo error >&2; ls /tmp; exit 9`)
	c.Argv = append(c.Argv, "zero")
	c.Judge = true
	if err := s.Wrapper(path, c); err != nil {
		t.Fatal(err)
	}
	three, toThree, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	fromFour, four, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(path, "a b", "'")
	cmd.ExtraFiles = []*os.File{three, four}
	var said, wrong strings.Builder
	cmd.Stdout, cmd.Stderr = &said, &wrong
	io.WriteString(toThree, "through the pipes")
	toThree.Close()
	err = cmd.Run()
	four.Close()
	answer, _ := io.ReadAll(fromFour)
	uid, _ := s.User()
	if asRoot {
		uid++
	}
	if want := itoa(uid) + "\n<a b><'>\n0\n"; said.String() != want {
		t.Errorf("said %q, want %q", said.String(), want)
	}
	if !strings.HasPrefix(wrong.String(), "error\n") || !strings.Contains(wrong.String(), "/tmp") || cmd.ProcessState.ExitCode() != 9 {
		t.Errorf("wrote %q and ended with %v", wrong.String(), err)
	}
	if string(answer) != "through the pipes" {
		t.Errorf("the pipes gave %q", answer)
	}

	// A file on descriptor 3 was forgotten there, and is not handed on.
	secret, err := os.Open(os.Args[0])
	if err != nil {
		t.Fatal(err)
	}
	defer secret.Close()
	c.Argv = []string{"bash", "-c", "ls /proc/self/fd"}
	if err := s.Wrapper(path, c); err != nil {
		t.Fatal(err)
	}
	cmd = exec.Command(path)
	cmd.ExtraFiles = []*os.File{secret}
	out, err := cmd.Output()
	if strings.Join(strings.Fields(string(out)), " ") != "0 1 2 3" { // 3 is ls's own, of the directory
		t.Errorf("%q, %v", out, err)
	}
}

func TestWrapperHasItsNetwork(t *testing.T) {
	s, work := box(t, Options{})
	path := filepath.Join(place(t), "wrapped")
	for _, c := range []struct {
		net  Net
		args []string
		want bool
	}{
		{None, []string{"listen", "0"}, false},
		{Local, []string{"listen", "0"}, true},
		{Local, []string{"httptest"}, true},
		{Local, []string{"tcp", "443", "0"}, false},
		{Full, []string{"tcp", "443", "0"}, true},
	} {
		cmd := sh(work, "")
		cmd.Argv, cmd.Net = []string{actor, "act"}, c.net
		if err := s.Wrapper(path, cmd); err != nil {
			t.Fatal(err)
		}
		out, err := exec.Command(path, c.args...).CombinedOutput()
		if (err == nil) != c.want {
			t.Errorf("%s with network %q: %v %s", c.args, c.net, err, out)
		}
	}
}

// A driver is wrapped, starts a browser in a session of its own, and is there
// while commands come and go.
func TestWrappedLivesUntilClose(t *testing.T) {
	s, work := box(t, Options{})
	path := filepath.Join(place(t), "wrapped")
	if err := s.Wrapper(path, sh(work, "echo $$ > pid-driver; setsid bash -c 'echo $$ > pid-browser; sleep 60' & wait; sleep 60")); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(path)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	until(t, "the browser", func() bool { return exists(filepath.Join(work, "pid-browser")) })
	for range 3 {
		ran(t, s, sh(work, "setsid sleep 60 & true"))
	}
	for _, name := range []string{"pid-driver", "pid-browser"} {
		if err := unix.Kill(pidIn(t, filepath.Join(work, name)), 0); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	cmd.Wait()
	if status := cmd.ProcessState.Sys().(syscall.WaitStatus); status.Signal() != unix.SIGKILL {
		t.Errorf("the driver ended with %v", cmd.ProcessState)
	}
	gone(t, filepath.Join(work, "pid-*"), 2)
}
