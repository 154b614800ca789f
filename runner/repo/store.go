package repo

import (
	"bytes"
	"compress/zlib"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/go-git/go-git/v5/plumbing"
)

// A store is the harness's own git directory: objects, and the tips that were
// last seen on the remote. No command of the work tree ever sees it.
type store struct {
	dir   string
	packs packs
	cuts  atomic.Pointer[map[oid]bool] // commits whose parents a shallow remote does not have

	writing sync.Mutex // guards the tail
	tail    tail
}

// openStore opens the git directory at dir and creates what is missing in it.
// It writes the configuration anew each time, so that nothing but this function
// ever decided what stands there.
func openStore(dir string) (*store, error) {
	for _, d := range []string{"objects/pack", "objects/info", "refs"} {
		if err := os.MkdirAll(filepath.Join(dir, filepath.FromSlash(d)), 0o700); err != nil {
			return nil, err
		}
	}
	for name, text := range map[string]string{
		"HEAD":   "ref: refs/heads/none\n",
		"config": "[core]\n\trepositoryformatversion = 0\n\tbare = true\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			return nil, err
		}
	}
	s := &store{dir: dir, packs: packs{dir: filepath.Join(dir, "objects", "pack"), have: map[string]bool{}}}
	return s, s.packs.refresh()
}

// read returns the content of an object. One that is not there is an
// [fs.ErrNotExist].
func (s *store) read(t plumbing.ObjectType, id oid) ([]byte, error) {
	if id == emptyTree && t == plumbing.TreeObject {
		return nil, nil
	}
	var have plumbing.ObjectType
	var b []byte
	var err error
	if f, off := s.packs.find(id); f != nil {
		have, b, err = s.packs.read(f, off)
	} else {
		have, b, err = s.readLoose(id)
	}
	if err == nil && have != t {
		err = fmt.Errorf("it is a %s", have)
	}
	// A damaged disk must not become a damaged commit.
	if err == nil && hash(t, b) != id {
		err = errors.New("it is damaged")
	}
	if err != nil {
		return nil, fmt.Errorf("read %s %s: %w", t, id, err)
	}
	return b, nil
}

// path is where an object is stored that has a file of its own.
func (s *store) path(id oid) string {
	hex := id.String()
	return filepath.Join(s.dir, "objects", hex[:2], hex[2:])
}

func (s *store) readLoose(id oid) (plumbing.ObjectType, []byte, error) {
	path := s.path(id)
	z, err := os.ReadFile(path)
	if err != nil {
		return 0, nil, err
	}
	r, err := zlib.NewReader(bytes.NewReader(z))
	if err != nil {
		return 0, nil, err
	}
	defer r.Close()
	b, err := io.ReadAll(r)
	if err != nil {
		return 0, nil, err
	}
	head, b, _ := bytes.Cut(b, []byte{0})
	kind, size, _ := strings.Cut(string(head), " ")
	t, err := plumbing.ParseObjectType(kind)
	if err != nil || size != strconv.Itoa(len(b)) {
		return 0, nil, errors.New("it is damaged")
	}
	return t, b, nil
}

// empty says whether nothing was fetched yet.
func (s *store) empty() bool {
	s.packs.mu.RLock()
	defer s.packs.mu.RUnlock()
	return len(s.packs.list) == 0
}

func (s *store) has(id oid) bool {
	if f, _ := s.packs.find(id); f != nil || id == emptyTree {
		return true
	}
	path := s.path(id)
	_, err := os.Lstat(path)
	return err == nil
}

// blob, tree and commit read one object of their kind.
func (s *store) blob(id oid) ([]byte, error) { return s.read(plumbing.BlobObject, id) }

func (s *store) tree(id oid) ([]entry, error) {
	b, err := s.read(plumbing.TreeObject, id)
	if err != nil {
		return nil, err
	}
	es, err := parseTree(b)
	if err != nil {
		return nil, fmt.Errorf("read tree %s: %w", id, err)
	}
	return es, nil
}

func (s *store) commit(id oid) (commit, error) {
	b, err := s.read(plumbing.CommitObject, id)
	if err != nil {
		return commit{}, err
	}
	c, err := parseCommit(b)
	if err != nil {
		return commit{}, fmt.Errorf("read commit %s: %w", id, err)
	}
	if cuts := s.cuts.Load(); cuts != nil && (*cuts)[id] {
		c.parents = nil
	}
	return c, nil
}

// treeOf returns the tree of a commit, or the tree itself.
func (s *store) treeOf(id string) (oid, error) {
	h, err := parseID(id)
	if err != nil {
		return none, err
	}
	c, err := s.commit(h)
	if err == nil {
		return c.tree, nil
	}
	if _, terr := s.tree(h); terr == nil {
		return h, nil
	}
	return none, err
}

// find returns the entry at path below tree. What is not there is an
// [fs.ErrNotExist].
func (s *store) find(tree oid, path string) (entry, error) {
	e := entry{mode: modeDir, id: tree}
	for part := range strings.SplitSeq(path, "/") {
		var es []entry
		if e.mode == modeDir {
			var err error
			if es, err = s.tree(e.id); err != nil {
				return entry{}, missing(e.id, err)
			}
		}
		found := false
		for _, x := range es {
			if x.name == part {
				e, found = x, true
				break
			}
		}
		if !found {
			return entry{}, fs.ErrNotExist
		}
	}
	return e, nil
}

// file returns the content of the file at path in a commit.
func (s *store) file(commit oid, path string) ([]byte, error) {
	c, err := s.commit(commit)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, missing(commit, err))
	}
	e, err := s.find(c.tree, path)
	if err != nil {
		return nil, fmt.Errorf("read %s of commit %s: %w", path, short(commit), err)
	}
	if e.mode != modeFile && e.mode != modeExec {
		return nil, fmt.Errorf("read %s of commit %s: it is not a regular file", path, short(commit))
	}
	b, err := s.blob(e.id)
	if err != nil {
		err = fmt.Errorf("read %s of commit %s: %w", path, short(commit), missing(e.id, err))
	}
	return b, err
}

// missing is err, of an object that cannot be read: that it is not there must not
// be taken for the word that a commit has no such path.
func missing(id oid, err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("the object %s is missing", id)
	}
	return err
}

// files calls do for every file below tree, sorted by path.
func (s *store) files(tree oid, dir string, do func(e entry, path string) error) error {
	es, err := s.tree(tree)
	if err != nil {
		return err
	}
	for _, e := range es {
		if e.mode == modeDir {
			err = s.files(e.id, dir+e.name+"/", do)
		} else if e.mode != modeSub {
			err = do(e, dir+e.name)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// put stores one object as a file of its own: written beside, then renamed.
// Like git it does not sync: what must survive a power cut is pushed.
func (s *store) put(t plumbing.ObjectType, content []byte) (oid, error) {
	id := hash(t, content)
	if s.has(id) && id != emptyTree { // which has, even where it is not stored
		return id, nil
	}
	path := s.path(id)
	return id, replace(path, deflate(header(t, content), content))
}

// replace writes a file beside the one that it is to be, and then gives it that
// one's name.
func replace(path string, b []byte) error {
	dir := filepath.Dir(path)
	f, err := os.CreateTemp(dir, "tmp_obj_")
	if errors.Is(err, fs.ErrNotExist) {
		if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
		f, err = os.CreateTemp(dir, "tmp_obj_")
	}
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		os.Remove(f.Name())
	}
	return err
}

var deflaters = sync.Pool{New: func() any {
	w, err := zlib.NewWriterLevel(nil, zlib.BestSpeed)
	if err != nil {
		panic("repo: " + err.Error()) // unreachable unless the level is out of range
	}
	return w
}}

func deflate(parts ...[]byte) []byte {
	var b bytes.Buffer
	w := deflaters.Get().(*zlib.Writer)
	w.Reset(&b)
	for _, p := range parts {
		_, _ = w.Write(p) // a bytes.Buffer takes everything
	}
	w.Close()
	deflaters.Put(w)
	return b.Bytes()
}
