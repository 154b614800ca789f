package repo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"

	"github.com/autonomous-loop/autonomous-loop/runner"
)

// Save makes tx the next transaction. It decides first what is to be pushed,
// which needs no remote, and then pushes it.
func (r *Repo) Save(ctx context.Context, tx runner.Transaction) error {
	r.branches.Lock()
	defer r.branches.Unlock()
	if !r.loaded {
		return errors.New("save: the repository has not been loaded")
	}
	var next tips
	err := r.roomy(func() (err error) {
		next, err = r.next(tx)
		return err
	})
	if err != nil {
		return fmt.Errorf("save: %w", err)
	}
	var aside error
	for !r.last.has(next) {
		err := r.again(ctx, func() error { return r.advance(ctx, next) })
		if work, ok := errors.AsType[*runner.WorkError](err); ok && aside == nil {
			// The transaction goes on without it: what was verified is kept.
			aside, next.work = work, r.last.work
			continue
		}
		if _, moved := errors.AsType[*runner.MovedError](err); err != nil && !moved && r.last.state == next.state && aside == nil {
			// The state went first, by itself. The work branch goes with the next one.
			return &runner.WorkError{Branch: r.o.WorkBranch, Want: idOf(next.work), Have: idOf(r.last.work), Behind: r.ailing(err)}
		}
		if no, ok := errors.AsType[*refusal](err); ok {
			err = r.bar(ctx, tx.Code, no)
		}
		r.lose(next.state, err)
		if err != nil {
			return fmt.Errorf("save transaction %d: %w", next.transaction.Serial, r.ailing(err))
		}
	}
	return aside
}

// lose remembers, for Rescue, a transaction that was not saved because of err; but
// not one that was refused for what is in it.
func (r *Repo) lose(state oid, err error) {
	_, moved := errors.AsType[*runner.MovedError](err)
	_, refused := errors.AsType[*runner.RefusedError](err)
	r.lost, r.late = none, false
	if err != nil && !refused {
		r.lost, r.late = state, !moved
	}
}

func (t tips) has(next tips) bool { return t.state == next.state && t.work == next.work }

// next is where the branches belong after tx, with all objects stored. A
// transaction that was saved already, but for the work branch, is not made
// again.
func (r *Repo) next(tx runner.Transaction) (tips, error) {
	next := r.last
	t, err := readTransaction(tx.State)
	if err != nil {
		return next, err
	}
	if next.work, err = r.workTip(tx); err != nil {
		return next, err
	}
	if next.state != none && t.digest == r.last.transaction.digest {
		return next, nil
	}
	code, err := parseID(tx.Code)
	if err == nil {
		_, err = r.store.commit(code)
	}
	switch {
	case err != nil:
		return next, fmt.Errorf("code commit: %w", err)
	case t.Code != tx.Code:
		return next, fmt.Errorf("state.json speaks of the code %q, the transaction of %q", t.Code, tx.Code)
	}
	var parents []oid
	if next.state != none {
		if why := t.follows(r.last.transaction); why != "" {
			return next, fmt.Errorf("the state does not follow from the last one: %s", why)
		}
		parents = []oid{next.state, code}
	} else if t.Serial != 1 || t.Prev != "" {
		return next, fmt.Errorf("there is no state branch, but the state is number %d", t.Serial)
	}
	b := &batch{s: r.store}
	tree, err := r.stateTree(b, tx)
	if err != nil {
		return next, err
	}
	next.transaction = t
	next.state, err = b.put(plumbing.CommitObject, encodeCommit(tree, parents, r.o.Author, tx.Message, r.o.Now()))
	return next, errors.Join(err, b.done())
}

// workTip is where the work branch belongs: where it is, or further on.
func (r *Repo) workTip(tx runner.Transaction) (oid, error) {
	var said struct{ Base runner.Base }
	if err := json.Unmarshal(tx.State, &said); err != nil {
		return none, err
	}
	if tx.Work == "" || tx.Work == r.last.base.String() || tx.Work == said.Base.Commit {
		return r.last.work, nil
	}
	tip, err := parseID(tx.Work)
	if err != nil {
		return none, fmt.Errorf("work branch: %w", err)
	}
	if r.last.work == none {
		_, err = r.store.commit(tip)
		return tip, err
	}
	forward, err := r.store.descends(tip, r.last.work)
	if err == nil && !forward {
		err = fmt.Errorf("%s does not descend from its tip %s; it is only ever moved forward", short(tip), short(r.last.work))
	}
	if err != nil {
		return none, fmt.Errorf("work branch: %w", err)
	}
	return tip, nil
}

// workOf is the verified code that a transaction speaks of.
func (r *Repo) workOf(state oid) (oid, error) {
	data, err := r.store.file(state, "state.json")
	if err != nil {
		return none, err
	}
	var said struct{ Work string }
	if err := json.Unmarshal(data, &said); err != nil {
		return none, err
	}
	return parseID(said.Work)
}

// stateTree is the last transaction's tree with tx's files in it.
func (r *Repo) stateTree(b *batch, tx runner.Transaction) (oid, error) {
	tree := emptyTree
	if r.last.state != none {
		c, err := r.store.commit(r.last.state)
		if err != nil {
			return none, err
		}
		tree = c.tree
	}
	blobs := map[string]oid{}
	for _, f := range append(tx.Files, runner.File{Name: "state.json", Data: tx.State}, runner.File{Name: "feature_list.json", Data: tx.List}) {
		for part := range strings.SplitSeq(f.Name, "/") {
			if err := validName(part); err != nil {
				return none, fmt.Errorf("file %q: %w", f.Name, err)
			}
		}
		if r.secrets.holds(f.Data) || r.secrets.holds([]byte(f.Name)) {
			return none, fmt.Errorf("file %s holds a secret of this run and is not pushed", f.Name)
		}
		id, err := b.put(plumbing.BlobObject, f.Data)
		if err != nil {
			return none, err
		}
		blobs[f.Name] = id
	}
	return b.graft(tree, blobs)
}

// advance pushes what is still to be pushed of next: everything at once where
// the remote can do that, else the state first. An answer that was lost is
// looked up.
func (r *Repo) advance(ctx context.Context, next tips) error {
	p, err := r.remote.push(ctx)
	if err != nil {
		return err
	}
	defer p.close()
	if have := p.refs.ids[r.o.WorkBranch]; have != none && have == r.pushed {
		r.last.work = have // by a push whose answer was lost, and that could not be looked up
	}
	state := update{r.o.StateBranch, r.last.state, next.state}
	work := update{r.o.WorkBranch, r.last.work, next.work}
	if err := r.where(ctx, state, work, p.refs); err != nil {
		return err
	}
	var todo []update
	for _, u := range []update{state, work} {
		switch {
		case u.old == u.new:
		case p.refs.ids[u.ref] == u.new: // by a push whose answer was lost
			r.saved(u, next)
		case len(todo) == 0 || p.atomic():
			todo = append(todo, u)
		}
	}
	if len(todo) == 0 {
		return nil
	}
	if err := r.unlocked(todo); err != nil {
		return err
	}
	var tips []oid
	for _, u := range todo {
		tips = append(tips, u.new)
	}
	known := []oid{r.last.state, r.last.work, r.last.base}
	if r.last.state != none {
		// What an attempt has changed so far is in the last code commit. The
		// next one stands beside it, not on it.
		c, err := r.store.commit(r.last.state)
		if err != nil {
			return err
		}
		known = append(known, c.parents...)
	}
	objs, err := r.store.fresh(ctx, tips, known)
	if err != nil {
		return err
	}
	if work.old != work.new {
		r.pushed = work.new
	}
	if err := p.send(ctx, todo, objs); err != nil {
		if err := r.settle(ctx, todo, err); err != nil {
			return err
		}
	}
	for _, u := range todo {
		r.saved(u, next)
	}
	return nil
}

// where says what is in the way of moving the branches, given where they are:
// the state branch must be where this Repo left it, and the work branch too if
// it is to be moved. Where they already are as they should be is fine.
func (r *Repo) where(ctx context.Context, state, work update, now refs) error {
	if have := now.ids[state.ref]; have != state.old && have != state.new {
		return r.overtaken(ctx, state.old, have)
	}
	if have := now.ids[work.ref]; work.old != work.new && have != work.old && have != work.new {
		return r.aside(ctx, work, have)
	}
	return nil
}

// aside says what became of the work branch, which somebody else has moved.
// Where they went on from what was published, that is where it is from now on.
func (r *Repo) aside(ctx context.Context, work update, have oid) error {
	e := &runner.WorkError{Branch: work.ref, Want: idOf(work.old), Have: idOf(have)}
	if have == none {
		return e
	}
	if err := r.bringOne(ctx, have); err != nil {
		return err
	}
	published := work.old
	if published == none {
		published = r.last.base
	}
	var err error
	if e.Ahead, err = r.ahead(have, []oid{published}, []oid{r.last.state, r.last.base, work.old, work.new}); err != nil {
		return err
	}
	if e.Ahead {
		r.last.work = have
	}
	return e
}

// overtaken says who moved the state branch: another session, whose transactions
// follow ours, or somebody else.
func (r *Repo) overtaken(ctx context.Context, want, have oid) error {
	e := &runner.MovedError{Want: idOf(want), Have: idOf(have)}
	if have == none {
		return e
	}
	err := r.bringOne(ctx, have)
	if err == nil {
		var chain error
		if chain, err = r.verify(ctx, have); chain != nil {
			e.Foreign = chain.Error()
		}
	}
	return errors.Join(e, err)
}

// bringOne fetches what a commit of the remote reaches.
func (r *Repo) bringOne(ctx context.Context, id oid) error {
	v, err := r.remote.visit(ctx)
	if err != nil {
		return err
	}
	defer v.Close() // nothing is lost with an answer that was read
	return r.fetch(ctx, v, []oid{id})
}

// settle finds out what became of a push that failed with err, by the first of
// its updates: nil if it was done after all.
func (r *Repo) settle(ctx context.Context, todo []update, err error) error {
	u := todo[0]
	have, lookErr := r.remote.look(ctx, u.ref)
	switch {
	case lookErr != nil:
		return errors.Join(err, fmt.Errorf("look whether it was done all the same: %w", lookErr))
	case have == u.new:
		return nil
	case have != u.old && u.ref == r.o.StateBranch:
		return r.overtaken(ctx, u.old, have)
	}
	// It may be the other one that was moved at the last moment.
	w := todo[len(todo)-1]
	if have, lookErr := r.remote.look(ctx, w.ref); lookErr == nil && w.ref == r.o.WorkBranch && have != w.old && have != w.new {
		return r.aside(ctx, w, have)
	}
	return err
}

// idOf is a commit for people and package runner, "" if there is none.
func idOf(id oid) string {
	if id == none {
		return ""
	}
	return id.String()
}

// saved notes that an update of next was made.
func (r *Repo) saved(u update, next tips) {
	name := "work"
	if u.ref == r.o.StateBranch {
		name = "state"
		r.last.state, r.last.transaction = next.state, next.transaction
	} else {
		r.last.work = next.work
	}
	// What is not remembered is only fetched again.
	_ = r.store.see(name, u.new)
}
