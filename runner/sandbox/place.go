package sandbox

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// A place is what a judged command has for itself: a home and a directory for
// temporary files. No two judged commands share one unless the caller says so, so
// that what one leaves there (settings of tools, a cache, a module that the next
// would load) is met by no other.
//
// It belongs to us, and only what is in its two directories to the judge; so
// nothing that a command does can turn its path into another one.

// Place makes the directory dir, which may exist, a place for commands with
// [Command.Place]. What its home holds already must be the judge's. The caller
// removes it when the last command in it is over.
func (s *Sandbox) Place(dir string) error {
	if err := s.place(dir); err != nil {
		return fmt.Errorf("make a place for a judged command: %w", err)
	}
	return nil
}

func (s *Sandbox) place(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil { //nolint:gosec // the judge must pass; what is in it is closed
		return err
	}
	u := s.judge.at(dir)
	for _, d := range []string{u.home, u.tmp} {
		if err := os.Mkdir(d, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
		if err := errors.Join(os.Chmod(d, 0o700), os.Lchown(d, u.uid, u.gid)); err != nil { //nolint:gosec // a directory
			return err
		}
	}
	return s.cached.plant(u, s.now())
}

// at is u with its home and temporary directory in the place dir.
func (u user) at(dir string) user {
	u.home, u.tmp = filepath.Join(dir, "home"), filepath.Join(dir, "tmp")
	return u
}

// lodge gives a judged command a place, if it has none, and says what takes that
// away again.
func (s *Sandbox) lodge(c Command) (_ Command, leave func(), err error) {
	if !c.Judge || c.Place != "" {
		return c, func() {}, nil
	}
	c.Place, leave, err = s.lodging()
	return c, leave, err
}

// lodging makes a place, which leave removes.
func (s *Sandbox) lodging() (dir string, leave func(), err error) {
	if dir, err = os.MkdirTemp(s.places, "place-"); err != nil {
		return "", nil, fmt.Errorf("make a place for a judged command: %w", err)
	}
	leave = func() { Remove(dir) }
	if err := errors.Join(os.Chmod(dir, 0o755), s.Place(dir)); err != nil { //nolint:gosec // the judge must pass; what is in it is closed
		leave()
		return "", nil, err
	}
	return dir, leave, nil
}

// Remove removes a directory in which a command may have closed some: without root
// they have to be opened first, and Go's modules lie in such. What cannot be
// removed costs disk and nothing else: nobody is given it again.
func Remove(dir string) {
	if os.RemoveAll(dir) == nil {
		return
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return
	}
	defer root.Close()
	_ = fs.WalkDir(root.FS(), ".", func(name string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			_ = root.Chmod(name, 0o700) // before it is read
		}
		return nil
	})
	_ = os.RemoveAll(dir)
}
