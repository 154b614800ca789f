package repo

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"
	"time"
)

// Files are the files of a commit as it was recorded, "" for the base commit
// that was loaded. Links are shown and not followed, nor can they be opened:
// they may lead anywhere. Submodules are empty directories.
func (r *Repo) Files(commit string) (fs.FS, error) {
	last, err := r.tips()
	if err != nil {
		return nil, fmt.Errorf("look at the files of a commit: %w", err)
	}
	if commit == "" {
		commit = last.base.String()
	}
	tree, err := r.store.treeOf(commit)
	if err != nil {
		return nil, fmt.Errorf("look at the files of commit %.7s: %w", commit, err)
	}
	return treeFS{r.store, tree}, nil
}

// A treeFS is a tree as a file system.
type treeFS struct {
	s    *store
	root oid
}

func (t treeFS) Open(name string) (fs.File, error) {
	wrong := func(err error) error { return &fs.PathError{Op: "open", Path: name, Err: err} }
	if !fs.ValidPath(name) {
		return nil, wrong(fs.ErrInvalid)
	}
	e := entry{name: ".", mode: modeDir, id: t.root}
	if name != "." {
		var err error
		if e, err = t.s.find(t.root, name); err != nil {
			return nil, wrong(err)
		}
		e.name = name[strings.LastIndexByte(name, '/')+1:]
	}
	switch e.mode {
	case modeDir, modeSub:
		d := &treeDir{treeInfo: treeInfo{t.s, e}}
		if e.mode == modeDir {
			entries, err := t.s.tree(e.id)
			if err != nil {
				return nil, wrong(err)
			}
			for _, below := range entries {
				d.left = append(d.left, treeInfo{t.s, below})
			}
			slices.SortFunc(d.left, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
		}
		return d, nil
	case modeFile, modeExec:
		data, err := t.s.blob(e.id)
		if err != nil {
			return nil, wrong(err)
		}
		return &treeFile{treeInfo{t.s, e}, bytes.NewReader(data)}, nil
	}
	return nil, wrong(errors.New("it is a link, which may lead anywhere"))
}

// A treeInfo says what an entry of a tree is.
type treeInfo struct {
	s *store
	e entry
}

func (i treeInfo) Name() string               { return i.e.name }
func (i treeInfo) IsDir() bool                { return i.Mode().IsDir() }
func (i treeInfo) Type() fs.FileMode          { return i.Mode().Type() }
func (i treeInfo) ModTime() time.Time         { return time.Time{} } // a tree knows of none
func (i treeInfo) Sys() any                   { return nil }
func (i treeInfo) Info() (fs.FileInfo, error) { return i, nil }
func (i treeInfo) Stat() (fs.FileInfo, error) { return i, nil }

func (i treeInfo) Mode() fs.FileMode {
	switch i.e.mode {
	case modeDir, modeSub:
		return fs.ModeDir | 0o755
	case modeLink:
		return fs.ModeSymlink | 0o777
	case modeExec:
		return 0o755
	}
	return 0o644
}

// Size is the file's, 0 of what cannot be read.
func (i treeInfo) Size() int64 {
	if i.Mode()&(fs.ModeDir|fs.ModeSymlink) != 0 {
		return 0
	}
	data, err := i.s.blob(i.e.id)
	if err != nil {
		return 0
	}
	return int64(len(data))
}

// A treeFile is a file that was opened.
type treeFile struct {
	treeInfo
	*bytes.Reader
}

func (f *treeFile) Size() int64 { return f.Reader.Size() }
func (*treeFile) Close() error  { return nil }

// A treeDir is a directory that was opened.
type treeDir struct {
	treeInfo
	left []fs.DirEntry
}

func (d *treeDir) Close() error { return nil }

func (d *treeDir) Read([]byte) (int, error) {
	return 0, &fs.PathError{Op: "read", Path: d.e.name, Err: errors.New("it is a directory")}
}

func (d *treeDir) ReadDir(n int) ([]fs.DirEntry, error) {
	if n <= 0 {
		all := d.left
		d.left = nil
		return all, nil
	}
	if len(d.left) == 0 {
		return nil, io.EOF
	}
	some := d.left[:min(n, len(d.left))]
	d.left = d.left[len(some):]
	return some, nil
}
