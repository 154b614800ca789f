package sim

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/autonomous-loop/autonomous-loop/runner"
)

// Others commit, too: a person to the work branch, who may break what worked, and
// somebody to the base branch, which may conflict with what was built.

// commits: a person commits to the work branch, if there is one.
func (w *world) commits() {
	r := &w.remote
	if r.work == "" {
		return
	}
	w.count.Commits++
	t := maps.Clone(r.commits[r.work].tree)
	t[fmt.Sprint("person", w.count.Commits)] = "x"
	for _, f := range r.truth.Features {
		if w.random && t[f.ID] == wants(f) && w.chance(30) {
			t[f.ID] = "wrong"
			r.broken[f.ID] = true
			break
		}
	}
	r.work = w.made(r.work, t)
	w.say("ada commits to the work branch: %s", r.work)
}

// moves: the base branch goes on.
func (w *world) moves() {
	r := &w.remote
	w.count.Moves++
	t := maps.Clone(r.commits[r.base].tree)
	t[fmt.Sprint("base", w.count.Moves)] = "x"
	if w.random && r.commits[r.work].tree["f0"] != "" && w.chance(30) {
		t["f0"] = "conflict"
	}
	r.base = w.made(r.base, t)
	w.say("the base branch moves: %s", r.base)
}

func (w *world) made(parent string, t tree) string {
	id := parent + "/" + treeID(t)
	w.remote.commits[id] = commit{parent: parent, tree: t, others: true}
	return id
}

// Merge merges features and files as git merges lines.
func (p *proc) Merge(ctx context.Context, ours, theirs, _ string, _ time.Time) (m runner.Merge, err error) {
	err = p.do("merge", func() { m = p.merge(ours, theirs) })
	return m, cmpErr(err, ctx.Err())
}

func (p *proc) merge(ours, theirs string) runner.Merge {
	for _, pair := range [][2]string{{theirs, ours}, {ours, theirs}} {
		if within(p.local, pair[0], pair[1]) {
			return runner.Merge{Commit: pair[1], Tree: treeID(p.local[pair[1]].tree)}
		}
	}
	fork := ours
	for ; !within(p.local, fork, theirs); fork = p.local[fork].parent {
		if o := p.local[fork].other; o != "" && within(p.local, o, theirs) {
			fork = o
			break
		}
	}
	base, a, b := p.local[fork].tree, p.local[ours].tree, p.local[theirs].tree
	m, t := runner.Merge{}, maps.Clone(a)
	for _, name := range slices.Sorted(maps.Keys(b)) {
		switch is := b[name]; {
		case base[name] == is || a[name] == is:
		case a[name] == base[name]:
			t[name] = is
		default:
			t[name] = "marks"
			m.Conflicts = append(m.Conflicts, name)
		}
	}
	m.Tree = treeID(t)
	if len(m.Conflicts) > 0 {
		p.local["merged:"+m.Tree] = commit{tree: t}
		return m
	}
	m.Commit = ours + "*" + theirs
	p.local[m.Commit] = commit{parent: ours, other: theirs, tree: t}
	return m
}

func (p *proc) Join(ctx context.Context, id, ours, theirs, _ string, _ time.Time) (made string, err error) {
	err = p.do("join", func() {
		for _, name := range slices.Sorted(maps.Keys(p.local)) {
			if c := p.local[name]; treeID(c.tree) == id {
				made = ours + "*" + id + "*" + theirs
				p.local[made] = commit{parent: ours, other: theirs, tree: c.tree}
				return
			}
		}
	})
	if err == nil && made == "" {
		err = fmt.Errorf("no tree %s", id)
	}
	return made, cmpErr(err, ctx.Err())
}

// Holds looks at the tree of a commit and at nothing else.
func (p *proc) Holds(ctx context.Context, id string, features []runner.Feature) (v runner.Verdict, err error) {
	p.pause(context.Background(), p.w.between(time.Second, 5*time.Minute))
	err = p.do("hold", func() { v = p.holds(id, features) })
	return v, cmpErr(err, ctx.Err())
}

func (p *proc) holds(id string, features []runner.Feature) runner.Verdict {
	v := runner.Verdict{Outcome: runner.Verified, Gates: []runner.Gate{{Name: "tests", Passed: true}}}
	for _, f := range features {
		ok := p.local[id].tree[f.ID] == wants(f)
		v.Gates = append(v.Gates, runner.Gate{Name: f.ID, Passed: ok, Result: runner.Failed})
		if !ok {
			v.Outcome = runner.Failed
			v.Broken = append(v.Broken, runner.Broken{Feature: f.ID, Why: "somebody broke it"})
		}
	}
	return v
}

func (p *proc) Resolved(ctx context.Context, r runner.Resolution) (v runner.Verdict, err error) {
	err = p.do("resolved", func() {
		if v = p.holds(r.Commit, r.Completed); slices.Contains(slices.Collect(maps.Values(p.local[r.Commit].tree)), "marks") {
			v = runner.Verdict{Outcome: runner.Failed, Reason: "it holds marks"}
		}
	})
	return v, cmpErr(err, ctx.Err())
}

// resolves works on a conflict: well, or not at all.
func (p *proc) resolves() {
	if p.w.random && p.w.chance(30) {
		return
	}
	for name, is := range p.tree {
		if is != "marks" {
			continue
		}
		f, _ := p.w.remote.truth.Feature(name)
		p.tree[name] = wants(f)
	}
}

func (p *proc) Rescue(context.Context) ([]runner.File, error) { return nil, nil }

// takenIn asserts that nothing of what others committed was lost: what people
// committed to the work branch is on it at the end, with its files, and the loop
// says of all that came in that it did, and has proved again what is complete.
func (w *world) takenIn() {
	r, st := &w.remote, w.remote.truth
	tip := r.commits[r.work].tree
	for n := range w.count.Commits {
		if name := fmt.Sprint("person", n+1); tip[name] != "x" {
			w.fail("the file %s, which a person committed, is not in %v", name, tip)
		}
	}
	for _, f := range st.Features {
		if f.Status == runner.Complete && tip[f.ID] != wants(f) {
			w.fail("%s is complete, and %s at the end", f.ID, tip[f.ID])
		}
	}
	for id, c := range r.commits {
		if !c.others || !within(r.commits, id, st.Work) || within(r.commits, id, st.Base.Commit) {
			continue
		}
		if !slices.ContainsFunc(st.Taken, func(t runner.Taken) bool { return t.Commit != "" && within(r.commits, id, t.Tip) }) {
			w.fail("%s was taken in, and nothing says so", id)
		}
	}
}
