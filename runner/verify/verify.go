// Package verify proves a loop's features again, from a fresh clone: for a
// person who was handed a branch and does not believe it.
//
// It promises that nothing is taken for true because it is written down. The
// branches are held against each other first: the transactions, the evidence
// and its hashes, the acceptance as it was frozen, the code as it was judged.
// Then the gates judge every feature again, with the tests and the acceptance
// that were recorded, and all of them on the tip. What does not hold is said by
// name. It changes nothing.
//
// It does not know who wrote a branch. A forger who may push can write a state
// that is whole; what he cannot write is code that passes without doing what
// the feature asks, which is why the gates are asked again. Nor can a fresh
// clone know that newer transactions were cut off, unless it is told of one, or
// the work branch shows it.
package verify

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/autonomous-loop/autonomous-loop/runner"
)

// A Repo is a fresh clone. Package repo has it.
type Repo interface {
	// StateFiles returns the files of the last transaction whose names begin
	// with prefix.
	StateFiles(ctx context.Context, prefix string) ([]runner.File, error)

	// Transactions calls do for every transaction, from the last to the first,
	// with the id of its commit.
	Transactions(ctx context.Context, do func(commit string, tx runner.Transaction) error) error

	// Changed lists the paths that differ between two commits or trees.
	Changed(ctx context.Context, from, to string) ([]string, error)

	// Parents returns the parents of a commit.
	Parents(ctx context.Context, commit string) ([]string, error)

	// Descends says whether commit is ancestor, or was made from it.
	Descends(ctx context.Context, commit, ancestor string) (bool, error)
}

// Gates judge again. Package check has them.
type Gates interface {
	runner.Gates

	// Holds says whether a commit does what features ask that are complete in
	// it: the project's tests pass, and every acceptance.
	Holds(ctx context.Context, commit string, features []runner.Feature) (runner.Verdict, error)
}

// Options is what is proved, and with what.
type Options struct {
	Repo     Repo
	Gates    Gates        // nil: what is recorded is looked at, and nothing run
	Shelf    Shelf        // nil: changes of a spec cannot be told from forged ones
	Found    runner.Found // as Repo has loaded it
	Features []string     // to judge again; none: all that are complete
	Seen     string       // begins the id of a state commit, or the sha256 of a state, that must still be there; "": none is known
	Notify   func(Proof)  // every proof as soon as it is known; may be nil
}

// A Result is what holds and what does not.
type Result struct {
	Schema   int       `json:"schema"`
	Loop     string    `json:"loop"`
	Lineage  string    `json:"lineage"`
	Serial   int       `json:"serial"`
	State    string    `json:"state_sha256"`
	Work     string    `json:"work,omitempty"` // tip of the work branch
	Holds    bool      `json:"holds"`          // every proof was given again
	Proofs   []Proof   `json:"proofs"`         // of the loop as a whole
	Features []Feature `json:"features"`       // that are said to be complete, in the order in which they were proved
}

// A Feature is one that the state says is complete.
type Feature struct {
	ID          string  `json:"id"`
	Description string  `json:"description"`
	Commit      string  `json:"commit"`
	Tree        string  `json:"tree"`
	Holds       bool    `json:"holds"`
	Proofs      []Proof `json:"proofs"`
}

// A Proof is one thing that was looked at again.
type Proof struct {
	Feature string        `json:"-"` // "": the loop as a whole
	Name    string        `json:"name"`
	Result  Standing      `json:"result"`
	Says    string        `json:"says"`
	Counts  runner.Counts `json:"counts,omitzero"`
	Millis  int64         `json:"millis,omitempty"`
}

// A Standing says whether a proof still holds.
type Standing string

// The standings of a proof.
const (
	Holds        Standing = "holds"
	Broken       Standing = "does not hold"
	Inconclusive Standing = "inconclusive" // it could not be told: flaky, or the machine failed
	NotRun       Standing = "not run"
)

// Schema is the version of a [Result] as JSON.
const Schema = 1

// Run holds the branches against each other and then asks the gates. A state
// that cannot be read at all, or that is not the loop's, is a
// [*runner.StateError]; proofs that do not hold are a result, not an error.
func Run(ctx context.Context, o Options) (Result, error) {
	p := &prover{Options: o, res: Result{Schema: Schema, Work: o.Found.Work, Proofs: []Proof{}, Features: []Feature{}}}
	for _, step := range []func(context.Context) error{p.open, p.wanted, p.history, p.evidence, p.branch, p.features, p.tip} {
		if err := step(ctx); err != nil {
			return p.res, err
		}
	}
	p.close()
	return p.res, nil
}

// A prover is a result in the making.
type prover struct {
	Options
	res     Result
	state   runner.State
	records []runner.Record
	past    past
	flaws   map[string][]error // of the evidence, by feature; "": of the chain
}

// open reads the state, whose chain of transactions was checked when it was
// loaded.
func (p *prover) open(context.Context) error {
	if p.Found.State == nil {
		return &runner.StateError{Type: runner.Deleted, Err: errors.New("there is no state branch: this repository has no such loop, or it was deleted; name a loop with --loop")}
	}
	st, err := runner.Decode(p.Found.State, p.Found.List)
	if err == nil {
		p.state = st
		p.res.Loop, p.res.Lineage, p.res.Serial, p.res.State = st.Loop, st.Lineage, st.Serial, runner.Hash(p.Found.State)
	}
	if p.Found.Chain != nil {
		p.say(Proof{Name: "transactions", Result: Broken, Says: p.Found.Chain.Error()})
		return &runner.StateError{Type: runner.Corrupt, Err: fmt.Errorf("the state branch does not check: %w", p.Found.Chain)}
	}
	if err != nil {
		p.say(Proof{Name: "state", Result: Broken, Says: err.Error()})
		return &runner.StateError{Type: runner.Corrupt, Err: fmt.Errorf("the state is damaged: %w", err)}
	}
	return nil
}

// An UnknownError says that a feature was asked for that is not complete.
type UnknownError struct {
	Feature  string
	Complete []string
}

func (e *UnknownError) Error() string {
	if len(e.Complete) == 0 {
		return fmt.Sprintf("feature %s is not said to be complete, nor is any other", e.Feature)
	}
	return fmt.Sprintf("feature %s is not said to be complete; these are: %q", e.Feature, e.Complete)
}

func (p *prover) wanted(context.Context) error {
	var complete []string
	for _, f := range p.state.Features {
		if f.Status == runner.Complete {
			complete = append(complete, f.ID)
		}
	}
	for _, id := range p.Features {
		if !slices.Contains(complete, id) {
			return &UnknownError{id, complete}
		}
	}
	return nil
}

// say notes a proof where it belongs.
func (p *prover) say(proof Proof) {
	if proof.Feature == "" {
		p.res.Proofs = append(p.res.Proofs, proof)
	} else {
		f := p.feature(proof.Feature)
		f.Proofs = append(f.Proofs, proof)
	}
	if p.Notify != nil {
		p.Notify(proof)
	}
}

// prove notes a proof that holds if there is nothing against it.
func (p *prover) prove(feature, name, says string, against []error) {
	proof := Proof{Feature: feature, Name: name, Result: Holds, Says: says}
	if err := errors.Join(against...); err != nil {
		proof.Result, proof.Says = Broken, strings.ReplaceAll(err.Error(), "\n", "; ")+"."
	}
	p.say(proof)
}

func (p *prover) feature(id string) *Feature {
	i := slices.IndexFunc(p.res.Features, func(f Feature) bool { return f.ID == id })
	if i < 0 {
		f, _ := p.state.Feature(id)
		feature := Feature{ID: id, Description: f.Description, Commit: f.Commit}
		if f.Evidence != nil {
			feature.Tree = f.Evidence.Tree
		}
		p.res.Features = append(p.res.Features, feature)
		i = len(p.res.Features) - 1
	}
	return &p.res.Features[i]
}

// close sums up.
func (p *prover) close() {
	p.res.Holds = whole(p.res.Proofs)
	for i := range p.res.Features {
		f := &p.res.Features[i]
		f.Holds = whole(f.Proofs)
		p.res.Holds = p.res.Holds && f.Holds
	}
}

func whole(proofs []Proof) bool {
	return !slices.ContainsFunc(proofs, func(p Proof) bool { return p.Result == Broken || p.Result == Inconclusive })
}

// Broken are the proofs that do not hold, those of the loop first.
func (r Result) Broken() []Proof { return r.with(Broken) }

// Inconclusive are the proofs of which it could not be told.
func (r Result) Inconclusive() []Proof { return r.with(Inconclusive) }

func (r Result) with(s Standing) []Proof {
	all := slices.Clone(r.Proofs)
	for _, f := range r.Features {
		all = append(all, f.Proofs...)
	}
	return slices.DeleteFunc(all, func(p Proof) bool { return p.Result != s })
}

// complete are the features that are said to be complete, in the order in which
// they were proved; those without a record come first, in the list's order.
func (p *prover) complete() []runner.Feature {
	at := map[string]int{}
	for _, r := range p.records {
		at[r.Feature] = r.Number
	}
	fs := slices.DeleteFunc(slices.Clone(p.state.Features), func(f runner.Feature) bool { return f.Status != runner.Complete })
	slices.SortStableFunc(fs, func(a, b runner.Feature) int { return cmp.Compare(at[a.ID], at[b.ID]) })
	return fs
}
