package repo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"

	"github.com/autonomous-loop/autonomous-loop/runner"
)

// Load reads both branches and the base as the remote has them now.
func (r *Repo) Load(ctx context.Context) (runner.Found, error) {
	r.branches.Lock()
	defer r.branches.Unlock()
	var found runner.Found
	load := func() error {
		return r.roomy(func() error {
			return r.again(ctx, func() (err error) {
				found, err = r.load(ctx)
				return err
			})
		})
	}
	kept := !r.loaded && !r.store.empty() // by an earlier session
	err := load()
	if kept && damaged(err) {
		// What this disk has kept is not believed against the remote.
		if r.store, err = openAnew(r.store.dir); err == nil {
			err = load()
		}
	}
	if err != nil {
		return runner.Found{}, fmt.Errorf("read %s: %w", r.remote.name, err)
	}
	return found, nil
}

// damaged says whether err may be the fault of what is stored here: it is not
// the remote's, nor that of a full disk or of the session's end.
func damaged(err error) bool {
	_, remote := errors.AsType[*remoteError](err)
	return err != nil && !remote && !full(err) && !errors.Is(err, context.Canceled) && !errors.Is(err, context.DeadlineExceeded)
}

func (r *Repo) load(ctx context.Context) (runner.Found, error) {
	now, err := r.bring(ctx)
	for try := 0; notOurs(err) && try < 3; try++ {
		now, err = r.bring(ctx) // a branch moved meanwhile: ask again
	}
	if err != nil {
		return runner.Found{}, err
	}
	found := runner.Found{Base: runner.Base{Branch: now.branch, Commit: now.base.String()}}
	if now.work != none {
		found.Work = now.work.String()
	}
	if now.state != none {
		if err := r.readState(ctx, &now, &found); err != nil {
			return runner.Found{}, err
		}
	}
	for name, id := range map[string]oid{"base": now.base, "work": now.work, "state": now.state} {
		if name == "state" && found.Chain != nil {
			continue // what it was rewound from stays remembered
		}
		if err := r.store.see(name, id); err != nil {
			return runner.Found{}, err
		}
	}
	r.last, r.loaded = now, true
	return found, nil
}

// bring finds the branches and brings what they hold, in one visit to the remote.
func (r *Repo) bring(ctx context.Context) (tips, error) {
	v, err := r.remote.visit(ctx)
	if err != nil {
		return tips{}, err
	}
	defer v.Close() // nothing is lost with an answer that was read
	now := tips{state: v.refs.ids[r.o.StateBranch], work: v.refs.ids[r.o.WorkBranch]}
	if now.branch, now.base, err = r.base(v.refs); err != nil {
		return tips{}, err
	}
	return now, r.fetch(ctx, v, []oid{now.base, now.state, now.work})
}

// base finds the base branch among the remote's refs.
func (r *Repo) base(refs refs) (string, oid, error) {
	if len(refs.ids) == 0 && refs.at == none {
		return "", none, errors.New("the repository is empty: push a first commit")
	}
	if name := strings.TrimPrefix(r.o.Base, "refs/heads/"); name != "" {
		id, ok := refs.ids["refs/heads/"+name]
		if !ok {
			return "", none, fmt.Errorf("there is no branch %q to build on; there are: %s", name, branches(refs))
		}
		return name, id, nil
	}
	if id, ok := refs.ids["refs/heads/"+refs.head]; ok {
		return refs.head, id, nil
	}
	if refs.at != none && refs.head == "" {
		return "HEAD", refs.at, nil // detached
	}
	return "", none, fmt.Errorf("the repository's default branch does not exist; name the branch to build on; there are: %s", branches(refs))
}

func branches(refs refs) string {
	var names []string
	for _, ref := range slices.Sorted(maps.Keys(refs.ids)) {
		if name, ok := strings.CutPrefix(ref, "refs/heads/"); ok {
			names = append(names, name)
		}
	}
	const most = 10
	if len(names) > most {
		names = append(names[:most], "...")
	}
	return strings.Join(names, ", ")
}

// readState reads the last transaction and checks all of them.
func (r *Repo) readState(ctx context.Context, now *tips, found *runner.Found) error {
	var err error
	for name, to := range map[string]*[]byte{"state.json": &found.State, "feature_list.json": &found.List} {
		*to, err = r.store.file(now.state, name)
		if errors.Is(err, fs.ErrNotExist) {
			*to, err = []byte{}, nil // there is a state branch: nil would deny it
		}
		if err != nil {
			return err
		}
	}
	found.Handoff, err = r.store.file(now.state, runner.HandoffFile)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if found.Chain, err = r.verify(ctx, now.state); err != nil {
		return err
	}
	var said struct{ Work, Published string }
	if json.Unmarshal(found.State, &said) == nil && found.Chain == nil && found.Work != "" && found.Work != said.Work && found.Work != said.Published {
		work, _ := parseID(said.Work) // what is no id is no commit that anybody went on from
		published, _ := parseID(said.Published)
		if found.Ahead, err = r.ahead(now.work, []oid{work, published}, []oid{now.state, now.base, work, published}); err != nil {
			return err
		}
		found.Foreign = !found.Ahead
	}
	now.transaction, _ = readTransaction(found.State) // a damaged one is the chain's to tell
	return nil
}
