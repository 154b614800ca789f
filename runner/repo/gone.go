package repo

import "context"

// Gone names a branch that was there when this Repo last saw it, and is not any
// more.
func (r *Repo) Gone(ctx context.Context) (string, error) {
	last, err := r.tips()
	if err != nil {
		return "", err
	}
	now, err := r.remote.list(ctx)
	if err != nil {
		return "", err
	}
	for _, b := range []struct {
		ref  string
		last oid
	}{{r.o.StateBranch, last.state}, {r.o.WorkBranch, last.work}} {
		if b.last != none && now.ids[b.ref] == none {
			return b.ref, nil
		}
	}
	return "", nil
}
