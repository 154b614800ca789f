package check

import (
	"context"
	"strings"
	"sync"
)

// Most of a judgement is waiting for programs to start, and what the gates look
// at does not depend on one another: so some of the runs are made beside those
// of the gates before. The gates are asked in their order all the same, and what
// was made in vain is thrown away.

// beside makes a run beside what the gates do next, until ctx is done, and
// returns what waits for it.
func beside[T any](ctx context.Context, running *sync.WaitGroup, run func(context.Context) (T, error)) func() (T, error) {
	var made T
	var err error
	done := make(chan struct{})
	running.Go(func() {
		defer close(done)
		made, err = run(ctx)
	})
	return func() (T, error) {
		<-done
		return made, err
	}
}

// apart says whether the application cannot get in the way of the tests, whose
// port it might have if it always has the same.
func (g *Gates) apart() bool { return g.o.URL == "" || strings.Contains(g.o.URL, "{port}") }

// testsAhead makes the run of the tests, after their phase, while the browser
// looks at the parent. Runs of tests are never beside one another: many a
// project's tests have a port or a file of their own.
func (g *Gates) testsAhead(ctx context.Context, j *judgement) error {
	run := func(ctx context.Context) (recorded, error) {
		if _, err := g.parent(ctx, j); err != nil {
			return recorded{}, err
		}
		return g.testTree(ctx, j.Tree)
	}
	if g.apart() {
		j.tested = beside(ctx, &j.running, run)
	} else {
		j.tested = func() (recorded, error) { return run(ctx) }
	}
	return nil
}

// browserAhead performs what the gates after GREEN look at while the tests run.
func (g *Gates) browserAhead(ctx context.Context, j *judgement) error {
	own := func(ctx context.Context) (accepted, error) {
		return g.accept(ctx, j.Tree, j.Feature.Row, g.wanted(j.Feature))
	}
	earlier := func(ctx context.Context) ([]accepted, error) { return g.acceptAll(ctx, j.Tree, g.earlier(j)) }
	if !g.apart() || !g.browses(j.Feature.Row) {
		j.performed = func() (accepted, error) { return own(ctx) }
		j.regressed = func() ([]accepted, error) { return earlier(ctx) }
		return nil
	}
	j.performed = beside(ctx, &j.running, own)
	j.regressed = beside(ctx, &j.running, earlier)
	return nil
}

// canariesAhead lets the canaries out while the implementation is taken away
// from the tests: what a run with canaries is asked is not changed by another's
// being in its way.
func (g *Gates) canariesAhead(ctx context.Context, j *judgement) error {
	j.caged = beside(ctx, &j.running, func(ctx context.Context) (cage, error) { return g.letOut(ctx, j) })
	return nil
}
