package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/autonomous-loop/autonomous-loop/runner"
	"github.com/autonomous-loop/autonomous-loop/runner/agent"
)

func lookupIn(values map[string]string) func(string) string {
	return func(name string) string { return values[name] }
}

func TestDefaultsAreTheDocumentedOnes(t *testing.T) {
	c, err := parseConfig(lookupIn(map[string]string{"model": "m", "api-key": "k"}))
	if err != nil {
		t.Fatal(err)
	}
	want := runner.LoopConfig{
		MaxSessions: 10, TokenBudget: 500_000, AutoCheckpoint: true, FeaturesPerSession: 1, AttemptsPerFeature: 3, RepairsPerAttempt: 2,
		TestFirst: true, Continuation: runner.Auto, Mode: runner.RunMode,
	}
	if diff := cmp.Diff(want, c.LoopConfig); diff != "" {
		t.Errorf("LoopConfig (-want +got):\n%s", diff)
	}
	if c.StateBranch != "refs/heads/autonomous-loop-state/main" || c.workBranch() != "refs/heads/autonomous-loop/main" {
		t.Errorf("branches %s and %s", c.StateBranch, c.workBranch())
	}
	if c.SessionMinutes != 50*time.Minute || c.Spec != "SPEC.md" || c.Isolation != "auto" || c.PullRequest != "draft" || !c.TDD || c.E2E != "auto" || c.Bands != agent.DefaultBands {
		t.Errorf("config %+v", c)
	}
}

func TestEveryMistakeIsReportedAtOnce(t *testing.T) {
	_, err := parseConfig(lookupIn(map[string]string{
		"max-sessions": "ten", "token-budget": "-1", "continuation": "sometimes", "mode": "fast", "loop": "../x", "base": "-f",
		"state-branch": "main", "base-url": "http://models.example.com/v1", "cost-budget": "NaN", "tdd": "yes", "auto-checkpoint": "1",
		"model": "script:", "session-minutes": "9", "context-bands": "50,40,85,90",
	}))
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{
		`input max-sessions: "ten" is not a number from 1 to 1000`, `input token-budget: "-1"`, "input continuation", "input mode", "input loop",
		"input base:", "input state-branch", "input base-url", "a key would travel in the clear", "input cost-budget", "input tdd",
		"input auto-checkpoint", "input model", "input session-minutes",
		`input context-bands: "50,40,85,90" is not four rising percentages`,
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("it does not say %q:\n%v", want, err)
		}
	}
}

func TestMissingInputsAreNamedWithTheirRemedy(t *testing.T) {
	for _, tt := range []struct {
		values map[string]string
		want   string
	}{
		{map[string]string{}, "input model: is not set"},
		{map[string]string{"model": "m"}, "input api-key: is not set"},
		{map[string]string{"model": "m", "base-url": "http://127.0.0.1:8000/v1"}, ""},
		{map[string]string{"model": "script:x"}, ""},
		{map[string]string{"mode": "continue"}, ""},
		{map[string]string{"model": "m", "api-key": "k", "loop": "a", "state-branch": "refs/heads/autonomous-loop/a"}, "is where the loop's code goes"},
	} {
		_, err := parseConfig(lookupIn(tt.values))
		if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%v: %v, want %q", tt.values, err, tt.want)
		}
	}
}

func TestBudgetsAndCounts(t *testing.T) {
	for value, want := range map[string]string{
		"ada": "ada", "@ada, org/the-team": "ada org/the-team", "a-b": "a-b", "a--b": "", "-a": "", "ada lovelace": "", "a/b/c": "", "ada\nbob": "",
		"github-actions[bot]": "", "a,,b": "", "org/": "", strings.Repeat("a", 40): "", "a,b,c,d,e,f,g,h,i,j,k": "", "@here!": "",
	} {
		c, err := parseConfig(lookupIn(map[string]string{"model": "script:x", "notify": value}))
		if got := strings.Join(c.Notify, " "); (err == nil) != (want != "") || err == nil && got != want {
			t.Errorf("notify %q: %q, %v", value, got, err)
		}
	}
	type set struct {
		session, feature runner.Cap
		low, high        int
	}
	for _, tt := range []struct {
		name, value string
		want        set
		wrong       bool
	}{
		{"session-budget", "2000000", set{session: runner.Cap{Tokens: 2_000_000}}, false},
		{"session-budget", "$0.50", set{session: runner.Cap{Cost: runner.Dollar / 2}}, false},
		{"feature-budget", "$3", set{feature: runner.Cap{Cost: 3 * runner.Dollar}}, false},
		{"feature-budget", "0", set{}, false},
		{"feature-budget", "3.50", set{}, true},
		{"feature-budget", "-1", set{}, true},
		{"feature-budget", "$-1", set{}, true},
		{"feature-budget", "3 dollars", set{}, true},
		{"feature-count", "auto", set{}, false},
		{"feature-count", "30", set{low: 30, high: 30}, false},
		{"feature-count", "20 - 50", set{low: 20, high: 50}, false},
		{"feature-count", "50-20", set{}, true},
		{"feature-count", "0-20", set{}, true},
		{"feature-count", "20-501", set{}, true},
		{"feature-count", "many", set{}, true},
	} {
		c, err := parseConfig(lookupIn(map[string]string{"model": "script:x", tt.name: tt.value}))
		if tt.wrong {
			if err == nil || !strings.Contains(err.Error(), "input "+tt.name+": \""+tt.value+"\" is not") {
				t.Errorf("%s %s: %v", tt.name, tt.value, err)
			}
			continue
		}
		if got := (set{c.LoopConfig.SessionBudget, c.LoopConfig.FeatureBudget, c.MinFeatures, c.MaxFeatures}); err != nil || got != tt.want {
			t.Errorf("%s %s: %+v, %v", tt.name, tt.value, got, err)
		}
	}
}

func TestBranchNames(t *testing.T) {
	for name, want := range map[string]bool{
		"main": true, "release/1.2": true, "a..b": false, "-x": false, "a//b": false, "a.lock": false, "a/": false, ".a": false, "a/.b": false, "a b": false, "a~1": false, "": false,
	} {
		if got := validBranch(name); got != want {
			t.Errorf("validBranch(%q) = %v", name, got)
		}
	}
}

func TestConfigFile(t *testing.T) {
	values, err := parseFile("f.yml", []byte("model: m\nmax-sessions: 4\ntdd: \"off\"\napprove-features: true\n"))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]string{"model": "m", "max-sessions": "4", "tdd": "off", "approve-features": "true"}, values); diff != "" {
		t.Errorf("values (-want +got):\n%s", diff)
	}
	_, err = parseFile("f.yml", []byte("api-key: k\nmodle: m\nloop: x\nsetup: [a]\n"))
	for _, want := range []string{"api-key is a secret", "there is no input modle", "loop decides where", "setup takes a shell command"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("it does not say %q: %v", want, err)
		}
	}
	if _, err := parseFile("f.yml", []byte("a: [")); err == nil {
		t.Error("bad YAML was taken")
	}
}

func TestASecretNeverPrints(t *testing.T) {
	s := newSecret("hunter2")
	js, err := json.Marshal(map[string]any{"k": s, "c": config{APIKey: s}})
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	slog.New(slog.NewTextHandler(&b, nil)).Info("x", "k", s)
	all := fmt.Sprintf("%v %s %q %d %x %#v %+v", s, s, s, s, s, s, struct{ K secret }{s}) + string(js) + b.String() +
		fmt.Sprint(config{APIKey: s}) + fmt.Sprintf("%v %+v %s", struct{ k secret }{s}, &struct{ k secret }{s}, struct{ k secret }{s})
	if strings.Contains(all, "hunter2") || strings.Contains(all, "68756e74657232") {
		t.Errorf("leaked: %s", all)
	}
	if s.reveal() != "hunter2" || (secret{}).reveal() != "" {
		t.Error("reveal does not give it back")
	}
}

func TestOutputsCannotBeEndedByTheirValue(t *testing.T) {
	var b bytes.Buffer
	value := "x\neof-AAAA\n_GitHubActionsFileCommandDelimeter_\nother=evil\nname<<eof\n"
	for range 2 {
		if err := writeOutput(&b, "result", value); err != nil {
			t.Fatal(err)
		}
	}
	lines := strings.Split(b.String(), "\n")
	name, delimiter, _ := strings.Cut(lines[0], "<<")
	if name != "result" || strings.Count(value, delimiter) != 0 || len(delimiter) < 20 || strings.Count(b.String(), delimiter) != 2 {
		t.Errorf("delimiter %q in:\n%s", delimiter, b.String())
	}
}

func TestOutputsHaveOneValueEach(t *testing.T) {
	reason := runner.SessionTime
	values, err := outputs(runner.LoopResult{
		FeaturesCompleted: 2, FeaturesTotal: 3, SessionsUsed: 1, TotalTokens: 5, DurationMinutes: 1.5, HandoffReason: &reason, Status: runner.AwaitingSuccessor,
		Receipts: []runner.ReceiptLine{{Key: "artifact:x", Receipt: "9"}, {Key: "pull-request", Receipt: "7"}},
	}, "refs/heads/autonomous-loop/main")
	if err != nil {
		t.Fatal(err)
	}
	if len(values) != len(outputNames) {
		t.Errorf("%d values for %d names", len(values), len(outputNames))
	}
	for name, want := range map[string]string{
		"success": "false", "features-completed": "2", "features-total": "3", "handoff-reason": "session_time", "duration-minutes": "1.5",
		"branch": "autonomous-loop/main", "pull-request": "7", "artifact-id": "9", "status": "awaiting_successor",
	} {
		if values[name] != want {
			t.Errorf("%s = %q, want %q", name, values[name], want)
		}
	}
	var back map[string]any
	if err := json.Unmarshal([]byte(values["result"]), &back); err != nil || back["handoff_reason"] != "session_time" {
		t.Errorf("result: %v, %v", back, err)
	}
	for _, name := range []string{"success", "features_completed", "features_total", "sessions_used", "total_tokens", "errors_recovered", "duration_minutes", "handoff_reason"} {
		if _, ok := back[name]; !ok {
			t.Errorf("result has no %s", name)
		}
	}
}

func TestLogLinesAreNoCommands(t *testing.T) {
	for _, s := range []string{"::error::x", "  ::add-mask::x", "a ##[error]b", "a\r::set-output name=x::y", "a\n::stop-commands::x", "\x1b[31m::warning::x"} {
		got := logLine(s)
		if strings.ContainsAny(got, "\r\n\x1b") || strings.Contains(got, "##[") || strings.HasPrefix(strings.TrimSpace(got), "::") {
			t.Errorf("logLine(%q) = %q", s, got)
		}
	}
}
