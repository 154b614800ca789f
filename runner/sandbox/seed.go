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
	"strings"
	"syscall"
	"time"
)

// A seed is a Go build cache that holds the standard library, which takes
// minutes to compile. It is the one thing that outlives a sandbox, so nothing
// that judges, is judged, or is the model's may have a way to write it:
//
//   - it is filled by one command, which compiles nothing but the standard
//     library and a file of ours, before any other command was run
//   - it is kept as copies that belong to us, where no command may go
//   - each user gets a cache of their own from it, whose new entries stay there
//
// What commands download (modules, npm's packages) is not kept: it is as the
// tree asked for it, and the tree may be a model's.
const (
	seedTime = 15 * time.Minute
	seedKit  = "module seed\n\ngo 1.21\n"
)

// entry is the name of a file in a Go build cache: an action, or data.
var entry = regexp.MustCompile(`^[0-9a-f]{2}/[0-9a-f]{64}-([ad])$`)

// Warm gives both users a Go build cache with packages (patterns of go list;
// std is the standard library) from the seed in keep, which it makes the first
// time. Call it before any other command is run. It does nothing where there is
// no Go, or where nothing would hold commands off the seed. Without it they
// compile for themselves, so an error costs time only.
func (s *Sandbox) Warm(ctx context.Context, keep string, packages ...string) error {
	if !s.rung.confine {
		return nil
	}
	if err := s.warm(ctx, keep, packages); err != nil {
		return fmt.Errorf("warm the build cache: %w", err)
	}
	return nil
}

func (s *Sandbox) warm(ctx context.Context, keep string, packages []string) error {
	kit := filepath.Join(filepath.Dir(s.private), "seed")
	if err := os.MkdirAll(kit, 0o755); err != nil { //nolint:gosec // commands read it
		return err
	}
	if err := os.WriteFile(filepath.Join(kit, "go.mod"), []byte(seedKit), 0o644); err != nil { //nolint:gosec // likewise
		return err
	}
	asked := strings.Join(packages, " ")
	// The cache tells toolchains apart by itself; the name only keeps a seed for
	// another one from being taken, which would be of no use.
	name, err := s.gogo(ctx, kit, time.Minute, `command -v go >/dev/null || exit 0; { go version; go env GOROOT CGO_ENABLED CC GOFLAGS GOEXPERIMENT; echo `+quote(asked)+`; } | sha256sum | cut -c1-24`)
	if err != nil || name == "" {
		return err
	}
	if err := ours(keep); err != nil {
		return err
	}
	seed := filepath.Join(keep, "go-"+name)
	if _, err := os.Stat(seed); errors.Is(err, fs.ErrNotExist) {
		if err := s.sow(ctx, kit, seed, asked); err != nil {
			return err
		}
	}
	for _, u := range []user{s.user, s.judge} {
		if err := s.plant(seed, u); err != nil {
			return err
		}
		if s.user == s.judge {
			break
		}
	}
	return nil
}

// ours makes dir, or sees that it is a directory of ours that nobody else may
// look into or change.
func ours(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	info, err := os.Lstat(dir)
	if err != nil {
		return err
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok || !info.IsDir() || int(st.Uid) != os.Geteuid() || info.Mode().Perm()&0o022 != 0 {
		return fmt.Errorf("%s is not a directory that only we can write", dir)
	}
	return nil
}

// gogo runs a script that uses go, as the judge and without any network.
func (s *Sandbox) gogo(ctx context.Context, kit string, limit time.Duration, script string) (string, error) {
	out, err := s.Run(ctx, Command{
		Argv: []string{"sh", "-c", script}, Dir: kit, Judge: true, Timeout: limit, Tail: 256 << 10,
		Env: []string{"GOPROXY=off", "GOTOOLCHAIN=local", "GOWORK=off"},
	})
	switch {
	case err != nil:
		return "", err
	case out.Cancelled:
		return "", context.Cause(ctx)
	case out.Code != 0:
		return "", fmt.Errorf("go: exit code %d: %s", out.Code, strings.TrimSpace(out.Text))
	}
	return strings.TrimSpace(out.Text), nil
}

// sow compiles the packages into the judge's cache, as a test of ours would have
// them, and keeps a copy of that as seed.
func (s *Sandbox) sow(ctx context.Context, kit, seed, packages string) error {
	list, err := s.gogo(ctx, kit, time.Minute, "go list -e -f '{{if not (or .Incomplete .Error)}}{{.ImportPath}}{{end}}' "+packages)
	if err != nil {
		return err
	}
	var b strings.Builder
	b.WriteString("package seed\n\nimport (\n")
	for path := range strings.FieldsSeq(list) {
		if parts := "/" + path + "/"; !strings.Contains(parts, "/internal/") && !strings.Contains(parts, "/vendor/") && path != "runtime/race" && path != "unsafe" {
			fmt.Fprintf(&b, "\t_ %q\n", path)
		}
	}
	b.WriteString(")\n")
	if err := os.WriteFile(filepath.Join(kit, "seed_test.go"), []byte(b.String()), 0o644); err != nil { //nolint:gosec // commands read it
		return err
	}
	if _, err := s.gogo(ctx, kit, seedTime, "go test -run '^$' ."); err != nil {
		return err
	}
	part, err := os.MkdirTemp(filepath.Dir(seed), "part-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(part) // what was renamed is gone from there
	err = entries(s.judge.cache(), func(from *os.Root, name, _ string) error { return carry(from, name, part, nil) })
	if err == nil {
		err = os.Rename(part, seed) // whole, or not at all
	}
	if _, there := os.Stat(seed); there == nil {
		return nil // another session was faster
	}
	return err
}

// plant makes a cache of u's from the seed. What is large is linked, where it
// belongs to somebody else than u, who therefore cannot change it: root. Else it
// is copied.
func (s *Sandbox) plant(seed string, u user) error {
	to := u.cache()
	for _, dir := range []string{filepath.Dir(to), to} {
		if err := makeFor(u, dir); err != nil {
			return err
		}
	}
	err := entries(seed, func(from *os.Root, name, kind string) error {
		if err := makeFor(u, filepath.Join(to, filepath.Dir(name))); err != nil {
			return err
		}
		if _, err := os.Lstat(filepath.Join(to, name)); err == nil {
			return nil // the judge has what was just made
		}
		if u.own && kind == "d" && os.Link(filepath.Join(seed, name), filepath.Join(to, name)) == nil {
			return nil
		}
		return carry(from, name, to, &u)
	})
	if err != nil {
		return err
	}
	// Else the first go would throw out what looks unused for days.
	trim := filepath.Join(to, "trim.txt")
	if err := os.WriteFile(trim, fmt.Appendf(nil, "%d\n", s.now().Unix()), 0o644); err != nil { //nolint:gosec // u reads it
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

// entries calls do for each file of the build cache in dir, and for nothing else
// that may be there.
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

// carry copies a file into the directory to, for u if it is not nil.
func carry(from *os.Root, name, to string, u *user) error {
	in, err := from.Open(name)
	if err != nil {
		return err
	}
	defer in.Close()
	file := filepath.Join(to, name)
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil { //nolint:gosec // below a closed one
		return err
	}
	out, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644) //nolint:gosec // read by the user that it is linked for
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	if u != nil {
		err = errors.Join(err, out.Chown(u.uid, u.gid))
	}
	return errors.Join(err, out.Close())
}
