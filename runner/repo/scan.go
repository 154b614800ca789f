package repo

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"sync"
	"syscall"

	"github.com/go-git/go-git/v5/plumbing"
)

// A candidate is a path whose content must be looked at.
type candidate struct {
	d     *dir
	name  string
	base  thing // what the commit holds
	stamp stamp
	attrs *rules
	known *file // what the content is, if it was seen before
}

// A scan goes over a work tree and finds what differs from the index, without
// reading more than names and stamps. Directories are opened below the ground
// and never through a link.
type scan struct {
	g     *ground
	x     *index
	start int64 // what is stamped later may have been changed since it was looked at
	keeps bool  // the stamps of directories tell of their names
	lists bool  // every directory is listed, whatever its stamp says
	watch *watch
	house *rules
	only  bool // just the directories that were asked for, and new ones

	mu sync.Mutex
	found
}

// What was found in some directories.
type found struct {
	candidates []candidate
	changed    []*dir // something in them is to be recorded in another way
	left       []*dir // something in them was left out
	linked     []*dir // a file in them has another name, maybe elsewhere
	listed     int    // how many need not be listed again
}

func (o *found) add(more found) {
	o.candidates = append(o.candidates, more.candidates...)
	o.changed = append(o.changed, more.changed...)
	o.left = append(o.left, more.left...)
	o.linked = append(o.linked, more.linked...)
	o.listed += more.listed
}

// A place is a directory to be scanned.
type place struct {
	d       *dir
	ignore  *rules
	attrs   *rules
	ignored bool // it is, or a directory above it: only tracked files count
	anew    bool // the rules above it have changed: its names must be judged again
}

func (s *scan) run(ctx context.Context) error {
	return walk(ctx, place{d: s.x.root, ignore: s.house}, s.visit)
}

// some scans these directories, and below them the ones that are new, or that
// other rules hold for now.
func (s *scan) some(ctx context.Context, dirs []*dir) error {
	s.only = true
	slices.SortFunc(dirs, func(a, b *dir) int { return len(a.path) - len(b.path) }) // those above first
	done := map[*dir]bool{}
	for _, d := range dirs {
		if done[d] || !d.attached(s.x.root) {
			continue
		}
		p := place{d: d, ignore: s.house, ignored: d.ignored}
		if d.parent != nil {
			p.ignore, p.attrs = d.parent.ignore, d.parent.attrs
		}
		for todo := []place{p}; len(todo) > 0; {
			p, todo = todo[len(todo)-1], todo[:len(todo)-1]
			if err := ctx.Err(); err != nil {
				return err
			}
			more, err := s.visit(p)
			if err != nil {
				return err
			}
			done[p.d] = true
			todo = append(todo, more...)
		}
	}
	return nil
}

// attached says whether d is still a directory of the tree.
func (d *dir) attached(root *dir) bool {
	for ; d.parent != nil; d = d.parent {
		if !d.there || d.parent.dir(d.name) != d {
			return false
		}
	}
	return d == root
}

func (s *scan) visit(p place) ([]place, error) {
	var o found
	places, err := o.visit(s, p)
	if err != nil {
		return nil, fmt.Errorf("scan %s: %w", dot(p.d), err)
	}
	if len(o.candidates)+len(o.changed)+len(o.left)+len(o.linked)+o.listed > 0 {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.add(o)
	}
	return places, nil
}

func (o *found) visit(s *scan, p place) ([]place, error) {
	d := p.d
	h, err := s.g.dir(dot(d))
	switch {
	case d.parent == nil && err != nil:
		return nil, err
	case errors.Is(err, fs.ErrPermission):
		o.lock(d)
		return nil, nil
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ENOTDIR), errors.Is(err, syscall.ELOOP):
		o.vanish(d) // since it was listed
		return nil, nil
	case err != nil:
		return nil, err
	}
	defer h.close()
	st, err := h.stamp()
	if err != nil {
		return nil, err
	}
	if s.watch != nil {
		s.watch.set(d, h, st)
	}
	d.there, d.ignored = true, p.ignored
	if !s.lists && !s.only && !p.anew && d.listed && d.stamp == st {
		changed := false
		if d.ruling != nil {
			if changed, err = d.rule(s, h, d.ruling.ignore.id != none, d.ruling.attrs.id != none); err != nil {
				return nil, err
			}
		}
		if !changed {
			p.within()
			return o.known(h, p)
		}
		p.anew = true
	}
	d.stamp, d.listed, d.left = st, s.keeps && !st.touched(s.start), nil
	places, err := o.list(s, h, p)
	if d.listed {
		o.listed++
	}
	switch {
	case d.parent == nil || err == nil:
		return places, err
	case errors.Is(err, fs.ErrPermission):
		*o = found{}
		o.lock(d)
	case errors.Is(err, fs.ErrNotExist): // since it was opened
		*o = found{}
		o.vanish(d)
	default:
		return nil, err
	}
	return nil, nil
}

// lock leaves a directory as the commit has it because it cannot be read.
func (o *found) lock(d *dir) {
	o.keep(d)
	d.there = true
	o.leave(d, d.path+": it cannot be read")
}

// within adds what d itself says to the rules for what is in it.
func (p *place) within() {
	d := p.d
	d.ignore, d.attrs = p.ignore, p.attrs
	if r := d.ruling; r != nil {
		d.ignore, d.attrs = r.ignore.under(d, p.ignore), r.attrs.under(d, p.attrs)
	}
	p.ignore, p.attrs = d.ignore, d.attrs
}

// known looks at the files of a directory that holds the same names as before.
func (o *found) known(h handle, p place) ([]place, error) {
	d := p.d
	for i := range d.files {
		f := &d.files[i]
		if f.state == kept && f.base.mode == modeSub {
			continue
		}
		st, err := h.lstat(f.name)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("%s: %w", f.name, err)
		}
		if err == nil && (st.isRegular() || st.isLink()) {
			o.file(p, f, st)
		} else if f.state != gone {
			o.lose(d, f)
		}
	}
	var places []place
	for _, sub := range d.dirs {
		if sub.there {
			places = append(places, place{d: sub, ignore: p.ignore, attrs: p.attrs, ignored: sub.ignored})
		}
	}
	return places, nil
}

// A dirent is an entry of a directory that has no record.
type dirent struct {
	name string
	kind uint32
}

// list looks at everything in a directory.
func (o *found) list(s *scan, h handle, p place) ([]place, error) {
	d := p.d
	var fresh, odd []dirent
	var files []int // those that are there, by their place in d.files
	subs := make([]bool, len(d.dirs))
	ignores, attrs := false, false
	err := h.names(func(raw []byte, kind uint32, ino uint64) error {
		if kind == 0 {
			st, err := h.lstat(string(raw))
			if errors.Is(err, fs.ErrNotExist) {
				return nil
			}
			if err != nil {
				return fmt.Errorf("%s: %w", raw, err)
			}
			kind = st.kind()
		}
		if mayBeDotGit(raw) && isDotGit(string(raw)) {
			odd = append(odd, dirent{string(raw), kind})
			return nil
		}
		switch kind {
		case syscall.S_IFDIR:
			i, ok := d.place(string(raw))
			if f := d.file(string(raw)); ok && (f == nil || f.base.mode != modeSub) {
				subs[i] = true
			} else {
				fresh = append(fresh, dirent{string(raw), kind})
			}
		case syscall.S_IFREG, syscall.S_IFLNK: // git knows no devices, pipes and sockets
			ignores = ignores || string(raw) == ".gitignore" && kind == syscall.S_IFREG // git follows no link here
			attrs = attrs || string(raw) == ".gitattributes" && kind == syscall.S_IFREG
			if i, ok := slices.BinarySearchFunc(d.files, raw, func(f file, raw []byte) int { return compareBytes(f.name, raw) }); ok {
				files = append(files, i)
			} else {
				fresh = append(fresh, dirent{string(raw), kind})
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if ignores || attrs || d.ruling != nil { // before any name is judged
		changed, err := d.rule(s, h, ignores, attrs)
		if err != nil {
			return nil, err
		}
		p.anew = p.anew || changed
	}
	p.within()
	for _, n := range odd {
		if !p.ignored {
			o.leave(d, d.join(n.name)+": a nested repository; the files beside it are taken as they are")
		}
	}
	seen := make([]bool, len(d.files))
	for _, i := range files {
		f := &d.files[i]
		if f.base.mode == 0 && (p.ignored || p.ignore.ignores(d.join(f.name), f.name, false)) {
			continue
		}
		st, err := h.lstat(f.name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", f.name, err)
		}
		if seen[i] = st.isRegular() || st.isLink(); seen[i] {
			o.file(p, f, st)
		}
	}
	// A name may be listed twice while others are being moved.
	slices.SortFunc(fresh, func(a, b dirent) int { return strings.Compare(a.name, b.name) })
	fresh = slices.CompactFunc(fresh, func(a, b dirent) bool { return a.name == b.name })
	for i := range d.files {
		f := &d.files[i]
		if !seen[i] && !(f.base.mode == modeSub && slices.Contains(fresh, dirent{f.name, syscall.S_IFDIR})) {
			o.lose(d, f)
		}
	}
	var places []place
	for i, sub := range d.dirs {
		if !subs[i] {
			o.vanish(sub)
			continue
		}
		places = o.dir(s, h, p, sub, places)
	}
	return o.fresh(h, p, fresh, places)
}

// dir finds out what is to be done about a directory that has a record.
func (o *found) dir(s *scan, h handle, p place, sub *dir, places []place) []place {
	rule := p.ignore.decides(sub.path, sub.name, true)
	ignored := p.ignored || rule != nil && !rule.negative && (rule.what == "" || sub.base == none)
	if ignored && sub.base == none {
		if why := p.ignore.wrote(h, sub.path, sub.name, true); why != "" && !p.ignored {
			o.leave(p.d, sub.path+": "+why)
		}
		o.vanish(sub) // as far as anybody is concerned
		return places
	}
	if s.only && !p.anew && sub.there && sub.watched != 0 { // then its watch would have told, if it is the same
		if st, err := h.lstat(sub.name); err == nil && st.isDir() && st.ino == sub.stamp.ino && st.dev == sub.stamp.dev {
			return places
		}
	}
	return append(places, place{d: sub, ignore: p.ignore, attrs: p.attrs, ignored: ignored, anew: p.anew})
}

// fresh takes in the names without a record.
func (o *found) fresh(h handle, p place, names []dirent, places []place) ([]place, error) {
	d := p.d
	added := false
	for _, n := range names {
		f := d.file(n.name)
		isDir := n.kind == syscall.S_IFDIR
		if !p.ignored && (f == nil || f.base.mode == 0) {
			if why := p.ignore.wrote(h, d.join(n.name), n.name, isDir); why != "" {
				o.leave(d, d.join(n.name)+": "+why)
				continue
			}
		}
		switch {
		case n.kind == syscall.S_IFDIR && f != nil && f.base.mode == modeSub:
			if f.state != kept { // its work tree is not looked at
				f.state = kept
				o.changed = append(o.changed, d)
			}
		case p.ignored || p.ignore.ignores(d.join(n.name), n.name, n.kind == syscall.S_IFDIR):
		case n.kind == syscall.S_IFDIR:
			places = append(places, place{d: d.sub(n.name), ignore: p.ignore, attrs: p.attrs, anew: true})
		default:
			st, err := h.lstat(n.name)
			if errors.Is(err, fs.ErrNotExist) {
				continue
			}
			if err != nil {
				return nil, fmt.Errorf("%s: %w", n.name, err)
			}
			if st.isRegular() || st.isLink() {
				d.files = append(d.files, file{name: n.name})
				o.candidates = append(o.candidates, candidate{d: d, name: n.name, stamp: st, attrs: p.attrs})
				if st.links > 1 {
					o.linked = append(o.linked, d)
				}
				added = true
			}
		}
	}
	if added {
		slices.SortStableFunc(d.files, func(a, b file) int { return strings.Compare(a.name, b.name) })
		o.changed = append(o.changed, d)
	}
	return places, nil
}

// file decides about a file that is there and has a record.
func (o *found) file(p place, f *file, st stamp) {
	if st.links > 1 {
		o.linked = append(o.linked, p.d)
	}
	ok := f.still(st)
	switch {
	case ok && f.state == here:
	case ok && f.seen == f.base:
		f.state = here
		o.changed = append(o.changed, p.d)
	default:
		c := candidate{d: p.d, name: f.name, base: f.base, stamp: st, attrs: p.attrs}
		if ok && f.plain {
			known := *f
			c.known = &known
		}
		o.candidates = append(o.candidates, c)
	}
}

// lose decides about a file that is not there: it is to be deleted, unless that
// is not the agent's to do.
func (o *found) lose(d *dir, f *file) {
	was := f.now()
	f.forget()
	f.state = gone
	if f.base.mode != 0 {
		why := owned(d.join(f.name))
		if f.base.mode == modeSub {
			why = "a submodule's commit stays as it is recorded"
		}
		if why != "" {
			f.state = kept
			o.leave(d, d.join(f.name)+": deleted; "+why)
		}
	}
	if f.now() != was || f.base.mode == 0 {
		o.changed = append(o.changed, d)
	}
}

// vanish decides about a directory that is not there.
func (o *found) vanish(d *dir) {
	if d.there || d.base == none {
		o.changed = append(o.changed, d)
	}
	d.there, d.listed, d.left, d.ruling = false, false, nil, nil
	for i := range d.files {
		o.lose(d, &d.files[i])
	}
	for _, sub := range d.dirs {
		o.vanish(sub)
	}
}

// keep leaves what the commit holds in a directory as it is.
func (o *found) keep(d *dir) {
	d.listed, d.left, d.ruling = false, nil, nil
	for i := range d.files {
		f := &d.files[i]
		f.forget()
		if f.state = kept; f.base.mode == 0 {
			f.state = gone
		}
	}
	for _, sub := range d.dirs {
		o.keep(sub)
	}
	o.changed = append(o.changed, d)
}

// leave notes what was left out of d, which is looked at again each time.
func (o *found) leave(d *dir, what string) {
	if d.left == nil {
		o.left = append(o.left, d)
	}
	d.left, d.listed = append(d.left, what), false
}

// A ruling is what the rule files of a directory say.
type ruling struct{ ignore, attrs ruleFile }

type ruleFile struct {
	stamp    stamp
	id       oid // of its text; none: there is no such file
	racy     bool
	read     bool
	patterns []pattern
}

// rule reads the rule files of d, if they are not known. It says whether they
// say something else now.
func (d *dir) rule(s *scan, h handle, ignore, attrs bool) (changed bool, err error) {
	if d.ruling == nil {
		d.ruling = &ruling{}
	}
	r := d.ruling
	if changed, err = r.ignore.refresh(s, d, h, ignore, ".gitignore", parseIgnore); err == nil {
		var also bool
		also, err = r.attrs.refresh(s, d, h, attrs, ".gitattributes", parseAttrs)
		changed = changed || also // for those below, which have their rules from here
	}
	if r.ignore.id == none && r.attrs.id == none {
		d.ruling = nil
	}
	return changed, err
}

func (r *ruleFile) refresh(s *scan, d *dir, h handle, there bool, name string, parse func(string) (pattern, bool)) (changed bool, err error) {
	was := r.id
	if !there {
		*r = ruleFile{}
		return was != none, nil
	}
	st, err := h.lstat(name)
	if err == nil && r.read && r.stamp == st && !r.racy {
		return false, nil
	}
	var text []byte
	if err == nil {
		text, st, err = s.g.read(d.join(name))
	}
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) || err == nil && !st.isRegular() {
		*r = ruleFile{}
		return was != none, nil
	}
	if err != nil {
		return false, err
	}
	*r = ruleFile{stamp: st, id: hash(plumbing.BlobObject, text), racy: st.touched(s.start), read: true}
	r.patterns = parsePatterns(text, parse)
	return was != r.id, nil
}

// under are the patterns with those of the directories above.
func (r *ruleFile) under(d *dir, above *rules) *rules {
	if len(r.patterns) == 0 {
		return above
	}
	return &rules{parent: above, base: d.inner(), patterns: r.patterns}
}

// inner is what the paths in d begin with.
func (d *dir) inner() string {
	if d.path == "" {
		return ""
	}
	return d.path + "/"
}

func compareBytes(a string, b []byte) int {
	switch {
	case a == string(b):
		return 0
	case a < string(b):
		return -1
	}
	return 1
}
