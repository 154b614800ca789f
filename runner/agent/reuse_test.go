package agent

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/autonomous-loop/autonomous-loop/runner"
)

// sizes are the results of a session of 120 turns, in tokens: drawn once, log-normal
// around 900, the series that the policies of docs/context.md were simulated with.
var sizes = []int{
	998, 3559, 323, 2681, 676, 675, 7274, 1070, 858, 2007, 3108, 869, 1718, 308, 601, 555, 207, 171, 150, 692, 744, 632, 971, 207,
	824, 1169, 2056, 354, 579, 98, 517, 80, 188, 3023, 79, 2166, 1290, 638, 1491, 1607, 2842, 698, 469, 462, 304, 856, 379, 2915,
	115, 270, 315, 90, 7294, 63, 659, 505, 5563, 101, 2926, 402, 758, 430, 1820, 257, 825, 1327, 6813, 63, 4817, 2553, 528, 1258,
	539, 5507, 1133, 710, 700, 722, 741, 342, 8660, 109, 17, 786, 765, 1355, 718, 764, 1297, 2611, 549, 597, 7608, 1612, 304, 10000,
	2113, 470, 247, 1249, 360, 281, 216, 515, 3043, 558, 182, 1878, 967, 2277, 3375, 747, 767, 856, 258, 1878, 4071, 1089, 693, 676,
}

// A cached model counts what a provider's cache would find of each request: the
// longest prefix that the one before had as well, in blocks of 128 tokens.
type cached struct {
	before                  string
	sent, found, peak, cuts int
	turn                    int
}

func (*cached) Window() int { return 200_000 }

func (c *cached) Complete(_ context.Context, r Request) (Reply, error) {
	const perToken = 4
	b, err := json.Marshal(r.Messages)
	if err != nil {
		return Reply{}, err
	}
	tools, err := json.Marshal(r.Tools)
	if err != nil {
		return Reply{}, err
	}
	now := string(tools) + strings.TrimSuffix(string(b), "]")
	n, same := len(now)/perToken, 0
	for same < min(len(now), len(c.before)) && now[same] == c.before[same] {
		same++
	}
	if c.before != "" && same < len(c.before) {
		c.cuts++
	}
	if same /= perToken; same >= 1024 {
		c.found += same / 128 * 128
	}
	c.sent += n
	c.peak = max(c.peak, n)
	c.before = now
	c.turn++
	reply := Reply{Content: strings.Repeat("t", 1150), Calls: []Call{call("read_file", fmt.Sprintf(`{"path":"f%d"}`, c.turn))}, Finish: FinishCalls, Prompt: n, Usage: runner.Usage{Calls: 1, Tokens: int64(n)}}
	if c.turn > len(sizes) {
		reply.Calls = []Call{done}
	}
	return reply, nil
}

// played is a session of 120 turns whose fixed part has some 6,000 tokens.
func played(t testing.TB) *cached {
	t.Helper()
	m := &cached{}
	b := &box{use: map[string]func(context.Context, Call) string{"read_file": func(context.Context, Call) string {
		return strings.Repeat("result. ", sizes[m.turn-1]/2)
	}}}
	claim, err := Open(Options{Model: m, Tools: b, Turns: 130, Intake: strings.Repeat("We do it so. ", 1100)}).Work(t.Context(), task(runner.Tests, 0))
	if err != nil || m.turn != len(sizes)+1 || len(claim.Notes) != 0 {
		t.Fatalf("%v after %d turns: %v", err, m.turn, claim.Notes)
	}
	return m
}

func TestALongSessionReusesItsPrefix(t *testing.T) {
	m := played(t)
	reused := 100 * float64(m.found) / float64(m.sent)
	if reused < 94 || m.peak > 100_000 || m.cuts == 0 || m.cuts > 3 {
		t.Errorf("%.1f %% of %d tokens reused at a peak of %d with %d cuts, want at least 94 %% at 100,000 with one to three", reused, m.sent, m.peak, m.cuts)
	}
}

// simulated is the same session as a calculation on sizes alone, without an agent or
// a byte of text: batches from 100,000 tokens on, again after 40,000, the newest ten
// results kept. It is what the agent's figures stand beside.
func simulated() (sent, found, peak int) {
	const fixed, said, left = 6000, 350, 30
	type part struct {
		turn, tokens int
		result       bool
	}
	sum := func(parts []part) (n int) {
		for _, p := range parts {
			n += p.tokens
		}
		return n
	}
	history, before, next := []part{{tokens: fixed}}, []part(nil), mostTokens
	for turn, tokens := range sizes {
		same := 0
		for same < min(len(history), len(before)) && history[same] == before[same] {
			same++
		}
		if n := sum(history[:same]); n >= 1024 {
			found += n / 128 * 128
		}
		n := sum(history)
		sent, peak = sent+n, max(peak, n)
		before = slices.Clone(history)
		history = append(history, part{turn, said, false}, part{turn, tokens, true})
		if sum(history) <= next {
			continue
		}
		for i, p := range history {
			if p.result && p.turn <= turn-keepMany {
				history[i].tokens = left
			}
		}
		next = sum(history) + stepTokens
	}
	return sent, found, peak
}

// The agent does what the policy says, to within what a calculation leaves out.
func TestTheAgentReusesAsMuchAsTheSimulation(t *testing.T) {
	sent, found, peak := simulated()
	m := played(t)
	should, does := 100*float64(found)/float64(sent), 100*float64(m.found)/float64(m.sent)
	if does < should-1 || m.peak > peak+peak/20 {
		t.Errorf("%.1f %% reused at a peak of %d, simulated %.1f %% at %d", does, m.peak, should, peak)
	}
}

// BenchmarkReuse says what of the tokens of a long session a provider's cache
// would find, and beside it what it would by a simulation.
func BenchmarkReuse(b *testing.B) {
	for b.Loop() {
		sent, found, peak := simulated()
		b.ReportMetric(100*float64(found)/float64(sent), "%reused-simulated")
		b.ReportMetric(float64(peak), "peak-tokens-simulated")
		m := played(b)
		b.ReportMetric(100*float64(m.found)/float64(m.sent), "%reused")
		b.ReportMetric(float64(m.peak), "peak-tokens")
		b.ReportMetric(float64(m.cuts), "cuts")
	}
}
