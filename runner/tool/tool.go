// Package tool is what a model may do in a work tree: read, search, edit, run,
// test and browse.
//
// It promises that no file tool reads or writes outside of the work tree (but
// for reading the logs of commands), whatever the tree holds and whatever runs
// in it meanwhile; that an edit applies where it was meant to or not at all;
// and that every result is small. Commands run through a sandbox that is given
// to it: what they may do is the sandbox's promise, not this package's.
//
// Its tests run real commands without a sandbox.
package tool

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/autonomous-loop/autonomous-loop/runner/agent"
	"github.com/autonomous-loop/autonomous-loop/runner/sandbox"
)

// Options are what a toolbox works with. What is nil is told to the model as
// not available.
type Options struct {
	Dir    string // the work tree; it must stay the same directory while the Box is open
	LogDir string // outside of Dir: whole outputs of commands, which the model may read; "": none are kept

	Shell Runner
	Start func(context.Context, sandbox.Command) (Process, error) // background jobs
	Net   sandbox.Net                                             // of commands and jobs

	// Ripgrep is the path of rg, "" if there is none: it makes searches of large
	// trees faster and changes nothing in their results.
	Ripgrep string

	// Patch offers apply_patch in the place of edit_file, to models that were
	// taught its format. Never both: which to take would be one more thing to
	// get wrong.
	Patch bool

	// Tests runs the project's tests as the harness does and tells what failed,
	// shortened, and in full. An error means that they could not be run at all.
	Tests func(ctx context.Context, scope string) (brief, whole string, err error)

	// Page opens a browser page for the model. It is opened at first use.
	Page func(context.Context) (Page, error)

	// MayWrite says why the phase does not allow a file tool to write path,
	// which is relative to Dir and clean; nil if it does. What commands write
	// is for the gates to judge.
	MayWrite func(p agent.Phase, path string) error
}

// A Runner runs commands; a sandbox is one. An error means that the command
// could not be run safely, never that it failed.
type Runner interface {
	Run(context.Context, sandbox.Command) (sandbox.Output, error)
}

// A Process is a command that runs in the background.
type Process interface {
	// Done is closed when it has ended.
	Done() <-chan struct{}
	// Since is its output from an offset on, and the offset after it.
	Since(int64) (string, int64)
	// Write writes to its standard input.
	Write([]byte) error
	// Stop ends it, if it has not ended, and says how it ended. Done is closed
	// when Stop returns. It may be called again.
	Stop() sandbox.Output
}

// A Box is an [agent.Toolbox] over one work tree. Calls of read_file,
// find_files and search may come at once.
type Box struct {
	o    Options
	tree *os.Root
	logs *os.Root // nil if there are none

	mu    sync.Mutex
	seen  map[string][sha256.Size]byte // what the model knows of a file, by its clean path
	shown map[readArgs]showing         // what it was shown of files
	miss  map[string]int               // edits in a row that missed, by path
	jobs  map[string]*job
	begun int // jobs and logs are numbered
	ran   int
	page  Page

	eye sync.Mutex // pictures take memory, one at a time
}

// Open returns a toolbox for the work tree o.Dir. It must be closed.
func Open(o Options) (*Box, error) {
	dir, err := filepath.Abs(o.Dir)
	if err != nil {
		return nil, fmt.Errorf("work tree: %w", err)
	}
	o.Dir = dir
	b := &Box{o: o, seen: map[string][sha256.Size]byte{}, shown: map[readArgs]showing{}, miss: map[string]int{}, jobs: map[string]*job{}}
	if b.tree, err = os.OpenRoot(dir); err != nil {
		return nil, fmt.Errorf("work tree: %w", err)
	}
	if o.LogDir == "" {
		return b, nil
	}
	if err := b.openLogs(); err != nil {
		return nil, errors.Join(fmt.Errorf("logs of commands: %w", err), b.tree.Close())
	}
	return b, nil
}

func (b *Box) openLogs() (err error) {
	if b.o.LogDir, err = filepath.Abs(b.o.LogDir); err != nil {
		return err
	}
	if err := os.MkdirAll(b.o.LogDir, 0o755); err != nil { //nolint:gosec // the model's commands read them
		return err
	}
	if b.logs, err = os.OpenRoot(b.o.LogDir); err != nil {
		return err
	}
	entries, err := os.ReadDir(b.o.LogDir)
	for _, e := range entries { // of a session before this one
		var n int
		if _, err := fmt.Sscanf(e.Name(), "%d.log", &n); err == nil {
			b.ran = max(b.ran, n)
		}
	}
	return err
}

// Close stops the jobs and closes the page.
func (b *Box) Close() error {
	b.stopJobs()
	var errs []error
	if b.page != nil {
		errs = append(errs, b.page.Close())
		b.page = nil
	}
	if b.logs != nil {
		errs = append(errs, b.logs.Close())
	}
	return errors.Join(append(errs, b.tree.Close())...)
}

// Specs are the tools, in an order that never changes.
func (b *Box) Specs() []agent.ToolSpec {
	if !b.o.Patch {
		return specs
	}
	own := slices.Clone(specs)
	own[slices.IndexFunc(own, func(s agent.ToolSpec) bool { return s.Name == "edit_file" })] = patchSpec
	return own
}

// A broken error means that the toolbox itself cannot work. Every other error
// of a tool is a result, for the model to read.
type broken struct{ error }

func (e broken) Unwrap() error { return e.error }

// Use performs one call.
func (b *Box) Use(ctx context.Context, c agent.Call, p agent.Permit) (string, error) {
	if ctx.Err() != nil {
		return "", context.Cause(ctx)
	}
	text, err := b.use(ctx, c, p)
	if ctx.Err() != nil {
		return "", context.Cause(ctx)
	}
	if bad, ok := errors.AsType[broken](err); ok {
		return "", bad.error
	}
	if err != nil {
		return agent.Failed + err.Error(), nil //nolint:nilerr // see broken
	}
	return text, nil
}

func (b *Box) use(ctx context.Context, c agent.Call, p agent.Permit) (string, error) {
	switch c.Name {
	case "read_file":
		return with(c, func(in readArgs) (string, error) { return b.readFile(p, in) })
	case "find_files":
		return with(c, func(in findArgs) (string, error) { return b.findFiles(ctx, in) })
	case "search":
		return with(c, func(in searchArgs) (string, error) { return b.search(ctx, in) })
	case "edit_file":
		return with(c, func(in editArgs) (string, error) { return b.editFile(p, in) })
	case "apply_patch":
		return with(c, func(in patchArgs) (string, error) { return b.applyPatch(p, in.Input, ".") })
	case "write_file":
		return with(c, func(in writeArgs) (string, error) { return b.writeFile(p, in) })
	case "shell":
		return with(c, func(in shellArgs) (string, error) { return b.shell(ctx, p, in) })
	case "job":
		return with(c, func(in jobArgs) (string, error) { return b.job(ctx, in) })
	case "run_tests":
		return with(c, func(in testArgs) (string, error) { return b.runTests(ctx, in) })
	case "browser":
		return with(c, func(in PageAction) (string, error) { return b.browse(ctx, p, in) })
	}
	return "", fmt.Errorf("there is no tool %q", c.Name)
}

// with decodes the arguments of c for do.
func with[T any](c agent.Call, do func(T) (string, error)) (string, error) {
	var in T
	if err := json.Unmarshal([]byte(cmp.Or(strings.TrimSpace(c.Args), "{}")), &in); err != nil {
		return "", fmt.Errorf("read the arguments: %w", err)
	}
	return do(in)
}
