package runner

import "time"

// A Breaker keeps calls from a model that is down. It stays in the state, so
// that the next session does not spend its time on finding out again.
//
// Where there is none for a model the circuit is closed, and calls go through.
// Before Until it is open: no call is made. From then on it is half open: one
// call tries, and either mends it, which forgets the breaker, or opens it again
// for longer.
type Breaker struct {
	Model    string    `json:"model"`
	Failures int       `json:"failures"` // in a row; each a call that was pursued as long as it may be
	Until    time.Time `json:"until"`
	Why      string    `json:"why"`
	Instead  string    `json:"instead,omitempty"` // the model that took over
}

// How long a breaker stays open: at first, at most, and for a model that the
// provider does not know or has retired.
const (
	openAtFirst = 10 * time.Minute
	openAtMost  = 6 * time.Hour
	openUnknown = 24 * time.Hour
)

// Open says whether no call may be made now.
func (b Breaker) Open(now time.Time) bool { return now.Before(b.Until) }

// Tripped is the breaker after one more failure. gone says that the provider
// does not know the model, which does not pass by itself.
func (b Breaker) Tripped(now time.Time, why string, gone bool) Breaker {
	b.Failures++
	open := openAtMost
	if n := b.Failures - 1; n < 6 {
		open = min(openAtMost, openAtFirst<<n)
	}
	if gone {
		open = openUnknown
	}
	b.Until, b.Why, b.Instead = now.Add(open).UTC().Truncate(time.Second), legible(why, 300), ""
	return b
}
