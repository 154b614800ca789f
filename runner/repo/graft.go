package repo

import (
	"strings"

	"github.com/go-git/go-git/v5/plumbing"
)

// graft returns tree with files, by path, added or replaced.
func (s *store) graft(tree oid, files map[string]oid) (oid, error) {
	es, err := s.tree(tree)
	if err != nil {
		return none, err
	}
	entries := map[string]entry{}
	for _, e := range es {
		entries[e.name] = e
	}
	below := map[string]map[string]oid{}
	for path, id := range files {
		name, rest, deeper := strings.Cut(path, "/")
		switch {
		case !deeper:
			entries[name] = entry{name, modeFile, id}
		case below[name] == nil:
			below[name] = map[string]oid{rest: id}
		default:
			below[name][rest] = id
		}
	}
	for name, files := range below {
		sub := emptyTree
		if e := entries[name]; e.mode == modeDir {
			sub = e.id
		}
		if sub, err = s.graft(sub, files); err != nil {
			return none, err
		}
		entries[name] = entry{name, modeDir, sub}
	}
	es = es[:0]
	for _, e := range entries {
		es = append(es, e)
	}
	return s.put(plumbing.TreeObject, encodeTree(es))
}
