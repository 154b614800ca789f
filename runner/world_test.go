package runner

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/autonomous-loop/autonomous-loop/internal/choose"
)

// A world is everything outside the loop, working, with a chooser deciding what
// goes wrong. The remote survives a crash; what is local does not.
type world struct {
	t       *testing.T
	c       *choose.Chooser
	space   space
	read    *readings
	crashes int // still allowed
	rivals  int // sessions that may still start beside another one
	stops   int // interruptions still allowed
	rots    int // completed features that may still turn out broken
	changes int // of the spec, still allowed
	unclear int // sessions that may still find the spec unclear
	refused int // transactions that may still fail to be saved, and are not
	strips  int // transactions with work that the remote may still refuse
	halts   int // times that a person may still stop the loop
	people  int // commits that people may still make on the work branch
	bases   int // commits that may still come to the base branch
	spec    int // how often it was changed
	own     Spec
	clock   time.Time

	remote struct {
		state, list []byte
		truth       State // both, decoded, once for all who only look
		moves       int   // of the state branch; the compare-and-swap compares it
		code        string
		codes       map[string]bool // all that ever was the code
		work        string
		base        string
		commits     map[string]commit
		files       map[string][]byte // evidence on the state branch
		over        map[string]bool   // run -> it has ended
		asked       map[int]int       // serial -> successors requested
		reported    int
		halt        Halt            // how a person has stopped the loop
		rotten      map[string]bool // features whose code stopped working by itself, and not in the mended form
	}
	process // of the session at work

	freezing bool   // the rival at work stops for a while once it has claimed
	frozen   string // its run, which is not over

	begun map[string]int    // attempts really begun, over all sessions
	meant map[string]string // what a feature was measured by when its last attempt was begun
	runs  int
}

// Readings are the states that the last execution saved, in order. The next one
// begins as that did, so that most of its states need not be decoded again.
type readings struct {
	saved []reading
	n     int // states saved by the execution at hand
}

type reading struct {
	state, list []byte
	truth       State
}

func (r *readings) decode(tx Transaction) (State, error) {
	n := r.n
	r.n++
	if n < len(r.saved) && bytes.Equal(r.saved[n].state, tx.State) && bytes.Equal(r.saved[n].list, tx.List) {
		return r.saved[n].truth, nil
	}
	truth, err := Decode(tx.State, tx.List)
	if err == nil {
		r.saved = append(r.saved[:n], reading{tx.State, tx.List, truth})
	}
	return truth, err
}

// A process is what a session has in memory and on its own disk.
type process struct {
	seen      int    // moves of the state branch, as this process knows it
	published string // the work branch, as this process knows it
	loads     int
	local     map[string]commit
	tree      tree
	cancel    context.CancelCauseFunc
	run       string
	claimed   bool
	told      []string // features that the gates found broken
	trigger   Trigger
	asked     int  // questions about the spec
	halted    bool // it was told that a person has stopped the loop
}

// A tree says for each feature whether its code works ("good"), and whether its
// tests are there ("tests").
type tree map[string]string

type commit struct {
	parent string
	tree   tree
	other  string // second parent
	others bool   // somebody else made it
}

// A space says what may happen in the executions of a test.
type space struct {
	features, attempts, repairs, perSession int
	crashes, rivals, stops, rots            int
	changes, unclear, halts, refused        int
	strips                                  int
	people, bases                           int  // 2 of the first: they may break something, of the second: conflict
	outcomes                                int  // of a phase of work, see Work
	halfway                                 bool // of its outcomes only two: it works, or the time is up half way
	judgements                              int  // 2: the gates may be inconclusive
	testFirst, chained                      bool
	seldom                                  bool // work in progress is not saved after every phase
}

var (
	errCrash  = errors.New("crash")
	errFrozen = errors.New("frozen")
)

// step is called at the start and at the end of every effect: the two places
// where a process can die, and where an answer can be lost.
func (w *world) step() {
	if w.freezing && w.claimed {
		panic(errFrozen)
	}
	if w.crashes > 0 && w.c.Bool() {
		w.crashes--
		panic(errCrash)
	}
}

func (w *world) Load(ctx context.Context) (Found, error) {
	w.step()
	if ctx.Err() != nil {
		return Found{}, ctx.Err()
	}
	w.loads++
	w.seen, w.published = w.remote.moves, w.remote.work
	w.local = maps.Clone(w.remote.commits)
	found := Found{State: w.remote.state, List: w.remote.list, Work: w.remote.work, Base: Base{"main", cmp.Or(w.remote.base, "base")}}
	if st := w.remote.truth; found.State != nil && found.Work != "" && found.Work != st.Work && found.Work != st.Published {
		found.Ahead = w.within(st.Work, found.Work) || st.Published != "" && w.within(st.Published, found.Work)
		found.Foreign = !found.Ahead
	}
	return found, nil
}

func (w *world) Save(ctx context.Context, tx Transaction) error {
	w.step()
	if w.rivals > 0 && !w.claimed && w.c.Bool() {
		w.rivals--
		w.beside()
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if w.refused > 0 && w.c.Bool() {
		w.refused--
		return errors.New("the remote is down")
	}
	if now := w.remote.truth.Wip; w.strips > 0 && now != nil && !w.remote.codes[tx.Code] && w.c.Bool() {
		w.strips--
		no := &RefusedError{Err: errors.New("the remote refuses it")}
		if w.c.Bool() { // and says what of it
			no.Paths = []string{"big.bin"}
			if w.c.Bool() { // on which the feature hung
				w.tree = maps.Clone(w.tree)
				w.tree[now.Feature] = "wrong"
			}
		}
		return no
	}
	if w.remote.moves != w.seen {
		return &MovedError{Want: fmt.Sprint(w.seen), Have: fmt.Sprint(w.remote.moves)}
	}
	truth, err := w.read.decode(tx)
	if err != nil {
		w.t.Fatalf("%v: a state that cannot be read was saved: %v", w.c, err)
	}
	w.onlyByPerson(truth)
	w.remote.state, w.remote.list, w.remote.truth, w.remote.code = tx.State, tx.List, truth, tx.Code
	w.remote.moves++
	if w.remote.codes == nil {
		w.remote.codes = map[string]bool{}
	}
	w.remote.codes[tx.Code] = true
	if other := w.local[tx.Code].other; other != "" {
		w.remote.codes[other] = true
	}
	w.seen, w.claimed = w.remote.moves, true
	maps.Copy(w.remote.commits, w.local)
	for _, f := range tx.Files {
		if id, ok := strings.CutPrefix(f.Name, "memory/"); ok {
			if g, _ := truth.Feature(id); g.Status != Complete || g.Commit != string(f.Data) {
				w.t.Fatalf("%v: what %s taught is kept without its proof: %s at %s, learned of %s", w.c, id, g.Status, g.Commit, f.Data)
			}
			continue
		}
		w.remote.files[f.Name] = f.Data
	}
	w.step() // the server may not know atomic: the state first, then the work branch
	if tx.Work != "" && tx.Work != w.published && w.people > 0 && w.remote.work != "" && w.c.Bool() {
		w.committed()
	}
	if tx.Work != "" && tx.Work != w.published && w.remote.work != w.published {
		e := &WorkError{Branch: "work", Want: w.published, Have: w.remote.work, Ahead: true}
		w.published = w.remote.work
		maps.Copy(w.local, w.remote.commits)
		w.step()
		return e
	}
	if tx.Work != "" {
		w.published = tx.Work
		if !w.within(w.remote.work, tx.Work) {
			w.t.Fatalf("%v: the work branch would not be fast-forwarded to %s", w.c, tx.Work)
		}
		w.remote.work = tx.Work
	}
	w.step()
	return nil
}

func (w *world) Recall(context.Context, Feature) string { return "" }

// Learn keeps by which commit a feature taught what it taught.
func (w *world) Learn(_ context.Context, l Lesson) []File {
	if l.Commit == "" {
		return nil
	}
	return []File{{Name: "memory/" + l.Feature.ID, Data: []byte(l.Commit)}}
}

// beside runs another session before this one's first transaction: all of it,
// or up to its claim, after which it is still at work when this one is done.
func (w *world) beside() {
	mine := w.process
	w.freezing = w.c.Bool()
	w.session(ByChain)
	w.freezing, w.process = false, mine
}

func (w *world) within(ancestor, id string) bool {
	return ancestor == "" || reaches(w.local, id, ancestor)
}

func reaches(commits map[string]commit, id, ancestor string) bool {
	for ; id != ""; id = commits[id].parent {
		if id == ancestor || commits[id].other != "" && reaches(commits, commits[id].other, ancestor) {
			return true
		}
	}
	return false
}

// committed: a person commits to the work branch, and may break what worked.
func (w *world) committed() {
	w.people--
	tr := maps.Clone(w.remote.commits[w.remote.work].tree)
	tr[fmt.Sprint("person", w.people)] = "x"
	if w.space.people > 1 && works(tr["f0"]) && w.c.Bool() {
		tr["f0"] = "wrong"
	}
	w.remote.work = w.others(w.remote.work, tr)
}

// moved: the base branch goes on, and may conflict with what was built.
func (w *world) moved() {
	w.bases--
	tr := maps.Clone(w.remote.commits[w.remote.base].tree)
	tr[fmt.Sprint("base", w.bases)] = "x"
	if w.space.bases > 1 && works(w.remote.commits[w.remote.truth.Work].tree["f0"]) && w.c.Bool() {
		tr["f0"] = "conflict"
	}
	w.remote.base = w.others(w.remote.base, tr)
}

func (w *world) others(parent string, tr tree) string {
	id := parent + "/" + treeID(tr)
	w.remote.commits[id] = commit{parent: parent, tree: tr, others: true}
	return id
}

// Merge merges features and files as git merges lines.
func (w *world) Merge(_ context.Context, ours, theirs, message string, when time.Time) (Merge, error) {
	w.step()
	for _, pair := range [][2]string{{theirs, ours}, {ours, theirs}} {
		if w.within(pair[0], pair[1]) {
			return Merge{Commit: pair[1], Tree: treeID(w.local[pair[1]].tree)}, nil
		}
	}
	fork := ours
	for ; !w.within(fork, theirs); fork = w.local[fork].parent {
		if o := w.local[fork].other; o != "" && w.within(o, theirs) {
			fork = o
			break
		}
	}
	base, a, b := w.local[fork].tree, w.local[ours].tree, w.local[theirs].tree
	m, tr := Merge{}, maps.Clone(a)
	for name, state := range b {
		switch {
		case base[name] == state || a[name] == state:
		case a[name] == base[name]:
			tr[name] = state
		default:
			m.Conflicts = append(m.Conflicts, name)
		}
	}
	if len(m.Conflicts) > 0 {
		for _, name := range m.Conflicts {
			tr[name] = "marks"
		}
		m.Tree = treeID(tr)
		w.local["merged:"+m.Tree] = commit{tree: tr}
		return m, nil
	}
	m.Tree = treeID(tr)
	m.Commit = ours + "*" + theirs
	w.local[m.Commit] = commit{parent: ours, other: theirs, tree: tr}
	return m, nil
}

func (w *world) Join(_ context.Context, id, ours, theirs, message string, when time.Time) (string, error) {
	w.step()
	for _, c := range w.local {
		if treeID(c.tree) == id {
			id := ours + "*" + id + "*" + theirs
			w.local[id] = commit{parent: ours, other: theirs, tree: c.tree}
			return id, nil
		}
	}
	return "", fmt.Errorf("no tree %s", id)
}

// Resolved looks at the tree and at nothing else.
func (w *world) Resolved(ctx context.Context, r Resolution) (Verdict, error) {
	if c := w.local[r.Commit]; c.other == "" || slices.Contains(slices.Collect(maps.Values(c.tree)), "marks") {
		w.step()
		return Verdict{Outcome: Failed, Reason: "it holds marks"}, nil
	}
	return w.Holds(ctx, r.Commit, r.Completed)
}

// resolves works on a conflict: well, or not at all.
func (w *world) resolves(t Task) (Claim, error) {
	if r := w.remote.truth.Resolving; r == nil || r.Attempts < t.Attempt || t.Attempt > w.space.attempts {
		w.t.Fatalf("%v: attempt %d at %s was not counted before it began: %+v", w.c, t.Attempt, t.Feature.ID, r)
	}
	if w.c.Bool() {
		return Claim{Usage: Usage{Calls: 1, Tokens: 5}}, nil
	}
	for name, state := range w.tree {
		if f, ok := w.remote.truth.Feature(name); ok && state == "marks" {
			w.tree[name] = good(f)
		}
	}
	return Claim{Usage: Usage{Calls: 1, Tokens: 5}}, nil
}

func (w *world) Rescue(context.Context) ([]File, error) { return nil, nil }

// Holds looks at the tree of a commit and at nothing else.
func (w *world) Holds(_ context.Context, id string, features []Feature) (Verdict, error) {
	w.step()
	v := Verdict{Outcome: Verified, Gates: []Gate{{Name: "tests", Passed: true}}}
	for _, f := range features {
		ok := does(w.local[id].tree[f.ID], f)
		v.Gates = append(v.Gates, Gate{Name: f.ID, Passed: ok, Result: Failed})
		if !ok {
			v.Outcome = Failed
			v.Broken = append(v.Broken, Broken{Feature: f.ID, Why: "somebody broke it"})
		}
	}
	return v, nil
}

func (w *world) Draft(ctx context.Context, parent, message string) (Snapshot, error) {
	return w.Snapshot(ctx, parent, message)
}

func (w *world) Snapshot(ctx context.Context, parent, message string) (Snapshot, error) {
	w.step()
	if ctx.Err() != nil {
		return Snapshot{}, ctx.Err()
	}
	if maps.Equal(w.tree, w.local[parent].tree) {
		return Snapshot{Commit: parent, Tree: treeID(w.tree)}, nil
	}
	return Snapshot{Commit: w.commit(parent, w.tree), Tree: treeID(w.tree)}, nil
}

func (w *world) Commit(ctx context.Context, id, parent, message string, when time.Time) (string, error) {
	w.step()
	for _, c := range w.local {
		if treeID(c.tree) == id {
			return w.commit(parent, c.tree), nil
		}
	}
	return "", fmt.Errorf("no tree %s", id)
}

func (w *world) commit(parent string, tr tree) string {
	id := parent + "+" + treeID(tr)
	w.local[id] = commit{parent: parent, tree: maps.Clone(tr)}
	return id
}

func treeID(tr tree) string { return fmt.Sprint(map[string]string(tr)) } // fmt sorts the keys

func (w *world) Restore(ctx context.Context, id string) error {
	w.step()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	c, ok := w.local[id]
	if !ok {
		return fmt.Errorf("no commit %s", id)
	}
	w.tree = maps.Clone(c.tree)
	return nil
}

// onlyByPerson asserts that a transaction changes what a feature is measured by
// only where it takes up a spec that a person changed, and says so; and that no
// feature is ever lost.
func (w *world) onlyByPerson(next State) {
	w.t.Helper()
	for _, f := range next.Features {
		if f.Frozen != f.AcceptanceHash() {
			w.t.Fatalf("%v: the acceptance of %s is not the one that was frozen", w.c, f.ID)
		}
	}
	for _, before := range w.remote.truth.Features {
		f, ok := next.Feature(before.ID)
		if !ok {
			w.t.Fatalf("%v: %s was lost", w.c, before.ID)
		}
		if f.Frozen == before.Frozen {
			continue
		}
		syncs := next.Syncs
		if len(syncs) == 0 || syncs[len(syncs)-1].Serial != next.Serial || !slices.Contains(syncs[len(syncs)-1].Changed, f.ID) ||
			next.Spec == w.remote.truth.Spec || next.Spec != w.wants() || f.Status != Todo {
			w.t.Fatalf("%v: the acceptance of %s was changed, and by no person: %+v", w.c, f.ID, next.Syncs)
		}
	}
}

// wants is the spec as a person has it now.
func (w *world) wants() Spec {
	if w.space.changes == 0 {
		return w.own
	}
	return Spec{Source: "SPEC.md", SHA256: fmt.Sprint("spec", w.spec), Commit: "base"}
}

// Plan gives the rows that the spec of today asks for: after an odd number of
// changes the first has another acceptance, the last is not wanted any more, and
// there is one more.
func (w *world) Plan(_ context.Context, old []Feature, _ Purse) ([]Row, Usage, error) {
	w.step()
	if w.halted {
		w.t.Fatalf("%v: a model is asked for a list although a person stopped the loop", w.c)
	}
	if len(old) != len(w.remote.truth.Features) {
		w.t.Fatalf("%v: asked with a list of %d, there are %d", w.c, len(old), len(w.remote.truth.Features))
	}
	return w.rows(), Usage{Calls: 1, Tokens: 10}, nil
}

// rows are what the spec of today asks for.
func (w *world) rows() []Row {
	var rows []Row
	for i := range w.space.features {
		r := Row{ID: fmt.Sprintf("f%d", i), Priority: 1}
		if i > 0 && w.space.chained {
			r.DependsOn = []string{"f0"}
		}
		rows = append(rows, r)
	}
	if w.spec%2 == 1 {
		rows[0].Acceptance = []Step{{Step: 1, Action: "goto", Value: "/"}}
		rows = append(rows[:max(1, len(rows)-1)], Row{ID: "n0", Priority: 1})
	}
	return rows
}

// Ask posts questions; that there are none is no matter.
func (w *world) Ask(_ context.Context, q Questions) (string, error) {
	w.step()
	if len(q.Text) > 0 {
		w.asked++
	}
	return "", nil
}

// Work does one of several things. The happy path is first.
func (w *world) Work(ctx context.Context, t Task) (Claim, error) {
	w.step()
	id := t.Feature.ID
	if w.halted {
		w.t.Fatalf("%v: %s is worked on although a person stopped the loop", w.c, id)
	}
	if t.Phase == Merging || strings.HasPrefix(id, "merge-") {
		return w.resolves(t)
	}
	if !slices.ContainsFunc(w.rows(), func(r Row) bool { return r.ID == id }) {
		w.t.Fatalf("%v: %s is worked on, and nobody asks for it", w.c, id)
	}
	st := w.remote.truth
	if f, _ := st.Feature(id); f.Attempts < t.Attempt {
		w.t.Fatalf("%v: attempt %d at %s was not counted before it began", w.c, t.Attempt, id)
	}
	if !t.Resumed && t.Repair == 0 && t.Phase == w.first() {
		w.begun[id]++
		w.meant[id] = t.Feature.Frozen
		for _, f := range st.Features {
			if f.Status == Todo && f.Demotions > 0 && f.Attempts < w.space.attempts+f.Extra && st.ready(f) && t.Feature.Demotions == 0 {
				w.t.Fatalf("%v: %s is built although %s is broken", w.c, id, f.ID)
			}
		}
	}
	if w.meant[id] != t.Feature.Frozen {
		w.t.Fatalf("%v: the attempt at %s goes on, and is measured by something else than when it began", w.c, id)
	}
	claim := Claim{Usage: Usage{Calls: 1, Tokens: 5}}
	if t.Phase == Tests {
		if !does(w.tree[id], t.Feature) {
			w.tree[id] = "tests"
		}
		return claim, nil
	}
	outcome := w.outcome()
	if outcome >= len(calm) {
		w.stops--
	}
	switch outcome {
	case 0:
		w.tree[id] = good(t.Feature)
		if w.remote.rotten[id] {
			w.tree[id] = "mended"
		}
	case 1:
		w.tree[id] = "wrong"
	case 2: // wrong, and breaks what worked before
		for other := range w.tree {
			w.tree[other] = "wrong"
		}
		w.tree[id] = good(t.Feature)
	case 3:
		claim.GaveUp, claim.Why = TooBig, "it is too big"
	case 4: // the time is up half way
		w.tree[id] = "wrong"
		w.cancel(&StopError{Reason: SessionTime})
		return claim, ctx.Err()
	case 5: // done, but too late for a verdict
		w.tree[id] = good(t.Feature)
		w.cancel(&StopError{Reason: SessionTime})
	case 6:
		return claim, errors.New("no such model")
	case 7:
		return claim, &StopError{Reason: ContextLimit}
	case 8:
		w.cancel(&StopError{Reason: Cancelled})
		return claim, ctx.Err()
	case 9:
		w.tree[id] = "wrong"
		return claim, &StopError{Reason: SessionBudget}
	case 10:
		w.tree[id] = "wrong"
		return claim, &StopError{Reason: FeatureBudget}
	}
	if w.halts > 0 && w.c.Bool() { // a person stops the loop, and the watch sees it
		w.halts--
		w.remote.halt.Why, w.halted = "a label", true
		w.cancel(&StopError{Reason: StoppedByPerson, Err: &haltError{w.remote.halt}})
		return claim, ctx.Err()
	}
	w.step()
	return claim, nil
}

var calm = []string{"works", "wrong", "breaks others", "gives up"} // outcomes that interrupt nothing

func (w *world) outcome() int {
	switch {
	case w.stops == 0 && w.space.halfway:
		return 0
	case w.space.halfway:
		return 4 * w.c.Int(2)
	case w.stops == 0:
		return w.c.Int(min(w.space.outcomes, len(calm)))
	}
	return w.c.Int(w.space.outcomes)
}

func (w *world) first() Phase {
	if w.space.testFirst {
		return Tests
	}
	return Implement
}

// Judge looks at the tree and at nothing else.
func (w *world) Judge(ctx context.Context, c Candidate) (Verdict, error) {
	w.step()
	if ctx.Err() != nil {
		return Verdict{}, ctx.Err()
	}
	tr := w.local[c.Commit].tree
	if treeID(tr) != c.Tree {
		w.t.Fatalf("%v: commit %s does not have tree %s", w.c, c.Commit, c.Tree)
	}
	if c.Phase == Tests {
		return Verdict{Outcome: Red}, nil
	}
	if w.space.testFirst {
		// What the gates hold the tests against is there for whoever judges them.
		if red := w.local[c.Red].tree; c.Red == "" || !w.remote.codes[c.Red] || red[c.Feature.ID] == "" {
			w.t.Fatalf("%v: the tests of %s that were seen red are not to be had: %q", w.c, c.Feature.ID, c.Red)
		}
	}
	if w.space.judgements > 1 && w.c.Int(w.space.judgements) == 1 {
		return Verdict{Outcome: Inconclusive, Reason: "flaky"}, nil
	}
	if w.rots > 0 && len(c.Completed) > 0 && w.c.Bool() {
		w.rots--
		w.remote.rotten[c.Completed[0].ID] = true
	}
	parent := w.local[c.Parent].tree
	for _, f := range c.Completed {
		if w.rotten(parent, f.ID) {
			w.told = append(w.told, f.ID)
			return Verdict{Outcome: Inconclusive, Broken: []Broken{{Feature: f.ID, Why: "it stopped working"}}}, nil
		}
	}
	for _, f := range append(slices.Clone(c.Completed), c.Feature) {
		if !does(tr[f.ID], f) || w.rotten(tr, f.ID) {
			return Verdict{Outcome: Failed, Reason: f.ID + " does not work"}, nil
		}
	}
	for id, state := range parent { // the tests of what nobody asks for any more are still there
		if works(state) && !works(tr[id]) {
			return Verdict{Outcome: Failed, Reason: "a test of " + id + " fails"}, nil
		}
	}
	v := Verdict{Outcome: Verified, Files: []File{{"verdict.json", []byte("{}")}}}
	if c.Feature.Demotions == 0 { // a second proof leaves files of the first behind
		v.Files = append(v.Files, File{"first.txt", []byte("1")})
	}
	return v, nil
}

func works(state string) bool { return state == "good" || state == "mended" || state == "good again" }

// good is code that does what f asks for now.
func good(f Feature) string {
	if len(f.Acceptance) > 0 {
		return "good again"
	}
	return "good"
}

// does says whether code does what f asks for now.
func does(state string, f Feature) bool { return state == good(f) || state == "mended" }

func (w *world) rotten(tr tree, id string) bool { return w.remote.rotten[id] && tr[id] != "mended" }

func (w *world) Over(_ context.Context, o Owner) (bool, error) {
	w.step()
	return w.remote.over[o.Run], nil
}

func (w *world) Cancelled(context.Context, Hold) (bool, error) {
	w.step()
	return false, nil
}

func (w *world) Upload(context.Context, string, []File) (string, error) {
	w.step()
	return "1", nil
}

func (w *world) Report(_ context.Context, r Report) (Receipts, error) {
	w.step()
	w.remote.reported++
	w.step()
	return Receipts{Keys: map[string]string{"comment": "7"}}, nil
}

// Stopped is asked by a session that is alive, and a person may have stopped the
// loop since it was asked last: by a command, or in a way that they have to take
// back.
func (w *world) Stopped(_ context.Context, st State) (Halt, error) {
	if w.space.halts == 0 {
		return Halt{}, nil
	}
	w.step()
	if w.halts > 0 && w.remote.halt.Why == "" && w.c.Bool() {
		w.halts--
		w.remote.halt.Why = "a label"
		if w.c.Bool() {
			w.remote.halt = Halt{"a command", fmt.Sprint(w.runs)}
		}
	}
	h := w.remote.halt
	if h.Command != "" && st.Effects[commandKey] == h.Command {
		if w.remote.truth.Effects[commandKey] == h.Command && w.remote.truth.Status == Running {
			w.remote.halt = Halt{}
		}
		return Halt{}, nil
	}
	if h.Why != "" && (w.trigger != ByPerson || h.Command == "" || w.claimed) {
		w.halted = true
	}
	return h, nil
}

func (w *world) Gone(context.Context) (string, error) { return "", nil }

// Continue asks for a successor that is not there yet, as the contract has it.
func (w *world) Continue(ctx context.Context, s Successor) (string, error) {
	w.step()
	if w.halted {
		w.t.Fatalf("%v: a successor is asked for although a person stopped the loop", w.c)
	}
	if ctx.Err() != nil {
		return "", ctx.Err()
	}
	w.remote.asked[s.Serial]++
	w.step()
	return "8", nil
}

// session runs one session, reporting whether it lived.
func (w *world) session(trigger Trigger) (res LoopResult, err error, lived bool) {
	w.runs++
	w.process = process{run: fmt.Sprint("run", w.runs), trigger: trigger}
	run := w.run
	defer func() {
		e := recover()
		switch e {
		case nil:
		case errCrash:
			lived = false
		case errFrozen:
			lived, w.frozen = false, run
		default:
			panic(e)
		}
		w.remote.over[run] = e != errFrozen //nolint:errorlint // what was given to panic, itself
	}()
	ctx, cancel := context.WithCancelCause(w.t.Context())
	defer cancel(nil)
	w.cancel = cancel
	s := Session{
		Repo: w, Planner: w, Agent: w, Gates: w, Forge: w, Memory: w,
		Config: LoopConfig{
			MaxSessions: w.maxSessions(), TokenBudget: 1e6, AutoCheckpoint: !w.space.seldom, FeaturesPerSession: w.space.perSession,
			AttemptsPerFeature: w.space.attempts, RepairsPerAttempt: w.space.repairs, TestFirst: w.space.testFirst,
			Continuation: Auto, Mode: RunMode, Trigger: trigger, Grace: time.Minute,
		},
		Loop: "main", Fresh: "l1", Owner: Owner{Run: run, Attempt: 1, Claimed: w.clock},
		Now:    func() time.Time { w.clock = w.clock.Add(time.Second); return w.clock },
		Papers: func(State, LoopResult) Papers { return Papers{} },
	}
	s.Spec = w.wants()
	if w.unclear > 0 && w.c.Bool() {
		w.unclear--
		s.Unclear = &UnclearError{Questions: []string{"For whom?"}, Text: []byte("For whom?")}
	}
	res, err = s.Run(ctx)
	if _, unclear := errors.AsType[*UnclearError](err); unclear != (w.asked > 0) || unclear && (w.claimed || w.asked != 1 || res.Decision != Wait) {
		w.t.Fatalf("%v: %v, asked %d times, claimed: %v", w.c, err, w.asked, w.claimed)
	}
	return res, err, true
}

func (w *world) maxSessions() int {
	return w.space.halts + (w.space.people+w.space.bases)*(w.space.attempts+3) + (2+2*w.space.changes)*(w.space.features+w.space.changes)*(w.space.attempts+1) + w.space.rots*(w.space.attempts+2) + w.space.crashes + 2*w.space.rivals + 2
}
