package repo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"syscall"
)

// A candidate is a path whose content must be looked at.
type candidate struct {
	d     *dir
	name  string
	f     *file // nil: not tracked yet
	stamp stamp
	attrs *rules
	known *sight // what the content is, if it was seen before
}

// A scan goes over a work tree and finds what differs from the index, without
// reading more than names and stamps. Directories are opened below the root
// and never through a link that leads out of it.
type scan struct {
	root   *os.Root
	start  int64 // by the clock of the file system
	gen    int
	sights map[string]sight // only read while the scan runs

	mu         sync.Mutex
	candidates []candidate
	left       []string // paths left out, each with its reason
}

// A place is a directory to be scanned.
type place struct {
	d       *dir
	stamp   stamp // of the directory, from before it is listed
	ignore  *rules
	attrs   *rules
	ignored bool // it is, or a directory above it: only tracked files count
}

func (s *scan) run(ctx context.Context, x *index) error {
	fi, err := s.root.Stat(".")
	if err != nil {
		return err
	}
	return walk(ctx, place{d: x.root, stamp: stampOf(fi)}, s.visit)
}

// A listing is what a directory held when it had this stamp. While it has that
// stamp it holds the same names, and only they need be looked at.
type listing struct {
	stamp stamp
	names []string
}

// list returns what stands in a directory. One whose stamp is too young to tell
// a later change is listed again the next time.
func (s *scan) list(p place) ([]item, error) {
	d := p.d
	if d.listed.stamp == p.stamp {
		if es, err := lookAt(filepath.Join(s.root.Name(), d.path), d.listed.names); err == nil {
			return es, nil
		} // such as a path that is too long
	}
	es, err := list(s.root, dot(d))
	if err != nil || p.stamp.touched(s.start) {
		return es, err
	}
	d.listed = listing{p.stamp, make([]string, len(es))}
	for i, e := range es {
		d.listed.names[i] = e.name
	}
	return es, nil
}

func (s *scan) visit(p place) ([]place, error) {
	d := p.d
	es, err := s.list(p)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
		return nil, nil // gone since it was listed
	}
	if errors.Is(err, fs.ErrPermission) && d.parent != nil {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.left = append(s.left, d.path+": it cannot be read")
		d.see(s.gen)
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("scan %s: %w", dot(d), err)
	}
	for _, e := range es { // before any name is judged
		parse, to := parseIgnore, &p.ignore
		if e.name == ".gitattributes" {
			parse, to = parseAttrs, &p.attrs
		} else if e.name != ".gitignore" {
			continue
		}
		if !e.isRegular() { // git follows no link here
			continue
		}
		text, _, err := readStable(s.root, d.join(e.name))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("scan: %w", err)
		}
		*to = parseRules(*to, d, text, parse)
	}
	var found found
	for i := range es {
		found.entry(s, p, &es[i])
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.candidates = append(s.candidates, found.candidates...)
	s.left = append(s.left, found.left...)
	return found.places, nil
}

// see keeps all that is tracked in d, as it is.
func (d *dir) see(gen int) {
	for _, f := range d.files {
		f.seen = gen
	}
	for _, sub := range d.dirs {
		sub.see(gen)
	}
}

// What one directory holds.
type found struct {
	places     []place
	candidates []candidate
	left       []string
	path       []byte // room for one
}

func (o *found) entry(s *scan, p place, e *item) {
	d, name := p.d, e.name
	if isDotGit(name) {
		if !p.ignored {
			o.left = append(o.left, d.join(name)+": a nested repository; the files beside it are taken as they are")
		}
		return
	}
	f := d.files[name]
	switch {
	case e.isDir() && f != nil && f.mode == modeSub:
		f.seen = s.gen // its work tree is not looked at
	case e.isDir():
		ignored := p.ignored || p.ignore.ignores(d.join(name), name, true)
		if _, tracked := d.dirs[name]; !tracked && ignored {
			return
		}
		o.places = append(o.places, place{d: d.sub(name), stamp: e.stamp, ignore: p.ignore, attrs: p.attrs, ignored: ignored})
	case !e.isRegular() && !e.isLink(): // git knows no devices, pipes and sockets
	case f == nil && (p.ignored || p.ignore.ignores(d.join(name), name, false)):
	default:
		// Most files end here, so their paths are put together in one place.
		o.path = append(o.path[:0], d.path...)
		if d.path != "" {
			o.path = append(o.path, '/')
		}
		seen, ok := s.sights[string(append(o.path, name...))]
		ok = ok && seen.still(e.stamp)
		if f != nil {
			f.seen = s.gen
			if ok && seen.id == f.id && seen.mode == f.mode {
				return
			}
		}
		c := candidate{d: d, name: name, f: f, stamp: e.stamp, attrs: p.attrs}
		if ok && seen.plain {
			known := seen // a copy, so that the others need no memory
			c.known = &known
		}
		o.candidates = append(o.candidates, c)
	}
}

// unread is how many candidates have to be read.
func (s *scan) unread() (n int) {
	for _, c := range s.candidates {
		if c.known == nil {
			n++
		}
	}
	return n
}

// sweep takes the tracked files out of the index that the scan has not seen,
// but those that are not the agent's to delete.
func (s *scan) sweep(d *dir) {
	for name, f := range d.files {
		if f.seen == s.gen {
			continue
		}
		why := owned(d.join(name))
		if f.mode == modeSub {
			why = "a submodule's commit stays as it is recorded"
		}
		if why != "" {
			s.left = append(s.left, fmt.Sprintf("%s: deleted; %s", d.join(name), why))
			f.seen = s.gen
			continue
		}
		delete(d.files, name)
		d.dirty()
	}
	for name, sub := range d.dirs {
		s.sweep(sub)
		if len(sub.files)+len(sub.dirs) == 0 {
			delete(d.dirs, name)
			d.dirty()
		}
	}
}

// dot is d's path for [os.Root].
func dot(d *dir) string {
	if d.path == "" {
		return "."
	}
	return d.path
}

// readStable reads a regular file, or the target of a link, whose stamp is the
// same before and after. It waits for nothing: a pipe in the place of a file
// is an error.
func readStable(r *os.Root, name string) ([]byte, stamp, error) {
	for range 3 {
		fi, err := r.Lstat(name)
		if err != nil {
			return nil, stamp{}, err
		}
		var b []byte
		if fi.Mode()&os.ModeSymlink != 0 {
			var target string
			target, err = r.Readlink(name)
			b = []byte(target)
		} else {
			b, err = readFile(r, name, fi)
		}
		if err != nil {
			return nil, stamp{}, err
		}
		after, err := r.Lstat(name)
		if err != nil {
			return nil, stamp{}, err
		}
		if st := stampOf(after); st == stampOf(fi) && int64(len(b)) == st.size {
			return b, st, nil
		}
	}
	return nil, stamp{}, fmt.Errorf("%s: changed while it was read; is a process still at work on it?", name)
}

func readFile(r *os.Root, name string, want os.FileInfo) ([]byte, error) {
	f, err := r.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	fi, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !fi.Mode().IsRegular() || !os.SameFile(fi, want) {
		return nil, fmt.Errorf("%s: changed while it was read", name)
	}
	// One byte more than it should be: whether it has grown is seen then.
	b := make([]byte, fi.Size()+1)
	n, err := io.ReadFull(f, b)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return nil, err
	}
	return b[:n], nil
}
