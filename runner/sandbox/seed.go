package sandbox

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
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
//   - the agent's commands and each judged one get a cache of their own from it,
//     whose new entries stay there
//
// What commands download (modules, npm's packages) is not kept: it is as the
// tree asked for it, and the tree may be a model's.
const (
	seedTime = 15 * time.Minute
	seedKit  = "module seed\n\ngo 1.21\n"
)

// Warm gives the agent's commands, and each place of what judges them, a Go build
// cache with packages (patterns of go list; std is the standard library) from the
// seed in keep, which it makes the first time. Call it before any other command is
// run. It does nothing where there is no Go, or where nothing would hold commands
// off the seed. Without it they compile for themselves, so an error costs time
// only.
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
	dir, leave, err := s.lodging()
	if err != nil {
		return err
	}
	defer leave()
	name, err := s.gogo(ctx, kit, dir, time.Minute, `command -v go >/dev/null || exit 0; { go version; go env GOROOT CGO_ENABLED CC GOFLAGS GOEXPERIMENT; echo `+quote(asked)+`; } | sha256sum | cut -c1-24`)
	if err != nil || name == "" {
		return err
	}
	if err := ours(keep); err != nil {
		return err
	}
	seed := filepath.Join(keep, "go-"+name)
	if _, err := os.Stat(seed); errors.Is(err, fs.ErrNotExist) {
		if err := s.sow(ctx, kit, dir, seed, asked); err != nil {
			return err
		}
	}
	if err := s.cached.fill(seed); err != nil {
		return err
	}
	return s.cached.plant(s.user, s.now())
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

// gogo runs a script that uses go, as the judge in a place, and without any network.
func (s *Sandbox) gogo(ctx context.Context, kit, place string, limit time.Duration, script string) (string, error) {
	out, err := s.Run(ctx, Command{
		Argv: []string{"sh", "-c", script}, Dir: kit, Judge: true, Place: place, Timeout: limit, Tail: 256 << 10,
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

// sow compiles the packages in a place, as a test of ours would have them, and
// keeps a copy of that as seed.
func (s *Sandbox) sow(ctx context.Context, kit, place, seed, packages string) error {
	list, err := s.gogo(ctx, kit, place, time.Minute, "go list -e -f '{{if not (or .Incomplete .Error)}}{{.ImportPath}}{{end}}' "+packages)
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
	if _, err := s.gogo(ctx, kit, place, seedTime, "go test -run '^$' ."); err != nil {
		return err
	}
	part, err := os.MkdirTemp(filepath.Dir(seed), "part-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(part) // what was renamed is gone from there
	err = entries(s.judge.at(place).cache(), func(from *os.Root, name, _ string) error { return carry(from, name, part, nil) })
	if err == nil {
		err = os.Rename(part, seed) // whole, or not at all
	}
	if _, there := os.Stat(seed); there == nil {
		return nil // another session was faster
	}
	return err
}
