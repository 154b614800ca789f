package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	githubactions "github.com/sethvargo/go-githubactions"

	"github.com/autonomous-loop/autonomous-loop/report"
	"github.com/autonomous-loop/autonomous-loop/runner"
	"github.com/autonomous-loop/autonomous-loop/runner/agent"
	"github.com/autonomous-loop/autonomous-loop/runner/forge"
	"github.com/autonomous-loop/autonomous-loop/runner/plan"
	"github.com/autonomous-loop/autonomous-loop/runner/repo"
)

// A job is what GitHub tells a job about itself.
type job struct {
	action *githubactions.Action
	event  eventPayload
	getenv func(string) string
	names  struct{ event, repository, server, api, workflow string }
	run    forge.Run
}

// eventPayload is what we read of the event that started the run. Everything
// in it was written by whoever caused it.
type eventPayload struct {
	Inputs map[string]any `json:"inputs"`
	Action string         `json:"action"`
	Issue  struct {
		Number      int             `json:"number"`
		PullRequest json.RawMessage `json:"pull_request"` // absent: an issue
	} `json:"issue"`
	Comment struct {
		Body string `json:"body"`
	} `json:"comment"`
	Repository struct {
		DefaultBranch string `json:"default_branch"`
	} `json:"repository"`
	Sender struct {
		Login string `json:"login"`
		ID    int64  `json:"id"`
		Type  string `json:"type"`
	} `json:"sender"`
}

func openJob(env environment) (*job, error) {
	j := &job{getenv: env.getenv, action: githubactions.New(githubactions.WithGetenv(env.getenv), githubactions.WithWriter(env.stdout))}
	j.names.event = env.getenv("GITHUB_EVENT_NAME")
	j.names.repository = env.getenv("GITHUB_REPOSITORY")
	j.names.server = strings.TrimSuffix(env.getenv("GITHUB_SERVER_URL"), "/")
	j.names.api = env.getenv("GITHUB_API_URL")
	j.names.workflow = env.getenv("GITHUB_WORKFLOW_REF")
	var errs []error
	for _, v := range []struct{ name, value string }{{"GITHUB_REPOSITORY", j.names.repository}, {"GITHUB_SERVER_URL", j.names.server}, {"GITHUB_API_URL", j.names.api}} {
		if v.value == "" {
			errs = append(errs, fmt.Errorf("%s is not set, as it is in a job of GitHub Actions", v.name))
		}
	}
	id, err := strconv.ParseInt(env.getenv("GITHUB_RUN_ID"), 10, 64)
	if err != nil {
		errs = append(errs, fmt.Errorf("GITHUB_RUN_ID %q is not a number", env.getenv("GITHUB_RUN_ID")))
	}
	attempt, err := strconv.Atoi(env.getenv("GITHUB_RUN_ATTEMPT"))
	if err != nil {
		errs = append(errs, fmt.Errorf("GITHUB_RUN_ATTEMPT %q is not a number", env.getenv("GITHUB_RUN_ATTEMPT")))
	}
	j.run = forge.Run{ID: id, Attempt: attempt}
	if file := env.getenv("GITHUB_EVENT_PATH"); file != "" {
		data, err := os.ReadFile(file)
		if err == nil {
			err = json.Unmarshal(data, &j.event)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("read the event: %w", err))
		}
	}
	// Code of a fork would run beside the secrets of this repository.
	if j.names.event == "pull_request_target" {
		errs = append(errs, errors.New("this action does not run on pull_request_target, which gives strangers' code a token; use workflow_dispatch, schedule or push"))
	}
	return j, errors.Join(errs...)
}

// lookup reads the action's inputs. Secrets are masked before anything else can
// print them.
func (j *job) lookup(name string) string { return j.action.GetInput(name) }

func (j *job) mask(c config) {
	for _, s := range nonEmpty(c.APIKey.reveal(), c.GitHubToken.reveal()) {
		j.action.AddMask(s)
	}
}

// trigger tells who started this run. A dispatch that names a lineage comes
// from the session before. A command to go on is a person's start; whose it is
// and where it stands was asked before (see stranger).
func (j *job) trigger() (runner.Trigger, string) {
	lineage, _ := j.event.Inputs["lineage"].(string)
	switch j.names.event {
	case "workflow_dispatch", "repository_dispatch":
		if lineage != "" {
			return runner.ByChain, lineage
		}
		return runner.ByPerson, ""
	case "schedule":
		return runner.ByClock, ""
	case "issue_comment":
		if j.command() == forge.ResumeCommand {
			return runner.ByPerson, ""
		}
	}
	return runner.ByEvent, ""
}

// workflow is the file to dispatch: the input, else the one that runs.
func (j *job) workflow(c config) string {
	if c.Workflow != "" {
		return c.Workflow
	}
	file, _, _ := strings.Cut(j.names.workflow, "@")
	return path.Base(file)
}

// hub is the repository on GitHub. It makes no request.
func (j *job) hub(c config, base string, sleepFor func(context.Context, time.Duration) error, clock func() time.Time) (*forge.Hub, error) {
	issue, _ := strconv.Atoi(strings.TrimPrefix(c.Spec, "issue:"))
	retention, _ := strconv.Atoi(j.getenv("GITHUB_RETENTION_DAYS"))
	return forge.GitHub(forge.Options{
		Token: c.GitHubToken.reveal(), APIURL: j.names.api, ServerURL: j.names.server, Repository: j.names.repository,
		Branch: strings.TrimPrefix(c.workBranch(), "refs/heads/"), Base: base, PullRequest: forge.PullRequest(c.PullRequest), SpecIssue: issue, Summary: j.summary,
		Loop: c.Loop, Workflow: j.workflow(c), Run: j.run,
		ResultsURL: j.getenv("ACTIONS_RESULTS_URL"), RuntimeToken: j.getenv("ACTIONS_RUNTIME_TOKEN"), Retention: retention,
		Sleep: sleepFor, Now: clock, Rand: rand.Float64,
	})
}

func (j *job) place(c config, now time.Time, sleepFor func(context.Context, time.Duration) error, clock func() time.Time) place {
	trigger, lineage := j.trigger()
	starter := ""
	if who := j.event.Sender; trigger == runner.ByPerson && who.Type == "User" {
		starter = who.Login
	}
	branch := strings.TrimPrefix(c.workBranch(), "refs/heads/")
	home := j.names.server + "/" + j.names.repository
	return place{
		remote:  home + ".git",
		auth:    repo.Auth{User: "x-access-token", Token: c.GitHubToken.reveal()},
		owner:   runner.Owner{Run: strconv.FormatInt(j.run.ID, 10), Attempt: j.run.Attempt, Claimed: now, By: starter},
		trigger: trigger, lineage: lineage,
		links: report.Links{
			Repository: j.names.repository, Branch: branch,
			BranchURL: home + "/tree/" + branch,
			StateURL:  home + "/tree/" + strings.TrimPrefix(c.StateBranch, "refs/heads/"),
			RunURL:    fmt.Sprintf("%s/actions/runs/%d", home, j.run.ID),
			Resume:    "gh workflow run " + j.workflow(c),
		},
		forge: func(c config, base string) (runner.Forge, error) { return j.hub(c, base, sleepFor, clock) },
		issue: func(ctx context.Context, c config, number int) (plan.Source, error) {
			hub, err := j.hub(c, c.Base, sleepFor, clock)
			if err != nil {
				return plan.Source{}, err
			}
			issue, err := hub.Issue(ctx, number)
			if err != nil {
				return plan.Source{}, err
			}
			switch issue.Association {
			case "OWNER", "MEMBER", "COLLABORATOR":
				return plan.Issue(number, issue.Title, issue.Body), nil
			}
			return plan.Source{}, fmt.Errorf("issue %d was written by %s, who is not a member of this repository; copy what is wanted into an issue or file of your own", number, issue.Author)
		},
	}
}

// summary appends to the job's summary, which is read when the step is over.
func (j *job) summary(text []byte) error {
	return appendTo(j.getenv("GITHUB_STEP_SUMMARY"), func(w io.Writer) error { _, err := w.Write(append(text, '\n')); return err })
}

// outputs writes the step's outputs.
func (j *job) outputs(res runner.LoopResult, branch string) error {
	values, err := outputs(res, branch)
	if err != nil {
		return err
	}
	return appendTo(j.getenv("GITHUB_OUTPUT"), func(w io.Writer) error {
		for _, name := range outputNames {
			if err := writeOutput(w, name, values[name]); err != nil {
				return err
			}
		}
		return nil
	})
}

func appendTo(file string, write func(io.Writer) error) error {
	if file == "" {
		return nil
	}
	f, err := os.OpenFile(file, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	return errors.Join(write(f), f.Close())
}

// inJob does in a job of GitHub Actions what its mode says.
func inJob(ctx context.Context, env environment) (err error) {
	j, err := openJob(env)
	if err != nil {
		return usage(err)
	}
	c, err := parseConfig(j.lookup)
	j.mask(c)
	if err != nil {
		return usage(err)
	}
	if c.GitHubToken.reveal() == "" {
		return usage(errors.New("input github-token: is not set; leave it out to use the job's own"))
	}
	now := env.now()
	var limit jobLimit
	var began time.Time
	no := errors.New("it does not matter here")
	if !c.Off && c.LoopConfig.Mode != runner.ContinueMode {
		limit, began, no = j.limit(ctx, c, sleep, env.now)
	}
	hosted := j.getenv("RUNNER_ENVIRONMENT") == "github-hosted"
	allotted := func(asked time.Duration) allotment { return allot(asked, limit, no, began, now, hosted) }
	asked := c.SessionMinutes
	if j.lookup("session-minutes") == "" {
		asked = longest // unless the configuration file says less
	}
	a := allotted(asked)
	if no == nil && a.Session == 0 {
		return usage(fmt.Errorf("%s; nothing was begun", a.Says))
	}
	ctx, cancel := softDeadline(ctx, now, a.Session)
	defer cancel()
	var res runner.LoopResult
	why, err := "the loop is switched off (input enabled)", error(nil)
	if !c.Off {
		why, err = j.stranger(ctx, c, sleep, env.now)
	}
	if err != nil {
		return err
	}
	if why != "" {
		// Green: neither a switch nor a comment by anybody is a fault.
		j.action.Noticef("%s; no session is started", why)
		return j.outputs(res, c.workBranch())
	}
	p := j.place(c, now, sleep, env.now)
	p.allot = allotted
	if c.LoopConfig.Mode == runner.ContinueMode {
		res, err = continueLoop(ctx, env, c, p)
	} else {
		res, err = j.session(ctx, env, c, p)
	}
	if errors.Is(err, errOff) {
		j.action.Noticef("%s; no session is started", err.Error())
		err = nil
	}
	for _, w := range res.Warnings { // where people look first, as errors are
		j.action.Warningf("%s", w)
	}
	return errors.Join(err, j.outputs(res, c.workBranch()))
}

func (j *job) session(ctx context.Context, env environment, c config, p place) (runner.LoopResult, error) {
	clearLeftovers(os.TempDir())
	dir, remove, err := privateDir()
	if err != nil {
		return runner.LoopResult{}, err
	}
	defer remove()
	if err := roomy(dir, leastRoom); err != nil {
		return runner.LoopResult{}, err
	}
	log := &progress{w: env.stdout, begun: env.now()}
	s, err := wire(ctx, env, j.lookup, p, dir, log.show, func(e agent.Event) {
		if e.Tool != "" {
			log.line(fmt.Sprintf("  %s: turn %d: %s %s", e.Feature, e.Turn, e.Tool, e.Arg))
		}
	})
	if err != nil {
		return runner.LoopResult{}, err
	}
	log.line("isolation: " + s.rung)
	log.line("time: " + logLine(s.time.Says))
	if s.time.Short {
		j.action.Warningf("%s", s.time.Says)
	}
	if env.leave.due != nil {
		env.leave.due.Store(&s.time.Due)
	}
	ctx, cancel := softDeadline(ctx, log.begun, s.time.Session)
	defer cancel()
	if c.DryRun {
		o, err := s.Preview(ctx)
		if err = errors.Join(err, s.Close()); err != nil {
			return runner.LoopResult{}, err
		}
		for _, line := range outlook(o, c) {
			log.line(line)
		}
		return seen(o), nil
	}
	res, err := s.Run(ctx)
	return res, errors.Join(j.keep(err), s.Close())
}

// keep leaves what a session could neither save nor upload in the workspace, which
// a later step of the job can take from there.
func (j *job) keep(err error) error {
	unsaved, ok := errors.AsType[*runner.UnsavedError](err)
	at := j.getenv("GITHUB_WORKSPACE")
	if !ok || at == "" {
		return err
	}
	dir := filepath.Join(at, fmt.Sprintf("autonomous-loop-rescue-%d-%d", j.run.ID, j.run.Attempt))
	kept := os.Mkdir(dir, 0o755) //nolint:gosec // for the job's next steps to read
	for _, f := range unsaved.Files {
		if kept == nil {
			kept = writeNew(filepath.Join(dir, f.Name), f.Data)
		}
	}
	if kept != nil {
		return errors.Join(err, kept)
	}
	return fmt.Errorf("%w. What this session could not save is in the workspace, in %s, until the runner clears that away: RESCUE.md in it says how to push it by hand", err, filepath.Base(dir))
}

// annotate shows an error where people look first.
func annotate(env environment, err error) {
	a := githubactions.New(githubactions.WithGetenv(env.getenv), githubactions.WithWriter(env.stdout))
	a.Errorf("%s", err.Error())
}
