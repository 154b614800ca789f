package check

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path"
	"slices"
	"strings"
	"sync"

	"github.com/autonomous-loop/autonomous-loop/runner/pattern"

	"github.com/autonomous-loop/autonomous-loop/runner"
	"github.com/autonomous-loop/autonomous-loop/runner/suite"
)

// perform performs the acceptance of row once, on a checkout of its own, with
// data of its own. There must be a browser; ok is false if the tree does not
// say how its application is started.
func (g *Gates) perform(ctx context.Context, tree string, row runner.Row, m manner) (p performance, ok bool, err error) {
	select {
	case g.places <- struct{}{}:
		defer func() { <-g.places }()
	case <-ctx.Done():
		return performance{}, false, context.Cause(ctx)
	}
	dir, done, err := g.checkout(ctx, tree)
	if err != nil {
		return performance{}, false, err
	}
	defer done()
	start, err := startCommand(dir, g.o.Start)
	if err != nil || start == "" {
		return performance{}, false, err
	}
	g.mu.Lock()
	steps, err := g.draw(row)
	g.mu.Unlock()
	if err != nil {
		return performance{}, false, fmt.Errorf("acceptance of %s: %w", row.ID, err)
	}
	app := App{Dir: dir, Start: start, URL: g.o.URL}
	app.Place, app.Env, app.Read = g.around(dir)
	a, err := g.o.Browser.Accept(ctx, app, Scenario{Feature: row.ID, Steps: steps, Hurry: m.hurry, Plain: m.plain})
	if ctx.Err() != nil {
		return performance{}, false, context.Cause(ctx) // whatever it says of the application then
	}
	if err != nil {
		return performance{}, false, fmt.Errorf("acceptance of %s: %w", row.ID, err)
	}
	return performance{Tree: tree, Frozen: row.AcceptanceHash(), Steps: steps, Acceptance: a, hurried: m.hurry}, true, nil
}

// A manner is how a performance is made: see [Scenario].
type manner struct {
	hurry bool
	plain bool
}

// accepted is what the performances of one acceptance on one tree say.
type accepted struct {
	finding
	performances []performance
}

// accept performs the acceptance of row on tree, side by side, until it has passed
// as often as wanted, or until it is clear that it will not. Pictures are taken where
// it is wanted more than once or fails, of the last time.
func (g *Gates) accept(ctx context.Context, tree string, row runner.Row, wanted int) (accepted, error) {
	var ps []performance
	for round := 0; ; round++ {
		f, more := judgePerformances(ps, wanted)
		if more == 0 {
			return accepted{f, ps}, nil
		}
		m := manner{plain: wanted == 1}
		if !f.passed() {
			m = manner{hurry: true} // it only has to be shown whether that was a matter of luck
		}
		batch, ok, err := g.performAll(ctx, tree, row, more, m)
		if err != nil {
			return accepted{performances: ps}, err
		}
		if !ok {
			return accepted{failed("", "The acceptance of %s cannot be performed: nothing says how the application is started. Give package.json a start script (or a Go main package, or a Procfile with a web line).", row.ID), ps}, nil
		}
		for _, p := range batch {
			p.round = round
			ps = append(ps, p)
		}
	}
}

// performAll performs the acceptance of row n times, each time on a checkout of
// its own with data of its own, all but the last one plainly.
func (g *Gates) performAll(ctx context.Context, tree string, row runner.Row, n int, last manner) ([]performance, bool, error) {
	ps, oks, errs := make([]performance, n), make([]bool, n), make([]error, n)
	var wg sync.WaitGroup
	for i := range n {
		m := last
		m.plain = m.plain || i < n-1
		wg.Go(func() { ps[i], oks[i], errs[i] = g.perform(ctx, tree, row, m) })
	}
	wg.Wait()
	return ps, !slices.Contains(oks, false), errors.Join(errs...)
}

// judgePerformances weighs repeated performances on one tree. more is how many
// further ones it takes to come to a finding. A failure is repeated once, and
// what passes as well as fails is a matter of luck: it is never said to pass. So is a
// step, where runs fail that had the same patience, but not at the same step. A
// browser that broke down says nothing, of all that was performed in it at once;
// one that keeps breaking down, that there is nothing to be found out.
func judgePerformances(ps []performance, wanted int) (f finding, more int) {
	const sure, patience = 2, 2
	var pass, fail, broken []finding
	breakdowns := map[int]bool{} // by round
	shortest, longest := -1, -1  // way that a failure came, of those that had all the patience
	for _, p := range ps {
		switch f := judgeAcceptance(p); f.Outcome { //nolint:exhaustive // the rest is neither
		case "":
			pass = append(pass, f)
		case runner.Failed:
			fail = append(fail, f)
			if !p.hurried {
				if longest = max(longest, p.Succeeded); shortest < 0 || p.Succeeded < shortest {
					shortest = p.Succeeded
				}
			}
		default:
			broken = append(broken, f)
			breakdowns[p.round] = true
		}
	}
	switch {
	case len(pass) > 0 && len(fail) > 0:
		return flaky(fail[0], fmt.Sprintf("The acceptance passed %s and failed %s on the same tree", times(len(pass)), times(len(fail)))), 0
	case len(breakdowns) >= patience:
		return broken[0], 0
	case len(fail) >= sure && shortest < longest:
		return flaky(fail[0], fmt.Sprintf("The acceptance failed %s on the same tree, once after %s and once after %s, so what failed there passes at times", times(len(fail)), plural(shortest, "step", "steps"), plural(longest, "step", "steps"))), 0
	case len(fail) >= sure:
		return fail[len(fail)-1], 0
	case len(fail) > 0:
		return fail[0], sure - len(fail)
	case len(pass) < wanted:
		return finding{}, wanted - len(pass)
	}
	f = pass[len(pass)-1] // who looked for barriers
	f.Counts = runner.Counts{}
	for _, p := range pass {
		f.Counts.Run += p.Counts.Run
		f.Counts.Passed += p.Counts.Passed
	}
	if len(pass) > 1 {
		f.Reason = strings.TrimSuffix(f.Reason, ".") + fmt.Sprintf(", %s in a row, with data drawn anew.", times(len(pass)))
	}
	return f, 0
}

func times(n int) string {
	if n == 1 {
		return "once"
	}
	return fmt.Sprintf("%d times", n)
}

// barriers says in a few words what keeps people from using the pages.
func barriers(found []Barrier) string {
	if len(found) == 0 {
		return ""
	}
	var rules []string
	for _, b := range found {
		if r := b.Rule + " on " + b.Page; !slices.Contains(rules, r) {
			rules = append(rules, r)
		}
	}
	return "; accessibility: " + list(rules)
}

// judgeAcceptance says whether a performance shows the feature.
func judgeAcceptance(p performance) finding {
	f := finding{Counts: runner.Counts{Run: p.Executed, Passed: p.Succeeded, Failed: p.Executed - p.Succeeded}}
	switch {
	case p.Broken != "":
		f.Outcome, f.Reason = runner.Inconclusive, fmt.Sprintf("The browser failed while the acceptance of %s was performed: %s", p.Feature, shorten(p.Broken, 3, mostChars))
	case !p.Passed || len(p.Failures) > 0:
		f.Outcome, f.Detail = runner.Failed, acceptanceDetail(p)
		f.Reason = fmt.Sprintf("The acceptance of %s fails in the browser: %s.", p.Feature, shorten(strings.Join(p.Failures, "; "), 3, mostChars))
	case p.Executed < len(p.Steps) || p.Succeeded < p.Executed || p.Executed == 0:
		f.Outcome = runner.Inconclusive
		f.Reason = fmt.Sprintf("The acceptance of %s is said to pass, but only %d of its %d steps were performed.", p.Feature, p.Succeeded, len(p.Steps))
	default:
		f.Reason = fmt.Sprintf("the acceptance of %s passes (%s%s).", p.Feature, plural(p.Succeeded, "step", "steps"), barriers(p.Accessibility))
	}
	return f
}

// acceptanceDetail is what an agent needs to know of a failed performance.
func acceptanceDetail(p performance) string {
	var b strings.Builder
	for _, f := range p.Failures {
		b.WriteString("FAIL " + shorten(suite.Clean(f), mostLines, mostChars) + "\n")
	}
	b.WriteString("steps (data is drawn anew for each run):\n")
	for _, s := range p.Steps {
		line, err := json.Marshal(s)
		if err == nil { // unreachable unless a Step holds what JSON cannot say
			fmt.Fprintf(&b, "  %s\n", line)
		}
	}
	for _, part := range []struct{ what, text string }{
		{"page", p.Aria}, {"console", strings.Join(p.Console, "\n")}, {"network", strings.Join(p.Network, "\n")}, {"application log", p.Server},
	} {
		if t := strings.TrimSpace(suite.Clean(part.text)); t != "" {
			fmt.Fprintf(&b, "%s:\n%s", part.what, indent(suite.Tail(t, 1200)))
		}
	}
	return limit(b.String(), mostDetail)
}

// A parentRun is what the acceptance said of the parent tree.
type parentRun struct {
	finding
	performances []performance // none: there is no application to start
	held         bool          // again and again
}

// onParent performs the acceptance of j's feature on the parent, once for each
// parent: a scenario that holds before the work proves nothing afterwards.
func (g *Gates) onParent(ctx context.Context, j *judgement) (parentRun, error) {
	key, err := acceptanceKey(j.Parent, j.Feature.Row)
	if err != nil {
		return parentRun{}, err
	}
	g.mu.Lock()
	run, known := g.held[key]
	g.mu.Unlock()
	if known {
		return run, nil
	}
	for {
		f, more := judgePerformances(run.performances, g.wanted(j.Feature))
		run.finding, run.held = f, f.passed() && more == 0
		// A failure is what is expected here, and once is enough.
		if more == 0 || f.Outcome == runner.Failed {
			break
		}
		p, ok, err := g.perform(ctx, j.Parent, j.Feature.Row, manner{hurry: true, plain: len(run.performances) == 0})
		if _, unready := errors.AsType[*setupError](err); unready {
			ok, err = false, nil // nothing to start where nothing can be set up
		}
		if err != nil {
			return parentRun{}, err
		}
		if !ok {
			run.finding = finding{}
			break
		}
		p.round = len(run.performances)
		run.performances = append(run.performances, p)
	}
	if run.Outcome != runner.Inconclusive {
		g.mu.Lock()
		g.held[key] = run
		g.mu.Unlock()
	}
	return run, nil
}

func acceptanceKey(parent string, row runner.Row) (string, error) {
	data, err := json.Marshal([]any{parent, row.ID, row.Acceptance, row.Data})
	if err != nil {
		return "", fmt.Errorf("acceptance of %s: %w", row.ID, err)
	}
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:]), nil
}

var (
	mainPackage = pattern.MustCompile(`(?m)^package main\b`)
	procfileWeb = pattern.MustCompile(`(?m)^web:[ \t]*(\S.*)$`)
)

// startCommand finds out how the application in dir is started: by override,
// else by its start script, its server.js, its Procfile or its Go main package.
// "" means that the project does not say.
func startCommand(dir, override string) (string, error) {
	if override != "" {
		return override, nil
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return "", err
	}
	defer root.Close()
	scripts, err := suite.Scripts(root)
	if err != nil {
		return "", err
	}
	if start := scripts["start"]; start != "" {
		if pre := scripts["prestart"]; pre != "" {
			start = pre + " && " + start
		}
		if _, err := root.Stat("node_modules/.bin"); err == nil {
			start = `PATH="$PWD/node_modules/.bin:$PATH"; export PATH; ` + start
		}
		return start, nil
	}
	if web, err := suite.ReadFile(root, "Procfile", 1<<16); err == nil {
		if m := procfileWeb.FindSubmatch(web); m != nil {
			return string(m[1]), nil
		}
	}
	if _, err := root.Stat("package.json"); err == nil {
		if _, err := root.Stat("server.js"); err == nil {
			return "node server.js", nil // npm's own default
		}
	}
	if _, err := root.Stat("go.mod"); err != nil {
		return "", nil
	}
	if isMain(root, ".") {
		return "go run .", nil
	}
	var mains []string
	if cmds, err := root.Open("cmd"); err == nil {
		defer cmds.Close()
		entries, _ := cmds.ReadDir(-1)
		for _, e := range entries {
			if d := path.Join("cmd", e.Name()); e.IsDir() && isMain(root, d) {
				mains = append(mains, d)
			}
		}
	}
	if len(mains) == 1 {
		return "go run ./" + mains[0], nil
	}
	return "", nil
}

func isMain(root *os.Root, dir string) bool {
	d, err := root.Open(dir)
	if err != nil {
		return false
	}
	defer d.Close()
	entries, _ := d.ReadDir(-1)
	for _, e := range entries {
		if n := e.Name(); strings.HasSuffix(n, ".go") && !strings.HasSuffix(n, "_test.go") {
			if src, err := suite.ReadFile(root, path.Join(dir, n), 4<<20); err == nil && mainPackage.Match(src) {
				return true
			}
		}
	}
	return false
}
