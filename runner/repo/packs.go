package repo

import (
	"bufio"
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strings"
	"sync"

	"github.com/go-git/go-git/v5/plumbing"
)

// Packs read what packs hold. go-git does too, but for one goroutine at a time,
// and it reads all indexes again for each new pack.
type packs struct {
	dir string

	mu   sync.RWMutex
	list []*packFile
	have map[string]bool // by the name of the index

	bases bases
}

// A packFile is one pack with its index. It stays open: a pack never changes.
type packFile struct {
	index []byte // version 2
	count int
	data  *os.File
}

// refresh takes in the packs that are new since.
func (p *packs) refresh() error {
	names, err := filepath.Glob(filepath.Join(p.dir, "*.idx"))
	if err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, name := range names {
		if p.have[name] {
			continue
		}
		f, err := openPack(name)
		if _, gone := os.Lstat(name); errors.Is(gone, fs.ErrNotExist) {
			continue // another process has put it into a larger one
		}
		if err != nil {
			return fmt.Errorf("open pack %s: %w", filepath.Base(name), err)
		}
		p.have[name] = true
		p.list = append(p.list, f)
	}
	return nil
}

// swap takes in a pack that is new, for one that is to go, if any. That one is
// closed when nobody reads it any more.
func (p *packs) swap(old, f *packFile, index string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.have[index] = true
	p.list = append(slices.DeleteFunc(p.list, func(f *packFile) bool { return f == old }), f)
}

// The parts of an index, version 2: a magic number with the version, how many
// ids begin with each byte or a smaller one, ids, checksums, offsets; then long
// offsets, and two checksums.
const (
	indexMagic = "\xfftOc\x00\x00\x00\x02"
	fanout     = len(indexMagic)
	firstID    = fanout + 256*4
)

func openPack(index string) (*packFile, error) {
	b, err := os.ReadFile(index)
	if err != nil {
		return nil, err
	}
	return newPack(b, strings.TrimSuffix(index, ".idx")+".pack")
}

// newPack returns the pack in the file data, with its index.
func newPack(b []byte, data string) (*packFile, error) {
	if len(b) < firstID+2*len(none) || string(b[:fanout]) != indexMagic {
		return nil, errors.New("not an index of version 2")
	}
	f := &packFile{index: b, count: int(binary.BigEndian.Uint32(b[firstID-4:]))}
	if len(b) < firstID+f.count*(len(none)+8)+2*len(none) {
		return nil, errors.New("the index is cut off")
	}
	var err error
	f.data, err = os.Open(data)
	return f, err
}

// offset is where an object begins in the pack, 0 if it is not there.
func (f *packFile) offset(id oid) int64 {
	from := 0
	if id[0] > 0 {
		from = int(binary.BigEndian.Uint32(f.index[fanout+4*int(id[0]-1):]))
	}
	to := int(binary.BigEndian.Uint32(f.index[fanout+4*int(id[0]):]))
	if to > f.count || from > to {
		return 0
	}
	i := from + sort.Search(to-from, func(i int) bool {
		at := firstID + (from+i)*len(id)
		return bytes.Compare(f.index[at:at+len(id)], id[:]) >= 0
	})
	at := firstID + i*len(id)
	if i == to || !bytes.Equal(f.index[at:at+len(id)], id[:]) {
		return 0
	}
	offsets := firstID + f.count*(len(id)+4)
	off := binary.BigEndian.Uint32(f.index[offsets+4*i:])
	if off&(1<<31) == 0 {
		return int64(off)
	}
	long := offsets + 4*f.count + 8*int(off&^(1<<31))
	if long+8 > len(f.index) {
		return 0
	}
	return int64(binary.BigEndian.Uint64(f.index[long:]) &^ (1 << 63)) //nolint:gosec // the top bit is cleared
}

// find returns the pack that holds an object, and where.
func (p *packs) find(id oid) (*packFile, int64) {
	p.mu.RLock()
	defer p.mu.RUnlock()
	for _, f := range p.list {
		if off := f.offset(id); off != 0 {
			return f, off
		}
	}
	return nil, 0
}

// read returns the object that begins at an offset. One that is stored as the
// difference to another is put together from that one upwards.
func (p *packs) read(f *packFile, off int64) (plumbing.ObjectType, []byte, error) {
	type difference struct {
		at    int64
		delta []byte
	}
	var chain []difference
	var t plumbing.ObjectType
	var b []byte
	for b == nil {
		if base, ok := p.bases.get(f, off); ok && len(chain) > 0 {
			t, b = base.t, base.b
			break
		}
		kind, base, content, err := p.entry(f, off)
		if err != nil {
			return 0, nil, err
		}
		switch kind {
		case plumbing.OFSDeltaObject, plumbing.REFDeltaObject:
			if base <= 0 || base == off || len(chain) > 10_000 {
				return 0, nil, errors.New("the pack holds a difference to nothing")
			}
			chain = append(chain, difference{off, content})
			off = base
		default:
			t, b = kind, content
			if len(chain) > 0 {
				p.bases.put(f, off, t, b)
			}
		}
	}
	for i, c := range slices.Backward(chain) {
		var err error
		if b, err = patch(b, c.delta); err != nil {
			return 0, nil, err
		}
		if i > 0 {
			p.bases.put(f, c.at, t, b)
		}
	}
	return t, b, nil
}

var readers = sync.Pool{New: func() any { return bufio.NewReader(nil) }}

// entry reads what stands at an offset of a pack; base is the offset of what it
// is the difference to, if it is one. Content is never nil.
func (p *packs) entry(f *packFile, off int64) (t plumbing.ObjectType, base int64, content []byte, err error) {
	r := readers.Get().(*bufio.Reader)
	defer readers.Put(r)
	r.Reset(io.NewSectionReader(f.data, off, 1<<62))
	c, err := r.ReadByte()
	if err != nil {
		return 0, 0, nil, err
	}
	t = plumbing.ObjectType(c >> 4 & 7)
	size := uint64(c & 15)
	for shift := 4; c&0x80 != 0; shift += 7 {
		if c, err = r.ReadByte(); err != nil {
			return 0, 0, nil, err
		}
		size |= uint64(c&0x7f) << shift
	}
	switch t {
	case plumbing.OFSDeltaObject:
		back := int64(-1)
		for c = 0x80; c&0x80 != 0; {
			if c, err = r.ReadByte(); err != nil {
				return 0, 0, nil, err
			}
			back = (back+1)<<7 | int64(c&0x7f)
		}
		base = off - back
	case plumbing.REFDeltaObject:
		var id oid
		if _, err = io.ReadFull(r, id[:]); err != nil {
			return 0, 0, nil, err
		}
		base = f.offset(id) // packs that were stored here are complete in themselves
	}
	content, err = inflate(r, size)
	return t, base, content, err
}

var inflaters sync.Pool

// inflate reads size bytes, and that there are no more.
func inflate(r io.Reader, size uint64) ([]byte, error) {
	const most = 1 << 31
	if size > most {
		return nil, errors.New("an object over 2 GiB")
	}
	var z io.ReadCloser
	if v := inflaters.Get(); v != nil {
		z = v.(io.ReadCloser)
		if err := z.(zlib.Resetter).Reset(r, nil); err != nil {
			return nil, err
		}
	} else {
		var err error
		if z, err = zlib.NewReader(r); err != nil {
			return nil, err
		}
	}
	b := make([]byte, size)
	if _, err := io.ReadFull(z, b); err != nil {
		return nil, err
	}
	var more [1]byte
	if n, err := z.Read(more[:]); n > 0 || !errors.Is(err, io.EOF) { // the end carries the checksum
		return nil, errors.Join(errors.New("an object is damaged"), err)
	}
	inflaters.Put(z)
	return b, nil
}

var errDelta = errors.New("a difference in the pack is damaged")

// patch applies a delta: pieces of base, and pieces of its own.
func patch(base, delta []byte) ([]byte, error) {
	from, n := binary.Uvarint(delta)
	if n <= 0 || from != uint64(len(base)) {
		return nil, errDelta
	}
	delta = delta[n:]
	to, n := binary.Uvarint(delta)
	if n <= 0 || to > 1<<31 {
		return nil, errDelta
	}
	delta = delta[n:]
	b := make([]byte, 0, to)
	for len(delta) > 0 {
		c := delta[0]
		delta = delta[1:]
		if c&0x80 == 0 {
			if c == 0 || int(c) > len(delta) {
				return nil, errDelta
			}
			b, delta = append(b, delta[:c]...), delta[c:]
			continue
		}
		var off, size uint64
		for bit := range 7 {
			if c>>bit&1 == 0 {
				continue
			}
			if len(delta) == 0 {
				return nil, errDelta
			}
			if bit < 4 {
				off |= uint64(delta[0]) << (8 * bit)
			} else {
				size |= uint64(delta[0]) << (8 * (bit - 4))
			}
			delta = delta[1:]
		}
		if size == 0 {
			size = 0x10000
		}
		if off+size > uint64(len(base)) || uint64(len(b))+size > to {
			return nil, errDelta
		}
		b = append(b, base[off:off+size]...)
	}
	if uint64(len(b)) != to {
		return nil, errDelta
	}
	return b, nil
}

// Bases are objects that others were differences to: they are likely to be
// wanted again. When there are too many all go.
type bases struct {
	mu   sync.Mutex
	m    map[spot]base
	size int
}

type spot struct {
	f   *packFile
	off int64
}

type base struct {
	t plumbing.ObjectType
	b []byte
}

func (c *bases) get(f *packFile, off int64) (base, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	b, ok := c.m[spot{f, off}]
	return b, ok
}

func (c *bases) put(f *packFile, off int64, t plumbing.ObjectType, b []byte) {
	const most = 32 << 20
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.m == nil || c.size+len(b) > most {
		c.m, c.size = map[spot]base{}, 0
	}
	c.m[spot{f, off}] = base{t, b}
	c.size += len(b)
}
