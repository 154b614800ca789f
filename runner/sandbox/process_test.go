package sandbox

import (
	"bufio"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

func TestJob(t *testing.T) {
	s, work := box(t, Options{})
	c := sh(work, "echo $$ > pid; echo up; while read line; do echo got $line; done; echo eof")
	c.Stdin = []byte("first\n")
	p, err := s.Start(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	var said string
	var at int64
	hear := func(want string) {
		t.Helper()
		until(t, want, func() bool {
			var text string
			text, at = p.Since(at)
			said += text
			return said == want
		})
	}
	hear("up\ngot first\n")
	if o := p.Output(); o.Code != -1 || o.Text != said || o.Lines != 2 || o.Wall <= 0 {
		t.Errorf("%+v", o)
	}
	if err := p.Write([]byte("second\n")); err != nil {
		t.Fatal(err)
	}
	hear("up\ngot first\ngot second\n")
	if text, next := p.Since(at); text != "" || next != at {
		t.Errorf("heard %q again", text)
	}
	select {
	case <-p.Done():
		t.Fatal("it is over")
	default:
	}
	o := p.Stop()
	if o.Signal != "terminated" || o.Code != 143 || o.TimedOut || o.Cancelled || o.Text != said {
		t.Errorf("%+v", o)
	}
	if diff := cmp.Diff(o, p.Stop()); diff != "" {
		t.Errorf("(-before +again)\n%s", diff)
	}
	if err := p.Write([]byte("x")); err == nil {
		t.Error("wrote to a process that is over")
	}
	gone(t, filepath.Join(work, "pid"), 1)
}

func TestJobThatDoesNotReadDoesNotBlock(t *testing.T) {
	t.Parallel()
	s, work := box(t, Options{})
	p, err := s.Start(t.Context(), sh(work, "sleep 60"))
	if err != nil {
		t.Fatal(err)
	}
	defer p.Stop()
	if err := p.Write(make([]byte, 1<<20)); err == nil || !strings.Contains(err.Error(), "has not read") {
		t.Errorf("%v", err)
	}
}

func TestJobThatEndsByItself(t *testing.T) {
	s, work := box(t, Options{})
	p, err := s.Start(t.Context(), sh(work, hide+"echo gone; exit 4"))
	if err != nil {
		t.Fatal(err)
	}
	select {
	case <-p.Done():
	case <-time.After(20 * time.Second):
		t.Fatal("it does not end")
	}
	if o := p.Output(); o.Code != 4 || o.Text != "gone\n" || o.Leftover < 3 {
		t.Errorf("%+v", o)
	}
	gone(t, filepath.Join(work, "pid-*"), 3)
}

// The end of one command must not touch another, of this sandbox or of another
// of the same process, nor a child that is none of ours.
func TestCommandsLeaveEachOtherAlone(t *testing.T) {
	a, work := box(t, Options{})
	b, other := box(t, Options{})
	plain := exec.Command("sleep", "60")
	if err := plain.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { plain.Process.Kill(); plain.Wait() }()
	var jobs []*Process
	for _, start := range []struct {
		s    *Sandbox
		work string
	}{{a, work}, {b, other}} {
		p, err := start.s.Start(t.Context(), sh(start.work, "( setsid sleep 60; echo lost ) & echo up; wait"))
		if err != nil {
			t.Fatal(err)
		}
		defer p.Stop()
		until(t, "the job", func() bool { return p.Output().Text == "up\n" })
		jobs = append(jobs, p)
	}
	for range 3 {
		if out := ran(t, a, sh(work, "setsid sleep 60 & sleep 0.1")); out.Leftover != 1 {
			t.Errorf("%+v", out)
		}
		ran(t, b, sh(other, "true"))
	}
	for i, p := range jobs {
		if o := p.Output(); o.Code != -1 || o.Text != "up\n" {
			t.Errorf("job %d: %+v", i, o)
		}
	}
	if err := plain.Process.Signal(unix.Signal(0)); err != nil {
		t.Errorf("the other child: %v", err)
	}
	if err := b.Close(); err != nil {
		t.Error(err)
	}
	if o := jobs[0].Output(); o.Code != -1 {
		t.Errorf("closing another sandbox ended %+v", o)
	}
	if o := jobs[1].Output(); o.Code == -1 {
		t.Error("closing its sandbox did not end a job")
	}
	if _, err := b.Start(t.Context(), sh(other, "true")); err == nil || !strings.Contains(err.Error(), "closed") {
		t.Errorf("started in a closed sandbox: %v", err)
	}
}

func TestCloseEndsAtOnce(t *testing.T) {
	s, work := box(t, Options{})
	for range 3 {
		if _, err := s.Start(t.Context(), sh(work, "trap '' TERM; echo $$ > new-$$; mv new-$$ pid-$$; while :; do sleep 60; done")); err != nil {
			t.Fatal(err)
		}
	}
	until(t, "the jobs", func() bool { m, _ := filepath.Glob(filepath.Join(work, "pid-*")); return len(m) == 3 })
	begun := time.Now()
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if took := time.Since(begun); took > grace {
		t.Errorf("took %v", took)
	}
	gone(t, filepath.Join(work, "pid-*"), 3)
	if err := s.Close(); err != nil {
		t.Errorf("closed twice: %v", err)
	}
}

// Killed with all that it knew, a session leaves nothing that the next one does
// not clear away.
func TestNextSessionClearsAway(t *testing.T) {
	needRoot(t)
	_, _ = box(t, Options{}) // makes this process the one that orphans come to
	dir := place(t)
	work := filepath.Join(dir, "work")
	if err := errors.Join(os.Mkdir(work, 0o755), os.Chown(work, 60001, 60001)); err != nil {
		t.Fatal(err)
	}
	session := exec.Command(actor, "act", "orphan", dir, work, "echo $$ > pid-main;"+hide+"echo > all; sleep 600")
	session.Env = os.Environ()
	stdout, err := session.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := session.Start(); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(stdout).ReadString('\n'); err != nil || line != "ready\n" {
		t.Fatalf("%q, %v", line, err)
	}
	until(t, "its command", func() bool { return exists(filepath.Join(work, "all")) })
	session.Process.Kill()
	session.Wait()
	main, daemon := pidIn(t, filepath.Join(work, "pid-main")), pidIn(t, filepath.Join(work, "pid-daemon"))
	until(t, "the end of the command that lost its parent", func() bool {
		var status unix.WaitStatus // it is our orphan now
		pid, err := unix.Wait4(main, &status, unix.WNOHANG, nil)
		// Or the session buried it with its last breath. It would have slept on.
		return err == nil && pid == main && status.Signal() == unix.SIGKILL || errors.Is(err, unix.ECHILD)
	})
	if err := unix.Kill(daemon, 0); err != nil {
		t.Fatalf("the daemon is gone before anyone could clear it away: %v", err)
	}
	s, err := Open(context.Background(), Options{Dir: filepath.Join(dir, "next")})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := s.Held(); err != nil {
		t.Fatal(err)
	}
	gone(t, filepath.Join(work, "pid-*"), 4)
}

// actOrphan opens a sandbox, leaves a command running in it, and waits to be killed.
func actOrphan(args []string) error {
	s, err := Open(context.Background(), Options{Dir: filepath.Join(args[0], "orphan"), Path: os.Getenv("PATH")})
	if err != nil {
		return err
	}
	actor = os.Args[0]
	turn.Store(300) // marks that the next session will not come to by itself
	if _, err = s.Start(context.Background(), sh(args[1], args[2])); err != nil {
		return err
	}
	os.Stdout.WriteString("ready\n")
	select {}
}

func TestMarksAreUnique(t *testing.T) {
	needRoot(t)
	seen := map[uint32]bool{}
	var held []mark
	for range 50 {
		m, err := claim()
		if err != nil {
			t.Fatal(err)
		}
		if seen[m.gid] {
			t.Fatalf("mark %d is given twice", m.gid)
		}
		seen[m.gid] = true
		held = append(held, m)
		if _, ok := claimOne(m.gid); ok {
			t.Fatalf("mark %d is given twice when asked for", m.gid)
		}
	}
	for _, m := range held {
		m.release()
	}
	m, ok := claimOne(held[0].gid)
	if !ok {
		t.Fatal("a mark that was given back is not free")
	}
	m.release()
}

func TestJudgeAndOthersAreApart(t *testing.T) {
	s, work := box(t, Options{})
	ran(t, s, sh(work, "echo theirs > $HOME/file; chmod -R a+rwX $HOME"))
	c := sh(work, "id -u; echo $HOME; echo > $HOME/mine && echo writes its own; cat "+s.user.home+"/file; echo > x")
	c.Judge = true
	out := ran(t, s, c)
	uid, _ := s.User()
	if asRoot {
		uid++
	}
	lines := strings.Split(out.Text, "\n")
	if lines[0] != itoa(uid) || !within(lines[1], s.places) || lines[2] != "writes its own" || !strings.Contains(lines[3], "ermission denied") {
		t.Errorf("the judge got %s", out.Text)
	}
	if asRoot && out.Code == 0 {
		t.Errorf("the judge wrote what is the other user's: %s", out.Text)
	}
	// Neither may signal the other.
	judge := sh(work, "echo up; sleep 60")
	judge.Judge = true
	p, err := s.Start(t.Context(), judge)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Stop()
	if out := ran(t, s, sh(work, "kill "+itoa(p.cmd.Process.Pid))); out.Code == 0 || !strings.Contains(out.Text, "not permitted") {
		t.Errorf("%+v", out)
	}
}

func TestOwnFollowsNothing(t *testing.T) {
	needRoot(t)
	s, _ := box(t, Options{})
	dir := place(t)
	tree, outside := filepath.Join(dir, "tree"), filepath.Join(dir, "outside")
	if err := errors.Join(
		os.MkdirAll(filepath.Join(tree, "sub"), 0o755), os.Mkdir(outside, 0o755),
		os.WriteFile(filepath.Join(outside, "file"), nil, 0o644), os.WriteFile(filepath.Join(tree, "sub", "file"), nil, 0o644),
		os.Symlink(outside, filepath.Join(tree, "dir")), os.Symlink(filepath.Join(outside, "file"), filepath.Join(tree, "link")),
		os.Symlink("/nowhere", filepath.Join(tree, "broken")),
		s.Own(tree),
	); err != nil {
		t.Fatal(err)
	}
	owner := func(path string) int {
		var st unix.Stat_t
		if err := unix.Lstat(path, &st); err != nil {
			t.Fatal(err)
		}
		return int(st.Uid)
	}
	for path, want := range map[string]int{
		tree: 60001, filepath.Join(tree, "sub"): 60001, filepath.Join(tree, "sub", "file"): 60001, filepath.Join(tree, "link"): 60001,
		filepath.Join(tree, "dir"): 60001, outside: 0, filepath.Join(outside, "file"): 0,
	} {
		if got := owner(path); got != want {
			t.Errorf("%s belongs to %d, want %d", path, got, want)
		}
	}
	if out := ran(t, s, sh(tree, "echo > sub/file && rm link && mkdir new")); out.Code != 0 {
		t.Errorf("%+v", out)
	}
	if err := s.OwnJudge(tree); err != nil || owner(tree) != 60002 {
		t.Errorf("%v, belongs to %d", err, owner(tree))
	}
	if err := os.Link(filepath.Join(outside, "file"), filepath.Join(tree, "hard")); err != nil {
		t.Fatal(err)
	}
	if err := s.Own(tree); err == nil || !strings.Contains(err.Error(), "hard has 2 names") || owner(filepath.Join(outside, "file")) != 0 {
		t.Errorf("handed over a hard link: %v", err)
	}
}

func TestUnreachableDirectoriesAreNamed(t *testing.T) {
	needRoot(t)
	home := place(t)
	if err := os.Chmod(home, 0o700); err != nil {
		t.Fatal(err)
	}
	_, err := Open(t.Context(), Options{Dir: filepath.Join(home, "box")})
	if err == nil || !strings.Contains(err.Error(), "cannot pass through "+home+" (drwx------)") || !strings.Contains(err.Error(), "chmod o+x "+home) {
		t.Errorf("%v", err)
	}
	s, work := box(t, Options{})
	inner := filepath.Join(home, "inner")
	if err := os.Mkdir(inner, 0o777); err != nil {
		t.Fatal(err)
	}
	c := sh(work, "true")
	c.Write = append(c.Write, inner)
	if _, err := s.Run(t.Context(), c); err == nil || !strings.Contains(err.Error(), "cannot reach "+inner) {
		t.Errorf("%v", err)
	}
}

// However the two meet, Close comes back and nothing runs on.
func TestCloseWhileCommandsStart(t *testing.T) {
	for range 5 {
		s, work := box(t, Options{})
		var starting sync.WaitGroup
		for i := range 8 {
			starting.Go(func() {
				c := sh(work, "sleep 60")
				if i%2 == 0 {
					c.Dir = "/etc/hosts" // fails in the helper
					c.Read, c.Write = nil, nil
				}
				for range 3 {
					if out, err := s.Run(context.Background(), c); err == nil && out.Code != 143 && out.Code != 137 {
						t.Errorf("%+v", out)
					}
				}
			})
		}
		time.Sleep(20 * time.Millisecond)
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		starting.Wait()
	}
}
