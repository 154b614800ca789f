package tool

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/autonomous-loop/autonomous-loop/runner/agent"
	"github.com/autonomous-loop/autonomous-loop/runner/sandbox"
)

func TestShell(t *testing.T) {
	t.Parallel() // it waits
	b := open(t, map[string]string{"sub/f": "hi\n"})
	has(t, use(t, b, "shell", args{"command": "cat sub/f; echo err >&2; exit 3"}), "exit 3 · ", " s · 2 lines, 7 bytes\n", "\nhi", "\nerr") // output and errors come by two pipes, in whichever order
	has(t, use(t, b, "shell", args{"command": "pwd", "workdir": "sub"}), filepath.Join(b.o.Dir, "sub"))
	has(t, use(t, b, "shell", args{"command": "kill -9 $$"}), "killed by killed (exit 137)")
	has(t, use(t, b, "shell", args{"command": "echo partial; sleep 60", "timeout_s": 1}), "timed out after 1 s", "partial")
	has(t, use(t, b, "shell", args{"command": "cat"}), "exit 0") // no input, no waiting
	for _, dir := range []string{"..", "/etc", "nope", "sub/f", b.o.LogDir} {
		has(t, use(t, b, "shell", args{"command": "true", "workdir": dir}), agent.Failed)
	}
	has(t, use(t, b, "shell", args{"command": " "}), agent.Failed)
}

func TestLongOutputIsCutAndKept(t *testing.T) {
	b := open(t, nil)
	got := use(t, b, "shell", args{"command": "seq 1 20000"})
	log := filepath.Join(b.o.LogDir, "001.log")
	has(t, got, "20000 lines, 108.9 KB", "whole output in "+log, "\n1\n2\n", "\n20000")
	if len(got) > shellHead+shellTail+500 {
		t.Errorf("%d bytes", len(got))
	}
	has(t, use(t, b, "read_file", args{"path": log, "offset": 9999, "limit": 1}), "9999\t9999")
	has(t, use(t, b, "search", args{"path": log, "pattern": "^12345$"}), log+":12345:12345")
	has(t, use(t, b, "write_file", args{"path": log, "content": "x"}), agent.Failed, "logs are only read")
	// Another session goes on where the numbers ended.
	again, err := Open(b.o)
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	use(t, again, "shell", args{"command": "echo two"})
	if data, err := os.ReadFile(filepath.Join(b.o.LogDir, "002.log")); err != nil || string(data) != "two\n" {
		t.Errorf("%q, %v", data, err)
	}
}

func TestJobs(t *testing.T) {
	t.Parallel() // it waits
	b := open(t, nil)
	has(t, use(t, b, "shell", args{"command": "echo up; read x; echo got $x; read y", "background": true}), "job1 is running", "up")
	has(t, use(t, b, "job", args{"id": "job1", "action": "read"}), "job1 is running · 0 bytes of new output")
	has(t, use(t, b, "job", args{"id": "job1", "action": "write", "input": "input\n", "wait_s": 20}), "got input")
	got := use(t, b, "job", args{"id": "job1", "action": "stop"})
	has(t, got, "job1 has ended, exit 137")
	if strings.Contains(got, "got input") {
		t.Errorf("told twice: %s", got)
	}
	has(t, use(t, b, "shell", args{"command": "echo no; exit 4", "background": true}), "job2 has ended, exit 4", "no") // fails at once, says so at once
	has(t, use(t, b, "shell", args{"command": "sleep 0.2; seq 1 20000", "background": true}), "job3")
	has(t, use(t, b, "job", args{"id": "job9", "action": "read"}), agent.Failed, "no job")
	// 1 has ended, 2 and 3 as well; so many more may run and no others.
	for range mostJobs {
		has(t, use(t, b, "shell", args{"command": "sleep 600", "background": true}), "is running")
	}
	has(t, use(t, b, "shell", args{"command": "sleep 600", "background": true}), agent.Failed, "stop one first")
	var left []*job
	for _, j := range b.jobs {
		left = append(left, j)
	}
	b.stopJobs()
	for _, j := range left {
		if !j.ended() {
			t.Errorf("%s still runs", j.id)
		}
	}
}

// A job ends with the phase that started it, whose context is over then.
func TestAJobEndsWithItsPhase(t *testing.T) {
	b := open(t, nil)
	phase, end := context.WithCancel(t.Context())
	got, err := b.Use(phase, callOf(t, "shell", args{"command": "echo up; sleep 600", "background": true}), agent.Permit{})
	if err != nil {
		t.Fatal(err)
	}
	has(t, got, "job1 is running", "up")
	end()
	select {
	case <-b.jobs["job1"].p.Done():
	case <-time.After(30 * time.Second):
		t.Fatal("it outlived its phase")
	}
	has(t, use(t, b, "job", args{"id": "job1", "action": "read"}), "job1 has ended")
}

// A page answers from what was done with it.
type page struct {
	done   []string
	closed int
	shot   []byte // what a screenshot takes
}

func (p *page) Do(_ context.Context, a PageAction) (string, error) {
	p.done = append(p.done, a.Action+" "+a.URL+a.Ref+a.Text)
	switch a.Action {
	case "click":
		return "", errors.New("no element has ref e9")
	case "snapshot":
		return strings.Repeat("x", 3*mostPage), nil
	}
	return "page of " + a.URL, nil
}

func (p *page) Shot() []byte {
	if len(p.done) > 0 && strings.HasPrefix(p.done[len(p.done)-1], "screenshot") {
		return p.shot
	}
	return nil
}

func (p *page) Close() error { p.closed++; return nil }

func withPage(p *page) func(*Options) {
	return func(o *Options) { o.Page = func(context.Context) (Page, error) { return p, nil } }
}

func TestBrowser(t *testing.T) {
	var p page
	opened := 0
	b := open(t, nil, func(o *Options) {
		o.Page = func(context.Context) (Page, error) {
			if opened++; opened == 1 {
				return nil, errFake
			}
			return &p, nil
		}
	})
	act := func(in args) string { return use(t, b, "browser", in) }
	has(t, act(args{"action": "snapshot"}), agent.Failed, "open one first")
	has(t, act(args{"action": "open"}), agent.Failed, "open wants url")
	has(t, act(args{"action": "open", "url": "/"}), agent.Failed, "the browser does not start: the fake broke")
	has(t, act(args{"action": "open", "url": "/a"}), "page of /a")
	has(t, act(args{"action": "click", "ref": "e9"}), agent.Failed, "no element")
	if got := act(args{"action": "snapshot"}); len(got) > mostPage+100 {
		t.Errorf("%d bytes", len(got))
	}
	has(t, act(args{"action": "close"}), "closed")
	has(t, act(args{"action": "close"}), "no page was open")
	if d := cmp.Diff(p.done, []string{"open /a", "click e9", "snapshot "}); d != "" || p.closed != 1 || opened != 2 {
		t.Errorf("%s closed %d times, opened %d", d, p.closed, opened)
	}
}

func TestRunTests(t *testing.T) {
	scopes := []string{}
	b := open(t, nil, func(o *Options) {
		o.Tests = func(_ context.Context, scope string) (string, string, error) {
			scopes = append(scopes, scope)
			if scope == "break" {
				return "", "", errFake
			}
			return "1 failed", "1 failed\n" + strings.Repeat("why\n", 10_000), nil
		}
	})
	got := use(t, b, "run_tests", nil)
	has(t, got, "1 failed", "[all of it in "+b.o.LogDir+"/001.log]")
	has(t, use(t, b, "read_file", args{"path": b.o.LogDir + "/001.log", "limit": 2}), "1\t1 failed\n2\twhy")
	has(t, use(t, b, "run_tests", args{"scope": "all"}), "1 failed")
	_, err := b.Use(t.Context(), callOf(t, "run_tests", args{"scope": "break"}), agent.Permit{})
	if !errors.Is(err, errFake) {
		t.Errorf("a harness that cannot run tests: %v", err)
	}
	if d := cmp.Diff(scopes, []string{"changed", "all", "break"}); d != "" {
		t.Error(d)
	}
}

type runFunc func(context.Context, sandbox.Command) (sandbox.Output, error)

func (f runFunc) Run(ctx context.Context, c sandbox.Command) (sandbox.Output, error) {
	return f(ctx, c)
}

func TestWhatIsNotThere(t *testing.T) {
	b := open(t, nil, func(o *Options) { o.Shell, o.Start = nil, nil })
	for name, in := range map[string]args{
		"shell": {"command": "true"}, "run_tests": {}, "browser": {"action": "open", "url": "/"}, "teleport": {},
	} {
		has(t, use(t, b, name, in), agent.Failed)
	}
	has(t, use(t, b, "shell", args{"command": "true", "background": true}), agent.Failed)
	has(t, use(t, b, "read_file", args{"path": 5}), agent.Failed, "read the arguments")
}

func TestABrokenSandboxIsAnError(t *testing.T) {
	b := open(t, nil, func(o *Options) {
		o.Shell = runFunc(func(context.Context, sandbox.Command) (sandbox.Output, error) { return sandbox.Output{}, errFake })
		o.Start = func(context.Context, sandbox.Command) (Process, error) { return nil, errFake }
	})
	for _, background := range []bool{false, true} {
		text, err := b.Use(t.Context(), callOf(t, "shell", args{"command": "true", "background": background}), agent.Permit{})
		if !errors.Is(err, errFake) || text != "" {
			t.Errorf("%q, %v", text, err)
		}
	}
}

func TestTheEndOfTheContextIsTheCause(t *testing.T) {
	why := errors.New("deadline of the session")
	ctx, cancel := context.WithCancelCause(t.Context())
	b := open(t, nil)
	b.o.Shell = runFunc(func(ctx context.Context, c sandbox.Command) (sandbox.Output, error) {
		cancel(why)
		return bareShell{t}.Run(ctx, c)
	})
	_, err := b.Use(ctx, callOf(t, "shell", args{"command": "sleep 600"}), agent.Permit{})
	if !errors.Is(err, why) {
		t.Errorf("got %v", err)
	}
	if _, err := b.Use(ctx, callOf(t, "read_file", args{"path": "x"}), agent.Permit{}); !errors.Is(err, why) {
		t.Errorf("after the end: %v", err)
	}
}

// The specs are sent before all else: a changed byte costs every user the
// provider's cache. Change them on purpose, and not their order.
func TestSpecsAreConstant(t *testing.T) {
	var b strings.Builder
	for _, s := range (&Box{}).Specs() {
		var compact json.RawMessage
		if err := json.Unmarshal(s.Parameters, &compact); err != nil {
			t.Errorf("%s: %v", s.Name, err)
		}
		fmt.Fprintf(&b, "%s\n%s\n%s\n", s.Name, s.Description, s.Parameters)
	}
	want, err := os.ReadFile("testdata/specs.txt")
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(b.String(), string(want)); d != "" {
		t.Error(d)
	}
	if n := b.Len() / 4; n > 1300 {
		t.Errorf("about %d tokens", n)
	}
}
