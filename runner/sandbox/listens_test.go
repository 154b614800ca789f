package sandbox

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func freePort(t *testing.T) int {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// Who listens is told from whoever else could answer: another command of the
// same user, one of another user, or somebody outside.
func TestListens(t *testing.T) {
	s, work := box(t, Options{})
	start := func(c Command, address string) *Process {
		t.Helper()
		c.Argv, c.Dir, c.Net = []string{"sh", "-c", "true; " + actor + " act accept " + address + " & wait"}, work, Local
		c.Read = []string{actor}
		p, err := s.Start(context.Background(), c)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { p.Stop() })
		for range 500 {
			if strings.Contains(p.Output().Text, "up") {
				return p
			}
			time.Sleep(10 * time.Millisecond)
		}
		t.Fatalf("%s: %+v", address, p.Output())
		return nil
	}
	want := func(what string, p *Process, port int, own, others bool) {
		t.Helper()
		o, x, err := p.Listens(port)
		if err != nil || o != own || x != others {
			t.Errorf("%s: own %t, others %t, %v; want %t, %t", what, o, x, err, own, others)
		}
	}
	for _, c := range []Command{{}, {Judge: true}, {Browser: true}} {
		one, two := freePort(t), freePort(t)
		p := start(c, fmt.Sprintf("127.0.0.1:%d", one))
		want("its own", p, one, true, false)
		want("nobody", p, two, false, false)
		q := start(c, fmt.Sprintf("127.0.0.1:%d", two))
		want("another's of the same user", p, two, false, true)
		want("seen from there", q, two, true, false)
		// A more precise address wins against a wider one, and gets what is sent
		// there.
		l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", fmt.Sprintf("127.0.0.2:%d", one))
		if err != nil {
			t.Fatal(err)
		}
		want("its own and somebody's", p, one, true, true)
		l.Close()
		want("its own again", p, one, true, false)
		p.Stop()
		want("nobody any more", p, one, false, false)
	}
	port := freePort(t)
	p := start(Command{Judge: true}, fmt.Sprintf("[::]:%d", port))
	want("at every address", p, port, true, false)
	agents := start(Command{}, fmt.Sprintf("127.0.0.2:%d", freePort(t)))
	want("the agent's", agents, port, false, true)
}

// Root without all of its power, as in a container, can tell it, too.
func TestListensWithoutPtrace(t *testing.T) {
	needRoot(t)
	if os.Getenv("WITHOUT_PTRACE") == "" {
		cmd := exec.CommandContext(t.Context(), "setpriv", "--bounding-set", "-sys_ptrace", "--inh-caps", "-sys_ptrace", actor, "-test.run", "^TestListensWithoutPtrace$", "-test.v")
		cmd.Env = append(os.Environ(), "WITHOUT_PTRACE=1")
		if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), "--- PASS: TestListensWithoutPtrace") {
			t.Errorf("%v\n%s", err, out)
		}
		return
	}
	var caps [2]unix.CapUserData
	if err := unix.Capget(&unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}, &caps[0]); err != nil || caps[0].Effective&(1<<unix.CAP_SYS_PTRACE) != 0 {
		t.Fatalf("it has the power: %x %v", caps, err)
	}
	cmd := exec.CommandContext(t.Context(), "sleep", "30")
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 60002, Gid: 60002}}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Readlink(fmt.Sprintf("/proc/%d/fd/0", cmd.Process.Pid)); err == nil {
		t.Error("what it must not see is shown: nothing is tested here")
	}
	_ = cmd.Process.Kill()
	_ = cmd.Wait() // else it is left for others to bury
	TestListens(t)
}

// What runs as the browser's user and what runs as the judge's cannot touch each
// other.
func TestBrowserAndApplicationAreApart(t *testing.T) {
	s, work := box(t, Options{})
	app := sh(work, `echo up; trap "" TERM; sleep 60`)
	app.Judge = true
	eye := sh(work, `echo up; echo profile > $TMPDIR/profile; chmod -R a+rwX $TMPDIR $HOME; sleep 60`)
	eye.Browser = true
	for _, pair := range [][2]Command{{app, eye}, {eye, app}} {
		p, err := s.Start(t.Context(), pair[0])
		if err != nil {
			t.Fatal(err)
		}
		for range 500 {
			if strings.Contains(p.Output().Text, "up") {
				break
			}
			time.Sleep(10 * time.Millisecond)
		}
		pid := itoa(p.cmd.Process.Pid)
		home := homeOf(p)
		c := sh(work, "id -u; kill -9 "+pid+"; cat /proc/"+pid+"/environ; ls -l /proc/"+pid+"/fd; echo x > "+home.tmp+"/profile; cat "+home.tmp+"/profile; ls "+home.home+"; echo done")
		c.Judge, c.Browser = pair[1].Judge, pair[1].Browser
		out := ran(t, s, c)
		if n := strings.Count(out.Text, "denied") + strings.Count(out.Text, "not permitted"); n < 6 || strings.Contains(out.Text, "profile\n") && !strings.Contains(out.Text, "denied") {
			t.Errorf("%d refusals: %s", n, out.Text)
		}
		select {
		case <-p.Done():
			t.Errorf("it was ended: %s", out.Text)
		default:
		}
		if uid, _, _ := strings.Cut(out.Text, "\n"); asRoot && uid != itoa(s.as(c).uid) {
			t.Errorf("ran as %s", uid)
		}
		p.Stop()
	}
	if asRoot && (s.browser.uid == s.judge.uid || s.browser.uid == s.user.uid) {
		t.Errorf("users %v", s.uids())
	}
}

// homeOf is the user that p runs as, at home where it is.
func homeOf(p *Process) user {
	var u user
	for _, e := range p.env {
		name, value, _ := strings.Cut(e, "=")
		switch name {
		case "HOME":
			u.home = value
		case "TMPDIR":
			u.tmp = value
		}
	}
	return u
}
