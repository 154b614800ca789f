package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"gopkg.in/yaml.v3"

	"github.com/autonomous-loop/autonomous-loop/runner/forge"
)

// GitHub ends a job after its timeout-minutes, in the way in which a person
// cancels it, and does not tell it beforehand how many those are. They stand in
// the workflow, which can be read; when the job began, GitHub says. A session ends
// before that, and what ends it then is no person.

// A jobLimit is what a workflow says about the time of a job, and of the step that
// is this action.
type jobLimit struct {
	Job  time.Duration
	Step time.Duration // from its own beginning; 0: as long as the job
}

// timeoutDefault is that of a job whose workflow says nothing.
const timeoutDefault = 360 * time.Minute

// errOpen says that a workflow leaves a job's time open.
var errOpen = errors.New("is not said by the workflow itself")

// A workflowFile is what is read of a workflow.
type workflowFile struct {
	Jobs map[string]struct {
		Uses    string    `yaml:"uses"`
		Timeout yaml.Node `yaml:"timeout-minutes"`
		Steps   []struct {
			ID      string               `yaml:"id"`
			Uses    string               `yaml:"uses"`
			Timeout yaml.Node            `yaml:"timeout-minutes"`
			With    map[string]yaml.Node `yaml:"with"`
		} `yaml:"steps"`
	} `yaml:"jobs"`
}

// limitOf reads how long a job may take. step is the id of the step, action the
// repository of the action that it uses: whichever is known finds it.
func limitOf(workflow []byte, job, step, action string) (jobLimit, error) {
	var file workflowFile
	if err := yaml.Unmarshal(workflow, &file); err != nil {
		return jobLimit{}, fmt.Errorf("the workflow cannot be read: %w", err)
	}
	j, there := file.Jobs[job]
	if !there || j.Uses != "" { // of a reusable workflow only the caller's file is known
		return jobLimit{}, fmt.Errorf("the workflow has no job %q of its own", job)
	}
	var l jobLimit
	var err error
	if l.Job, err = minutes(j.Timeout); err != nil {
		return jobLimit{}, fmt.Errorf("timeout-minutes of job %s %w", job, err)
	}
	if l.Job == 0 {
		l.Job = timeoutDefault
	}
	for _, s := range j.Steps {
		uses, _, _ := strings.Cut(s.Uses, "@")
		if s.ID != step && (action == "" || !strings.EqualFold(uses, action)) || s.ID == "" && s.Uses == "" {
			continue
		}
		if l.Step, err = minutes(s.Timeout); err != nil {
			return jobLimit{}, fmt.Errorf("timeout-minutes of a step of job %s %w", job, err)
		}
	}
	return l, nil
}

// minutes reads a value of timeout-minutes; 0: there is none.
func minutes(n yaml.Node) (time.Duration, error) {
	if n.IsZero() {
		return 0, nil
	}
	if strings.Contains(n.Value, "${{") {
		return 0, errOpen
	}
	m, err := strconv.ParseFloat(n.Value, 64)
	if err != nil || !(m > 0 && m <= 1e6) {
		return 0, errors.New("is not a number of minutes")
	}
	return time.Duration(m * float64(time.Minute)), nil
}

// An allotment is what a session gets of a job's time.
type allotment struct {
	Session time.Duration // that it may take, from its beginning
	Due     time.Time     // when GitHub ends the job; zero: not known
	Says    string        // what was decided, and why
	Short   bool          // it is less than was asked for: people should know
}

// What lies around a session in a job.
const (
	around = 15 * time.Minute // where nothing is known: before and after it
	behind = 2 * time.Minute  // after it: what GitHub itself does
	before = 2 * time.Minute  // before it, where GitHub does not say when the job began
)

// allot decides how long a session may take that begins at now. began is when its
// job did, by GitHub's clock; zero: that is not known. no says why the limit is
// not known, nil if it is. GitHub ends a job of its own runners after six hours,
// and a job's token after a day.
func allot(asked time.Duration, l jobLimit, no error, began, now time.Time, hosted bool) allotment {
	most := 24 * time.Hour
	if hosted {
		most = 6 * time.Hour
	}
	if no != nil {
		a := allotment{Session: min(asked, most-around)}
		a.Says = fmt.Sprintf("when GitHub ends this job is not known (%v): the session takes up to %s, and must end before", no, whole(a.Session))
		return a
	}
	if began.IsZero() || began.After(now) {
		began = now.Add(-before)
	}
	a := allotment{Due: began.Add(min(l.Job, most))}
	of := fmt.Sprintf("timeout-minutes of the job: %s", whole(l.Job))
	if step := now.Add(l.Step); l.Step > 0 && step.Before(a.Due) {
		a.Due, of = step, fmt.Sprintf("timeout-minutes of the step: %s", whole(l.Step))
	}
	left := max(0, a.Due.Add(-behind).Sub(now))
	a.Session = min(asked, left)
	a.Says = fmt.Sprintf("GitHub ends this job at %s (%s): the session takes up to %s", a.Due.UTC().Format("15:04:05 MST"), of, whole(a.Session))
	if a.Short = left < asked; a.Short {
		a.Says += fmt.Sprintf(", which is less than session-minutes asks for (%s); let the job have 10 minutes more than that", whole(asked))
	}
	return a
}

// whole is a time for people, in minutes where it is that long.
func whole(d time.Duration) string {
	if d < 2*time.Minute {
		return d.Round(time.Second).String()
	}
	return fmt.Sprintf("%d minutes", int(d.Minutes()))
}

// timeUp says whether what ended at a moment was ended because its time was up:
// due is when GitHub does that. It is never quite exact.
func timeUp(due, at time.Time) bool {
	const slack = 30 * time.Second
	return !due.IsZero() && !at.Before(due.Add(-slack))
}

// limit finds out how long this job may take, and when it began. What cannot be
// found out costs nothing but that it is not known.
func (j *job) limit(ctx context.Context, c config, sleepFor func(context.Context, time.Duration) error, clock func() time.Time) (l jobLimit, began time.Time, no error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	hub, err := j.hub(c, c.Base, sleepFor, clock)
	if err != nil {
		return jobLimit{}, time.Time{}, err
	}
	file, ref, _ := strings.Cut(j.names.workflow, "@")
	// owner/repo/.github/workflows/loop.yml; of another repository it is not ours to read.
	name, ours := strings.CutPrefix(file, j.names.repository+"/")
	if !ours {
		return jobLimit{}, time.Time{}, errors.New("its workflow is not of this repository")
	}
	if sha := j.getenv("GITHUB_WORKFLOW_SHA"); sha != "" {
		ref = sha
	}
	data, err := hub.File(ctx, name, ref)
	if err != nil {
		return jobLimit{}, time.Time{}, err
	}
	if l, err = limitOf(data, j.getenv("GITHUB_JOB"), j.getenv("GITHUB_ACTION"), j.getenv("GITHUB_ACTION_REPOSITORY")); err != nil {
		return jobLimit{}, time.Time{}, err
	}
	if began, err = hub.Started(ctx, forge.JobName{Runner: j.getenv("RUNNER_NAME"), Name: j.getenv("GITHUB_JOB")}); err != nil {
		return l, time.Time{}, nil
	}
	return l, began, nil
}

// shortJobs names the jobs of a workflow that have less time than their session
// asks for. def is what one asks for whose step says nothing.
func shortJobs(workflow []byte, def time.Duration) (short []string, sessions int, err error) {
	var file workflowFile
	if err := yaml.Unmarshal(workflow, &file); err != nil {
		return nil, 0, fmt.Errorf("the workflow cannot be read: %w", err)
	}
	for _, name := range slices.Sorted(maps.Keys(file.Jobs)) {
		for _, s := range file.Jobs[name].Steps {
			action, _, _ := strings.Cut(s.Uses, "@")
			if mode := s.With["mode"]; path.Base(action) != "autonomous-loop" || mode.Value == "continue" {
				continue
			}
			sessions++
			asked := def
			if said := s.With["session-minutes"]; !said.IsZero() {
				if asked, err = minutes(said); err != nil {
					continue // an expression: whoever wrote it knows
				}
			}
			l, err := limitOf(workflow, name, s.ID, action)
			if err != nil {
				short = append(short, err.Error()+", so that a session must know by session-minutes when to end")
				continue
			}
			const setUp = 8 * time.Minute // of which the session knows nothing
			if now := time.Unix(0, 0); allot(asked, l, nil, now.Add(-setUp), now, false).Short {
				short = append(short, fmt.Sprintf("job %s has %s, and its session asks for %s", name, whole(min(l.Job, cmp.Or(l.Step, l.Job))), whole(asked)))
			}
		}
	}
	return short, sessions, nil
}

// longest is the most that session-minutes takes.
const longest = 4320 * time.Minute
