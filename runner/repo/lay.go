package repo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
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
	err := r.restore(ctx, commit)
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
	if err := r.index.root.become(r.store, tree); err != nil {
		return err
	}
	laid, err := r.lay(ctx, r.Work(), r.index)
	if err != nil {
		return err
	}
	// Nobody but this method was at work. So what was stamped longer ago than
	// the clock is coarse cannot change any more without a new stamp.
	now, err := r.clock()
	if err != nil {
		return err
	}
	for path, s := range laid {
		s.racy = s.stamp.touched(now)
		r.index.sights[path] = s
	}
	return nil
}

// Export writes the files of a commit or tree below dir, which is empty.
func (r *Repo) Export(ctx context.Context, commit, dir string) error {
	tree, err := r.store.treeOf(commit)
	if err == nil {
		x := newIndex()
		if err = x.root.become(r.store, tree); err == nil {
			_, err = r.lay(ctx, dir, x)
		}
	}
	if err != nil {
		return fmt.Errorf("export %s: %w", commit, err)
	}
	return nil
}

// A layout writes an index's files below a directory. Directories are opened
// one by one below the root; what stands in the place of one, such as a link
// that the agent planted, is removed first and never followed.
type layout struct {
	root   *os.Root
	s      *store
	owner  *Owner // may be nil
	sights map[string]sight

	mu  sync.Mutex
	now map[string]sight // what was written or looked at
}

// lay writes the files of an index below the directory at path. It returns what
// it has seen anew of them.
func (r *Repo) lay(ctx context.Context, path string, x *index) (map[string]sight, error) {
	root, err := os.OpenRoot(path)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	l := &layout{root: root, s: r.store, owner: r.o.Owner, sights: x.sights, now: map[string]sight{}}
	err = walk(ctx, place{d: x.root}, l.visit)
	return l.now, err
}

func (l *layout) visit(p place) ([]place, error) {
	d := p.d
	r, err := l.root.OpenRoot(dot(d))
	if err != nil {
		return nil, err
	}
	defer r.Close()
	if f := d.files[".gitignore"]; f != nil && (f.mode == modeFile || f.mode == modeExec) {
		text, err := l.s.blob(f.id)
		if err != nil {
			return nil, err
		}
		p.ignore = parseRules(p.ignore, d, text, parseIgnore)
	}
	there, err := l.clear(r, p)
	if err != nil {
		return nil, err
	}
	for name, f := range d.files {
		if err := l.file(r, d, name, f, there[name]); err != nil {
			return nil, fmt.Errorf("%s: %w", d.join(name), err)
		}
	}
	var places []place
	for name, sub := range d.dirs {
		if err := l.dir(r, name, there[name]); err != nil {
			return nil, fmt.Errorf("%s: %w", sub.path, err)
		}
		places = append(places, place{d: sub, ignore: p.ignore, ignored: p.ignored || p.ignore.ignores(sub.path, name, true)})
	}
	return places, nil
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
		if p.d.files[e.Name()] != nil || p.d.dirs[e.Name()] != nil || p.ignored {
			continue
		}
		if _, err := prune(r, e, p.ignore, p.d.join(e.Name())); err != nil {
			return nil, fmt.Errorf("remove %s: %w", p.d.join(e.Name()), err)
		}
	}
	return there, nil
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

// file makes sure that what is at name is f.
func (l *layout) file(r *os.Root, d *dir, name string, f *file, there fs.DirEntry) error {
	if f.mode == modeSub { // a submodule is an empty directory here
		return l.dir(r, name, there)
	}
	if there != nil {
		same, err := l.same(r, d.join(name), f, there)
		if same || err != nil {
			return err
		}
		if err := remove(r, name); err != nil {
			return err
		}
	}
	content, err := l.s.blob(f.id)
	if err != nil {
		return err
	}
	if err := create(r, name, f.mode, content); err != nil {
		return err
	}
	if err := l.owner.give(r, name); err != nil {
		return err
	}
	fi, err := r.Lstat(name)
	if err != nil {
		return err
	}
	l.saw(d.join(name), f, content, stampOf(fi))
	return nil
}

// saw notes what a file on disk is.
func (l *layout) saw(path string, f *file, content []byte, st stamp) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.now[path] = sight{stamp: st, mode: f.mode, id: f.id, plain: !bytes.Contains(content, []byte("\r\n"))}
}

// same says whether f is what is there already. A file that only looks changed
// is kept as it is, so that builds see no reason to start over.
func (l *layout) same(r *os.Root, path string, f *file, there fs.DirEntry) (bool, error) {
	fi, err := there.Info()
	if err != nil {
		return false, err
	}
	const special = os.ModeSetuid | os.ModeSetgid | os.ModeSticky
	if !fi.Mode().IsRegular() && fi.Mode().Type() != os.ModeSymlink || fi.Mode()&special != 0 || modeOf(fi.Mode()) != f.mode {
		return false, nil
	}
	if s, ok := l.sights[path]; ok && s.still(stampOf(fi)) {
		return s.id == f.id && s.mode == f.mode, nil
	}
	b, st, err := readStable(r, there.Name())
	if err != nil || hash(plumbing.BlobObject, b) != f.id {
		return false, nil //nolint:nilerr // one that cannot be read is replaced
	}
	l.saw(path, f, b, st)
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
