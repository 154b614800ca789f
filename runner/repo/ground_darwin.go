package repo

import (
	"io/fs"
	"os"
)

// A ground is the directory of a work tree, below which everything is opened.
type ground struct{ root *os.Root }

func openGround(path string) (*ground, error) {
	root, err := os.OpenRoot(path)
	return &ground{root}, err
}

func (g *ground) close() { g.root.Close() }

// stamp is that of the directory.
func (g *ground) stamp() (stamp, error) {
	fi, err := g.root.Stat(".")
	if err != nil {
		return stamp{}, err
	}
	return stampOf(fi), nil
}

// keeps says that the stamps of directories are not relied on.
func (g *ground) keeps() bool { return false }

// A handle is a directory that was opened.
type handle struct {
	g    *ground
	path string
	f    *os.File
}

func (g *ground) dir(path string) (handle, error) {
	if fi, err := g.root.Lstat(path); err != nil || !fi.IsDir() {
		if err == nil {
			err = &fs.PathError{Op: "open", Path: path, Err: fs.ErrNotExist}
		}
		return handle{}, err
	}
	f, err := g.root.Open(path)
	return handle{g, path, f}, err
}

func (h handle) close() { h.f.Close() }

// stamp is the directory's own.
func (h handle) stamp() (stamp, error) {
	fi, err := h.f.Stat()
	if err != nil {
		return stamp{}, err
	}
	return stampOf(fi), nil
}

// lstat is the stamp of what has a name in the directory.
func (h handle) lstat(name string) (stamp, error) {
	fi, err := h.g.root.Lstat(h.path + "/" + name)
	if err != nil {
		return stamp{}, err
	}
	return stampOf(fi), nil
}

// names calls do for every name in the directory.
func (h handle) names(do func(name []byte, kind uint32, ino uint64) error) error {
	es, err := h.f.ReadDir(-1)
	if err != nil {
		return err
	}
	for _, e := range es {
		if err := do([]byte(e.Name()), 0, 0); err != nil {
			return err
		}
	}
	return nil
}

func (g *ground) read(path string) ([]byte, stamp, error) {
	return readStable(path, func(path string) ([]byte, stamp, error) { return readBelow(g.root, path) })
}
