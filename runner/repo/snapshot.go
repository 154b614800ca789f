package repo

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"syscall"
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
	return r.record(ctx, parent, message, false)
}

// Draft is Snapshot for work in progress, which is saved again and again: where
// it can it looks only where the kernel says that something has happened. What
// is to be judged is recorded with Snapshot.
func (r *Repo) Draft(ctx context.Context, parent, message string) (runner.Snapshot, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.record(ctx, parent, message, true)
}

func (r *Repo) record(ctx context.Context, parent, message string, quick bool) (runner.Snapshot, error) {
	var tree oid
	var left []string
	err := r.roomy(func() (err error) {
		tree, left, err = r.snapshot(ctx, parent, quick)
		return err
	})
	if err != nil {
		return runner.Snapshot{}, fmt.Errorf("record the work tree: %w", err)
	}
	id, err := r.commit(tree.String(), parent, message, r.o.Now())
	if err != nil {
		return runner.Snapshot{}, fmt.Errorf("record the work tree: %w", err)
	}
	snap := runner.Snapshot{Commit: id, Tree: tree.String()}
	if !quick { // of a draft nobody is told
		if snap.Patch, snap.Notes, err = r.tell(ctx, tree, left); err != nil {
			return runner.Snapshot{}, fmt.Errorf("record what was left out: %w", err)
		}
	}
	snap.Left = r.told(left)
	return snap, nil
}

// Tree names what would be recorded of the work tree as it is now: the same
// name, the same files. Nothing is committed. It looks as Draft does.
func (r *Repo) Tree(ctx context.Context) (string, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	tree, _, err := r.snapshot(ctx, r.laid, true)
	if err != nil {
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
func (r *Repo) snapshot(ctx context.Context, parent string, quick bool) (id oid, left []string, err error) {
	defer func() {
		if err != nil {
			r.forget() // the index may speak of objects that were not stored
		}
	}()
	tree, err := r.store.treeOf(parent)
	if err != nil {
		return none, nil, err
	}
	g, err := openGround(r.Work())
	if err != nil {
		return none, nil, err
	}
	defer g.close()
	x := r.indexed(ctx, g)
	if err := x.become(r.store, tree); err != nil {
		return none, nil, err
	}
	start, err := r.clock()
	if err != nil {
		return none, nil, err
	}
	s := &scan{g: g, x: x, start: start, keeps: g.keeps(), house: r.house}
	if err := r.scan(ctx, s, quick); err != nil {
		return none, nil, err
	}
	b := &batch{s: r.store}
	looked := make([]look, len(s.candidates))
	if err := each(ctx, len(looked), func(i int) (err error) {
		looked[i], err = r.look(g, b, s.candidates[i])
		return err
	}); err != nil {
		return none, nil, err
	}
	s.settle(looked)
	if id, err = x.root.write(b); err == nil {
		err = b.done()
	}
	if err != nil {
		return none, nil, err
	}
	x.moved = nil
	r.remember(g)
	if r.watch != nil {
		r.watch.ready()
	}
	return id, x.omitted(), nil
}

// scan goes over the work tree, or over what of it must have changed.
func (r *Repo) scan(ctx context.Context, s *scan, quick bool) error {
	if quick && r.watch == nil && s.keeps {
		r.watch = newWatch()
	}
	if s.watch = r.watch; s.watch == nil {
		return s.run(ctx)
	}
	hot, ok := s.watch.heard()
	const many = 500 // by one after the other it takes longer than by going over everything
	if !quick || !ok || len(hot)+len(s.x.moved) > many {
		return s.run(ctx)
	}
	hot = append(hot, s.x.moved...)
	for _, more := range []map[*dir]bool{s.x.left, s.x.linked} {
		maps.DeleteFunc(more, func(d *dir, _ bool) bool { return !d.attached(s.x.root) && len(d.left) == 0 })
		hot = slices.AppendSeq(hot, maps.Keys(more))
	}
	return s.some(ctx, hot)
}

// forget drops what is known of the work tree.
func (r *Repo) forget() {
	r.index = nil
	if r.watch != nil {
		r.watch.close()
		r.watch = nil
	}
}

// settle takes what was found into the index.
func (s *scan) settle(looked []look) {
	for i, l := range looked {
		if c := &s.candidates[i]; l.gone {
			f := c.d.file(c.name)
			f.forget()
			f.state = gone
			s.changed = append(s.changed, c.d)
		}
	}
	for _, d := range s.changed {
		d.dirty()
	}
	for _, d := range s.changed {
		d.shrink()
	}
	for i, l := range looked {
		if !l.gone {
			s.enter(s.candidates[i], l)
		}
	}
	for _, d := range s.changed { // new files that were left out
		d.shrink()
	}
	for _, d := range s.left {
		s.x.left[d] = true
	}
	s.x.fresh += s.listed
	for _, d := range s.linked {
		s.x.linked[d] = true
	}
}

// omitted lists what was left out, sorted.
func (x *index) omitted() []string {
	var all []string
	for d := range x.left {
		if len(d.left) == 0 {
			delete(x.left, d)
		}
		all = append(all, d.left...)
	}
	slices.Sort(all)
	return all
}

// A look is what was found at a candidate's path.
type look struct {
	seen  thing
	stamp stamp
	plain bool
	left  string // why it is left out
	gone  bool
	known bool // it was not read again
}

// look finds out what a candidate's content is and stores it, unless it is to
// be left out.
func (r *Repo) look(g *ground, b *batch, c candidate) (look, error) {
	p := c.d.join(c.name)
	if k := c.known; k != nil && r.store.has(k.seen.id) {
		return look{seen: k.seen, stamp: k.stamp, plain: true, known: true, left: r.refused(c, k.seen)}, nil
	}
	if c.stamp.size > largest {
		return look{left: fmt.Sprintf("%d MB; files over %d MB cannot be pushed", c.stamp.size>>20, largest>>20)}, nil
	}
	content, st, err := g.read(p)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
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
	l := look{stamp: st, plain: plain(content)}
	l.seen.mode = st.git()
	before := r.before(c)
	if l.seen.mode != modeLink {
		raw := len(content)
		content = c.attrs.normalize(p, c.name, content, before)
		l.plain = l.plain && len(content) == raw
	}
	l.seen.id = hash(plumbing.BlobObject, content)
	if l.seen == c.base {
		return l, nil
	}
	l.left = r.refused(c, l.seen)
	if l.left == "" && l.seen.mode == modeLink && leaves(p, string(content)) {
		l.left = "the link leads out of the tree"
	}
	if l.left == "" && l.seen.id != c.base.id {
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
func (r *Repo) refused(c candidate, seen thing) string {
	switch {
	case seen == c.base:
		return ""
	case c.base.mode == modeSub:
		return "a submodule's commit stays as it is recorded"
	}
	p := c.d.join(c.name)
	return cmp.Or(owned(p), r.barred[change{p, seen}])
}

// before returns a function that returns the content recorded for a candidate.
func (r *Repo) before(c candidate) func() []byte {
	var b []byte
	read := false
	return func() []byte {
		if !read && c.base.mode != 0 && c.base.mode != modeSub {
			b, _ = r.store.blob(c.base.id) // without it the rules are only stricter
		}
		read = true
		return b
	}
}

// enter takes what was found into the index, or notes why not.
func (s *scan) enter(c candidate, l look) {
	f := c.d.file(c.name)
	was := f.now()
	if l.left == "" && c.base.mode == 0 && was.mode == 0 && c.d.blocked(c.name) {
		l.left = "a path stands in its place that may not be deleted"
	}
	if l.left != "" {
		f.forget() // it is judged again next time
		if f.state = kept; c.base.mode == 0 {
			f.state = gone
			s.changed = append(s.changed, c.d)
		}
		s.leave(c.d, c.d.join(c.name)+": "+l.left)
	} else {
		f.seen, f.stamp, f.plain, f.racy, f.state = l.seen, l.stamp, l.plain, l.stamp.touched(s.start), here
		if !l.known {
			s.x.fresh++
		}
	}
	if f.now() != was {
		c.d.dirty()
	}
}

// blocked says whether a path that was kept although it was deleted stands in
// the way of a new file.
func (d *dir) blocked(name string) bool {
	if sub := d.dir(name); sub != nil && sub.holds() {
		return true
	}
	for c := d; c.parent != nil; c = c.parent {
		if f := c.parent.file(c.name); f != nil && f.now().mode != 0 {
			return true
		}
	}
	return false
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
