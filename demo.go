package main

import (
	"context"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/autonomous-loop/autonomous-loop/runner"
	"github.com/autonomous-loop/autonomous-loop/runner/forge"
)

// The demo is a project, a spec and a script that answers in a model's place.
// Everything else is real: the loop, git, the tests, the browser.
//
//go:embed all:examples/demo
var examples embed.FS

// A staging says how the demo's loop is set up, and which session is killed.
type staging struct {
	FeaturesPerSession int   `json:"features_per_session"`
	RepairsPerAttempt  int   `json:"repairs_per_attempt"`
	AttemptsPerFeature int   `json:"attempts_per_feature"`
	TokenBudget        int64 `json:"token_budget"`
	MaxSessions        int   `json:"max_sessions"`
	Kill               *struct {
		Feature string       `json:"feature"`
		Attempt int          `json:"attempt"`
		Phase   runner.Phase `json:"phase"`
	} `json:"kill"`
}

// demo plays examples/demo, or the directory of the same form that is named, and
// leaves everything in --out, default build/demo.
func demo(ctx context.Context, env environment, f *flags) error {
	var source fs.FS
	source, err := fs.Sub(examples, "examples/demo")
	if err != nil {
		return err
	}
	if len(f.rest) > 1 {
		return usage(fmt.Errorf("demo takes one directory, not %q", f.rest))
	}
	if len(f.rest) > 0 {
		source = os.DirFS(f.rest[0])
	}
	out := f.out
	if out == "" {
		out = filepath.Join("build", "demo")
	}
	if out, err = filepath.Abs(out); err != nil {
		return err
	}
	s, err := stage(ctx, source, out)
	if err != nil {
		return fmt.Errorf("set up the demo in %s: %w", out, err)
	}
	log, err := os.Create(filepath.Join(out, "demo.log"))
	if err != nil {
		return err
	}
	defer log.Close()

	remote := filepath.Join(out, "remote.git")
	args := []string{
		"run", "--repo", remote, "--spec", "SPEC.md", "--model", "script:" + filepath.Join(out, "model.txtar"),
		"--features-per-session", strconv.Itoa(s.FeaturesPerSession), "--repairs-per-attempt", strconv.Itoa(s.RepairsPerAttempt),
		"--attempts-per-feature", strconv.Itoa(s.AttemptsPerFeature), "--token-budget", strconv.FormatInt(s.TokenBudget, 10),
		"--max-sessions", strconv.Itoa(max(s.MaxSessions, 10)), "--e2e", "required",
	}
	run, err := parseFlags(args[0], args[1:])
	if err != nil {
		return err
	}
	run.getenv = env.getenv
	c, err := parseConfig(run.lookup)
	if err != nil {
		return err
	}
	show := &progress{w: io.MultiWriter(env.stdout, log), terminal: env.tty, begun: env.now()}
	if env.tty {
		show.w = env.stdout
	}
	show.line("a project, its spec and a scripted model are in " + out)
	loop := &chain{
		env: env, args: args, gitDir: remote, config: c, show: show, kill: s.killer(),
		folder: forge.Local(forge.LocalOptions{Dir: forgeDir(remote, c.Loop)}),
	}
	res, err := loop.run(ctx)
	show.clear()
	err = errors.Join(err, conclude(ctx, env, c, remote, out), keepLogs(filepath.Join(forgeDir(remote, c.Loop), "artifacts"), filepath.Join(out, "logs")))
	if err == nil && !res.Success {
		err = errors.New("the demo did not complete all features")
	}
	return err
}

// keepLogs copies what the sessions uploaded, if any came that far.
func keepLogs(from, to string) error {
	if _, err := os.Stat(from); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return os.CopyFS(to, os.DirFS(from))
}

// killer kills the session that works on the staged phase, once it has done
// something there.
func (s staging) killer() func(runner.Event, string) bool {
	if s.Kill == nil {
		return nil
	}
	return func(e runner.Event, turn string) bool {
		return turn != "" && e.Step == "phase" && e.Feature == s.Kill.Feature && e.Attempt == s.Kill.Attempt && e.Phase == s.Kill.Phase
	}
}

// stage lays out the demo anew: the project as a bare repository with one
// commit, the script, the settings.
func stage(ctx context.Context, source fs.FS, out string) (staging, error) {
	var s staging
	data, err := fs.ReadFile(source, "demo.json")
	if err != nil {
		return s, err
	}
	if err := json.Unmarshal(data, &s); err != nil {
		return s, fmt.Errorf("demo.json: %w", err)
	}
	for _, name := range []string{"remote.git", "logs", "project"} {
		if err := os.RemoveAll(filepath.Join(out, name)); err != nil {
			return s, err
		}
	}
	project := filepath.Join(out, "project")
	sub, err := fs.Sub(source, "project")
	if err != nil {
		return s, err
	}
	if err := os.CopyFS(project, sub); err != nil {
		return s, err
	}
	script, err := fs.ReadFile(source, "model.txtar")
	if err != nil {
		return s, err
	}
	if err := os.WriteFile(filepath.Join(out, "model.txtar"), script, 0o644); err != nil { //nolint:gosec // meant to be read
		return s, err
	}
	for _, args := range [][]string{
		{"init", "--quiet", "--initial-branch=main"},
		{"add", "--all"},
		{"-c", "user.name=A maintainer", "-c", "user.email=maintainer@example.com", "-c", "commit.gpgsign=false", "commit", "--quiet", "-m", "Begin the project"},
		{"clone", "--quiet", "--bare", ".", filepath.Join(out, "remote.git")},
	} {
		cmd := exec.CommandContext(ctx, "git", args...)
		cmd.Dir = project
		if said, err := cmd.CombinedOutput(); err != nil {
			return s, fmt.Errorf("git %s: %w: %s", args[0], err, strings.TrimSpace(string(said)))
		}
	}
	return s, os.RemoveAll(project)
}
