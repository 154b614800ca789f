package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/autonomous-loop/autonomous-loop/runner"
	"github.com/autonomous-loop/autonomous-loop/runner/browser"
	"github.com/autonomous-loop/autonomous-loop/runner/doctor"
	"github.com/autonomous-loop/autonomous-loop/runner/forge"
	"github.com/autonomous-loop/autonomous-loop/runner/repo"
	"github.com/autonomous-loop/autonomous-loop/runner/sandbox"
)

// What doctor found, for the exit code.
var errIll = errors.New("the machine or the settings want mending, see above")

// diagnose is `doctor`: it looks over the machine, the settings, and the loop
// with the whole chain of its transactions. It changes nothing.
func diagnose(ctx context.Context, env environment, f *flags) error {
	c, err := parseConfig(f.optional)
	if err != nil {
		return usage(err)
	}
	p, err := remotePlace(env, f.repo, c)
	if err != nil {
		return usage(err)
	}
	dir, remove, err := privateDir()
	if err != nil {
		return err
	}
	defer remove()
	s := &session{}
	o := doctor.Options{Probes: s.probes(env, f, c, dir)}
	if !f.json {
		o.Notify = func(found doctor.Finding) { fmt.Fprint(env.stdout, tellFinding(found)) }
	}
	r, err := openRepo(ctx, env, c, p, dir, nil)
	if err != nil {
		return errors.Join(err, s.Close())
	}
	o.Repo = r
	if o.Found, o.Load = r.Load(ctx); ctx.Err() != nil {
		return errors.Join(context.Cause(ctx), s.Close())
	}
	if o.Forge, err = lookedAt(env, f.repo, p, c); err != nil {
		return errors.Join(usage(err), s.Close())
	}
	o.Probes = append(o.Probes, workflowProbe(r, c, f.optional))
	if hub, ok := o.Forge.(*forge.Hub); ok {
		o.Probes = append(o.Probes, tokenProbe(hub), doctor.Probe{Check: "rules", Mend: "exclude the loop's branches from the ruleset, or put the app whose token the loop uses on its bypass list", Look: func(ctx context.Context) (string, error) {
			return "no ruleset is in the way of what the loop pushes", barring(ctx, hub, c, o.Found)
		}})
	}
	res, err := doctor.Run(ctx, o)
	if err = errors.Join(err, s.Close()); err != nil {
		return err
	}
	if f.json {
		if err := json.NewEncoder(env.stdout).Encode(res); err != nil {
			return err
		}
	}
	return verdictOf(res)
}

// verdictOf is what was found as an error.
func verdictOf(res doctor.Result) error {
	damages, ill := 0, false
	for _, f := range res.Findings {
		switch {
		case f.Level == doctor.Unknown, f.Kind == doctor.Unfit:
			ill = true
		case f.Level == doctor.Damage:
			damages++
		}
	}
	switch {
	case damages > 0:
		return &runner.StateError{Type: runner.Corrupt, Err: fmt.Errorf("the loop is damaged in %d places, see above; nothing was changed", damages)}
	case ill:
		return errIll
	}
	return nil
}

// tellFinding is a finding for people.
func tellFinding(f doctor.Finding) string {
	what := string(f.Level)
	if f.Kind != "" {
		what += ": " + f.Kind
	}
	s := fmt.Sprintf("%-14s %s: %s\n", f.Check, what, logLine(f.Says))
	if f.Mend != "" {
		s += fmt.Sprintf("%-14s to mend it: %s\n", "", logLine(f.Mend))
	}
	return s
}

// probes look at the machine and the settings.
func (s *session) probes(env environment, f *flags, c config, dir string) []doctor.Probe {
	probes := []doctor.Probe{
		{Check: "git", Mend: "install git, 2.25 or newer", Look: func(ctx context.Context) (string, error) {
			out, err := exec.CommandContext(ctx, "git", "--version").Output()
			return strings.TrimSpace(string(out)), err
		}},
		{Check: "disk", Mend: "make room, or let TMPDIR name another place", Look: func(context.Context) (string, error) { return space(os.TempDir()) }},
		{Check: "isolation", Mend: "use a kernel with Landlock, from Linux 6.7 on as root, else 6.12; see SECURITY.md", Look: func(ctx context.Context) (string, error) {
			box, err := sandbox.Open(ctx, sandbox.Options{Isolation: c.Isolation, Dir: filepath.Join(dir, "sandbox"), Path: env.getenv("PATH")})
			if err != nil {
				return "", err
			}
			s.close = append(s.close, box.Close)
			return box.Rung(), nil
		}},
		{Check: "browser", Mend: "run `make setup`, or set e2e: off to do without; then nothing is checked end to end", Look: func(context.Context) (string, error) {
			if c.E2E == "off" {
				return "none is asked for", nil
			}
			paths, err := browser.Find(env.getenv, func(path string) bool { _, err := os.Stat(path); return err == nil })
			return paths.Chromium, err
		}},
	}
	if f.values["model"] == "" {
		return probes
	}
	return append(probes, doctor.Probe{Check: "model", Mend: "see the inputs model, base-url and api-key", Look: func(ctx context.Context) (string, error) {
		asked, err := parseConfig(f.lookup)
		if err != nil {
			return "", err
		}
		client, err := s.model(env, asked, nil)
		if err == nil {
			err = client.Probe(ctx)
		}
		return asked.Model + " answers", err
	}})
}

// workflowProbe looks whether the workflow gives a session the time that it asks
// for.
func workflowProbe(r *repo.Repo, c config, lookup func(string) string) doctor.Probe {
	name := ".github/workflows/" + path.Base(cmp.Or(c.Workflow, "loop.yml"))
	return doctor.Probe{Check: "workflow", Kind: "short job", Mend: "let the job's timeout-minutes be 10 more than session-minutes, as a number; a session that has less ends earlier", Look: func(ctx context.Context) (string, error) {
		data, err := r.Read(ctx, name)
		if err != nil {
			return name + " is not on the base branch: nothing is known of its jobs", nil //nolint:nilerr // on a laptop there is none
		}
		set, err := withFile(ctx, r, c.ConfigFile, lookup)
		if err != nil {
			set = c // what is wrong with the file, a session says
		}
		short, sessions, err := shortJobs(data, set.SessionMinutes)
		if err == nil && len(short) > 0 {
			err = errors.New(strings.Join(short, "; "))
		}
		return fmt.Sprintf("%s gives its %d sessions the time that they ask for", name, sessions), err
	}}
}

// tokenProbe looks what the token may do, as far as that can be read.
func tokenProbe(hub *forge.Hub) doctor.Probe {
	return doctor.Probe{Check: "token", Mend: "give the token, or the job, the permissions contents, pull-requests and actions: write, and issues: read; a classic token the scope repo", Look: func(ctx context.Context) (string, error) {
		rights, err := hub.Rights(ctx)
		if err != nil {
			return "", err
		}
		if len(rights.Lacks) > 0 {
			return "", fmt.Errorf("it %s", strings.Join(rights.Lacks, ", "))
		}
		return rights.Says, nil
	}}
}

// space says how much room there is.
func space(dir string) (string, error) {
	const least = 2 << 30
	var st syscall.Statfs_t
	if err := syscall.Statfs(dir, &st); err != nil {
		return "", err
	}
	free := st.Bavail * uint64(st.Bsize) //nolint:gosec // a size of blocks is never negative
	says := fmt.Sprintf("%.1f GB are free in %s", float64(free)/(1<<30), dir)
	if free < least {
		return "", fmt.Errorf("only %s; a session wants 2", says)
	}
	return says, nil
}

// lookedAt is the forge that shows the loop, nil if it cannot be asked from here.
func lookedAt(env environment, at string, p place, c config) (doctor.Forge, error) {
	if strings.Contains(at, "://") && p.auth.Token == "" {
		return nil, nil
	}
	by, err := handPlace(env, at, c)
	if err != nil {
		return nil, err
	}
	f, err := by.forge(c, c.Base)
	if err != nil {
		return nil, err
	}
	shown, _ := f.(doctor.Forge)
	return shown, nil
}
