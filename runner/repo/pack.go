package repo

import (
	"bytes"
	"crypto/sha1" //nolint:gosec // git's pack checksum is SHA-1
	"encoding/binary"
	"encoding/hex"
	"errors"
	"hash/crc32"
	"math"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"github.com/go-git/go-git/v5/plumbing"
)

// A batch collects new objects and stores them as one pack: a file for each of
// them would take three times as long to write, and longer to read again.
type batch struct {
	s *store

	mu   sync.Mutex
	objs []packed
	size int
}

// A packed is an object in the form in which a pack holds it.
type packed struct {
	id     oid
	head   []byte // kind and size
	z      []byte // deflated content
	offset uint32
}

// Packs are closed at this size, so that a batch never holds much more.
const packSize = 64 << 20

// put stores an object with the batch; it may be read after done.
func (b *batch) put(t plumbing.ObjectType, content []byte) (oid, error) {
	id := hash(t, content)
	if b.s.has(id) && id != emptyTree { // which has, even where it is not stored
		return id, nil
	}
	p := pack(id, t, content)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.objs = append(b.objs, p)
	if b.size += len(p.z); b.size < packSize {
		return id, nil
	}
	return id, b.flush()
}

// done stores what was collected.
func (b *batch) done() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.flush()
}

func (b *batch) flush() error {
	if len(b.objs) == 0 {
		return nil
	}
	err := b.s.write(b.objs)
	b.objs, b.size = nil, 0
	return err
}

// pack prepares an object for a pack.
func pack(id oid, t plumbing.ObjectType, content []byte) packed {
	n := uint64(len(content))
	c := byte(t)<<4 | byte(n&15) //nolint:gosec // the kinds of an object are 1 to 7
	var head []byte
	for n >>= 4; n > 0; n >>= 7 {
		head = append(head, c|0x80)
		c = byte(n & 0x7f)
	}
	return packed{id: id, head: append(head, c), z: deflate(content)}
}

// encodePack returns a pack of whole objects and notes where each stands in it.
func encodePack(objs []packed) []byte {
	n := 12 + sha1.Size
	for _, o := range objs {
		n += len(o.head) + len(o.z)
	}
	b := append(make([]byte, 0, n), "PACK"...)
	b = binary.BigEndian.AppendUint32(b, 2)
	b = binary.BigEndian.AppendUint32(b, uint32(len(objs))) //nolint:gosec // as below
	for i := range objs {
		o := &objs[i]
		o.offset = uint32(len(b)) //nolint:gosec // write takes no pack of 2 GiB
		b = append(append(b, o.head...), o.z...)
	}
	sum := sha1.Sum(b) //nolint:gosec // see above
	return append(b, sum[:]...)
}

// A tail is the pack that was written last, while it is small. The next objects
// go into it, so that many checkpoints make few packs.
type tail struct {
	file *packFile
	name string // without extension
	objs []packed
}

// tailSize is from when on a pack stays as it is, in bytes: all of it is written
// again for each checkpoint until then.
const tailSize = 128 << 10

// write stores objs as a pack with its index, together with those of the tail.
// The pack comes first: without an index it is invisible.
func (s *store) write(objs []packed) error {
	s.writing.Lock()
	defer s.writing.Unlock()
	old := s.tail
	objs = append(slices.Clone(old.objs), objs...)
	slices.SortFunc(objs, func(x, y packed) int { return bytes.Compare(x.id[:], y.id[:]) })
	objs = slices.CompactFunc(objs, func(x, y packed) bool { return x.id == y.id })
	if len(objs) == len(old.objs) {
		return nil
	}
	b := encodePack(objs)
	if len(b) > math.MaxInt32 {
		return errors.New("store new objects: a pack over 2 GiB")
	}
	sum := b[len(b)-sha1.Size:]
	name := filepath.Join(s.dir, "objects", "pack", "pack-"+hex.EncodeToString(sum))
	index := encodeIndex(objs, sum)
	if err := replace(name+".pack", b); err != nil {
		return err
	}
	if err := replace(name+".idx", index); err != nil {
		return err
	}
	f, err := newPack(index, name+".pack")
	if err != nil {
		return err
	}
	s.packs.swap(old.file, f, name+".idx")
	s.tail = tail{}
	if len(b) < tailSize {
		s.tail = tail{f, name, objs}
	}
	if old.file != nil {
		// What is left of it is there twice, and costs room and nothing else.
		_ = os.Remove(old.name + ".idx")
		_ = os.Remove(old.name + ".pack")
	}
	return nil
}

// ready returns an object in the form of a pack if it is in the tail.
func (s *store) ready(id oid) (packed, bool) {
	s.writing.Lock()
	defer s.writing.Unlock()
	i, ok := slices.BinarySearchFunc(s.tail.objs, id, func(p packed, id oid) int { return bytes.Compare(p.id[:], id[:]) })
	if !ok {
		return packed{}, false
	}
	return s.tail.objs[i], true
}

// encodeIndex returns the index, version 2, of a pack of objs, sorted by id.
func encodeIndex(objs []packed, packSum []byte) []byte {
	b := []byte{0xff, 't', 'O', 'c', 0, 0, 0, 2}
	k := 0
	for first := range 256 {
		for k < len(objs) && int(objs[k].id[0]) <= first {
			k++
		}
		b = binary.BigEndian.AppendUint32(b, uint32(k))
	}
	for _, o := range objs {
		b = append(b, o.id[:]...)
	}
	for _, o := range objs {
		b = binary.BigEndian.AppendUint32(b, crc32.Update(crc32.ChecksumIEEE(o.head), crc32.IEEETable, o.z))
	}
	for _, o := range objs {
		b = binary.BigEndian.AppendUint32(b, o.offset)
	}
	b = append(b, packSum...)
	sum := sha1.Sum(b) //nolint:gosec // see above
	return append(b, sum[:]...)
}
