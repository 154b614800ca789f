package faults

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/autonomous-loop/autonomous-loop/runner"
)

const text = `
| | fault | ends | waits | requests | a person reads | tests |
|---|---|---|---|---|---|---|
| G1a | 401 | does without | none | 1 | ` + "`the token is invalid … mend it`" + ` | TestA, TestB |
| G2 | slow | goes on | 1m, 1s | - | - | TestA |
| a line | of another table |
`

func TestRows(t *testing.T) {
	want := []Row{
		{"G1a", "401", DoesWithout, "none", "1", "the token is invalid … mend it", []string{"TestA", "TestB"}},
		{"G2", "slow", GoesOn, "1m, 1s", "-", "-", []string{"TestA"}},
	}
	if d := cmp.Diff(want, Rows(text)); d != "" {
		t.Error(d)
	}
}

func TestDiffers(t *testing.T) {
	rows := Rows(text)
	right := []Seen{
		{DoesWithout, nil, 1, "warning: the token is invalid or old; mend it"},
		{GoesOn, []time.Duration{time.Minute, time.Second}, 7, "anything"},
	}
	for i, r := range rows {
		if wrong := r.differs(right[i]); len(wrong) > 0 {
			t.Errorf("%s: %q", r.ID, wrong)
		}
	}
	for name, change := range map[string]func(*Seen){
		"ending":   func(s *Seen) { s.Ends = GoesOn },
		"waits":    func(s *Seen) { s.Waits = []time.Duration{1} },
		"requests": func(s *Seen) { s.Requests = 2 },
		"words":    func(s *Seen) { s.Reads = "the token is invalid" },
		"order":    func(s *Seen) { s.Reads = "mend it, the token is invalid" },
	} {
		s := right[0]
		change(&s)
		if wrong := rows[0].differs(s); len(wrong) != 1 {
			t.Errorf("%s: %q", name, wrong)
		}
	}
}

func TestSpell(t *testing.T) {
	if got := Spell([]time.Duration{time.Second, 500 * time.Millisecond, 90 * time.Second, time.Minute, 10 * time.Minute, time.Hour, 20*time.Minute + time.Second}); got != "1s, 500ms, 1m30s, 1m, 10m, 1h, 20m1s" {
		t.Error(got)
	}
}

func TestEndOf(t *testing.T) {
	for _, tt := range []struct {
		err  error
		want string
	}{
		{nil, GoesOn},
		{errors.New("x"), WantsPerson},
		{context.Canceled, WantsPerson},
		{&runner.StopError{Reason: runner.Paused}, WantsPerson},
		{&runner.StopError{Reason: runner.RateLimit}, WaitsOutside},
		{&runner.StopError{Reason: runner.ContextLimit}, HandsOver},
		{&runner.StopError{Reason: runner.Cancelled}, "cancelled"},
		{&runner.MovedError{}, Yields},
		{&runner.StateError{}, Refuses},
	} {
		if got := EndOf(tt.err); got != tt.want {
			t.Errorf("%v: %s, want %s", tt.err, got, tt.want)
		}
	}
	if got := []string{EndOfExtra(nil, nil), EndOfExtra(errors.New("x"), nil), EndOfExtra(nil, []string{"x"})}; !slices.Equal(got, []string{GoesOn, DoesWithout, DoesWithout}) {
		t.Error(got)
	}
}
