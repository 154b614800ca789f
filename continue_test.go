package main

import (
	"strings"
	"testing"
	"time"

	"github.com/autonomous-loop/autonomous-loop/internal/fakegithub"
	"github.com/autonomous-loop/autonomous-loop/runner"
)

// TestLostRunner: after a session whose runner was lost the second job asks for
// exactly one successor, also when it is run again; a chain of sessions that all
// die ends after three, says where they died, and is written down by the next
// scheduled run, without a session.
func TestLostRunner(t *testing.T) {
	if testing.Short() {
		t.Skip("sessions")
	}
	w := newWorkplace(t, "two-jobs.yml")
	model := w.script("-- greet-001/1/tests/1 write_file test/greet.test.js --", "-- greet-001/1/tests/1 sleep 10m --\n-- greet-001/1/tests/1 write_file test/greet.test.js --")
	run := w.start()
	for session := 1; session <= 3; session++ {
		if session == 2 { // any attempt's
			text := strings.ReplaceAll(string(read(t, model)), "-- greet-001/1/tests/1 sleep", "-- greet-001/2/tests/1 sleep")
			model = w.text(strings.ReplaceAll(text, "-- greet-001/1/", "-- greet-001/2/"))
		}
		if session == 3 { // set aside after two crashes; the other one depends on it, so that it gets its second chance
			text := strings.ReplaceAll(string(read(t, model)), "-- greet-001/2/", "-- greet-001/3/")
			model = w.text(text)
		}
		s := w.step(run, "autonomous-loop", "INPUT_MODE=session", "INPUT_MODEL=script:"+model)
		s.says(t, "greet-001: tests")
		if err := s.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		<-s.over
		for range 2 {
			c := w.step(run, "autonomous-loop", "INPUT_MODE=continue")
			c.ends(t, 2*time.Minute)
			if session == 3 && !strings.Contains(string(c.out.bytes()), "3 sessions in a row died or completed nothing") {
				t.Errorf("the last one is not said:\n%s", c.out.bytes())
			}
		}
		w.SetRun(run, "completed", "failure")
		if want := min(session, 2); w.dispatched() != want {
			t.Fatalf("after %d lost sessions %d runs were asked for, want %d", session, w.dispatched(), want)
		}
		if session < 3 {
			run = w.next()
		}
	}
	scheduled, err := w.StartRun(repoName, "loop.yml", "schedule", fakegithub.Actor{Login: "ada", ID: 7}, nil)
	if err != nil {
		t.Fatal(err)
	}
	w.SetRun(scheduled.ID, "in_progress", "")
	s := w.step(scheduled.ID, "autonomous-loop", "INPUT_MODE=session", "INPUT_MODEL=script:"+model)
	s.ends(t, 2*time.Minute)
	st := w.state()
	if st.Status != runner.Stopped || st.Reason != runner.NoProgress || st.Spent.Sessions != 3 || !strings.Contains(st.Why, "was at tests of greet-001 (attempt 3)") {
		t.Errorf("the loop is %s (%s) after %d sessions: %s\n%s", st.Status, st.Reason, st.Spent.Sessions, st.Why, s.out.bytes())
	}
	if w.dispatched() != 2 {
		t.Errorf("%d runs were asked for", w.dispatched())
	}
}
