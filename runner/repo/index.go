package repo

import (
	"fmt"
	"os"

	"github.com/go-git/go-git/v5/plumbing"
)

// An index is what is known of a work tree: the tracked files with the ids of
// their contents, and what the file system said of each when it was last read
// or written. A file of which it still says the same need not be read again.
//
// It lives in memory only. A session begins by laying the work tree, which
// fills it; an index on disk would be one more thing to be damaged.
type index struct {
	root *dir
	gen  int // of the scan: what it did not see is gone
}

func newIndex() *index { return &index{root: &dir{}} }

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
	mode  uint32
	id    oid
	stamp stamp // zero: look at the content
	racy  bool  // the content may have changed without a new stamp
	seen  int
}

// A stamp is what tells a changed file from an unchanged one without reading
// it. The change time is in it because a program can set the modification time
// but not that.
type stamp struct {
	mtime, ctime int64
	size         int64
	dev, ino     uint64
	mode         os.FileMode
}

// unchanged says that the content cannot be another than when f was stamped.
func (f *file) unchanged(st stamp) bool { return f.stamp == st && !f.racy }

// touched says whether a file with this stamp could have changed again, or
// could still change, without the stamp showing it: it is as young as the
// file system's clock is coarse.
func (st stamp) touched(since int64) bool {
	const tick = 10e6
	return max(st.mtime, st.ctime) >= since-tick
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

// become makes d hold exactly what tree holds. Files that are the same there
// keep their stamps.
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

// modeOf is the mode that git records for a file.
func modeOf(m os.FileMode) uint32 {
	switch {
	case m&os.ModeSymlink != 0:
		return modeLink
	case m&0o100 != 0:
		return modeExec
	}
	return modeFile
}
