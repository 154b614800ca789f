package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/autonomous-loop/autonomous-loop/report"
	"github.com/autonomous-loop/autonomous-loop/runner"
	"github.com/autonomous-loop/autonomous-loop/runner/forge"
	"github.com/autonomous-loop/autonomous-loop/runner/repo"
)

// A point is a checkpoint as JSON.
type point struct {
	ID           string       `json:"id"`
	Kind         string       `json:"kind"`
	Name         string       `json:"name"`
	Description  string       `json:"description"`
	Timestamp    time.Time    `json:"timestamp"`
	GitState     gitState     `json:"git_state"`
	FeatureState featureState `json:"feature_state"`
	Context      pointContext `json:"context"`
}

type gitState struct {
	CommitHash string   `json:"commit_hash"` // the code, finished or not
	Branch     string   `json:"branch"`
	DirtyFiles []string `json:"dirty_files"` // of unfinished work: what it changes of what was verified
}

type featureState struct {
	Current      string   `json:"current"`
	Completed    []string `json:"completed"`
	SnapshotPath string   `json:"snapshot_path"` // of the feature list, as git show takes it
}

type pointContext struct {
	SessionNumber int   `json:"session_number"`
	TokenUsage    int64 `json:"token_usage"`
}

// checkpoints is `checkpoint`: it lists the points to return to, makes one, or
// deletes one that was made by hand.
func checkpoints(ctx context.Context, env environment, f *flags) error {
	name := strings.Join(f.rest, " ")
	_, number := strconv.Atoi(name)
	switch {
	case f.forget != "" && (name != "" || f.list):
		return usage(fmt.Errorf("--delete stands alone"))
	case number == nil || name == runner.LatestCheckpoint:
		return usage(fmt.Errorf("a checkpoint cannot be called %s, which rollback would take for another; give it a name with a letter in it", name))
	}
	return byHand(ctx, env, f, func(s *runner.Session, r *repo.Repo, c config) error {
		switch {
		case f.list || f.json && name == "":
			return listed(ctx, env, f, s, r, c)
		case f.forget != "":
			serial, err := strconv.Atoi(f.forget)
			if err != nil {
				return usage(fmt.Errorf("--delete %q is no id of a checkpoint; see autonomous-loop checkpoint --list", f.forget))
			}
			if err := s.Forget(ctx, serial); err != nil {
				return err
			}
			fmt.Fprintf(env.stdout, "checkpoint %d is deleted; what it saved stays on the state branch\n", serial)
			return nil
		}
		made, err := s.Checkpoint(ctx, name, f.why)
		if err != nil {
			return err
		}
		if f.json {
			points, err := pointsOf(ctx, r, c, []runner.Checkpoint{made})
			if err != nil {
				return err
			}
			return json.NewEncoder(env.stdout).Encode(points[0])
		}
		fmt.Fprintf(env.stdout, "checkpoint %d is made; return to it with autonomous-loop rollback %[1]d\n", made.Serial)
		return nil
	})
}

// listed shows the index, the newest last.
func listed(ctx context.Context, env environment, f *flags, s *runner.Session, r *repo.Repo, c config) error {
	st, err := s.Look(ctx)
	if err != nil {
		return err
	}
	points, err := pointsOf(ctx, r, c, st.Points)
	if err != nil {
		return err
	}
	if f.json {
		return json.NewEncoder(env.stdout).Encode(points)
	}
	if len(points) == 0 {
		fmt.Fprintln(env.stdout, "there is no checkpoint yet")
	}
	for _, p := range points {
		note := fmt.Sprintf("%d complete", len(p.FeatureState.Completed))
		if p.FeatureState.Current != "" {
			note += ", at " + p.FeatureState.Current
		}
		if n := len(p.GitState.DirtyFiles); n > 0 {
			note += fmt.Sprintf(", %d files of unfinished work", n)
		}
		fmt.Fprintf(env.stdout, "%5s  %-9s  %s  %.7s  %s  %s\n", p.ID, p.Kind, p.Timestamp.UTC().Format("2006-01-02 15:04"), p.GitState.CommitHash, note, p.Name)
	}
	return nil
}

// pointsOf reads what a checkpoint saved from the transaction that it names.
func pointsOf(ctx context.Context, r *repo.Repo, c config, points []runner.Checkpoint) ([]point, error) {
	said := make([]point, len(points))
	err := r.Transactions(ctx, func(commit string, tx runner.Transaction) error {
		st, err := runner.Decode(tx.State, tx.List)
		if err != nil {
			return err
		}
		i := slices.IndexFunc(points, func(p runner.Checkpoint) bool { return p.Serial == st.Serial })
		if i < 0 {
			return nil
		}
		p := points[i]
		said[i] = point{
			ID: strconv.Itoa(p.Serial), Kind: string(p.Kind), Name: cmp.Or(p.Name, named(p)), Description: p.Description, Timestamp: p.Time.UTC(),
			GitState:     gitState{CommitHash: st.Code, Branch: strings.TrimPrefix(c.workBranch(), "refs/heads/"), DirtyFiles: []string{}},
			FeatureState: featureState{Completed: []string{}, SnapshotPath: commit + ":feature_list.json"},
			Context:      pointContext{SessionNumber: st.Spent.Sessions, TokenUsage: st.Spent.Tokens},
		}
		if st.Code != st.Work {
			if said[i].GitState.DirtyFiles, err = r.Changed(ctx, st.Work, st.Code); err != nil {
				return err
			}
		}
		if st.Wip != nil {
			said[i].FeatureState.Current = st.Wip.Feature
		}
		for _, f := range st.Features {
			if f.Status == runner.Complete {
				said[i].FeatureState.Completed = append(said[i].FeatureState.Completed, f.ID)
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read the checkpoints: %w", err)
	}
	return said, nil
}

// named is a checkpoint that nobody gave a name.
func named(p runner.Checkpoint) string {
	switch {
	case p.Before > 0:
		return fmt.Sprintf("before the rollback to %d", p.Before)
	case p.Kind == runner.FeatureReached:
		return p.Feature + " is complete"
	case p.Kind == runner.SessionStart:
		return "a session starts"
	case p.Feature != "":
		return p.Feature + " is at work"
	}
	return ""
}

// rollback is `rollback`: it returns the loop to a checkpoint.
func rollback(ctx context.Context, env environment, f *flags) error {
	if len(f.rest) != 1 {
		return usage(fmt.Errorf("rollback takes one checkpoint: its id, its name, or %s; see autonomous-loop checkpoint --list", runner.LatestCheckpoint))
	}
	return byHand(ctx, env, f, func(s *runner.Session, r *repo.Repo, c config) error {
		_, done, err := s.Rollback(ctx, r, f.rest[0], f.why)
		if err != nil {
			return err
		}
		if f.json {
			return json.NewEncoder(env.stdout).Encode(done)
		}
		if done.Serial == 0 {
			fmt.Fprintf(env.stdout, "the loop stands at checkpoint %d already; nothing was changed\n", done.To)
			return nil
		}
		fmt.Fprintf(env.stdout, "rolled back to checkpoint %d: %s holds the files of %.7s again (commit %.7s)\n",
			done.To, strings.TrimPrefix(c.workBranch(), "refs/heads/"), done.Code, done.Commit)
		if len(done.Features) > 0 {
			fmt.Fprintf(env.stdout, "to be done again: %s\n", strings.Join(done.Features, ", "))
		}
		fmt.Fprintf(env.stdout, "undo it with autonomous-loop rollback %d; start the loop to go on from here\n", done.Serial-1)
		return nil
	})
}

// byHand opens a loop on which a person wants to do something, on a laptop or on
// GitHub.
func byHand(ctx context.Context, env environment, f *flags, do func(*runner.Session, *repo.Repo, config) error) error {
	c, err := parseConfig(f.optional)
	if err != nil {
		return usage(err)
	}
	p, err := handPlace(env, f.repo, c)
	if err != nil {
		return usage(err)
	}
	r, remove, err := openApart(ctx, env, c, p)
	if err != nil {
		return err
	}
	defer remove()
	fg, err := p.forge(c, c.Base)
	if err != nil {
		return usage(err)
	}
	mem := openMemory(r)
	s := &runner.Session{
		Repo: r, Forge: fg, Memory: mem, Config: c.LoopConfig, Loop: c.Loop, Owner: p.owner, Now: env.now,
		Papers: func(st runner.State, res runner.LoopResult) runner.Papers {
			return papers(ctx, r, &journal{}, report.View{State: st, Result: res, Links: p.links, Now: env.now()})
		},
	}
	return do(s, r, c)
}

// handPlace is a repository in a folder, or at a URL on GitHub with the token of
// the person who is at work.
func handPlace(env environment, at string, c config) (place, error) {
	if !strings.Contains(at, "://") {
		gitDir, err := repository(at)
		if err != nil {
			return place{}, err
		}
		return localPlace(c, gitDir, childTask{Trigger: runner.ByPerson}, env.now())
	}
	p, err := remotePlace(env, at, c)
	if err != nil {
		return p, err
	}
	if p.auth.Token == "" {
		return p, fmt.Errorf("--repo %s is written to, which takes a token: set GH_TOKEN to one that may read its actions and write its contents", at)
	}
	u, err := url.Parse(at)
	if err != nil {
		return p, err
	}
	server, name := u.Scheme+"://"+u.Host, strings.TrimSuffix(strings.Trim(u.Path, "/"), ".git")
	p.remote = server + "/" + name + ".git"
	p.links.Repository, p.links.Resume = name, "gh workflow run"
	p.forge = func(config, string) (runner.Forge, error) {
		return forge.GitHub(forge.Options{
			Token: p.auth.Token, APIURL: cmp.Or(env.getenv("GITHUB_API_URL"), apiOf(u)), ServerURL: server, Repository: name,
			Branch: p.links.Branch, Loop: c.Loop, Sleep: sleep, Now: env.now,
		})
	}
	return p, nil
}

// apiOf is where a GitHub server has its API.
func apiOf(server *url.URL) string {
	if server.Host == "github.com" {
		return "https://api.github.com"
	}
	return server.Scheme + "://" + server.Host + "/api/v3"
}
