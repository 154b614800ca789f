package repo

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"
)

// An index is what is known of a work tree: beside each other, what one commit
// holds at each path and what was seen of the files on disk. It is kept from
// one snapshot to the next, and on disk from one process to the next, where
// cache.go says what of it is believed.
//
// A commit's trees are known by their ids, so that another commit costs what
// differs between the two. What was seen of a file does not depend on commits.
type index struct {
	root   *dir
	fresh  int           // how much was seen that the file on disk does not know
	left   map[*dir]bool // directories in which something was left out
	linked map[*dir]bool // directories in which a file has more than one name
	moved  []*dir        // directories of another commit since the last look
}

func newIndex() *index {
	return &index{root: &dir{there: true}, left: map[*dir]bool{}, linked: map[*dir]bool{}}
}

// A dir is a directory of the work tree or of the commit. One that is ignored
// and holds nothing tracked has none.
type dir struct {
	name, path string // path has no slash at either end
	parent     *dir
	dirs       []*dir // in git's order, in which a name ends with a slash
	files      []file // by name

	base oid // tree of the commit; none: it has no such directory
	now  oid // tree of what is to be recorded; none: not known

	there  bool  // it is on disk
	stamp  stamp // its own, when it was listed
	listed bool  // while the stamp stays the same so do the names in it

	ignored       bool     // it, or a directory above it: only tracked files count
	ignore, attrs *rules   // for what is in it
	ruling        *ruling  // its own part of these; nil: it has no such files
	left          []string // what was left out of it, with the reasons

	watched int32 // the watch that is set on it; 0: none
}

// A file is a regular file, symbolic link or submodule: what the commit holds
// under its name, what was last seen on disk, and what is to be recorded.
type file struct {
	name string
	base thing
	seen thing // the content on disk, as it is to be recorded; no mode: not known
	stamp
	state state
	plain bool // seen would be the same whatever is recorded at its path
	racy  bool // the content may have changed without a new stamp
}

// A thing is what stands at a path of a tree. One without a mode is nothing.
type thing struct {
	mode uint32
	id   oid
}

// A state says what is to be recorded of a file.
type state uint8

const (
	unsure state = iota // it must be looked at
	here                // what was seen of it
	kept                // what the commit holds, whatever is on disk
	gone                // nothing
)

// now is what is to be recorded.
func (f *file) now() thing {
	switch f.state {
	case here:
		return f.seen
	case kept:
		return f.base
	case unsure, gone:
	}
	return thing{}
}

// still says that the file with this stamp has the content that was seen.
func (f *file) still(st stamp) bool {
	return f.seen.mode != 0 && f.stamp == st && !f.racy
}

func (f *file) forget() { f.seen, f.stamp, f.plain, f.racy = thing{}, stamp{}, false, false }

func (d *dir) join(name string) string {
	if d.path == "" {
		return name
	}
	return d.path + "/" + name
}

// file returns the file called name, nil if there is none.
func (d *dir) file(name string) *file {
	i, ok := slices.BinarySearchFunc(d.files, name, func(f file, name string) int { return strings.Compare(f.name, name) })
	if !ok {
		return nil
	}
	return &d.files[i]
}

func (d *dir) place(name string) (int, bool) {
	return slices.BinarySearchFunc(d.dirs, name, func(s *dir, name string) int { return compareDirs(s.name, name) })
}

// dir returns the directory called name, nil if there is none.
func (d *dir) dir(name string) *dir {
	if i, ok := d.place(name); ok {
		return d.dirs[i]
	}
	return nil
}

// sub is dir, with a new directory where there is none.
func (d *dir) sub(name string) *dir {
	i, ok := d.place(name)
	if !ok {
		d.dirs = slices.Insert(d.dirs, i, &dir{name: name, path: d.join(name), parent: d})
	}
	return d.dirs[i]
}

// compareDirs compares the names of two directories in git's order.
func compareDirs(a, b string) int {
	n := min(len(a), len(b))
	if c := strings.Compare(a[:n], b[:n]); c != 0 || len(a) == len(b) {
		return c
	}
	if len(a) > n {
		return int(a[n]) - '/'
	}
	return '/' - int(b[n])
}

// before says whether file f comes before directory s in git's order.
func (f *file) before(s *dir) bool {
	n := min(len(f.name), len(s.name))
	if c := strings.Compare(f.name[:n], s.name[:n]); c != 0 {
		return c < 0
	}
	return len(f.name) <= n || f.name[n] < '/'
}

// dirty forgets what is to be recorded of d and of all directories above it.
func (d *dir) dirty() {
	for ; d != nil; d = d.parent {
		d.now = none
	}
}

// become makes tree the one that the index compares with. What was seen stays;
// what is to be recorded has to be decided again where the trees differ.
func (x *index) become(s *store, tree oid) error { return x.root.become(x, s, tree) }

func (d *dir) become(x *index, s *store, tree oid) error {
	if d.base == tree {
		return nil
	}
	var es []entry
	if tree != none {
		var err error
		if es, err = s.tree(tree); err != nil {
			return err
		}
	}
	for _, e := range es {
		if err := validName(e.name); err != nil {
			return fmt.Errorf("tree %s: %w", tree, err)
		}
	}
	files := make([]file, 0, max(len(es), len(d.files)))
	old := d.files
	stay := func(f file) { // of which the tree knows nothing
		if f.base.mode != 0 {
			f.base, f.state = thing{}, unsure
		}
		if f.seen.mode != 0 {
			files = append(files, f)
		}
	}
	dirs := make([]*dir, 0, len(d.dirs))
	subs := d.dirs
	leave := func(sub *dir) error {
		dirs = append(dirs, sub)
		return sub.become(x, s, none)
	}
	for _, e := range sorted(es) {
		if e.mode == modeDir {
			for len(subs) > 0 && compareDirs(subs[0].name, e.name) < 0 {
				if err := leave(subs[0]); err != nil {
					return err
				}
				subs = subs[1:]
			}
			var sub *dir
			if len(subs) > 0 && subs[0].name == e.name {
				sub, subs = subs[0], subs[1:]
			} else {
				sub = &dir{name: e.name, path: d.join(e.name), parent: d}
			}
			dirs = append(dirs, sub)
			if err := sub.become(x, s, e.id); err != nil {
				return err
			}
			continue
		}
		for len(old) > 0 && old[0].name < e.name {
			stay(old[0])
			old = old[1:]
		}
		f := file{name: e.name}
		if len(old) > 0 && old[0].name == e.name {
			f, old = old[0], old[1:]
		}
		if b := (thing{e.mode, e.id}); f.base != b {
			f.base, f.state = b, unsure
		}
		files = append(files, f)
	}
	for _, f := range old {
		stay(f)
	}
	for _, sub := range subs {
		if err := leave(sub); err != nil {
			return err
		}
	}
	d.files, d.dirs, d.base, d.now = files, dirs, tree, none
	d.listed, d.left = false, nil
	x.moved = append(x.moved, d)
	return nil
}

// sorted returns the entries in git's order. That of two with the same name,
// which only a tree made by hand has, the last one counts, is git's way too.
func sorted(es []entry) []entry {
	less := func(a, b entry) int { return strings.Compare(a.sortKey(), b.sortKey()) }
	for i := 1; i < len(es); i++ {
		if less(es[i-1], es[i]) >= 0 {
			slices.SortStableFunc(es, less)
			slices.Reverse(es)
			es = slices.CompactFunc(es, func(a, b entry) bool { return a.sortKey() == b.sortKey() })
			slices.Reverse(es)
			break
		}
	}
	return es
}

var errUndecided = errors.New("the index does not know what became of a file")

// write stores the trees of what is to be recorded that are not known, and
// returns d's. Directories without files are left out, as git knows none.
func (d *dir) write(b *batch) (oid, error) {
	if d.now != none {
		return d.now, nil
	}
	for _, sub := range d.dirs {
		if _, err := sub.write(b); err != nil {
			return none, err
		}
	}
	var open *file
	tree := d.encode(func(f *file) thing {
		if f.state == unsure {
			open = f
		}
		return f.now()
	}, func(sub *dir) oid { return sub.now })
	if open != nil {
		return none, fmt.Errorf("%s: %w", d.join(open.name), errUndecided)
	}
	var err error
	id := hash(plumbing.TreeObject, tree)
	if id != d.base {
		if id, err = b.put(plumbing.TreeObject, tree); err != nil {
			return none, err
		}
	}
	d.now = id
	return id, nil
}

// encode writes d as a tree of what is given for its files and directories.
func (d *dir) encode(of func(*file) thing, under func(*dir) oid) []byte {
	var tree []byte
	d.inOrder(func(f *file) {
		if t := of(f); t.mode != 0 {
			tree = entry{f.name, t.mode, t.id}.append(tree)
		}
	}, func(sub *dir) {
		if id := under(sub); id != none && id != emptyTree {
			tree = entry{sub.name, modeDir, id}.append(tree)
		}
	})
	return tree
}

// inOrder goes over what is in d in git's order.
func (d *dir) inOrder(file func(*file), sub func(*dir)) {
	i, k := 0, 0
	for i < len(d.files) || k < len(d.dirs) {
		if k == len(d.dirs) || i < len(d.files) && d.files[i].before(d.dirs[k]) {
			file(&d.files[i])
			i++
		} else {
			sub(d.dirs[k])
			k++
		}
	}
}

// holds says whether anything is to be recorded of d.
func (d *dir) holds() bool {
	return slices.ContainsFunc(d.files, func(f file) bool { return f.now().mode != 0 }) || slices.ContainsFunc(d.dirs, (*dir).holds)
}

// shrink drops the files of which nothing is to be said, and the directories
// that are neither on disk nor in the commit.
func (d *dir) shrink() {
	d.files = slices.DeleteFunc(d.files, func(f file) bool { return f.base.mode == 0 && f.state == gone })
	for ; d.parent != nil && d.base == none && !d.there && len(d.files)+len(d.dirs) == 0; d = d.parent {
		if i, ok := d.parent.place(d.name); ok && d.parent.dirs[i] == d {
			d.parent.dirs = slices.Delete(d.parent.dirs, i, i+1)
		}
	}
}
