package check

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"

	"github.com/autonomous-loop/autonomous-loop/runner/pattern"

	"github.com/autonomous-loop/autonomous-loop/runner/suite"
)

// A shelf holds the packages that a setup brought, for every checkout whose
// setup would bring the same: that is known by the lock files, the manifests,
// the command and the platform. They were brought by the harness's own run of
// the setup in a clean checkout, and stay where they were brought to, because
// installed programs name their own place.
//
// A checkout is furnished with them in such a way that what runs in it cannot
// change them for the next one.
type shelf struct {
	dir   string
	paths []string // relative, also to a checkout
}

// ready readies dir, in which a tree was just laid out and nothing else: from a
// shelf, or by a run of the setup, which fills a shelf if it can. A setup of
// which it is not sure what it depends on is run in every tree. What is ready is
// the directory that it returns; dir is gone if that is another.
func (g *Gates) ready(ctx context.Context, tree, dir string) (string, *shelf, error) {
	if g.o.Setup == "" {
		return dir, nil, nil
	}
	key, sure, err := shelfKey(dir, g.o.Setup)
	if err != nil {
		return dir, nil, fmt.Errorf("look at what the setup of %s depends on: %w", tree, err)
	}
	g.mu.Lock()
	s, known := g.shelves[key]
	g.mu.Unlock()
	switch {
	case !sure || known && s == nil:
		return dir, nil, g.setUp(ctx, tree, dir)
	case known:
		return dir, s, nil
	}
	home, err := g.scratch("deps")
	if err != nil {
		return dir, nil, err
	}
	if err = copyTree(dir, home); err != nil {
		err = fmt.Errorf("copy checkout of %s: %w", tree, err)
	}
	var before map[string]glance
	if err == nil {
		before, err = look(home)
	}
	if err == nil {
		err = g.setUp(ctx, tree, home)
	}
	if err == nil {
		s, err = stock(home, before)
	}
	if err != nil {
		remove(home)
		return dir, nil, err
	}
	g.mu.Lock()
	g.shelves[key] = s // nil: it does more than bring packages
	g.mu.Unlock()
	if s == nil {
		remove(dir)
		return home, nil, nil
	}
	return dir, s, nil
}

// A glance is what can be seen of a file without reading it.
type glance struct {
	mode fs.FileMode
	size int64
	time int64
}

func look(dir string) (map[string]glance, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	seen := map[string]glance{}
	err = fs.WalkDir(root.FS(), ".", func(p string, d fs.DirEntry, err error) error {
		if err != nil || p == "." {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		e := glance{mode: info.Mode()}
		if !d.IsDir() {
			e.size, e.time = info.Size(), info.ModTime().UnixNano()
		}
		seen[p] = e
		return nil
	})
	return seen, err
}

// stock makes a shelf of home, in which a setup has run. Nil: it changed files of
// the tree, made other things than packages, or packages that lead back into
// the tree.
func stock(home string, before map[string]glance) (*shelf, error) {
	after, err := look(home)
	if err != nil {
		return nil, fmt.Errorf("look at what the setup made: %w", err)
	}
	s := &shelf{dir: home}
	for p, e := range after {
		switch was, there := before[p]; {
		case there && was.mode.IsDir() && e.mode.IsDir():
		case there:
			if was.size != e.size || was.time != e.time || was.mode.Type() != e.mode.Type() {
				return nil, nil
			}
		case below(p, before): // its parent is of the tree: what the setup made begins here
			if !packages[path.Base(p)] || !e.mode.IsDir() {
				return nil, nil
			}
			s.paths = append(s.paths, p)
		}
	}
	slices.Sort(s.paths)
	for p := range before {
		if _, there := after[p]; !there {
			return nil, nil
		}
	}
	for p, e := range after {
		if _, there := before[p]; there || e.mode&fs.ModeSymlink == 0 {
			continue
		}
		if ok, err := staysPut(home, p, s.paths); err != nil || !ok {
			return nil, err
		}
	}
	root, err := os.OpenRoot(home)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	// From here on they are the harness's, whoever brought them; and nothing of
	// the tree stays beside them, so that nothing can be taken from there.
	for p, e := range after {
		if _, there := before[p]; there {
			continue
		}
		if err := root.Lchown(p, os.Geteuid(), os.Getegid()); err != nil {
			return nil, fmt.Errorf("keep what the setup brought: %w", err)
		}
		if e.mode.IsRegular() {
			if err := root.Chmod(p, e.mode.Perm()&^0o022|0o444); err != nil {
				return nil, fmt.Errorf("keep what the setup brought: %w", err)
			}
		}
	}
	for p, e := range before {
		if !e.mode.IsDir() {
			if err := root.Remove(p); err != nil {
				return nil, fmt.Errorf("keep what the setup brought: %w", err)
			}
		}
	}
	return s, nil
}

// packages are the directories that hold packages and nothing else.
var packages = map[string]bool{"node_modules": true, ".venv": true, "venv": true, "vendor": true, ".bundle": true}

func below(p string, tree map[string]glance) bool {
	dir := path.Dir(p)
	_, ok := tree[dir]
	return ok || dir == "."
}

// staysPut says whether the link at p leads nowhere into the checkout but into
// the packages themselves.
func staysPut(home, p string, packages []string) (bool, error) {
	target, err := os.Readlink(filepath.Join(home, p))
	if err != nil {
		return false, fmt.Errorf("look at what the setup made: %w", err)
	}
	if filepath.IsAbs(target) {
		return target != home && !strings.HasPrefix(target, home+"/"), nil
	}
	to := path.Join(path.Dir(p), target)
	return slices.ContainsFunc(packages, func(dir string) bool { return to == dir || strings.HasPrefix(to, dir+"/") }), nil
}

// furnish puts what is on the shelf into a checkout. Where the checkout belongs
// to another user, who can change no file of ours, the files are the shelf's own
// by another name; else they are copies.
func (g *Gates) furnish(dir string, s *shelf) error {
	if s == nil {
		return nil
	}
	info, err := os.Stat(dir)
	if err != nil {
		return err
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	apart := ok && int(st.Uid) != os.Geteuid()
	src, dst, err := open2(s.dir, dir)
	if err != nil {
		return err
	}
	defer src.Close()
	defer dst.Close()
	for _, p := range s.paths {
		if err := dst.MkdirAll(p, 0o755); err != nil {
			return err
		}
		if apart { // tools keep caches at the top of it
			if err := g.o.Own(filepath.Join(dir, p)); err != nil {
				return err
			}
		}
		err := fs.WalkDir(src.FS(), p, func(name string, d fs.DirEntry, err error) error {
			if err != nil || name == p {
				return err
			}
			if apart && d.Type().IsRegular() {
				err := os.Link(filepath.Join(s.dir, name), filepath.Join(dir, name))
				if err == nil || !errors.Is(err, syscall.EXDEV) && !errors.Is(err, syscall.EMLINK) && !errors.Is(err, syscall.EPERM) {
					return err
				}
			}
			return copyEntry(src, dst, name)
		})
		if err != nil {
			return fmt.Errorf("bring %s: %w", p, err)
		}
	}
	return nil
}

// shelfDirs are the places of all shelves, which installed programs name.
func (g *Gates) shelfDirs() []string {
	g.mu.Lock()
	defer g.mu.Unlock()
	var dirs []string
	for _, s := range g.shelves {
		if s != nil {
			dirs = append(dirs, s.dir)
		}
	}
	slices.Sort(dirs)
	return dirs
}

var (
	// Commands that bring packages and do nothing else, as long as the manifests
	// do not tell them to.
	brings = pattern.MustCompile(`^(?:npm (?:ci|install|i)|yarn(?: install)?|pnpm (?:install|i)|bun install|python3? -m venv \.?venv|` +
		`(?:\.?venv/bin/)?(?:python3? -m )?pip3? install(?: -r \S+)+|go mod (?:download|verify)|cargo fetch|bundle install)(?: --[a-z-]+(?:=[\w.-]+)?)*$`)
	manifests = pattern.MustCompile(`(^|/)(package(-lock)?\.json|npm-shrinkwrap\.json|yarn\.lock|pnpm-(lock|workspace)\.yaml|bun\.lockb?|\.npmrc|\.yarnrc(\.yml)?|\.nvmrc|` +
		`[\w.-]*(requirements|constraints)[\w.-]*\.(txt|in)|pyproject\.toml|\.python-version|Gemfile(\.lock)?|\.ruby-version|go\.(mod|sum|work)|Cargo\.(toml|lock))$`)
	leadsBack = pattern.MustCompile(`(?m)"(?:file|link|portal|workspace):|"workspaces"\s*:|^\s*(?:-e\b|--editable|\.|file:|/)|\bpath:|\bpath\s*=`)
)

// shelfKey names what a setup of the tree in dir brings. sure is false if it may
// depend on more than manifests, or do more than bring packages.
func shelfKey(dir, setup string) (key string, sure bool, err error) {
	for part := range strings.SplitSeq(setup, "&&") {
		if !brings.MatchString(strings.TrimSpace(part)) {
			return "", false, nil
		}
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return "", false, err
	}
	defer root.Close()
	h := sha256.New()
	fmt.Fprintf(h, "%q %s %s\n", setup, runtime.GOOS, runtime.GOARCH)
	sure = true
	err = fs.WalkDir(root.FS(), ".", func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !manifests.MatchString(p) {
			return err
		}
		if !d.Type().IsRegular() {
			sure = false
			return nil
		}
		text, err := suite.ReadFile(root, p, 64<<20)
		if err != nil {
			return err
		}
		fmt.Fprintf(h, "%q %d\n%s\n", p, len(text), text)
		if path.Base(p) != "package-lock.json" && leadsBack.Match(text) || path.Base(p) == "package.json" && hasHooks(text) && !strings.Contains(setup, "--ignore-scripts") {
			sure = false
		}
		return nil
	})
	return hex.EncodeToString(h.Sum(nil)), sure, err
}

// hasHooks says whether an installation runs scripts of the project's own.
func hasHooks(manifest []byte) bool {
	var p struct{ Scripts map[string]string }
	if json.Unmarshal(manifest, &p) != nil {
		return true
	}
	return slices.ContainsFunc([]string{"preinstall", "install", "postinstall", "preprepare", "prepare", "postprepare", "prepublish"}, func(s string) bool { return p.Scripts[s] != "" })
}
