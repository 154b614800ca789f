package repo

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/go-git/go-git/v5/plumbing"

	"github.com/autonomous-loop/autonomous-loop/runner"
)

// Snapshot records the work tree as a commit on parent. The tree is the one
// that git add --all would make with parent's files tracked, but for what is
// left out; a change that is left out leaves the path as it is in parent.
//
// It may be called while others are at work in the work tree. Every file is
// then recorded as it was at some moment in between, whole, or left out if it
// never stood still.
func (r *Repo) Snapshot(ctx context.Context, parent, message string) (runner.Snapshot, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	tree, left, err := r.snapshot(ctx, parent)
	if err != nil {
		r.index = newIndex() // it may speak of objects that were not stored
		return runner.Snapshot{}, fmt.Errorf("record the work tree: %w", err)
	}
	id, err := r.commit(tree.String(), parent, message, r.o.Now())
	if err != nil {
		return runner.Snapshot{}, fmt.Errorf("record the work tree: %w", err)
	}
	patch, notes, err := r.tell(ctx, parent, tree, left)
	if err != nil {
		return runner.Snapshot{}, fmt.Errorf("record what was left out: %w", err)
	}
	return runner.Snapshot{Commit: id, Tree: tree.String(), Left: r.told(left), Patch: patch, Notes: notes}, nil
}

// Tree names what would be recorded of the work tree as it is now: the same
// name, the same files. Nothing is committed.
func (r *Repo) Tree(ctx context.Context) (string, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	tree, _, err := r.snapshot(ctx, r.laid)
	if err != nil {
		r.index = newIndex() // see Snapshot
		return "", fmt.Errorf("look at the work tree: %w", err)
	}
	return tree.String(), nil
}

// Commit records tree as a commit on parent.
func (r *Repo) Commit(ctx context.Context, tree, parent, message string, when time.Time) (string, error) {
	return r.commit(tree, parent, message, when)
}

func (r *Repo) commit(tree, parent, message string, when time.Time) (string, error) {
	t, err := parseID(tree)
	if err == nil {
		_, err = r.store.tree(t)
	}
	if err != nil {
		return "", fmt.Errorf("commit tree %s: %w", tree, err)
	}
	p, err := parseID(parent)
	if err == nil {
		_, err = r.store.commit(p)
	}
	if err != nil {
		return "", fmt.Errorf("commit on %s: %w", parent, err)
	}
	id, err := r.store.put(plumbing.CommitObject, encodeCommit(t, []oid{p}, r.o.Author, message, when))
	if err != nil {
		return "", fmt.Errorf("commit tree %s: %w", tree, err)
	}
	return id.String(), nil
}

// snapshot brings the index to what the work tree holds and stores what is new.
func (r *Repo) snapshot(ctx context.Context, parent string) (oid, []string, error) {
	tree, err := r.store.treeOf(parent)
	if err != nil {
		return none, nil, err
	}
	x := r.index
	if err := x.root.become(r.store, tree); err != nil {
		return none, nil, err
	}
	start, err := r.clock()
	if err != nil {
		return none, nil, err
	}
	root, err := os.OpenRoot(r.Work())
	if err != nil {
		return none, nil, err
	}
	defer root.Close()
	x.gen++
	s := &scan{root: root, gen: x.gen, sights: x.sights}
	if err := s.run(ctx, x); err != nil {
		return none, nil, err
	}
	const many = 30 // with the trees above them, about a hundred objects
	b := &batch{s: r.store, many: s.unread() > many}
	looked := make([]look, len(s.candidates))
	if err := each(ctx, len(looked), func(i int) (err error) {
		looked[i], err = r.look(root, b, s.candidates[i])
		return err
	}); err != nil {
		return none, nil, err
	}
	for i, l := range looked {
		if l.gone && s.candidates[i].f != nil {
			s.candidates[i].f.seen = 0
		}
	}
	s.sweep(x.root)
	for i, l := range looked {
		if c := s.candidates[i]; !l.gone {
			s.enter(c, l, start)
		}
	}
	id, err := x.root.write(b)
	if err == nil {
		err = b.done()
	}
	if err != nil {
		return none, nil, err
	}
	slices.Sort(s.left)
	return id, s.left, nil
}

// A look is what was found at a candidate's path.
type look struct {
	sight
	left string // why it is left out
	gone bool
}

// look finds out what a candidate's content is and stores it, unless it is to
// be left out.
func (r *Repo) look(root *os.Root, b *batch, c candidate) (look, error) {
	p := c.d.join(c.name)
	if c.known != nil {
		return look{sight: *c.known, left: c.refused(c.known.id, c.known.mode)}, nil
	}
	if c.stamp.size > largest {
		return look{left: fmt.Sprintf("%d MB; files over %d MB cannot be pushed", c.stamp.size>>20, largest>>20)}, nil
	}
	content, st, err := readStable(root, p)
	if errors.Is(err, fs.ErrNotExist) {
		return look{gone: true}, nil
	}
	if errors.Is(err, fs.ErrPermission) {
		return look{left: "it cannot be read"}, nil
	}
	if errors.Is(err, errBusy) {
		return look{left: errBusy.Error()}, nil
	}
	if err != nil {
		return look{}, err
	}
	l := look{sight: sight{stamp: st, mode: modeOf(st.mode), plain: !bytes.Contains(content, []byte("\r\n"))}}
	before := r.before(c)
	if l.mode != modeLink {
		content = c.attrs.normalize(p, c.name, content, before)
	}
	l.id = hash(plumbing.BlobObject, content)
	same := c.f != nil && c.f.id == l.id
	if same && c.f.mode == l.mode {
		return l, nil
	}
	l.left = c.refused(l.id, l.mode)
	if l.left == "" && l.mode == modeLink && leaves(p, string(content)) {
		l.left = "the link leads out of the tree"
	}
	if l.left == "" && !same {
		if secret := cmp.Or(r.secrets.find(content, before()), r.secrets.find([]byte(p), nil)); secret != "" {
			l.left = "it holds " + secret
		}
	}
	if l.left == "" {
		_, err = b.put(plumbing.BlobObject, content)
	}
	return l, err
}

// refused says why a change may not be made whatever it is, "" if it may.
func (c candidate) refused(id oid, mode uint32) string {
	switch {
	case c.f != nil && c.f.id == id && c.f.mode == mode:
		return ""
	case c.f != nil && c.f.mode == modeSub:
		return "a submodule's commit stays as it is recorded"
	}
	return owned(c.d.join(c.name))
}

// before returns a function that returns the content recorded for a candidate.
func (r *Repo) before(c candidate) func() []byte {
	var b []byte
	read := false
	return func() []byte {
		if !read && c.f != nil && c.f.mode != modeSub {
			b, _ = r.store.blob(c.f.id) // without it the rules are only stricter
		}
		read = true
		return b
	}
}

// enter takes what was found into the index, or notes why not.
func (s *scan) enter(c candidate, l look, start int64) {
	if l.left == "" && c.f == nil {
		l.left = c.d.admit(c.name)
	}
	p := c.d.join(c.name)
	if l.left != "" {
		s.left = append(s.left, p+": "+l.left)
		delete(s.sights, p) // it is judged again next time
		return
	}
	l.racy = l.stamp.touched(start)
	s.sights[p] = l.sight
	switch {
	case c.f == nil:
		c.d.set(c.name, &file{mode: l.mode, id: l.id, seen: s.gen})
		c.d.dirty()
	case c.f.id != l.id || c.f.mode != l.mode:
		c.f.mode, c.f.id = l.mode, l.id
		c.d.dirty()
	}
}

// admit makes room for a new file in d and attaches d. It says why not if a
// path that was kept although it was deleted stands in the way.
func (d *dir) admit(name string) string {
	const kept = "a path stands in its place that may not be deleted"
	if d.dirs[name] != nil {
		return kept
	}
	for c := d; c.parent != nil; c = c.parent {
		if c.parent.files[c.name] != nil {
			return kept
		}
	}
	for c := d; c.parent != nil; c = c.parent {
		c.parent.attach(c)
	}
	return ""
}

// clock is the time as the work tree's file system writes it, which may lag
// behind the machine's. Stamps are compared with nothing else.
func (r *Repo) clock() (int64, error) {
	name := filepath.Join(r.store.dir, "clock")
	if err := os.WriteFile(name, []byte{'\n'}, 0o600); err != nil {
		return 0, err
	}
	fi, err := os.Lstat(name)
	if err != nil {
		return 0, err
	}
	return stampOf(fi).mtime, nil
}
