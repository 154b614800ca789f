package repo

import (
	"context"
	"fmt"
)

// List returns the names of all files of the base commit that was loaded, sorted
// as git sorts them. Directories that the index knows need not be read.
func (r *Repo) List(ctx context.Context) ([]string, error) {
	last, err := r.tips()
	if err != nil {
		return nil, fmt.Errorf("list the base branch: %w", err)
	}
	names, err := r.list(ctx, last.base)
	if err != nil {
		return nil, fmt.Errorf("list the base branch: %w", err)
	}
	return names, nil
}

func (r *Repo) list(ctx context.Context, commit oid) ([]string, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	tree, err := r.store.treeOf(commit.String())
	if err != nil {
		return nil, err
	}
	g, err := openGround(r.Work())
	if err != nil {
		return nil, err
	}
	defer g.close()
	x := r.indexed(ctx, g)
	if x.root.base == none { // the work tree is likely to be laid there next
		if err := x.become(r.store, tree); err != nil {
			r.forget()
			return nil, err
		}
	}
	l := &namer{s: r.store, known: map[oid]*dir{}}
	x.root.each(func(d *dir) { l.known[d.base] = d })
	err = l.list(ctx, tree, "")
	return l.names, err
}

// each calls do for d and all directories below it.
func (d *dir) each(do func(*dir)) {
	do(d)
	for _, sub := range d.dirs {
		sub.each(do)
	}
}

// A namer collects the names of files.
type namer struct {
	s     *store
	known map[oid]*dir // by their trees
	names []string
}

func (l *namer) list(ctx context.Context, tree oid, prefix string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	es := l.entries(tree)
	if es == nil {
		var err error
		if es, err = l.s.tree(tree); err != nil {
			return err
		}
	}
	for _, e := range es {
		if e.mode == modeDir {
			if err := l.list(ctx, e.id, prefix+e.name+"/"); err != nil {
				return err
			}
		} else if e.mode != modeSub {
			l.names = append(l.names, prefix+e.name)
		}
	}
	return nil
}

// entries are those of a tree that is known, nil if it is not.
func (l *namer) entries(tree oid) []entry {
	d := l.known[tree]
	if d == nil || tree == none {
		return nil
	}
	es := make([]entry, 0, len(d.files)+len(d.dirs))
	d.inOrder(func(f *file) {
		if f.base.mode != 0 {
			es = append(es, entry{f.name, f.base.mode, f.base.id})
		}
	}, func(sub *dir) {
		if sub.base != none {
			es = append(es, entry{sub.name, modeDir, sub.base})
		}
	})
	return es
}
