package sandbox

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"sync"
	"time"
)

// A store is a Go build cache that is ours, where no command may go. The places
// of judged commands, whose own caches are new, get what is in it: else each of
// them would compile the standard library.
//
// What go finds in its cache it believes, so nothing is taken into a store but
// what was compiled in a place where nothing of a project's was ever executed:
// see [Sandbox.Compile] and [Sandbox.Warm].
type store struct {
	dir string
	mu  sync.RWMutex
}

// entry is the name of a file in a Go build cache: an action, or data.
var entry = regexp.MustCompile(`^[0-9a-f]{2}/[0-9a-f]{64}-([ad])$`)

// Compile runs c, which compiles with go and executes nothing of what it
// compiles, as the judge and in a place of its own, and keeps for the places made
// from then on what was compiled. That c compiles and no more is the caller's to
// see to; settings of go's own, which name programs to compile with, are not
// looked for.
func (s *Sandbox) Compile(ctx context.Context, c Command) (Output, error) {
	dir, leave, err := s.lodging()
	if err != nil {
		return Output{}, err
	}
	defer leave()
	c.Judge, c.Place, c.Net = true, dir, None
	// A directory of another system for versions is not to be asked, either.
	c.Env = append(slices.Clip(c.Env), "GOENV=off", "GOFLAGS=-buildvcs=false", "GOTOOLCHAIN=local", "GOPROXY=off")
	out, err := s.Run(ctx, c)
	if err != nil || out.Cancelled {
		return out, err
	}
	if err := s.cached.absorb(s.judge.at(dir).cache()); err != nil {
		return out, fmt.Errorf("keep what was compiled: %w", err)
	}
	return out, nil
}

// absorb takes what is new in the build cache from.
func (t *store) absorb(from string) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if _, err := os.Stat(from); errors.Is(err, fs.ErrNotExist) {
		return nil // go never came to it
	}
	return entries(from, func(root *os.Root, name, _ string) error {
		if _, err := os.Lstat(filepath.Join(t.dir, name)); err == nil {
			return nil
		}
		return carry(root, name, t.dir, nil)
	})
}

// fill makes the store hold what is in seed, a store that outlives it.
func (t *store) fill(seed string) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	return entries(seed, func(root *os.Root, name, _ string) error {
		file := filepath.Join(t.dir, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil { //nolint:gosec // below a closed one
			return err
		}
		if err := os.Link(filepath.Join(seed, name), file); err == nil || errors.Is(err, fs.ErrExist) {
			return nil
		}
		return carry(root, name, t.dir, nil)
	})
}

// plant makes a cache of u's from the store. What is large is linked, where it
// belongs to somebody else than u, who therefore cannot change it: root. Else it
// is copied.
func (t *store) plant(u user, now time.Time) error {
	t.mu.RLock()
	defer t.mu.RUnlock()
	if _, err := os.Stat(t.dir); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	to := u.cache()
	for _, dir := range []string{filepath.Dir(to), to} {
		if err := makeFor(u, dir); err != nil {
			return err
		}
	}
	last := ""
	err := entries(t.dir, func(from *os.Root, name, kind string) error {
		if dir := filepath.Dir(name); dir != last {
			last = dir
			if err := makeFor(u, filepath.Join(to, dir)); err != nil {
				return err
			}
		}
		if u.own && kind == "d" {
			if err := os.Link(filepath.Join(t.dir, name), filepath.Join(to, name)); err == nil || errors.Is(err, fs.ErrExist) {
				return nil
			}
		}
		return carry(from, name, to, &u)
	})
	if err != nil {
		return err
	}
	// Else the first go would throw out what looks unused for days.
	trim := filepath.Join(to, "trim.txt")
	if err := os.WriteFile(trim, fmt.Appendf(nil, "%d\n", now.Unix()), 0o644); err != nil { //nolint:gosec // u reads it
		return err
	}
	return os.Lchown(trim, u.uid, u.gid)
}

// cache is where u's go compiles to: see environ.
func (u user) cache() string { return filepath.Join(u.home, ".cache", "go-build") }

func makeFor(u user, dir string) error {
	err := os.Mkdir(dir, 0o755) //nolint:gosec // below a home that is closed
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return os.Lchown(dir, u.uid, u.gid)
}

// entries calls do for each file of the build cache in dir, directory by
// directory, and for nothing else that may be there.
func entries(dir string, do func(root *os.Root, name, kind string) error) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	return fs.WalkDir(root.FS(), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		parts := entry.FindStringSubmatch(name)
		if parts == nil || !d.Type().IsRegular() {
			return nil
		}
		return do(root, name, parts[1])
	})
}

// carry copies a file into the directory to, for u if it is not nil. What is
// there stays.
func carry(from *os.Root, name, to string, u *user) error {
	in, err := from.Open(name)
	if err != nil {
		return err
	}
	defer in.Close()
	file := filepath.Join(to, name)
	if u == nil {
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil { //nolint:gosec // below a closed one
			return err
		}
	}
	out, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644) //nolint:gosec // read by the user that it is linked for
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	if u != nil {
		err = errors.Join(err, out.Chown(u.uid, u.gid))
	}
	return errors.Join(err, out.Close())
}
