package check

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// Beside each checkout lies its place: the home and the temporary directory of
// what is run in it, and of nothing else. No run sees what another left in its
// home, and all of them see what the setup of their tree left in its own.
//
// That is kept where the setup left it, because what was installed may name its
// own place, and belongs to us from then on, so that what runs can change nothing
// about it: Landlock keeps it from writing there, and that nothing is its own
// from changing modes and times. Each run has copies; of what is large, links.

// placeOf is the place that goes with a checkout.
func placeOf(dir string) string { return dir + ".own" }

// home is what a setup left in its home for the runs of its tree; "" if nothing.
func (p *prepared) home() string {
	dir := p.dir
	if p.shelf != nil {
		dir = p.shelf.dir
	}
	home := filepath.Join(placeOf(dir), "home")
	if _, err := os.Lstat(home); err != nil {
		return ""
	}
	return home
}

// settle makes the place of a checkout, with what the setup left in home.
func (g *Gates) settle(dir, home string) error {
	place := placeOf(dir)
	to := filepath.Join(place, "home")
	for _, d := range []string{place, to, filepath.Join(place, "tmp")} {
		if err := os.Mkdir(d, 0o755); err != nil { //nolint:gosec // commands run as another user
			return err
		}
	}
	var large []string
	if home != "" {
		// Who runs in it asks for it by this name: see around.
		if err := os.Symlink(home, filepath.Join(place, kept)); err != nil {
			return err
		}
		var err error
		if large, err = bring(home, to); err != nil {
			return fmt.Errorf("bring what the setup left at home: %w", err)
		}
	}
	for _, d := range []string{to, filepath.Join(place, "tmp")} {
		if err := g.o.Own(d); err != nil {
			return err
		}
	}
	if err := g.bringLarge(home, to, large); err != nil {
		return fmt.Errorf("bring what the setup left at home: %w", err)
	}
	return g.o.Place(place)
}

const (
	kept = "kept" // in a place: a link to what the setup left at home

	// What is larger is linked and not copied. Settings, which programs write anew,
	// are smaller.
	largeFile = 16 << 10
)

// Where tools look for Go's modules. They stay where the setup brought them to:
// go knows again what it has compiled by the path as well.
const modules = "go/pkg/mod"

// onlyCaches are directories of a home that hold what was downloaded and is of no
// use but to the next setup, or what was compiled. No setup meets what another
// has downloaded: not all of them check it again.
var onlyCaches = []string{".npm/_cacache", ".npm/_logs", ".cache/pip", ".cache/go-build", ".cache/yarn", ".cache/uv", ".cache/node-gyp", "go/pkg/mod/cache/vcs"}

// bring copies what is in the home from into to, which is empty, but for files
// that are large, which it names.
func bring(from, to string) (large []string, err error) {
	src, dst, err := open2(from, to)
	if err != nil {
		return nil, err
	}
	defer src.Close()
	defer dst.Close()
	err = fs.WalkDir(src.FS(), ".", func(p string, d fs.DirEntry, err error) error {
		switch {
		case err != nil || p == ".":
			return err
		case p == modules:
			return fs.SkipDir
		case d.Type().IsRegular():
			info, err := d.Info()
			if err != nil {
				return err
			}
			if info.Size() > largeFile {
				large = append(large, p)
				return nil
			}
		}
		return copyEntry(src, dst, p)
	})
	return large, err
}

// bringLarge links the large files of a home, or copies them where they would be
// the run's to change.
func (g *Gates) bringLarge(from, to string, large []string) error {
	if len(large) == 0 {
		return nil
	}
	src, dst, err := open2(from, to)
	if err != nil {
		return err
	}
	defer src.Close()
	defer dst.Close()
	apart, err := othersThan(to)
	if err != nil {
		return err
	}
	for _, p := range large {
		if apart && os.Link(filepath.Join(from, p), filepath.Join(to, p)) == nil {
			continue
		}
		if err := copyEntry(src, dst, p); err != nil {
			return err
		}
	}
	return nil
}

// othersThan says whether dir belongs to another user than us.
func othersThan(dir string) (bool, error) {
	info, err := os.Stat(dir)
	if err != nil {
		return false, err
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	return ok && int(st.Uid) != os.Geteuid(), nil
}

// keep makes what a setup left, in its checkout and at its home, the harness's:
// readable for all, and nobody's to change.
func (g *Gates) keep(dir string) error {
	place := placeOf(dir)
	for _, p := range onlyCaches {
		remove(filepath.Join(place, "home", filepath.FromSlash(p)))
	}
	remove(filepath.Join(place, "tmp"))
	if err := claim(dir, 0); err != nil {
		return err
	}
	return claim(filepath.Join(place, "home"), 0o444)
}

// claim makes all that is in dir, and dir, ours, with these bits besides; what
// can be entered or executed can be by all.
func claim(dir string, bits fs.FileMode) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	return fs.WalkDir(root.FS(), ".", func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if err := root.Lchown(p, os.Geteuid(), os.Getegid()); err != nil {
			return err
		}
		info, err := root.Lstat(p)
		if err != nil || bits == 0 || info.Mode()&fs.ModeSymlink != 0 {
			return err
		}
		mode := info.Mode().Perm() | bits
		if mode&0o100 != 0 {
			mode |= 0o111
		}
		return root.Chmod(p, mode&^0o022)
	})
}

// around is what a command that runs in the checkout dir finds outside of it.
func (g *Gates) around(dir string) (place string, env, read []string) {
	place, read = placeOf(dir), g.shelfDirs()
	home, err := os.Readlink(filepath.Join(place, kept))
	if err != nil {
		return place, nil, read // no setup, or one that runs now
	}
	env, more := lentBy(home)
	return place, env, append(read, more...)
}

// lentBy is what the commands of a tree whose setup left home use there, without
// having it.
func lentBy(home string) (env, read []string) {
	if at := filepath.Join(home, filepath.FromSlash(modules)); isDir(at) {
		env = append(env, "GOMODCACHE="+at)
	}
	return env, []string{home}
}

func isDir(name string) bool {
	info, err := os.Lstat(name)
	return err == nil && info.IsDir()
}
