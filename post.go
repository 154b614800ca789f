package main

import (
	"cmp"
	"context"
	"fmt"
	"io"

	"github.com/autonomous-loop/autonomous-loop/report"
	"github.com/autonomous-loop/autonomous-loop/runner"
)

// After the steps of a job GitHub starts the program once more, in a container
// of its own, also when the run was cancelled and the step was killed. It has
// minutes then, and not the seconds that the step had. Nothing of the first
// container's files is left; but what the session saved last is on the state
// branch, and all that is missing is its end.

// postName is the name under which GitHub starts the program then.
const postName = "autonomous-loop-post"

// What a step leaves for it that was told to end, as STATE_….
const (
	stateCancelled = "cancelled" // by a person, as far as is known
	stateTimeUp    = "time-up"   // by GitHub, because the job's time was up
)

// noteForPost leaves a word for the program that GitHub starts after the job's
// steps.
func noteForPost(getenv func(string) string, name string) error {
	return appendTo(getenv("GITHUB_STATE"), func(w io.Writer) error { _, err := fmt.Fprintf(w, "%s=true\n", name); return err })
}

// post closes what a session left open that was told to end. After a cancel it
// never asks for another one.
func post(ctx context.Context, env environment) error {
	why := runner.Cancelled
	switch {
	case env.getenv("GITHUB_ACTIONS") != "true":
		return nil
	case env.getenv("STATE_"+stateCancelled) != "":
	case env.getenv("STATE_"+stateTimeUp) != "":
		why = runner.SessionTime
	default:
		return nil
	}
	j, err := openJob(env)
	if err != nil {
		return usage(err)
	}
	c, err := parseConfig(func(name string) string {
		if name == "mode" { // no model is asked
			return string(runner.ContinueMode)
		}
		return j.lookup(name)
	})
	j.mask(c)
	if err != nil || c.GitHubToken.reveal() == "" {
		return nil // then there was no session
	}
	c.LoopConfig.Mode = runner.Mode(cmp.Or(j.lookup("mode"), string(runner.RunMode))) // of the step
	p := j.place(c, env.now(), sleep, env.now)
	r, remove, err := openApart(ctx, env, c, p)
	if err != nil {
		return err
	}
	defer remove()
	f, err := p.forge(c, c.Base)
	if err != nil {
		return err
	}
	log := &progress{w: env.stdout, begun: env.now()}
	journal := &journal{notify: log.show}
	s := runner.Session{
		Repo: r, Forge: f, Config: c.LoopConfig, Loop: c.Loop, Owner: p.owner, Now: env.now, Notify: journal.take,
		Papers: func(st runner.State, res runner.LoopResult) runner.Papers {
			p := papers(ctx, r, journal, report.View{State: st, Result: res, Links: p.links, Now: env.now()})
			p.Upload = nil // there is nothing in it that the session's own would not have
			return p
		},
	}
	_, err = s.Close(ctx, why)
	return err
}
