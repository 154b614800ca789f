package runner

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"time"
)

// State is all that one session leaves to the next. It is a value: every method
// that changes it returns the changed copy. It is written from memory and read
// once, at INITIALIZE.
type State struct {
	Schema   int        `json:"schema"`
	Loop     string     `json:"loop"`    // the loop's name
	Lineage  string     `json:"lineage"` // the loop's id, drawn at its first session
	Serial   int        `json:"serial"`  // +1 a transaction; also the id of a checkpoint
	Prev     string     `json:"prev"`    // sha256 of the state.json of the transaction before, in hex
	Epoch    int        `json:"epoch"`   // +1 a claimed session
	Owner    *Owner     `json:"owner,omitempty"`
	Status   LoopStatus `json:"status"`
	Reason   Reason     `json:"handoff_reason,omitempty"`
	Why      string     `json:"why,omitempty"` // the reason in a sentence, for people
	Base     Base       `json:"base"`
	Spec     Spec       `json:"spec"`
	Approved bool       `json:"approved,omitempty"` // a person has seen the feature list

	Code      string            `json:"code"`                // the code commit this transaction speaks of, finished or not
	Work      string            `json:"work"`                // where the work branch belongs; the base commit at first
	Published string            `json:"published,omitempty"` // where the work branch was seen to be
	Wip       *Wip              `json:"wip,omitempty"`
	Evidence  Chain             `json:"evidence"`
	Features  []Feature         `json:"-"` // encoded as progress here, as rows in feature_list.json
	Spent     Spent             `json:"spent"`
	Until     time.Time         `json:"until,omitzero"` // no session asks a model before it, unless a person starts it
	Models    []Breaker         `json:"models,omitempty"`
	Endpoints []Endpoint        `json:"endpoints,omitempty"`
	Idle      int               `json:"idle_sessions"`            // sessions in a row that completed nothing
	Starter   string            `json:"starter,omitempty"`        // the person who started the loop last
	Handoff   string            `json:"handoff_sha256,omitempty"` // of handoff.json, as the last session left it
	Effects   map[string]string `json:"effects,omitempty"`
	Points    []Checkpoint      `json:"checkpoints,omitempty"`
	Sessions  []SessionRecord   `json:"sessions,omitempty"`
	Syncs     []Sync            `json:"syncs,omitempty"`  // the last changes of the spec that were taken up
	Merged    string            `json:"merged,omitempty"` // the last commit of the base branch that was taken in, or could not be; "": Base's
	Resolving *Resolving        `json:"resolving,omitempty"`
	Taken     []Taken           `json:"taken,omitempty"` // the last commits of others that were taken in, or could not be
	Rollbacks []Rollback        `json:"rollbacks,omitempty"`

	digest string // sha256 of the state.json that this is, as loaded or saved
	theirs string // tip of the work branch, if people went on from what the loop had published
	onto   Base   // the base branch as it is now
	adrift bool   // the work branch was deleted, or what was published is gone from it: it is left alone
}

// Digest is the sha256 of the state.json that this is, as loaded or saved; "" of
// a state that is neither.
func (st State) Digest() string { return st.digest }

// Schema is the version of state.json that this program writes.
const Schema = 3

// A LoopStatus says what a loop is doing.
type LoopStatus string

// The statuses of a loop.
const (
	Running           LoopStatus = "running"            // a session owns it
	AwaitingSuccessor LoopStatus = "awaiting_successor" // the next session was or will be asked for
	Waiting           LoopStatus = "waiting"            // for a person, a schedule or an event
	Stopped           LoopStatus = "stopped"            // until a person starts it again
	Done              LoopStatus = "done"               // every feature is complete
	DoneWithExcept    LoopStatus = "done_with_exceptions"
)

// An Owner is the run that a session belongs to.
type Owner struct {
	Run     string    `json:"run"`     // the forge's id of the run
	Attempt int       `json:"attempt"` // of the run
	Claimed time.Time `json:"claimed"`
	By      string    `json:"by,omitempty"` // the person who started the run, by the name that the forge knows; "": none did, or nobody knows who
}

// Base is the branch that the loop started from.
type Base struct {
	Branch string `json:"branch"`
	Commit string `json:"commit"`
}

// Spec is what the feature list was drawn up from.
type Spec struct {
	Source     string `json:"source"`                    // a path, issue:N, or "text"
	SHA256     string `json:"sha256"`                    // "" where there is no spec but a list only
	Words      string `json:"words_sha256,omitempty"`    // of its words, whatever the blanks between them
	List       string `json:"features_sha256,omitempty"` // of a feature list of a person's own; "": it was drawn up
	ListSource string `json:"features_source,omitempty"` // its path
	Commit     string `json:"commit,omitempty"`          // of the base branch, that holds what the list is from; "": none does
}

// Wip is an attempt that a limit interrupted, or that is under way: its code is
// the state's code commit, and it goes on in Phase.
type Wip struct {
	Feature string  `json:"feature"`
	Attempt int     `json:"attempt"`
	Phase   Phase   `json:"phase"`
	Repairs int     `json:"repairs"`         // already used
	Asked   bool    `json:"asked,omitempty"` // the phase is over and wants a verdict
	Commit  string  `json:"commit"`
	Red     string  `json:"red,omitempty"`     // the commit whose tests were seen red
	Outcome Outcome `json:"outcome,omitempty"` // of the last verdict, with its reason
	Reason  string  `json:"reason,omitempty"`
	Detail  string  `json:"detail,omitempty"`
	Brief   *Brief  `json:"brief,omitempty"`
}

// then goes on to phase next after verdict v.
func (w Wip) then(next Phase, v Verdict, commit string) Wip {
	w.Phase, w.Commit, w.Asked = next, commit, false
	w.Outcome, w.Reason, w.Detail = v.Outcome, legible(v.Reason, noteBytes), legible(v.Detail, detailBytes)
	switch v.Outcome {
	case Failed:
		w.Repairs++
	case Red:
		w.Red = commit
	case Verified, Already, Invalid, Inconclusive, Conflicting:
	}
	return w
}

// verdict is the one of the round before, nil if there was none.
func (w Wip) verdict() *Verdict {
	if w.Outcome == "" {
		return nil
	}
	return &Verdict{Outcome: w.Outcome, Reason: w.Reason, Detail: w.Detail}
}

// Spent is what the loop has used so far, over all sessions.
type Spent struct {
	Sessions int `json:"sessions"` // claims
	Usage
	Time time.Duration `json:"time_ns"`

	// How full the model's window was at the end of a phase, in thousandths,
	// over all phases that asked a model.
	Phases int   `json:"phases,omitempty"`
	Filled int64 `json:"context_thousandths,omitempty"`
}

// A SessionRecord is the line of the history that one session leaves.
type SessionRecord struct {
	Number    int       `json:"number"`
	Run       string    `json:"run"`
	Attempt   int       `json:"attempt,omitempty"` // of the run
	Begun     time.Time `json:"begun"`
	Ended     time.Time `json:"ended,omitzero"` // zero: it crashed, or is still at work
	Due       time.Time `json:"due,omitzero"`   // when the forge ends its job; zero: not known
	Completed []string  `json:"completed,omitempty"`
	Tried     []string  `json:"tried,omitempty"`
	Usage
	Time    time.Duration `json:"time_ns"`
	Reason  Reason        `json:"handoff_reason,omitempty"`
	Serial  int           `json:"serial,omitempty"` // of the transaction that ended it
	Crashed bool          `json:"crashed,omitempty"`
}

// claimed begins a session. If the one before never ended, it is buried. If it
// asked for this session, this is the receipt.
func (st State) claimed(o Owner, c LoopConfig) State {
	switch {
	case st.Status == Running && st.Owner != nil:
		st = st.buried(c.AttemptsPerFeature)
	case st.Status == AwaitingSuccessor:
		st = st.effect(DispatchKey(st.Serial), o.Run)
	case st.Reason == AwaitingApproval:
		st.Approved = st.Approved || c.Trigger == ByPerson
	}
	if o.By != "" {
		st.Starter = o.By
	}
	st.Epoch++
	st.Owner = &o
	st.Status, st.Reason, st.Why, st.Until = Running, "", "", time.Time{}
	st.Spent.Sessions++
	st.Idle++
	st.Sessions = append(slices.Clip(st.Sessions), SessionRecord{Number: st.Spent.Sessions, Run: o.Run, Attempt: o.Attempt, Begun: o.Claimed, Due: c.Due})
	return st.point(SessionStart, "", o.Claimed)
}

// buried gives up on a session that never ended: its attempt stays spent, the
// feature is charged with the crash, and its unfinished work is dropped.
func (st State) buried(attempts int) State {
	st = st.record(func(r *SessionRecord) { r.Crashed = true })
	if st.Wip != nil {
		st = st.crash(st.Wip.Feature, attempts)
	}
	return st
}

func (st State) crash(id string, attempts int) State {
	return st.edit(id, func(f *Feature) {
		f.Crashes++
		f.Note = st.Wip.account()
		f.rest(attempts)
	}).dropped()
}

// planned takes the feature list as it was drawn up from spec.
func (st State) planned(rows []Row, spec Spec) State {
	st.Features, st.Spec = nil, spec
	for _, r := range rows {
		r.Passes = false
		st.Features = append(st.Features, Feature{r, Progress{Status: Todo, Frozen: r.AcceptanceHash()}})
	}
	return st
}

// rest decides what becomes of a feature whose attempt is over and did not
// complete it.
func (f *Feature) rest(attempts int) {
	const crashes = 2 // a feature that kills its sessions is not tried until it has killed them all
	switch {
	case f.SecondChance:
		f.Status = Quarantined
	case f.Attempts >= attempts+f.Extra || f.Crashes >= crashes:
		f.Status = SetAside
	default:
		f.Status = Todo
	}
}

// begun spends an attempt at f and remembers that it is under way.
func (st State) begun(id string, phase Phase, now time.Time) State {
	var n int
	st = st.edit(id, func(f *Feature) {
		f.SecondChance = f.SecondChance || f.Status == SetAside
		f.Status = Todo
		f.Attempts++
		n = f.Attempts
	})
	st.Code = st.Work
	st.Wip = &Wip{Feature: id, Attempt: n, Phase: phase, Commit: st.Work}
	st = st.record(func(r *SessionRecord) { r.Tried = append(slices.Clip(r.Tried), id) })
	return st.point(Automatic, id, now)
}

// advanced remembers how far an attempt has come.
func (st State) advanced(w Wip, now time.Time) State {
	st.Code, st.Wip = w.Commit, &w
	return st.point(Automatic, w.Feature, now)
}

// complete marks a feature complete: the only place where that happens, and
// only a verdict leads here.
func (st State) complete(id, commit string, v Verdict, ev *Evidence, now time.Time) State {
	st = st.edit(id, func(f *Feature) {
		f.Status, f.Commit, f.Evidence, f.Note = Complete, commit, ev, legible(v.Reason, noteBytes)
		f.FormerCases = v.Freed // whoever judges it again has to know
	})
	st.Work, st.Code, st.Wip, st.Idle = commit, commit, nil, 0
	st = st.record(func(r *SessionRecord) { r.Completed = append(slices.Clip(r.Completed), id) })
	return st.point(FeatureReached, id, now)
}

// failed ends an attempt that did not complete its feature.
func (st State) failed(id, why string, attempts int) State {
	st = st.edit(id, func(f *Feature) {
		f.Note = legible(why, noteBytes)
		f.rest(attempts)
	})
	return st.dropped()
}

// setAside ends an attempt that the agent gave up honestly. It is not punished:
// there is one second chance, as for every other feature.
func (st State) setAside(id, why string) State {
	st = st.edit(id, func(f *Feature) {
		f.Note = legible(why, noteBytes)
		f.rest(-f.Extra)
	})
	return st.dropped()
}

// demoted takes completion back from features that turned out broken, and ends
// the attempt under way, which is granted again. What is
// broken is mended first, with attempts of its own. A feature that breaks again
// and again is not only its own problem, and waits for a person.
func (st State) demoted(broken []Broken) State {
	const most = 2
	for _, b := range broken {
		st = st.edit(b.Feature, func(f *Feature) {
			f.Demotions++
			f.Failures++
			f.Extra = f.Attempts // as many as the config allows, from now on
			f.Status, f.SecondChance, f.Outcome = Todo, false, Failed
			f.Commit, f.Evidence, f.Former, f.Note = "", nil, nil, legible(b.Why, noteBytes)
			if f.Demotions > most {
				f.Status = Quarantined
			}
		})
	}
	return st.regranted("set back because " + broken[0].Feature + " is broken and comes first: " + broken[0].Why)
}

// regranted ends the attempt under way, if there is one, which is granted again:
// it was not its fault.
func (st State) regranted(why string) State {
	if st.Wip != nil {
		st = st.edit(st.Wip.Feature, func(f *Feature) {
			f.Extra++
			if f.SecondChance {
				f.Status, f.SecondChance = SetAside, false // the chance is granted again
			}
			f.Note = legible(why, noteBytes)
		})
	}
	return st.dropped()
}

func (st State) dropped() State {
	st.Wip, st.Code = nil, st.Work
	return st
}

// judged remembers a verdict. One that failed counts against its feature: once
// the feature is complete it is an error that was recovered. What was
// inconclusive is no failure.
func (st State) judged(id string, v Verdict) State {
	return st.edit(id, func(f *Feature) {
		f.Outcome = v.Outcome
		if v.Outcome == Failed || v.Outcome == Invalid {
			f.Failures++
		}
	})
}

// charged adds what some model calls used, to the loop and to the feature.
func (st State) charged(id string, u Usage) State {
	if u.Calls == 0 {
		return st
	}
	st.Spent.Usage = st.Spent.Plus(u)
	st = st.record(func(r *SessionRecord) { r.Usage = r.Plus(u) })
	if id == "" {
		return st
	}
	return st.edit(id, func(f *Feature) { f.Usage = f.Plus(u) })
}

// filled remembers how full the model's window was at the end of a phase, from
// 0 to 1.
func (st State) filled(share float64) State {
	if share <= 0 {
		return st
	}
	st.Spent.Phases++
	st.Spent.Filled += int64(min(share, 1) * 1000)
	return st
}

// noted keeps what the agent wrote down for whoever goes on with the feature.
func (st State) noted(id string, notes []string) State {
	if len(notes) == 0 {
		return st
	}
	const most = 20
	return st.edit(id, func(f *Feature) {
		f.Notes = slices.Clone(f.Notes)
		for _, n := range notes {
			f.Notes = append(f.Notes, legible(n, noteBytes))
		}
		f.Notes = f.Notes[max(0, len(f.Notes)-most):]
	})
}

// ended leaves the state as the session's last transaction has it.
func (st State) ended(e Ending, why string, now time.Time) State {
	st.Owner = nil
	st.Status, st.Reason, st.Why = e.Status, e.Reason, legible(why, noteBytes)
	return st.record(func(r *SessionRecord) {
		r.Ended, r.Reason, r.Time, r.Serial = now, e.Reason, now.Sub(r.Begun), st.Serial+1
	})
}

// held keeps the time before which no model is to be asked, if err names one.
func (st State) held(err error) State {
	if stop, ok := errors.AsType[*StopError](err); ok && st.Status == Waiting {
		st.Until = stop.Until.UTC()
	}
	return st
}

// effect remembers an intent (receipt "") or a receipt under its natural key.
func (st State) effect(key, receipt string) State {
	st.Effects = maps.Clone(st.Effects)
	if st.Effects == nil {
		st.Effects = map[string]string{}
	}
	st.Effects[key] = receipt
	return st
}

// tip is where the work branch belongs, "" while there is nothing to show, or
// others' commits are to be taken in first.
func (st State) tip() string {
	if st.Work == st.Base.Commit || st.theirs != "" || st.adrift {
		return ""
	}
	return st.Work
}

// legible makes text of an agent, a test or a provider fit to be remembered:
// valid, and not longer than n bytes.
func legible(s string, n int) string {
	if len(s) > n {
		s = s[:n] + "…"
	}
	return strings.ToValidUTF8(s, "\uFFFD")
}

// How much of such text is remembered, in bytes.
const (
	noteBytes   = 2 << 10
	detailBytes = 8 << 10
)

// timed brings the time spent up to now.
func (st State) timed(now time.Time) State {
	st = st.record(func(r *SessionRecord) {
		if r.Ended.IsZero() { // what is kept after that is no time of its own
			r.Time = now.Sub(r.Begun)
		}
	})
	st.Spent.Time = 0
	for _, r := range st.Sessions {
		st.Spent.Time += r.Time
	}
	return st
}

// completedNow is how many features the session at work has completed.
func (st State) completedNow() int {
	if len(st.Sessions) == 0 {
		return 0
	}
	return len(st.Sessions[len(st.Sessions)-1].Completed)
}

// record edits the record of the session at work.
func (st State) record(change func(*SessionRecord)) State {
	if len(st.Sessions) == 0 {
		return st
	}
	st.Sessions = slices.Clone(st.Sessions)
	change(&st.Sessions[len(st.Sessions)-1])
	return st
}

func (st State) edit(id string, change func(*Feature)) State {
	st.Features = slices.Clone(st.Features)
	i := slices.IndexFunc(st.Features, func(f Feature) bool { return f.ID == id })
	change(&st.Features[i])
	return st
}
