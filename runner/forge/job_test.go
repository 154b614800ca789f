package forge

import (
	"testing"
	"time"

	"github.com/autonomous-loop/autonomous-loop/internal/fakegithub"
)

// When a job began is GitHub's to say; where it is not clear which one this is,
// nothing is said.
func TestStarted(t *testing.T) {
	w := newWorld(t)
	r := got(w.StartRun(where, "loop.yml", "workflow_dispatch", boss, nil))(t)
	w.SetRun(r.ID, "in_progress", "")
	w.Age(r.ID, 3*time.Minute)
	h := w.hub()
	h.opts.Run = Run{ID: r.ID, Attempt: 1}
	want := r.Created.Add(-3 * time.Minute).Truncate(time.Second)
	for name, j := range map[string]JobName{"by its runner": {Runner: fakegithub.RunnerName}, "by its name": {Name: "session"}, "the only one at work": {Runner: "another", Name: "Session (matrix)"}} {
		if at := got(h.Started(t.Context(), j))(t); !at.Equal(want) {
			t.Errorf("%s: it began at %v, want %v", name, at, want)
		}
	}
	w.SetRun(r.ID, "completed", "success")
	if at := got(h.Started(t.Context(), JobName{Name: "session"}))(t); !at.IsZero() {
		t.Errorf("of a run that is over: %v", at)
	}
	w.SetPermission("actions", "")
	if _, err := h.Started(t.Context(), JobName{}); err == nil {
		t.Error("no error without the permission")
	}
}

func TestFile(t *testing.T) {
	w := newWorld(t)
	h := w.hub()
	const name = ".github/workflows/loop.yml"
	if text := got(h.File(t.Context(), name, "main"))(t); len(text) == 0 {
		t.Error("it is empty")
	}
	for _, wrong := range []struct{ name, ref string }{{"nowhere.yml", "main"}, {name, "nowhere"}, {".github/workflows", "main"}} {
		if text, err := h.File(t.Context(), wrong.name, wrong.ref); err == nil {
			t.Errorf("%v: %q", wrong, text)
		}
	}
}
