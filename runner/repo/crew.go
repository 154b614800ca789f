package repo

import (
	"context"
	"runtime"
	"sync"
	"sync/atomic"
)

// walk calls visit for first and then for every job that a visit returns, on
// several goroutines, until none is left, one fails, or ctx ends.
func walk[J any](ctx context.Context, first J, visit func(J) ([]J, error)) error {
	var (
		mu    sync.Mutex
		more  = sync.NewCond(&mu)
		stack = []J{first}
		busy  int
		fail  error
		wg    sync.WaitGroup
	)
	// Twice as many as processors: visits wait for the file system.
	for range 2 * runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			mu.Lock()
			defer mu.Unlock()
			for {
				for len(stack) == 0 && busy > 0 && fail == nil {
					more.Wait()
				}
				if len(stack) == 0 || fail != nil {
					return
				}
				j := stack[len(stack)-1]
				stack = stack[:len(stack)-1]
				busy++
				mu.Unlock()
				jobs, err := visit(j)
				if err == nil {
					err = ctx.Err()
				}
				mu.Lock()
				busy--
				stack = append(stack, jobs...)
				if err != nil && fail == nil {
					fail = err
				}
				if len(jobs) > 0 || busy == 0 || fail != nil {
					more.Broadcast()
				}
			}
		})
	}
	wg.Wait()
	return fail
}

// each calls do for 0 to n-1 on all processors, until one fails or ctx ends.
func each(ctx context.Context, n int, do func(int) error) error {
	var (
		next atomic.Int64
		once sync.Once
		fail error
		wg   sync.WaitGroup
	)
	for range min(n, runtime.GOMAXPROCS(0)) {
		wg.Go(func() {
			for {
				i := int(next.Add(1)) - 1
				if i >= n {
					return
				}
				err := do(i)
				if err == nil {
					err = ctx.Err()
				}
				if err != nil {
					once.Do(func() { fail = err })
					next.Store(int64(n))
				}
			}
		})
	}
	wg.Wait()
	return fail
}
