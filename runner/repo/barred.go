package repo

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"regexp"
	"slices"
	"strings"

	"github.com/autonomous-loop/autonomous-loop/runner"
)

// A change is what is to be recorded at a path.
type change struct {
	path string
	seen thing
}

// Why a change that the remote has refused is left out, and is not offered: a
// patch with a secret in it would be refused as well.
const (
	notSecrets = "the remote found a secret in it, to be taken back where it was issued"
	notLarge   = "the remote finds it too large"
)

// bar takes in a refusal of a transaction with this code. What it names of the
// code's changes is left out of every snapshot from now on, as it is: another
// content at the path is for the remote to judge again. A merge's paths are
// others' work, and a deletion cannot be left out by its content; neither is
// barred. The error is a [*runner.RefusedError] if the refusal is about what was
// made.
func (r *Repo) bar(ctx context.Context, code string, no *refusal) error {
	named, err := r.named(ctx, code, no)
	if err != nil {
		return errors.Join(no, fmt.Errorf("look what of it was refused: %w", err))
	}
	if len(named) == 0 && !no.kind.work {
		return no
	}
	refused := &runner.RefusedError{Err: no}
	if len(named) == 0 {
		return refused
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.barred == nil {
		r.barred = map[change]string{}
	}
	for _, c := range named {
		r.barred[c] = no.kind.left
		refused.Paths = append(refused.Paths, c.path)
	}
	slices.Sort(refused.Paths)
	r.forget() // it knows them as recorded
	return refused
}

// named are the changes of a code commit that a refusal names.
func (r *Repo) named(ctx context.Context, code string, no *refusal) ([]change, error) {
	if no.kind.left == "" {
		return nil, nil
	}
	id, err := parseID(code)
	if err != nil {
		return nil, err
	}
	c, err := r.store.commit(id)
	if err != nil || len(c.parents) != 1 {
		return nil, err
	}
	paths, err := r.Changed(ctx, c.parents[0].String(), code)
	if err != nil {
		return nil, err
	}
	var all []change
	for _, p := range paths {
		if !mentions(no.said, p) {
			continue
		}
		e, err := r.store.find(c.tree, p)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		all = append(all, change{p, thing{e.mode, e.id}})
	}
	return all, nil
}

// mentions says whether text names path: in one of GitHub's forms, in quotes, or by
// itself if it cannot be an ordinary word.
func mentions(text, path string) bool {
	if !strings.Contains(text, path) {
		return false
	}
	p := regexp.QuoteMeta(path)
	forms := []string{
		`\bFile ` + p + ` is [0-9.]+ [kKMG]?B\b`,
		`(?m)\b(path|file): ` + p + `(:[0-9]+)*\s*$`,
		"[`'\"]" + p + "(:[0-9]+)*[`'\"]",
	}
	if strings.ContainsAny(path, "./") {
		forms = append(forms, `(?m)(^|[\s(\[:,])`+p+`((:[0-9]+)*[\s)\],;:]|[.:]?$|\.\s)`)
	}
	return slices.ContainsFunc(forms, func(form string) bool { return regexp.MustCompile(form).MatchString(text) })
}
