// Package doctor looks a loop over and says what is wrong with it and how to
// mend it: the whole chain of transactions, the evidence, the branches, what the
// forge shows, and the machine.
//
// It promises that each kind of damage has a name, that it goes on looking after
// the first, and that it changes nothing. It does not give proofs again: whether
// a feature does what is said of it, package verify finds out.
package doctor

import (
	"context"
	"errors"

	"github.com/autonomous-loop/autonomous-loop/runner"
)

// A Repo is a clone whose branches were loaded. Package repo has it.
type Repo interface {
	// Links calls do for every commit of the state branch, whatever is wrong with
	// it, from the last to the first.
	Links(ctx context.Context, do func(commit string, parents []string, ours bool, tx runner.Transaction) error) error

	// StateFiles returns the files of the last transaction whose names begin
	// with prefix.
	StateFiles(ctx context.Context, prefix string) ([]runner.File, error)

	// Descends says whether commit is ancestor, or was made from it.
	Descends(ctx context.Context, commit, ancestor string) (bool, error)
}

// A Forge is asked what it shows of a loop. It is nil where there is none.
type Forge interface {
	// Over says whether the run that owns a session has ended.
	Over(ctx context.Context, o runner.Owner) (bool, error)

	// Shown lists the loop's open pull requests and its comments.
	Shown(ctx context.Context, st runner.State) (pulls, comments []string, err error)
}

// A Level says how bad a finding is.
type Level string

// Unfit is the kind of what a [Probe] finds: it is no damage of the loop.
const Unfit = "unfit"

// The levels of findings.
const (
	Fine    Level = "ok"
	Warning Level = "warning" // it mends itself, or costs something else than truth
	Damage  Level = "damage"  // no session can go on, or what it said is not to be trusted
	Unknown Level = "unknown" // it could not be looked at
)

// A Finding is what was found about one thing.
type Finding struct {
	Check string `json:"check"` // what was looked at
	Level Level  `json:"level"`
	Kind  string `json:"kind,omitempty"` // of the damage, one word or some
	Says  string `json:"says"`
	Mend  string `json:"mend,omitempty"`
}

// A Probe looks at something that is not of the loop: the machine, the model,
// the rights of a token.
type Probe struct {
	Check string
	Kind  string // of what it finds, which then is a warning; "": it is [Unfit]
	Mend  string
	Look  func(ctx context.Context) (says string, err error)
}

// Options is what is looked over.
type Options struct {
	Repo   Repo
	Forge  Forge // nil: nobody can be asked
	Found  runner.Found
	Load   error // why the branches could not be loaded; nil: they were
	Probes []Probe
	Notify func(Finding) // every finding as soon as it is known; may be nil
}

// A Result is all that was found.
type Result struct {
	Schema   int       `json:"schema"`
	Loop     string    `json:"loop,omitempty"`
	Lineage  string    `json:"lineage,omitempty"`
	Serial   int       `json:"serial,omitempty"`
	Healthy  bool      `json:"healthy"` // nothing is damaged, and nothing is unknown
	Findings []Finding `json:"findings"`
}

// Schema is the version of a [Result] as JSON.
const Schema = 1

// Has says whether something of a level was found.
func (r Result) Has(l Level) bool {
	for _, f := range r.Findings {
		if f.Level == l {
			return true
		}
	}
	return false
}

// A look is a result in the making.
type look struct {
	Options
	res   Result
	state runner.State // the last one that can be read; Lineage "": none can
}

// Run looks everything over.
func Run(ctx context.Context, o Options) (Result, error) {
	l := &look{Options: o, res: Result{Schema: Schema, Findings: []Finding{}}}
	for _, p := range o.Probes {
		says, err := p.Look(ctx)
		switch {
		case ctx.Err() != nil:
			return l.res, context.Cause(ctx)
		case err != nil && p.Kind != "":
			l.say(Finding{Check: p.Check, Level: Warning, Kind: p.Kind, Says: err.Error(), Mend: p.Mend})
		case err != nil:
			l.say(Finding{Check: p.Check, Level: Damage, Kind: Unfit, Says: err.Error(), Mend: p.Mend})
		default:
			l.say(Finding{Check: p.Check, Level: Fine, Says: says})
		}
	}
	if err := l.loop(ctx); err != nil {
		return l.res, err
	}
	l.res.Healthy = !l.res.Has(Damage) && !l.res.Has(Unknown)
	return l.res, nil
}

func (l *look) loop(ctx context.Context) error {
	if l.Load != nil {
		l.say(Finding{Check: "repository", Level: Damage, Kind: "unreadable repository", Says: l.Load.Error(), Mend: "see that the remote can be reached and read; if it says that objects are missing or damaged, clone it anew"})
		return nil //nolint:nilerr // it is a finding
	}
	if l.Found.State == nil {
		if l.Found.Work != "" {
			l.say(Finding{Check: "state branch", Level: Damage, Kind: "deleted state branch", Says: "it is gone, but the work branch is there: deleting it stops the loop", Mend: "push it again from a clone that has it, or delete the work branch too to start anew"})
			return nil
		}
		l.say(Finding{Check: "state branch", Level: Fine, Says: "there is no loop of this name yet"})
		return nil
	}
	for _, step := range []func(context.Context) error{l.chain, l.evidence, l.branches, l.owner, l.shown} {
		if err := step(ctx); err != nil {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			return err
		}
	}
	return nil
}

// say notes a finding.
func (l *look) say(f Finding) {
	l.res.Findings = append(l.res.Findings, f)
	if l.Notify != nil {
		l.Notify(f)
	}
}

// sum notes that a check found nothing, if nothing of it was noted.
func (l *look) sum(check, says string) {
	for _, f := range l.res.Findings {
		if f.Check == check {
			return
		}
	}
	l.say(Finding{Check: check, Level: Fine, Says: says})
}

var errEnough = errors.New("enough was found")
