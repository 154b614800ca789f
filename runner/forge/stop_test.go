package forge

import (
	"strings"
	"testing"

	"github.com/autonomous-loop/autonomous-loop/internal/fakegithub"
	"github.com/autonomous-loop/autonomous-loop/runner"
)

// stopped is a world with a pull request of the loop, and what its forge says of
// whether the loop is stopped. The commands up to after are past.
func (w *world) stopped(h *Hub, after string) string {
	w.t.Helper()
	st := w.report("").State
	st.Published, st.Effects = w.work, map[string]string{"command": after}
	halt := got(h.Stopped(w.t.Context(), st))(w.t)
	if halt.Command != "" {
		return halt.Command + ": " + halt.Why
	}
	return halt.Why
}

func TestStopped(t *testing.T) {
	pete := fakegithub.Actor{Login: "pete", ID: 9}
	for name, tt := range map[string]struct {
		do   func(w *world)
		want string // part of it; "": not stopped
	}{
		"nothing":                    {func(*world) {}, ""},
		"the pull request is closed": {func(w *world) { w.ClosePull(where, 1, false) }, "ann closed the pull request"},
		"it is merged":               {func(w *world) { w.ClosePull(where, 1, true) }, ""},
		"reopened":                   {func(w *world) { w.ClosePull(where, 1, false); w.ReopenPull(where, 1) }, ""},
		"a label":                    {func(w *world) { w.Label(where, 1, "bug", StopLabel) }, "has the label"},
		"another label":              {func(w *world) { w.Label(where, 1, "autonomous-loop: stopping") }, ""},
		"a label on the spec's issue": {func(w *world) {
			w.opts.SpecIssue = w.AddIssue(where, boss, "A list", "")
			w.Label(where, w.opts.SpecIssue, "Autonomous-Loop: Stop")
		}, "/issues/2 has the label"},
		"a label on another issue": {func(w *world) { w.Label(where, w.AddIssue(where, boss, "A list", ""), StopLabel) }, ""},
		"a command":                {func(w *world) { w.AddComment(where, 1, boss, "/loop stop\nPlease.") }, "ann wrote /loop stop in"},
		"with a reason behind":     {func(w *world) { w.AddComment(where, 1, boss, "  /loop   stop for now") }, "ann wrote /loop stop in"},
		"by somebody else":         {func(w *world) { w.AddComment(where, 1, pete, "/loop stop") }, ""},
		"by an app": {func(w *world) {
			w.AddComment(where, 1, fakegithub.Actor{Login: "x[bot]", ID: 8, App: true}, "/loop stop")
		}, ""},
		"in the middle of a text": {func(w *world) { w.AddComment(where, 1, boss, "I thought of\n/loop stop") }, ""},
		"quoted":                  {func(w *world) { w.AddComment(where, 1, boss, "> /loop stop") }, ""},
		"another word":            {func(w *world) { w.AddComment(where, 1, boss, "/loop stopping") }, ""},
		"resumed": {func(w *world) {
			w.AddComment(where, 1, boss, "/loop stop")
			w.AddComment(where, 1, boss, "/loop resume")
		}, ""},
		"resumed by somebody else": {func(w *world) {
			w.AddComment(where, 1, boss, "/loop stop")
			w.AddComment(where, 1, pete, "/loop resume")
		}, "ann wrote /loop stop"},
		"on the hundred and fifth page": {func(w *world) { w.chat(205); w.AddComment(where, 1, boss, "/loop stop"); w.chat(3) }, "ann wrote /loop stop"},
		"resumed, and stopped again": {func(w *world) {
			for _, c := range []string{"stop", "resume", "stop"} {
				w.AddComment(where, 1, boss, "/loop "+c)
			}
		}, "ann wrote /loop stop"},
	} {
		// Before the session begins, and while it works: the first look was made.
		for _, late := range []bool{false, true} {
			t.Run(name, func(t *testing.T) {
				w := newWorld(t)
				w.AddPerson(boss, "write")
				w.AddPerson(pete, "read")
				w.AddPull(where, fakegithub.Actor{Login: fakegithub.Bot, ID: fakegithub.BotID, App: true}, "autonomous-loop/main", "main", "A list", marker(lineage)+"\n"+endMarker)
				var h *Hub
				if late && w.opts.SpecIssue == 0 && name != "a label on the spec's issue" {
					h = w.hub()
					if why := w.stopped(h, ""); why != "" {
						t.Fatalf("stopped before anybody did: %s", why)
					}
					tt.do(w)
				} else {
					tt.do(w)
					h = w.hub()
				}
				for range 2 { // and again the same
					if why := w.stopped(h, ""); tt.want == "" && why != "" || !strings.Contains(why, tt.want) {
						t.Errorf("%q, want %q", why, tt.want)
					}
				}
			})
		}
	}
}

// chat adds n comments that say nothing.
func (w *world) chat(n int) {
	for range n {
		w.AddComment(where, 1, boss, "Hm.")
	}
}

// A command that was obeyed, or overruled, is past.
func TestStoppedByLaterCommandsOnly(t *testing.T) {
	w := newWorld(t)
	w.AddPerson(boss, "admin")
	w.AddPull(where, boss, "autonomous-loop/main", "main", "A list", "")
	w.AddComment(where, 1, boss, "/loop stop")
	id, _, _ := strings.Cut(w.stopped(w.hub(), ""), ":")
	if why := w.stopped(w.hub(), id); why != "" {
		t.Errorf("it is stopped again: %s", why)
	}
	w.AddComment(where, 1, boss, "/loop stop")
	if why := w.stopped(w.hub(), id); why == "" {
		t.Errorf("a later command is not obeyed")
	}
}

// What has not changed is asked with the tag of the last answer, which GitHub
// does not count; what cannot be asked is an error, and no stop.
func TestStoppedIsCheap(t *testing.T) {
	w := newWorld(t)
	w.AddPerson(boss, "write")
	w.AddPull(where, boss, "autonomous-loop/main", "main", "A list", "")
	h := w.hub()
	for range 3 {
		w.stopped(h, "")
	}
	before, paid := len(w.Requests()), w.Counted()
	for range 10 {
		w.stopped(h, "")
	}
	if n := len(w.Requests()) - before; n != 20 {
		t.Errorf("%d requests for ten looks, want 20", n)
	}
	if n := w.Counted() - paid; n != 0 {
		t.Errorf("%d of them are counted", n)
	}
	w.SetPermission("issues", "")
	w.SetPermission("pull_requests", "")
	st := w.report("").State
	st.Published = w.work
	halt, err := h.Stopped(t.Context(), st)
	if halt != (runner.Halt{}) || err == nil || !strings.Contains(err.Error(), "look at #1") {
		t.Errorf("%+v, %v", halt, err)
	}
}

func TestFolderStops(t *testing.T) {
	f := Local(LocalOptions{Dir: t.TempDir()})
	if h := got(f.Stopped(t.Context(), runner.State{}))(t); h.Why != "" {
		t.Fatal(h)
	}
	must(t, f.Stop("ada stopped it"))
	if h := got(f.Stopped(t.Context(), runner.State{}))(t); h.Why != "ada stopped it" {
		t.Error(h)
	}
	if why := got(f.Resume(t.Context()))(t); why != "ada stopped it" {
		t.Error(why)
	}
	if h := got(f.Stopped(t.Context(), runner.State{}))(t); h.Why != "" {
		t.Error(h)
	}
}
