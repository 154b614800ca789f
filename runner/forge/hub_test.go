package forge

import (
	"context"
	"fmt"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/autonomous-loop/autonomous-loop/internal/fakegithub"
	"github.com/autonomous-loop/autonomous-loop/internal/fakegithub/oracle"
	"github.com/autonomous-loop/autonomous-loop/runner"
)

const (
	where   = "octo/loop"
	token   = "ghs_1234_abc.def-ghi"
	lineage = "0198-lineage"
)

const loopYML = `name: loop
run-name: loop ${{ inputs.lineage || 'auto' }}#${{ inputs.serial || '-' }}
on:
  workflow_dispatch:
    inputs:
      loop: { type: string, required: false }
      lineage: { type: string, required: false }
      serial: { type: string, required: false }
jobs: {}
`

// A clock stands still but for those who sleep by it.
type clock struct {
	mu    sync.Mutex
	at    time.Time
	slept []time.Duration
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) Sleep(ctx context.Context, d time.Duration) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	c.at = c.at.Add(d)
	c.slept = append(c.slept, d)
	return nil
}

// seeded is the repository that every world begins with a copy of.
var seeded struct{ root, base, work string }

func TestMain(m *testing.M) {
	seed := func() (err error) {
		if seeded.root, err = os.MkdirTemp("", "forge-"); err != nil {
			return err
		}
		s := fakegithub.New(fakegithub.Options{Root: seeded.root})
		if err := s.AddRepo(where); err != nil {
			return err
		}
		if seeded.base, err = s.Seed(where, "main", "", map[string]string{".github/workflows/loop.yml": loopYML, "SPEC.md": "A list.\n"}); err != nil {
			return err
		}
		seeded.work, err = s.Seed(where, "autonomous-loop/main", seeded.base, map[string]string{"index.html": "<h1>List</h1>\n"})
		return err
	}
	if err := seed(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := m.Run()
	os.RemoveAll(seeded.root)
	os.Exit(code)
}

// A world is a GitHub with one repository, whose work branch is one commit
// ahead, and a loop that runs there.
type world struct {
	*fakegithub.Server
	t       *testing.T
	url     string
	clock   *clock
	run     fakegithub.Run
	opts    Options
	summary strings.Builder
	limit   time.Duration // for one request; 0: what it always is

	receipts map[string]string // of the session before
	base     string
	work     string
}

func newWorld(t *testing.T, change ...func(*fakegithub.Options)) *world {
	t.Helper()
	w := &world{t: t, clock: &clock{at: time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)}}
	o := fakegithub.Options{Root: t.TempDir(), Token: token, Now: w.clock.Now}
	for _, c := range change {
		c(&o)
	}
	must(t, os.CopyFS(o.Root, os.DirFS(seeded.root)))
	w.base, w.work = seeded.base, seeded.work
	w.Server = fakegithub.New(o)
	must(t, w.AddRepo(where))
	srv := httptest.NewServer(oracle.Validate(t, w.Server))
	t.Cleanup(srv.Close)
	w.url = srv.URL
	w.run = got(w.StartRun(where, "loop.yml", "workflow_dispatch", fakegithub.Actor{Login: "ann", ID: 7}, nil))(t)
	w.SetRun(w.run.ID, "in_progress", "")
	w.opts = Options{
		Token: token, APIURL: srv.URL, ServerURL: srv.URL, ResultsURL: srv.URL + "/some/path", RuntimeToken: w.RuntimeToken(w.run.ID),
		Repository: where, Branch: "autonomous-loop/main", Base: "main", Loop: "main",
		Workflow: where + "/.github/workflows/loop.yml@refs/heads/main", PullRequest: Draft,
		Run: Run{ID: w.run.ID, Attempt: 1}, Retention: 5, HTTP: srv.Client().Transport, Sleep: w.clock.Sleep, Now: w.clock.Now,
		Summary: func(b []byte) error { w.summary.Write(b); return nil },
	}
	t.Cleanup(func() {
		if u := w.Unknown(); len(u) > 0 {
			t.Errorf("requests that the fake does not know: %q", u)
		}
	})
	return w
}

// hub is a forge as a new process has it.
func (w *world) hub(change ...func(*Options)) *Hub {
	w.t.Helper()
	o := w.opts
	for _, c := range change {
		c(&o)
	}
	return got(GitHub(o))(w.t)
}

// report is a report with verified code.
func (w *world) report(text string) runner.Report {
	return runner.Report{
		State: runner.State{Loop: "main", Lineage: lineage, Serial: 4, Base: runner.Base{Branch: "main", Commit: w.base}, Work: w.work},
		Files: []runner.File{
			{Name: "comment.md", Data: []byte("**" + text + "** done\n")},
			{Name: "summary.md", Data: []byte("Summary: " + text + "\n")},
			{Name: "pull-request.md", Data: []byte("# List: " + text + "\n\nWhat is in it: " + text + ".\n")},
		},
	}
}

// early is a report of a session that has verified nothing yet.
func (w *world) early(text string) runner.Report {
	r := w.report(text)
	r.State.Work = w.base
	return r
}

// edits are the changes since the world began, without their repository.
func (w *world) edits() []string {
	var out []string
	for _, e := range w.Edits() {
		out = append(out, strings.TrimPrefix(e, where+": "))
	}
	return out
}

// count counts the requests that begin with prefix.
func (w *world) count(prefix string) int {
	n := 0
	for _, r := range w.Requests() {
		if strings.HasPrefix(r, prefix) {
			n++
		}
	}
	return n
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// got returns what a call returned that must not fail.
func got[T any](v T, err error) func(*testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		must(t, err)
		return v
	}
}

var boss = fakegithub.Actor{Login: "ann", ID: 7}
