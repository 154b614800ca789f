// Package fakegithub is a GitHub that runs inside a test: the REST routes that
// the product uses, the artifact service of Actions, and git over smart HTTP
// from real bare repositories, all on one [http.Handler].
//
// It keeps state like GitHub does and is at least as strict: a pull request
// without commits is refused, a second one for the same branch too; a workflow
// is known only if its file is on the default branch; a dispatch is checked
// against the inputs that the file declares; an artifact's name can be taken
// once; size, hash, signature and permissions are checked. What the product
// does not use is not here: an unknown route answers 404 and is listed by
// [Server.Unknown].
//
// [Server.Fail] injects faults, [Server.Edits] lists what was changed, and
// package oracle checks every exchange against GitHub's published description.
package fakegithub

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Options are how a server starts. Root is required.
type Options struct {
	Root  string           // directory of the bare repositories, <owner>/<repo>.git
	Token string           // the job's token: github-actions[bot] with DefaultPermissions
	Now   func() time.Time // nil: time.Now
	Camel bool             // the artifact service answers in camelCase, as servers other than GitHub's do

	// Git answers in the place of git what is asked of a repository, for a test
	// that has its own idea of where branches are; nil: git does, on disk.
	Git func(args ...string) (string, error)
}

// DefaultPermissions are those of the job's token at first.
func DefaultPermissions() map[string]string {
	return map[string]string{"metadata": "read", "contents": "write", "pull_requests": "write", "issues": "write", "actions": "write"}
}

// An Actor is who a token belongs to.
type Actor struct {
	Login  string
	ID     int64
	Scopes string            // of a classic token, with commas
	Reader bool              // may only read the repository
	App    bool              // an app's installation: may not ask who it is, has only Permissions
	Perms  map[string]string // of an app: permission -> read or write
}

// Bot is whom the job's token belongs to.
const (
	Bot   = "github-actions[bot]"
	BotID = 41898282
)

// A Server is the fake.
type Server struct {
	opts Options
	mux  *http.ServeMux
	key  []byte // signs runtime tokens and blob URLs

	mu       sync.Mutex
	actors   map[string]*Actor // by token
	people   []person          // who have no token here
	repos    map[string]*repo
	former   map[string]*repo // by a name that they had
	runs     []*Run
	rows     []*artifact
	next     int64
	edits    []string
	requests []string
	unknown  []string
	counted  int // requests that count against the limit
	faults   []*Fault

	noPullRequests bool
}

// New returns a server without repositories.
func New(opts Options) *Server {
	if opts.Now == nil {
		opts.Now = time.Now
	}
	s := &Server{
		opts: opts, mux: http.NewServeMux(), key: []byte(rand.Text()),
		actors: map[string]*Actor{}, repos: map[string]*repo{}, former: map[string]*repo{}, next: 1000,
	}
	if opts.Token != "" {
		s.actors[opts.Token] = &Actor{Login: Bot, ID: BotID, App: true, Perms: DefaultPermissions()}
	}
	s.routes()
	return s
}

// Start serves s on a free port of the loopback interface, for a test that runs
// the product as a process. The repositories are at url/<owner>/<repo>.git, for
// Basic auth as x-access-token.
func (s *Server) Start() (url string, stop func()) {
	srv := httptest.NewServer(s)
	return srv.URL, srv.Close
}

// AddToken lets token act as a.
func (s *Server) AddToken(token string, a Actor) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.actors[token] = &a
}

// A person is somebody whom GitHub knows, with what they may do in every
// repository here: admin, write, read or none. Role is its finer name: maintain
// is write, and triage is read.
type person struct {
	Actor
	permission, role string
}

// AddPerson makes somebody known, by a role of theirs: admin, maintain, write,
// triage, read or none.
func (s *Server) AddPerson(a Actor, role string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	permission := role
	switch role {
	case "maintain":
		permission = "write"
	case "triage":
		permission = "read"
	}
	s.people = append(s.people, person{a, permission, role})
}

// SetPermission changes a permission of the job's token: read, write, or "" for
// none.
func (s *Server) SetPermission(name, level string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.actors[s.opts.Token].Perms[name] = level
}

// ForbidPullRequests is the organization's setting that Actions may not create
// pull requests.
func (s *Server) ForbidPullRequests() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.noPullRequests = true
}

// Edits lists every change that was made over the network, in order, one
// readable line each.
func (s *Server) Edits() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.edits)
}

// Requests lists every request as "METHOD /path", in order.
func (s *Server) Requests() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.requests)
}

// Counted is how many requests count against the limit: all but those whose
// answer is that nothing has changed.
func (s *Server) Counted() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.counted
}

// Unknown lists the requests that no route is there for.
func (s *Server) Unknown() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.unknown)
}

func (s *Server) edit(format string, args ...any) {
	s.edits = append(s.edits, fmt.Sprintf(format, args...))
}

func (s *Server) id() int64 {
	s.next++
	return s.next
}

func (s *Server) now() time.Time { return s.opts.Now().UTC().Truncate(time.Second) }

// ServeHTTP serves one request, unless a fault is due.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	s.requests = append(s.requests, r.Method+" "+r.URL.Path)
	s.counted++
	f := s.due(r)
	s.mu.Unlock()
	w.Header().Set("Date", s.now().Format(http.TimeFormat))
	if f != nil {
		f.serve(w, r, s.serve)
		return
	}
	if !s.redirected(w, r) {
		s.serve(w, r)
	}
}

func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	if strings.Contains(r.URL.Path, ".git/") {
		s.git(w, r)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mux.ServeHTTP(w, r)
}

func (s *Server) routes() {
	const repo = "/repos/{owner}/{repo}"
	api := func(pattern string, h func(*call)) {
		s.mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) { s.api(w, r, h) })
	}
	api("GET /user", s.whoami)
	api("GET "+repo, s.getRepo)
	api("GET "+repo+"/collaborators/{user}/permission", s.getPermission)
	api("GET "+repo+"/rules/branches/{branch}", s.branchRules)
	api("GET "+repo+"/rulesets/{id}", s.getRuleset)
	api("GET "+repo+"/contents/{path...}", s.getContents)
	api("GET "+repo+"/pulls", s.listPulls)
	api("POST "+repo+"/pulls", s.createPull)
	api("GET "+repo+"/pulls/{number}", s.getPull)
	api("PATCH "+repo+"/pulls/{number}", s.editPull)
	api("GET "+repo+"/issues", s.listIssues)
	api("GET "+repo+"/issues/{number}", s.getIssue)
	api("GET "+repo+"/issues/{number}/{id}", s.getComments)
	api("POST "+repo+"/issues/{number}/comments", s.createComment)
	api("POST "+repo+"/issues/{number}/labels", s.addLabels)
	api("DELETE "+repo+"/issues/{number}/labels/{name}", s.removeLabel)
	api("GET "+repo+"/labels/{name}", s.getLabel)
	api("POST "+repo+"/labels", s.createLabel)
	api("PATCH "+repo+"/issues/comments/{id}", s.editComment)
	api("DELETE "+repo+"/issues/comments/{id}", s.deleteComment)
	api("GET "+repo+"/actions/workflows", s.listWorkflows)
	api("GET "+repo+"/actions/workflows/{workflow}", s.getWorkflow)
	api("POST "+repo+"/actions/workflows/{workflow}/dispatches", s.dispatch)
	api("GET "+repo+"/actions/workflows/{workflow}/runs", s.listRuns)
	api("GET "+repo+"/actions/runs", s.listRuns)
	api("GET "+repo+"/actions/runs/{run}", s.getRun)
	api("GET "+repo+"/actions/runs/{run}/attempts/{attempt}", s.getRun)
	api("POST "+repo+"/actions/runs/{run}/cancel", s.cancelRun)
	api("GET "+repo+"/actions/runs/{run}/attempts/{attempt}/jobs", s.listJobs)
	api("GET "+repo+"/actions/runs/{run}/artifacts", s.listArtifacts)
	api("GET "+repo+"/actions/artifacts/{id}", s.getArtifact)
	api("GET "+repo+"/actions/artifacts/{id}/{format}", s.downloadArtifact)
	s.mux.HandleFunc("POST /twirp/github.actions.results.api.v1.ArtifactService/{method}", s.twirp)
	s.mux.HandleFunc("/blob/{id}", s.blob)
	s.mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		s.unknown = append(s.unknown, r.Method+" "+r.URL.Path)
		refuse(w, http.StatusNotFound, "Not Found")
	})
}

// A call is one REST request of a known actor, about a known repository where
// the route names one.
type call struct {
	w     http.ResponseWriter
	r     *http.Request
	actor *Actor
	repo  *repo
	base  string // the server's URL as the client sees it
	body  map[string]any
	free  func() // the request does not count against the limit
}

func (s *Server) api(w http.ResponseWriter, r *http.Request, h func(*call)) {
	c := &call{w: w, r: r, base: "http://" + r.Host, free: func() { s.counted-- }}
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if strings.EqualFold(scheme, "bearer") || strings.EqualFold(scheme, "token") {
		c.actor = s.actors[token]
	}
	if c.actor == nil {
		refuse(w, http.StatusUnauthorized, "Bad credentials")
		return
	}
	if c.actor.Scopes != "" {
		w.Header().Set("X-OAuth-Scopes", c.actor.Scopes)
	}
	if owner := r.PathValue("owner"); owner != "" {
		if c.repo = s.repos[owner+"/"+r.PathValue("repo")]; c.repo == nil {
			refuse(w, http.StatusNotFound, "Not Found")
			return
		}
	}
	if c.repo != nil && c.repo.archived && r.Method != http.MethodGet {
		refuse(w, http.StatusForbidden, "Repository was archived so is read-only.")
		return
	}
	if r.Method == http.MethodPost || r.Method == http.MethodPatch {
		if err := json.NewDecoder(r.Body).Decode(&c.body); err != nil && r.ContentLength != 0 {
			refuse(w, http.StatusBadRequest, "Problems parsing JSON")
			return
		}
	}
	h(c)
}

// may says whether the actor has one of the permissions, written as GitHub
// writes them (issues=write), and refuses the call if not.
func (c *call) may(perms ...string) bool {
	c.w.Header().Set("X-Accepted-GitHub-Permissions", strings.Join(perms, "; "))
	if !c.actor.App {
		return true
	}
	for _, p := range perms {
		name, level, _ := strings.Cut(p, "=")
		if have := c.actor.Perms[name]; have == "write" || have == level {
			return true
		}
	}
	refuse(c.w, http.StatusForbidden, "Resource not accessible by integration")
	return false
}

// number is the path's value called name; a word is no number, and nothing has
// number 0.
func (c *call) number(name string) int64 {
	n, _ := strconv.ParseInt(c.r.PathValue(name), 10, 64)
	return n
}

// text is a string of the body, and whether it is there.
func (c *call) text(name string) (string, bool) {
	s, ok := c.body[name].(string)
	return s, ok
}

func (c *call) answer(status int, v any) { answer(c.w, status, v) }

// tagged answers with an ETag, or that nothing has changed since the one that
// the request names.
func (c *call) tagged(status int, v any) {
	data, err := json.Marshal(v)
	if err != nil {
		panic("fakegithub: " + err.Error())
	}
	tag := fmt.Sprintf(`W/"%x"`, sha256.Sum256(append(data, c.w.Header().Get("Link")...)))
	c.w.Header().Set("ETag", tag)
	if c.r.Header.Get("If-None-Match") == tag {
		c.free()
		c.w.WriteHeader(http.StatusNotModified)
		return
	}
	c.answer(status, v)
}

func (c *call) missing() { refuse(c.w, http.StatusNotFound, "Not Found") }

// invalid answers 422 as GitHub does when the words of a custom check are all
// there is to say.
func (c *call) invalid(resource, message string) {
	answer(c.w, http.StatusUnprocessableEntity, map[string]any{
		"message": "Validation Failed", "documentation_url": docs, "status": "422",
		"errors": []any{map[string]any{"resource": resource, "code": "custom", "message": message}},
	})
}

const docs = "https://docs.github.com/rest"

func refuse(w http.ResponseWriter, status int, message string) {
	answer(w, status, map[string]any{"message": message, "documentation_url": docs, "status": strconv.Itoa(status)})
}

func answer(w http.ResponseWriter, status int, v any) {
	if status == http.StatusNoContent {
		w.WriteHeader(status)
		return
	}
	data, err := json.Marshal(v)
	if err != nil {
		panic("fakegithub: " + err.Error())
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.Header().Set("Content-Length", strconv.Itoa(len(data)))
	w.WriteHeader(status)
	w.Write(data)
}

// page cuts the page that the request asks for out of all, and says in the Link
// header where the next one is.
func page[T any](c *call, all []T) []T {
	q := c.r.URL.Query()
	size, err := strconv.Atoi(q.Get("per_page"))
	if err != nil || size < 1 {
		size = 30
	}
	size = min(size, 100)
	n, err := strconv.Atoi(q.Get("page"))
	if err != nil || n < 1 {
		n = 1
	}
	from := min((n-1)*size, len(all))
	to := min(from+size, len(all))
	if to < len(all) {
		link := func(n int, rel string) string {
			q.Set("page", strconv.Itoa(n))
			return fmt.Sprintf(`<%s%s?%s>; rel="%s"`, c.base, c.r.URL.Path, q.Encode(), rel)
		}
		c.w.Header().Set("Link", link(n+1, "next")+", "+link((len(all)+size-1)/size, "last"))
	}
	return all[from:to]
}
