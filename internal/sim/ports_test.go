package sim

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/autonomous-loop/autonomous-loop/runner"
)

// A fault is what happens to an effect.
type fault struct {
	kind   string
	sticky bool // to every later effect of the process as well
}

// The kinds of faults. A kill is at the start or at the end of an effect; a lost
// answer is of one that was carried out.
const (
	fine       = ""
	killBefore = "kill before"
	killLost   = "kill with the answer lost"
	killAfter  = "kill after"
)

// errorKinds are the ten ways in which a call fails. Of a call to the remote or
// to the disk those that make no sense are an error of input and output.
var errorKinds = []string{"500", "502", "timeout", "reset", "truncated body", "403 secondary", "429", "ENOSPC", "EIO", "EINTR"}

var killKinds = []string{killBefore, killLost, killAfter}

// meets draws what happens to an effect.
func (p *proc) meets(what string) fault {
	w := p.w
	w.count.Effects++
	if p.sticky != nil {
		w.count.Faults++
		return *p.sticky
	}
	var f fault
	switch {
	case w.meet != nil:
		f = w.meet(w.count.Effects, what)
	case w.random && !w.healed:
		// A site has faults in a quarter of the worlds, and then seldom.
		on, known := w.active[what]
		if !known {
			on = w.chance(25)
			w.active[what] = on
		}
		if on && w.chance(20) {
			if w.chance(40) {
				f.kind = killKinds[w.rng.IntN(len(killKinds))]
			} else {
				f.kind = errorKinds[w.rng.IntN(len(errorKinds))]
				f.sticky = w.chance(10)
			}
		}
	}
	if f.kind != fine {
		w.say("%s: %s: %s", p.name, what, f.kind)
		w.count.Faults++
	}
	if f.sticky {
		p.sticky = &f
	}
	return f
}

// do is one effect of a process: it takes a while, it may not happen, and its
// answer may be lost.
func (p *proc) do(what string, effect func()) error {
	p.pause(context.Background(), p.w.between(time.Millisecond, 3*time.Second))
	f := p.meets(what)
	switch f.kind {
	case fine:
		effect()
		p.w.say("%s: %s", p.name, what)
		return nil
	case killBefore:
		p.die()
	case killLost, killAfter:
		effect()
		p.w.say("%s: %s", p.name, what)
		p.die()
	case "timeout", "reset", "truncated body":
		// Nobody knows whether it was carried out.
		if !p.w.random || p.w.chance(50) {
			effect()
			p.w.say("%s: %s, and nobody heard of it", p.name, what)
		}
		return fmt.Errorf("%s: %s: %w", what, f.kind, syscall.ECONNRESET)
	case "ENOSPC":
		return fmt.Errorf("%s: %w", what, syscall.ENOSPC)
	case "EINTR":
		return fmt.Errorf("%s: %w", what, syscall.EINTR)
	}
	return fmt.Errorf("%s: %s: %w", what, f.kind, syscall.EIO)
}

// die ends the process from within.
func (p *proc) die() {
	p.w.say("%s is killed", p.name)
	p.w.count.Kills++
	p.dead = true
	p.pause(context.Background(), 0)
}

var _ runner.Repo = (*proc)(nil)

func (p *proc) Load(ctx context.Context) (found runner.Found, err error) {
	err = p.do("load", func() {
		r := &p.w.remote
		p.seen = r.moves
		p.work = r.work
		p.copies()
		found = runner.Found{State: r.state, List: r.list, Work: r.work, Base: runner.Base{Branch: "main", Commit: r.base}}
		if st := r.truth; found.State != nil && found.Work != "" && found.Work != st.Work && found.Work != st.Published {
			found.Ahead = within(r.commits, st.Work, found.Work) || st.Published != "" && within(r.commits, st.Published, found.Work)
			found.Foreign = !found.Ahead
		}
	})
	if err == nil && ctx.Err() != nil {
		err = ctx.Err()
	}
	return found, err
}

// Save moves the branches by compare-and-swap. As of the real one, an answer
// that was lost is looked up, which may fail as well; and the state is saved
// where somebody else has moved the work branch.
func (p *proc) Save(ctx context.Context, tx runner.Transaction) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	var moved, aside error
	err := p.do("save state", func() { moved, aside = p.swap(tx) })
	if moved != nil && err == nil {
		return moved
	}
	if err == nil {
		p.seen, p.claimed = p.w.remote.moves, true
	}
	if err != nil && p.w.remote.moves == p.seen+1 && bytes.Equal(p.w.remote.state, tx.State) && (!p.w.random || p.w.chance(70)) {
		p.seen, p.claimed, err = p.w.remote.moves, true, nil
	}
	if err == nil {
		err = aside
	}
	if err != nil || p.w.atomic || tx.Work == "" || tx.Work == p.work {
		return err
	}
	if err := p.do("save work", func() { aside = p.forward(tx.Work) }); err != nil {
		return err
	}
	return aside
}

func (p *proc) swap(tx runner.Transaction) (moved, aside error) {
	w := p.w
	r := &w.remote
	if r.moves != p.seen {
		return &runner.MovedError{Want: strconv.Itoa(p.seen), Have: strconv.Itoa(r.moves)}, nil
	}
	next, err := runner.Decode(tx.State, tx.List)
	if err != nil {
		w.fail("%s saves a state that cannot be read: %v", p.name, err)
		return err, nil
	}
	if next.Serial == r.truth.Serial { // only the work branch was left behind
		return errors.New("the state does not follow from the last one"), nil
	}
	w.follows(r.truth, next, r.state)
	if w.others && r.state == nil {
		w.in(time.Millisecond, w.moves)
	}
	r.state, r.list, r.truth = tx.State, tx.List, next
	r.moves++
	r.code[tx.Code], r.code[p.local[tx.Code].other] = true, true // with what was seen red before it was carried over
	maps.Copy(r.commits, p.local)
	for _, f := range tx.Files {
		r.files[f.Name] = f.Data
	}
	w.say("%s: transaction %d, epoch %d, %s, code %s", p.name, next.Serial, next.Epoch, next.Status, tx.Code)
	if w.atomic && tx.Work != "" {
		aside = p.forward(tx.Work)
	}
	w.check()
	return nil, aside
}

// forward moves the work branch, unless somebody else did since this process
// looked at it last.
func (p *proc) forward(to string) error {
	r := &p.w.remote
	if r.work == to {
		p.work = to
		return nil
	}
	if r.work != p.work {
		e := &runner.WorkError{Branch: "work", Want: p.work, Have: r.work, Ahead: within(r.commits, p.work, r.work)}
		p.work = r.work
		maps.Copy(p.local, r.commits)
		return e
	}
	if r.work != "" && !within(p.local, r.work, to) {
		p.w.fail("%s moves the work branch from %s to %s, which is not forward", p.name, r.work, to)
	}
	r.work, p.work = to, to
	if p.w.others { // at once
		p.w.others = false
		p.w.in(time.Millisecond, p.w.commits)
	}
	return nil
}

func (p *proc) Draft(ctx context.Context, parent, message string) (runner.Snapshot, error) {
	return p.Snapshot(ctx, parent, message)
}

func (p *proc) Snapshot(ctx context.Context, parent, _ string) (snap runner.Snapshot, err error) {
	err = p.do("snapshot", func() {
		snap = runner.Snapshot{Commit: parent, Tree: treeID(p.tree)}
		if !maps.Equal(p.tree, p.local[parent].tree) {
			snap.Commit = p.commit(parent, p.tree)
		}
	})
	if err == nil && ctx.Err() != nil {
		err = ctx.Err()
	}
	return snap, err
}

func (p *proc) Commit(_ context.Context, id, parent, _ string, _ time.Time) (made string, err error) {
	err = p.do("commit", func() {
		for _, name := range slices.Sorted(maps.Keys(p.local)) {
			if c := p.local[name]; treeID(c.tree) == id {
				made = p.commit(parent, c.tree)
				return
			}
		}
	})
	if err == nil && made == "" {
		err = fmt.Errorf("no tree %s", id)
	}
	return made, err
}

func (p *proc) commit(parent string, t tree) string {
	id := parent + "+" + treeID(t)
	p.local[id] = commit{parent: parent, tree: maps.Clone(t)}
	return id
}

func (p *proc) Restore(ctx context.Context, id string) error {
	err := p.do("restore", func() { p.tree = maps.Clone(p.local[id].tree) })
	if err == nil && p.tree == nil {
		err = fmt.Errorf("no commit %s", id)
	}
	return cmpErr(err, ctx.Err())
}

func cmpErr(a, b error) error {
	if a != nil {
		return a
	}
	return b
}

// paying says that a process may spend: it has claimed the loop.
func (p *proc) paying(what string) {
	if !p.claimed {
		p.w.fail("%s asks the model (%s) and has not claimed the loop", p.name, what)
	}
}

func (p *proc) Plan(ctx context.Context, old []runner.Feature, _ runner.Purse) ([]runner.Row, runner.Usage, error) {
	p.paying("plan")
	var rows []runner.Row
	err := p.do("plan", func() {
		for i := range p.w.features {
			r := runner.Row{ID: fmt.Sprintf("f%d", i), Priority: 1}
			if i == p.w.features-1 && i > 0 {
				r.DependsOn = []string{"f0"}
			}
			rows = append(rows, r)
		}
		if p.w.spec%2 == 1 {
			rows[0].Acceptance = []runner.Step{{Step: 1, Action: "goto", Value: "/"}}
			rows = append(rows, runner.Row{ID: "late", Priority: 1})
		}
	})
	return rows, runner.Usage{Calls: 1, Tokens: 10}, cmpErr(err, ctx.Err())
}

// wants is what code for a feature is when it is good.
func wants(f runner.Feature) string {
	if len(f.Acceptance) > 0 {
		return "good again"
	}
	return "good"
}

func (p *proc) Work(ctx context.Context, t runner.Task) (runner.Claim, error) {
	p.paying("work")
	if f, listed := p.w.remote.truth.Feature(t.Feature.ID); listed && p.w.remote.truth.Owner != nil && p.w.remote.truth.Owner.Run == p.id() && f.Attempts < t.Attempt {
		p.w.fail("%s: attempt %d at %s was not counted before it began", p.name, t.Attempt, f.ID)
	}
	p.working = true
	p.pause(ctx, p.w.between(time.Minute, 20*time.Minute))
	p.working = false
	claim := runner.Claim{Usage: runner.Usage{Calls: 1, Tokens: 5}}
	if ctx.Err() != nil {
		return claim, ctx.Err()
	}
	err := p.do("work", func() {
		id := t.Feature.ID
		if t.Phase == runner.Merging || strings.HasPrefix(id, "merge-") {
			p.resolves()
			return
		}
		switch {
		case t.Phase == runner.Tests:
			if p.tree[id] != wants(t.Feature) {
				p.tree[id] = "tests"
			}
		case !p.w.random || p.w.chance(75):
			p.tree[id] = wants(t.Feature)
		case p.w.chance(20):
			claim.GaveUp, claim.Why = runner.TooBig, "it is too big"
		case p.w.chance(30):
			for other := range p.tree {
				p.tree[other] = "wrong"
			}
			p.tree[id] = wants(t.Feature)
		default:
			p.tree[id] = "wrong"
		}
	})
	return claim, err
}

func (p *proc) Judge(ctx context.Context, c runner.Candidate) (runner.Verdict, error) {
	p.pause(context.Background(), p.w.between(time.Second, 5*time.Minute))
	v := runner.Verdict{Outcome: runner.Verified, Files: []runner.File{{Name: "verdict.json", Data: []byte("{}")}}}
	err := p.do("judge", func() {
		t := p.local[c.Commit].tree
		if treeID(t) != c.Tree {
			p.w.fail("%s: %s has not the tree %s", p.name, c.Commit, c.Tree)
		}
		switch {
		case c.Phase == runner.Tests:
			v = runner.Verdict{Outcome: runner.Red}
			return
		case c.Red == "" || !p.w.remote.code[c.Red]:
			p.w.fail("%s: the tests of %s that were seen red are nowhere: %q", p.name, c.Feature.ID, c.Red)
		case p.w.random && p.w.chance(5):
			v = runner.Verdict{Outcome: runner.Inconclusive, Reason: "flaky"}
			return
		}
		for _, f := range append(slices.Clone(c.Completed), c.Feature) {
			if t[f.ID] != wants(f) {
				v = runner.Verdict{Outcome: runner.Failed, Reason: f.ID + " does not work"}
				return
			}
		}
		for id, is := range p.local[c.Parent].tree {
			if is != t[id] && t[id] == "wrong" {
				v = runner.Verdict{Outcome: runner.Failed, Reason: "a test of " + id + " fails"}
			}
		}
	})
	return v, cmpErr(err, ctx.Err())
}

// RoundTrip carries the forge's requests to the GitHub of the world.
func (p *proc) RoundTrip(r *http.Request) (*http.Response, error) {
	var body []byte
	if r.Body != nil {
		body, _ = io.ReadAll(r.Body)
		r.Body.Close()
	}
	what := r.Method + " " + short.ReplaceAllString(r.URL.Path, "/N")
	p.pause(context.Background(), p.w.between(time.Millisecond, 2*time.Second))
	serve := func() *httptest.ResponseRecorder {
		p.w.say("%s: %s", p.name, what)
		rec := httptest.NewRecorder()
		in := httptest.NewRequestWithContext(context.Background(), r.Method, r.URL.String(), bytes.NewReader(body))
		in.Header = r.Header.Clone()
		p.w.hub.ServeHTTP(rec, in)
		return rec
	}
	said := func(status int, header map[string]string, text string) (*http.Response, error) {
		rec := httptest.NewRecorder()
		rec.Header().Set("Date", p.w.now.UTC().Format(http.TimeFormat))
		for k, v := range header {
			rec.Header().Set(k, v)
		}
		rec.WriteHeader(status)
		rec.WriteString(text)
		return rec.Result(), nil
	}
	f := p.meets(what)
	switch f.kind {
	case fine:
		return serve().Result(), nil
	case killBefore:
		p.die()
	case killLost, killAfter:
		serve()
		p.die()
	case "500":
		return said(500, nil, `{"message":"Server Error"}`)
	case "502":
		serve() // behind a proxy that gave up
		return said(502, nil, "<html>Bad Gateway</html>")
	case "429":
		return said(429, map[string]string{"Retry-After": "7"}, `{"message":"API rate limit exceeded"}`)
	case "403 secondary":
		return said(403, nil, `{"message":"You have exceeded a secondary rate limit"}`)
	case "timeout":
		serve()
		p.pause(context.Background(), 2*time.Minute)
		return nil, context.DeadlineExceeded
	case "truncated body":
		res := serve().Result()
		whole, _ := io.ReadAll(res.Body)
		res.Body = io.NopCloser(bytes.NewReader(whole[:len(whole)/2]))
		return res, nil
	}
	if f.kind == "reset" {
		serve()
	}
	return nil, fmt.Errorf("%s: %w", f.kind, syscall.ECONNRESET)
}

var short = regexp.MustCompile(`/\d+`)

func (p *proc) Gone(ctx context.Context) (string, error) {
	return "", cmpErr(p.do("gone", func() {}), ctx.Err())
}
