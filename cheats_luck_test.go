package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/autonomous-loop/autonomous-loop/runner"
	"github.com/autonomous-loop/autonomous-loop/runner/check"
)

// The base project with a page, with an application that is right by luck.
func lucky(t *testing.T, condition string) cheat {
	t.Helper()
	c, err := readCheat("testdata/cheats/node/page-honest.txtar")
	if err != nil {
		t.Fatal(err)
	}
	const answers = "  return createServer(async (req, res) => {\n"
	app := c.trees[2]["app.js"]
	if strings.Count(app, answers) != 1 {
		t.Fatalf("the project changed: %s", app)
	}
	c.trees[2]["app.js"] = "import { existsSync } from 'node:fs';\n" + strings.Replace(app, answers, answers+"    if ("+condition+") {\n      res.statusCode = 404;\n      res.end('no such page');\n      return;\n    }\n", 1)
	return c
}

// A court whose browser is watched.
type watched struct {
	check.Browser
	before func(ctx context.Context, app check.App, n int) // the nth performance
	mu     sync.Mutex
	n      int
}

func (w *watched) Accept(ctx context.Context, app check.App, s check.Scenario) (check.Acceptance, error) {
	w.mu.Lock()
	w.n++
	n := w.n
	w.mu.Unlock()
	w.before(ctx, app, n)
	return w.Browser.Accept(ctx, app, s)
}

// An application that answers every other request, in an order that its seed
// decides, is never verified.
func TestFlakyApplication(t *testing.T) {
	if !deepTests {
		return // package check weighs repeated runs in its own tests
	}
	court := newCourt(t, 0)
	for seed := range 6 {
		c := lucky(t, "process.argv[1].endsWith('server.js') && draw()")
		c.trees[2]["app.js"] += fmt.Sprintf(`
let state = %d + process.pid;
function draw() {
  state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
  return state >>> 31;
}
`, 7919*seed)
		if v := court.judge(t, c); v.Outcome != runner.Failed && v.Outcome != runner.Inconclusive {
			t.Errorf("seed %d: %s: %s", seed, v.Outcome, v.Reason)
		} else {
			t.Logf("seed %d: %s: %s", seed, v.Outcome, v.Reason)
		}
	}
}

// What passes and fails by turns is shown to be flaky, whichever comes first.
func TestFlakyByTurns(t *testing.T) {
	if !deepTests {
		return // as above
	}
	court := newCourt(t, 0)
	for first := range 2 {
		turns := &watched{Browser: court.browser, before: func(_ context.Context, app check.App, n int) {
			if _, err := os.Stat(filepath.Join(app.Dir, "test", "pins.test.js")); err == nil && n%2 == first {
				if err := os.WriteFile(filepath.Join(app.Dir, "unlucky"), nil, 0o644); err != nil {
					t.Error(err)
				}
			}
		}}
		where := *court
		where.browser = turns
		if v := where.judge(t, lucky(t, "existsSync('unlucky')")); v.Outcome != runner.Inconclusive || !strings.Contains(v.Reason, "flaky") {
			t.Errorf("%s: %s", v.Outcome, v.Reason)
		}
	}
}

// Chromium that is killed on the way proves nothing: the acceptance is performed
// again, and the evidence tells of it. If it is killed every time, the feature is
// neither verified nor failed.
func TestChromiumKilled(t *testing.T) {
	if !deepTests {
		return // package browser kills one in its own tests
	}
	for _, always := range []bool{false, true} {
		court := newCourt(t, 0)
		killed := 0
		var mu sync.Mutex // acceptances are performed side by side
		killer := &watched{Browser: court.browser}
		killer.before = func(ctx context.Context, app check.App, _ int) {
			mu.Lock()
			defer mu.Unlock()
			if _, err := os.Stat(filepath.Join(app.Dir, "test", "pins.test.js")); err != nil || killed > 0 && !always {
				return // the parent, or one was enough
			}
			killed++
			go func() {
				// The application says when somebody is there.
				for ctx.Err() == nil {
					if _, err := os.Stat(filepath.Join(app.Dir, "data", "pins.json")); err == nil {
						break
					}
					time.Sleep(5 * time.Millisecond)
				}
				for _, pid := range chromiums(t, court) {
					_ = syscall.Kill(pid, syscall.SIGKILL) // it may have gone with another one
				}
			}()
		}
		where := *court
		where.browser = killer
		c, err := readCheat("testdata/cheats/node/page-honest.txtar")
		if err != nil {
			t.Fatal(err)
		}
		v := where.judge(t, c)
		proof := ""
		for _, f := range v.Files {
			if f.Name == "acceptance.json" {
				proof = string(f.Data)
			}
		}
		want := runner.Verified
		if always {
			want = runner.Inconclusive
		}
		if v.Outcome != want || killed == 0 || !strings.Contains(proof, `"broken"`) {
			t.Errorf("always %t: %s: %s\nkilled %d times; the evidence says broken: %t", always, v.Outcome, v.Reason, killed, strings.Contains(proof, `"broken"`))
		}
	}
}

// chromiums are the processes of the judge's users that are browsers themselves,
// and not parts of one.
func chromiums(t *testing.T, c *court) []int {
	t.Helper()
	uid, _ := c.box.User()
	dirs, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		t.Fatal(err)
	}
	var pids []int
	for _, d := range dirs {
		info, err := os.Stat(d)
		if err != nil {
			continue // over
		}
		st, ok := info.Sys().(*syscall.Stat_t)
		said, err := os.ReadFile(filepath.Join(d, "cmdline"))
		if !ok || err != nil || int(st.Uid) < uid || int(st.Uid) > uid+3 {
			continue
		}
		line := string(said)
		if strings.Contains(line, "remote-debugging") && !strings.Contains(line, "--type=") {
			if pid, err := strconv.Atoi(filepath.Base(d)); err == nil {
				pids = append(pids, pid)
			}
		}
	}
	return pids
}
