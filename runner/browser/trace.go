package browser

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"syscall"
	"time"

	"github.com/playwright-community/playwright-go"

	"github.com/autonomous-loop/autonomous-loop/runner/check"
)

// maxTrace is how big a trace may be that is kept, in bytes.
const maxTrace = 16 << 20

// suspect says whether the last run of a feature failed. The next one is traced
// then: a trace costs a tenth of a run, most runs pass, and whoever judges
// repeats the others.
func (b *Browser) suspect(feature string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.failing[feature] && b.o.Exchange != "" && b.o.Artifacts != ""
}

func (b *Browser) remember(feature string, failed bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.failing[feature] = failed
}

// trace begins to record everything that happens in the context.
func (s *session) trace(ctx context.Context, l Limits) error {
	_, err := use(ctx, s, l.Launch, func(context.Context) (struct{}, error) {
		return struct{}{}, s.ctx.Tracing().Start(playwright.TracingStartOptions{Snapshots: new(true), Screenshots: new(true)})
	})
	return err
}

// keepTrace ends the trace and keeps it under its feature's name, in the place of
// an older one. A run without a trace is no worse for it, so nothing is said of
// one that could not be had.
func (b *Browser) keepTrace(ctx context.Context, s *session, acc *check.Acceptance) {
	b.mu.Lock()
	b.traces++
	name := fmt.Sprintf("trace-%d.zip", b.traces)
	b.mu.Unlock()
	handed := filepath.Join(b.o.Exchange, name)
	_, err := use(ctx, s, 30*time.Second, func(context.Context) (struct{}, error) {
		return struct{}{}, s.ctx.Tracing().Stop(handed)
	})
	if err != nil {
		return
	}
	data, err := receive(b.o.Exchange, name, maxTrace)
	_ = os.Remove(handed) // the directory goes with the session
	if err != nil {
		return
	}
	kept := "trace-" + notPlain.ReplaceAllString(acc.Feature, "-") + ".zip"
	if err := os.WriteFile(filepath.Join(b.o.Artifacts, kept), data, 0o600); err == nil {
		acc.Trace = kept
	}
}

var notPlain = regexp.MustCompile(`[^A-Za-z0-9-]`)

// receive reads a file that somebody else wrote, who may have put anything there
// in its place: a link, a pipe that nobody writes to, or too much.
func receive(dir, name string, most int64) ([]byte, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	if at, err := root.Lstat(name); err != nil || !at.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is no file: %w", name, err)
	}
	f, err := root.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() || info.Size() > most {
		return nil, fmt.Errorf("%s is no file of at most %d bytes", name, most)
	}
	return io.ReadAll(io.LimitReader(f, most))
}
