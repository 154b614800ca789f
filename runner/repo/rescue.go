package repo

import (
	"bytes"
	"context"
	"fmt"
	"strings"

	"github.com/autonomous-loop/autonomous-loop/runner"
)

// Rescue packs what the loop had made into a git bundle, with a text that says
// how to restore it: the last transaction that this Repo knows to be the loop's,
// whether it was saved or not, and the verified code. It needs no remote, and
// changes nothing. No files: there is nothing to rescue.
func (r *Repo) Rescue(ctx context.Context) ([]runner.File, error) {
	r.branches.Lock()
	defer r.branches.Unlock()
	state, err := r.ownState(ctx)
	if err != nil || state == none {
		return nil, err
	}
	work, err := r.workOf(state)
	if err != nil {
		return nil, err
	}
	base := r.last.base
	tips := []update{{ref: r.o.StateBranch, new: state}}
	if work != none && work != base {
		tips = append(tips, update{ref: r.o.WorkBranch, new: work})
	}
	bundle, err := r.bundle(ctx, tips, base)
	if err != nil {
		return nil, fmt.Errorf("pack the loop's commits: %w", err)
	}
	if r.late {
		return []runner.File{{Name: "loop.bundle", Data: bundle}, {Name: "RESCUE.md", Data: lateText(tips)}}, nil
	}
	var text bytes.Buffer
	fmt.Fprintf(&text, "# What the loop had made\n\n`loop.bundle` holds its branches as they should be:\n\n")
	for _, t := range tips {
		fmt.Fprintf(&text, "- `%s` at %s\n", t.ref, t.new)
	}
	fmt.Fprintf(&text, "\nIn a clone of the repository, look at what is there now and keep what you need of it. Then put a branch back:\n\n")
	fmt.Fprintf(&text, "    git fetch loop.bundle '+refs/heads/*:refs/rescue/*'\n")
	for _, t := range tips {
		fmt.Fprintf(&text, "    git push origin +%s:%s\n", t.new, t.ref)
	}
	fmt.Fprintf(&text, "\nThe loop itself never overwrites a branch. It goes on when you start it.\n")
	return []runner.File{{Name: "loop.bundle", Data: bundle}, {Name: "RESCUE.md", Data: text.Bytes()}}, nil
}

// lateText says how to push what a session could not.
func lateText(tips []update) []byte {
	var text bytes.Buffer
	fmt.Fprintf(&text, "# What a session could not save\n\nThe remote did not take its last transaction. `loop.bundle` holds that, with the unfinished work that it speaks of:\n\n")
	var push []string
	for _, t := range tips {
		fmt.Fprintf(&text, "- `%s` at %s\n", t.ref, t.new)
		push = append(push, fmt.Sprintf("%s:%s", t.new, t.ref))
	}
	fmt.Fprintf(&text, "\nIn a clone of the repository:\n\n    git fetch loop.bundle '+refs/heads/*:refs/rescue/*'\n    git push --atomic origin %s\n", strings.Join(push, " "))
	fmt.Fprintf(&text, "\nThen start the loop: it goes on from there. A push that git calls no fast-forward is too late, a session has gone on\nwithout it meanwhile: leave the branches as they are, and take what you want of the work from `refs/rescue/`.\n")
	return text.Bytes()
}

// ownState is the last transaction that the loop made: the one that could not be
// saved, else the newest on the state branch from which on the chain checks.
func (r *Repo) ownState(ctx context.Context) (oid, error) {
	if r.lost != none {
		return r.lost, nil
	}
	tips := []oid{r.store.seen("state"), r.last.state}
	for _, tip := range tips {
		for id := tip; id != none; {
			if err := ctx.Err(); err != nil {
				return none, err
			}
			c, _, err := r.transaction(id)
			if err == nil {
				return id, nil
			}
			if len(c.parents) == 0 {
				break
			}
			id = c.parents[0]
		}
	}
	return none, nil
}

// bundle is a git bundle of what tips reach and base does not.
func (r *Repo) bundle(ctx context.Context, tips []update, base oid) ([]byte, error) {
	var b bytes.Buffer
	var ids, known []oid
	b.WriteString("# v2 git bundle\n")
	if base != none {
		known = []oid{base}
		fmt.Fprintf(&b, "-%s the base branch\n", base)
	}
	for _, t := range tips {
		fmt.Fprintf(&b, "%s %s\n", t.new, t.ref)
		ids = append(ids, t.new)
	}
	objs, err := r.store.fresh(ctx, ids, known)
	if err != nil {
		return nil, err
	}
	b.WriteByte('\n')
	b.Write(encodePack(objs))
	return b.Bytes(), nil
}
