package runner

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestABriefIsBoundedAndLegible(t *testing.T) {
	var b Brief
	for range 50 {
		b.Decisions = append(b.Decisions, strings.Repeat("d\xff", 5000))
		b.Fixes = append(b.Fixes, Fix{"logic", strings.Repeat("e", 5000), "f"})
	}
	b.Decisions = append(b.Decisions, "the newest")
	got := b.Bounded()
	if len(got.Decisions) != briefEntries || got.Decisions[briefEntries-1] != "the newest" || len(got.Fixes) != briefEntries {
		t.Errorf("%d decisions, %d fixes", len(got.Decisions), len(got.Fixes))
	}
	if n := len(got.Decisions[0]); n > 3*briefBytes || len(got.Fixes[0].Error) > briefBytes+3 {
		t.Errorf("an entry of %d bytes", n)
	}
	if (&Brief{}).Bounded() != nil || (*Brief)(nil).Bounded() != nil {
		t.Error("nothing is something")
	}
}

// What an attempt came to stays with it: from phase to phase, and over the
// limit of a session.
func TestABriefStaysWithItsAttempt(t *testing.T) {
	st := State{Schema: Schema, Serial: 1, Lineage: "x", Loop: "main", Status: Running}.planned([]Row{{ID: "add-001"}}, Spec{})
	st = st.begun("add-001", Tests, time.Unix(0, 0))
	w := *st.Wip
	w.Brief = (&Brief{Decisions: []string{"a list"}, Files: []string{"a.js: written"}, Fixes: []Fix{{"logic", "e", "f"}}}).Bounded()
	st = st.advanced(w.then(Implement, Verdict{Outcome: Red}, "c"), time.Unix(0, 0))
	state, list, err := Encode(st)
	if err != nil {
		t.Fatal(err)
	}
	back, err := Decode(state, list)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(back.Wip.Brief, w.Brief); d != "" {
		t.Errorf("it does not survive a restart: %s", d)
	}
	if next := back.failed("add-001", "x", 3).begun("add-001", Tests, time.Unix(0, 0)); next.Wip.Brief != nil {
		t.Error("another attempt has it, too")
	}
}
