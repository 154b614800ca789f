package main

import (
	"cmp"
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/autonomous-loop/autonomous-loop/report"
	"github.com/autonomous-loop/autonomous-loop/runner"
	"github.com/autonomous-loop/autonomous-loop/runner/repo"
)

// The workflows that a repository begins with.
//
//go:embed examples/workflows/*.yml
var workflows embed.FS

const firstSpec = `# What it is

One sentence that says what is to be built, and for whom.

## What one can do with it

- Say what somebody does and what they see then: on the page "/" a form with the field "Title" and a button "Add";
  after "Add" the title stands in the list, also after the page is loaded again.
- One line for each such thing; the more exact the words on the page are, the less is guessed.

## How it is built

The language, what it runs on, how it is started and tested.

## What it is not

What is out of scope.
`

// begin is `init`: it writes what a repository needs to have a loop. What is there
// already is never written over.
func begin(_ context.Context, env environment, f *flags) error {
	dir := f.repo
	switch {
	case len(f.rest) > 1:
		return usage(fmt.Errorf("init takes one directory, not %q", f.rest))
	case len(f.rest) == 1:
		dir = f.rest[0]
	}
	if _, err := repository(dir); err != nil {
		return usage(err)
	}
	c, err := parseConfig(f.optional)
	if err != nil {
		return usage(err)
	}
	workflow, err := workflows.ReadFile("examples/workflows/two-jobs.yml")
	if err != nil {
		return err
	}
	kept := 0
	for _, file := range []struct {
		name string
		data []byte
	}{
		{filepath.Join(".github", "workflows", "loop.yml"), workflow},
		{filepath.FromSlash(c.Spec), []byte(firstSpec)},
	} {
		if !filepath.IsLocal(file.name) {
			continue // the spec is an issue, or a text
		}
		switch err := writeNew(filepath.Join(dir, file.name), file.data); {
		case errors.Is(err, fs.ErrExist):
			kept++
			fmt.Fprintf(env.stdout, "kept     %s, which is there already\n", file.name)
		case err != nil:
			return err
		default:
			fmt.Fprintf(env.stdout, "written  %s\n", file.name)
		}
	}
	if kept == 2 {
		return usage(errors.New("both files are there already; nothing was written"))
	}
	fmt.Fprint(env.stdout, "\nNext: write what you want into the spec, name your model in the workflow, put its key into the secret\nMODEL_API_KEY, allow Actions to open pull requests, and push both files to the default branch.\nautonomous-loop plan shows beforehand what would be built.\n")
	return nil
}

// writeNew writes a file that must not be there yet.
func writeNew(name string, data []byte) error {
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil { //nolint:gosec // of a person's repository
		return err
	}
	file, err := os.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644) //nolint:gosec // likewise
	if err != nil {
		return err
	}
	_, err = file.Write(data)
	return errors.Join(err, file.Close())
}

// reportLoop is `report`: it makes the report anew from the state branch.
func reportLoop(ctx context.Context, env environment, f *flags) error {
	gitDir, c, err := f.loop()
	if err != nil {
		return err
	}
	to := f.out
	if len(f.rest) == 1 {
		to = f.rest[0]
	}
	if to == "" || len(f.rest) > 1 {
		return usage(errors.New("report takes one directory to write to"))
	}
	v, err := lookAt(ctx, env, c, gitDir, func(r *repo.Repo, v *report.View) error {
		v.Records, v.Images = evidence(ctx, r, v.State)
		return nil
	})
	if err != nil {
		return err
	}
	if v.State.Lineage == "" {
		return usage(fmt.Errorf("there is no loop %s in this repository yet", c.Loop))
	}
	html, err := report.HTML(v)
	if err != nil {
		return err
	}
	result, err := report.Result(v)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(to, 0o755); err != nil { //nolint:gosec // meant to be read
		return err
	}
	for name, data := range map[string][]byte{
		"report.html": html, "result.json": result, "progress.md": report.Progress(v), "comment.md": []byte(report.Comment(v)), "pull-request.md": []byte(report.PullRequest(v)),
	} {
		if err := os.WriteFile(filepath.Join(to, name), data, 0o644); err != nil { //nolint:gosec // meant to be read
			return err
		}
	}
	fmt.Fprintf(env.stdout, "report     %s\n", filepath.Join(to, "report.html"))
	return nil
}

// whose says who owns a loop, how it was handed over last, and what starts it next.
func whose(st runner.State, c config) string {
	owner := "none"
	if st.Status == runner.Running && st.Owner != nil {
		owner = fmt.Sprintf("run %s, attempt %d, since %s", st.Owner.Run, st.Owner.Attempt, st.Owner.Claimed.UTC().Format(time.RFC3339))
	}
	handed := ""
	if i := lastEnded(st.Sessions); i >= 0 {
		last := st.Sessions[i]
		handed = fmt.Sprintf("handoff    of session %d at %s: %s\n", last.Number, last.Ended.UTC().Format(time.RFC3339), cmp.Or(string(last.Reason), "everything is complete"))
	}
	return fmt.Sprintf("owner      %s\n%snext start %s\n", owner, handed, nextStart(st, c))
}

// lastEnded is the newest session that came to its end, -1 if none did.
func lastEnded(all []runner.SessionRecord) int {
	for i, s := range slices.Backward(all) {
		if !s.Ended.IsZero() {
			return i
		}
	}
	return -1
}

func nextStart(st runner.State, c config) string {
	by := map[runner.Continuation]string{
		runner.Auto: "by itself, or by the schedule", runner.Manual: "by a person", runner.Scheduled: "by the schedule, or a person", runner.OnEvent: "by the next event, or a person",
	}[c.LoopConfig.Continuation]
	switch st.Status {
	case runner.Running:
		return "by the session at work; if that died, by the schedule or a person"
	case runner.Done, runner.DoneWithExcept:
		return "by a changed spec"
	case runner.Stopped:
		return "by a person"
	case runner.AwaitingSuccessor:
		return "by itself: it was asked for"
	case runner.Waiting:
		if st.Reason == runner.AwaitingApproval {
			return "by a person, which approves the feature list"
		}
		if !st.Until.IsZero() {
			return by + ", not before " + st.Until.UTC().Format(time.RFC3339)
		}
	}
	return by
}
