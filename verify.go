package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/autonomous-loop/autonomous-loop/runner/pattern"

	"github.com/autonomous-loop/autonomous-loop/report"
	"github.com/autonomous-loop/autonomous-loop/runner/repo"
	"github.com/autonomous-loop/autonomous-loop/runner/verify"
)

// What verify found, for the exit code.
var (
	errBroken       = errors.New("a proof does not hold")
	errInconclusive = errors.New("not every proof could be given again; try once more, on a machine that is less busy")
)

// verifyLoop is `verify`: it proves a loop's features again, from a fresh clone.
func verifyLoop(ctx context.Context, env environment, f *flags) error {
	c, err := parseConfig(f.optional)
	if err != nil {
		return usage(err)
	}
	if f.seen != "" && !objectID.MatchString(f.seen) {
		return usage(fmt.Errorf("--seen %q is no id of a commit or state: it takes 7 to 64 characters, 0 to 9 and a to f", f.seen))
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
	show := &proofs{w: env.stdout, quiet: f.json, noRun: f.noRun}
	res, err := verifyPlace(ctx, env, f, c, p, dir, show)
	if _, ok := errors.AsType[*verify.UnknownError](err); ok {
		return usage(err)
	}
	if f.json && res.Schema > 0 {
		if err := json.NewEncoder(env.stdout).Encode(res); err != nil {
			return err
		}
	}
	if err != nil {
		return err
	}
	return show.conclude(res)
}

var objectID = pattern.MustCompile(`^[0-9a-f]{7,64}$`)

// remotePlace is a repository at a URL or in a folder, to be read.
func remotePlace(env environment, at string, c config) (place, error) {
	p := place{remote: at, links: report.Links{Branch: strings.TrimPrefix(c.workBranch(), "refs/heads/")}}
	if !strings.Contains(at, "://") {
		gitDir, err := repository(at)
		p.remote = gitDir
		return p, err
	}
	u, err := url.Parse(at)
	if err != nil {
		return p, fmt.Errorf("--repo %q is not a URL", at)
	}
	// A token is for its own server only, and never needed for what is public.
	server := cmp.Or(env.getenv("GITHUB_SERVER_URL"), "https://github.com")
	if token := cmp.Or(env.getenv("GH_TOKEN"), env.getenv("GITHUB_TOKEN")); token != "" && u.Scheme+"://"+u.Host == server {
		p.auth = repo.Auth{User: "x-access-token", Token: token}
	}
	return p, nil
}

func verifyPlace(ctx context.Context, env environment, f *flags, c config, p place, dir string, show *proofs) (res verify.Result, err error) {
	s := &session{}
	defer func() { err = errors.Join(err, s.Close()) }()
	r, found, c, err := openLoop(ctx, env, c, p, dir, nil, f.optional)
	if err != nil {
		return res, err
	}
	o := verify.Options{Repo: r, Shelf: past{r}, Found: found, Features: f.rest, Seen: f.seen, Notify: show.show}
	show.loop(c, p, found)
	if !f.noRun && found.State != nil && found.Chain == nil { // else nothing will be judged
		box, err := s.sandbox(ctx, env, c, dir)
		if err != nil {
			return res, err
		}
		if err := box.Held(); err != nil {
			return res, err
		}
		page, err := s.browser(ctx, env, c, box, dir)
		if err != nil {
			return res, err
		}
		if o.Gates, err = openGates(env, c, r, page, nil, box, dir); err != nil {
			return res, err
		}
	}
	return verify.Run(ctx, o)
}
