package repo

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/go-git/go-git/v5/plumbing"

	"github.com/autonomous-loop/autonomous-loop/runner"
)

// The index is kept in a file of the private git directory, so that the next
// process need not read what this one has seen. The file is never needed. It is
// taken as a whole or not at all: its checksum must be right, it must be of this
// version and of this work tree, and every tree in it must have the id that it
// is said to have. Even then it only says under which stamp a file was what the
// commit holds; whether it still has that stamp is looked at each time, and what
// differs from the commit is read and judged by each process for itself.
//
// What could have changed without a new stamp, because it was looked at within
// a tick of the file system's clock, is not in the file. So it need not be known
// when the file was written.

const cacheMagic = "autonomous-loop index 1\n"

// It is another one under other rules of a person's or of this program's: what
// they let pass is not looked at again.
func (r *Repo) cache() string {
	rules := fmt.Sprintf("%q %q %q", makers, signs, r.o.Ignore)
	return filepath.Join(r.store.dir, "worktree-"+runner.Hash([]byte(rules))[:12])
}

// indexed returns the index, as the last process left it if it is new.
func (r *Repo) indexed(ctx context.Context, g *ground) *index {
	if r.index != nil {
		return r.index
	}
	r.index = newIndex()
	top, err := g.stamp()
	if err != nil {
		return r.index
	}
	if b, err := os.ReadFile(r.cache()); err == nil {
		if x, err := decodeIndex(ctx, b, top); err == nil {
			r.index = x
		}
	}
	return r.index
}

// remember writes the index to disk if it has become worth it: what the file
// does not know costs the next process a look at each of these files. An index
// that could not be written is only read again.
func (r *Repo) remember(g *ground) {
	x := r.index
	const share = 250
	if x.fresh == 0 || x.fresh < x.root.count()/share {
		return
	}
	top, err := g.stamp()
	if err != nil {
		return
	}
	name := r.cache()
	tmp := name + ".new"
	if err = os.WriteFile(tmp, encodeCache(x, top), 0o600); err == nil {
		err = os.Rename(tmp, name)
	}
	if err != nil {
		os.Remove(tmp)
		return
	}
	x.fresh = 0
}

// count is how many files are in d.
func (d *dir) count() int {
	n := len(d.files)
	for _, sub := range d.dirs {
		n += sub.count()
	}
	return n
}

// The bits of what is known of a directory, and of a file.
const (
	dirThere = 1 << iota
	dirListed
	dirIgnored
	dirBase
	dirIgnores
	dirAttrs
)

const (
	fileBase = 1 << iota
	fileSame // it is on disk as the commit has it
	filePlain
)

// An inscription is an index on its way to a file: the names by themselves, for
// they stay in memory, and what is known of what has them.
type inscription struct{ names, b []byte }

func (w *inscription) number(n uint64) { w.b = binary.AppendUvarint(w.b, n) }

func (w *inscription) count(n int) { w.number(uint64(n)) } //nolint:gosec // lengths are not negative

func (w *inscription) name(s string) {
	w.count(len(s))
	w.names = append(w.names, s...)
}

func (w *inscription) id(id oid) { w.b = append(w.b, id[:]...) }

func (w *inscription) thing(t thing) {
	w.number(uint64(t.mode))
	w.id(t.id)
}

func (w *inscription) stamp(st stamp) {
	w.b = binary.LittleEndian.AppendUint64(w.b, uint64(st.mtime))                                    //nolint:gosec // read back in the same way
	w.b = binary.LittleEndian.AppendUint64(w.b, uint64(st.ctime))                                    //nolint:gosec // see above
	for _, n := range []uint64{uint64(st.size), st.dev, st.ino, uint64(st.mode), uint64(st.links)} { //nolint:gosec // sizes are not negative
		w.number(n)
	}
}

func (w *inscription) ruleFile(r ruleFile) {
	w.id(r.id)
	if r.racy {
		r.stamp = stamp{}
	}
	w.stamp(r.stamp)
}

func (w *inscription) dir(d *dir) {
	var bits byte
	for i, on := range []bool{d.there, d.listed, d.ignored, d.base != none, d.ruling != nil && d.ruling.ignore.id != none, d.ruling != nil && d.ruling.attrs.id != none} {
		if on {
			bits |= 1 << i
		}
	}
	w.b = append(w.b, bits)
	w.name(d.name)
	if bits&dirListed != 0 {
		w.stamp(d.stamp)
	}
	if bits&dirBase != 0 {
		w.id(d.base)
	}
	if bits&dirIgnores != 0 {
		w.ruleFile(d.ruling.ignore)
	}
	if bits&dirAttrs != 0 {
		w.ruleFile(d.ruling.attrs)
	}
	w.count(len(d.files))
	for i := range d.files {
		w.file(&d.files[i])
	}
	w.count(len(d.dirs))
	for _, sub := range d.dirs {
		w.dir(sub)
	}
}

func (w *inscription) file(f *file) {
	var bits byte
	same := f.seen.mode != 0 && f.seen == f.base && !f.racy
	for i, on := range []bool{f.base.mode != 0, same, f.plain} {
		if on {
			bits |= 1 << i
		}
	}
	w.b = append(w.b, bits)
	w.name(f.name)
	if bits&fileBase != 0 {
		w.thing(f.base)
	}
	if same {
		w.stamp(f.stamp)
	}
}

// encodeCache returns the file for an index of the work tree whose directory
// has this stamp.
func encodeCache(x *index, top stamp) []byte {
	files := x.root.count()
	w := &inscription{b: make([]byte, 0, files*80), names: make([]byte, 0, files*16)}
	w.dir(x.root)
	head := []byte(cacheMagic)
	for _, n := range []uint64{top.dev, top.ino, uint64(files), uint64(len(w.names))} { //nolint:gosec // lengths are not negative
		head = binary.LittleEndian.AppendUint64(head, n)
	}
	b := append(append(append(make([]byte, 0, len(head)+len(w.names)+len(w.b)+sha256.Size), head...), w.names...), w.b...)
	sum := sha256.Sum256(b)
	return append(b, sum[:]...)
}

var errCache = errors.New("not an index of this version and work tree")

// decodeIndex is the inverse of encodeCache.
func decodeIndex(ctx context.Context, b []byte, top stamp) (*index, error) {
	const head = len(cacheMagic) + 4*8
	if len(b) < head+sha256.Size || string(b[:len(cacheMagic)]) != cacheMagic {
		return nil, errCache
	}
	body, sum := b[:len(b)-sha256.Size], sha256.Sum256(b[:len(b)-sha256.Size])
	if !bytes.Equal(sum[:], b[len(body):]) {
		return nil, errCache
	}
	n := func(i int) uint64 { return binary.LittleEndian.Uint64(b[len(cacheMagic)+8*i:]) }
	if n(0) != top.dev || n(1) != top.ino || n(3) > uint64(len(body)-head) || n(2) > uint64(len(body)) { //nolint:gosec // lengths are not negative
		return nil, errCache
	}
	rest := body[head:]
	r := &reading{names: string(rest[:n(3)]), b: rest[n(3):], files: make([]file, n(2))}
	x := newIndex()
	r.dir(x, x.root)
	if r.bad || len(r.b)+len(r.names)+len(r.files) > 0 || !x.root.there {
		return nil, errCache
	}
	return x, each(ctx, len(r.dirs), func(i int) error {
		d := r.dirs[i]
		tree := d.encode(func(f *file) thing { return f.base }, func(sub *dir) oid { return sub.base })
		if hash(plumbing.TreeObject, tree) != d.base {
			return errCache
		}
		return nil
	})
}

// A reading is a file on its way to an index.
type reading struct {
	names string
	b     []byte
	files []file // to be used up
	dirs  []*dir // those that the commit has
	bad   bool
}

func (r *reading) take(n int) []byte {
	if r.bad || n > len(r.b) {
		r.bad = true
		return make([]byte, n)
	}
	b := r.b[:n]
	r.b = r.b[n:]
	return b
}

func (r *reading) number() uint64 {
	n, size := binary.Uvarint(r.b)
	if size <= 0 {
		r.bad = true
		return 0
	}
	r.b = r.b[size:]
	return n
}

// count reads how many there are of what takes a byte at least.
func (r *reading) count(of int) int {
	n := r.number()
	if r.bad || n > uint64(of) { //nolint:gosec // lengths are not negative
		r.bad = true
		return 0
	}
	return int(n) //nolint:gosec // see above
}

func (r *reading) name() string {
	n := r.count(len(r.names))
	s := r.names[:n]
	r.names = r.names[n:]
	return s
}

func (r *reading) id() oid { return oid(r.take(len(none))) }

func (r *reading) thing() thing { return thing{uint32(r.number()), r.id()} } //nolint:gosec // as it was written

func (r *reading) stamp() stamp {
	times := r.take(16)
	return stamp{
		mtime: int64(binary.LittleEndian.Uint64(times)), ctime: int64(binary.LittleEndian.Uint64(times[8:])), //nolint:gosec // as they were written
		size: int64(r.number()), dev: r.number(), ino: r.number(), mode: uint32(r.number()), links: uint32(r.number()), //nolint:gosec // see above
	}
}

func (r *reading) dir(x *index, d *dir) {
	bits := r.take(1)[0]
	d.there, d.listed, d.ignored = bits&dirThere != 0, bits&dirListed != 0, bits&dirIgnored != 0
	d.name = r.name()
	if d.parent != nil {
		d.path = d.parent.join(d.name)
	}
	if d.listed {
		d.stamp = r.stamp()
	}
	if bits&dirBase != 0 {
		d.base = r.id()
		r.dirs = append(r.dirs, d)
	}
	if bits&(dirIgnores|dirAttrs) != 0 {
		d.ruling = &ruling{}
	}
	if bits&dirIgnores != 0 {
		d.ruling.ignore.id, d.ruling.ignore.stamp = r.id(), r.stamp()
	}
	if bits&dirAttrs != 0 {
		d.ruling.attrs.id, d.ruling.attrs.stamp = r.id(), r.stamp()
	}
	n := r.count(len(r.files))
	d.files, r.files = r.files[:n:n], r.files[n:]
	same := d.base != none
	for i := range d.files {
		f := &d.files[i]
		r.file(f)
		same = same && f.state == here
		if f.base.mode == modeSub {
			d.listed = false // whether it is a directory must be seen
		}
		if f.links > 1 {
			x.linked[d] = true
		}
	}
	n = r.count(len(r.b))
	d.dirs = make([]*dir, 0, n)
	for range n {
		if r.bad {
			return
		}
		sub := &dir{parent: d}
		d.dirs = append(d.dirs, sub)
		r.dir(x, sub)
		same = same && sub.now == sub.base
	}
	if same {
		d.now = d.base
	}
}

func (r *reading) file(f *file) {
	bits := r.take(1)[0]
	f.name, f.plain = r.name(), bits&filePlain != 0
	if bits&fileBase != 0 {
		f.base = r.thing()
	}
	if bits&fileSame != 0 {
		f.seen, f.state, f.stamp = f.base, here, r.stamp()
	}
}
