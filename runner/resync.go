package runner

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// A Sync is what became of the feature list when a person changed what it was
// drawn up from.
type Sync struct {
	Serial     int      `json:"serial"` // of the transaction that took the change up
	Spec       Spec     `json:"spec"`   // what it is drawn up from since
	Added      []string `json:"added,omitempty"`
	Changed    []string `json:"changed,omitempty"` // to be done again
	Deprecated []string `json:"deprecated,omitempty"`
}

func (y Sync) String() string {
	var said []string
	for _, part := range []struct {
		ids  []string
		what string
	}{{y.Added, "added"}, {y.Changed, "to be done again"}, {y.Deprecated, "deprecated"}} {
		if len(part.ids) > 0 {
			said = append(said, fmt.Sprintf("%d %s (%s)", len(part.ids), part.what, strings.Join(part.ids, ", ")))
		}
	}
	if len(said) == 0 {
		return "nothing changes for the features"
	}
	return strings.Join(said, "; ")
}

// changed says that a person changed what the feature list was drawn up from
// since this loop took it up: their own list, where there is one, else the spec.
func (s *Session) changed(st State) bool {
	return len(st.Features) > 0 && (s.Spec.SHA256 != "" || s.Spec.List != "") && !st.From(s.Spec)
}

// From says whether the feature list is the one that spec, or a person's own
// list, asks for. Of a spec the words count: another line break asks for nothing
// else.
func (st State) From(spec Spec) bool {
	if spec.List != "" {
		return spec.List == st.Spec.List
	}
	return spec.SHA256 == st.Spec.SHA256 || spec.Words != "" && spec.Words == st.Spec.Words
}

// plans says that a feature list has to be drawn up, or drawn up anew, by
// asking for it.
func (s *Session) plans(st State) bool {
	return s.Spec.List == "" && (len(st.Features) == 0 || s.changed(st))
}

// resync takes up what a person changed. A list of their own costs nothing, and
// that they changed it is as good as their approval; what was drawn up anew for
// them wants to be looked at again.
func (s *Session) resync(ctx, tidy context.Context, st State) (State, error) {
	if s.plans(st) {
		if err := s.Config.reached(ctx, st, 0); err != nil {
			return st, err
		}
	}
	s.notify(st, Event{Step: "plan", Text: "the spec was changed"})
	rows, usage, err := s.Planner.Plan(ctx, st.Features, s.Config.purse(st))
	st = st.charged("", usage)
	if err != nil {
		return st, s.stopped(ctx, fmt.Errorf("take up what was changed in %s: %w", s.Spec.ruling(), err))
	}
	st.Approved = st.Approved && !s.plans(st)
	st = st.Resynced(rows, s.Spec)
	last := st.Syncs[len(st.Syncs)-1]
	if st, err = s.save(tidy, st, fmt.Sprintf("take up what was changed in %s: %v", s.Spec.ruling(), last)); err != nil {
		return st, err
	}
	s.answered(tidy, st)
	s.notify(st, Event{Step: "planned", Text: last.String()})
	return st, nil
}

// ruling is what the list is drawn up from, for people.
func (p Spec) ruling() string {
	if p.List != "" {
		return p.ListSource
	}
	return p.Source
}

// Resynced takes up a list that is drawn up anew from spec. What is asked for in
// other words or steps is to be done again, with attempts as for a new feature,
// and its acceptance frozen as it is now; what is no longer in it is kept, as
// deprecated, and left alone; anything else stays as it is. So only a person's
// change of the spec changes what a feature is measured by.
func (st State) Resynced(rows []Row, spec Spec) State {
	y := Sync{Serial: st.Serial + 1, Spec: spec}
	listed := map[string]bool{}
	var all []Feature
	for _, r := range rows {
		r.Passes = false
		listed[r.ID] = true
		f, known := st.Feature(r.ID)
		switch {
		case !known:
			f = Feature{r, Progress{Status: Todo, Frozen: r.AcceptanceHash()}}
			y.Added = append(y.Added, r.ID)
		case f.Row.substance() != r.substance() || f.Status == Deprecated:
			f = f.again(r, st.ownTests(f))
			y.Changed = append(y.Changed, r.ID)
		case f.Status != Complete: // of one that is, the row stays as it was proved
			f.Row = r
		}
		all = append(all, f)
	}
	for _, f := range st.Features {
		if listed[f.ID] {
			continue
		}
		if f.Status != Deprecated {
			f.Status = Deprecated
			y.Deprecated = append(y.Deprecated, f.ID)
		}
		all = append(all, f)
	}
	if w := st.Wip; w != nil && (slices.Contains(y.Changed, w.Feature) || slices.Contains(y.Deprecated, w.Feature)) {
		st = st.dropped()
	}
	const most = 10 // of the syncs are remembered; history keeps them all
	st.Syncs = append(slices.Clip(st.Syncs), y)
	st.Syncs = st.Syncs[max(0, len(st.Syncs)-most):]
	st.Features, st.Spec = all, spec
	st.Idle = min(st.Idle, 1) // a person did something about it
	return st
}

// freed is f with the tests that may change or go while it is worked on: besides
// its own from before those of features that the spec dropped, as far as they
// are known by name. What a completed feature was proved with the gates keep.
func (st State) freed(f Feature) Feature {
	for _, d := range st.Features {
		if d.Status != Deprecated {
			continue
		}
		f.FormerCases = append(slices.Clip(f.FormerCases), d.FormerCases...)
		if d.Evidence != nil {
			f.FormerCases = append(f.FormerCases, d.Evidence.Cases...)
		}
	}
	return f
}

// ownTests are the test files that f was proved with and no other feature was,
// where its tests are not known by name.
func (st State) ownTests(f Feature) []string {
	switch {
	case f.Evidence == nil:
		return f.Former
	case len(f.Evidence.Cases) > 0:
		return nil
	}
	return slices.DeleteFunc(slices.Clone(f.Evidence.Tests), func(file string) bool {
		return slices.ContainsFunc(st.Features, func(o Feature) bool {
			return o.ID != f.ID && o.Evidence != nil && slices.Contains(o.Evidence.Tests, file)
		})
	})
}

// again is the feature with another row, to be done anew. Its own tests say what
// it was to be before, and may change with it.
func (f Feature) again(r Row, own []string) Feature {
	f.Former = own
	if f.Evidence != nil {
		f.FormerCases = f.Evidence.Cases
	}
	f.Row, f.Frozen = r, r.AcceptanceHash()
	f.Status, f.Commit, f.Evidence, f.Outcome = Todo, "", nil, ""
	f.Extra, f.Crashes, f.SecondChance, f.Demotions = f.Attempts, 0, false, 0
	f.Over, f.Before = nil, Cap{f.Tokens, f.Cost}
	f.Note = "a person changed what it is to be"
	return f
}

// substance is what of a row says what is to be built and how it is proved. In
// which order things are built, and under which heading, is none of it.
func (r Row) substance() string {
	b, err := json.Marshal([]any{r.Description, r.Steps, r.AcceptanceHash()})
	if err != nil {
		panic("runner: a row cannot be encoded: " + err.Error()) // unreachable unless Row gets a field that JSON cannot hold
	}
	return Hash(b)
}

// Questions are what a spec leaves open.
type Questions struct {
	Loop string
	Text []byte // for people, in Markdown; none: nothing is open
}

// An UnclearError says that a spec leaves too much open to draw up a feature
// list from: to guess would build something else. Nothing was begun.
type UnclearError struct {
	Source    string
	Score     int // of 100
	Least     int
	Questions []string
	Text      []byte // the same for people, in Markdown
	URL       string // where the questions stand, if there is such a place
}

func (e *UnclearError) Error() string {
	where := ""
	if e.URL != "" {
		where = " They stand at " + e.URL + "."
	}
	return fmt.Sprintf("the spec %s leaves too much open to build from (readiness %d of 100, %d are asked for). Answer these questions in it, then start again:\n- %s\nNothing was begun.%s",
		e.Source, e.Score, e.Least, strings.Join(e.Questions, "\n- "), where)
}

// clear says what the spec leaves open, if a list has to be drawn up from it.
func (s *Session) clear(st State) error {
	if s.Unclear == nil || !s.plans(st) {
		return nil
	}
	e := *s.Unclear
	return &e
}

// question asks people what the spec leaves open, once, and begins nothing.
func (s *Session) question(ctx context.Context, st State, unclear *UnclearError) (LoopResult, error) {
	url, err := s.Forge.Ask(ctx, Questions{Loop: s.Loop, Text: unclear.Text})
	unclear.URL = url
	st.Reason, st.Why = UnclearSpec, fmt.Sprintf("%s: %d questions", sentences[UnclearSpec], len(unclear.Questions))
	res := st.Result(Wait)
	if err != nil {
		res.Warnings = append(res.Warnings, fmt.Sprintf("the questions could not be posted: %v", err))
	}
	s.notify(st, Event{Step: string(Wait), Text: st.Why})
	return res, unclear
}

// answered takes questions back that were asked before there was a list. That
// it cannot be done costs the loop nothing.
func (s *Session) answered(ctx context.Context, st State) {
	if _, err := s.Forge.Ask(ctx, Questions{Loop: s.Loop}); err != nil {
		s.notify(st, Event{Step: "questions", Text: errors.Join(errors.New("the questions that were asked could not be taken back"), err).Error()})
	}
}
