package runner

import (
	"context"
	"time"
)

// A Repo is the work tree and the two branches on the remote: the only memory
// there is. The fake is in the enumeration test; the real one is package repo.
//
// Every method may be interrupted. What Save had not done when it was
// interrupted never happened, or happened whole.
type Repo interface {
	// Load reads both branches as the remote has them now. It changes nothing
	// and does not touch the work tree.
	Load(ctx context.Context) (Found, error)

	// Save is the one transaction. It moves the state branch from the commit
	// that this Repo last loaded or saved to a new one that holds tx, with
	// tx.State.Code as its second parent, and the work branch, fast-forward
	// only, to tx.State.Work. If the state branch is no longer where this
	// Repo left it, nothing is changed and the error is a [*MovedError].
	// If the work branch is not, the transaction is saved without moving it, and
	// the error is a [*WorkError]. A lost answer is looked up, not repeated blindly.
	Save(ctx context.Context, tx Transaction) error

	// Gone names a branch of the loop that was there when this Repo last saw it,
	// and is not any more; "" if there is none.
	Gone(ctx context.Context) (string, error)

	// Snapshot records the work tree as a commit on parent, without moving or
	// pushing anything. What must not be in a commit is left out and named.
	Snapshot(ctx context.Context, parent, message string) (Snapshot, error)

	// Draft is Snapshot for work in progress, which is saved again and again and
	// never judged: it may look only where something is known to have changed.
	Draft(ctx context.Context, parent, message string) (Snapshot, error)

	// Commit records tree, a snapshot's, as a commit on parent. The same
	// arguments give the same commit.
	Commit(ctx context.Context, tree, parent, message string, when time.Time) (string, error)

	// Merge brings ours and theirs together: one that holds the other, or else a
	// commit of both, or the paths where they conflict. Nothing is pushed.
	Merge(ctx context.Context, ours, theirs, message string, when time.Time) (Merge, error)

	// Join records tree as a commit of both.
	Join(ctx context.Context, tree, ours, theirs, message string, when time.Time) (string, error)

	// Rescue gives what the loop had made as a git bundle, and how to restore it,
	// where a branch is not as the loop left it.
	Rescue(ctx context.Context) ([]File, error)

	// Restore lays the work tree at commit: tracked files as they are there,
	// all others gone but those that are ignored.
	Restore(ctx context.Context, commit string) error
}

// Found is what Load saw.
type Found struct {
	State []byte // state.json; nil: there is no state branch
	List  []byte // feature_list.json
	// Handoff is handoff.json, nil if there is none.
	Handoff []byte
	Chain   error  // why the state branch's history does not check; nil if it does
	Work    string // tip of the work branch, "" if there is none
	// Ahead says that people went on from what was published on the work branch:
	// Work is the tip of their commits.
	Ahead bool
	// Foreign says that the work branch is neither where it should be nor ahead:
	// what the loop had published is gone from it, or is more than the state knows.
	Foreign bool
	Base    Base // the base branch as it is now
}

// A Transaction is one commit of the state branch.
type Transaction struct {
	State   []byte // encoded
	List    []byte
	Code    string // second parent
	Work    string // where the work branch belongs; "" or the base commit: nowhere yet
	Files   []File // added or replaced; others of earlier transactions stay
	Message string
}

// A Snapshot is the work tree as it was at one moment.
type Snapshot struct {
	Commit, Tree string
	Left         []string // paths left out, each with its reason
	Patch        []byte   // on Commit, for git apply: what of them is a person's to take or leave
	Notes        []string // paths that are in it and that people should look at, each with its reason
}

// A Merge is what came of bringing two commits together.
type Merge struct {
	Commit    string   // "": they conflict
	Tree      string   // with git's marks in it where they conflict
	Conflicts []string // paths
}

// A WorkError says that somebody moved the work branch while a session was at
// work, or that it could not be pushed. The transaction was saved all the same.
type WorkError struct {
	Branch, Want, Have string // Have: "": it was deleted
	Ahead              bool   // they went on from what was published; else that is gone
	Behind             error  // nobody moved it, but it could not be pushed, as this says; the next transaction pushes it
}

func (e *WorkError) Error() string {
	if e.Behind != nil {
		return "push the work branch " + e.Branch + ", without which the transaction was saved: " + e.Behind.Error()
	}
	return "work branch " + e.Branch + " moved from " + short(e.Want) + " to " + short(e.Have)
}

// A MovedError says that the state branch is no longer where this session left
// it: another session is at work, or a person intervened.
type MovedError struct {
	Want, Have string
	Foreign    string // why what is there was not made by a session; "": it was
}

func (e *MovedError) Error() string {
	return "state branch moved from " + short(e.Want) + " to " + short(e.Have)
}

func short(oid string) string {
	if oid == "" {
		return "nothing"
	}
	return oid[:min(len(oid), 7)]
}

// A Planner draws up the feature list.
type Planner interface {
	// Plan returns rows that are valid: unique ids, known dependencies without
	// a cycle, acceptance steps that can be performed. old is the list as it
	// is, nil if there is none yet: what is still wanted of it keeps its id, and
	// what is left out is not wanted any more. Usage counts also where the error
	// is not nil. A [*StopError] says that no session can go on now.
	Plan(ctx context.Context, old []Feature, p Purse) ([]Row, Usage, error)
}

// An Agent works on one phase of an attempt. It changes the work tree and
// nothing else.
type Agent interface {
	// Work returns when the agent asks for verification, gives up, or is
	// stopped by a limit, which is a [*StopError]. What the claim says of the
	// work decides nothing. Usage and notes count also where the error is not
	// nil.
	Work(ctx context.Context, t Task) (Claim, error)
}

// A Task is one phase of an attempt at a feature.
type Task struct {
	Feature   Feature
	Attempt   int
	Phase     Phase
	Repair    int      // counts from 1; 0 is the first round of a phase
	Verdict   *Verdict // of the round before, if any
	Resumed   bool     // the work tree holds work of an earlier session
	Brief     *Brief   // what is known of the attempt so far, nil if nothing
	Memory    string   // what earlier attempts learned that bears on the feature: data
	Purse     Purse
	Completed []Row
	Told      func(*Brief) // takes what the attempt has come to, as often as that changes; may be nil
}

// A Claim is how an agent ended a phase.
type Claim struct {
	GaveUp  GiveUp // "": it asks for verification
	Why     string // it gave up
	Notes   []string
	Stopped string // why it did not end by the agent's own will, for people; "": it did
	Brief   *Brief // what the attempt came to so far, its earlier phases included
	Usage   Usage
	Context float64 // of the model's window that the conversation fills, 0 to 1
}

// HarnessNote begins a note that is not the agent's own: it says how its work
// went, and nothing of the project.
const HarnessNote = "[harness] "

// A GiveUp is the kind of an honest end without success.
type GiveUp string

// The kinds of giving up.
const (
	Conflict GiveUp = "conflict" // spec and checks cannot both hold
	Hindered GiveUp = "blocked"  // something is missing that only a person can give
	TooBig   GiveUp = "too_big"  // the feature wants splitting
)

// A Memory is what the loop has learned, kept as files below memory/ on the
// state branch. It proves nothing; a memory that is lost costs time only, so
// nothing of it is an error.
type Memory interface {
	// Recall is what is known that bears on a feature, "" if nothing is: the
	// words of agents and programs, at most about 2,000 tokens.
	Recall(ctx context.Context, f Feature) string

	// Learn takes up a lesson and returns the files that changed, to be saved
	// with the transaction that it is a part of.
	Learn(ctx context.Context, l Lesson) []File
}

// A Lesson is what an attempt, or a session, has to teach.
type Lesson struct {
	Session int
	Time    time.Time
	What    string   // happened, in a sentence
	Feature Row      // of an attempt
	Commit  string   // that completed the feature; "": nothing was verified
	Notes   []string // of the agent
	Brief   *Brief   // of the attempt
}

// Gates judge a candidate from a clean checkout. They never look at what the
// agent said.
type Gates interface {
	// Judge gives a verdict on exactly c.Tree. An error means that the gates
	// themselves could not work; a flaky result is a verdict, Inconclusive.
	Judge(ctx context.Context, c Candidate) (Verdict, error)

	// Holds says whether a commit does what features ask that were complete
	// before somebody else changed something: the project's tests pass, and so
	// does every acceptance. Broken are those that do not hold. Where it cannot
	// be said of all of them, a gate is not passed that is no feature's: that of
	// the tests without a test that failed, or another.
	Holds(ctx context.Context, commit string, features []Feature) (Verdict, error)

	// Resolved gives a verdict on how a conflict was resolved: no mark of it is
	// left, no test was changed that was not in conflict, and everything that was
	// complete holds.
	Resolved(ctx context.Context, r Resolution) (Verdict, error)
}

// A Candidate is the tree of a phase that is to be judged.
type Candidate struct {
	Feature   Feature
	Attempt   int
	Phase     Phase
	Parent    string // the last verified commit
	Commit    string // a snapshot on Parent
	Tree      string
	Red       string    // the snapshot whose tests were seen to fail for want of the feature; "": none was
	Completed []Feature // earlier features, whose checks must still pass
	Purse     Purse     // for gates that ask a model
}

// A Forge is where people see the loop and where the next session is asked for.
// Every method may be called again after a crash, and must then change nothing
// that is already so: it looks before it creates.
type Forge interface {
	// Over says whether the run that owns a session has ended, by what the
	// forge knows of it and never by the clock.
	Over(ctx context.Context, o Owner) (bool, error)

	// Stopped says how a person has stopped the loop, if one has. Commands up to
	// the one that the state names are past. It is asked again and again while a
	// session is at work, beside Ask, and costs little where nothing changed.
	Stopped(ctx context.Context, st State) (Halt, error)

	// Cancelled says whether a person cancelled what a loop hangs on that goes
	// on no more: the owner's run, or that of the successor. What the forge
	// itself ended, because its time was up or another run took its place, does
	// not count.
	Cancelled(ctx context.Context, h Hold) (bool, error)

	// Upload keeps files for people to download, under a name that no other
	// upload has, and returns its receipt.
	Upload(ctx context.Context, name string, files []File) (string, error)

	// Report makes the pull request, the one comment and the summary say what
	// r says, and returns receipts by key. What could not be said, but costs
	// the loop nothing, is a warning.
	Report(ctx context.Context, r Report) (Receipts, error)

	// Ask makes the questions that a spec leaves open stand once where people
	// see them, and returns where; "" if there is no such place. No questions:
	// those that were asked are taken back.
	Ask(ctx context.Context, q Questions) (string, error)

	// Continue asks for exactly one successor to the transaction with s's
	// serial and returns its receipt.
	Continue(ctx context.Context, s Successor) (string, error)
}

// A Report is what people are to see after a session.
type Report struct {
	State  State
	Result LoopResult
	Files  []File // rendered: comment.md, summary.md, pull-request.md, ...
}

// Receipts are what the forge answered, by the key of the effect.
type Receipts struct {
	Keys     map[string]string
	Warnings []string
}

// A Successor names the transaction that the next session continues.
type Successor struct {
	Loop, Lineage string
	Serial        int
	Reason        Reason
}
