package agent

import (
	"context"
	"fmt"
)

// Bands are where, in percent of the model's window, something is done about a
// conversation that grows. They rise.
type Bands struct {
	Warn      int // say so, once
	Compact   int // begin anew, from facts and a summary
	HandOff   int // no request is sent above it: a fresh session goes on
	Emergency int // the summary is not asked of the model any more
}

// DefaultBands are those of a zero [Options].
var DefaultBands = Bands{Warn: 50, Compact: 75, HandOff: 85, Emergency: 90}

// Old results are dropped in batches, from maskShare percent of the window or
// mostTokens on, whichever is less, and not again before as much as stepShare
// or stepTokens has come on top: each cut costs the provider's cache of all
// that follows it. Simulated and measured: dropping one result a turn costs
// more than dropping none, see docs/context.md.
const (
	maskShare, mostTokens = 60, 100_000
	stepShare, stepTokens = 30, 40_000
)

// How many of the newest results masking keeps: as a rule, and when it has to
// go to the bone.
const (
	keepMany = 10
	keepFew  = 3
)

// mask drops the content of old tool results: all but the newest keep, the
// last run of the tests, edits, notes, and what is too short to matter. No call
// loses its result; what is left says how to have it again. freed is by how
// many bytes the conversation shrank. msgs itself is not changed.
func mask(msgs []Message, keep int) (out []Message, freed int) {
	const short = 400
	calls := map[string]Call{}
	var results []int
	lastTests := -1
	for i, m := range msgs {
		for _, c := range m.Calls {
			calls[c.ID] = c
		}
		if m.Role == Result {
			results = append(results, i)
			if calls[m.CallID].Name == "run_tests" {
				lastTests = i
			}
		}
	}
	out, freed = dim(msgs, min(keep, keepPictures))
	for _, i := range results[:max(0, len(results)-keep)] {
		c := calls[msgs[i].CallID]
		switch c.Name {
		case "edit_file", "apply_patch", "write_file", noteTool, verifyTool, giveUpTool:
			continue
		}
		text := fmt.Sprintf("[result of %s %s dropped to save room; %.1f KB; call it again if needed]",
			c.Name, oneLine(c.Args, 160), float64(len(msgs[i].Content))/1000)
		if i == lastTests || len(msgs[i].Content) < short || len(text) >= len(msgs[i].Content) {
			continue
		}
		out[i].Content = text
		freed += len(msgs[i].Content) - len(text)
	}
	return out, freed
}

// makeRoom sees to it that the next request leaves room in the window, or says
// that the session is over. A mask that would free next to nothing is not worth
// the provider's cache and waits.
func (p *phase) makeRoom(ctx context.Context) error {
	window, bands := p.window(), p.a.o.Bands
	if laden(p.c.msgs) {
		p.masked(dim(p.c.msgs, keepPictures))
	}
	if window <= 0 {
		return nil
	}
	if n := p.c.estimate(); n >= max(min(window*maskShare/100, mostTokens), p.c.calm) {
		if msgs, freed := mask(p.c.msgs, keepMany); freed >= size(p.c.msgs)/10 {
			p.masked(msgs, freed)
			p.c.calm = p.c.estimate() + min(window*stepShare/100, stepTokens)
		}
	}
	n := p.c.estimate()
	if n*100 < window*bands.Compact {
		return nil
	}
	return p.reset(ctx, n*100 < window*bands.Emergency)
}

func (p *phase) masked(msgs []Message, freed int) {
	p.a.views++
	p.c.msgs = msgs
	p.event(Event{Step: "masked", Text: fmt.Sprintf("%d bytes of old results dropped", freed)})
}

// full is the remark that the window fills, made once.
func (p *phase) full(more int) string {
	window := p.window()
	c := *p.c
	n := c.estimate() + more/3
	if window <= 0 || p.c.warned || n*100 < window*p.a.o.Bands.Warn {
		return ""
	}
	p.c.warned = true
	return fmt.Sprintf("The conversation fills %d %% of its window. Keep results small (narrow reads, quiet commands) and write a note of what must not be forgotten: old results are dropped, and at %d %% the conversation is shortened.", n*100/window, p.a.o.Bands.Compact)
}
