package runner

import (
	"context"
	"slices"
)

// NeedsPerson says that the loop has ended for now, and that it goes on only when
// a person has done something: read, mended, approved or allowed more. What a
// person ended themselves is none of that.
func (st State) NeedsPerson() bool {
	ended := st.Status == Waiting || st.Status == Stopped || st.Status == DoneWithExcept
	return ended && (st.Reason == Paused && st.Until.IsZero() ||
		slices.Contains([]Reason{Escalated, NoProgress, AwaitingApproval, TokenBudget, CostBudget, MaxSessions}, st.Reason))
}

// labelKey is the key of the label that says so; its receipt is where it stands.
const labelKey = "label"

// calling remembers that people are about to be called: a session that dies on
// the way leaves a label that somebody has to take off.
func (st State) calling() State {
	if receipt, known := st.Effects[labelKey]; st.NeedsPerson() && (!known || receipt == NoLabel) {
		return st.effect(labelKey, "")
	}
	return st
}

// NoLabel is the receipt of a label that was taken off.
const NoLabel = "none"

// wentOn takes back that a person was called, as soon as the loop goes on. That
// it cannot be taken back costs nothing: it is tried again at the end.
func (s *Session) wentOn(ctx context.Context, st State) State {
	if receipt, known := st.Effects[labelKey]; !known || receipt == NoLabel {
		return st
	}
	res := st.Result("")
	receipts, err := s.Forge.Report(ctx, Report{State: st, Result: res, Files: s.Papers(st, res).Report})
	if receipt, ok := receipts.Keys[labelKey]; ok && err == nil {
		return st.effect(labelKey, receipt)
	}
	return st
}
