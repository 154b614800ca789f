package repo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/autonomous-loop/autonomous-loop/runner"
)

// everywhere runs a test on a bare repository that is reached in each of the
// ways there are.
func everywhere(t *testing.T, test func(t *testing.T, dir, at string, auth func(*Options))) {
	t.Helper()
	files := map[string]string{"README.md": "hello\n", "src/a.js": "1\n", ".gitignore": "node_modules/\n"}
	nobody := func(*Options) {}
	t.Run("path", func(t *testing.T) { t.Parallel(); dir := bare(t, files); test(t, dir, dir, nobody) })
	t.Run("file", func(t *testing.T) { t.Parallel(); dir := bare(t, files); test(t, dir, "file://"+dir, nobody) })
	t.Run("http", func(t *testing.T) { t.Parallel(); dir := bare(t, files); test(t, dir, serve(t, dir).url, withAuth) })
}

// started is a repository with a state branch of two transactions and a work
// branch one commit above the base.
func started(t *testing.T, at string, change ...func(*Options)) (*Repo, *loop) {
	t.Helper()
	r := open(t, at, change...)
	f := load(t, r)
	l := begin(f)
	l.save(t, r, "", "")
	c := work(t, r, f.Base.Commit, "b.js", "1\n")
	l.save(t, r, c, c)
	return r, l
}

// work makes a commit on parent that holds one more file.
func work(t *testing.T, r *Repo, parent, name, text string) string {
	t.Helper()
	if err := r.Restore(t.Context(), parent); err != nil {
		t.Fatal(err)
	}
	write(t, r.Work(), map[string]string{name: text})
	s, err := r.Snapshot(t.Context(), parent, "add "+name)
	if err != nil {
		t.Fatal(err)
	}
	return s.Commit
}

// tipsOf are the refs of a bare repository.
func tipsOf(t *testing.T, dir string) string {
	t.Helper()
	return git(t, dir, "for-each-ref", "--format=%(refname) %(objectname)")
}

func hasMoved(t *testing.T, err error, want, have string) {
	t.Helper()
	e, ok := errors.AsType[*runner.MovedError](err)
	if !ok || e.Want != want || e.Have != have {
		t.Errorf("got %v (%+v), want a MovedError from %s to %s", err, e, want, have)
	}
}

// TestOneOfTwoClaims starts two sessions at the same instant, as two runs of a
// workflow would: first where there is no state branch yet, then where there is
// one.
func TestOneOfTwoClaims(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, dir, at string, auth func(*Options)) {
		for round := range 4 {
			var won [2]bool
			var errs [2]error
			done := make(chan bool)
			var txs [2]runner.Transaction
			var rs [2]*Repo
			for i := range rs {
				rs[i] = open(t, at, auth, func(o *Options) { o.Author = author })
				l := begin(load(t, rs[i]))
				l.state["owner"] = i
				txs[i] = l.next("", "")
			}
			for i := range rs {
				go func() { errs[i] = rs[i].Save(context.Background(), txs[i]); won[i] = errs[i] == nil; done <- true }()
			}
			<-done
			<-done
			if won[0] == won[1] {
				t.Fatalf("round %d: %v", round, errs)
			}
			loser := 0
			if won[0] {
				loser = 1
			}
			if _, ok := errors.AsType[*runner.MovedError](errs[loser]); !ok {
				t.Errorf("round %d: the loser got %v", round, errs[loser])
			}
			if got := git(t, dir, "show", stateRef+":state.json"); got != string(txs[1-loser].State) {
				t.Errorf("round %d: the branch holds %s", round, got)
			}
		}
		if got := git(t, dir, "rev-list", "--first-parent", "--count", stateRef); got != "4" {
			t.Errorf("%s transactions, want 4", got)
		}
	})
}

func TestMovedStateBranchChangesNothing(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, dir, at string, auth func(*Options)) {
		r, l := started(t, at, auth)
		old := git(t, dir, "rev-parse", stateRef)
		c := work(t, r, git(t, dir, "rev-parse", workRef), "c.js", "2\n")

		other := open(t, at, auth)
		begin(load(t, other)).save(t, other, "", "")
		before := tipsOf(t, dir)
		hasMoved(t, r.Save(t.Context(), l.next(c, c)), old, git(t, dir, "rev-parse", stateRef))

		git(t, dir, "update-ref", stateRef, old+"^") // rewound
		hasMoved(t, r.Save(t.Context(), l.next(c, c)), old, git(t, dir, "rev-parse", old+"^"))
		git(t, dir, "update-ref", "-d", stateRef)
		hasMoved(t, r.Save(t.Context(), l.next(c, c)), old, "")
		if out, err := gitErr(dir, nil, "rev-parse", "--verify", "-q", stateRef); err == nil {
			t.Errorf("the deleted state branch was made again: %s", out)
		}
		if got := git(t, dir, "rev-parse", workRef); !strings.Contains(before, got) {
			t.Errorf("the work branch moved to %s", got)
		}
	})
}

// TestMovedInTheLastMoment moves the state branch after the remote has said
// where it is and before it is told to move it: only the remote's own
// comparison is left to notice.
func TestMovedInTheLastMoment(t *testing.T) {
	t.Parallel()
	dir := bare(t, map[string]string{"README.md": "hello\n"})
	s := serve(t, dir)
	r, l := started(t, s.url, withAuth)
	old := git(t, dir, "rev-parse", stateRef)
	c := work(t, r, git(t, dir, "rev-parse", workRef), "c.js", "2\n")
	for _, to := range []string{old + "^", ""} {
		s.on(func(w http.ResponseWriter, req *http.Request, serve func(http.ResponseWriter)) {
			if pushes(req) && to != "" {
				git(t, dir, "update-ref", stateRef, to)
			} else if pushes(req) {
				git(t, dir, "update-ref", "-d", stateRef)
			}
			serve(w)
		})
		have := ""
		if to != "" {
			have = git(t, dir, "rev-parse", to)
		}
		before := git(t, dir, "rev-parse", workRef)
		hasMoved(t, r.Save(t.Context(), l.next(c, c)), old, have)
		if got := git(t, dir, "rev-parse", workRef); got != before {
			t.Errorf("the work branch moved to %s", got)
		}
		if got, _ := gitErr(dir, nil, "rev-parse", "--verify", "-q", stateRef); strings.TrimSpace(got) != have {
			t.Errorf("the state branch is at %q", got)
		}
		git(t, dir, "update-ref", stateRef, old)
	}
}

// TestWorkBranchThatSomebodyMoved saves while the work branch is not where it
// was, before the push and in its last moment: the transaction is there, and the
// branch as that person left it.
func TestWorkBranchThatSomebodyMoved(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		do    func(t *testing.T, dir, tip string)
		ahead bool
		gone  bool
	}{
		"went on": {func(t *testing.T, dir, _ string) { push(t, dir, workRef, map[string]string{"jane.js": "3\n"}, "mine") }, true, false},
		"rewound": {func(t *testing.T, dir, tip string) { git(t, dir, "update-ref", workRef, tip+"^") }, false, false},
		"replaced": {func(t *testing.T, dir, _ string) {
			git(t, dir, "update-ref", workRef, push(t, dir, "else", map[string]string{"x": "y"}, "else"))
		}, false, false},
		"deleted": {func(t *testing.T, dir, _ string) { git(t, dir, "update-ref", "-d", workRef) }, false, true},
	} {
		for _, late := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, late: %v", name, late), func(t *testing.T) {
				t.Parallel()
				dir := bare(t, map[string]string{"README.md": "hello\n"})
				s := serve(t, dir)
				r, l := started(t, s.url, withAuth)
				tip := git(t, dir, "rev-parse", workRef)
				c := work(t, r, tip, "c.js", "2\n")
				have := func() string {
					out, _ := gitErr(dir, nil, "rev-parse", "--verify", "-q", workRef)
					return strings.TrimSpace(out)
				}
				var theirs string
				if late {
					done := false
					s.on(func(w http.ResponseWriter, req *http.Request, serve func(http.ResponseWriter)) {
						if pushes(req) && !done {
							done = true
							tt.do(t, dir, tip)
							theirs = have()
						}
						serve(w)
					})
				} else {
					tt.do(t, dir, tip)
					theirs = have()
				}
				state := git(t, dir, "rev-parse", stateRef)
				tx := l.next(c, c)
				err := r.Save(t.Context(), tx)
				e, ok := errors.AsType[*runner.WorkError](err)
				if !ok || e.Ahead != tt.ahead || e.Have != theirs || e.Have == "" != tt.gone {
					t.Fatalf("got %v (%+v), want a WorkError with %q, ahead: %v", err, e, theirs, tt.ahead)
				}
				if got := git(t, dir, "rev-parse", stateRef+"^"); got != state {
					t.Errorf("the transaction was not saved: the one before the last is %s, want %s", got, state)
				}
				if got := have(); got != theirs {
					t.Errorf("the work branch is at %q, want %q", got, theirs)
				}
				l.saved(tx)
				tx = l.next(c, "")
				tx.Work = ""
				save(t, r, tx) // and goes on
			})
		}
	}
}

// TestMerge takes in what people did, and goes on.
func TestMerge(t *testing.T) {
	t.Parallel()
	dir := bare(t, map[string]string{"README.md": "hello\n", "a.js": "1\n2\n3\n"})
	r, l := started(t, dir)
	tip := git(t, dir, "rev-parse", workRef)
	when := time.Unix(1e9, 0)
	push(t, dir, workRef, map[string]string{"jane.js": "3\n", "a.js": "1\n2\n3\njane\n"}, "mine")
	theirs := push(t, dir, workRef, map[string]string{"jane.js": "4\n"}, "mine, too")
	merge := func(r *Repo, ours, theirs string) runner.Merge {
		t.Helper()
		m, err := r.Merge(t.Context(), ours, theirs, "Merge", when)
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	if f := load(t, r); !f.Ahead || f.Foreign || f.Work != theirs {
		t.Fatalf("%+v", f)
	}
	// Only they went on: theirs it is, and nothing to be pushed.
	if m := merge(r, tip, theirs); m.Commit != theirs || len(m.Conflicts) > 0 {
		t.Errorf("%+v", m)
	}
	if m := merge(r, theirs, tip); m.Commit != theirs {
		t.Errorf("%+v", m)
	}
	// Both did.
	c := work(t, r, tip, "c.js", "2\n")
	m := merge(r, c, theirs)
	if again := merge(r, c, theirs); again.Commit != m.Commit || m.Commit == "" {
		t.Errorf("%+v, and again %+v", m, again)
	}
	l.save(t, r, m.Commit, m.Commit)
	if got, want := git(t, dir, "rev-parse", workRef+"^1", workRef+"^2", workRef+":jane.js", workRef+":c.js"), c+"\n"+theirs; !strings.HasPrefix(got, want) {
		t.Errorf("the merge has %s, want %s", got, want)
	}
	// The same lines: no commit, and the paths.
	d := work(t, r, m.Commit, "a.js", "1\n2\n3\nloop\n")
	push(t, dir, "main", map[string]string{"a.js": "1\n2\n3\nmain\n"}, "moved")
	base := load(t, r).Base.Commit
	m = merge(r, d, base)
	if m.Commit != "" || len(m.Conflicts) != 1 || m.Conflicts[0] != "a.js" {
		t.Errorf("%+v", m)
	}
	if text, err := r.store.file(mustCommit(t, r, m.Tree, d), "a.js"); err != nil || !strings.Contains(string(text), "<<<<<<<") {
		t.Errorf("%s, %v", text, err)
	}
	// A base that brings workflows is the first parent: for it they are no change.
	push(t, dir, "main", map[string]string{"a.js": "1\n2\n3\n", ".github/workflows/ci.yml": "on: push\n"}, "and back")
	base = load(t, r).Base.Commit
	m = merge(r, c, base)
	if p, err := r.Parents(t.Context(), m.Commit); err != nil || len(p) != 2 || p[0] != base {
		t.Errorf("parents %q, %v", p, err)
	}
}

func mustCommit(t *testing.T, r *Repo, tree, parent string) oid {
	t.Helper()
	id, err := r.Commit(t.Context(), tree, parent, "x", time.Unix(1e9, 0))
	if err != nil {
		t.Fatal(err)
	}
	return parseOr(t, id)
}

func parseOr(t *testing.T, s string) oid {
	t.Helper()
	id, err := parseID(s)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// TestRescue restores from the bundle what somebody has overwritten, with git
// alone and by the words that come with it.
func TestRescue(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		do   func(t *testing.T, dir string, r *Repo, l *loop)
		lost bool // a transaction could not be saved
	}{
		"the work branch was rewound": {func(t *testing.T, dir string, _ *Repo, _ *loop) { git(t, dir, "update-ref", workRef, workRef+"^") }, false},
		"a commit on the state branch": {func(t *testing.T, dir string, _ *Repo, _ *loop) {
			push(t, dir, stateRef, map[string]string{"note": "x"}, "mine")
		}, false},
		"the state branch was rewound under a session": {func(t *testing.T, dir string, r *Repo, l *loop) {
			c := work(t, r, git(t, dir, "rev-parse", workRef), "c.js", "2\n")
			git(t, dir, "update-ref", stateRef, stateRef+"^")
			err := r.Save(t.Context(), l.next(c, c))
			if e, ok := errors.AsType[*runner.MovedError](err); !ok || !strings.Contains(e.Foreign, "rewound or replaced") {
				t.Fatalf("%v (%+v)", err, e)
			}
		}, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := bare(t, map[string]string{"README.md": "hello\n"})
			r, l := started(t, dir)
			state, tip := git(t, dir, "rev-parse", stateRef), git(t, dir, "rev-parse", workRef)
			tt.do(t, dir, r, l)
			if !tt.lost { // it is found by a session that knows of nothing
				r = open(t, dir)
				load(t, r)
			}
			before := tipsOf(t, dir)
			files, err := r.Rescue(t.Context())
			if err != nil || len(files) != 2 {
				t.Fatalf("%d files, %v", len(files), err)
			}
			if got := tipsOf(t, dir); got != before {
				t.Errorf("refs were\n%s\nand are\n%s", before, got)
			}
			clone := t.TempDir()
			git(t, "", "clone", "-q", dir, clone)
			for _, f := range files {
				if err := os.WriteFile(filepath.Join(clone, f.Name), f.Data, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			git(t, clone, "bundle", "verify", "loop.bundle")
			for line := range strings.Lines(string(files[1].Data)) {
				if command, ok := strings.CutPrefix(line, "    git "); ok {
					git(t, clone, strings.Fields(strings.ReplaceAll(command, "'", ""))...)
				}
			}
			switch {
			case !tt.lost:
				if got := git(t, dir, "rev-parse", stateRef, workRef); got != state+"\n"+tip {
					t.Errorf("restored are %s, want %s %s", got, state, tip)
				}
			default:
				if got := git(t, dir, "rev-parse", stateRef+"^", workRef+"^"); got != state+"\n"+tip {
					t.Errorf("restored are %s, want %s %s and one more of each", got, state, tip)
				}
			}
			if f := load(t, open(t, dir)); f.Chain != nil || f.Foreign || f.Ahead {
				t.Errorf("%+v", f)
			}
		})
	}
}

// TestRescueOfWhatWasNotSaved has the remote away as a session saves, pushes what
// it could not by the words of the bundle, and goes on from there.
func TestRescueOfWhatWasNotSaved(t *testing.T) {
	t.Parallel()
	dir := bare(t, map[string]string{"README.md": "hello\n"})
	s := serve(t, dir)
	a := &account{}
	r, l := started(t, s.url, withAuth, a.patient)
	tip := git(t, dir, "rev-parse", workRef)
	done := work(t, r, tip, "c.js", "2\n")
	wip := work(t, r, done, "d.js", "half\n")
	s.on(status(http.StatusServiceUnavailable, "Unicorn!"))
	tx := l.next(wip, done)
	if err := r.Save(t.Context(), tx); err == nil {
		t.Fatal("it was saved")
	}
	files, err := r.Rescue(t.Context())
	if err != nil || len(files) != 2 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	clone := t.TempDir()
	git(t, "", "clone", "-q", dir, clone)
	for _, f := range files {
		must(t, os.WriteFile(filepath.Join(clone, f.Name), f.Data, 0o600))
	}
	obey := func() (out string, err error) {
		for line := range strings.Lines(string(files[1].Data)) {
			if command, ok := strings.CutPrefix(line, "    git "); ok && err == nil {
				out, err = gitErr(clone, nil, strings.Fields(strings.ReplaceAll(command, "'", ""))...)
			}
		}
		return out, err
	}
	if out, err := obey(); err != nil {
		t.Fatal(out)
	}
	if got := git(t, dir, "rev-parse", workRef, stateRef+"^2"); got != done+"\n"+wip {
		t.Errorf("the branches are at %s, want %s %s", got, done, wip)
	}
	s.on(nil)
	next := open(t, s.url, withAuth)
	f := load(t, next)
	if f.Chain != nil || f.Foreign || f.Ahead {
		t.Errorf("%+v", f)
	}
	begin(f).save(t, next, "", "")
	before := tipsOf(t, dir)
	if out, err := obey(); err == nil || tipsOf(t, dir) != before {
		t.Errorf("a bundle that is too late was pushed: %s", out)
	}

	// What was saved after all is nothing to rescue, nor what was refused for what
	// is in it.
	r = next
	hook(t, dir, "pre-receive", `echo "Push cannot contain secrets" >&2; exit 1`)
	l = begin(load(t, r))
	c := work(t, r, done, "e.js", "3\n")
	if err := r.Save(t.Context(), l.next(c, c)); err == nil {
		t.Error("it was saved")
	}
	must(t, os.Remove(filepath.Join(dir, "hooks", "pre-receive")))
	if r.lost != none {
		t.Error("what was refused is kept for a bundle")
	}
}

func TestWhoseTheWorkBranchIs(t *testing.T) {
	t.Parallel()
	dir := bare(t, map[string]string{"README.md": "hello\n"})
	r, l := started(t, dir)
	tip := git(t, dir, "rev-parse", workRef)
	push(t, dir, workRef, map[string]string{"jane.js": "3\n"}, "mine")
	l.save(t, r, "", "") // which does not want to move it

	f := load(t, open(t, dir))
	if f.Foreign || !f.Ahead || f.Chain != nil {
		t.Errorf("foreign %v, ahead %v, chain %v", f.Foreign, f.Ahead, f.Chain)
	}
	git(t, dir, "update-ref", workRef, tip+"^") // what was published is gone
	if f := load(t, open(t, dir)); !f.Foreign || f.Ahead {
		t.Errorf("foreign %v, ahead %v", f.Foreign, f.Ahead)
	}
	git(t, dir, "update-ref", workRef, tip)
	// More than the state knows, and by the loop itself: the state was rewound.
	state := git(t, dir, "rev-parse", stateRef)
	git(t, dir, "update-ref", stateRef, state+"~2")
	if f := load(t, open(t, dir)); !f.Foreign || f.Ahead {
		t.Errorf("foreign %v, ahead %v", f.Foreign, f.Ahead)
	}
	git(t, dir, "update-ref", stateRef, state)
	if f := load(t, open(t, dir)); f.Foreign {
		t.Error("its own commit is foreign")
	}
	git(t, dir, "update-ref", "-d", workRef)
	if f := load(t, open(t, dir)); f.Foreign || f.Work != "" {
		t.Errorf("without a work branch: %+v", f)
	}
}

func TestPublishedTipIsNotForeign(t *testing.T) {
	t.Parallel()
	dir := bare(t, map[string]string{"README.md": "hello\n"})
	r, l := started(t, dir)
	l.state["published"] = push(t, dir, workRef, map[string]string{"x": "y"}, "merged on purpose")
	l.save(t, r, "", "")
	if f := load(t, open(t, dir)); f.Foreign {
		t.Error("the tip that the state calls published is foreign")
	}
}

// TestPushesAreSmall goes through an attempt, whose snapshots all stand on the
// same parent: what one has brought the next does not bring again.
func TestPushesAreSmall(t *testing.T) {
	t.Parallel()
	noise := func(n int) string {
		rnd := rand.NewChaCha8([32]byte{byte(n)})
		b := make([]byte, 100<<10)
		rnd.Read(b)
		return string(b)
	}
	dir := bare(t, map[string]string{"old.bin": noise(1)})
	s := serve(t, dir)
	r := open(t, s.url, withAuth)
	l := begin(load(t, r))
	l.save(t, r, "", "")
	base := l.state["code"].(string)
	first := work(t, r, base, "big.bin", noise(2))
	l.save(t, r, first, "", runner.File{Name: "evidence/a/screenshot.png", Data: []byte(noise(3))})
	write(t, r.Work(), map[string]string{"small.js": "1\n"})
	second, err := r.Snapshot(t.Context(), base, "x")
	must(t, err)
	l.save(t, r, second.Commit, "")
	done, err := r.Commit(t.Context(), second.Tree, base, "feat: x", r.o.Now())
	must(t, err)
	l.save(t, r, done, done)
	for i, most := range []int{10 << 10, 220 << 10, 10 << 10, 10 << 10} {
		if s.sent[i] > most {
			t.Errorf("push %d has %d bytes", i, s.sent[i])
		}
	}
	again := open(t, s.url, withAuth)
	must(t, errors.Join(load(t, again).Chain, again.Restore(t.Context(), second.Commit)))
}

func TestWorkBranchMovesForwardOnly(t *testing.T) {
	t.Parallel()
	dir := bare(t, map[string]string{"README.md": "hello\n"})
	r, l := started(t, dir)
	base := git(t, dir, "rev-parse", "main")
	side := work(t, r, base, "side.js", "1\n")
	before := tipsOf(t, dir)
	err := r.Save(t.Context(), l.next(side, side))
	if err == nil || !strings.Contains(err.Error(), "forward") {
		t.Errorf("got %v", err)
	}
	if got := tipsOf(t, dir); got != before {
		t.Errorf("refs were\n%s\nand are\n%s", before, got)
	}
}

// TestWithoutAtomicPush saves to a remote that cannot make two updates one: the
// state first, then the work branch; if that one is refused, the same
// transaction saved again tries only that.
func TestWithoutAtomicPush(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, dir, at string, auth func(*Options)) {
		git(t, dir, "config", "receive.advertiseAtomic", "false")
		r, l := started(t, at, auth)
		if got := git(t, dir, "rev-parse", workRef); got != l.state["work"] {
			t.Fatalf("work branch at %s", got)
		}
		c := work(t, r, git(t, dir, "rev-parse", workRef), "c.js", "2\n")
		hook(t, dir, "update", `case $1 in `+workRef+`) echo "GH006: Protected branch update failed" >&2; exit 1;; esac`)
		tx := l.next(c, c)
		err := r.Save(t.Context(), tx)
		if err == nil || !strings.Contains(err.Error(), "GH006") {
			t.Errorf("got %v", err)
		}
		if got := git(t, dir, "show", stateRef+":state.json"); got != string(tx.State) {
			t.Errorf("the state was not saved first: %s", got)
		}
		if e, ok := errors.AsType[*runner.WorkError](err); !ok || e.Behind == nil || e.Ahead || e.Want != c {
			t.Errorf("got %+v", e)
		}
		os.Remove(filepath.Join(dir, "hooks", "update"))
		save(t, r, tx)
		l.saved(tx)
		if got := git(t, dir, "rev-parse", workRef); got != c {
			t.Errorf("work branch at %s, want %s", got, c)
		}
		if got := git(t, dir, "rev-list", "--first-parent", "--count", stateRef); got != "3" {
			t.Errorf("%s transactions, want 3", got)
		}
		// With somebody else's commit on the work branch only the state moves.
		theirs := push(t, dir, workRef, map[string]string{"jane.js": "3\n"}, "mine")
		d := work(t, r, c, "d.js", "2\n")
		l.state["published"] = c
		tx = l.next(d, d)
		if e, ok := errors.AsType[*runner.WorkError](r.Save(t.Context(), tx)); !ok || !e.Ahead || git(t, dir, "rev-parse", workRef) != theirs || git(t, dir, "show", stateRef+":state.json") != string(tx.State) {
			t.Errorf("got %v; refs are\n%s", e, tipsOf(t, dir))
		}
		if f := load(t, open(t, at, auth)); f.Chain != nil || f.Foreign {
			t.Errorf("found %v, %v", f.Chain, f.Foreign)
		}
	})
}

// TestWorkBranchIsPushedLater: where the remote has no atomic pushes, and the one of
// the work branch does not come through, the session goes on: the next transaction
// looks where the branch is and pushes it, also where the lost one had come through.
func TestWorkBranchIsPushedLater(t *testing.T) {
	t.Parallel()
	for name, done := range map[string]bool{"it was not done": false, "it was done, and the answer lost": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := bare(t, map[string]string{"a.js": "1\n"})
			git(t, dir, "config", "receive.advertiseAtomic", "false")
			srv := serve(t, dir)
			r, l := started(t, srv.url, withAuth)
			c := work(t, r, git(t, dir, "rev-parse", workRef), "c.js", "2\n")
			away := false
			srv.on(func(w http.ResponseWriter, r *http.Request, serve func(http.ResponseWriter)) {
				body, _ := io.ReadAll(r.Body)
				r.Body = io.NopCloser(bytes.NewReader(body))
				switch ours := pushes(r) && bytes.Contains(body, []byte(workRef)); {
				case ours && done && !away:
					serve(discard{})
					fallthrough
				case ours, away:
					away = true // and it cannot be looked up either
					drop(w)
				default:
					serve(w)
				}
			})
			tx := l.next(c, c)
			e, ok := errors.AsType[*runner.WorkError](r.Save(t.Context(), tx))
			if !ok || e.Behind == nil || e.Ahead {
				t.Fatalf("got %+v", e)
			}
			if got := git(t, dir, "rev-parse", workRef) == c; got != done {
				t.Fatalf("the work branch was pushed: %v", got)
			}
			l.saved(tx)
			srv.on(nil)
			d := work(t, r, c, "d.js", "3\n")
			l.save(t, r, d, d)
			if got := git(t, dir, "rev-parse", workRef); got != d {
				t.Errorf("work branch at %s, want %s", got, d)
			}
			if f := load(t, open(t, dir)); f.Chain != nil || f.Foreign || f.Ahead {
				t.Errorf("found %v, %v, %v", f.Chain, f.Foreign, f.Ahead)
			}
		})
	}
}

func hook(t *testing.T, dir, name, script string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, "hooks", name), []byte("#!/bin/sh\n"+script+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
}

func TestRefusalsAreInTheRemotesWords(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, dir, at string, auth func(*Options)) {
		r, l := started(t, at, auth)
		c := work(t, r, git(t, dir, "rev-parse", workRef), "c.js", "2\n")
		before := tipsOf(t, dir)
		for name, script := range map[string]string{
			"pre-receive": `echo "GH013: Repository rule violations found for refs/heads/x" >&2; exit 1`,
			"update":      `case $1 in ` + workRef + `) echo "GH006: Protected branch update failed" >&2; exit 1;; esac`,
		} {
			hook(t, dir, name, script)
			err := r.Save(t.Context(), l.next(c, c))
			os.Remove(filepath.Join(dir, "hooks", name))
			_, want, _ := strings.Cut(script, "GH0")
			want, _, _ = strings.Cut("GH0"+want, `"`)
			if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "hook declined") || strings.Contains(err.Error(), "\n") {
				t.Errorf("%s: got %v", name, err)
			}
			if _, ok := errors.AsType[*runner.MovedError](err); ok {
				t.Errorf("%s: a refusal is no move", name)
			}
			if got := tipsOf(t, dir); got != before {
				t.Errorf("%s: refs were\n%s\nand are\n%s", name, before, got)
			}
		}
	})
}

// TestLostAnswers drops the connection after the remote has applied a push, and
// before; and takes away the remote for a while.
func TestLostAnswers(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		times  int // how often
		retry  int
		fault  func(w http.ResponseWriter, serve func(http.ResponseWriter))
		saved  bool
		pushes int
	}{
		{"after it was applied", 1, 0, func(w http.ResponseWriter, serve func(http.ResponseWriter)) { serve(discard{}); drop(w) }, true, 1},
		{"before it was applied", 1, 0, func(w http.ResponseWriter, _ func(http.ResponseWriter)) { drop(w) }, false, 1},
		{"before it was applied, tried again", 1, 2, func(w http.ResponseWriter, _ func(http.ResponseWriter)) { drop(w) }, true, 2},
		{"unavailable, tried again", 2, 2, func(w http.ResponseWriter, _ func(http.ResponseWriter)) {
			http.Error(w, "busy", http.StatusServiceUnavailable)
		}, true, 3},
		{"unavailable for too long", 9, 2, func(w http.ResponseWriter, _ func(http.ResponseWriter)) {
			http.Error(w, "busy", http.StatusServiceUnavailable)
		}, false, 3},
		{"applied, but answered with an error", 1, 0, func(w http.ResponseWriter, serve func(http.ResponseWriter)) {
			serve(discard{})
			http.Error(w, "gateway", http.StatusBadGateway)
		}, true, 1},
		{"an empty answer", 1, 0, func(w http.ResponseWriter, serve func(http.ResponseWriter)) { serve(discard{}) }, true, 1},
		{"forbidden", 1, 2, func(w http.ResponseWriter, _ func(http.ResponseWriter)) {
			http.Error(w, "Permission to o/r.git denied to bot.", http.StatusForbidden)
		}, false, 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			dir := bare(t, map[string]string{"README.md": "hello\n"})
			s := serve(t, dir)
			r, l := started(t, s.url, withAuth, func(o *Options) { o.Retry = make([]time.Duration, test.retry) })
			c := work(t, r, git(t, dir, "rev-parse", workRef), "c.js", "2\n")
			tx := l.next(c, c)
			before, seen := tipsOf(t, dir), 0
			s.on(func(w http.ResponseWriter, req *http.Request, serve func(http.ResponseWriter)) {
				if pushes(req) {
					if seen++; seen <= test.times {
						test.fault(w, serve)
						return
					}
				}
				serve(w)
			})
			err := r.Save(t.Context(), tx)
			if (err == nil) != test.saved || seen != test.pushes {
				t.Errorf("got %v after %d pushes", err, seen)
			}
			if err != nil && strings.Contains(err.Error(), password) {
				t.Errorf("the token is in %q", err)
			}
			if !test.saved && tipsOf(t, dir) != before {
				t.Error("something was moved all the same")
			}
			s.on(nil)
			save(t, r, tx) // again: done is done
			if git(t, dir, "show", stateRef+":state.json") != string(tx.State) || git(t, dir, "rev-parse", workRef) != c {
				t.Error("it was not saved")
			}
			if got := git(t, dir, "rev-list", "--first-parent", "--count", stateRef); got != "3" {
				t.Errorf("%s transactions, want 3", got)
			}
		})
	}
}

// A discard takes an answer that never arrives.
type discard struct{}

func (discard) Header() http.Header         { return http.Header{} }
func (discard) Write(b []byte) (int, error) { return len(b), nil }
func (discard) WriteHeader(int)             {}

// TestHangingRemote has a remote that stops answering: the context ends the
// wait, and what was done by then counts.
func TestHangingRemote(t *testing.T) {
	t.Parallel()
	for _, applied := range []bool{false, true} {
		t.Run(fmt.Sprint("applied ", applied), func(t *testing.T) {
			dir := bare(t, map[string]string{"README.md": "hello\n"})
			s := serve(t, dir)
			r, l := started(t, s.url, withAuth)
			free := make(chan bool)
			defer close(free)
			s.on(func(w http.ResponseWriter, req *http.Request, serve func(http.ResponseWriter)) {
				if !pushes(req) {
					serve(w)
					return
				}
				if applied {
					serve(discard{})
				}
				<-free
			})
			ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
			defer cancel()
			start := time.Now()
			err := r.Save(ctx, l.next("", ""))
			if applied && err != nil || !applied && !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("got %v", err)
			}
			if d := time.Since(start); d > 4*time.Second {
				t.Errorf("it took %v", d)
			}
		})
	}
	t.Run("load", func(t *testing.T) {
		s := serve(t, bare(t, map[string]string{"README.md": "hello\n"}))
		r := open(t, s.url, withAuth)
		free := make(chan bool)
		defer close(free)
		s.on(func(http.ResponseWriter, *http.Request, func(http.ResponseWriter)) { <-free })
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		if _, err := r.Load(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("hook", func(t *testing.T) { // a path: the process is killed
		dir := bare(t, map[string]string{"README.md": "hello\n"})
		r, l := started(t, dir)
		hook(t, dir, "pre-receive", "sleep 20")
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		defer cancel()
		start := time.Now()
		if err := r.Save(ctx, l.next("", "")); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
		if d := time.Since(start); d > 6*time.Second {
			t.Errorf("it took %v", d)
		}
		os.Remove(filepath.Join(dir, "hooks", "pre-receive"))
	})
}

func TestSaveRefusesWhatWouldBreakTheChain(t *testing.T) {
	t.Parallel()
	dir := bare(t, map[string]string{"README.md": "hello\n"})
	r, l := started(t, dir)
	before := tipsOf(t, dir)
	for name, change := range map[string]func(*runner.Transaction){
		"serial": func(tx *runner.Transaction) {
			tx.State = []byte(strings.Replace(string(tx.State), `"serial":3`, `"serial":4`, 1))
		},
		"prev": func(tx *runner.Transaction) {
			tx.State = []byte(strings.Replace(string(tx.State), `"prev":"`, `"prev":"0`, 1))
		},
		"lineage":      func(tx *runner.Transaction) { tx.State = []byte(strings.Replace(string(tx.State), `"L1"`, `"L2"`, 1)) },
		"unknown code": func(tx *runner.Transaction) { tx.Code = strings.Repeat("0", 40) },
		"other code":   func(tx *runner.Transaction) { tx.Code = git(t, dir, "rev-parse", "main") },
		"short code":   func(tx *runner.Transaction) { tx.Code = tx.Code[:7] },
		"not JSON":     func(tx *runner.Transaction) { tx.State = []byte("x") },
		"escaping":     func(tx *runner.Transaction) { tx.Files = []runner.File{{Name: "evidence/../../x"}} },
		"git file":     func(tx *runner.Transaction) { tx.Files = []runner.File{{Name: ".GIT/config"}} },
		"a secret":     func(tx *runner.Transaction) { tx.Files = []runner.File{{Name: "e", Data: []byte("x" + password)}} },
		"unknown work": func(tx *runner.Transaction) { tx.Work = strings.Repeat("1", 40) },
	} {
		r.secrets = newScanner([]string{password})
		tx := l.next("", "")
		change(&tx)
		if err := r.Save(t.Context(), tx); err == nil {
			t.Errorf("%s: saved", name)
		}
	}
	if got := tipsOf(t, dir); got != before {
		t.Errorf("refs were\n%s\nand are\n%s", before, got)
	}
	if err := open(t, dir).Save(t.Context(), l.next("", "")); err == nil {
		t.Error("saved without having loaded")
	}
}
