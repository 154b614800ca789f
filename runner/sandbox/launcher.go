package sandbox

import "runtime"

// A launcher is a thread that starts commands. What the thread is under, its
// commands are under from their first instruction on, at no cost: so the one for
// [Local] takes on 64,512 rules once. And as it lives as long as the sandbox,
// a command can ask the kernel to be killed when its launcher is gone, which
// holds even if this process is killed.
type launcher struct {
	jobs chan func()
}

// newLauncher starts a thread and lets it prepare itself. The thread is never
// unlocked: Go starts no other thread from it and throws it away with the
// goroutine.
func newLauncher(prepare func() error) (*launcher, error) {
	l := &launcher{jobs: make(chan func())}
	ready := make(chan error)
	go func() {
		runtime.LockOSThread()
		if prepare != nil {
			if err := prepare(); err != nil {
				ready <- err
				return
			}
		}
		ready <- nil
		for job := range l.jobs {
			job()
		}
	}()
	if err := <-ready; err != nil {
		return nil, err
	}
	return l, nil
}

// do runs f on the thread.
func (l *launcher) do(f func() error) error {
	done := make(chan error)
	l.jobs <- func() { done <- f() }
	return <-done
}

func (l *launcher) close() { close(l.jobs) }
