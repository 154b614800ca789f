package repo

import (
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/autonomous-loop/autonomous-loop/runner"
)

// disliking is an update hook that refuses what holds word in a new commit of the
// work, in these words. Transactions have no README.md.
func disliking(t *testing.T, dir, word, says string) {
	t.Helper()
	hook(t, dir, "update", `for commit in $(git rev-list "$3" --not --all); do
	git cat-file -e "$commit:README.md" 2>/dev/null || continue
	if git grep -q `+word+` "$commit"; then
		cat <<'END'
`+says+`
END
		exit 1
	fi
done`)
}

// TestRefusedPathsAreLeftOut has git's own server refuse one file of the work, over
// HTTP and in GitHub's words: it is left as it was, told, offered where that is
// right, and the rest lands. Another content is for the remote to judge again.
func TestRefusedPathsAreLeftOut(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		id, path, says string
		offered        bool
	}{
		{"T6e", "config.js", "error: GH013: Repository rule violations found for " + workRef + ".\n\n- GITHUB PUSH PROTECTION\n  Resolve the following violations before pushing again\n\n    - Push cannot contain secrets\n" +
			strings.Repeat("      (?) Learn how to resolve a blocked push\n", 20) + "      -- Some Access Key --\n        locations:\n          - commit: 5477a7dd26384ed3c8b3814ee677f755ad27a597\n            path: config.js:3\n", false},
		{"T6f", "infra/main.tf", "error: GH013: Repository rule violations found for " + workRef + ".\n\n- File path is restricted: infra/main.tf", true},
		{"T6g", "Makefile", "policy: 'Makefile' is the owners' to change", true},
		{"T7c", "ci/deploy.yml", "refusing to allow a GitHub App to create or update workflow `ci/deploy.yml` without `workflows` permission", true},
		{"T8d", "data/all of it.bin", "error: Trace: 83e8ea79de23baec\nerror: See https://gh.io/lfs for more information.\nerror: File data/all of it.bin is 120.00 MB; this exceeds GitHub's file size limit of 100.00 MB\nerror: GH001: Large files detected. You may want to try Git Large File Storage", false},
	} {
		t.Run(c.id, func(t *testing.T) {
			t.Parallel()
			dir := bare(t, map[string]string{"README.md": "hello\n", c.path: "as it was\n"})
			s := serve(t, dir)
			a := &account{}
			r, l := started(t, s.url, withAuth, a.patient)
			disliking(t, dir, "disliked", c.says)
			s.on(func(w http.ResponseWriter, req *http.Request, serve func(http.ResponseWriter)) {
				if pushes(req) {
					a.asked++
				}
				serve(w)
			})
			tip := git(t, dir, "rev-parse", workRef)
			must(t, r.Restore(t.Context(), tip))
			write(t, r.Work(), map[string]string{c.path: "disliked\n", "good.js": "1\n"})
			before, tx := tipsOf(t, dir), runner.Transaction{}
			record := func() runner.Snapshot {
				t.Helper()
				snap, err := r.Snapshot(t.Context(), tip, "work")
				must(t, err)
				tx = l.next(snap.Commit, snap.Commit)
				return snap
			}
			if snap := record(); len(snap.Left) > 0 {
				t.Fatalf("left out before anybody refused it: %q", snap.Left)
			}
			err := r.Save(t.Context(), tx)
			no, ok := errors.AsType[*runner.RefusedError](err)
			if !ok || !slices.Equal(no.Paths, []string{c.path}) {
				t.Fatalf("got %v (%+v)", err, no)
			}
			if got := tipsOf(t, dir); got != before {
				t.Errorf("refs were\n%s\nand are\n%s", before, got)
			}
			snap := record()
			if len(snap.Left) != 1 || strings.Contains(string(snap.Patch), "+disliked") != c.offered {
				t.Errorf("left out %q, and offered:\n%s", snap.Left, snap.Patch)
			}
			must(t, r.Save(t.Context(), tx))
			l.saved(tx)
			a.lines = snap.Left
			a.check(t, c.id, nil)
			if got := git(t, dir, "show", workRef+":"+c.path); got != "as it was" {
				t.Errorf("the work branch has %q", got)
			}
			if got := git(t, dir, "show", workRef+":good.js"); got != "1" {
				t.Errorf("the rest is %q", got)
			}
			if snap, err := r.Draft(t.Context(), tip, "work"); err != nil || len(snap.Left) != 1 {
				t.Errorf("a draft holds it: %q, %v", snap.Left, err)
			}

			// Mended, it is recorded like anything else.
			write(t, r.Work(), map[string]string{c.path: "mended\n"})
			tip = git(t, dir, "rev-parse", workRef)
			if snap := record(); len(snap.Left) > 0 {
				t.Errorf("left out: %q", snap.Left)
			}
			must(t, r.Save(t.Context(), tx))
			if got := git(t, dir, "show", workRef+":"+c.path); got != "mended" {
				t.Errorf("the work branch has %q", got)
			}
		})
	}
}

// TestRefusalOfNothingNamed has refusals that name no change of the work: it is
// refused as a whole, or has nothing to do with it, and nothing is left out.
func TestRefusalOfNothingNamed(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		says string
		work bool
	}{
		"a secret in a paper":   {"error: GH013: Repository rule violations found\n- Push cannot contain secrets\n  path: evidence/f1/red.txt:3", true},
		"a hook without a name": {"policy: no", false},
		"signatures":            {"error: GH013: Repository rule violations found\n- Commits must have verified signatures.\n'c.js'", false},
		"a longer name":         {"policy: lib/c.js and c.json are the owners'", false},
		"a word":                {"policy: Makefiles and the Makefile rule", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := bare(t, map[string]string{"README.md": "hello\n"})
			r, l := started(t, dir)
			tip := git(t, dir, "rev-parse", workRef)
			must(t, r.Restore(t.Context(), tip))
			write(t, r.Work(), map[string]string{"c.js": "1\n", "Makefile": "all:\n"})
			hook(t, dir, "pre-receive", "cat >&2 <<'END'\n"+tt.says+"\nEND\nexit 1")
			snap, err := r.Snapshot(t.Context(), tip, "work")
			must(t, err)
			err = r.Save(t.Context(), l.next(snap.Commit, snap.Commit))
			no, ok := errors.AsType[*runner.RefusedError](err)
			if err == nil || ok != tt.work || ok && len(no.Paths) > 0 {
				t.Errorf("got %v (%+v)", err, no)
			}
			must(t, os.Remove(filepath.Join(dir, "hooks", "pre-receive")))
			again, err := r.Snapshot(t.Context(), tip, "work")
			must(t, err)
			if again.Tree != snap.Tree || len(again.Left) > 0 {
				t.Errorf("left out: %q", again.Left)
			}
		})
	}
}

func TestMentions(t *testing.T) {
	t.Parallel()
	for text, want := range map[string][]string{
		"a b.c d":                              {"b.c"},
		"path: x/y z.js:12:3 \nfile: Makefile": {"x/y z.js", "Makefile"},
		"see b.cc, ab.c and b.c/d":             nil,
		"(b.c), [d/e]: no":                     {"b.c", "d/e"},
		"do not touch d/e.":                    {"d/e"},
		"`Makefile` \"b.c:7\"":                 {"Makefile", "b.c"},
		"File x is 1 of 2":                     nil,
		"File Makefile is 120.00 MB; too much": {"Makefile"},
	} {
		var got []string
		for _, p := range []string{"b.c", "x/y z.js", "Makefile", "d/e", "x"} {
			if mentions(text, p) {
				got = append(got, p)
			}
		}
		slices.Sort(got)
		slices.Sort(want)
		if d := cmp.Diff(got, want); d != "" {
			t.Errorf("%q, got and want:\n%s", text, d)
		}
	}
}
