package repo

import (
	"container/heap"
	"context"
	"fmt"

	"github.com/autonomous-loop/autonomous-loop/runner"
)

// since returns the commits that tips reach and known do not, parents first. It
// walks from the youngest commit down until only known ones are left, so that
// it costs what is new and not what the repository holds. Wrong dates can make
// the answer too long, never too short.
func (s *store) since(tips, known []oid) ([]oid, error) {
	w := &paint{s: s, colours: map[oid]colour{}, commits: map[oid]commit{}, queued: map[oid]bool{}}
	for _, id := range tips {
		w.reach(id, wanted)
	}
	for _, id := range known {
		w.reach(id, had)
	}
	for w.wanting > 0 && w.err == nil {
		id := heap.Pop(w).(oid)
		w.queued[id] = false
		if w.colours[id] == wanted {
			w.wanting--
		}
		for _, p := range w.commits[id].parents {
			w.reach(p, w.colours[id])
		}
	}
	if w.err != nil {
		return nil, w.err
	}
	var fresh []oid
	done := map[oid]bool{none: true}
	var visit func(oid)
	visit = func(id oid) {
		if done[id] || w.colours[id]&had != 0 {
			return
		}
		done[id] = true
		for _, p := range w.commits[id].parents {
			visit(p)
		}
		fresh = append(fresh, id)
	}
	for _, id := range tips {
		visit(id)
	}
	return fresh, nil
}

type colour byte

const (
	wanted colour = 1 << iota
	had
)

// A paint is a walk over history in which every commit gets the colours of
// those that lead to it. It is a heap of ids with the youngest on top.
type paint struct {
	s       *store
	colours map[oid]colour
	commits map[oid]commit
	queue   []oid
	queued  map[oid]bool
	wanting int // how many in the queue are wanted and not had
	err     error
}

// reach paints a commit, and queues it if that is news.
func (w *paint) reach(id oid, c colour) {
	old := w.colours[id]
	if id == none || w.err != nil || old|c == old {
		return
	}
	if _, read := w.commits[id]; !read {
		if w.commits[id], w.err = w.s.commit(id); w.err != nil {
			return
		}
	}
	if w.queued[id] && old == wanted {
		w.wanting--
	}
	w.colours[id] = old | c
	if old|c == wanted {
		w.wanting++
	}
	if !w.queued[id] {
		w.queued[id] = true
		heap.Push(w, id)
	}
}

func (w *paint) Len() int { return len(w.queue) }
func (w *paint) Less(i, j int) bool {
	return w.commits[w.queue[i]].when > w.commits[w.queue[j]].when
}
func (w *paint) Swap(i, j int) { w.queue[i], w.queue[j] = w.queue[j], w.queue[i] }
func (w *paint) Push(x any)    { w.queue = append(w.queue, x.(oid)) }
func (w *paint) Pop() any {
	id := w.queue[len(w.queue)-1]
	w.queue = w.queue[:len(w.queue)-1]
	return id
}

// descends says whether id is ancestor or descends from it. It trusts no dates.
func (s *store) descends(id, ancestor oid) (bool, error) {
	met := map[oid]bool{id: true}
	for next := []oid{id}; len(next) > 0; next = next[1:] {
		if next[0] == ancestor {
			return true, nil
		}
		c, err := s.commit(next[0])
		if err != nil {
			return false, err
		}
		for _, p := range c.parents {
			if !met[p] {
				met[p] = true
				next = append(next, p)
			}
		}
	}
	return false, nil
}

// Transactions calls do for every transaction of the state branch that was
// loaded, from the last to the first, with the id of its commit.
func (r *Repo) Transactions(ctx context.Context, do func(commit string, tx runner.Transaction) error) error {
	last, err := r.tips()
	if err != nil {
		return fmt.Errorf("read the transactions: %w", err)
	}
	for id := last.state; id != none; {
		if err := ctx.Err(); err != nil {
			return err
		}
		c, err := r.store.commit(id)
		if err != nil {
			return fmt.Errorf("read the transactions: %w", err)
		}
		tx := runner.Transaction{Message: c.message}
		for name, to := range map[string]*[]byte{"state.json": &tx.State, "feature_list.json": &tx.List} {
			if *to, err = r.store.file(id, name); err != nil {
				return fmt.Errorf("read the transactions: %w", err)
			}
		}
		if len(c.parents) > 1 {
			tx.Code = c.parents[1].String()
		}
		if err := do(id.String(), tx); err != nil {
			return err
		}
		if len(c.parents) == 0 {
			return nil
		}
		id = c.parents[0]
	}
	return nil
}

// Parents returns the parents of a commit.
func (r *Repo) Parents(ctx context.Context, commit string) ([]string, error) {
	id, err := parseID(commit)
	if err != nil {
		return nil, err
	}
	c, err := r.store.commit(id)
	if err != nil {
		return nil, err
	}
	var parents []string
	for _, p := range c.parents {
		parents = append(parents, p.String())
	}
	return parents, nil
}

// Descends says whether commit is ancestor, or was made from it.
func (r *Repo) Descends(ctx context.Context, commit, ancestor string) (bool, error) {
	a, err := parseID(commit)
	if err != nil {
		return false, err
	}
	b, err := parseID(ancestor)
	if err != nil {
		return false, err
	}
	return r.store.descends(a, b)
}
