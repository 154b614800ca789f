package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/autonomous-loop/autonomous-loop/report"
	"github.com/autonomous-loop/autonomous-loop/runner"
	"github.com/autonomous-loop/autonomous-loop/runner/browser"
	"github.com/autonomous-loop/autonomous-loop/runner/plan"
	"github.com/autonomous-loop/autonomous-loop/runner/repo"
)

// A source is the spec as it was read, and what the repository holds already.
type source struct {
	runner.Spec
	text     []byte
	features []byte // a feature list of the person's own
	project  plan.Project
}

// options are what a planner makes a list from.
func (s source) options(c config, ask plan.Asker) plan.Options {
	return plan.Options{
		Spec: s.text, Source: s.Source, Features: s.features, FeaturesName: c.Features, Ask: ask, RepoMap: s.project.String(),
		Acceptance: c.E2E == "required", Mistakes: browser.Mistakes, Min: c.MinFeatures, Max: c.MaxFeatures,
	}
}

// ready says how ready the spec is to be built from.
func (s source) ready() plan.Readiness { return plan.Ready(string(s.text), !s.project.Empty()) }

// unclear are the questions to ask before a list is drawn up; nil where the spec
// says enough, or where a list is there.
func (s source) unclear(c config) *runner.UnclearError {
	if s.features != nil {
		return nil
	}
	r := s.ready()
	if r.Score >= c.Readiness {
		return nil
	}
	e := &runner.UnclearError{Source: s.Source, Score: r.Score, Least: c.Readiness, Questions: r.Questions()}
	e.Text = report.Questions(e)
	return e
}

// A shelf is where a spec and a feature list are read from: the base branch, and
// on a laptop the disk before it.
type shelf struct {
	base  fs.FS
	local bool
}

// at finds the place that name is in, and what it is called there. recorded says
// that it is the base branch.
func (s shelf) at(name string) (from fs.FS, in string, recorded bool, err error) {
	clean := filepath.Clean(name)
	if _, err := os.Stat(clean); s.local && (err == nil || filepath.IsAbs(clean)) {
		// A link that leads out of the directory is refused by the root.
		dir, in := ".", clean
		if !filepath.IsLocal(clean) {
			dir, in = filepath.Split(clean)
			if info, err := os.Stat(clean); err == nil && info.IsDir() {
				dir, in = clean, "."
			}
		}
		root, err := os.OpenRoot(cmp.Or(dir, "."))
		if err != nil {
			return nil, "", false, err
		}
		return root.FS(), filepath.ToSlash(in), false, nil
	}
	in = filepath.ToSlash(clean)
	if !fs.ValidPath(in) {
		return nil, "", false, fmt.Errorf("%s is outside the repository; name a file in it", name)
	}
	return s.base, in, true, nil
}

// spec reads a spec, and says whether the base branch holds it just so.
func (s shelf) spec(name string) (plan.Source, bool, error) {
	from, in, recorded, err := s.at(name)
	if err != nil {
		return plan.Source{Name: name}, false, err
	}
	src, err := plan.Read(from, in)
	if err != nil || recorded {
		return src, recorded, err
	}
	if in == "." {
		return src, false, nil
	}
	same, err := plan.Read(s.base, in)
	return src, err == nil && same.Hash() == src.Hash(), nil // that it is not there is an answer
}

// list reads a feature list, and says the same of it.
func (s shelf) list(name string) ([]byte, bool, error) {
	from, in, recorded, err := s.at(name)
	if err != nil {
		return nil, false, err
	}
	data, err := plan.ReadList(from, in)
	if err != nil || recorded {
		return data, recorded, err
	}
	same, err := plan.ReadList(s.base, in)
	return data, err == nil && runner.Hash(same) == runner.Hash(data), nil // likewise
}

// readSpec reads what is to be built: an issue, the text itself, a file or a
// directory of Markdown of the base branch, or on a laptop of the disk.
func readSpec(ctx context.Context, c config, p place, r *repo.Repo, base string) (source, error) {
	var s source
	files, err := r.Files(base)
	if err != nil {
		return s, err
	}
	if s.project, err = plan.Look(files); err != nil {
		return s, err
	}
	from := shelf{base: files, local: p.local}
	inList := false
	if c.Features != "" {
		data, recorded, err := from.list(c.Features)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return s, fmt.Errorf("input features: there is no file %s on the base branch; write your list into it, or leave the input out and have one drawn up", c.Features)
		case err != nil:
			return s, fmt.Errorf("input features: %w", err)
		}
		s.features, s.List, s.ListSource, inList = data, runner.Hash(data), c.Features, recorded
	}
	src, recorded, err := spec(ctx, c, p, from)
	switch {
	case errors.Is(err, fs.ErrNotExist) && s.features != nil:
		s.Source = c.Spec
	case errors.Is(err, fs.ErrNotExist):
		return s, fmt.Errorf("input spec: there is no file %s on the base branch; write what is to be built into it, or name another with spec", c.Spec)
	case err != nil:
		return s, fmt.Errorf("input spec: %w", err)
	default:
		s.Source, s.SHA256, s.Words, s.text = src.Name, src.Hash(), src.Words(), src.Text()
	}
	if s.features != nil {
		recorded = inList
	} else if err := src.Check(); err != nil {
		return s, fmt.Errorf("input %w", err)
	}
	if recorded {
		s.Commit = base
	}
	return s, nil
}

// spec reads the input spec, whatever it names.
func spec(ctx context.Context, c config, p place, from shelf) (_ plan.Source, recorded bool, err error) {
	if number, ok := strings.CutPrefix(c.Spec, "issue:"); ok {
		n, err := strconv.Atoi(number)
		if err != nil || n < 1 {
			return plan.Source{}, false, fmt.Errorf("%q names no issue; write issue:12", c.Spec)
		}
		if p.issue == nil {
			return plan.Source{}, false, fmt.Errorf("%s can only be read on GitHub; give a file", c.Spec)
		}
		src, err := p.issue(ctx, c, n)
		return src, false, err
	}
	if strings.Contains(c.Spec, "\n") || len(strings.Fields(c.Spec)) > 3 {
		return plan.Text("text", []byte(c.Spec)), false, nil
	}
	return from.spec(c.Spec)
}

// past is what specs and lists were, as commits of the base branch hold them.
type past struct{ *repo.Repo }

func (p past) Spec(commit, source string) (string, error) {
	files, err := p.Files(commit)
	if err != nil {
		return "", err
	}
	src, err := plan.Read(files, source)
	return src.Hash(), err
}

func (p past) List(ctx context.Context, commit, source string, old []runner.Feature) (string, []runner.Row, error) {
	files, err := p.Files(commit)
	if err != nil {
		return "", nil, err
	}
	data, err := plan.ReadList(files, source)
	if err != nil {
		return "", nil, err
	}
	list, err := plan.Open(plan.Options{Features: data, FeaturesName: source})
	if err != nil {
		return "", nil, err
	}
	rows, _, err := list.Plan(ctx, old, runner.Purse{})
	return runner.Hash(data), rows, err
}
