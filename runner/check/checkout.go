package check

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"

	"github.com/autonomous-loop/autonomous-loop/runner/sandbox"
	"github.com/autonomous-loop/autonomous-loop/runner/suite"
)

// prepared is a tree laid out and set up, never run in: checkouts are copies of
// it, so that no run sees what another left behind.
type prepared struct {
	dir   string
	shelf *shelf // what its setup brought, unless that is in dir
	setup error  // a [*setupError], or nil; with one, dir may be gone: it is tried again from the start
	tests bool   // whether a file of tests is in dir
	ways  suite.Conventions
	used  int
	runs  int // that go on
}

const mostPrepared = 4

// A setupError says that the setup command failed in a checkout.
type setupError struct {
	tree, command string
	out           sandbox.Output
}

func (e *setupError) Error() string {
	return fmt.Sprintf("setup %q of %s: exit code %d", e.command, e.tree, e.out.Code)
}

func (e *setupError) finding() finding {
	how := fmt.Sprintf("ended with exit code %d", e.out.Code)
	if e.out.TimedOut {
		how = "did not end in time"
	}
	return failed(suite.Tail(suite.Clean(e.out.Text), mostDetail-200), "The setup command `%s` %s in a clean checkout. Keep the project in a state in which it works.", e.command, how)
}

// prepare lays tree out once and runs the setup in it. A setup that fails is
// tried again from the start, now and whenever it is asked for: it may need the
// network.
func (g *Gates) prepare(ctx context.Context, tree string) (*prepared, error) {
	g.laying.Lock()
	defer g.laying.Unlock()
	g.mu.Lock()
	p := g.prepared[tree]
	g.mu.Unlock()
	for try := 0; p == nil || p.setup != nil && try < 2; try++ {
		if p != nil {
			remove(p.dir)
		}
		dir, err := g.export(ctx, tree, "tree")
		if err != nil {
			return nil, err
		}
		p = &prepared{}
		if p.ways, err = learn(dir); err != nil {
			remove(dir)
			return nil, err
		}
		p.dir, p.shelf, p.setup = g.ready(ctx, tree, dir)
		if _, ok := errors.AsType[*setupError](p.setup); p.setup != nil && !ok {
			remove(p.dir)
			return nil, p.setup
		}
		if p.tests, err = anyTest(p.dir, p.ways); err == nil && p.setup == nil {
			err = g.compile(ctx, p)
		}
		if err != nil {
			remove(p.dir)
			return nil, err
		}
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.serial++
	p.used = g.serial
	g.prepared[tree] = p
	for len(g.prepared) > mostPrepared {
		oldest := tree
		for t, o := range g.prepared {
			if o.used < g.prepared[oldest].used && !slices.Contains(g.kept, t) && o.runs == 0 {
				oldest = t
			}
		}
		if oldest == tree {
			break
		}
		remove(g.prepared[oldest].dir)
		delete(g.prepared, oldest)
	}
	return p, nil
}

// anyTest says whether the tree in dir holds a test file.
func anyTest(dir string, ways suite.Conventions) (bool, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return false, err
	}
	defer root.Close()
	return suite.AnyFile(root, func(p string) bool {
		if !mixes(p) {
			return ways.IsTest(p)
		}
		text, err := suite.ReadFile(root, p, mostSource)
		return ways.IsTest(p) || err == nil && suite.IsMixed(p, text)
	})
}

// learn reads what the tree in dir says of its tests.
func learn(dir string) (suite.Conventions, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return suite.Conventions{}, err
	}
	defer root.Close()
	return suite.Learn(root)
}

// ways are the conventions by which tests are told from the rest: the parent's, for
// a candidate could declare its implementation a test.
func (g *Gates) ways(ctx context.Context, parent string) (suite.Conventions, error) {
	p, err := g.prepare(ctx, parent)
	if err != nil {
		return suite.Conventions{}, err
	}
	return p.ways, nil
}

// comesWithTests says whether what the tests of a feature need is in the file at p:
// tests, the configuration of their runner, and the manifests.
func comesWithTests(ways suite.Conventions, p string) bool {
	return ways.Role(p) != suite.Implementation
}

// hold keeps these trees prepared until others are named.
func (g *Gates) hold(trees ...string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.kept = trees
}

// checkout lays tree out for one run, set up.
func (g *Gates) checkout(ctx context.Context, tree string) (dir string, done func(), err error) {
	p, err := g.prepare(ctx, tree)
	if err != nil {
		return "", nil, err
	}
	if p.setup != nil {
		return "", nil, p.setup
	}
	return g.furnished(p, func(string) error { return nil })
}

// furnished copies p for one run, changes the copy, and hands it to the user of
// the run.
func (g *Gates) furnished(p *prepared, change func(dir string) error) (dir string, done func(), err error) {
	dir, err = g.scratch("run")
	if err != nil {
		return "", nil, err
	}
	err = copyTree(p.dir, dir)
	if err == nil {
		err = change(dir)
	}
	if err == nil {
		err = g.o.Own(dir)
	}
	if err == nil {
		err = g.furnish(dir, p.shelf)
	}
	if err == nil {
		err = g.settle(dir, p.home())
	}
	if err != nil {
		remove(dir)
		return "", nil, fmt.Errorf("lay out a checkout: %w", err)
	}
	g.inUse(p, 1)
	return dir, func() {
		remove(dir)
		g.inUse(p, -1)
	}, nil
}

func (g *Gates) inUse(p *prepared, n int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	p.runs += n
}

// mixed lays out the tree parent with those files of tree that paths name; what
// tree does not have is removed. Of files that hold implementation and tests it
// takes the tests.
func (g *Gates) mixed(ctx context.Context, parent, tree string, paths []string) (dir string, done func(), err error) {
	from, err := g.prepare(ctx, tree)
	if err != nil {
		return "", nil, err
	}
	if from.setup != nil {
		return "", nil, from.setup
	}
	if g.o.Setup != "" && slices.ContainsFunc(paths, suite.IsManifest) {
		// What the manifests ask for is set up anew. A setup that builds the
		// project may fail for want of the feature; then the parent's must do.
		base, err := g.export(ctx, parent, "tree")
		if err != nil {
			return "", nil, err
		}
		p := &prepared{dir: base}
		if err = transplant(from.dir, base, paths); err == nil {
			p.dir, p.shelf, err = g.ready(ctx, parent, base)
		}
		if err == nil {
			dir, done, err := g.furnished(p, func(string) error { return nil })
			if err != nil {
				remove(p.dir)
				return "", nil, err
			}
			return dir, func() { done(); remove(p.dir) }, nil // what its setup left at home is looked into until then
		}
		remove(p.dir)
		if _, ok := errors.AsType[*setupError](err); !ok {
			return "", nil, err
		}
	}
	p, err := g.prepare(ctx, parent)
	if err != nil {
		return "", nil, err
	}
	if p.setup != nil {
		return "", nil, p.setup
	}
	return g.furnished(p, func(dir string) error { return transplant(from.dir, dir, paths) })
}

func (g *Gates) export(ctx context.Context, tree, kind string) (string, error) {
	dir, err := g.scratch(kind)
	if err != nil {
		return "", err
	}
	if err := g.o.Trees.Export(ctx, tree, dir); err != nil {
		remove(dir)
		return "", fmt.Errorf("check out %s: %w", tree, err)
	}
	return dir, nil
}

// compared lays two trees out as they are, before any setup could change what is
// read, and hands both to read.
func (g *Gates) compared(ctx context.Context, from, to string, read func(old, now *os.Root) error) error {
	before, err := g.export(ctx, from, "compared")
	if err != nil {
		return err
	}
	defer remove(before)
	after, err := g.export(ctx, to, "compared")
	if err != nil {
		return err
	}
	defer remove(after)
	old, now, err := open2(before, after)
	if err == nil {
		defer old.Close()
		defer now.Close()
		err = read(old, now)
	}
	if err != nil {
		return fmt.Errorf("read the change: %w", err)
	}
	return nil
}

func (g *Gates) setUp(ctx context.Context, tree, dir string) error {
	if err := g.o.Own(dir); err != nil {
		return fmt.Errorf("own checkout of %s: %w", tree, err)
	}
	if err := g.settle(dir, ""); err != nil {
		return fmt.Errorf("make a home for the setup of %s: %w", tree, err)
	}
	out, err := g.run(ctx, g.o.Run, sandbox.Command{Argv: []string{"sh", "-c", g.o.Setup}, Dir: dir, Net: g.o.SetupNet})
	if err != nil {
		return fmt.Errorf("setup of %s: %w", tree, err)
	}
	if out.Code != 0 || out.TimedOut {
		return &setupError{tree: tree, command: g.o.Setup, out: out}
	}
	if err := g.keep(dir); err != nil {
		return fmt.Errorf("keep what the setup of %s left: %w", tree, err)
	}
	return nil
}

// scratch makes a directory of the gates' own.
func (g *Gates) scratch(kind string) (string, error) {
	dir, err := os.MkdirTemp(g.dir, kind+"-")
	if err == nil {
		err = os.Chmod(dir, 0o755) // #nosec G302 -- commands run as another user and must get in
	}
	if err != nil {
		return "", fmt.Errorf("make checkout: %w", err)
	}
	return dir, nil
}

// remove drops a checkout with its place.
func remove(dir string) {
	sandbox.Remove(dir)
	sandbox.Remove(placeOf(dir))
}

// copyTree copies what is in from into to, which is empty. Both may hold
// whatever the candidate put there; neither is left by way of a link.
func copyTree(from, to string) error {
	src, dst, err := open2(from, to)
	if err != nil {
		return err
	}
	defer src.Close()
	defer dst.Close()
	return fs.WalkDir(src.FS(), ".", func(p string, d fs.DirEntry, err error) error {
		if err != nil || p == "." {
			return err
		}
		return copyEntry(src, dst, p)
	})
}

// transplant makes paths in to as they are in from, absent ones included.
func transplant(from, to string, paths []string) error {
	src, dst, err := open2(from, to)
	if err != nil {
		return err
	}
	defer src.Close()
	defer dst.Close()
	for _, p := range paths {
		if mixes(p) {
			if err := graft(src, dst, p); err != nil {
				return err
			}
			continue
		}
		if err := dst.RemoveAll(p); err != nil {
			return err
		}
		if _, err := src.Lstat(p); errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err := dst.MkdirAll(path.Dir(p), 0o755); err != nil {
			return err
		}
		if err := copyEntry(src, dst, p); err != nil {
			return err
		}
	}
	return nil
}

// mixes says whether the file at p may hold implementation and tests.
func mixes(p string) bool { return path.Ext(p) == ".rs" && !suite.IsTest(p) }

// graft puts the tests within the file at p into the file of the same name in dst.
func graft(src, dst *os.Root, p string) error {
	was, now, err := versions(dst, src, p)
	if err != nil {
		return err
	}
	text := suite.Graft(p, was, now)
	if text == nil || bytes.Equal(text, was) {
		return nil
	}
	if err := dst.MkdirAll(path.Dir(p), 0o755); err != nil {
		return err
	}
	if err := dst.RemoveAll(p); err != nil {
		return err
	}
	return dst.WriteFile(p, text, 0o644)
}

// versions are the file at p in two trees; nil: there is none that could be read.
func versions(before, after *os.Root, p string) (was, now []byte, err error) {
	read := func(root *os.Root) ([]byte, error) {
		info, err := root.Lstat(p)
		if errors.Is(err, fs.ErrNotExist) || err == nil && (!info.Mode().IsRegular() || info.Size() > mostSource) {
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
		return suite.ReadFile(root, p, mostSource)
	}
	if was, err = read(before); err == nil {
		now, err = read(after)
	}
	return was, now, err
}

const mostSource = 4 << 20

func open2(from, to string) (src, dst *os.Root, err error) {
	if src, err = os.OpenRoot(from); err != nil {
		return nil, nil, err
	}
	if dst, err = os.OpenRoot(to); err != nil {
		src.Close()
		return nil, nil, err
	}
	return src, dst, nil
}

func copyEntry(src, dst *os.Root, p string) error {
	p = filepath.FromSlash(p)
	info, err := src.Lstat(p)
	if err != nil {
		return err
	}
	switch mode := info.Mode(); {
	case mode.IsDir():
		return dst.Mkdir(p, mode.Perm()|0o700)
	case mode&fs.ModeSymlink != 0:
		target, err := src.Readlink(p)
		if err != nil {
			return err
		}
		return dst.Symlink(target, p)
	case !mode.IsRegular():
		return nil // a socket or pipe that the setup left; none is in a tree
	}
	in, err := src.Open(p)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := dst.OpenFile(p, os.O_WRONLY|os.O_CREATE|os.O_EXCL, info.Mode().Perm())
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}
