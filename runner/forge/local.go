package forge

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/autonomous-loop/autonomous-loop/runner"
)

// LocalOptions are what a [Folder] needs.
type LocalOptions struct {
	Dir         string // <remote's directory>/autonomous-loop/<loop>
	Run         string // this process, as [Self] names it
	PullRequest PullRequest
	// Alive says whether the process with pid that began at start still runs;
	// nil is [Alive].
	Alive func(pid int, start string) bool
}

// A Folder is the forge of a laptop: what GitHub would show is in files.
//
//	pull-request.md, comment.md, summary.md   what people are to read,
//	report.html, result.json, ...             with all else of the report
//	artifacts/<name>/                         what was uploaded, unpacked
//	runs/<id>.json                            what a session came to
//	queue/<serial>.json                       a session that is asked for
//	taken/<serial>.json                       one that was begun
//
// Every file is written whole or not at all.
type Folder struct {
	opts LocalOptions
}

// Local returns the forge in a directory, which is made when it is needed.
func Local(o LocalOptions) *Folder {
	if o.Alive == nil {
		o.Alive = Alive
	}
	return &Folder{opts: o}
}

func (f *Folder) path(elem ...string) string {
	return filepath.Join(append([]string{f.opts.Dir}, elem...)...)
}

// Over says whether the process that owns a session has ended.
func (f *Folder) Over(_ context.Context, o runner.Owner) (bool, error) {
	pid, start, ok := parse(o.Run)
	if !ok {
		return false, fmt.Errorf("run %q, which owns the session, is no process of this machine: only where it runs can it be told whether it is over", o.Run)
	}
	return !f.opts.Alive(pid, start), nil
}

// Cancelled is never so: a process that is told to end says so itself, and one
// that was killed was not cancelled.
func (f *Folder) Cancelled(context.Context, runner.Hold) (bool, error) { return false, nil }

// Upload keeps files in a directory and returns its path.
func (f *Folder) Upload(_ context.Context, name string, files []runner.File) (string, error) {
	files, err := checkFiles(files)
	if err == nil {
		err = checkName(name)
	}
	if err != nil {
		return "", fmt.Errorf("keep the artifact %s: %w", name, err)
	}
	dir := f.path("artifacts", name)
	if err := f.keep(dir, files); err != nil {
		return "", fmt.Errorf("keep the artifact %s: %w", name, err)
	}
	return dir, nil
}

// keep makes dir hold exactly files. They are written beside it and renamed, so
// that dir is never half there.
func (f *Folder) keep(dir string, files []runner.File) error {
	parent := filepath.Dir(dir)
	if err := mkdir(parent); err != nil {
		return err
	}
	tmp, err := os.MkdirTemp(parent, ".new-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(tmp)
	for _, file := range files {
		to := filepath.Join(tmp, filepath.FromSlash(file.Name))
		if err := mkdir(filepath.Dir(to)); err != nil {
			return err
		}
		if err := os.WriteFile(to, file.Data, 0o644); err != nil { //nolint:gosec // people read it
			return err
		}
	}
	if err := os.Chmod(tmp, 0o755); err != nil { //nolint:gosec // likewise
		return err
	}
	err = os.Rename(tmp, dir)
	if !errors.Is(err, fs.ErrExist) {
		return err
	}
	there, err := readAll(dir)
	if err != nil {
		return err
	}
	if !slices.EqualFunc(there, files, func(a, b runner.File) bool { return a.Name == b.Name && bytes.Equal(a.Data, b.Data) }) {
		return errors.New("there is another one of this name, with other content")
	}
	return nil
}

// readAll reads the plain files below dir, in the order of their names.
func readAll(dir string) ([]runner.File, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	var files []runner.File
	err = fs.WalkDir(root.FS(), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		data, err := root.ReadFile(filepath.FromSlash(name))
		files = append(files, runner.File{Name: name, Data: data})
		return err
	})
	slices.SortFunc(files, func(a, b runner.File) int { return cmp.Compare(a.Name, b.Name) })
	return files, err
}

// Report writes what people are to read, and a line about this process into
// the table of runs.
func (f *Folder) Report(_ context.Context, r runner.Report) (runner.Receipts, error) {
	out := runner.Receipts{Keys: map[string]string{}}
	keys := map[string]string{pullFile: KeyPull, commentFile: KeyComment}
	for _, file := range r.Files {
		if file.Name == pullFile && (f.opts.PullRequest == None || !opened(r.State)) || !filepath.IsLocal(file.Name) {
			continue
		}
		if err := write(f.path(file.Name), file.Data); err != nil {
			return out, fmt.Errorf("write the report: %w", err)
		}
		if key := keys[file.Name]; key != "" {
			out.Keys[key] = f.path(file.Name)
		}
	}
	if f.opts.Run == "" {
		return out, nil
	}
	line, err := json.MarshalIndent(struct {
		Run    string            `json:"run"`
		Result runner.LoopResult `json:"result"`
	}{f.opts.Run, r.Result}, "", "  ")
	if err == nil {
		err = write(f.path("runs", f.opts.Run+".json"), append(line, '\n'))
	}
	if err != nil {
		return out, fmt.Errorf("write the table of runs: %w", err)
	}
	return out, nil
}

// Continue puts the next session into the queue, unless it is there or was
// begun already. What another loop of the same name had asked for is dropped.
func (f *Folder) Continue(_ context.Context, s runner.Successor) (string, error) {
	name := strconv.Itoa(s.Serial) + ".json"
	for _, at := range []string{f.path("queue", name), f.path("taken", name)} {
		there, err := readSuccessor(at)
		if err == nil && there.Lineage == s.Lineage {
			return at, nil
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return "", fmt.Errorf("ask for the next session: %w", err)
		}
	}
	data, err := json.MarshalIndent(s, "", "  ")
	if err == nil {
		err = write(f.path("queue", name), append(data, '\n'))
	}
	if err != nil {
		return "", fmt.Errorf("ask for the next session: %w", err)
	}
	queue, err := f.queue()
	if err != nil {
		return "", err
	}
	for _, q := range queue {
		if q.Lineage != s.Lineage {
			if err := os.Remove(f.path("queue", strconv.Itoa(q.Serial)+".json")); err != nil {
				return "", fmt.Errorf("ask for the next session: %w", err)
			}
		}
	}
	return f.path("queue", name), nil
}

// Pending is the session that is asked for: the one that continues the latest
// transaction. It stays so until it is taken.
func (f *Folder) Pending() (runner.Successor, bool, error) {
	queue, err := f.queue()
	if err != nil || len(queue) == 0 {
		return runner.Successor{}, false, err
	}
	return queue[len(queue)-1], true, nil
}

// Take takes s out of the queue for the process that begins it, and with it all
// that continue earlier transactions.
func (f *Folder) Take(s runner.Successor) error {
	queue, err := f.queue()
	if err != nil {
		return err
	}
	if err := mkdir(f.path("taken")); err != nil {
		return fmt.Errorf("take the next session: %w", err)
	}
	found := false
	for _, q := range queue {
		if q.Serial > s.Serial {
			continue
		}
		found = found || q == s
		name := strconv.Itoa(q.Serial) + ".json"
		if err := os.Rename(f.path("queue", name), f.path("taken", name)); err != nil {
			return fmt.Errorf("take the next session: %w", err)
		}
	}
	if !found {
		return fmt.Errorf("take the next session: none is asked for that continues transaction %d of %s", s.Serial, s.Lineage)
	}
	return nil
}

// queue reads the sessions that are asked for, in the order of their serials.
func (f *Folder) queue() ([]runner.Successor, error) {
	entries, err := os.ReadDir(f.path("queue"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("look for the next session: %w", err)
	}
	var queue []runner.Successor
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), ".json") {
			continue // one that is just being written
		}
		s, err := readSuccessor(f.path("queue", e.Name()))
		if err != nil {
			return nil, fmt.Errorf("look for the next session: %w", err)
		}
		queue = append(queue, s)
	}
	slices.SortFunc(queue, func(a, b runner.Successor) int { return cmp.Compare(a.Serial, b.Serial) })
	return queue, nil
}

func readSuccessor(path string) (runner.Successor, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return runner.Successor{}, err
	}
	var s runner.Successor
	if err := json.Unmarshal(data, &s); err != nil {
		return s, fmt.Errorf("%s: %w", path, err)
	}
	return s, nil
}

// mkdir makes a directory that people look into.
func mkdir(dir string) error { return os.MkdirAll(dir, 0o755) } //nolint:gosec // see above

// write makes path hold data, whole or not at all, and leaves it alone if it
// does.
func write(path string, data []byte) error {
	if there, err := os.ReadFile(path); err == nil && bytes.Equal(there, data) {
		return nil
	}
	if err := mkdir(filepath.Dir(path)); err != nil {
		return err
	}
	tmp, err := os.CreateTemp(filepath.Dir(path), ".new-*")
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name()) // in vain once it is renamed
	_, err = tmp.Write(data)
	if err == nil {
		err = tmp.Chmod(0o644)
	}
	if err == nil {
		err = tmp.Sync()
	}
	if closed := tmp.Close(); err == nil {
		err = closed
	}
	if err != nil {
		return err
	}
	return os.Rename(tmp.Name(), path)
}
