package agent

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"strings"
	"sync"

	"github.com/autonomous-loop/autonomous-loop/runner/pattern"
)

// mostResult is how long a result may be in the conversation, whatever a tool
// gives.
const mostResult = 64 << 10

// atOnce is how many calls that only read run at the same time.
const atOnce = 8

// A wish is a call of the model as we understood it: Call has arguments that are
// JSON, whatever the model wrote, because a conversation that holds other
// arguments is refused by several providers.
type wish struct {
	Call
	problem string // why it cannot be run, "" if it can
	remarks []string
}

// read makes sense of the calls in r. Each gets an id that no other call of the
// conversation has.
func (p *phase) read(r Reply) []wish {
	taken := map[string]bool{}
	for _, m := range p.c.msgs {
		for _, c := range m.Calls {
			taken[c.ID] = true
		}
	}
	var out []wish
	for i, c := range r.Calls {
		if c.ID == "" || taken[c.ID] {
			c.ID = fmt.Sprintf("c%d_%d", p.c.turns, i)
		}
		taken[c.ID] = true
		out = append(out, p.understand(c, r.Finish))
	}
	return out
}

// odd is what does not belong into a tool's name.
var odd = pattern.MustCompile(`[^a-zA-Z0-9_-]+`)

func (p *phase) understand(c Call, finish Finish) wish {
	q := wish{Call: c}
	if _, ok := p.a.tools[c.Name]; !ok { // functions.read_file, read_file<|channel|>commentary
		name, _, _ := strings.Cut(strings.TrimPrefix(strings.TrimSpace(c.Name), "functions."), "<|")
		if _, ok := p.a.tools[name]; ok {
			q.Name = name
		} else {
			q.Name = or(clip(odd.ReplaceAllString(c.Name, "_"), 64), "unknown")
			q.Args = "{}"
			q.problem = fmt.Sprintf("there is no tool %q; the tools are %s", clip(c.Name, 80), strings.Join(p.names(), ", "))
			return q
		}
	}
	q.Args = "{}"
	if finish == FinishLength || finish == FinishFilter {
		return q // not to be run, and its arguments may be half of what was meant
	}
	t := p.a.tools[q.Name]
	args, remarks, err := arguments(c.Args, t.schema)
	if err != nil {
		q.problem = fmt.Sprintf("the arguments of %s are not usable, nothing was done: %v\nThey must be one JSON object that fits %s", q.Name, err, t.spec.Parameters)
		return q
	}
	q.Args, q.remarks = args, remarks
	return q
}

func (p *phase) names() []string {
	var names []string
	for _, s := range p.a.specs {
		names = append(names, s.Name)
	}
	return names
}

// perform runs the calls in order, neighbours that only read side by side, and
// appends a result for every one of them, also for those that were not run
// because one before them ended the phase.
func (p *phase) perform(ctx context.Context, calls []wish) (over bool, err error) {
	results, pictures := make([]string, len(calls)), make([][]Image, len(calls))
	steps := make([]step, len(calls))
	for i := 0; i < len(calls); {
		j := i
		for j < len(calls) && calls[j].problem == "" && shared(calls[j].Name) && p.ending == 0 {
			j++
		}
		switch c := calls[i]; {
		case over:
			results[i] = Failed + "not run: the phase had ended"
			j = i + 1
		case j > i:
			if err := p.useAll(ctx, calls[i:j], results[i:j], pictures[i:j]); err != nil {
				return false, err
			}
		case c.problem != "":
			results[i] = Failed + c.problem
			j = i + 1
		case c.Name == verifyTool && anyFailed(results[:i]):
			results[i] = Failed + "not asked for: a call before it in the same reply did nothing. Look at its result first, then ask again."
			j = i + 1
		case isOwn(c.Name):
			results[i], over = p.own(c.Call)
			j = i + 1
		case p.ending > 0:
			results[i] = fmt.Sprintf("%snot done: the budget is nearly spent. Only %s, %s and %s are still done.", Failed, noteTool, verifyTool, giveUpTool)
			j = i + 1
		default:
			if results[i], pictures[i], err = p.use(ctx, c.Call); err != nil {
				return false, err
			}
			steps[i].Failed = strings.HasPrefix(results[i], Failed)
			steps[i].Tool = c.Name
			p.measure(ctx, &steps[i])
			j = i + 1
		}
		i = j
	}
	p.answer(ctx, calls, results, steps, &over)
	p.show(calls, pictures)
	return over, nil
}

// answer appends the results to the conversation, the harness's remarks at the
// end of the newest. steps hold what was measured after the calls.
func (p *phase) answer(ctx context.Context, calls []wish, results []string, steps []step, over *bool) {
	var circles []finding
	for i, c := range calls {
		s := steps[i]
		s.Turn, s.Tool, s.Args, s.Result = p.turn, c.Name, canonical(c.Args), compared(c.Name, results[i])
		s.Waits = waiting(c.Name, results[i])
		s.Failed, s.Malformed = strings.HasPrefix(results[i], Failed), c.problem != ""
		if remark := p.recover(ctx, &s, results[i]); remark != "" {
			results[i] += "\n[harness] " + remark
		}
		p.c.ledger.entered(c.Call, results[i])
		results[i] += p.nested(c.Call, results[i])
		p.steps = append(p.steps, s)
		circles = append(circles, stuck(p.t.Phase, p.steps)...)
		if len(c.remarks) > 0 {
			results[i] += "\n[harness] the arguments were mended: " + strings.Join(c.remarks, "; ")
		}
		p.event(Event{Step: "call", Tool: c.Name, Arg: telling(c.Call), Text: oneLine(results[i], 200)})
	}
	if !*over {
		remarks, end := p.remarks(results, circles)
		*over = end
		if remarks != "" {
			results[len(results)-1] += "\n" + remarks
		}
	}
	for i, c := range calls {
		p.say(Message{Role: Result, CallID: c.ID, Content: results[i]})
	}
}

// edits says whether a tool changes parts of files, which may miss. A toolbox has
// one of the two.
func edits(name string) bool { return name == "edit_file" || name == "apply_patch" }

func anyFailed(results []string) bool {
	for _, r := range results {
		if strings.HasPrefix(r, Failed) {
			return true
		}
	}
	return false
}

func (p *phase) useAll(ctx context.Context, calls []wish, results []string, pictures [][]Image) error {
	errs := make([]error, len(calls))
	var wg sync.WaitGroup
	free := make(chan struct{}, atOnce)
	for i, c := range calls {
		free <- struct{}{}
		wg.Go(func() {
			defer func() { <-free }()
			results[i], pictures[i], errs[i] = p.use(ctx, c.Call)
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

// use performs one call of the toolbox. A tool that panics is a bug of ours,
// and must not take the session's state with it.
func (p *phase) use(ctx context.Context, c Call) (result string, pictures []Image, err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("tool %s panicked: %v\n%s", c.Name, v, clip(string(debug.Stack()), 4000))
		}
	}()
	permit := Permit{Phase: p.t.Phase, View: p.a.views}
	if see := p.a.o.Sees; see != nil && see() {
		permit.Show = func(i Image) { pictures = append(pictures, i) }
	}
	result, err = p.a.o.Tools.Use(ctx, c, permit)
	switch {
	case ctx.Err() != nil:
		return "", nil, context.Cause(ctx)
	case err != nil:
		return "", nil, fmt.Errorf("tool %s: %w", c.Name, err)
	}
	return clip(strings.ToValidUTF8(result, "\uFFFD"), mostResult), pictures, nil
}
