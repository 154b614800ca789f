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

// A past is what the transactions before the last one say.
type past struct {
	schema int                 // of the first of them
	frozen map[string][]change // by feature: its acceptances, the newest first
	done   map[string]saved    // by feature: the oldest transaction that has the evidence of today
}

// A change is the oldest transaction that has an acceptance without a break.
type change struct {
	hash   string
	serial int
	spec   runner.Spec      // that its list is from
	synced bool             // it says that it took up for the feature what a person changed
	before runner.Spec      // that the list of the transaction before it is from
	list   []runner.Feature // of the transaction before it
}

// A saved is the transaction that completed a feature.
type saved struct {
	serial int
	code   string
	over   bool // an older one was met that has not
	after  int  // only transactions up to this one count from here on, because a rollback took the feature from there; 0: all
}

// history walks the transactions: none of them may have changed an acceptance
// but one that took up what a person changed, and each feature became complete in the one that its evidence names.
func (p *prover) history(ctx context.Context) error {
	p.past = past{frozen: map[string][]change{}, done: map[string]saved{}}
	n, seen := 0, p.Seen == ""
	var against []error
	err := p.Repo.Transactions(ctx, func(commit string, tx runner.Transaction) error {
		n++
		seen = seen || strings.HasPrefix(commit, p.Seen) || strings.HasPrefix(runner.Hash(tx.State), p.Seen)
		st, err := runner.Decode(tx.State, tx.List)
		if err != nil {
			against = append(against, fmt.Errorf("commit %.7s: %w", commit, err))
			return nil
		}
		p.past.schema = schemaOf(tx.State)
		p.remember(st, tx.Code)
		return nil
	})
	if err != nil {
		return err
	}
	if !seen {
		against = append(against, fmt.Errorf("the state %s, which was seen before, is not among them: the branch was rewound or replaced", p.Seen))
	}
	p.prove("", "transactions", fmt.Sprintf("%d on the state branch, each made by the loop from the one before.", n), against)
	return nil
}

func (p *prover) remember(st runner.State, code string) {
	for _, f := range st.Features {
		changes := p.past.frozen[f.ID]
		if n := len(changes); n == 0 || changes[n-1].hash != f.Frozen {
			if n > 0 {
				changes[n-1].before, changes[n-1].list = st.Spec, st.Features
			}
			changes = append(changes, change{hash: f.Frozen})
		}
		last := &changes[len(changes)-1]
		last.serial, last.spec, last.synced = st.Serial, st.Spec, false
		if n := len(st.Syncs); n > 0 && st.Syncs[n-1].Serial == st.Serial {
			last.synced = slices.Contains(st.Syncs[n-1].Changed, f.ID)
		}
		p.past.frozen[f.ID] = changes
		done := p.past.done[f.ID]
		now, _ := p.state.Feature(f.ID)
		switch same := f.Status == runner.Complete && now.Evidence != nil && f.Evidence.Record == now.Evidence.Record; {
		case done.over, done.after > 0 && st.Serial > done.after:
		case same:
			done = saved{serial: st.Serial, code: code}
			if n := len(st.Rollbacks); n > 0 && st.Rollbacks[n-1].Serial == st.Serial {
				done.after = st.Rollbacks[n-1].To
			}
			p.past.done[f.ID] = done
		default:
			done.over = true
			p.past.done[f.ID] = done
		}
	}
}

// evidence holds the files of evidence against the state, and the records
// against the history.
func (p *prover) evidence(ctx context.Context) error {
	files, err := p.Repo.StateFiles(ctx, "evidence/")
	if err != nil {
		return err
	}
	records, flaws := p.state.CheckEvidence(files)
	p.records = records
	p.flaws = map[string][]error{}
	for _, flaw := range flaws {
		p.flaws[flaw.Feature] = append(p.flaws[flaw.Feature], flaw.Err)
	}
	p.prove("", "evidence", fmt.Sprintf("%s in the chain, each names the one before; %s as they were kept.", plural(len(records), "record"), plural(len(files), "file")), p.flaws[""])
	return nil
}

// kept holds what is kept of one feature against the state and the history.
func (p *prover) kept(ctx context.Context, f runner.Feature) error {
	says := "its record belongs to the chain, and all its files are as they were kept."
	if f.Evidence.Record == "" {
		says = "it was proved by a version that kept no records; its files are as they were kept."
	}
	p.prove(f.ID, "evidence", says, append(p.flaws[f.ID], p.misdated(f)...))
	against, unknown, err := p.unfrozen(ctx, f)
	if err != nil {
		return err
	}
	if len(against) == 0 && unknown.Result != "" {
		unknown.Feature, unknown.Name = f.ID, "agreed"
		p.say(unknown)
		return nil
	}
	p.prove(f.ID, "agreed", p.agreed(f), against)
	return nil
}

// misdated says what of a feature's record does not agree with the transaction
// that completed it.
func (p *prover) misdated(f runner.Feature) []error {
	done := p.past.done[f.ID]
	r, ok := p.record(f)
	if f.Evidence.Record == "" {
		if p.past.schema > 1 {
			return []error{errors.New("there is no record of its evidence")}
		}
		return nil
	}
	switch {
	case !ok:
		return nil // which is said already
	case r.Transaction != done.serial:
		return []error{fmt.Errorf("record %d says that it was saved with transaction %d, but it is there since %d", r.Number, r.Transaction, done.serial)}
	case r.Commit != done.code:
		return []error{fmt.Errorf("record %d is about commit %.7s, but its transaction speaks of %.7s", r.Number, r.Commit, done.code)}
	}
	return nil
}

// record is the record of a feature's evidence.
func (p *prover) record(f runner.Feature) (runner.Record, bool) {
	for _, r := range slices.Backward(p.records) {
		if r.Feature == f.ID {
			return r, true
		}
	}
	return runner.Record{}, false
}

// code holds a feature's commit against its evidence: it is there, holds the
// tree that was judged, stands where it was judged, and is on the branch that
// people are to merge. It says whether the gates can be asked about it.
func (p *prover) code(ctx context.Context, f runner.Feature) (bool, error) {
	where, name := p.merged()
	var against []error
	tree := cmp.Or(f.Evidence.Tree, f.Commit)
	differ, err := p.Repo.Changed(ctx, f.Commit, tree)
	switch {
	case ctx.Err() != nil:
		return false, context.Cause(ctx)
	case err != nil:
		against = append(against, err)
	default:
		if len(differ) > 0 {
			against = append(against, fmt.Errorf("commit %.7s does not hold the tree %.7s that was judged: %q", f.Commit, tree, differ[:min(len(differ), 5)]))
		}
		there, err := p.Repo.Descends(ctx, where, f.Commit)
		if err != nil {
			return false, err
		}
		if !there {
			against = append(against, fmt.Errorf("%s does not hold commit %.7s", name, f.Commit))
		}
		rootless, err := p.rootless(ctx, f)
		if err != nil {
			return false, err
		}
		against = append(against, rootless)
	}
	p.prove(f.ID, "code", fmt.Sprintf("commit %.7s holds the tree that was judged, and %s holds the commit.", f.Commit, name), against)
	return err == nil && len(differ) == 0, nil
}

// merged is the commit that people merge or have merged, and what to call it.
func (p *prover) merged() (commit, name string) {
	if p.Found.Work != "" {
		return p.Found.Work, "the work branch"
	}
	return p.Found.Base.Commit, "the base branch (the work branch is gone)"
}

// branch says whether the work branch is where the state has it, and holds
// nothing else than what was proved.
func (p *prover) branch(ctx context.Context) error {
	if p.Found.Work == "" {
		if p.state.Work != p.state.Base.Commit {
			p.say(Proof{Name: "work branch", Result: NotRun, Says: "it is gone; what was merged is looked for on the base branch."})
		}
		return nil
	}
	n, against, err := p.foreign(ctx)
	if err != nil {
		return err
	}
	p.prove("", "work branch", fmt.Sprintf("its tip %.7s is where the state has it; it holds %s, and each completed a feature, restored what was proved, or took in what others committed.", p.Found.Work, plural(n, "commit")), against)
	return nil
}

// rootless says that a feature's commit does not stand on the parent that its
// record names; nothing if it does.
func (p *prover) rootless(ctx context.Context, f runner.Feature) (against, err error) {
	r, ok := p.record(f)
	if !ok || r.Commit == r.Parent {
		return nil, nil
	}
	parents, err := p.Repo.Parents(ctx, f.Commit)
	if err != nil {
		return nil, err
	}
	if len(parents) != 1 || parents[0] != r.Parent {
		against = fmt.Errorf("commit %.7s does not stand on %.7s, on which it was judged", f.Commit, r.Parent)
	}
	return against, nil
}

// foreign walks the work branch down to the base and says which of its commits
// no record knows.
func (p *prover) foreign(ctx context.Context) (n int, against []error, err error) {
	if p.Found.Work != p.state.Work {
		against = append(against, fmt.Errorf("its tip is %.7s, the state has it at %.7s", p.Found.Work, p.state.Work))
	}
	known := map[string]bool{}
	for _, r := range p.records {
		known[r.Commit] = true
	}
	for _, f := range p.state.Features { // those that are not asked for any more were proved as well
		known[f.Commit] = true
	}
	if err := p.restored(ctx, known); err != nil {
		return 0, nil, err
	}
	taken := map[string]string{} // what came of others' commits -> the verified commit before
	for _, r := range p.records {
		if r.Taken != "" {
			taken[r.Commit] = r.Parent
		}
	}
	for id := p.Found.Work; id != p.state.Base.Commit; n++ {
		if err := ctx.Err(); err != nil {
			return n, nil, err
		}
		if before, ok := taken[id]; ok {
			on, err := p.Repo.Descends(ctx, id, before)
			if err != nil {
				return n, nil, err
			}
			if !on || id == before {
				return n, append(against, fmt.Errorf("commit %.7s was not made from %.7s, as the record of what was taken in says", id, before)), nil
			}
			id = before
			continue
		}
		if !known[id] {
			against = append(against, fmt.Errorf("commit %.7s on it completed no feature that the state knows of", id))
		}
		parents, err := p.Repo.Parents(ctx, id)
		if err != nil {
			return n, nil, err
		}
		if len(parents) == 0 || len(against) > 3 {
			if len(parents) == 0 {
				against = append(against, fmt.Errorf("it does not stand on the base commit %.7s", p.state.Base.Commit))
			}
			break
		}
		id = parents[0]
	}
	return n, against, nil
}

// restored adds to the known commits those by which a person returned to a
// checkpoint: each holds exactly the files of one that was known before it.
func (p *prover) restored(ctx context.Context, known map[string]bool) error {
	known[p.state.Base.Commit] = true
	for _, r := range p.state.Rollbacks {
		if known[r.Commit] || !known[r.Code] {
			continue
		}
		differ, err := p.Repo.Changed(ctx, r.Commit, r.Code)
		if err != nil && ctx.Err() != nil {
			return context.Cause(ctx)
		}
		known[r.Commit] = err == nil && len(differ) == 0
	}
	return nil
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
