package check

import (
	"cmp"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/autonomous-loop/autonomous-loop/runner"
	"github.com/autonomous-loop/autonomous-loop/runner/suite"
)

// A judgement is a verdict in the making, with the runs it rests on.
type judgement struct {
	runner.Candidate
	now     func() time.Time
	started time.Time // of the gate at work
	verdict runner.Verdict

	suspect  bool          // the run of the tests says what it should not, whoever is to blame
	guarding bool          // a gate that is not passed only counts if it found worse than what is known
	ran      *suite.Report // of the tests on the tree, the last
	redRun   *suite.Report // of the parent with the candidate's tests
	proper   []suite.Case  // what failed in it for want of the feature
	runs     []runner.Run  // that the gate at work looked at
	took     time.Duration // by what it looked at, which may have been made beside others
	notes    []string
	logs     map[string]string // name of a file of evidence -> text
	browse   browsing

	running   sync.WaitGroup             // what is made beside the gates: see ahead.go
	tested    func() (recorded, error)   // after the tests phase
	performed func() (accepted, error)   // the feature's own acceptance
	regressed func() ([]accepted, error) // those of the features before it
	caged     func() (cage, error)
}

// browsing is what the browser saw: acceptance.json.
type browsing struct {
	Parent     []performance `json:"parent,omitempty"`
	Candidate  []performance `json:"candidate,omitempty"`
	Regression []performance `json:"regression,omitempty"`
	Culprit    []performance `json:"culprit,omitempty"` // on earlier trees, to find out since when an earlier feature is broken
}

// A performance is one run of a scenario.
type performance struct {
	Tree   string `json:"tree"`
	Frozen string `json:"acceptance_sha256"` // of what was performed, before the values were drawn
	Steps  []Step `json:"steps"`             // as they were performed, with the values drawn for this run
	Acceptance

	hurried bool // not with all the patience
	round   int  // those of one round were made at once, in one browser
}

func (j *judgement) begin() { j.started, j.runs, j.took = j.now(), nil, 0 }

// saw records a run that the gate at work looks at.
func (j *judgement) saw(r recorded) {
	j.runs = append(j.runs, r.Commands...)
	j.took += r.Wall
}

// watched is saw for performances, which are made side by side.
func (j *judgement) watched(ps []performance) {
	for _, p := range ps {
		j.took += p.Duration
	}
}

// decide records a gate. The first that is not passed is the verdict, unless a
// later one finds that the proof was tampered with.
func (j *judgement) decide(name, tree string, f finding) {
	j.verdict.Gates = append(j.verdict.Gates, runner.Gate{
		Name: name, Passed: f.passed(), Result: f.Outcome, Reason: f.Reason, Tree: tree, Counts: f.Counts, Millis: max(j.took, j.now().Sub(j.started)).Milliseconds(), Runs: j.runs,
	})
	v := &j.verdict
	switch {
	case f.passed():
	case v.Outcome == "" || f.Outcome == runner.Invalid && v.Outcome != runner.Invalid:
		if v.Reason != "" {
			f.Reason += " Besides: " + v.Reason
		}
		v.Outcome, v.Reason, v.Detail = f.Outcome, f.Reason, limit(f.Detail+v.Detail, mostDetail)
	default:
		v.Reason += " Besides: " + f.Reason
	}
}

func (j *judgement) decided() bool { return j.verdict.Outcome != "" }

// settled says that no guard could change the verdict, or should be asked.
func (j *judgement) settled() bool {
	gates := j.verdict.Gates
	return j.verdict.Outcome == runner.Invalid || j.verdict.Outcome == runner.Already || len(j.verdict.Broken) > 0 ||
		len(gates) > 0 && gates[len(gates)-1].Name == "setup"
}

func (j *judgement) note(format string, args ...any) {
	j.notes = append(j.notes, fmt.Sprintf(format, args...))
}

// pass is the verdict on a candidate that no gate objected to.
func (j *judgement) pass() {
	j.verdict.Outcome = runner.Verified
	if j.Phase == runner.Tests {
		j.verdict.Outcome = runner.Red
	}
	var said []string
	for _, g := range j.verdict.Gates {
		said = append(said, g.Name+": "+g.Reason)
	}
	j.verdict.Reason = strings.Join(append(said, j.notes...), " ")
}

// log keeps a run of the tests as a file of evidence.
func (j *judgement) log(name, tree string, r suite.Report, f finding) {
	var b strings.Builder
	fmt.Fprintf(&b, "command: %s\ntree: %s\n", r.Command, tree)
	n := counts(r.Leaves())
	fmt.Fprintf(&b, "run %d, passed %d, failed %d, skipped %d, %.1f s\n", n.Run, n.Passed, n.Failed, n.Skipped, r.Wall.Seconds())
	fmt.Fprintf(&b, "judged: %s %s\n\n", cmp.Or(string(f.Outcome), "passed"), f.Reason)
	for _, c := range r.Leaves() {
		fmt.Fprintf(&b, "%-4s %s", c.State, c)
		if c.Kind != "" {
			fmt.Fprintf(&b, " [%s]", c.Kind)
		}
		b.WriteByte('\n')
	}
	if bad := r.Failed(); len(bad) > 0 {
		b.WriteString("\n" + brief(bad))
	}
	if t := strings.TrimSpace(suite.Clean(r.Tail)); t != "" {
		b.WriteString("\nend of the output:\n" + suite.Tail(t, 4<<10) + "\n")
	}
	j.keep(name, limit(b.String(), 64<<10))
}

// keep keeps a file of evidence.
func (j *judgement) keep(name, text string) {
	if j.logs == nil {
		j.logs = map[string]string{}
	}
	j.logs[name] = text
}

// close is the verdict with its files.
func (j *judgement) close() (runner.Verdict, error) {
	v := j.verdict
	proof, err := json.MarshalIndent(struct {
		Feature string `json:"feature"`
		Attempt int    `json:"attempt"`
		Phase   string `json:"phase"`
		Tree    string `json:"tree"`
		runner.Verdict
		Notes []string `json:"notes,omitempty"`
	}{j.Feature.ID, j.Attempt, string(j.Phase), j.Tree, v, j.notes}, "", "  ")
	if err != nil {
		return runner.Verdict{}, fmt.Errorf("write verdict of %s: %w", j.Feature.ID, err)
	}
	v.Files = append(v.Files, runner.File{Name: "verdict.json", Data: append(proof, '\n')})
	for _, name := range []string{"audit.json", "red.txt", "green.txt", "revert.txt"} {
		if text, ok := j.logs[name]; ok {
			v.Files = append(v.Files, runner.File{Name: name, Data: []byte(text)})
		}
	}
	seen := j.browse.Candidate
	if v.Outcome == runner.Already {
		seen = j.browse.Parent
	}
	if len(j.browse.Parent)+len(j.browse.Candidate)+len(j.browse.Regression)+len(j.browse.Culprit) > 0 {
		data, err := json.MarshalIndent(j.browse, "", "  ")
		if err != nil {
			return runner.Verdict{}, fmt.Errorf("write acceptance of %s: %w", j.Feature.ID, err)
		}
		v.Files = append(v.Files, runner.File{Name: "acceptance.json", Data: append(data, '\n')})
	}
	if n := len(seen); n > 0 && len(seen[n-1].Screenshot) > 0 {
		v.Files = append(v.Files, runner.File{Name: "screenshot.png", Data: seen[n-1].Screenshot})
	}
	return v, nil
}
