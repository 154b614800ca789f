package repo

import "container/heap"

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
