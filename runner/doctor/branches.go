package doctor

import (
	"context"
	"fmt"

	"github.com/autonomous-loop/autonomous-loop/runner"
)

// evidence holds the evidence and the handoff against the state.
func (l *look) evidence(ctx context.Context) error {
	const check = "evidence"
	if l.state.Lineage == "" {
		return nil // which is said
	}
	files, err := l.Repo.StateFiles(ctx, "evidence/")
	if err != nil {
		return err
	}
	records, flaws := l.state.CheckEvidence(files)
	for _, f := range flaws {
		of := ""
		if f.Feature != "" {
			of = " of " + f.Feature
		}
		l.say(Finding{
			Check: check, Level: Damage, Kind: "evidence", Says: fmt.Sprintf("the evidence%s is not as it was kept: %v", of, f.Err),
			Mend: "push the state branch again from a clone that has it whole; autonomous-loop verify says whether the feature still does what it should",
		})
	}
	l.sum(check, fmt.Sprintf("%d records in the chain, %d files as they were kept", len(records), len(files)))
	if l.state.Handoff != "" && runner.Hash(l.Found.Handoff) != l.state.Handoff {
		l.say(Finding{Check: "handoff", Level: Warning, Kind: "handoff", Says: "handoff.json is not the one that the state names", Mend: "nothing needs to be done: the next session starts from the state, and says so"})
	}
	l.sum("handoff", "handoff.json is the one that the state names, or none is named")
	return nil
}

// branches holds the work branch against the state.
func (l *look) branches(ctx context.Context) error {
	const check = "work branch"
	st, work := l.state, l.Found.Work
	if st.Lineage == "" {
		return nil
	}
	switch {
	case work == "" && st.Published != "":
		l.say(Finding{Check: check, Level: Damage, Kind: "deleted work branch", Says: "it is gone: deleting it stops the loop", Mend: fmt.Sprintf("push %.7s to it again to go on, or delete the state branch too to start anew", st.Work)})
		return nil
	case work == "" && st.Work != st.Base.Commit:
		l.say(Finding{Check: check, Level: Warning, Kind: "unpublished work branch", Says: "the session died before it was pushed", Mend: "nothing needs to be done: the next session pushes it"})
	case l.Found.Ahead:
		l.say(Finding{Check: check, Level: Warning, Kind: "foreign work", Says: fmt.Sprintf("people went on from it, to %.7s", work), Mend: "nothing needs to be done: the next session takes it in, and proves again what is complete"})
	case l.Found.Foreign:
		l.say(Finding{Check: check, Level: Damage, Kind: "moved work branch", Says: fmt.Sprintf("its tip %.7s does not go on from where the state has it (%.7s): one of the two was moved back or replaced", work, st.Work), Mend: "put it back to where the state has it; a session that finds it so leaves a bundle of the loop's commits to do that with"})
	case work != "" && work != st.Work:
		l.say(Finding{Check: check, Level: Warning, Kind: "work branch behind", Says: fmt.Sprintf("its tip is %.7s, the state has it at %.7s", work, st.Work), Mend: "nothing needs to be done: the next session moves it"})
	}
	for _, f := range st.Features {
		if f.Status != runner.Complete || f.Commit == "" {
			continue
		}
		there, err := l.Repo.Descends(ctx, st.Code, f.Commit)
		if err != nil || !there {
			l.say(Finding{Check: check, Level: Damage, Kind: "lost feature", Says: fmt.Sprintf("%s is complete, but its commit %.7s is not in the code that the state speaks of", f.ID, f.Commit), Mend: "push the branches again from a clone that has them whole, or go back with autonomous-loop rollback to a checkpoint before it"})
		}
	}
	l.sum(check, "it is where the state has it, and holds what is complete")
	return nil
}

// owner says who has the loop.
func (l *look) owner(ctx context.Context) error {
	const check = "owner"
	st := l.state
	switch {
	case st.Lineage == "" || st.Status != runner.Running || st.Owner == nil:
		l.say(Finding{Check: check, Level: Fine, Says: "no session owns the loop"})
	case l.Forge == nil:
		l.say(Finding{Check: check, Level: Fine, Says: fmt.Sprintf("run %s owns it; whether that is over cannot be told from here", st.Owner.Run)})
	default:
		over, err := l.Forge.Over(ctx, *st.Owner)
		switch {
		case err != nil:
			l.say(Finding{Check: check, Level: Unknown, Kind: "unreachable forge", Says: err.Error(), Mend: "no session takes the loop over until the forge says that the run is over; ask again"})
		case over:
			l.say(Finding{Check: check, Level: Warning, Kind: "orphaned owner", Says: fmt.Sprintf("run %s owns the loop and is over: it died", st.Owner.Run), Mend: "nothing needs to be done: the next session takes over; start it by hand, or wait for the schedule"})
		default:
			l.say(Finding{Check: check, Level: Fine, Says: fmt.Sprintf("run %s is at work on it", st.Owner.Run)})
		}
	}
	return nil
}

// shown says whether what people see is there once.
func (l *look) shown(ctx context.Context) error {
	if l.Forge == nil || l.state.Lineage == "" {
		return nil
	}
	pulls, comments, err := l.Forge.Shown(ctx, l.state)
	if err != nil {
		l.say(Finding{Check: "forge", Level: Unknown, Kind: "unreachable forge", Says: err.Error(), Mend: "ask again; see the permissions of the token"})
		return nil //nolint:nilerr // it is a finding
	}
	for _, of := range []struct {
		check string
		all   []string
	}{{"pull request", pulls}, {"comment", comments}} {
		if len(of.all) > 1 {
			l.say(Finding{Check: of.check, Level: Warning, Kind: "two " + of.check + "s", Says: fmt.Sprintf("there are %d: %v", len(of.all), of.all), Mend: "of comments the next report keeps the oldest; of pull requests close all but one"})
		}
		l.sum(of.check, "there is not more than one")
	}
	return nil
}
