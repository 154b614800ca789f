package doctor

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strconv"

	"github.com/autonomous-loop/autonomous-loop/runner"
)

// rewrite is what mends a chain: nothing does but going back to where it was
// whole.
const rewrite = "no session goes on from here; push the branch again from a clone that has it whole, or point it at %.7s, the last commit before that, which gives up what came after (git push --force-with-lease, by hand)"

// A link is what the next younger commit has to fit to.
type link struct {
	commit string
	head   head
}

// A head is what is read of any state, also of one that is no state.
type head struct {
	Schema  int    `json:"schema"`
	Lineage string `json:"lineage"`
	Serial  int    `json:"serial"`
	Prev    string `json:"prev"`
	Epoch   int    `json:"epoch"`
	Code    string `json:"code"`
}

// chain holds every transaction against the one before.
func (l *look) chain(ctx context.Context) error {
	const check, most = "transactions", 20
	n, damaged := 0, 0
	var younger *link
	bad := func(parents []string, kind, format string, args ...any) {
		mend := "no session goes on from here; push the branch again from a clone that has it whole, or delete both branches to start anew"
		if len(parents) > 0 {
			mend = fmt.Sprintf(rewrite, parents[0])
		}
		damaged++
		l.say(Finding{Check: check, Level: Damage, Kind: kind, Says: fmt.Sprintf(format, args...), Mend: mend})
	}
	err := l.Repo.Links(ctx, func(commit string, parents []string, ours bool, tx runner.Transaction) error {
		n++
		if damaged >= most {
			return errEnough
		}
		if !ours {
			damaged++
			l.say(Finding{Check: check, Level: Damage, Kind: "foreign commit", Says: fmt.Sprintf("commit %.7s on the state branch was not made by the loop", commit), Mend: "take it off the branch; change what is to be built through the spec, or through a list of your own (features)"})
			younger = nil
			return nil
		}
		if tx.State == nil {
			bad(parents, "missing state", "commit %.7s holds no state.json", commit)
			younger = nil
			return nil
		}
		var h head
		if err := json.Unmarshal(tx.State, &h); err != nil {
			bad(parents, "unreadable state", "the state.json of commit %.7s cannot be read: %v", commit, err)
			younger = nil
			return nil
		}
		if h.Schema > runner.Schema {
			damaged++
			l.say(Finding{Check: check, Level: Damage, Kind: "newer schema", Says: fmt.Sprintf("commit %.7s has schema %d, this program knows %d", commit, h.Schema, runner.Schema), Mend: "use the version that wrote it, or a newer one"})
			younger = nil
			return nil
		}
		st, err := runner.Decode(tx.State, tx.List)
		if err != nil {
			bad(parents, "damaged state", "the state and the feature list of commit %.7s do not agree: %v", commit, err)
		} else if l.state.Lineage == "" {
			l.state = st
			l.res.Loop, l.res.Lineage, l.res.Serial = st.Loop, st.Lineage, st.Serial
		}
		if kind, why := alone(parents, h); kind != "" {
			bad(parents, kind, "commit %.7s %s", commit, why)
		}
		if why := trailers(tx.Message, h, runner.Hash(tx.State)); why != "" {
			bad(parents, "trailers", "commit %.7s: %s", commit, why)
		}
		if younger != nil {
			if kind, why := follows(younger.head, h, runner.Hash(tx.State)); kind != "" {
				bad([]string{commit}, kind, "commit %.7s %s", younger.commit, why)
			}
		}
		younger = &link{commit, h}
		return nil
	})
	if err != nil && !errors.Is(err, errEnough) {
		return err
	}
	if damaged == 0 && l.Found.Chain != nil { // what only a clone knows that has seen more
		l.say(Finding{Check: check, Level: Damage, Kind: "rewound", Says: l.Found.Chain.Error(), Mend: "push the commit that was its tip to it again, or delete both branches to start anew"})
	}
	l.sum(check, fmt.Sprintf("%d on the state branch, each made by the loop from the one before", n))
	return nil
}

// alone says what is wrong with a transaction by itself.
func alone(parents []string, h head) (kind, why string) {
	switch {
	case len(parents) == 0 && (h.Serial != 1 || h.Prev != ""):
		return "cut root", fmt.Sprintf("is the first of the branch but holds transaction %d: what was before it is gone", h.Serial)
	case len(parents) == 0:
		return "", ""
	case len(parents) != 2:
		return "parents", fmt.Sprintf("has %d parents instead of the transaction before and the code", len(parents))
	case parents[1] != h.Code:
		return "code commit", fmt.Sprintf("speaks of the code %.7s but holds %.7s", h.Code, parents[1])
	}
	return "", ""
}

// follows says why a transaction cannot come after before.
func follows(h, before head, digest string) (kind, why string) {
	switch {
	case h.Lineage != before.Lineage:
		return "foreign lineage", fmt.Sprintf("belongs to loop %q, the one before it to loop %q", h.Lineage, before.Lineage)
	case h.Serial != before.Serial+1:
		return "serial", fmt.Sprintf("is transaction %d, the one before it is %d", h.Serial, before.Serial)
	case h.Prev != digest:
		return "previous hash", "was made from another state than the one before it holds"
	case h.Epoch < before.Epoch:
		return "epoch", fmt.Sprintf("is of epoch %d, the one before it of %d", h.Epoch, before.Epoch)
	}
	return "", ""
}

var trailer = regexp.MustCompile(`(?m)^(Loop-(?:Lineage|Serial|Epoch|State)): (.*)$`)

// trailers says what the message of a transaction says otherwise than its state.
func trailers(message string, h head, digest string) string {
	said := map[string]string{}
	for _, m := range trailer.FindAllStringSubmatch(message, -1) {
		said[m[1]] = m[2]
	}
	for _, want := range []struct{ name, value string }{
		{"Loop-Lineage", h.Lineage}, {"Loop-Serial", strconv.Itoa(h.Serial)}, {"Loop-Epoch", strconv.Itoa(h.Epoch)}, {"Loop-State", digest},
	} {
		if got, ok := said[want.name]; !ok {
			return "its message has no " + want.name
		} else if got != want.value {
			return fmt.Sprintf("its message says %s %.60q, its state %q", want.name, got, want.value)
		}
	}
	return ""
}
