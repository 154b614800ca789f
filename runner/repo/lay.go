package repo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"sync"
	"syscall"

	"github.com/go-git/go-git/v5/plumbing"
)

// Restore lays the work tree at commit. What is the same already is not
// written again; files that the commit's own .gitignore files ignore stay;
// everything else goes. Rules that the work tree brought with it count for
// nothing, or an attempt could hide what it leaves behind.
func (r *Repo) Restore(ctx context.Context, commit string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	err := r.roomy(func() error { return r.restore(ctx, commit) })
	if err != nil {
		return fmt.Errorf("lay the work tree at %s: %w", commit, err)
	}
	r.laid = commit
	return nil
}

func (r *Repo) restore(ctx context.Context, commit string) error {
	tree, err := r.store.treeOf(commit)
	if err != nil {
		return err
	}
	g, err := openGround(r.Work())
	if err != nil {
		return err
	}
	defer g.close()
	x := r.indexed(ctx, g)
	if err = x.become(r.store, tree); err == nil {
		err = r.lay(ctx, g, x)
	}
	if err != nil {
		r.forget() // the index speaks of files as they should be
		return err
	}
	r.remember(g)
	return nil
}

// Export writes the files of a commit or tree below dir, which is empty.
func (r *Repo) Export(ctx context.Context, commit, dir string) error {
	err := r.export(ctx, commit, dir)
	if err != nil {
		return fmt.Errorf("export %s: %w", commit, err)
	}
	return nil
}

func (r *Repo) export(ctx context.Context, commit, dir string) error {
	tree, err := r.store.treeOf(commit)
	if err != nil {
		return err
	}
	x := newIndex()
	if err := x.become(r.store, tree); err != nil {
		return err
	}
	g, err := openGround(dir)
	if err != nil {
		return err
	}
	defer g.close()
	return r.lay(ctx, g, x)
}

// A layout writes an index's files below a directory. Directories are opened
// one by one below the root; what stands in the place of one, such as a link
// that the agent planted, is removed first and never followed.
type layout struct {
	g     *ground
	s     *store
	owner *Owner // may be nil

	mu     sync.Mutex
	mended []*dir // in which something was written or looked at
	fresh  int    // how many files that were
}

// lay writes the commit's files of an index below a ground.
func (r *Repo) lay(ctx context.Context, g *ground, x *index) error {
	l := &layout{g: g, s: r.store, owner: r.o.Owner}
	if err := walk(ctx, place{d: x.root}, l.visit); err != nil {
		return err
	}
	// Nobody but this method was at work. So what was stamped longer ago than
	// the clock is coarse cannot change any more without a new stamp.
	now, err := r.clock()
	if err != nil {
		return err
	}
	for _, d := range l.mended {
		for i := range d.files {
			f := &d.files[i]
			f.racy = f.racy && f.touched(now)
		}
	}
	x.fresh += l.fresh
	x.moved = l.mended // of which a watch may not tell
	x.left = map[*dir]bool{}
	return nil
}

func (l *layout) visit(p place) ([]place, error) {
	d := p.d
	if f := d.file(".gitignore"); f != nil && (f.base.mode == modeFile || f.base.mode == modeExec) {
		text, err := l.s.blob(f.base.id)
		if err != nil {
			return nil, err
		}
		p.ignore = parseRules(p.ignore, d, text, parseIgnore)
	}
	same, err := l.same(p)
	if err == nil && !same {
		if d.parent != nil {
			err = unlock(l.g.root, d.path)
		}
		if err == nil {
			err = l.mend(p)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", dot(d), err)
	}
	d.laid(same)
	var places []place
	for _, sub := range d.dirs {
		places = append(places, place{d: sub, ignore: p.ignore, ignored: p.ignored || p.ignore.ignores(sub.path, sub.name, true)})
	}
	return places, nil
}

// laid notes that d is as the commit has it. What else was known of it is no
// longer: it has been removed, or stays because it is ignored.
func (d *dir) laid(same bool) {
	n, m := len(d.files), len(d.dirs)
	d.files = slices.DeleteFunc(d.files, func(f file) bool { return f.base.mode == 0 })
	d.dirs = slices.DeleteFunc(d.dirs, func(s *dir) bool { return s.base == none })
	for i := range d.files {
		f := &d.files[i]
		if f.state = here; f.base.mode == modeSub {
			f.state = kept
		}
	}
	d.there, d.now, d.left = true, d.base, nil
	if !same || n != len(d.files) || m != len(d.dirs) {
		d.listed = false
	}
}

// same says whether a directory is as the commit has it already, as far as can
// be told without reading or writing. What is ignored may be there as well.
func (l *layout) same(p place) (bool, error) {
	d := p.d
	h, err := l.g.dir(dot(d))
	if errors.Is(err, fs.ErrPermission) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer h.close()
	st, err := h.stamp()
	if err != nil || st.mode&0o700 != 0o700 {
		return false, err
	}
	same, found := true, 0
	err = h.names(func(raw []byte, kind uint32, _ uint64) error {
		name := string(raw)
		switch i, ok := d.place(name); {
		case !same:
		case ok && d.dirs[i].base != none:
			same = kind == syscall.S_IFDIR
			found++
		default:
			f := d.file(name)
			if f == nil || f.base.mode == 0 {
				same = kind != 0 && (p.ignored || p.ignore.ignores(d.join(name), name, kind == syscall.S_IFDIR) && !isDotGit(name))
				return nil
			}
			found++
			if f.base.mode == modeSub {
				same = kind == syscall.S_IFDIR
				return nil
			}
			st, err := h.lstat(name)
			same = err == nil && f.still(st) && f.seen == f.base && st.mode&special == 0
		}
		return nil
	})
	for i := range d.files {
		if d.files[i].base.mode != 0 {
			found--
		}
	}
	for _, sub := range d.dirs {
		if sub.base != none {
			found--
		}
	}
	return same && found == 0, err
}

// mend brings a directory to what the commit holds.
func (l *layout) mend(p place) error {
	d := p.d
	r, err := l.g.root.OpenRoot(dot(d))
	if err != nil {
		return err
	}
	defer r.Close()
	there, err := l.clear(r, p)
	if err != nil {
		return err
	}
	for i := range d.files {
		f := &d.files[i]
		if f.base.mode == 0 {
			continue
		}
		if err := l.file(r, f, there[f.name]); err != nil {
			return fmt.Errorf("%s: %w", f.name, err)
		}
	}
	for _, sub := range d.dirs {
		if sub.base == none {
			continue
		}
		if err := l.dir(r, sub.name, there[sub.name]); err != nil {
			return fmt.Errorf("%s: %w", sub.name, err)
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.mended = append(l.mended, d)
	return nil
}

// clear removes what is neither tracked nor ignored and returns the rest.
func (l *layout) clear(r *os.Root, p place) (map[string]fs.DirEntry, error) {
	es, err := list(r, ".")
	if err != nil {
		return nil, err
	}
	there := make(map[string]fs.DirEntry, len(es))
	for _, e := range es {
		there[e.Name()] = e
		if p.ignored || p.d.tracks(e.Name()) {
			continue
		}
		if _, err := prune(r, e, p.ignore, p.d.join(e.Name())); err != nil {
			return nil, fmt.Errorf("remove %s: %w", e.Name(), err)
		}
	}
	return there, nil
}

// tracks says whether the commit has anything of that name in d.
func (d *dir) tracks(name string) bool {
	if f := d.file(name); f != nil && f.base.mode != 0 {
		return true
	}
	sub := d.dir(name)
	return sub != nil && sub.base != none
}

// list returns the entries of a directory. Those below an [os.Root] carry what
// lstat said of them.
func list(r *os.Root, path string) ([]fs.DirEntry, error) {
	f, err := r.Open(path)
	if err != nil {
		return nil, err
	}
	es, err := f.ReadDir(-1)
	f.Close() // it was only read
	return es, err
}

// prune removes an untracked file or directory unless it is ignored, and of a
// directory what is not ignored in it. It says whether anything stays.
func prune(r *os.Root, e fs.DirEntry, ignore *rules, path string) (stays bool, err error) {
	name := e.Name()
	if ignore.ignores(path, name, e.IsDir()) && !isDotGit(name) {
		return true, nil
	}
	if e.IsDir() && ignore != nil {
		if err := unlock(r, name); err != nil {
			return false, err
		}
		sub, err := r.OpenRoot(name)
		if err != nil {
			return false, err
		}
		defer sub.Close()
		es, err := list(sub, ".")
		if err != nil {
			return false, err
		}
		for _, e := range es {
			s, err := prune(sub, e, ignore, path+"/"+e.Name())
			if err != nil {
				return false, err
			}
			stays = stays || s
		}
		if stays {
			return true, nil
		}
	}
	return false, remove(r, name)
}

// remove takes away whatever stands at name, also directories that were made
// unreadable.
func remove(r *os.Root, name string) error {
	err := r.RemoveAll(name)
	if !errors.Is(err, fs.ErrPermission) {
		return err
	}
	if err := unlock(r, name); err != nil {
		return err
	}
	sub, err := r.OpenRoot(name)
	if err != nil {
		return err
	}
	defer sub.Close()
	es, err := list(sub, ".")
	if err != nil {
		return err
	}
	for _, e := range es {
		if err := remove(sub, e.Name()); err != nil {
			return err
		}
	}
	return r.Remove(name)
}

// unlock makes a directory ours to read and change again.
func unlock(r *os.Root, name string) error {
	fi, err := r.Lstat(name)
	if err != nil {
		return err
	}
	if fi.IsDir() && fi.Mode()&0o700 != 0o700 {
		return r.Chmod(name, 0o755)
	}
	return nil
}

// dir makes sure that there is a real directory at name.
func (l *layout) dir(r *os.Root, name string, there fs.DirEntry) error {
	if there != nil && there.IsDir() {
		return unlock(r, name)
	}
	if there != nil {
		if err := remove(r, name); err != nil {
			return err
		}
	}
	if err := r.Mkdir(name, 0o755); err != nil {
		return err
	}
	return l.owner.give(r, name)
}

// file makes sure that what is at f's name is what the commit holds.
func (l *layout) file(r *os.Root, f *file, there fs.DirEntry) error {
	if f.base.mode == modeSub { // a submodule is an empty directory here
		return l.dir(r, f.name, there)
	}
	if there != nil {
		same, err := l.still(r, f, there)
		if same || err != nil {
			return err
		}
		if err := remove(r, f.name); err != nil {
			return err
		}
	}
	content, err := l.s.blob(f.base.id)
	if err != nil {
		return err
	}
	if err := create(r, f.name, f.base.mode, content); err != nil {
		return err
	}
	if err := l.owner.give(r, f.name); err != nil {
		return err
	}
	fi, err := r.Lstat(f.name)
	if err != nil {
		return err
	}
	l.saw(f, content, stampOf(fi))
	return nil
}

// saw notes what a file on disk is.
func (l *layout) saw(f *file, content []byte, st stamp) {
	f.seen, f.stamp, f.plain = f.base, st, plain(content)
	f.racy = true // as long as it is not known that nothing else was at work
	l.mu.Lock()
	defer l.mu.Unlock()
	l.fresh++
}

const special = syscall.S_ISUID | syscall.S_ISGID | syscall.S_ISVTX

// still says whether what is there is what the commit holds. A file that only
// looks changed is kept as it is, so that builds see no reason to start over.
func (l *layout) still(r *os.Root, f *file, there fs.DirEntry) (bool, error) {
	fi, err := there.Info()
	if err != nil {
		return false, err
	}
	st := stampOf(fi)
	if !st.isRegular() && !st.isLink() || st.mode&special != 0 || st.git() != f.base.mode {
		return false, nil
	}
	if f.still(st) {
		return f.seen == f.base, nil
	}
	b, st, err := readBelow(r, f.name)
	if err != nil || hash(plumbing.BlobObject, b) != f.base.id {
		return false, nil //nolint:nilerr // one that cannot be read is replaced
	}
	l.saw(f, b, st)
	return true, nil
}

func create(r *os.Root, name string, mode uint32, content []byte) error {
	if mode == modeLink {
		if bytes.IndexByte(content, 0) >= 0 {
			return fmt.Errorf("make the link: %w", syscall.EINVAL)
		}
		return r.Symlink(string(content), name)
	}
	perm := os.FileMode(0o644)
	if mode == modeExec {
		perm = 0o755
	}
	f, err := r.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, perm)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	return errors.Join(err, f.Close())
}

// give hands over what was made in directory r: not by its path, on which
// whoever works there could lay a link to somewhere else.
func (o *Owner) give(r *os.Root, name string) error {
	if o == nil {
		return nil
	}
	if err := r.Lchown(name, o.UID, o.GID); err != nil {
		return fmt.Errorf("hand over %s: %w", name, err)
	}
	return nil
}
