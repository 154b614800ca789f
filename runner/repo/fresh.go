package repo

import (
	"context"

	"github.com/go-git/go-git/v5/plumbing"
)

// fresh returns, ready for a pack, the objects that a remote lacks that has
// known and is to get tips: the new commits and what their trees hold beyond
// the trees of their parents and of known. What stands elsewhere in history may
// be among them; that costs bytes and nothing else.
func (s *store) fresh(ctx context.Context, tips, known []oid) ([]packed, error) {
	commits, err := s.since(tips, known)
	if err != nil {
		return nil, err
	}
	near, err := s.trees(known)
	if err != nil {
		return nil, err
	}
	g := &gather{s: s, sent: map[oid]bool{}}
	for _, id := range commits {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		c, err := s.commit(id)
		if err != nil {
			return nil, err
		}
		if err := g.add(plumbing.CommitObject, id); err != nil {
			return nil, err
		}
		beside, err := s.trees(c.parents)
		if err != nil {
			return nil, err
		}
		if err := g.tree(c.tree, append(beside, near...)); err != nil {
			return nil, err
		}
	}
	return g.objs, nil
}

// trees returns the trees of commits, of those that there are.
func (s *store) trees(commits []oid) ([]oid, error) {
	var ts []oid
	for _, id := range commits {
		if id == none {
			continue
		}
		c, err := s.commit(id)
		if err != nil {
			return nil, err
		}
		ts = append(ts, c.tree)
	}
	return ts, nil
}

type gather struct {
	s    *store
	sent map[oid]bool
	objs []packed
}

func (g *gather) add(t plumbing.ObjectType, id oid) error {
	if g.sent[id] {
		return nil
	}
	g.sent[id] = true
	p, ok := g.s.ready(id)
	if !ok {
		b, err := g.s.read(t, id)
		if err != nil {
			return err
		}
		p = pack(id, t, b)
	}
	g.objs = append(g.objs, p)
	return nil
}

// tree adds tree and all below it that is not at the same path in one of the
// trees beside.
func (g *gather) tree(tree oid, beside []oid) error {
	if g.sent[tree] {
		return nil
	}
	there := map[entry]bool{}
	dirs := map[string][]oid{}
	for _, b := range beside {
		if b == tree {
			return nil
		}
		es, err := g.s.tree(b)
		if err != nil {
			return err
		}
		for _, e := range es {
			there[e] = true
			if e.mode == modeDir {
				dirs[e.name] = append(dirs[e.name], e.id)
			}
		}
	}
	if err := g.add(plumbing.TreeObject, tree); err != nil {
		return err
	}
	es, err := g.s.tree(tree)
	if err != nil {
		return err
	}
	for _, e := range es {
		switch {
		case there[e] || e.mode == modeSub:
		case e.mode == modeDir:
			err = g.tree(e.id, dirs[e.name])
		default:
			err = g.add(plumbing.BlobObject, e.id)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
