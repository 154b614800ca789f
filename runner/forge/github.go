package forge

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"net/url"
	"path"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/google/go-github/v62/github"
)

// Options are what a [Hub] needs. All but Token, APIURL, ServerURL, Repository,
// Sleep and Now may be left out by who does not need what they are for.
type Options struct {
	Token      string
	APIURL     string // GITHUB_API_URL
	ServerURL  string // GITHUB_SERVER_URL
	Repository string // owner/repo

	Branch      string             // the work branch
	Base        string             // the branch that the pull request is for
	PullRequest PullRequest        // "" is a draft
	SpecIssue   int                // the issue that the spec came from; 0: none
	Summary     func([]byte) error // appends to the job's summary

	Loop     string
	Workflow string // to dispatch: its file name, path, or GITHUB_WORKFLOW_REF

	Run          Run
	ResultsURL   string // ACTIONS_RESULTS_URL
	RuntimeToken string // ACTIONS_RUNTIME_TOKEN
	Retention    int    // days that artifacts are kept; 0: what the repository says

	HTTP  http.RoundTripper // nil: http.DefaultTransport
	Sleep func(context.Context, time.Duration) error
	Now   func() time.Time
	Rand  func() float64 // of the jitter of waits, in [0, 1); nil: there is none
}

// A Run is this process's workflow run.
type Run struct {
	ID      int64
	Attempt int
}

// A Hub is GitHub.
type Hub struct {
	opts     Options // without the tokens, which only the wires hold
	owner    string
	repo     string
	workflow string
	client   *github.Client
	wire     *wire
	results  *results
	shown    string // the summary that was written last
	stops    stops

	rewritten string // the comment that somebody deleted

	mu      sync.Mutex // guards who and renamed
	who     *account   // who the token belongs to, once it was asked
	renamed string     // the repository's name, if it has another one by now
}

// account is who writes with a token.
type account struct {
	id    int64
	login string
}

// bot is the account of every job's own token, which may not ask who it is.
var bot = account{id: 41898282, login: "github-actions[bot]"}

var (
	repository = regexp.MustCompile(`^[A-Za-z0-9-]+/[A-Za-z0-9._-]+$`)
	workflow   = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9._ -]*$`)
)

// GitHub returns the forge of a repository on GitHub. It makes no request.
func GitHub(o Options) (*Hub, error) {
	if !repository.MatchString(o.Repository) {
		return nil, fmt.Errorf("%q is not a repository: it should be owner/repo", o.Repository)
	}
	api, err := url.Parse(strings.TrimSuffix(o.APIURL, "/") + "/")
	if err != nil || api.Host == "" {
		return nil, fmt.Errorf("%q is not the URL of GitHub's API", o.APIURL)
	}
	server, err := url.Parse(strings.TrimSuffix(o.ServerURL, "/"))
	if err != nil || server.Host == "" {
		return nil, fmt.Errorf("%q is not the URL of a GitHub server", o.ServerURL)
	}
	file, _, _ := strings.Cut(o.Workflow, "@")
	if file = path.Base(file); o.Workflow != "" && !workflow.MatchString(file) {
		return nil, fmt.Errorf("%q is not a workflow's file", o.Workflow)
	}
	if o.Sleep == nil || o.Now == nil {
		return nil, fmt.Errorf("forge: Options need Sleep and Now")
	}
	if o.HTTP == nil {
		o.HTTP = http.DefaultTransport
	}
	w := &wire{next: o.HTTP, host: api.Host, sleep: o.Sleep, now: o.Now, rand: o.Rand}
	w.authorize = bearer(o.Token)
	client := github.NewClient(&http.Client{Transport: w, CheckRedirect: w.follow})
	client.BaseURL, client.UserAgent = api, userAgent
	results := newResults(o, server)
	o.Token, o.RuntimeToken = "", ""
	o.ServerURL = server.String()
	owner, repo, _ := strings.Cut(o.Repository, "/")
	return &Hub{opts: o, owner: owner, repo: repo, workflow: file, client: client, wire: w, results: results}, nil
}

const userAgent = "autonomous-loop"

// bearer keeps a token where only a request can get at it, so that no value
// that somebody prints can hold it.
func bearer(token string) func(*http.Request) {
	return func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+token) }
}

// self is whose account the token writes with.
func (h *Hub) self(ctx context.Context) (account, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.who != nil {
		return *h.who, nil
	}
	u, _, err := h.client.Users.Get(ctx, "")
	switch {
	case err == nil:
		h.who = &account{id: u.GetID(), login: u.GetLogin()}
	case status(err) == http.StatusForbidden:
		h.who = &bot
	default:
		return account{}, fmt.Errorf("ask whose token this is: %w", explain(err))
	}
	return *h.who, nil
}

// moved asks for the repository's name once GitHub has sent a request elsewhere
// for it, and says whether there is a new one. By the old name GitHub goes on to
// find it.
func (h *Hub) moved(ctx context.Context) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.wire.moved.Load() || h.renamed != "" {
		return false
	}
	r, _, err := h.client.Repositories.Get(ctx, h.owner, h.repo)
	if err != nil || !repository.MatchString(r.GetFullName()) || strings.EqualFold(r.GetFullName(), h.opts.Repository) {
		return false
	}
	h.renamed = r.GetFullName()
	return true
}

// called is the repository's name, as far as is known.
func (h *Hub) called() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return cmp.Or(h.renamed, h.opts.Repository)
}

// link is the address of something in the repository, for people.
func (h *Hub) link(format string, args ...any) string {
	return h.opts.ServerURL + "/" + h.opts.Repository + "/" + fmt.Sprintf(format, args...)
}

// An Issue is an issue as a spec is read from it. What it says was written by
// whoever opened it: Association tells what that person is to the repository
// (OWNER, MEMBER, COLLABORATOR, or somebody who may not give orders).
type Issue struct {
	Title, Body, Author, Association string
	Open                             bool
}

// Issue reads an issue.
func (h *Hub) Issue(ctx context.Context, number int) (Issue, error) {
	i, _, err := h.client.Issues.Get(ctx, h.owner, h.repo, number)
	if err != nil {
		return Issue{}, fmt.Errorf("read issue #%d: %w", number, explain(err))
	}
	return Issue{
		Title: i.GetTitle(), Body: i.GetBody(), Author: i.GetUser().GetLogin(),
		Association: i.GetAuthorAssociation(), Open: i.GetState() == "open",
	}, nil
}
