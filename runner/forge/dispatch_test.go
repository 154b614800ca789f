package forge

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/autonomous-loop/autonomous-loop/internal/fakegithub"
	"github.com/autonomous-loop/autonomous-loop/runner"
)

var next = runner.Successor{Loop: "main", Lineage: lineage, Serial: 4, Reason: runner.SessionTime}

const dispatches = "POST /repos/*/*/actions/workflows/*/dispatches"

// named counts the runs that were dispatched for the successor.
func (w *world) named() int {
	n := 0
	for _, r := range w.Runs(where) {
		if r.Title == "loop "+lineage+"#4" {
			n++
		}
	}
	return n
}

func TestContinueAsksOnce(t *testing.T) {
	w := newWorld(t)
	h := w.hub()
	first := got(h.Continue(t.Context(), next))(t)
	runs := w.Runs(where)
	r := runs[len(runs)-1]
	if want := fmt.Sprintf("%s/octo/loop/actions/runs/%d", w.url, r.ID); first != want {
		t.Errorf("receipt %s, want %s", first, want)
	}
	if r.Branch != "main" {
		t.Errorf("dispatched on %s", r.Branch)
	}
	if d := cmp.Diff(r.Inputs, map[string]string{"loop": "main", "lineage": lineage, "serial": "4"}); d != "" {
		t.Errorf("inputs (-got +want):\n%s", d)
	}
	for _, status := range []string{"queued", "waiting", "pending", "in_progress", "completed"} {
		w.SetRun(r.ID, status, "")
		if again := got(w.hub().Continue(t.Context(), next))(t); again != first {
			t.Errorf("%s: receipt %s, want %s", status, again, first)
		}
	}
	if n := w.named(); n != 1 {
		t.Errorf("%d runs", n)
	}
	other := next
	other.Serial = 5
	if got(w.hub().Continue(t.Context(), other))(t) == first {
		t.Error("the successor of another transaction is the same run")
	}
}

func TestContinueLosesTheAnswer(t *testing.T) {
	for name, f := range map[string]fakegithub.Fault{"drop": {Drop: true}, "lose": {Lose: true}, "cut": {Cut: true}, "502": {Status: 502}} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			f.Match = dispatches
			w.Fail(f)
			if url := got(w.hub().Continue(t.Context(), next))(t); !strings.Contains(url, "/actions/runs/") {
				t.Errorf("receipt %q", url)
			}
			if n := w.named(); n != 1 {
				t.Errorf("%d runs", n)
			}
		})
	}
}

func TestContinueFindsItsRunOnALaterPage(t *testing.T) {
	w := newWorld(t)
	first := got(w.hub().Continue(t.Context(), next))(t)
	for range 150 {
		got(w.StartRun(where, "loop.yml", "workflow_dispatch", boss, nil))(t)
	}
	if again := got(w.hub().Continue(t.Context(), next))(t); again != first {
		t.Errorf("receipt %s, want %s", again, first)
	}
}

// A server that does not know return_run_details answers 204, or refuses the
// flag: either way one run is asked for.
func TestContinueOnAnOlderServer(t *testing.T) {
	w := newWorld(t)
	w.Fail(fakegithub.Fault{Match: dispatches, Status: 422, Body: `{"message":"Invalid request.\n\n\"return_run_details\" is not a permitted key.","documentation_url":"x"}`})
	if receipt := got(w.hub().Continue(t.Context(), next))(t); receipt != "loop "+lineage+"#4" {
		t.Errorf("receipt %q", receipt)
	}
	if n := w.named(); n != 1 {
		t.Errorf("%d runs", n)
	}
}

func TestContinueSaysWhatToDo(t *testing.T) {
	hand := func(ref string) string {
		return "; by hand: gh workflow run loop.yml" + ref + " -f loop=main -f lineage=" + lineage + " -f serial=4"
	}
	onMain := hand(" --ref main")
	for name, c := range map[string]struct {
		before func(*world)
		want   string
	}{
		"no permission": {
			func(w *world) { w.SetPermission("actions", "read") },
			"GitHub says 403 Resource not accessible by integration (the token lacks the permission actions: write; add it to the job's permissions)" + onMain,
		},
		"no such workflow": {
			func(w *world) { w.opts.Workflow = "other.yml" },
			"GitHub says 404 Not Found (check that .github/workflows/other.yml is on the default branch, that the input workflow names it, and that the job has actions: write)" + strings.Replace(hand(""), "loop.yml", "other.yml", 1),
		},
		"an old workflow": {
			func(w *world) {
				got(w.Seed(where, "main", "", map[string]string{".github/workflows/loop.yml": strings.Replace(loopYML, "serial: {", "number: {", 1)}))(w.t)
			},
			`GitHub says 422 Unexpected inputs provided: ["serial"] (loop.yml on main is older than this action: copy the current workflow again, it has the inputs loop, lineage and serial)` + onMain,
		},
		"no trigger": {
			func(w *world) {
				got(w.Seed(where, "main", "", map[string]string{".github/workflows/loop.yml": "on: push\njobs: {}\n"}))(w.t)
			},
			"GitHub says 422 Workflow does not have 'workflow_dispatch' trigger (add workflow_dispatch to what starts loop.yml on main)" + onMain,
		},
		"disabled": {
			func(w *world) { w.DisableWorkflow(where, "loop.yml") },
			"GitHub says 422 Cannot trigger a 'workflow_dispatch' on a disabled workflow (enable loop.yml on the repository's Actions page; GitHub disables it after 60 days without activity)" + onMain,
		},
		"an organization's protection, word for word": {
			func(w *world) {
				w.Fail(fakegithub.Fault{Match: dispatches, Status: 403, Body: `{"message":"Event 'workflow_dispatch' is not allowed to trigger Actions workflows","documentation_url":"x"}`})
			},
			"GitHub says 403 Event 'workflow_dispatch' is not allowed to trigger Actions workflows" + onMain,
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			c.before(w)
			_, err := w.hub().Continue(t.Context(), next)
			if err == nil {
				t.Fatal("no error")
			}
			if d := cmp.Diff(err.Error(), "ask for the next session: "+c.want); d != "" {
				t.Errorf("error (-got +want):\n%s", d)
			}
			if slices.ContainsFunc(w.Edits(), func(e string) bool { return strings.Contains(e, "dispatched") }) {
				t.Errorf("edits %q", w.Edits())
			}
		})
	}
}

// The continue job of a run whose session died before it claimed the loop must
// not take its own run for the successor, nor ask for one that would die alike.
func TestContinueIsNotItsOwnSuccessor(t *testing.T) {
	w := newWorld(t)
	got(w.hub().Continue(t.Context(), next))(t)
	runs := w.Runs(where)
	_, err := w.hub(func(o *Options) { o.Run.ID = runs[len(runs)-1].ID }).Continue(t.Context(), next)
	if err == nil || !strings.Contains(err.Error(), "its session ended before it began") {
		t.Errorf("error %v", err)
	}
	if n := w.named(); n != 1 {
		t.Errorf("%d runs", n)
	}
}

func TestOver(t *testing.T) {
	w := newWorld(t)
	owner := func(attempt int) runner.Owner { return runner.Owner{Run: fmt.Sprint(w.run.ID), Attempt: attempt} }
	ask := func(o runner.Owner, want bool) {
		t.Helper()
		if over := got(w.hub().Over(t.Context(), o))(t); over != want {
			t.Errorf("%+v is over: %v", o, over)
		}
	}
	for _, status := range []string{"queued", "in_progress", "waiting"} {
		w.SetRun(w.run.ID, status, "")
		ask(owner(1), false)
	}
	w.Rerun(w.run.ID)
	ask(owner(1), true) // a re-run begins only when the attempt before has ended
	ask(owner(2), false)
	w.SetRun(w.run.ID, "completed", "cancelled")
	ask(owner(2), true)
	ask(runner.Owner{Run: "999", Attempt: 1}, true) // deleted
}

// Where it cannot be told, nobody may take the session over.
func TestOverNeverGuesses(t *testing.T) {
	for name, before := range map[string]func(*world, *runner.Owner){
		"a process of a laptop": func(_ *world, o *runner.Owner) { o.Run = "123-456" },
		"no answer": func(w *world, _ *runner.Owner) {
			w.Fail(fakegithub.Fault{Match: "GET /repos/*/*/actions/runs/*/attempts/*", Drop: true, Times: -1})
		},
		"no permission": func(w *world, _ *runner.Owner) { w.SetPermission("actions", "") },
		"a 404 that means: you may not see it": func(w *world, _ *runner.Owner) {
			w.Fail(fakegithub.Fault{Match: "GET /repos/*/*/actions/runs/*/attempts/*", Status: 404, Times: -1})
			w.Fail(fakegithub.Fault{Match: "GET /repos/*/*/actions/runs", Status: 404, Times: -1})
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			o := runner.Owner{Run: fmt.Sprint(w.run.ID), Attempt: 1}
			before(w, &o)
			if over, err := w.hub().Over(t.Context(), o); over || err == nil {
				t.Errorf("over %v, error %v", over, err)
			}
		})
	}
}

func TestOptionsAreChecked(t *testing.T) {
	w := newWorld(t)
	for name, change := range map[string]func(*Options){
		"repository": func(o *Options) { o.Repository = "../../x" },
		"api":        func(o *Options) { o.APIURL = "" },
		"server":     func(o *Options) { o.ServerURL = "github.com" },
		"workflow":   func(o *Options) { o.Workflow = ".." },
	} {
		o := w.opts
		change(&o)
		if h, err := GitHub(o); err == nil {
			t.Errorf("%s: no error but %v", name, h)
		}
	}
	if h := w.hub(func(o *Options) { o.Workflow = "loop.yml" }); h.workflow != "loop.yml" {
		t.Errorf("workflow %q", h.workflow)
	}
	// No tokens in what somebody may print.
	if text := fmt.Sprintf("%+v %#v", *w.hub(), *w.hub().results); strings.Contains(text, token) || strings.Contains(text, w.opts.RuntimeToken) {
		t.Error("a hub prints a token")
	}
}

func TestIssue(t *testing.T) {
	w := newWorld(t)
	n := w.AddIssue(where, boss, "A list", "Build it.")
	i := got(w.hub().Issue(t.Context(), n))(t)
	if d := cmp.Diff(i, Issue{Title: "A list", Body: "Build it.", Author: "ann", Association: "OWNER", Open: true}); d != "" {
		t.Errorf("issue (-got +want):\n%s", d)
	}
	if _, err := w.hub().Issue(t.Context(), 99); err == nil || !strings.Contains(err.Error(), "read issue #99: GitHub says 404") {
		t.Errorf("error %v", err)
	}
}
