package browser

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/autonomous-loop/autonomous-loop/runner/check"
	"github.com/autonomous-loop/autonomous-loop/runner/sandbox"
)

// The tests share one browser, as a session does. Those that kill it open their
// own.
var shared struct {
	once sync.Once
	b    *Browser
	err  error
}

func TestMain(m *testing.M) {
	if how := os.Getenv("SHELF"); how != "" {
		serve(how)
	}
	flag.Parse()
	// They wait more than they work, and two at a time would take minutes.
	if err := flag.Set("test.parallel", "5"); err != nil {
		panic(err)
	}
	code := m.Run()
	if shared.b != nil {
		shared.b.Close()
	}
	os.Exit(code)
}

func common(t *testing.T) *Browser {
	t.Helper()
	shared.once.Do(func() {
		var o Options
		if o, shared.err = plain(); shared.err == nil {
			shared.b, shared.err = Open(context.Background(), o)
		}
	})
	if shared.err != nil {
		t.Fatal(shared.err)
	}
	return shared.b
}

func open(t *testing.T, change func(*Options)) *Browser {
	t.Helper()
	o, err := plain()
	if err != nil {
		t.Fatal(err)
	}
	if change != nil {
		change(&o)
	}
	b, err := Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	return b
}

// plain are the options of a browser in which failing takes little time.
func plain() (Options, error) {
	p, err := Find(getenv, exists)
	return Options{
		Driver: p.Driver, Node: p.Node, Chromium: p.Chromium,
		Start: startPlain, Now: time.Now,
		Limits: Limits{Action: 6 * time.Second, Load: 20 * time.Second, Wait: 4 * time.Second},
	}, err
}

// getenv also knows what tools/setup.sh has left.
func getenv(name string) string {
	if v := os.Getenv(name); v != "" {
		return v
	}
	b, _ := os.ReadFile("../../build/env")
	for line := range strings.Lines(string(b)) {
		if v, ok := strings.CutPrefix(strings.TrimSpace(line), name+"="); ok {
			return v
		}
	}
	return ""
}

// A process is a Server without a sandbox.
type process struct {
	cmd  *exec.Cmd
	done chan struct{}
	mu   sync.Mutex
	buf  bytes.Buffer
}

func startPlain(ctx context.Context, c sandbox.Command) (Server, error) {
	p := &process{cmd: exec.CommandContext(ctx, c.Argv[0], c.Argv[1:]...), done: make(chan struct{})}
	p.cmd.Dir = c.Dir
	p.cmd.Env = append([]string{"PATH=" + os.Getenv("PATH")}, c.Env...)
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	p.cmd.Stdout, p.cmd.Stderr = p, p
	p.cmd.WaitDelay = 100 * time.Millisecond
	p.cmd.Cancel = func() error { return syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL) }
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		_ = p.cmd.Wait()
		close(p.done)
	}()
	return p, nil
}

func (p *process) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.buf.Write(b)
}

func (p *process) Done() <-chan struct{} { return p.done }

func (p *process) Output() sandbox.Output {
	p.mu.Lock()
	o := sandbox.Output{Text: p.buf.String()}
	p.mu.Unlock()
	select {
	case <-p.done:
		o.Code = p.cmd.ProcessState.ExitCode()
		if ws, ok := p.cmd.ProcessState.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
			o.Signal = ws.Signal().String()
		}
	default:
	}
	return o
}

// Listens looks among the descendants of the command.
func (p *process) Listens(port int) (own, others bool, err error) {
	inodes := map[string]bool{}
	for _, table := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		b, err := os.ReadFile(table)
		if err != nil {
			return false, false, err
		}
		for line := range strings.Lines(string(b)) {
			if f := strings.Fields(line); strings.HasSuffix(f[1], fmt.Sprintf(":%04X", port)) && f[3] == "0A" {
				inodes["socket:["+f[9]+"]"] = false
			}
		}
	}
	parent := parents()
	for pid := range parent {
		at := pid
		for at > 1 && at != p.cmd.Process.Pid {
			at = parent[at]
		}
		if at != p.cmd.Process.Pid {
			continue
		}
		fds, _ := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid))
		for _, fd := range fds {
			to, _ := os.Readlink(fd)
			if _, ok := inodes[to]; ok {
				inodes[to] = true
			}
		}
	}
	for _, mine := range inodes {
		own, others = own || mine, others || !mine
	}
	return own, others, nil
}

func (p *process) Stop() sandbox.Output {
	_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL)
	<-p.done
	return p.Output()
}

// scenario numbers steps.
func scenario(steps ...check.Step) check.Scenario {
	for i := range steps {
		steps[i].Step = i + 1
	}
	return check.Scenario{Feature: "shelf-1", Steps: steps}
}

func step(action, target, value, expected string) check.Step {
	return check.Step{Action: action, Target: target, Value: value, Expected: expected}
}

func accept(t *testing.T, b *Browser, app check.App, steps ...check.Step) check.Acceptance {
	t.Helper()
	acc, err := b.Accept(t.Context(), app, scenario(steps...))
	if err != nil {
		t.Fatal(err)
	}
	return acc
}

func mustPass(t *testing.T, acc check.Acceptance) {
	t.Helper()
	if !acc.Passed {
		t.Fatalf("failures %q, broken %q\nconsole %q\nnetwork %q\nserver %s\n%s",
			acc.Failures, acc.Broken, acc.Console, acc.Network, acc.Server, acc.Aria)
	}
}

// mustFail wants exactly one failure, which begins with text.
func mustFail(t *testing.T, acc check.Acceptance, text string) {
	t.Helper()
	if acc.Passed || acc.Broken != "" || len(acc.Failures) != 1 || !strings.HasPrefix(acc.Failures[0], text) {
		t.Fatalf("passed %t, broken %q, failures %q, want a failure %q", acc.Passed, acc.Broken, acc.Failures, text)
	}
}

// picture decodes a screenshot and says how many colours it has.
func picture(t *testing.T, b []byte) (image.Image, int) {
	t.Helper()
	m, err := png.Decode(bytes.NewReader(b))
	if err != nil {
		t.Fatalf("screenshot of %d bytes: %v", len(b), err)
	}
	colours := make(map[color.Color]bool)
	for y := 0; y < m.Bounds().Dy(); y += 3 {
		for x := 0; x < m.Bounds().Dx(); x += 3 {
			colours[m.At(x, y)] = true
		}
	}
	return m, len(colours)
}

// A scenario with every action there is passes, and what is kept of it is what
// was there.
func TestEveryActionPasses(t *testing.T) {
	t.Parallel()
	app := shelf(t)
	steps := []check.Step{
		step("goto", "", "/", ""),
		step("assert_title", "", "", "Shelf"),
		step("assert_text", "", "", "The little library of tests"),
		step("fill", "label=Title", "Dune", ""),
		step("assert_value", "#title", "", "Dune"),
		step("fill", `placeholder="Book title"`, "", ""),
		step("assert_value", "#title", "", ""),
		step("type", "label=Title", "Du", ""),
		step("type", "", "ne", ""),
		step("press", "label=Title", "Shift+End", ""),
		step("press", "", "End", ""),
		step("assert_text", "#key", "", "key: End"),
		step("click", `role=button[name="Add"]`, "", ""),
		step("assert_text", "testid=count", "", "1 book"),
		step("assert_count", "#books li", "", "1"),
		step("assert_persisted", "#books", "", "Dune"),
		step("assert_persisted", "text=Dune", "", ""),
		step("assert_persisted", "text=Dune", "new_context", ""),
		step("assert_persisted", "#books", "restart", "Dune"),
		step("fill", "label=Title", "left behind", ""),
		step("new_context", "", "", ""),
		step("assert_value", "#title", "", ""),
		step("new_context", "", "/about", ""),
		step("assert_url", "", "", "/about"),
		step("goto", "", "/", ""),
		step("dblclick", "#twice", "", ""),
		step("assert_visible", "text=twice: yes", "", ""),
		step("hover", "#tip", "", ""),
		step("assert_text", "#tip", "", "tip: on"),
		step("check", "label=Read", "", ""),
		step("assert_visible", "role=checkbox[checked]", "", ""),
		step("uncheck", "label=Read", "", ""),
		step("assert_visible", "role=checkbox[name=Read][checked=false]", "", ""),
		step("select", "label=Genre", "Poetry", ""),
		step("assert_text", "#genre-out", "", "genre: p"),
		step("assert_value", "label=Genre", "", "p"),
		step("upload", "label=Cover", "a red cover", "cover.txt"),
		step("assert_text", "#covered", "", "cover.txt text/plain: a red cover"),
		step("wait_for", "text=late: here", "", ""),
		step("assert_hidden", "#secret", "", ""),
		step("assert_attr", "role=link[name=About]", "href", "/about?from=shelf#top"),
		step("assert_attr", "#about", "class", "quiet"),
		step("assert_attr", "#about", "aria-current", ""),
		step("assert_visible", `role=heading[name="Shelf"][level=1]`, "", ""),
		step("assert_response", "", "GET /api/books", "200 contains Dune"),
		step("assert_response", "", `POST /api/books {"title":"Emma"}`, "201"),
		step("assert_response", "", "/nothing", "404 Not found"),
		step("assert_response", "", "GET /away?to=http://127.0.0.3:1", "302"),
		step("restart", "", "", ""),
		step("assert_response", "", "GET /visits", "200 2"), // the other one was of who waited for it
		step("goto", "/", "", "200"),
		step("assert_text", "testid=count", "", "2 books"),
		step("dialog", "", "accept The new shelf", "New name?"),
		step("click", `role=button[name="Rename"]`, "", ""),
		step("assert_text", "role=heading", "", "The new shelf"),
		step("dialog", "", "dismiss", ""),
		step("click", `role=button[name="Clear"]`, "", ""),
		step("assert_count", "#books li", "", "2"),
		step("dialog", "", "accept", "Clear the shelf?"),
		step("click", `role=button[name="Clear"]`, "", ""),
		step("assert_count", "#books li", "", "0"),
		step("assert_no_console_errors", "", "", ""),
		step("allow_console_errors", "", "", "boom at /"),
		step("allow_console_errors", "", "", "late boom"),
		step("click", "#boom", "", ""),
		step("screenshot", "", "", ""),
		step("click", "#about", "", ""),
		step("wait_for_url", "", "", "/about"),
		step("assert_url", "", "", "/about?from=*#top"),
	}
	used := make(map[string]bool)
	for _, s := range steps {
		used[s.Action] = true
	}
	for _, a := range actions() {
		if !used[a.name] {
			t.Errorf("%s is not among the steps", a.name)
		}
	}
	acc := accept(t, common(t), app, steps...)
	mustPass(t, acc)
	if acc.Feature != "shelf-1" || acc.Executed != len(steps) || acc.Succeeded != len(steps) || acc.Duration <= 0 {
		t.Errorf("got %s, %d executed, %d succeeded, %v", acc.Feature, acc.Executed, acc.Succeeded, acc.Duration)
	}
	m, colours := picture(t, acc.Screenshot)
	if m.Bounds().Dx() != 1280 || m.Bounds().Dy() < 800 || colours < 10 {
		t.Errorf("screenshot %v with %d colours", m.Bounds(), colours)
	}
	if dir := os.Getenv("SCREENSHOTS"); dir != "" {
		if err := os.WriteFile(filepath.Join(dir, "shelf.png"), acc.Screenshot, 0o644); err != nil {
			t.Error(err)
		}
	}
	if !strings.Contains(acc.Server, "POST /api/books") {
		t.Errorf("server log: %s", acc.Server)
	}
	if b, err := os.ReadFile(filepath.Join(app.Dir, "books.json")); err != nil || string(b) != "[]" {
		t.Errorf("the application's directory: %s, %v", b, err)
	}
}

// Every action fails once, and says which step, what was expected and what was
// seen. All rows share an application.
func TestEveryActionFails(t *testing.T) {
	t.Parallel()
	b, app := common(t), shelf(t)
	limits := b.o.Limits
	limits.Action, limits.Wait, limits.Load, limits.Answer = 1500*time.Millisecond, 1500*time.Millisecond, 6*time.Second, 2*time.Second
	u, release, err := b.place(t.Context(), app)
	if err != nil {
		t.Fatal(err)
	}
	defer release()
	srv := newServer(t.Context(), app, u, b.o)
	if err := srv.run(t.Context()); err != nil {
		t.Fatal(err)
	}
	defer srv.stop(t.Context())
	e, err := b.up(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	type row struct {
		first, step check.Step
		want        string
	}
	rows := []row{
		{step: step("goto", "", "/broken", ""), want: `(goto /broken): expected a page, the server answered 500`},
		{step: step("goto", "", "/about", "404"), want: `(goto /about): expected status 404, the server answered 200`},
		{step: step("goto", "", "/hang", ""), want: `(goto /hang): the page did not load in 6s`},
		{step: step("goto", "", "http://example.com/", ""), want: `(goto http://example.com/): http://example.com/ is outside the application`},
		{step: step("goto", "", "file:///etc/passwd", ""), want: `(goto file:///etc/passwd): file:///etc/passwd is outside the application`},
		{step: step("goto", "", "data:text/html,x", ""), want: `(goto data:text/html,x): data:text/html,x is outside the application`},
		{step: step("fill", "label=Writer", "x", ""), want: `(fill label=Writer): no element matches in 1.5s`},
		{step: step("fill", "#add", "x", ""), want: `(fill #add): Element is not an <input>`},
		{step: step("type", "#nowhere", "x", ""), want: `(type #nowhere): no element matches in 1.5s`},
		{step: step("press", "#nowhere", "Enter", ""), want: `(press #nowhere): no element matches in 1.5s`},
		{step: step("press", "", "Wibble", ""), want: `(press Wibble): Unknown key: "Wibble"`},
		{step: step("click", "#secret", "", ""), want: `(click #secret): 1 elements match, none became visible in 1.5s`},
		{step: step("click", "#off", "", ""), want: `(click #off): Timeout 1500ms exceeded.`},
		{step: step("click", "#under", "", ""), want: `(click #under): Timeout 1500ms exceeded.`},
		{step: step("dblclick", "#nowhere", "", ""), want: `(dblclick #nowhere): no element matches in 1.5s`},
		{step: step("hover", "#nowhere", "", ""), want: `(hover #nowhere): no element matches in 1.5s`},
		{step: step("check", "#title", "", ""), want: `(check #title): Not a checkbox or radio button`},
		{step: step("uncheck", "#nowhere", "", ""), want: `(uncheck #nowhere): no element matches in 1.5s`},
		{step: step("select", "label=Genre", "Drama", ""), want: `(select label=Genre): expected an option "Drama", there are "Novel", "Poetry"`},
		{step: step("upload", "label=Title", "x", ""), want: `(upload label=Title): no file input matches in 1.5s`},
		{step: step("upload", "#nowhere", "x", ""), want: `(upload #nowhere): no file input matches in 1.5s`},
		{step: step("wait_for", "text=never", "", ""), want: `(wait_for text=never): no element matches in 1.5s`},
		{step: step("wait_for_url", "", "", "/done"), want: `(wait_for_url /done): expected the address /done, it is /`},
		{step: step("assert_url", "", "", "/about"), want: `(assert_url /about): expected the address /about, it is /`},
		{step: step("assert_title", "", "", "Desk"), want: `(assert_title Desk): expected a title with "Desk", it is "Shelf"`},
		{step: step("assert_text", "testid=count", "", "2 books"), want: `(assert_text testid=count): expected "2 books", page shows "0 books"`},
		{step: step("assert_text", "", "", "Nobody"), want: `(assert_text Nobody): expected "Nobody", page shows "Shelf The little library of tests Subtitle`},
		{step: step("assert_visible", "#secret", "", ""), want: `(assert_visible #secret): 1 elements match, none became visible in 1.5s`},
		{step: step("assert_hidden", "text=little library", "", ""), want: `(assert_hidden text=little library): expected nothing to be seen, page shows "The little library of tests"`},
		{step: step("assert_count", "role=button", "", "2"), want: `(assert_count role=button): expected 2 elements, page shows 8`},
		{first: step("fill", "#title", "Emma", ""), step: step("assert_value", "#title", "", "Dune"), want: `(assert_value #title): expected the value "Dune", page shows "Emma"`},
		{step: step("assert_attr", "#about", "href", "/x"), want: `(assert_attr #about): expected the attribute href="/x", page shows "href=/about?from=shelf#top"`},
		{step: step("assert_attr", "#about", "disabled", ""), want: `(assert_attr #about): expected the attribute disabled, page shows "no disabled"`},
		{first: step("click", "#boom", "", ""), step: step("assert_no_console_errors", "", "", ""), want: `(assert_no_console_errors): expected no errors in the console, there are 2: boom at / (/:`},
		{step: step("assert_response", "", "GET /api/books", "200 contains Dune"), want: `(assert_response GET /api/books): expected the answer 200 with "Dune", got 200 with "[]"`},
		{step: step("assert_response", "", "POST /api/books {", "201"), want: `(assert_response POST /api/books {): expected the answer 201, got 400 with ""not JSON""`},
		{step: step("assert_response", "", "GET http://127.0.0.3:1/", "200"), want: `(assert_response GET http://127.0.0.3:1/): http://127.0.0.3:1/ is outside the application`},
		{first: step("fill", "#title", "Emma", ""), step: step("assert_persisted", "#title", "", "Emma"), want: `(assert_persisted #title): after the page was loaded again: expected "Emma", page shows ""`},
		{first: step("fill", "#title", "Emma", ""), step: step("assert_persisted", "#title", "new_context", "Emma"), want: `(assert_persisted #title): for a visitor who has just come to /: expected "Emma", page shows ""`},
		{step: step("new_context", "", "/broken", ""), want: `(new_context /broken): expected a page, the server answered 500`},
		{step: step("new_context", "", "http://127.0.0.3:1/", ""), want: `(new_context http://127.0.0.3:1/): http://127.0.0.3:1/ is outside the application`},
		{first: step("dialog", "", "accept", ""), step: step("dialog", "", "accept", ""), want: `(dialog accept): the dialog of step 1 (dialog accept) has not appeared yet`},
		{first: step("click", "#spin", "", ""), step: step("screenshot", "", "", ""), want: `(screenshot): the page gives no answer in `},
	}
	// TestApplicationThatDoesNotComeBack, TestConsoleErrorsFailWhatDoesNotAllowThem
	failed := map[string]bool{"restart": true, "allow_console_errors": true}
	for _, tt := range rows {
		failed[tt.step.Action] = true
	}
	for _, a := range actions() {
		if !failed[a.name] {
			t.Errorf("%s is not among the rows", a.name)
		}
	}
	var wg sync.WaitGroup
	for part := range slices.Chunk(rows, (len(rows)+3)/4) {
		wg.Go(func() {
			var s *session
			defer func() { s.close() }()
			for _, tt := range part {
				if s == nil || tt.first.Action != "" {
					s.close()
					var err error
					if s, err = e.open(t.Context(), scope{port: port(u)}, u, limits); err != nil {
						t.Error(err)
						return
					}
				}
				patient := &run{session: s, server: srv, limits: b.o.Limits}
				for _, st := range scenario(step("goto", "", "/", ""), step("assert_text", "testid=count", "", "book")).Steps {
					if err := patient.do(t.Context(), st); err != nil {
						t.Error(err)
						return
					}
				}
				r := &run{session: s, server: srv, limits: limits}
				steps := scenario(tt.first, tt.step).Steps
				switch {
				case tt.first.Target == "#spin":
					_ = r.do(t.Context(), steps[0]) // does not come back
				case tt.first.Action != "":
					if err := patient.do(t.Context(), steps[0]); err != nil {
						t.Error(err)
					}
				}
				err := r.do(t.Context(), steps[1])
				s = r.session // it may be another visitor's now
				if err == nil || !strings.HasPrefix(local(u, brief(err)), "step 2 "+tt.want) {
					t.Errorf("got  %v\nwant step 2 %s", err, tt.want)
				}
				if how := r.broken(t.Context(), err); how != "" {
					t.Errorf("broken: %s", how)
				}
			}
		})
	}
	wg.Wait()
}

func TestFailureKeepsEvidence(t *testing.T) {
	t.Parallel()
	acc := accept(t, common(t), shelf(t),
		step("goto", "", "/", ""),
		step("click", "#boom", "", ""),
		step("assert_response", "", "GET /none", "404"),
		step("assert_text", "testid=count", "", "7 books"),
		step("click", "#add", "", ""),
	)
	mustFail(t, acc, `step 4 (assert_text testid=count): expected "7 books", page shows "0 books"`)
	if acc.Executed != 4 || acc.Succeeded != 3 {
		t.Errorf("%d executed, %d succeeded", acc.Executed, acc.Succeeded)
	}
	if _, colours := picture(t, acc.Screenshot); colours < 10 {
		t.Errorf("screenshot has %d colours", colours)
	}
	if !strings.Contains(acc.Aria, `button "Add"`) {
		t.Errorf("aria snapshot: %s", acc.Aria)
	}
	if c := strings.Join(acc.Console, "\n"); !strings.Contains(c, "error: boom at / (/:") || !strings.Contains(c, "uncaught TypeError: late boom") {
		t.Errorf("console: %s", c)
	}
}

func TestPageThatLogsForEverIsCapped(t *testing.T) {
	t.Parallel()
	acc := accept(t, common(t), shelf(t), step("goto", "", "/loud", ""), step("assert_no_console_errors", "", "", ""))
	mustFail(t, acc, "step 2 (assert_no_console_errors): expected no errors in the console, there are 200: loud 0")
	total := 0
	for _, line := range append(acc.Console, acc.Failures...) {
		total += len(line)
		if strings.ContainsAny(line, "\n\r\x1b") {
			t.Fatalf("not one clean line: %q", line)
		}
	}
	if total > 200<<10 || len(acc.Console) > maxEntries+1 {
		t.Errorf("%d bytes in %d lines", total, len(acc.Console))
	}
}

func TestTallPageIsCut(t *testing.T) {
	t.Parallel()
	acc := accept(t, common(t), shelf(t), step("goto", "", "/tall", ""))
	mustPass(t, acc)
	if m, _ := picture(t, acc.Screenshot); m.Bounds() != image.Rect(0, 0, 1280, maxShot) {
		t.Errorf("screenshot %v", m.Bounds())
	}
}

// What may change something is asked for once, also if the answer is not as
// expected.
func TestPostIsSentOnce(t *testing.T) {
	t.Parallel()
	acc := accept(t, common(t), shelf(t), step("assert_response", "", `POST /api/books {"title":"Dune"}`, "200"))
	mustFail(t, acc, `step 1 (assert_response POST /api/books {"title":"Dune"}): expected the answer 200, got 201 with "["Dune"]"`)
	if n := strings.Count(acc.Server, "POST /api/books"); n != 1 {
		t.Errorf("%d requests arrived", n)
	}
}

// What a page puts in the place of the DOM's own functions is not believed.
func TestPageCannotForgeWhatIsRead(t *testing.T) {
	t.Parallel()
	mustPass(t, accept(t, common(t), shelf(t), step("goto", "", "/forged", ""),
		step("assert_text", "#p", "", "plain"), step("assert_text", "", "", "plain"), step("assert_count", "p", "", "1"),
		step("assert_attr", "#p", "id", "p"), step("assert_response", "", "GET /api/books", "200 []")))
}

// Nothing of what a page does arrives at another host, be it by a redirect, an
// icon, a socket or a worker.
func TestOutsideIsNotReached(t *testing.T) {
	t.Parallel()
	b, app := common(t), shelf(t)
	var arrived atomic.Int64
	outside := listen(t, "127.0.0.3:0", func(net.Conn) { arrived.Add(1) })
	to := "http://" + outside
	acc := accept(t, b, app,
		step("goto", "", "/outside?to="+to, ""),
		step("assert_response", "", "GET /away?to="+to, "302"),
		step("assert_no_console_errors", "", "", ""),
		step("screenshot", "", "", ""),
		step("goto", "", "/away?to="+to, ""),
	)
	mustFail(t, acc, "step 5 (goto /away?to="+to+"): /away?to="+to+": net::ERR_NAME_NOT_RESOLVED")
	if n := arrived.Load(); n != 0 {
		t.Errorf("%d connections arrived outside", n)
	}
	network := strings.Join(acc.Network, "\n")
	for _, want := range []string{"/img.png", "/frame", "/fetch", "/beacon", "/events", "WebSocket", "/redirected"} {
		if !strings.Contains(network, want) {
			t.Errorf("%s is not reported: %s", want, network)
		}
	}
}

// listen accepts connections until the test is over and returns the address.
func listen(t *testing.T, at string, seen func(net.Conn)) string {
	t.Helper()
	l, err := net.Listen("tcp", at)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			seen(c)
			_ = c.Close() // whoever connected has been counted
		}
	}()
	return l.Addr().String()
}

// Another port of this machine is outside, too; a socket to the own one is not.
// The one way there is a redirect, and that fails the run.
func TestOtherPortIsRefused(t *testing.T) {
	t.Parallel()
	var arrived atomic.Int64
	other := "http://" + listen(t, "127.0.0.1:0", func(net.Conn) { arrived.Add(1) })
	acc := accept(t, common(t), shelf(t), step("allow_console_errors", "", "", "WebSocket"),
		step("goto", "", "/socket", ""), step("assert_text", "#s", "", "reached"),
		step("goto", "", "/outside?to="+other+"&stay=1", ""), step("assert_text", "", "", "Outside"))
	mustPass(t, acc)
	if !strings.Contains(acc.Server, "GET /none") {
		t.Errorf("the socket did not arrive: %s", acc.Server)
	}
	if n := arrived.Load(); n != 0 {
		t.Errorf("%d connections arrived", n)
	}
	acc = accept(t, common(t), shelf(t), step("goto", "", "/outside?to="+other, ""), step("assert_title", "", "", "Back"))
	mustFail(t, acc, "the application sends its pages to "+other+"/redirected, outside of it")
}

func TestDialogs(t *testing.T) {
	t.Parallel()
	b, app := common(t), shelf(t)
	mustFail(t, accept(t, b, app, step("goto", "", "/", ""), step("dialog", "", "accept", "Sure?"), step("click", "#clear", "", "")),
		`step 2 (dialog accept): expected a dialog that says "Sure?", it says "Clear the shelf?"`)
	mustFail(t, accept(t, b, app, step("goto", "", "/", ""), step("dialog", "", "accept", "")),
		`step 2 (dialog accept): expected a dialog, none appeared`)
	acc := accept(t, b, app, step("goto", "", "/", ""), step("click", "#rename", "", ""), step("assert_text", "role=heading", "", "Kept"),
		step("goto", "", "/leave", ""), step("click", "text=away", "", ""), step("assert_url", "", "", "/about"))
	mustPass(t, acc)
	if len(acc.Console) != 1 || acc.Console[0] != `dialog dismissed: prompt "New name?"` {
		t.Errorf("console: %q", acc.Console)
	}
}

func TestWindowsAreFew(t *testing.T) {
	t.Parallel()
	mustPass(t, accept(t, common(t), shelf(t), step("goto", "", "/windows", ""), step("assert_text", "", "", "Windows")))
}

func TestApplicationThatDoesNotStart(t *testing.T) {
	t.Parallel()
	b := open(t, func(o *Options) { o.Limits.Ready = 2 * time.Second })
	address := regexp.MustCompile(`http://127\.0\.0\.1:\d+`)
	for name, tt := range map[string]struct {
		app  check.App
		want string
	}{
		"ends": {
			check.App{Dir: t.TempDir(), Start: "for i in $(seq 103); do echo line $i; done; echo oops >&2; exit 7"},
			"the application ended before it answered, with exit code 7\nline 5\nline 6\n",
		},
		"does not listen": {
			check.App{Dir: t.TempDir(), Start: "echo up; exec sleep 60"},
			"the application does not answer at URL after 2s: nothing listens there\nup",
		},
		"has nothing to say": {
			shelf(t, "503"),
			"the application does not answer at URL after 2s: it answers 503 Service Unavailable; it printed nothing",
		},
		"listens elsewhere": {
			shelf(t, "::1"),
			"the application does not answer at URL after 2s: nothing listens there (but on [::1]: let it listen on 127.0.0.1 or on all " +
				"addresses, or set url to http://localhost:{port})\nlistening",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			acc := accept(t, b, tt.app, step("goto", "", "/", ""))
			for i, f := range acc.Failures {
				acc.Failures[i] = address.ReplaceAllString(f, "URL")
			}
			mustFail(t, acc, tt.want)
			if name == "ends" && (!strings.HasSuffix(acc.Failures[0], "line 103\noops") || acc.Duration > 1900*time.Millisecond) {
				t.Errorf("after %v: %s", acc.Duration, acc.Failures[0])
			}
			if acc.Executed != 0 {
				t.Errorf("%d steps", acc.Executed)
			}
		})
	}
}

// A server that was there before would answer for the application.
func TestPortThatIsTaken(t *testing.T) {
	t.Parallel()
	old := listen(t, "127.0.0.1:0", func(c net.Conn) {
		_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\n\r\n") // nobody may ask
	})
	app := shelf(t)
	app.URL = "http://" + old
	_, p, _ := net.SplitHostPort(old)
	acc := accept(t, common(t), app, step("goto", "", "/", ""))
	mustFail(t, acc, "something else already answers on port "+p+"; the application was not started")
}

// Whoever begins to answer in the application's place while it starts, or beside
// it while it is judged, is found out.
func TestServerOfSomebodyElse(t *testing.T) {
	t.Parallel()
	b := common(t)
	for name, tt := range map[string]struct{ start, host string }{
		"instead": {"touch started; exec sleep 60", "127.0.0.1"},
		"beside":  {"touch started; exec " + shelfCommand(t), "::1"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			app := shelf(t)
			u, release, err := b.place(t.Context(), app)
			if err != nil {
				t.Fatal(err)
			}
			release() // for a run whose application names it
			app.URL, app.Start = u.String(), tt.start
			go func() {
				for !exists(filepath.Join(app.Dir, "started")) {
					time.Sleep(time.Millisecond)
				}
				listen(t, net.JoinHostPort(tt.host, u.Port()), func(c net.Conn) {
					_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
				})
			}()
			acc := accept(t, b, app, step("goto", "", "/", ""), step("wait_for", "text=late: here", "", ""))
			if acc.Passed || acc.Broken != "" || !strings.HasPrefix(strings.Join(acc.Failures, "; "), "something else than the application listens on port "+u.Port()) {
				t.Errorf("passed %t, %q, broken %q", acc.Passed, acc.Failures, acc.Broken)
			}
		})
	}
}

// An application that leaves a server behind when it is stopped was perhaps not
// the one that answered.
func TestServerThatOutlivesTheApplication(t *testing.T) {
	t.Parallel()
	app := shelf(t)
	app.Start = "setsid " + shelfCommand(t) + " & echo $! >pid; wait"
	acc := accept(t, common(t), app, step("goto", "", "/about", ""))
	b, err := os.ReadFile(filepath.Join(app.Dir, "pid"))
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	mustFail(t, acc, "something still answers on port ")
}

func TestApplicationThatDiesOnTheWay(t *testing.T) {
	t.Parallel()
	acc := accept(t, common(t), shelf(t), step("goto", "", "/about", ""), step("assert_response", "", "GET /down", "200"))
	if acc.Passed || acc.Broken != "" || len(acc.Failures) != 2 ||
		!strings.HasPrefix(acc.Failures[0], "step 2 (assert_response GET /down): expected the answer 200, there is none: ") ||
		acc.Failures[1] != "the application ended by itself, with exit code 3" {
		t.Errorf("failures %q, broken %q", acc.Failures, acc.Broken)
	}
}

func TestApplicationThatDoesNotComeBack(t *testing.T) {
	t.Parallel()
	acc := accept(t, common(t), shelf(t, "once"), step("goto", "", "/about", ""), step("restart", "", "", ""))
	mustFail(t, acc, "step 2 (restart): the application ended before it answered, with exit code 4\nno more")
	if !strings.Contains(acc.Server, "GET /about\n[restarted]\nno more") {
		t.Errorf("server log: %s", acc.Server)
	}
}

func TestApplicationRunsInItsDirectory(t *testing.T) {
	t.Parallel()
	app := shelf(t)
	app.URL = "http://localhost:{port}/"
	mustPass(t, accept(t, common(t), app, step("assert_response", "", "GET /env", `200 contains {"cwd":"`+app.Dir+`","port":"`)))
}

func TestParallelRunsDoNotMeet(t *testing.T) {
	t.Parallel()
	b := common(t)
	var wg sync.WaitGroup
	for i := range 4 {
		app := shelf(t)
		wg.Go(func() {
			name := fmt.Sprintf("Book %d", i)
			acc, err := b.Accept(t.Context(), app, scenario(
				step("goto", "", "/", ""),
				step("fill", "label=Title", name, ""),
				step("click", `role=button[name="Add"]`, "", ""),
				step("assert_text", "testid=count", "", "1 book"),
				step("assert_text", "#books", "", name),
			))
			if err != nil || !acc.Passed {
				t.Errorf("%s: %v, failures %q, broken %q", name, err, acc.Failures, acc.Broken)
			}
		})
	}
	wg.Wait()
}

func TestScenarioThatTakesTooLong(t *testing.T) {
	t.Parallel()
	b := open(t, func(o *Options) { o.Limits.Scenario, o.Limits.Wait = 3*time.Second, time.Minute })
	acc := accept(t, b, shelf(t), step("goto", "", "/", ""), step("wait_for", "text=never", "", ""))
	mustFail(t, acc, "step 2 (wait_for text=never): the scenario takes longer than 3s")
	if _, colours := picture(t, acc.Screenshot); colours < 10 {
		t.Errorf("screenshot has %d colours", colours)
	}
}

func TestCancelEndsARun(t *testing.T) {
	t.Parallel()
	b := common(t)
	for _, st := range []check.Step{step("goto", "", "/hang", ""), step("wait_for", "text=never", "", ""), step("click", "#spin", "", "")} {
		ctx, cancel := context.WithCancelCause(t.Context())
		enough := errors.New("enough")
		app := shelf(t)
		var began time.Time
		timer := time.AfterFunc(1200*time.Millisecond, func() { began = time.Now(); cancel(enough) })
		acc, err := b.Accept(ctx, app, scenario(step("goto", "", "/", ""), st, step("wait_for", "text=never", "", "")))
		if timer.Stop() {
			t.Fatalf("%s: ended before it was cancelled: %q, %v", st.Action, acc.Failures, err)
		}
		if !errors.Is(err, enough) || acc.Passed {
			t.Errorf("%s: got %v", st.Action, err)
		}
		// It is at once, but for a browser that is just being started: that may take
		// five seconds to give up.
		if d := time.Since(began); d > 8*time.Second {
			t.Errorf("%s: took %v to end", st.Action, d)
		}
	}
	if e, err := b.up(t.Context()); err != nil || !e.responds(t.Context()) {
		t.Errorf("the browser is gone: %v", err)
	}
}

func TestMistakesAreFoundBeforeAnythingStarts(t *testing.T) {
	t.Parallel()
	acc := accept(t, common(t), check.App{Start: "exit 1"},
		step("goto", "", "", ""), step("clack", "x", "", ""), step("click", "role=button[nome=x]", "", ""))
	if len(acc.Failures) != 3 || acc.Passed || acc.Executed != 0 {
		t.Errorf("got %q", acc.Failures)
	}
}

func TestAddressMustBeLocal(t *testing.T) {
	t.Parallel()
	_, err := common(t).Accept(t.Context(), check.App{Start: "exit 0", URL: "https://example.com"}, scenario(step("goto", "", "/", "")))
	if err == nil || !strings.Contains(err.Error(), "must answer on this machine") {
		t.Errorf("got %v", err)
	}
}

// The tests' own server does what they think it does.
func TestPlainServer(t *testing.T) {
	t.Parallel()
	p, err := startPlain(t.Context(), sandbox.Command{Argv: []string{"/bin/sh", "-c", "echo hello; exit 3"}, Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	<-p.Done()
	if o := p.Stop(); o.Code != 3 || o.Text != "hello\n" {
		t.Errorf("got %+v", o)
	}
}

// Whoever is in a hurry waits for a page that is at work, and for no other.
func TestHurry(t *testing.T) {
	t.Parallel()
	b, app := common(t), shelf(t)
	for _, tt := range []struct {
		path, expected string
		passes         bool
	}{
		{"/fetched", "slow but sure", true},
		{"/steps", "12", true},
		{"/about", "About", true},
		{"/about", "Nowhere", false},
	} {
		sc := scenario(step("goto", "", tt.path, ""), step("assert_text", "", "", tt.expected), step("assert_hidden", "text=never", "", ""))
		sc.Hurry = true
		acc, err := b.Accept(t.Context(), app, sc)
		if err != nil || acc.Passed != tt.passes || acc.Broken != "" {
			t.Errorf("%s: %v, passed %t: %q %s", tt.path, err, acc.Passed, acc.Failures, acc.Broken)
		}
		if !tt.passes && acc.Duration > common(t).o.Limits.Action {
			t.Errorf("%s: it took %v to see that nothing comes", tt.path, acc.Duration)
		}
	}
}
