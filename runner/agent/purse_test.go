package agent

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/autonomous-loop/autonomous-loop/runner"
)

// billed is a model that uses what it likes of what a call may take, and reports
// some of it wrong.
type billed struct {
	rand  *rand.Rand
	turn  int
	off   int64 // most that a report is above the truth
	price func(in, out int) runner.Money
	over  runner.Usage // of the newest call, beyond its reservation
	lean  int
}

func (m *billed) Window() int { return 200_000 }

func (m *billed) Complete(_ context.Context, r Request) (Reply, error) {
	m.turn++
	if r.Thrift {
		m.lean++
	}
	in, out := r.Tokens, m.rand.IntN(r.MaxOut+1)
	wrong := m.rand.Int64N(m.off + 1)
	used := runner.Usage{Calls: 1, Tokens: int64(in+out) + wrong, Output: int64(out), Cost: m.price(in, out) + runner.Money(wrong)}
	m.over = runner.Usage{Tokens: wrong, Cost: runner.Money(wrong)}
	reply := calls(call("shell", fmt.Sprintf(`{"command":"echo %d"}`, m.turn)))
	reply.Prompt, reply.Usage = in, used
	return reply, nil
}

// Whatever a model uses, no budget is overdrawn by more than what the provider
// reported wrong of the last call.
func TestNoSequenceOfUsagesExceedsABudget(t *testing.T) {
	price := func(in, out int) runner.Money { return runner.Money(in)*3000 + runner.Money(out)*15_000 }
	for seed := range uint64(150) {
		r := rand.New(rand.NewPCG(seed, 1))
		m := &billed{rand: r, off: r.Int64N(2000), price: price}
		b := &box{t: t, use: map[string]func(context.Context, Call) string{"shell": func(_ context.Context, c Call) string {
			return strings.Repeat("x", r.IntN(2000)) + c.Args
		}}}
		a := Open(Options{Model: m, Tools: b, MaxOut: 500 + r.IntN(4000), Turns: 40, Price: price})
		in := task(runner.Tests, 0)
		in.Purse = runner.Purse{Tokens: r.Int64N(200_000), Cost: runner.Money(r.Int64N(int64(runner.Dollar))), Capped: r.IntN(2) == 0}
		claim, err := a.Work(t.Context(), in)
		if err == nil {
			continue // 40 turns were too few for the budget
		}
		stop, ok := errors.AsType[*runner.StopError](err)
		if !ok || stop.Reason != runner.TokenBudget && stop.Reason != runner.CostBudget {
			t.Fatalf("seed %d: %v", seed, err)
		}
		if n := claim.Usage.Tokens - in.Purse.Tokens; n > m.over.Tokens {
			t.Errorf("seed %d: %d tokens too many, the last report was %d off", seed, n, m.over.Tokens)
		}
		if n := claim.Usage.Cost - in.Purse.Cost; in.Purse.Capped && n > m.over.Cost {
			t.Errorf("seed %d: %d too much, the last report was %d off", seed, n, m.over.Cost)
		}
	}
}

// Near the end of a budget the model is told once, a cheaper one may answer, and
// the conversation may fill half of the window.
func TestThriftNearTheEndOfABudget(t *testing.T) {
	for name, tt := range map[string]struct {
		purse  runner.Purse
		lean   bool
		window int
	}{
		"plenty":     {runner.Purse{Tokens: 900_000, Budget: 1_000_000}, false, 200_000},
		"nearly out": {runner.Purse{Tokens: 200_000, Budget: 1_000_000}, true, 100_000},
	} {
		m := &billed{rand: rand.New(rand.NewPCG(1, 1)), price: func(int, int) runner.Money { return 0 }}
		b := &box{t: t, use: map[string]func(context.Context, Call) string{"shell": says("ok")}}
		var told int
		a := Open(Options{Model: m, Tools: b, Turns: 4, Event: func(e Event) { told += strings.Count(e.Text, "More than 80 % of the budget is spent") }})
		in := task(runner.Tests, 0)
		in.Purse = tt.purse
		if _, err := a.Work(t.Context(), in); err != nil {
			t.Fatal(err)
		}
		if (m.lean == 4) != tt.lean || (told == 1) != tt.lean || told > 1 {
			t.Errorf("%s: %d calls of %d with thrift, told %d times", name, m.lean, m.turn, told)
		}
		if p := (&phase{a: a, t: in}); p.window() != tt.window {
			t.Errorf("%s: window %d", name, p.window())
		}
	}
}

// When 95 % of a budget are spent a phase is only brought to an end: nothing but
// the agent's own calls is done, and it has two replies for them.
func TestAPhaseIsBroughtToAnEndAtTheEndOfABudget(t *testing.T) {
	sh, verify := calls(call("shell", `{"command":"x"}`)), calls(call("request_verification", `{"summary":"s"}`))
	read := calls(call("read_file", `{"path":"a"}`), call("note", `{"text":"a finding"}`))
	for name, tt := range map[string]struct {
		replies map[string]Reply
		purse   runner.Purse
		does    int // commands and reads
		stopped string
		notes   int
	}{
		"plenty":                           {map[string]Reply{"tests/1": sh, "tests/2": sh, "tests/3": verify}, runner.Purse{Tokens: 500_000, Budget: 500_000}, 2, "", 0},
		"it asks for verification":         {map[string]Reply{"tests/1": sh, "tests/2": verify}, runner.Purse{Tokens: 54_000, Budget: 1_000_000}, 1, "", 0},
		"it notes, and is done":            {map[string]Reply{"tests/1": sh, "tests/2": read, "tests/3": verify}, runner.Purse{Tokens: 54_000, Budget: 1_000_000}, 1, "", 1},
		"it does not hear":                 {map[string]Reply{"tests/1": sh, "tests/2": sh, "tests/3": read}, runner.Purse{Tokens: 54_000, Budget: 1_000_000}, 1, "did not come to an end in 2 replies", 1},
		"by what the feature may take":     {map[string]Reply{"tests/1": sh, "tests/2": sh, "tests/3": verify}, runner.Purse{Tokens: 1e9, Feature: runner.Allowance{Cap: runner.Cap{Tokens: 200_000}, Used: runner.Usage{Tokens: 186_000}}}, 1, "", 0},
		"money, by what a session may pay": {map[string]Reply{"tests/1": sh, "tests/2": sh, "tests/3": verify}, runner.Purse{Tokens: 1e9, Session: runner.Allowance{Cap: runner.Cap{Cost: 10 * runner.Dollar}, Used: runner.Usage{Cost: 10*runner.Dollar - runner.Dollar/2 - 500}}}, 1, "", 0},
	} {
		t.Run(name, func(t *testing.T) {
			done := 0
			does := func(context.Context, Call) string { done++; return "ok" }
			s := &script{t: t, replies: tt.replies, window: 1e6, maxOut: 1000, prompt: func(Request) int { return tokensOfOne }}
			a := Open(Options{Model: s, MaxOut: 1000, Tools: &box{t: t, use: map[string]func(context.Context, Call) string{"shell": does, "read_file": does}}})
			in := task(runner.Tests, 0)
			in.Purse = tt.purse
			claim, err := a.Work(t.Context(), in)
			if err != nil || done != tt.does || !strings.Contains(claim.Stopped, tt.stopped) || (claim.Stopped != "") != (tt.stopped != "") {
				t.Errorf("%v, %d calls done, stopped: %q", err, done, claim.Stopped)
			}
			notes := slices.DeleteFunc(claim.Notes, func(n string) bool { return strings.HasPrefix(n, runner.HarnessNote) })
			if len(notes) != tt.notes {
				t.Errorf("notes %q", notes)
			}
		})
	}
}
