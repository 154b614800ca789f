//go:build deep

package crash

import (
	"fmt"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/autonomous-loop/autonomous-loop/runner"
	"github.com/autonomous-loop/autonomous-loop/runner/model"
)

// pageModel builds one feature that is seen in a browser, at whichever attempt.
func pageModel() string {
	const attempt = `
-- greet-001/N/tests/1 write_file test/greet.test.js --
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { page } from '../page.js';

test('it greets', () => {
  assert.match(page(new URLSearchParams('name=Ada')), /Hello, Ada/);
});
-- greet-001/N/tests/1 request_verification --
the test is written
-- greet-001/N/implement/1 read_file page.js --
-- greet-001/N/implement/2 write_file page.js --
export function page(query) {
  const name = (query.get('name') ?? '').replace(/[&<>"]/g, '');
  const greeting = name && ` + "`<p>Hello, ${name}</p>`" + `;
  return ` + "`<!doctype html><html lang=\"en\"><title>Greeter</title><link rel=\"icon\" href=\"data:,\"><main><h1>Greeter</h1>${greeting}</main></html>`" + `;
}
-- greet-001/N/implement/2 request_verification --
it greets
`
	script := `A page, and a browser that looks at it.
-- plan/1 say --
[
  {"id": "greet-001", "category": "functional", "description": "The page greets a name", "steps": ["Open /?name=Ada", "See Hello, Ada"], "priority": 1,
   "data": {"who": {"kind": "word"}},
   "acceptance": [{"step": 1, "action": "goto", "value": "/?name={{who}}"}, {"step": 2, "action": "assert_text", "target": "role=main", "expected": "Hello, {{who}}"}]}
]
`
	for n := range 4 {
		script += strings.ReplaceAll(attempt, "/N/", fmt.Sprintf("/%d/", n+1))
	}
	return script
}

// page is a repository with a page.
func page(t *testing.T) form {
	t.Helper()
	files := map[string]string{}
	root := "../../testdata/job"
	for _, name := range []string{"SPEC.md", "package.json", "page.js", "server.js", "test/page.test.js"} {
		text, err := os.ReadFile(filepath.Join(root, name))
		if err != nil {
			t.Fatal(err)
		}
		files[name] = string(text)
	}
	var env []string
	for _, name := range []string{"AUTONOMOUS_LOOP_CHROMIUM", "AUTONOMOUS_LOOP_DRIVER", "AUTONOMOUS_LOOP_NODE"} {
		env = append(env, name+"="+os.Getenv(name))
	}
	return form{name: "page", binary: released, files: files, env: env}
}

// TestKillWhileABrowserLooks kills the program on a laptop while Chromium has a
// page of the application open: the session alone, whose parent begins the next
// one, and both. Only they are killed. What the session alone leaves, driver,
// browser and application, is gone soon after; what both leave is for the next
// session to end. The loop comes to the same end, and nothing stays on the disk.
func TestKillWhileABrowserLooks(t *testing.T) {
	// Whoever is left behind becomes a child of this process.
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		t.Fatal(err)
	}
	script, err := model.Script("page.txtar", []byte(pageModel()))
	if err != nil {
		t.Fatal(err)
	}
	defer script.Close()
	to, err := url.Parse(strings.TrimSuffix(script.URL, "/v1"))
	if err != nil {
		t.Fatal(err)
	}
	f := page(t)
	options := []string{"--e2e", "required"}
	world := func(t *testing.T) *world {
		w := f.world(t)
		w.model = httputil.NewSingleHostReverseProxy(to)
		for _, dir := range []string{filepath.Dir(w.dir), w.dir} { // the sandbox's user walks through
			if err := os.Chmod(dir, 0o711); err != nil {
				t.Fatal(err)
			}
		}
		return w
	}
	in := world(t)
	begun := time.Now()
	in.laptop(options, nil)
	if t.Failed() || !strings.Contains(in.git("for-each-ref", "--format=%(refname)"), workRef) {
		in.fail("in peace it builds nothing")
		return
	}
	g := golden{projection: in.project(), asked: in.asked, took: time.Since(begun)}
	evidence := in.git("ls-tree", "-r", "--name-only", stateRef, "evidence/")
	if len(g.Flaws) > 0 || len(g.Leftover) > 0 || g.Status != runner.Done || g.Verdicts["greet-001"] != "complete, verified" || !strings.Contains(evidence, "evidence/greet-001/screenshot.png") {
		in.fail("in peace it comes to %+v, with %s", g.projection, evidence)
		return
	}
	t.Logf("in peace %d questions, %.1f s", g.asked, g.took.Seconds())
	for _, both := range []bool{false, true} {
		name := map[bool]string{false: "the session", true: "the session and its parent"}[both]
		t.Run(name, func(t *testing.T) {
			w := world(t)
			w.laptop(options, func(cmd *exec.Cmd) int {
				if err := cmd.Start(); err != nil {
					t.Fatal(err)
				}
				session := w.looking(cmd.Process.Pid, g.asked)
				if both {
					_ = cmd.Process.Kill()
				}
				if err := syscall.Kill(session, syscall.SIGKILL); err != nil {
					t.Fatal(err)
				}
				w.met++
				if !both {
					w.alone(cmd.Process.Pid)
				}
				_ = cmd.Wait()
				return cmd.ProcessState.ExitCode()
			})
			w.alone(0)
			w.same(g, 1)
			if d := cmp.Diff(evidence, w.git("ls-tree", "-r", "--name-only", stateRef, "evidence/")); d != "" {
				w.fail("the evidence (-peace +this):\n%s", d)
			}
		})
	}
}

// looking waits until the model was asked so often, and then until a browser below
// a process has a page open. It returns the session that it belongs to.
func (w *world) looking(parent, asked int) (session int) {
	w.t.Helper()
	for range 6000 {
		w.mu.Lock()
		early := w.asked < asked
		w.mu.Unlock()
		if early {
			time.Sleep(20 * time.Millisecond)
			continue
		}
		for _, pid := range descendants(parent) {
			if strings.Contains(commandLine(pid), "--type=renderer") {
				children := kids(parent)
				if i := slices.IndexFunc(children, func(child int) bool { return slices.Contains(descendants(child), pid) }); i >= 0 {
					return children[i]
				}
			}
		}
		time.Sleep(20 * time.Millisecond)
	}
	w.t.Fatal("no browser looks at anything")
	return 0
}

// alone waits until of all that this process has below it only one is left, with
// what is below that.
func (w *world) alone(but int) {
	w.t.Helper()
	var left []string
	for range 500 {
		left = nil
		for _, child := range kids(os.Getpid()) {
			if child == but {
				continue
			}
			for _, pid := range append(descendants(child), child) {
				if line := commandLine(pid); line != "" { // one that has ended has none
					left = append(left, fmt.Sprintf("%d %s", pid, line))
				}
			}
			if len(left) == 0 {
				_, _ = syscall.Wait4(child, nil, syscall.WNOHANG, nil)
			}
		}
		if len(left) == 0 {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	w.t.Errorf("these are left of what was killed:\n%s", strings.Join(left, "\n"))
}

func commandLine(pid int) string {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	return strings.TrimSpace(strings.ReplaceAll(string(text), "\x00", " "))
}
