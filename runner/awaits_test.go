package runner

import "testing"

// TestAwaits: of the four ways in which a loop goes on each takes its own start,
// a person's, and that of a session that asked; a loop whose session died takes any.
func TestAwaits(t *testing.T) {
	starts := []Trigger{ByPerson, ByChain, ByClock, ByEvent}
	for c, may := range map[Continuation][]bool{
		Auto:      {true, true, true, true},
		Manual:    {true, true, false, false},
		Scheduled: {true, true, true, false},
		OnEvent:   {true, true, false, true},
	} {
		for i, by := range starts {
			config := LoopConfig{Continuation: c, Trigger: by}
			for _, reason := range []Reason{ContextLimit, SessionTime, FeaturesPerSession} {
				if err := config.awaits(State{Status: Waiting, Reason: reason}); (err == nil) != may[i] {
					t.Errorf("%s, started by %s after %s: %v", c, by, reason, err)
				}
			}
			for _, st := range []State{{Status: Running}, {Status: AwaitingSuccessor, Reason: SessionTime}, {Status: Waiting, Reason: RateLimit}} {
				if err := config.awaits(st); err != nil {
					t.Errorf("%s, started by %s, %+v: %v", c, by, st, err)
				}
			}
		}
	}
}
