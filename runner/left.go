package runner

import (
	"fmt"
	"slices"
	"strings"
)

// mostLeft is how many paths that were left out are remembered of a feature.
const mostLeft = 20

// omitted remembers, and tells, what of the work on a feature is not in its
// snapshot: people are to know, and so is whoever goes on with it.
func (s *Session) omitted(st State, w Wip, snap Snapshot) State {
	f, _ := st.Feature(w.Feature)
	lines := snap.lines()
	if len(lines) == 0 && len(f.Left) == 0 {
		return st
	}
	if len(lines) > 0 {
		s.notify(st, Event{Step: "left-out", Feature: w.Feature, Attempt: w.Attempt, Phase: w.Phase, Repair: w.Repairs, Text: strings.Join(lines, "; "), Patch: snap.Patch})
	}
	return st.edit(w.Feature, func(f *Feature) { f.Left, f.Offered = lines, len(snap.Patch) > 0 })
}

// lines are what was left out, and what people should look at.
func (snap Snapshot) lines() []string {
	var lines []string
	add := func(all []string, prefix string) {
		for _, l := range all {
			lines = append(lines, legible(clean(prefix+l), noteBytes/10))
		}
	}
	add(snap.Left, "")
	add(snap.Notes, "recorded, but ")
	if n := len(lines); n > mostLeft {
		lines = append(lines[:mostLeft], fmt.Sprintf("%d more", n-mostLeft))
	}
	return lines
}

// LeftOutPatch is the file of evidence, or of the artifact, that holds what was
// left out and is a person's to take or leave.
const LeftOutPatch = "left-out.patch"

// told is a verdict on a snapshot that says what it did not look at: the agent
// must not believe that this is part of the feature, nor a reader of the record.
func (snap Snapshot) told(v Verdict) Verdict {
	if len(snap.Left) > 0 {
		v.Reason = strings.TrimSpace(v.Reason + " Not part of what was judged: " + strings.Join(Snapshot{Left: snap.Left}.lines(), "; ") + ".")
	}
	if len(snap.Patch) > 0 && (v.Outcome == Verified || v.Outcome == Already) {
		v.Files = append(slices.Clip(v.Files), File{LeftOutPatch, snap.Patch})
	}
	return v
}
