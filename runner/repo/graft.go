package repo

import (
	"strings"

	"github.com/go-git/go-git/v5/plumbing"
)

// graft returns tree with files, by path, added or replaced.
func (b *batch) graft(tree oid, files map[string]oid) (oid, error) {
	wish := map[string]entry{}
	for path, id := range files {
		wish[path] = entry{mode: modeFile, id: id}
	}
	return b.overlay(tree, wish)
}

// overlay is graft with modes; an entry without one takes the file away.
func (b *batch) overlay(tree oid, files map[string]entry) (oid, error) {
	es, err := b.s.tree(tree)
	if err != nil {
		return none, err
	}
	entries := map[string]entry{}
	for _, e := range es {
		entries[e.name] = e
	}
	below := map[string]map[string]entry{}
	for path, e := range files {
		name, rest, deeper := strings.Cut(path, "/")
		switch {
		case !deeper && e.mode == 0:
			delete(entries, name)
		case !deeper:
			entries[name] = entry{name, e.mode, e.id}
		case below[name] == nil:
			below[name] = map[string]entry{rest: e}
		default:
			below[name][rest] = e
		}
	}
	for name, files := range below {
		sub := emptyTree
		if e := entries[name]; e.mode == modeDir {
			sub = e.id
		}
		if sub, err = b.overlay(sub, files); err != nil {
			return none, err
		}
		if entries[name] = (entry{name, modeDir, sub}); sub == emptyTree {
			delete(entries, name)
		}
	}
	es = es[:0]
	for _, e := range entries {
		es = append(es, e)
	}
	return b.put(plumbing.TreeObject, encodeTree(es))
}
