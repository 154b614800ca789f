package main

import (
	"bytes"
	"cmp"
	"context"
	crand "crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/autonomous-loop/autonomous-loop/report"
	"github.com/autonomous-loop/autonomous-loop/runner"
	"github.com/autonomous-loop/autonomous-loop/runner/agent"
	"github.com/autonomous-loop/autonomous-loop/runner/browser"
	"github.com/autonomous-loop/autonomous-loop/runner/check"
	"github.com/autonomous-loop/autonomous-loop/runner/forge"
	"github.com/autonomous-loop/autonomous-loop/runner/memory"
	"github.com/autonomous-loop/autonomous-loop/runner/model"
	"github.com/autonomous-loop/autonomous-loop/runner/pattern"
	"github.com/autonomous-loop/autonomous-loop/runner/plan"
	"github.com/autonomous-loop/autonomous-loop/runner/repo"
	"github.com/autonomous-loop/autonomous-loop/runner/sandbox"
	"github.com/autonomous-loop/autonomous-loop/runner/tool"
)

// author of every commit of the loop.
const author = "autonomous-loop[bot] <autonomous-loop@users.noreply.github.com>"

// A place is where a session runs: all that differs between a job on GitHub and
// a laptop.
type place struct {
	remote  string
	auth    repo.Auth
	owner   runner.Owner
	trigger runner.Trigger
	lineage string // of the loop that the request for this session names
	links   report.Links
	local   bool
	ignore  []string // what a person ignores on their machine, see personal
	seeds   string   // directory of build caches that outlive the session; "": none

	// forge is made once the repository is open, because it wants to know the
	// base branch.
	forge func(c config, base string) (runner.Forge, error)
	// allot says what a session gets of the time that it asks for; nil: all of it.
	allot func(asked time.Duration) allotment
	// issue reads the spec from an issue; nil where there are none.
	issue func(ctx context.Context, c config, number int) (plan.Source, error)
}

// A session is a wired runner.Session and what has to be closed after it.
type session struct {
	runner.Session
	close []func() error
	rung  string
	time  allotment

	barred error // why the forge would refuse what the loop pushes: no model is asked then

	cacheKey  string // of all that the loop asks
	endpoints []runner.Endpoint
}

func (s *session) Close() error {
	var errs []error
	for _, closing := range slices.Backward(s.close) {
		errs = append(errs, closing())
	}
	s.close = nil
	return errors.Join(errs...)
}

// An environment is what main gives to the rest of the program of the outside
// world.
type environment struct {
	getenv func(string) string
	stdout io.Writer
	stderr io.Writer
	now    func() time.Time
	tty    bool
	leave  leave

	transport http.RoundTripper // to the model's provider
}

// openRepo opens the repository and reads the config file of its base branch,
// before anything else is looked at. Secrets are never recorded in a commit.
func openRepo(ctx context.Context, env environment, c config, p place, dir string, owner *repo.Owner) (*repo.Repo, error) {
	// Commands walk through it to the work tree; the git directory stays closed.
	if err := os.Mkdir(filepath.Join(dir, "repo"), 0o711); err != nil { //nolint:gosec // see the line above
		return nil, err
	}
	return repo.Open(ctx, repo.Options{
		Remote: p.remote, Auth: p.auth, Dir: filepath.Join(dir, "repo"),
		StateBranch: c.StateBranch, WorkBranch: c.workBranch(), Base: c.Base, Author: author,
		Now: env.now, Retry: []time.Duration{time.Second, 2 * time.Second, 4 * time.Second, 8 * time.Second, 16 * time.Second}, Owner: owner,
		Sleep: sleep, Log: func(text string) { fmt.Fprintln(env.stderr, text) },
		Secrets: nonEmpty(c.APIKey.reveal(), c.GitHubToken.reveal()), Ignore: p.ignore,
	})
}

// openApart opens the repository in a directory of its own, for what neither runs
// nor lays out anything; remove ends it.
func openApart(ctx context.Context, env environment, c config, p place) (r *repo.Repo, remove func(), err error) {
	dir, remove, err := privateDir()
	if err != nil {
		return nil, nil, err
	}
	if r, err = openRepo(ctx, env, c, p, dir, nil); err != nil {
		remove()
		return nil, nil, err
	}
	return r, remove, nil
}

func nonEmpty(values ...string) []string {
	var kept []string
	for _, v := range values {
		if v != "" {
			kept = append(kept, v)
		}
	}
	return kept
}

// openLoop opens a loop's repository and reads what stands there: the loop as it
// was left, and the settings with those of its configuration file.
func openLoop(ctx context.Context, env environment, c config, p place, dir string, owner *repo.Owner, lookup func(string) string) (*repo.Repo, runner.Found, config, error) {
	r, err := openRepo(ctx, env, c, p, dir, owner)
	if err != nil {
		return nil, runner.Found{}, c, err
	}
	found, err := r.Load(ctx)
	if err != nil {
		return nil, runner.Found{}, c, err
	}
	if c, err = withFile(ctx, r, c.ConfigFile, lookup); err != nil {
		return nil, runner.Found{}, c, usage(err)
	}
	r.Allow(c.NotSecrets)
	return r, found, c, nil
}

// withFile reads the config file at the base branch's tip, if there is one, and
// parses everything again with its values below those of lookup.
func withFile(ctx context.Context, r *repo.Repo, name string, lookup func(string) string) (config, error) {
	data, err := r.Read(ctx, name)
	if errors.Is(err, fs.ErrNotExist) {
		return parseConfig(lookup)
	}
	if err != nil {
		return config{}, fmt.Errorf("read the config file: %w", err)
	}
	values, err := parseFile(name, data)
	c, parseErr := parseConfig(func(name string) string { return cmp.Or(lookup(name), values[name]) })
	return c, errors.Join(err, parseErr)
}

// wire builds a session of real parts. dir is private to it, but its path can be
// walked by the sandbox's user.
func wire(ctx context.Context, env environment, lookup func(string) string, p place, dir string, notify func(runner.Event), turn func(agent.Event)) (_ *session, err error) {
	s := &session{}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Close())
		}
	}()
	c, err := parseConfig(lookup)
	if err != nil {
		return nil, usage(err)
	}
	box, err := s.sandbox(ctx, env, c, dir)
	if err != nil {
		return nil, err
	}
	uid, gid := box.User()
	r, found, c, err := openLoop(ctx, env, c, p, dir, &repo.Owner{UID: uid, GID: gid}, lookup)
	if err != nil {
		return nil, err
	}
	if c.Off {
		return nil, errOff
	}
	spec, err := readSpec(ctx, c, p, r, found.Base.Commit)
	if err != nil {
		return nil, usage(err)
	}
	if err := box.Held(); err != nil { // was tried meanwhile
		return nil, err
	}
	warm(ctx, box, r, p.seeds, notify, env.now)
	s.cacheKey = runner.Hash([]byte(p.remote + " " + c.Loop))[:32]
	f, err := p.forge(c, found.Base.Branch)
	if err != nil {
		return nil, err
	}
	s.barred = barred(ctx, f, c, found)
	models, down, err := s.models(ctx, env, c, p.trigger, found, notify)
	if err != nil {
		return nil, err
	}
	client := models.build
	page, err := s.browser(ctx, env, c, box, dir)
	if err != nil {
		return nil, err
	}
	gates, err := openGates(env, c, r, page, models.reviewer(), box, dir)
	if err != nil {
		return nil, err
	}
	tools, err := tool.Open(tool.Options{
		Dir: r.Work(), LogDir: filepath.Join(dir, "logs"), Shell: box, Net: sandbox.Local,
		Start: func(ctx context.Context, c sandbox.Command) (tool.Process, error) { return box.Start(ctx, c) },
		Tests: func(ctx context.Context, scope string) (string, string, error) {
			return gates.Feedback(ctx, r.Work(), scope)
		},
		Page:     pageOf(page),
		MayWrite: check.MayWrite, Patch: patches(c.Edit, c.Model), Ripgrep: ripgrep(env.getenv("PATH")),
	})
	if err != nil {
		return nil, err
	}
	s.close = append(s.close, tools.Close)
	asking := spec.options(c, client)
	asking.Price = client.Price
	planner, err := plan.Open(asking)
	if err != nil {
		return nil, err
	}
	var artifact func(context.Context, string, string) ([]runner.File, error)
	if hub, ok := f.(*forge.Hub); ok {
		artifact = func(ctx context.Context, run, name string) ([]runner.File, error) {
			id, err := strconv.ParseInt(run, 10, 64)
			if err != nil {
				return nil, fmt.Errorf("run %q is not one of GitHub's", run)
			}
			return hub.Download(ctx, id, name)
		}
	}
	journal := &journal{notify: notify}
	told, err := takeIn(ctx, r)
	if err != nil {
		return nil, err
	}
	c.LoopConfig.Trigger, c.LoopConfig.Grace, c.LoopConfig.Look = p.trigger, grace, lookEvery(env.getenv)
	if s.time = (allotment{Session: c.SessionMinutes}); p.allot != nil {
		s.time = p.allot(c.SessionMinutes)
	}
	c.LoopConfig.SessionTime, c.LoopConfig.Due, c.LoopConfig.Beat = s.time.Session, s.time.Due, beatEvery(env.getenv)
	mem := openMemory(r)
	s.Session = runner.Session{
		Repo: r, Planner: planner, Gates: gates, Forge: f, Memory: mem, Config: c.LoopConfig,
		Agent:     agent.Open(agent.Options{Model: client, Price: client.Price, Sees: client.Sees, Tools: tools, Gauge: gauge{r, gates}, Similar: mem.Similar, Bands: c.Bands, Intake: told.root, Nested: told.nested, RepoMap: told.layout, Event: turn, Transcript: &journal.transcript}),
		Cancelled: env.leave.cancelled, Hurry: env.leave.hurry, Artifact: artifact,
		Loop: c.Loop, Lineage: p.lineage, Fresh: newLineage(), Owner: p.owner, Spec: spec.Spec, Unclear: spec.unclear(c), Down: down,
		Now: env.now, Notify: journal.take, Words: report.Record, Health: models.health, Known: models.known,
		Papers: func(st runner.State, res runner.LoopResult) runner.Papers {
			p := papers(ctx, r, journal, report.View{State: st, Result: res, Links: p.links, Isolation: s.rung, Notify: c.Notify, Now: env.now()})
			p.Upload = append(p.Upload, kept(filepath.Join(dir, "pages"))...)
			return p
		},
	}
	return s, nil
}

// barred is why the forge would refuse what the loop pushes, as far as it says so
// before. What cannot be asked is in nobody's way.
func barred(ctx context.Context, f runner.Forge, c config, found runner.Found) error {
	hub, ok := f.(*forge.Hub)
	if !ok {
		return nil
	}
	if stop, ok := errors.AsType[*runner.StopError](barring(ctx, hub, c, found)); ok {
		return stop
	}
	return nil
}

func barring(ctx context.Context, hub *forge.Hub, c config, found runner.Found) error {
	name := func(ref string) string { return strings.TrimPrefix(ref, "refs/heads/") }
	var there []string
	if found.State != nil {
		there = append(there, name(c.StateBranch))
	}
	if found.Work != "" {
		there = append(there, name(c.workBranch()))
	}
	return hub.Barred(ctx, name(c.StateBranch), name(c.workBranch()), there)
}

// openMemory opens what the loop in r has learned.
func openMemory(r *repo.Repo) *memory.Store {
	return memory.Open(memory.Options{
		Load:  func(ctx context.Context) ([]runner.File, error) { return r.StateFiles(ctx, "memory/") },
		Scrub: r.Scrub,
	})
}

// ripgrep is where rg is in a search path, "" if nowhere.
func ripgrep(path string) string {
	for _, dir := range filepath.SplitList(path) {
		name := filepath.Join(dir, "rg")
		//nolint:gosec,nolintlint // a search path is there to be looked through; gosec does not always see it
		if st, err := os.Stat(name); filepath.IsAbs(name) && err == nil && st.Mode().IsRegular() && st.Mode()&0o111 != 0 {
			return name
		}
	}
	return ""
}

// gpt matches the models that were taught apply_patch, whoever serves them. Others
// do better with old and new text (docs/tools.md).
var gpt = pattern.MustCompile(`(?i)(^|/)(chat)?(gpt|codex)-`)

// patches says whether a model changes files by patches.
func patches(edit, model string) bool {
	return edit == "patch" || edit == "auto" && gpt.MatchString(model)
}

// sandbox opens what everything is run in that somebody else has written.
func (s *session) sandbox(ctx context.Context, env environment, c config, dir string) (*sandbox.Sandbox, error) {
	box, err := sandbox.Open(ctx, sandbox.Options{Isolation: c.Isolation, Dir: filepath.Join(dir, "sandbox"), Path: env.getenv("PATH")})
	if err != nil {
		return nil, err
	}
	s.close = append(s.close, box.Close)
	s.rung = box.Rung()
	return box, nil
}

// openGates opens the gates on a repository. reviewer is nil where no model is
// asked.
func openGates(env environment, c config, r *repo.Repo, page *browser.Browser, reviewer check.Reviewer, box *sandbox.Sandbox, dir string) (*check.Gates, error) {
	return check.Open(check.Options{
		Trees: r, Browser: accepter(page), Review: reviewer, Run: judged{box}, Own: box.OwnJudge, Place: box.Place, Compile: box.Compile, Work: box, Dir: filepath.Join(dir, "check"),
		Test: c.Test, Setup: c.Setup, Start: c.Start, URL: c.URL, TDD: c.TDD, E2E: check.E2E(c.E2E),
		SetupNet: sandbox.Full, Rand: crand.Reader, Now: env.now,
	})
}

// seedsDir is where build caches of our own outlive a session: on a laptop. The
// machine of a job is gone with it.
func seedsDir(getenv func(string) string) string {
	dir := getenv("AUTONOMOUS_LOOP_CACHE")
	switch {
	case dir != "":
	case os.Geteuid() == 0:
		dir = "/var/cache/autonomous-loop"
	case getenv("XDG_CACHE_HOME") != "":
		dir = filepath.Join(getenv("XDG_CACHE_HOME"), "autonomous-loop")
	default:
		dir = filepath.Join(getenv("HOME"), ".cache", "autonomous-loop")
	}
	return filepath.Join(dir, "seeds")
}

// warm spares a project in Go the compilation of the standard library, once for
// the model's commands and once for what judges them. That it cannot be costs
// time only, and is told.
func warm(ctx context.Context, box *sandbox.Sandbox, r *repo.Repo, seeds string, notify func(runner.Event), now func() time.Time) {
	if _, err := r.Read(ctx, "go.mod"); seeds == "" || err != nil {
		return
	}
	notify(runner.Event{Time: now(), Step: "warm"})
	if err := box.Warm(ctx, seeds, "std"); err != nil {
		notify(runner.Event{Time: now(), Step: "cold", Text: err.Error()})
	}
}

// grace is what a session has for putting in order what a limit interrupted.
// Half of it lies before the job's own end, see [softDeadline].
const grace = 4 * time.Minute

// newLineage draws the id of a loop.
func newLineage() string { return strings.ToLower(crand.Text()[:12]) }

// model opens the model that c names. What it is answered from belongs to the
// session, which closes it.
func (s *session) model(env environment, c config, log func(string)) (*model.Client, error) {
	prices, err := model.ParsePrices([]byte(cmp.Or(c.Prices, "{}")))
	if err != nil {
		return nil, fmt.Errorf("input prices: %w", err)
	}
	o := model.Options{
		Name: c.Model, Key: c.APIKey.reveal(), BaseURL: c.BaseURL, API: model.API(c.API), Window: c.ContextWindow, ReasoningEffort: c.ReasoningEffort,
		Prices: prices, Images: c.Images, CacheKey: s.cacheKey, Known: s.endpoints, Sleep: sleep, Now: env.now, Rand: rand.Float64, Log: log, Transport: env.transport,
	}
	if c.Script != "" {
		data, err := os.ReadFile(c.Script)
		if err != nil {
			return nil, fmt.Errorf("input model: read the script: %w", err)
		}
		server, err := model.Script(c.Script, data)
		if err != nil {
			return nil, err
		}
		s.close = append(s.close, server.Close)
		o.Name, o.Key, o.BaseURL = "script", "", server.URL
	}
	return model.Open(o)
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// browser opens the browser, which runs as a user of its own with an empty
// environment: the application that it looks at cannot touch it. There is none with e2e: off.
func (s *session) browser(ctx context.Context, env environment, c config, box *sandbox.Sandbox, dir string) (*browser.Browser, error) {
	if c.E2E == "off" {
		return nil, nil
	}
	paths, err := browser.Find(env.getenv, func(path string) bool { _, err := os.Stat(path); return err == nil })
	if err != nil {
		return nil, fmt.Errorf("%w\nOr set e2e: off to do without a browser; then nothing is checked end to end", err)
	}
	home := filepath.Join(dir, "browser")
	if err := os.MkdirAll(home, 0o755); err != nil { //nolint:gosec // another user's, who owns it next
		return nil, err
	}
	if err := box.OwnBrowser(home); err != nil {
		return nil, err
	}
	node := filepath.Join(dir, "node")
	err = box.Wrapper(node, sandbox.Command{
		Argv: []string{paths.Node}, Dir: home, Net: sandbox.Local, Browser: true,
		Write: []string{home}, Read: []string{paths.Driver, filepath.Dir(paths.Chromium), filepath.Dir(paths.Node)},
	})
	if err != nil {
		return nil, err
	}
	b, err := browser.Open(ctx, browser.Options{
		Driver: paths.Driver, Node: node, Chromium: paths.Chromium, Dir: dir, Artifacts: filepath.Join(dir, "pages"), Exchange: home, A11y: c.A11y, Now: env.now,
		Start: func(ctx context.Context, c sandbox.Command) (browser.Server, error) {
			c.Judge = true
			return box.Start(ctx, c)
		},
	})
	if err != nil {
		return nil, err
	}
	s.close = append(s.close, func() error { b.Close(); return nil })
	return b, nil
}

// judged runs what is judged as the judge's user, whom the agent's commands cannot
// reach: each with a home and caches of its own.
type judged struct{ *sandbox.Sandbox }

func (j judged) Run(ctx context.Context, c sandbox.Command) (sandbox.Output, error) {
	c.Judge = true
	return j.Sandbox.Run(ctx, c)
}

// accepter keeps a missing browser from looking like one.
func accepter(b *browser.Browser) check.Browser {
	if b == nil {
		return nil
	}
	return b
}

// pageOf opens pages for the agent's browser tool.
func pageOf(b *browser.Browser) func(context.Context) (tool.Page, error) {
	if b == nil {
		return nil
	}
	return func(ctx context.Context) (tool.Page, error) {
		p, err := b.Page(ctx)
		if err != nil {
			return nil, err
		}
		return agentPage{p}, nil
	}
}

type agentPage struct{ *browser.Page }

func (p agentPage) Do(ctx context.Context, a tool.PageAction) (string, error) {
	return p.Page.Do(ctx, browser.Action(a))
}

func (p agentPage) Close() error {
	p.Page.Close()
	return nil
}

// A gauge tells the agent how far its work has come.
type gauge struct {
	*repo.Repo
	gates *check.Gates
}

func (g gauge) Failing() map[string]string { return g.gates.Failing() }

// A journal keeps what a session did, for the artifact and the report.
type journal struct {
	notify     func(runner.Event)
	transcript lockedBuffer

	mu     sync.Mutex
	events []runner.Event
}

func (j *journal) take(e runner.Event) {
	j.mu.Lock()
	j.events = append(j.events, e)
	j.mu.Unlock()
	j.notify(e)
}

// A lockedBuffer is written by several goroutines.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) bytes() []byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	return bytes.Clone(l.b.Bytes())
}
