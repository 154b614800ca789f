package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/autonomous-loop/autonomous-loop/runner"
	"github.com/autonomous-loop/autonomous-loop/runner/forge"
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
	if err != nil {
		return "", err
	}
	if may {
		return j.elsewhere(ctx, c, hub)
	}
	return fmt.Sprintf("the event %s was caused by %s, who may not write to this repository", j.names.event, who.Login), nil
}

// command is the one that the comment begins with which started this run. An
// edited comment gives none.
func (j *job) command() forge.Command {
	if j.names.event != "issue_comment" || j.event.Action != "created" {
		return ""
	}
	return forge.ParseCommand(j.event.Comment.Body)
}

// elsewhere says why a comment is not meant for this loop, "" if it is. Commands
// are: on its pull request, or on the issue that its spec came from. Any other
// comment starts a session only where the loop goes on by events.
func (j *job) elsewhere(ctx context.Context, c config, hub *forge.Hub) (string, error) {
	if j.names.event != "issue_comment" {
		return "", nil
	}
	number := j.event.Issue.Number
	switch {
	case j.command() == "" && c.LoopConfig.Continuation == runner.OnEvent:
		return "", nil
	case j.command() == "":
		return "the comment begins with no command (/loop stop, /loop resume)", nil
	case c.Spec == fmt.Sprintf("issue:%d", number):
		return "", nil
	case len(j.event.Issue.PullRequest) > 0:
		branch, err := hub.Pulled(ctx, number)
		if err != nil || branch == strings.TrimPrefix(c.workBranch(), "refs/heads/") {
			return "", err
		}
	}
	return fmt.Sprintf("the command stands on #%d, which is not the loop's pull request", number), nil
}

// errOff says that the switch is off in the configuration file.
var errOff = errors.New("the loop is switched off (enabled, in the config file)")

// beatEvery is the time between two savings of the work in progress.
func beatEvery(getenv func(string) string) time.Duration {
	if d, err := time.ParseDuration(getenv("AUTONOMOUS_LOOP_BEAT")); err == nil && d > 0 {
		return d
	}
	return time.Minute
}

// lookEvery is the time between two looks whether a person has stopped the loop.
func lookEvery(getenv func(string) string) time.Duration {
	if d, err := time.ParseDuration(getenv("AUTONOMOUS_LOOP_LOOK")); err == nil && d > 0 {
		return d
	}
	return time.Minute
}
