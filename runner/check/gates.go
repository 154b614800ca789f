// Package check judges candidates: the gates, and the verdict that comes of
// them. What the reports of tests mean is package suite's.
//
// It promises that a verdict rests on runs that it made itself, in checkouts of
// exactly the tree in question, and that a run of which not everything is known
// is never a pass. What an agent says is not among its inputs. Each gate is a
// pure judgement over recorded runs (judge.go); what makes the runs is apart.
//
// It does not promise to see through tests that are made to deceive: code under
// test shares a process with its tests, so their word is guarded (a nonce, the
// natural end of each test file, the tests that the sources declare) but not
// beyond forgery. The acceptance in a browser is the authority.
package check

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/autonomous-loop/autonomous-loop/runner"
	"github.com/autonomous-loop/autonomous-loop/runner/sandbox"
	"github.com/autonomous-loop/autonomous-loop/runner/suite"
)

// A Runner runs commands that may be hostile. Package sandbox has it; a small
// one that isolates nothing is in this package's tests.
type Runner interface {
	// Run returns what became of the command; an error means that it could not
	// be run as asked. Output.Bytes counts all that was written, also what
	// Output.Log does not hold.
	Run(ctx context.Context, c sandbox.Command) (sandbox.Output, error)
}

// An E2E says when a feature's acceptance is performed.
type E2E string

// When the acceptance is performed.
const (
	E2ERequired E2E = "required" // always; a feature without one fails
	E2EAuto     E2E = "auto"     // where the feature has one and there is a browser
	E2EOff      E2E = "off"
)

// Options is what the gates work with.
type Options struct {
	Trees   Trees
	Browser Browser                 // nil: none on this machine
	Review  Reviewer                // nil: none
	Run     Runner                  // for judgements; best as a user whom the agent's commands cannot touch
	Own     func(path string) error // gives path and all below it to the user of Run; nil: nothing to do
	// Place makes the directory a place for commands of Run, with their HOME and
	// TMPDIR, which it may hold already (see [sandbox.Command]); nil: nothing to do.
	Place func(dir string) error
	// Compile runs a command that compiles and executes nothing, and gives what was
	// compiled to the places made from then on; nil: each run compiles for itself.
	Compile func(ctx context.Context, c sandbox.Command) (sandbox.Output, error)
	Work    Runner // for Feedback, as the user of the agent's work tree; nil: Run

	Dir string // private to the gates, for checkouts and logs; commands must be able to enter it

	Test  string // command that runs the tests; "": as the project says
	Setup string // command that readies a checkout; "": nothing
	Start string // command that starts the application; "": as the project says
	URL   string // where it answers; see [App]
	TDD   bool   // the feature's tests must have been seen to fail
	E2E   E2E

	SetupNet    sandbox.Net // network of the setup command; tests get Local
	Env         []string    // for every command: caches, proxies
	Read, Write []string    // directories outside the checkout that every command may use: caches
	Rand        io.Reader   // for nonces and placeholders
	Now         func() time.Time
	Timeout     time.Duration // of one run of the tests, and of one setup; 0: ten minutes
}

// Gates implements [runner.Gates].
type Gates struct {
	o   Options
	dir string

	places chan struct{} // taken by performances

	mu       sync.Mutex
	serial   int
	laying   sync.Mutex              // held while a tree is laid out and set up
	prepared map[string]*prepared    // by commit or tree
	kept     []string                // of these, what the judgement at hand is about
	parents  map[string]suite.Report // by parent commit
	held     map[string]parentRun    // by parent and acceptance
	drawn    map[string][]string     // values of earlier runs of an acceptance, by feature
	greens   *onTree                 // of the last candidate that was green
	shelves  map[string]*shelf       // by what they were brought for
	compiled map[string]bool         // for all places to come; guarded by laying
	reds     map[string]onTree       // of the last candidate of a tests phase, by parent
	doubted  map[string]bool         // features that were seen to pass and to fail on the same tree
	feedback map[string]suite.Report // by directory and scope
	redNow   map[string]string       // what failed in the last of these
}

// onTree is a run of the tests on a tree.
type onTree struct {
	tree string
	recorded
}

// Open makes gates that keep their files in o.Dir.
func Open(o Options) (*Gates, error) {
	o.E2E = cmp.Or(o.E2E, E2EAuto)
	o.Timeout = cmp.Or(o.Timeout, 10*time.Minute)
	if o.Own == nil {
		o.Own = func(string) error { return nil }
	}
	if o.Place == nil {
		o.Place = func(string) error { return nil }
	}
	if o.Work == nil {
		o.Work = o.Run
	}
	var errs []error
	for what, there := range map[string]bool{"trees": o.Trees != nil, "a runner": o.Run != nil, "randomness": o.Rand != nil, "a clock": o.Now != nil} {
		if !there {
			errs = append(errs, fmt.Errorf("gates need %s", what))
		}
	}
	switch o.E2E {
	case E2ERequired:
		if o.Browser == nil {
			errs = append(errs, errors.New("e2e is required but there is no browser: install one, or set e2e to auto"))
		}
	case E2EAuto, E2EOff:
	default:
		errs = append(errs, fmt.Errorf("e2e: %q is none of required, auto, off", o.E2E))
	}
	if err := os.MkdirAll(o.Dir, 0o755); err != nil { //nolint:gosec // commands run as another user and must pass
		errs = append(errs, fmt.Errorf("directory of the gates: %w", err))
	}
	dir, err := filepath.Abs(o.Dir)
	if err == nil {
		// What runners say names real paths, and is made relative to them.
		if real, err := filepath.EvalSymlinks(dir); err == nil {
			dir = real
		}
	}
	if errs = append(errs, err); errors.Join(errs...) != nil {
		return nil, errors.Join(errs...)
	}
	return &Gates{
		o: o, dir: dir, places: make(chan struct{}, sideBySide),
		prepared: map[string]*prepared{},
		parents:  map[string]suite.Report{},
		drawn:    map[string][]string{},
		held:     map[string]parentRun{},
		shelves:  map[string]*shelf{},
		compiled: map[string]bool{},
		reds:     map[string]onTree{},
		doubted:  map[string]bool{},
		feedback: map[string]suite.Report{},
	}, nil
}

// Judge gives a verdict on exactly c.Tree. The first gate that fails decides.
func (g *Gates) Judge(ctx context.Context, c runner.Candidate) (runner.Verdict, error) {
	j := &judgement{Candidate: c, now: g.o.Now}
	g.hold(c.Parent, c.Tree)
	// What was started beside the gates ends with the judgement.
	defer j.running.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	gates := []gate{g.owned, g.frozen, g.red, g.falsifiable, g.browserAhead, g.green, g.canariesAhead, g.revert, g.acceptance, g.regression}
	guards := []gate{g.canaries, g.audit} // against tampering with the proof
	if c.Phase == runner.Tests {
		gates, guards = []gate{g.owned, g.frozen, g.testsAhead, g.already, g.failing}, []gate{g.audit}
	}
	ask := func(gates []gate) error {
		for _, ask := range gates {
			err := ask(ctx, j)
			if setup, ok := errors.AsType[*setupError](err); ok {
				j.decide("setup", c.Tree, setup.finding())
				err = nil
			}
			if ctx.Err() != nil {
				return fmt.Errorf("judge %s: %w", c.Feature.ID, context.Cause(ctx))
			}
			if err != nil {
				return fmt.Errorf("judge %s: %w", c.Feature.ID, err)
			}
			if j.decided() && !j.guarding {
				break
			}
		}
		return nil
	}
	if err := ask(gates); err != nil {
		return runner.Verdict{}, err
	}
	// The guards are asked of a candidate that failed, too: why it failed may be
	// that somebody tried to make it pass.
	if j.guarding = true; !j.settled() {
		if j.decided() && !j.suspect {
			guards = guards[len(guards)-1:] // tests that say no need nobody to doubt them
		}
		if err := ask(guards); err != nil {
			return runner.Verdict{}, err
		}
	}
	if c.Phase != runner.Tests {
		if err := ask([]gate{g.review}); err != nil {
			return runner.Verdict{Usage: j.verdict.Usage}, err
		}
	}
	if !j.decided() {
		j.pass()
	}
	return j.close()
}

// A gate makes the runs that one check of a verdict rests on, and records what
// they say.
type gate func(context.Context, *judgement) error
