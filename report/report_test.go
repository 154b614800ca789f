package report

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/autonomous-loop/autonomous-loop/runner"
)

var update = flag.Bool("update", false, "write the golden files anew; read the diff before you accept it")

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// sample is a loop in the middle: one feature verified, one set aside, one in
// progress, one blocked. Its texts try what a model might.
func sample() View {
	row := func(id, description string) runner.Row {
		return runner.Row{ID: id, Category: "functional", Description: description, Steps: []string{"Open the page", "Look <b>at it</b>"}, Priority: 1}
	}
	st := runner.State{
		Schema: runner.Schema, Loop: "main", Lineage: "l1", Serial: 17, Status: runner.AwaitingSuccessor, Reason: runner.FeaturesPerSession,
		Why: "the session has completed as many features as it may", Base: runner.Base{Branch: "main", Commit: "b"}, Code: "c0ffee", Work: "c0ffee",
		Features: []runner.Feature{
			{Row: row("list-001", "A page with the list"), Progress: runner.Progress{
				Status: runner.Complete, Attempts: 2, Failures: 1, Commit: "c0ffee0123456789", Usage: runner.Usage{Tokens: 4200},
				Evidence: &runner.Evidence{Outcome: runner.Verified, Tree: "0123456789abcdef", Files: map[string]string{"verdict.json": "00"}},
			}},
			{Row: row("add-001", "A form | fixes #1, thanks @octocat <!-- autonomous-loop:l1 -->"), Progress: runner.Progress{
				Status: runner.SetAside, Attempts: 1, Note: "blocked: closes https://example.com/1\n\n::error::it needs `status-001`",
			}},
			{Row: row("search-001", "Search"), Progress: runner.Progress{Status: runner.Todo, Attempts: 1}},
			{Row: row("stats-001", "Numbers"), Progress: runner.Progress{Status: runner.Todo}},
			{Row: row("old-001", "Something else"), Progress: runner.Progress{Status: runner.Quarantined, Attempts: 4, Note: "it does not work"}},
		},
		Wip: &runner.Wip{Feature: "search-001", Attempt: 1, Phase: runner.Implement, Commit: "w"},
		Spent: runner.Spent{
			Sessions: 2, Time: 95 * time.Second, Phases: 3, Filled: 1250,
			Usage: runner.Usage{Calls: 40, Tokens: 1_234_567, Cached: 900_000, CacheWrite: 50_000, Output: 34_567, Reasoning: 12_000, Cost: 1_500_000_000},
		},
		Sessions: []runner.SessionRecord{
			{Number: 1, Run: "100", Begun: noon.Add(-time.Hour), Crashed: true, Tried: []string{"list-001"}, Usage: runner.Usage{Tokens: 600_000}},
			{Number: 2, Run: "101", Begun: noon.Add(-time.Minute), Ended: noon, Completed: []string{"list-001"}, Tried: []string{"list-001", "add-001"}, Usage: runner.Usage{Tokens: 634_567}, Reason: runner.FeaturesPerSession},
		},
	}
	st.Features[3].DependsOn = []string{"old-001"}
	for i := range st.Features {
		st.Features[i].Frozen = st.Features[i].AcceptanceHash()
	}
	st.Features[0].Evidence.Record = "record-002.json"
	st.Features[0].Evidence.Files = map[string]string{"record-002.json": strings.Repeat("5", 64), "green.txt": strings.Repeat("3", 64), "screenshot.png": strings.Repeat("4", 64)}
	state, list, err := runner.Encode(st)
	if err != nil {
		panic(err)
	}
	if st, err = runner.Decode(state, list); err != nil { // so that it has a digest
		panic(err)
	}
	v := View{
		State: st, Result: st.Result(runner.Continue), Now: noon, Isolation: "landlock",
		Links: Links{
			Repository: "octo/app", Branch: "autonomous-loop/main", BranchURL: "https://github.example/octo/app/tree/autonomous-loop/main",
			StateURL: "https://github.example/octo/app/tree/autonomous-loop-state/main", RunURL: "https://github.example/octo/app/actions/runs/101", Resume: "gh workflow run loop.yml",
		},
		Records: map[string]runner.Record{"list-001": record()},
		Images:  map[string][]byte{"list-001": []byte("\x89PNG")},
		Events:  []runner.Event{{Time: noon, Step: "verdict", Feature: "list-001", Outcome: runner.Verified, Text: "<script>alert(1)</script>"}},
	}
	v.Result.Warnings = []string{"no permission @all"}
	return v
}

// record is the evidence of the sample's verified feature.
func record() runner.Record {
	return runner.Record{
		Schema: 1, Number: 2, Prev: strings.Repeat("ab", 32), Loop: "main", Lineage: "l1", Transaction: 12, Session: 2, Run: "101", Time: noon,
		Feature: "list-001", Description: "A page with the list, thanks @octocat", Attempt: 2, Row: strings.Repeat("1", 64), Acceptance: strings.Repeat("2", 64),
		Parent: "ba5e0123456789", Commit: "c0ffee0123456789", Tree: "0123456789abcdef", Outcome: runner.Verified, Reason: "all gates passed",
		Gates: []runner.Gate{
			{Name: "frozen", Passed: true, Reason: "its acceptance is the one that was agreed on."},
			{Name: "red", Passed: true, Tree: "ba5e0123456789", Counts: runner.Counts{Run: 2, Failed: 2}, Millis: 300, Reason: "2 new tests fail without the feature, as it should.", Runs: []runner.Run{{
				Command: "node --test", Tree: "ba5e0123456789", Tests: "0123456789abcdef", Env: []string{"CI=true", "HOME", "PATH"}, Exit: 1,
				Counts: runner.Counts{Run: 5, Passed: 3, Failed: 2}, Millis: 280, Tail: "not ok 1 - <script>alert(1)</script>\n````\n@octocat fixes #1\n",
			}}},
			{Name: "green", Passed: true, Tree: "0123456789abcdef", Counts: runner.Counts{Run: 5, Passed: 5}, Millis: 400, Reason: "twice in a row 5 tests pass."},
			{Name: "audit", Passed: true, Findings: []runner.Finding{{Rule: "test-changed", Path: "test/list.test.js", Line: 7, Text: "an assertion was taken out | <b>"}}},
		},
		Files: map[string]string{"green.txt": strings.Repeat("3", 64), "screenshot.png": strings.Repeat("4", 64)},
	}
}

func TestGolden(t *testing.T) {
	v := sample()
	done := sample()
	done.State.Features = done.State.Features[:1]
	done.State.Status, done.State.Reason, done.State.Why, done.State.Wip = runner.Done, "", "every feature is complete", nil
	done.Result = done.State.Result(runner.Stop)
	handoff, err := Handoff(v)
	if err != nil {
		t.Fatal(err)
	}
	result, err := Result(v)
	if err != nil {
		t.Fatal(err)
	}
	html, err := HTML(v)
	if err != nil {
		t.Fatal(err)
	}
	for name, got := range map[string][]byte{
		"comment.md": []byte(Comment(v)), "comment-done.md": []byte(Comment(done)), "summary.md": []byte(Summary(v)),
		"pull-request.md": []byte(PullRequest(v)), "progress.md": Progress(v), "status.txt": []byte(Text(v)),
		"handoff.json": handoff, "result.json": result, "report.html": html, "record.md": Record(record()),
	} {
		file := filepath.Join("testdata", name)
		if *update {
			if err := os.WriteFile(file, got, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), string(got)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestTextOfOthersDoesNothing(t *testing.T) {
	v := sample()
	for name, s := range map[string]string{"comment": Comment(v), "summary": Summary(v), "pull request": PullRequest(v), "record": unfenced(string(Record(record())))} {
		for _, bad := range []string{"@octocat", "@all", "fixes #1", "closes https://", "<b>", "\n::error"} {
			if strings.Contains(s, bad) {
				t.Errorf("the %s holds %q", name, bad)
			}
		}
		if n := strings.Count(s, "<!--"); n != strings.Count(name, "comment") {
			t.Errorf("the %s has %d hidden markers", name, n)
		}
	}
	html, err := HTML(v)
	if err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{"<script>", "<b>at", "http-equiv=\"refresh"} {
		if bytes.Contains(html, []byte(bad)) {
			t.Errorf("the page holds %q", bad)
		}
	}
}

// unfenced is Markdown without its blocks of text, in which nothing acts.
func unfenced(s string) string {
	return regexp.MustCompile("(?s)\n(`{3,})text\n.*?\n`{5}\n").ReplaceAllString(s, "\n")
}

func TestALongCommentIsCut(t *testing.T) {
	v := sample()
	for range 2000 {
		v.State.Features = append(v.State.Features, v.State.Features[1])
	}
	for name, s := range map[string]string{"comment": Comment(v), "pull request": PullRequest(v), "summary": Summary(v)} {
		if len(s) > 65_000 {
			t.Errorf("the %s has %d bytes", name, len(s))
		}
	}
	if !strings.HasPrefix(Comment(v), Marker("l1")) {
		t.Error("the marker was cut off")
	}
}

func TestBarIsFullOnlyWhenAllIsDone(t *testing.T) {
	for _, tt := range []struct {
		n, total int
		want     string
	}{
		{0, 0, strings.Repeat("░", 20)},
		{0, 5, strings.Repeat("░", 20)},
		{1, 100, "█" + strings.Repeat("░", 19)},
		{30, 50, strings.Repeat("█", 12) + strings.Repeat("░", 8)},
		{199, 200, strings.Repeat("█", 19) + "░"},
		{200, 200, strings.Repeat("█", 20)},
	} {
		if got := Bar(tt.n, tt.total); got != tt.want {
			t.Errorf("Bar(%d, %d) = %s, want %s", tt.n, tt.total, got, tt.want)
		}
	}
	if percent(199, 200) != 99 {
		t.Errorf("199 of 200 are %d %%", percent(199, 200))
	}
}

func TestETA(t *testing.T) {
	session := func(n int) runner.SessionRecord {
		return runner.SessionRecord{Ended: noon, Completed: make([]string, n)}
	}
	for _, tt := range []struct {
		sessions []runner.SessionRecord
		left     int
		want     string
	}{
		{nil, 3, "unknown"},
		{[]runner.SessionRecord{session(0)}, 3, "unknown"},
		{[]runner.SessionRecord{session(2)}, 3, "2 sessions"},
		{[]runner.SessionRecord{session(3)}, 3, "1 session"},
		{[]runner.SessionRecord{session(9), session(1), session(1), session(1), session(1), session(1)}, 3, "3 sessions"},
		{[]runner.SessionRecord{session(3)}, 0, "done"},
	} {
		if got := eta(runner.State{Sessions: tt.sessions}, runner.LoopResult{FeaturesTotal: tt.left}); got != tt.want {
			t.Errorf("eta after %d sessions with %d left = %q, want %q", len(tt.sessions), tt.left, got, tt.want)
		}
	}
}

// Every reason tells a person what to do next, or needs nothing of them.
func TestEveryStopHasANextStep(t *testing.T) {
	v := sample()
	for reason, quiet := range map[runner.Reason]bool{
		runner.ContextLimit: true, runner.SessionTime: true, runner.FeaturesPerSession: true, runner.Superseded: true,
		runner.TokenBudget: false, runner.CostBudget: false, runner.RateLimit: false, runner.NoProgress: false, runner.AwaitingApproval: false,
		runner.Paused: false, runner.BlockedLoop: false, runner.Escalated: false, runner.Cancelled: false, runner.StoppedByPerson: false, runner.MaxSessions: false,
	} {
		v.State.Reason = reason
		if got := next(v); (got == "") != quiet {
			t.Errorf("%s: next is %q", reason, got)
		}
	}
}

func TestResultHasItsFields(t *testing.T) {
	data, err := Result(sample())
	if err != nil {
		t.Fatal(err)
	}
	var m map[string]any
	if err := json.Unmarshal(data, &m); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"success", "features_completed", "features_total", "sessions_used", "total_tokens", "errors_recovered", "duration_minutes", "handoff_reason"} {
		if _, ok := m[name]; !ok {
			t.Errorf("no %s", name)
		}
	}
}
