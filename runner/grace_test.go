package runner

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

func TestGraceOutlivesTheWork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		why := errors.New("time limit")
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Hour, why)
		defer cancel()
		late, done := withGrace(ctx, 2*time.Minute, nil)
		defer done()

		time.Sleep(time.Hour + 119*time.Second)
		synctest.Wait()
		if late.Err() != nil {
			t.Fatal("ended before its grace was over")
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if got := context.Cause(late); !errors.Is(got, why) {
			t.Errorf("Cause = %v, want %v", got, why)
		}
	})
}

func TestGraceEndsInAHurry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		why := &StopError{Reason: Cancelled}
		ctx, cancel := context.WithCancelCause(t.Context())
		hurry := make(chan struct{})
		late, done := withGrace(ctx, 2*time.Minute, hurry)
		defer done()
		cancel(why)
		time.Sleep(6 * time.Second)
		synctest.Wait()
		if late.Err() != nil {
			t.Fatal("ended before there was a hurry")
		}
		close(hurry)
		synctest.Wait()
		if got := context.Cause(late); !errors.Is(got, why) {
			t.Errorf("Cause = %v, want %v", got, why)
		}
	})
}
