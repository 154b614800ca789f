package report

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/autonomous-loop/autonomous-loop/runner"
)

// Result is result.json.
func Result(v View) ([]byte, error) { return encode(v.Result) }

// Progress is progress.md: one section a session, newest last. It is made from
// the state alone, so that it cannot disagree with it; sessions before the last
// ten are one line each.
func Progress(v View) []byte {
	const whole = 10
	var b strings.Builder
	b.WriteString("# Session Progress\n")
	st := v.State
	for i, s := range st.Sessions {
		if i < len(st.Sessions)-whole {
			fmt.Fprintf(&b, "\n- Session %d: %d completed, %s", s.Number, len(s.Completed), ended(s))
			continue
		}
		fmt.Fprintf(&b, "\n## Session %d - %s\n\n### Accomplishments\n\n", s.Number, s.Begun.UTC().Format("2006-01-02 15:04"))
		for _, id := range s.Completed {
			f, _ := st.Feature(id)
			fmt.Fprintf(&b, "- %s: %s\n", id, inline(f.Description))
		}
		if len(s.Completed) == 0 {
			b.WriteString("- none\n")
		}
		fmt.Fprintf(&b, "\nEnded: %s\n", ended(s))
	}
	b.WriteString("\n### Blockers\n\n")
	blockers := 0
	for _, f := range st.Features {
		if f.Status != runner.Complete && f.Note != "" {
			blockers++
			fmt.Fprintf(&b, "- %s (%s): %s\n", f.ID, standing(f, st), inline(f.Note))
		}
	}
	if blockers == 0 {
		b.WriteString("- none\n")
	}
	b.WriteString("\n### Next Steps\n\n")
	steps := nextSteps(st)
	for _, s := range steps {
		fmt.Fprintf(&b, "- %s\n", inline(s))
	}
	if len(steps) == 0 {
		b.WriteString("- none\n")
	}
	return []byte(b.String())
}

func ended(s runner.SessionRecord) string {
	switch {
	case s.Crashed:
		return "it died"
	case s.Ended.IsZero():
		return "at work"
	case s.Reason == "":
		return "all features complete"
	}
	return string(s.Reason)
}

func nextSteps(st runner.State) []string {
	var steps []string
	for _, f := range st.Features {
		if f.Status == runner.Todo || f.Status == runner.SetAside {
			steps = append(steps, f.ID+": "+f.Description)
		}
		if len(steps) == 5 {
			break
		}
	}
	return steps
}

// Handoff is handoff.json for the session that has just ended, with the
// transaction that is made of the state next.
func Handoff(v View) ([]byte, error) {
	st := v.State
	_, list, err := runner.Encode(numbered(st))
	if err != nil {
		return nil, fmt.Errorf("handoff: %w", err)
	}
	h := runner.Handoff{
		SchemaVersion: runner.HandoffSchema, ID: "handoff-" + v.Now.UTC().Format("20060102-150405"), Type: runner.SessionHandoff, Reason: st.Reason,
		SourceAgent: "autonomous-loop", TargetAgent: "autonomous-loop", Timestamp: v.Now.UTC().Format(time.RFC3339),
		State: runner.HandoffState{
			CompletedFeatures: []string{}, Blockers: []string{}, NextSteps: append([]string{}, nextSteps(st)...),
		},
		Context: runner.HandoffContext{RecentFiles: []string{}, GitHash: st.Code, SessionNumber: st.Spent.Sessions},
		Summary: headline(v), Branch: v.Links.Branch, FeatureListSHA256: runner.Hash(list),
		BudgetSpent: runner.HandoffBudget{Tokens: v.Result.TotalTokens, Dollars: v.Result.CostDollars, Minutes: v.Result.DurationMinutes},
		Integrity:   runner.HandoffTag{Lineage: st.Lineage, Serial: st.Serial + 1, Prev: st.Digest()},
	}
	if n := len(st.Sessions); n > 0 {
		last := st.Sessions[n-1]
		h.RunID, h.RunAttempt = last.Run, last.Attempt
		if last.Crashed || st.Reason == runner.Paused { // it did not end as it should
			h.Type = runner.RecoveryHandoff
		}
	}
	if st.Wip != nil {
		h.State.CurrentFeature = &st.Wip.Feature
		if b := st.Wip.Brief; b != nil {
			for _, f := range b.Files {
				name, _, _ := strings.Cut(f, ": ")
				h.Context.RecentFiles = append(h.Context.RecentFiles, name)
			}
		}
	}
	for _, f := range st.Features {
		switch {
		case f.Status == runner.Complete:
			h.State.CompletedFeatures = append(h.State.CompletedFeatures, f.ID)
		case f.Note != "":
			h.State.Blockers = append(h.State.Blockers, f.ID+": "+f.Note)
		}
	}
	if h, err = h.Sealed(); err != nil {
		return nil, fmt.Errorf("handoff: %w", err)
	}
	return encode(h)
}

// numbered gives a state that is not saved yet what its encoding asks for.
func numbered(st runner.State) runner.State {
	st.Serial = max(st.Serial, 1)
	return st
}

func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	err := e.Encode(v)
	return b.Bytes(), err
}

// Text is the status box for a terminal or a log.
func Text(v View) string {
	var b strings.Builder
	r := v.Result
	fmt.Fprintf(&b, "%s %d/%d features (%d %%)\n", Bar(r.FeaturesCompleted, r.FeaturesTotal), r.FeaturesCompleted, r.FeaturesTotal, percent(r.FeaturesCompleted, r.FeaturesTotal))
	fmt.Fprintf(&b, "%s\n", headline(v))
	if v.State.Why != "" && !r.Success {
		fmt.Fprintf(&b, "why        %s\n", plain(v.State.Why))
	}
	if n := next(v); n != "" {
		fmt.Fprintf(&b, "next       %s\n", plain(strings.ReplaceAll(n, "`", "")))
	}
	fmt.Fprintf(&b, "sessions   %d\ntokens     %s\ncost       %s\nrecovered  %d\ntime       %s\n", r.SessionsUsed, thousands(r.TotalTokens), cost(v), r.ErrorsRecovered, minutes(r.DurationMinutes))
	if r.TotalTokens > 0 {
		fmt.Fprintf(&b, "by kind    %s\n", kinds(r))
	}
	if f := figures(r); f != "" {
		fmt.Fprintf(&b, "figures    %s\n", f)
	}
	for _, f := range v.State.Features {
		if f.Status != runner.Complete {
			fmt.Fprintf(&b, "  %-12s %s: %s\n", standing(f, v.State), f.ID, plain(f.Note))
		}
	}
	for _, w := range append(down(v), r.Warnings...) {
		fmt.Fprintf(&b, "warning    %s\n", plain(w))
	}
	return b.String()
}

// plain puts a text on one line without what cannot be seen.
func plain(s string) string {
	return strings.NewReplacer("\\", "", "\u200b", "", "&lt;", "<", "&gt;", ">").Replace(inline(s))
}
