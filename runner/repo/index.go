package repo

import (
	"fmt"

	"github.com/go-git/go-git/v5/plumbing"
)

// An index is what is known of a work tree: which files are tracked, with the
// ids of their contents, and what was seen of the files on disk.
//
// It lives in memory only. A session begins by laying the work tree, which
// fills it; an index on disk would be one more thing to be damaged.
type index struct {
	root   *dir
	gen    int // of the scan: what it did not see is gone
	sights map[string]sight
}

func newIndex() *index { return &index{root: &dir{}, sights: map[string]sight{}} }

// A dir is a directory that holds tracked files.
type dir struct {
	name, path string // path has no slash at either end
	parent     *dir
	dirs       map[string]*dir
	files      map[string]*file
	tree       oid // of the children as they are; none if that is not known
}

// A file is a tracked file, symbolic link or submodule.
type file struct {
	mode uint32
	id   oid
	seen int
}

func (d *dir) join(name string) string {
	if d.path == "" {
		return name
	}
	return d.path + "/" + name
}

// sub returns the directory called name, a new one if there is none. It is not
// part of d before it is attached.
func (d *dir) sub(name string) *dir {
	if s, ok := d.dirs[name]; ok {
		return s
	}
	return &dir{name: name, path: d.join(name), parent: d}
}

func (d *dir) attach(s *dir) {
	if d.dirs == nil {
		d.dirs = map[string]*dir{}
	}
	d.dirs[s.name] = s
}

func (d *dir) set(name string, f *file) {
	if d.files == nil {
		d.files = map[string]*file{}
	}
	d.files[name] = f
}

// dirty forgets the trees of d and of all directories above it.
func (d *dir) dirty() {
	for ; d != nil; d = d.parent {
		d.tree = none
	}
}

// become makes d hold exactly what tree holds.
func (d *dir) become(s *store, tree oid) error {
	if d.tree == tree {
		return nil
	}
	es, err := s.tree(tree)
	if err != nil {
		return err
	}
	dirs, files := map[string]*dir{}, map[string]*file{}
	for _, e := range es {
		if err := validName(e.name); err != nil {
			return fmt.Errorf("tree %s: %w", tree, err)
		}
		if e.mode == modeDir {
			sub := d.sub(e.name)
			if err := sub.become(s, e.id); err != nil {
				return err
			}
			dirs[e.name] = sub
			continue
		}
		f := d.files[e.name]
		if f == nil || f.id != e.id || f.mode != e.mode {
			f = &file{mode: e.mode, id: e.id}
		}
		files[e.name] = f
	}
	d.dirs, d.files, d.tree = dirs, files, tree
	return nil
}

// write stores the trees that are not known and returns d's. Directories
// without files are left out, as git knows none.
func (d *dir) write(b *batch) (oid, error) {
	if d.tree != none {
		return d.tree, nil
	}
	es := make([]entry, 0, len(d.dirs)+len(d.files))
	for name, f := range d.files {
		es = append(es, entry{name, f.mode, f.id})
	}
	for name, sub := range d.dirs {
		id, err := sub.write(b)
		if err != nil {
			return none, err
		}
		if id == emptyTree {
			delete(d.dirs, name)
			continue
		}
		es = append(es, entry{name, modeDir, id})
	}
	id, err := b.put(plumbing.TreeObject, encodeTree(es))
	if err != nil {
		return none, err
	}
	d.tree = id
	return id, nil
}
