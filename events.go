package main

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// writers are the events that only somebody with write permission can cause, or
// GitHub itself. Behind every other one may be a stranger: whoever may comment,
// open an issue, fork or star.
var writers = []string{"workflow_dispatch", "repository_dispatch", "schedule", "push"}

// stranger says why whoever caused this run may not start a session, "" if they
// may. A session spends money and pushes, so it takes GitHub's word that they
// may write to the repository. Accounts of apps are no people, whatever they may
// do: there are many of them, and each acts on somebody else's word. If GitHub
// cannot be asked, that is an error.
func (j *job) stranger(ctx context.Context, c config, sleepFor func(context.Context, time.Duration) error, now func() time.Time) (why string, err error) {
	if slices.Contains(writers, j.names.event) {
		return "", nil
	}
	who := j.event.Sender
	if who.Login == "" || who.Type != "User" {
		return fmt.Sprintf("the event %s was not caused by a person", j.names.event), nil
	}
	hub, err := j.hub(c, c.Base, sleepFor, now)
	if err != nil {
		return "", err
	}
	may, err := hub.MayWrite(ctx, who.Login, who.ID)
	if err != nil || may {
		return "", err
	}
	return fmt.Sprintf("the event %s was caused by %s, who may not write to this repository", j.names.event, who.Login), nil
}
