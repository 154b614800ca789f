package repo

import (
	"strings"
	"testing"

	"github.com/autonomous-loop/autonomous-loop/runner"
)

// TestPast holds what a fresh clone says of its past against git.
func TestPast(t *testing.T) {
	t.Parallel()
	dir := bare(t, map[string]string{"README.md": "hello\n"})
	r, l := started(t, dir)
	second := work(t, r, git(t, dir, "rev-parse", workRef), "c.js", "2\n")
	l.save(t, r, second, second)

	r = open(t, dir)
	if err := r.Transactions(t.Context(), func(string, runner.Transaction) error { return nil }); err == nil {
		t.Error("transactions of a repository that was not loaded")
	}
	f := load(t, r)
	var got []string
	err := r.Transactions(t.Context(), func(commit string, tx runner.Transaction) error {
		got = append(got, commit)
		if want := git(t, dir, "show", commit+":state.json"); strings.TrimSpace(string(tx.State)) != want {
			t.Errorf("state of %s:\n%s\nwant:\n%s", commit, tx.State, want)
		}
		if want := git(t, dir, "rev-parse", "--revs-only", commit+"^2"); tx.Code != want {
			t.Errorf("code of %s: %q, want %q", commit, tx.Code, want)
		}
		return nil
	})
	if want := git(t, dir, "rev-list", "--first-parent", stateRef); err != nil || strings.Join(got, "\n") != want || len(got) != 3 {
		t.Errorf("%v, %q, want:\n%s", err, got, want)
	}
	parents, err := r.Parents(t.Context(), got[0])
	if want := git(t, dir, "rev-parse", got[0]+"^@"); err != nil || strings.Join(parents, "\n") != want {
		t.Errorf("%v, %q, want:\n%s", err, parents, want)
	}
	for _, tt := range []struct {
		commit, ancestor string
		want             bool
	}{
		{second, f.Base.Commit, true},
		{second, second, true},
		{f.Base.Commit, second, false},
		{got[0], second, true}, // by the second parent
		{second, got[0], false},
	} {
		is, err := r.Descends(t.Context(), tt.commit, tt.ancestor)
		if _, gitErr := gitErr(dir, nil, "merge-base", "--is-ancestor", tt.ancestor, tt.commit); err != nil || is != tt.want || is != (gitErr == nil) {
			t.Errorf("%.7s descends from %.7s: %v, %v", tt.commit, tt.ancestor, is, err)
		}
	}
	for _, wrong := range []string{"", "main", strings.Repeat("0", 39) + "1"} {
		if _, err := r.Parents(t.Context(), wrong); err == nil {
			t.Errorf("%q has parents", wrong)
		}
		if _, err := r.Descends(t.Context(), wrong, second); err == nil {
			t.Errorf("%q descends", wrong)
		}
	}
}
