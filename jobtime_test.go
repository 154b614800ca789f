package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/autonomous-loop/autonomous-loop/runner"
)

// What a workflow says about a job's time, and what it leaves open.
func TestLimitOf(t *testing.T) {
	const action = "autonomous-loop/autonomous-loop"
	at := func(job, step string) string {
		return "jobs:\n  session:\n    runs-on: x\n" + job + "    steps:\n      - run: echo\n        timeout-minutes: 1\n      - uses: " + action + "@v1\n" + step
	}
	for name, tt := range map[string]struct {
		workflow, job string
		want          jobLimit
		no            string // a part of why it is not known
	}{
		"minutes":           {at("    timeout-minutes: 60\n", ""), "session", jobLimit{Job: time.Hour}, ""},
		"a part of one":     {at("    timeout-minutes: 0.5\n", ""), "session", jobLimit{Job: 30 * time.Second}, ""},
		"in quotes":         {at("    timeout-minutes: '60'\n", ""), "session", jobLimit{Job: time.Hour}, ""},
		"none: GitHub's":    {at("", ""), "session", jobLimit{Job: 6 * time.Hour}, ""},
		"of the step":       {at("    timeout-minutes: 60\n", "        timeout-minutes: 20\n"), "session", jobLimit{Job: time.Hour, Step: 20 * time.Minute}, ""},
		"an expression":     {at("    timeout-minutes: ${{ fromJSON(vars.M) }}\n", ""), "session", jobLimit{}, "is not said by the workflow itself"},
		"one in the step":   {at("", "        timeout-minutes: ${{ matrix.m }}\n"), "session", jobLimit{}, "of a step of job session is not said"},
		"a word":            {at("    timeout-minutes: long\n", ""), "session", jobLimit{}, "is not a number of minutes"},
		"nothing":           {at("    timeout-minutes: 0\n", ""), "session", jobLimit{}, "is not a number of minutes"},
		"another job":       {at("    timeout-minutes: 60\n", ""), "build", jobLimit{}, `no job "build" of its own`},
		"a reusable one":    {"jobs:\n  session:\n    uses: ./.github/workflows/other.yml\n", "session", jobLimit{}, `no job "session" of its own`},
		"no workflow":       {"\t:", "session", jobLimit{}, "cannot be read"},
		"a list where none": {"jobs: []\n", "session", jobLimit{}, "cannot be read"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := limitOf([]byte(tt.workflow), tt.job, "__self", action)
			if diff := cmp.Diff(tt.want, got); diff != "" || (err == nil) != (tt.no == "") || err != nil && !strings.Contains(err.Error(), tt.no) {
				t.Errorf("%v\n%s", err, diff)
			}
		})
	}
}

// Those of the examples are long enough for what they ask for.
func TestExamplesLeaveTime(t *testing.T) {
	files, err := filepath.Glob("examples/workflows/*.yml")
	if err != nil || len(files) == 0 {
		t.Fatal(err)
	}
	now := time.Now()
	for _, f := range files {
		l, err := limitOf(read(t, f), "session", "", "autonomous-loop/autonomous-loop")
		if err != nil {
			continue // of another kind
		}
		if a := allot(50*time.Minute, l, nil, now.Add(-5*time.Minute), now, true); a.Short {
			t.Errorf("%s: %s", f, a.Says)
		}
	}
}

func TestAllot(t *testing.T) {
	now := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	const asked = 50 * time.Minute
	for name, tt := range map[string]struct {
		asked  time.Duration
		limit  jobLimit
		no     error
		began  time.Time
		hosted bool
		want   allotment // without what it says
		says   string
	}{
		"enough":                              {asked, jobLimit{Job: time.Hour}, nil, now.Add(-5 * time.Minute), true, allotment{Session: asked, Due: now.Add(55 * time.Minute)}, "GitHub ends this job at 12:55:00 UTC (timeout-minutes of the job: 60 minutes): the session takes up to 50 minutes"},
		"too little":                          {asked, jobLimit{Job: 30 * time.Minute}, nil, now.Add(-5 * time.Minute), true, allotment{Session: 23 * time.Minute, Due: now.Add(25 * time.Minute), Short: true}, "up to 23 minutes, which is less than session-minutes asks for (50 minutes)"},
		"nothing left":                        {asked, jobLimit{Job: 5 * time.Minute}, nil, now.Add(-10 * time.Minute), true, allotment{Session: 0, Due: now.Add(-5 * time.Minute), Short: true}, "up to 0s"},
		"the job's beginning is not known":    {asked, jobLimit{Job: 30 * time.Minute}, nil, time.Time{}, true, allotment{Session: 26 * time.Minute, Due: now.Add(28 * time.Minute), Short: true}, "up to 26 minutes"},
		"a clock that is behind GitHub's":     {asked, jobLimit{Job: 30 * time.Minute}, nil, now.Add(time.Hour), true, allotment{Session: 26 * time.Minute, Due: now.Add(28 * time.Minute), Short: true}, "up to 26 minutes"},
		"the step's is shorter":               {asked, jobLimit{Job: time.Hour, Step: 20 * time.Minute}, nil, now.Add(-5 * time.Minute), true, allotment{Session: 18 * time.Minute, Due: now.Add(20 * time.Minute), Short: true}, "timeout-minutes of the step: 20 minutes"},
		"more than a hosted runner has":       {72 * time.Hour, jobLimit{Job: 72 * time.Hour}, nil, now, true, allotment{Session: 6*time.Hour - behind, Due: now.Add(6 * time.Hour), Short: true}, "up to 358 minutes"},
		"more than a job's token lives":       {72 * time.Hour, jobLimit{Job: 72 * time.Hour}, nil, now, false, allotment{Session: 24*time.Hour - behind, Due: now.Add(24 * time.Hour), Short: true}, "up to 1438 minutes"},
		"not known":                           {asked, jobLimit{}, errOpen, now, true, allotment{Session: asked}, "not known (is not said by the workflow itself): the session takes up to 50 minutes, and must end before"},
		"not known, on a hosted runner":       {72 * time.Hour, jobLimit{}, errors.New("no"), now, true, allotment{Session: 6*time.Hour - around}, "up to 345 minutes"},
		"not known, on a runner of their own": {72 * time.Hour, jobLimit{}, errors.New("no"), now, false, allotment{Session: 24*time.Hour - around}, "up to 1425 minutes"},
	} {
		t.Run(name, func(t *testing.T) {
			got := allot(tt.asked, tt.limit, tt.no, tt.began, now, tt.hosted)
			if !strings.Contains(got.Says, tt.says) {
				t.Errorf("it says %q", got.Says)
			}
			got.Says = ""
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
			if !got.Due.IsZero() && got.Session > 0 && !now.Add(got.Session).Before(got.Due) {
				t.Error("the session outlives its job")
			}
		})
	}
}

// What doctor warns of: jobs that have less than their session asks for.
func TestShortJobs(t *testing.T) {
	job := func(timeout, with string) string {
		return "jobs:\n  other:\n    timeout-minutes: 5\n    steps:\n      - run: echo\n  session:\n" + timeout + "    steps:\n      - uses: autonomous-loop/autonomous-loop@v1\n        with:\n          spec: SPEC.md\n" + with
	}
	for name, tt := range map[string]struct {
		workflow string
		want     []string
		sessions int
	}{
		"enough":                   {job("    timeout-minutes: 60\n", ""), nil, 1},
		"GitHub's own":             {job("", ""), nil, 1},
		"too little":               {job("    timeout-minutes: 50\n", ""), []string{"job session has 50 minutes, and its session asks for 50 minutes"}, 1},
		"which it asks for":        {job("    timeout-minutes: 60\n", "          session-minutes: 90\n"), []string{"job session has 60 minutes, and its session asks for 90 minutes"}, 1},
		"it asks for less":         {job("    timeout-minutes: 40\n", "          session-minutes: 20\n"), nil, 1},
		"the job that only asks":   {job("    timeout-minutes: 5\n", "          mode: continue\n"), nil, 0},
		"an expression":            {job("    timeout-minutes: ${{ vars.M }}\n", ""), []string{"timeout-minutes of job session is not said by the workflow itself, so that a session must know by session-minutes when to end"}, 1},
		"an expression of its own": {job("    timeout-minutes: 20\n", "          session-minutes: ${{ vars.M }}\n"), nil, 1},
	} {
		t.Run(name, func(t *testing.T) {
			got, sessions, err := shortJobs([]byte(tt.workflow), 50*time.Minute)
			if diff := cmp.Diff(tt.want, got); diff != "" || err != nil || sessions != tt.sessions {
				t.Errorf("%v, %d sessions\n%s", err, sessions, diff)
			}
		})
	}
	if _, _, err := shortJobs([]byte("\t:"), time.Hour); err == nil {
		t.Error("no error where it cannot be read")
	}
}

func TestTimeUp(t *testing.T) {
	due := time.Now()
	for after, want := range map[time.Duration]bool{-time.Hour: false, -time.Minute: false, -5 * time.Second: true, time.Second: true, time.Hour: true} {
		if got := timeUp(due, due.Add(after)); got != want {
			t.Errorf("%v after it: %v", after, got)
		}
	}
	if timeUp(time.Time{}, due) {
		t.Error("what is not known is not up")
	}
}

// TestSignalWhenTheTimeIsUp: a signal with which GitHub ends a job whose time is up
// is no cancel: the session may ask for its successor.
func TestSignalWhenTheTimeIsUp(t *testing.T) {
	due := time.Date(2026, 11, 24, 12, 30, 0, 0, time.UTC)
	for name, tt := range map[string]struct {
		due, now time.Time
		note     string
		reason   runner.Reason
	}{
		"not known":     {time.Time{}, due, stateCancelled, runner.Cancelled},
		"a person":      {due, due.Add(-2 * time.Minute), stateCancelled, runner.Cancelled},
		"time is up":    {due, due.Add(-10 * time.Second), stateTimeUp, runner.SessionTime},
		"a little over": {due, due.Add(20 * time.Second), stateTimeUp, runner.SessionTime},
	} {
		t.Run(name, func(t *testing.T) {
			signals, note := make(chan os.Signal, 2), make(chan string, 2)
			gone := make(chan struct{})
			ctx, l := heed(t.Context(), signals, time.Minute, func() time.Time { return tt.now }, func(n string) { note <- n }, func() { close(gone) })
			l.due.Store(&tt.due)
			signals <- syscall.SIGINT
			<-ctx.Done()
			stop, _ := errors.AsType[*runner.StopError](context.Cause(ctx))
			if got := <-note; got != tt.note || stop == nil || stop.Reason != tt.reason {
				t.Errorf("the note is %q, the reason %v", got, stop)
			}
			cancelled := false
			select {
			case <-l.cancelled:
				cancelled = true
			default:
			}
			if cancelled != (tt.reason == runner.Cancelled) {
				t.Errorf("cancelled: %v", cancelled)
			}
			signals <- syscall.SIGTERM // in a hurry, in any case
			<-l.hurry
			<-gone
		})
	}
}

// TestJobTimeIsUp: the second chance of a session that had decided to go on, and
// that was killed because its job's time was up before it could ask for the next
// one, asks for it, once; where a second job is to, it leaves that to it.
func TestJobTimeIsUp(t *testing.T) {
	for workflow, tt := range map[string]struct {
		mode  string
		asked int
	}{"one-job.yml": {"run", 1}, "two-jobs.yml": {"session", 0}} {
		t.Run(workflow, func(t *testing.T) {
			w := newWorkplace(t, workflow)
			path := "/twirp/" // the artifact's service, which is asked between the two
			w.held.Store(&path)
			run := w.start()
			env := []string{"INPUT_MODEL=script:testdata/job-model.txtar", "INPUT_MODE=" + tt.mode, "INPUT_E2E=off", "INPUT_ISOLATION=none"}
			s := w.step(run, "autonomous-loop", env...)
			s.until(t, "decides to go on", func() bool { return w.state().Status == runner.AwaitingSuccessor })
			if err := s.Process.Kill(); err != nil {
				t.Fatal(err)
			}
			<-s.over
			w.held.Store(nil)
			for range 2 { // and once more it does nothing
				p := w.step(run, postName, append(env, "STATE_"+stateTimeUp+"=true")...)
				p.ends(t, time.Minute)
				if st := w.state(); st.Status != runner.AwaitingSuccessor || w.dispatched() != tt.asked {
					t.Errorf("the loop is %s (%s), %d runs were asked for:\n%s\n%s", st.Status, st.Reason, w.dispatched(), s.out.bytes(), p.out.bytes())
				}
			}
		})
	}
}

// TestKilledWhenTheTimeWasUp: the second chance of a session that was killed at
// work when its job's time was up leaves the attempt to go on where it was, and
// asks for the next one.
func TestKilledWhenTheTimeWasUp(t *testing.T) {
	w := newWorkplace(t, "one-job.yml")
	model := w.script("-- greet-001/1/tests/1 write_file", "-- greet-001/1/tests/1 sleep 10m --\n-- greet-001/1/tests/1 write_file")
	env := []string{"INPUT_MODEL=script:" + model, "INPUT_E2E=off", "INPUT_ISOLATION=none"}
	run := w.start()
	s := w.step(run, "autonomous-loop", env...)
	s.says(t, "greet-001: tests")
	if err := s.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	<-s.over
	if due := w.state().Sessions[0].Due; due.IsZero() {
		t.Error("when the job's time is up was not kept")
	}
	p := w.step(run, postName, append(env, "STATE_"+stateTimeUp+"=true")...)
	p.ends(t, time.Minute)
	st := w.state()
	if st.Status != runner.AwaitingSuccessor || st.Reason != runner.SessionTime || st.Wip == nil || st.Wip.Attempt != 1 || st.Sessions[0].Crashed || w.dispatched() != 1 {
		t.Errorf("the loop is %s (%s), at %+v, %d runs were asked for:\n%s", st.Status, st.Reason, st.Wip, w.dispatched(), p.out.bytes())
	}
}
