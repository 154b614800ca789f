package repo

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
)

// A transaction is what the chain of transactions needs to know of a
// state.json. Package runner knows the rest.
type transaction struct {
	Lineage string `json:"lineage"`
	Serial  int    `json:"serial"`
	Prev    string `json:"prev"`
	Code    string `json:"code"`

	digest string // of the whole file
}

func readTransaction(state []byte) (transaction, error) {
	var t transaction
	if err := json.Unmarshal(state, &t); err != nil {
		return t, fmt.Errorf("state.json is damaged: %w", err)
	}
	sum := sha256.Sum256(state)
	t.digest = hex.EncodeToString(sum[:])
	return t, nil
}

// A chainError says what is wrong with the history of the state branch. It is
// part of what was found, not a failure to find it.
type chainError struct{ text string }

func (e *chainError) Error() string { return e.text }

func broken(format string, args ...any) error {
	return &chainError{fmt.Sprintf(format, args...)}
}

// verify checks every transaction from tip to the first, and that the branch
// still holds what was last seen of it. The first result is what is wrong with
// the chain, the second why it could not be checked.
func (r *Repo) verify(ctx context.Context, tip oid) (chain, err error) {
	seen, metSeen := r.store.seen("state"), false
	next, after := transaction{}, none
	for id := tip; ; {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		metSeen = metSeen || id == seen
		c, t, err := r.transaction(id)
		if err == nil && after != none {
			if why := next.follows(t); why != "" {
				err = broken("commit %s: %s", after, why)
			}
		}
		if chain, ok := errors.AsType[*chainError](err); ok {
			return chain, nil
		}
		if err != nil {
			return nil, err
		}
		if len(c.parents) == 0 {
			break
		}
		next, after, id = t, id, c.parents[0]
	}
	if seen != none && !metSeen {
		return broken("it was rewound or replaced: commit %s, which was its tip, is gone from it; push %[1]s to it again, or delete it to stop the loop", seen), nil
	}
	return nil, nil
}

// transaction reads one transaction and checks it by itself.
func (r *Repo) transaction(id oid) (commit, transaction, error) {
	c, err := r.store.commit(id)
	if err != nil {
		return c, transaction{}, err
	}
	if c.committer != r.o.Author {
		return c, transaction{}, broken("commit %s was not made by the loop but by %s; change the feature list through the spec instead, and take the commit off the branch", id, r.remote.clean(c.committer))
	}
	state, err := r.store.file(id, "state.json")
	if errors.Is(err, fs.ErrNotExist) {
		return c, transaction{}, broken("commit %s holds no state.json", id)
	}
	if err != nil {
		return c, transaction{}, err
	}
	t, err := readTransaction(state)
	if err != nil {
		return c, t, broken("commit %s: %v", id, err)
	}
	switch {
	case len(c.parents) == 0 && (t.Serial != 1 || t.Prev != ""):
		err = broken("commit %s is the first of the branch but holds transaction %d: what was before it is gone", id, t.Serial)
	case len(c.parents) == 0:
	case len(c.parents) != 2:
		err = broken("commit %s is no transaction: it has %d parents instead of the transaction before and the code", id, len(c.parents))
	case c.parents[1].String() != t.Code:
		err = broken("commit %s speaks of the code %.7s but holds %s", id, t.Code, short(c.parents[1]))
	}
	return c, t, err
}

// follows says why t cannot come after before, "" if it can.
func (t transaction) follows(before transaction) string {
	switch {
	case t.Lineage != before.Lineage:
		return fmt.Sprintf("it belongs to loop %q, the transaction before it to loop %q", t.Lineage, before.Lineage)
	case t.Serial != before.Serial+1:
		return fmt.Sprintf("it is transaction %d, the one before it is %d", t.Serial, before.Serial)
	case t.Prev != before.digest:
		return "it was made from another state than the one before it holds"
	}
	return ""
}
