package repo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
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
	gen    int
	sights map[string]sight // only read while the scan runs

	mu         sync.Mutex
	candidates []candidate
	left       []string // paths left out, each with its reason
}

// A place is a directory to be scanned.
type place struct {
	d       *dir
	ignore  *rules
	attrs   *rules
	ignored bool // it is, or a directory above it: only tracked files count
}

func (s *scan) run(ctx context.Context, x *index) error {
	return walk(ctx, place{d: x.root}, s.visit)
}

func (s *scan) visit(p place) ([]place, error) {
	d := p.d
	es, err := list(s.root, dot(d))
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
		if e.Name() == ".gitattributes" {
			parse, to = parseAttrs, &p.attrs
		} else if e.Name() != ".gitignore" {
			continue
		}
		if !e.Type().IsRegular() { // git follows no link here
			continue
		}
		text, _, err := readStable(s.root, d.join(e.Name()))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("scan: %w", err)
		}
		*to = parseRules(*to, d, text, parse)
	}
	var found found
	for _, e := range es {
		if err := found.entry(s, p, e); err != nil {
			return nil, err
		}
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
}

func (o *found) entry(s *scan, p place, e fs.DirEntry) error {
	d, name := p.d, e.Name()
	if isDotGit(name) {
		if !p.ignored {
			o.left = append(o.left, d.join(name)+": a nested repository; the files beside it are taken as they are")
		}
		return nil
	}
	f := d.files[name]
	switch {
	case e.IsDir() && f != nil && f.mode == modeSub:
		f.seen = s.gen // its work tree is not looked at
	case e.IsDir():
		ignored := p.ignored || p.ignore.ignores(d.join(name), name, true)
		if _, tracked := d.dirs[name]; !tracked && ignored {
			return nil
		}
		o.places = append(o.places, place{d: d.sub(name), ignore: p.ignore, attrs: p.attrs, ignored: ignored})
	case !e.Type().IsRegular() && e.Type() != os.ModeSymlink: // git knows no devices, pipes and sockets
	case f == nil && (p.ignored || p.ignore.ignores(d.join(name), name, false)):
	default:
		fi, err := e.Info()
		if err != nil {
			return fmt.Errorf("scan %s: %w", d.join(name), err)
		}
		c := candidate{d: d, name: name, f: f, stamp: stampOf(fi), attrs: p.attrs}
		seen, ok := s.sights[d.join(name)]
		ok = ok && seen.still(c.stamp)
		if f != nil {
			f.seen = s.gen
			if ok && seen.id == f.id && seen.mode == f.mode {
				return nil
			}
		}
		if ok && seen.plain {
			c.known = &seen
		}
		o.candidates = append(o.candidates, c)
	}
	return nil
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

// errBusy says that a file never stood still while it was read.
var errBusy = errors.New("it was written all the while; is a process still at work on it?")

// readStable reads a regular file, or the target of a link, whose stamp is the
// same before and after. It waits for nothing: a pipe in the place of a file
// is one that does not stand still. What somebody is at work on is tried again,
// and is [errBusy] in the end.
func readStable(r *os.Root, name string) ([]byte, stamp, error) {
	const tries = 5
	for range tries {
		b, st, err := readOnce(r, name)
		if err == nil || !restless(err) {
			return b, st, err
		}
	}
	return nil, stamp{}, fmt.Errorf("%s: %w", name, errBusy)
}

// restless says whether an error may come of somebody who is at work on the
// path. Only what a machine says that is in trouble cannot.
func restless(err error) bool {
	return !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, fs.ErrPermission) &&
		!slices.ContainsFunc([]error{syscall.EIO, syscall.ENOMEM, syscall.EMFILE, syscall.ENFILE}, func(e error) bool { return errors.Is(err, e) })
}

func readOnce(r *os.Root, name string) ([]byte, stamp, error) {
	fi, err := r.Lstat(name)
	if err != nil {
		if errors.Is(err, syscall.ENOTDIR) {
			err = fs.ErrNotExist
		}
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
	return nil, stamp{}, errBusy
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
		return nil, errBusy
	}
	// One byte more than it should be: whether it has grown is seen then.
	b := make([]byte, fi.Size()+1)
	n, err := io.ReadFull(f, b)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return nil, err
	}
	return b[:n], nil
}
