package runner

// An Outcome is the harness's word on a candidate.
type Outcome string

// The outcomes of a judgement.
const (
	Verified     Outcome = "verified"     // every gate passed, for exactly this tree
	Already      Outcome = "already"      // held before the work began
	Red          Outcome = "red"          // after the tests phase: the new tests fail, as they should
	Failed       Outcome = "failed"       // a gate said no; the reason is fit for the agent to read
	Invalid      Outcome = "invalid"      // the proof was tampered with
	Inconclusive Outcome = "inconclusive" // flaky, or the infrastructure failed: neither pass nor fail
	Conflicting  Outcome = "conflict"     // spec and checks cannot both hold, as the agent says honestly; never punished
)

// A Verdict is what the gates found for one candidate.
type Verdict struct {
	Outcome Outcome `json:"outcome"`
	Reason  string  `json:"reason,omitempty"` // one paragraph, for people and for the agent
	Detail  string  `json:"detail,omitempty"` // failing tests, logs: for the agent, may be long
	Gates   []Gate  `json:"gates,omitempty"`  // in the order in which they were asked
	Files   []File  `json:"-"`                // evidence to keep on the state branch, names relative to evidence/<feature>/

	Broken []Broken `json:"broken,omitempty"` // earlier features that do not hold on the candidate's parent either
	Tests  []string `json:"tests,omitempty"`  // the test files that the feature was proved with
	Cases  []string `json:"cases,omitempty"`  // the tests that are its own, by file and name; none: not known
	Freed  []string `json:"freed,omitempty"`  // tests from before that are gone or may be changed, because nobody asks for them any more
	Usage  Usage    `json:"-"`                // of a model that was asked for its opinion
}

// A Broken feature was complete and is not any more, whoever the candidate is
// from: it does not hold on the verified commit that the candidate builds on.
type Broken struct {
	Feature string `json:"feature"`
	Culprit string `json:"culprit,omitempty"` // the feature since whose commit it does not hold; "": not known
	Why     string `json:"why"`
}

// A Gate is one check of a verdict, with its evidence.
type Gate struct {
	Name   string  `json:"name"` // red, green, regression, acceptance, ...
	Passed bool    `json:"passed"`
	Result Outcome `json:"result,omitempty"` // why it did not pass: failed, invalid, inconclusive
	Reason string  `json:"reason,omitempty"`
	Tree   string  `json:"tree,omitempty"` // the tree that was judged
	Counts Counts  `json:"counts"`
	Millis int64   `json:"millis"` // that its runs took, though they may have been made beside others

	Runs     []Run     `json:"runs,omitempty"`     // what the gate looked at, in order
	Findings []Finding `json:"findings,omitempty"` // what it found besides, blocking or not
}

// A Run is one run of a command that a gate rests on, as far as it is kept for
// people to read.
type Run struct {
	Command string   `json:"command"`
	Tree    string   `json:"tree"`            // the commit or tree that it ran on
	Tests   string   `json:"tests,omitempty"` // the commit or tree whose tests were put into it, if another
	Env     []string `json:"environment"`     // NAME=value; the name alone where the value would tell of the machine
	Exit    int      `json:"exit"`
	Counts  Counts   `json:"counts"`
	Millis  int64    `json:"millis"`
	Tail    string   `json:"tail,omitempty"` // end of its output
}

// A Finding is something in a change that a person should look at, or that
// stands in its way.
type Finding struct {
	Rule  string `json:"rule"` // a short name that does not change: test-deleted, test-skipped, ...
	Path  string `json:"path,omitempty"`
	Line  int    `json:"line,omitempty"`
	Text  string `json:"text"`
	Block bool   `json:"block"` // the gate says no because of it
}

// Counts are test cases or acceptance steps of one gate.
type Counts struct {
	Run     int `json:"run"`
	Passed  int `json:"passed"`
	Failed  int `json:"failed"`
	Skipped int `json:"skipped,omitempty"`
}

// A File is a name and its content. Names use forward slashes and never start
// with one.
type File struct {
	Name string
	Data []byte
}

// A Phase is a part of an attempt. The loop drives the phases, not the agent.
type Phase string

// The phases of an attempt.
const (
	Tests     Phase = "tests"     // write the feature's tests; they must fail
	Implement Phase = "implement" // make them pass
	Repair    Phase = "repair"    // another round, fed with the verdict
	Merging   Phase = "merge"     // no part of an attempt at a feature: resolve a conflict with others' commits
)

// follows decides what comes after a phase that was judged: the next phase, or
// "" when the attempt is over. repairs is how many are left. A verdict that
// fails the tests phase asks for the tests again; each such round is a repair.
func follows(phase Phase, v Verdict, repairs int) Phase {
	switch v.Outcome {
	case Red:
		return Implement
	case Failed:
		switch {
		case repairs == 0:
			return ""
		case phase == Tests:
			return Tests
		default:
			return Repair
		}
	case Verified, Already, Invalid, Inconclusive, Conflicting:
		return ""
	default:
		return ""
	}
}
