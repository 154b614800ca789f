package fakegithub

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A Run is a workflow run.
type Run struct {
	ID         int64
	Number     int
	Attempt    int
	Repo       string
	Workflow   string // path of the file
	Name       string // of the workflow
	Title      string // its run-name
	Event      string
	Branch     string
	SHA        string
	Status     string // queued, in_progress, completed, ...
	Conclusion string
	Inputs     map[string]string
	Comment    *Comment // of an issue_comment
	Actor      *Actor
	Created    time.Time
	Updated    time.Time
}

func (s *Server) start(r *repo, f *flow, event, branch string, a *Actor, inputs map[string]string) *Run {
	n := 1
	for _, other := range s.runs {
		if other.Repo == r.name && other.Workflow == f.path {
			n++
		}
	}
	run := &Run{
		ID: s.id(), Number: n, Attempt: 1, Repo: r.name, Workflow: f.path, Name: f.name, Title: f.title(event, inputs),
		Event: event, Branch: branch, SHA: r.tip(branch), Status: "queued", Inputs: inputs, Actor: a, Created: s.now(), Updated: s.now(),
	}
	s.runs = append(s.runs, run)
	return run
}

// StartRun starts a run of the workflow in file on the default branch, as a
// person or a schedule does.
func (s *Server) StartRun(repo, file, event string, a Actor, inputs map[string]string) (Run, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.repos[repo]
	f := s.workflow(r, r.branch, ".github/workflows/"+file)
	if f == nil {
		return Run{}, fmt.Errorf("no workflow %s on %s of %s", file, r.branch, repo)
	}
	return *s.start(r, f, event, r.branch, &a, inputs), nil
}

// CommentRun comments on an issue or pull request and starts the run of the
// workflow that this causes.
func (s *Server) CommentRun(repo, file string, number int, a Actor, body string) (Run, error) {
	id := s.AddComment(repo, number, a, body)
	run, err := s.StartRun(repo, file, "issue_comment", a, nil)
	if err == nil {
		s.mu.Lock()
		defer s.mu.Unlock()
		run.Comment = &Comment{ID: id, Issue: int64(number), Author: a.Login, Body: body}
		s.run(run.ID).Comment = run.Comment
	}
	return run, err
}

// Runs lists the runs of a repository, oldest first.
func (s *Server) Runs(repo string) []Run {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []Run
	for _, r := range s.runs {
		if r.Repo == repo {
			out = append(out, *r)
		}
	}
	return out
}

// Take sets the oldest queued run of a repository in progress, as a runner
// does that picks it up.
func (s *Server) Take(repo string) (Run, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.runs {
		if r.Repo == repo && r.Status == "queued" {
			r.Status = "in_progress"
			return *r, true
		}
	}
	return Run{}, false
}

// SetRun changes where a run stands.
func (s *Server) SetRun(id int64, status, conclusion string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.run(id)
	r.Status, r.Conclusion, r.Updated = status, conclusion, s.now()
}

// Age makes everything about a run that much older.
func (s *Server) Age(id int64, by time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.run(id)
	r.Created, r.Updated = r.Created.Add(-by), r.Updated.Add(-by)
}

// Rerun begins another attempt of a run.
func (s *Server) Rerun(id int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.run(id)
	r.Attempt++
	r.Status, r.Conclusion = "in_progress", ""
}

func (s *Server) run(id int64) *Run {
	i := slices.IndexFunc(s.runs, func(r *Run) bool { return r.ID == id })
	if i < 0 {
		return nil
	}
	return s.runs[i]
}

// backends are the ids of a run attempt and its job in the artifact service.
func (r *Run) backends() (run, job string) {
	return fmt.Sprintf("%08x-aaaa-4aaa-8aaa-%012x", r.Attempt, r.ID), fmt.Sprintf("%08x-bbbb-4bbb-8bbb-%012x", r.Attempt, r.ID)
}

// RuntimeToken is the token that the actions of a run get for the artifact
// service, ACTIONS_RUNTIME_TOKEN.
func (s *Server) RuntimeToken(id int64) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	run, job := s.run(id).backends()
	part := func(v any) string {
		data, _ := json.Marshal(v)
		return base64.RawURLEncoding.EncodeToString(data)
	}
	text := part(object{"alg": "HS256", "typ": "JWT"}) + "." + part(object{
		"scp": "Actions.GenericRead:00000000 Actions.Results:" + run + ":" + job + " Actions.UploadArtifacts:00000000",
		"exp": s.now().Add(6 * time.Hour).Unix(),
	})
	return text + "." + base64.RawURLEncoding.EncodeToString(s.sign(text))
}

func (s *Server) sign(text string) []byte {
	mac := hmac.New(sha256.New, s.key)
	mac.Write([]byte(text))
	return mac.Sum(nil)
}

// Env is what a runner puts into the environment of a run's action, with url as
// the server's URL. Files, inputs and the action's own variables are up to the
// caller.
func (s *Server) Env(url string, id int64) []string {
	token := s.RuntimeToken(id)
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.run(id)
	owner, _, _ := strings.Cut(r.Repo, "/")
	return []string{
		"GITHUB_ACTIONS=true", "CI=true",
		"GITHUB_API_URL=" + url, "GITHUB_SERVER_URL=" + url, "GITHUB_REPOSITORY=" + r.Repo, "GITHUB_REPOSITORY_OWNER=" + owner,
		"GITHUB_RUN_ID=" + strconv.FormatInt(r.ID, 10), "GITHUB_RUN_ATTEMPT=" + strconv.Itoa(r.Attempt), "GITHUB_RUN_NUMBER=" + strconv.Itoa(r.Number),
		"GITHUB_EVENT_NAME=" + r.Event, "GITHUB_WORKFLOW=" + r.Name, "GITHUB_WORKFLOW_REF=" + r.Repo + "/" + r.Workflow + "@refs/heads/" + r.Branch,
		"GITHUB_WORKFLOW_SHA=" + r.SHA, "GITHUB_JOB=session", "RUNNER_NAME=" + RunnerName,
		"GITHUB_REF=refs/heads/" + r.Branch, "GITHUB_REF_NAME=" + r.Branch, "GITHUB_SHA=" + r.SHA, "GITHUB_ACTOR=" + r.Actor.Login,
		"ACTIONS_RESULTS_URL=" + url + "/", "ACTIONS_RUNTIME_TOKEN=" + token, "GITHUB_RETENTION_DAYS=90",
	}
}

// Event is the payload of the run's event, the content of GITHUB_EVENT_PATH.
func (s *Server) Event(id int64) []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.run(id)
	kind := "User"
	if r.Actor.App {
		kind = "Bot"
	}
	event := object{
		"inputs": r.Inputs, "ref": "refs/heads/" + r.Branch, "workflow": r.Workflow,
		"repository": object{"full_name": r.Repo, "default_branch": s.repos[r.Repo].branch},
		"sender":     object{"login": r.Actor.Login, "id": r.Actor.ID, "type": kind},
	}
	if m := r.Comment; m != nil {
		about := object{"number": m.Issue}
		if i := s.repos[r.Repo].issue(m.Issue); i.pull != nil {
			about["pull_request"] = object{}
		}
		event["action"], event["issue"], event["comment"] = "created", about, object{"id": m.ID, "body": m.Body, "user": event["sender"]}
	}
	data, _ := json.Marshal(event)
	return data
}

func (s *Server) listRuns(c *call) {
	if !c.may("actions=read") {
		return
	}
	q := c.r.URL.Query()
	var only string
	if c.r.PathValue("workflow") != "" {
		f := s.named(c)
		if f == nil {
			c.missing()
			return
		}
		only = f.path
	}
	var found []*Run
	for _, r := range slices.Backward(s.runs) { // newest first
		switch {
		case r.Repo != c.repo.name,
			only != "" && r.Workflow != only,
			q.Get("event") != "" && r.Event != q.Get("event"),
			q.Get("branch") != "" && r.Branch != q.Get("branch"),
			q.Get("status") != "" && r.Status != q.Get("status") && r.Conclusion != q.Get("status"):
			continue
		}
		found = append(found, r)
	}
	out := []any{}
	for _, r := range page(c, found) {
		out = append(out, c.runObject(r, r.Attempt))
	}
	c.answer(http.StatusOK, object{"total_count": len(found), "workflow_runs": out})
}

func (s *Server) getRun(c *call) {
	if !c.may("actions=read") {
		return
	}
	r := s.run(c.number("run"))
	if r == nil || r.Repo != c.repo.name {
		c.missing()
		return
	}
	attempt := r.Attempt
	if c.r.PathValue("attempt") != "" {
		attempt = int(c.number("attempt"))
	}
	if attempt < 1 || attempt > r.Attempt {
		c.missing()
		return
	}
	c.answer(http.StatusOK, c.runObject(r, attempt))
}

// RunnerName is the runner of every job.
const RunnerName = "GitHub Actions 7"

// listJobs lists the one job that a run has here, which began with it.
func (s *Server) listJobs(c *call) {
	if !c.may("actions=read") {
		return
	}
	r := s.run(c.number("run"))
	if r == nil || r.Repo != c.repo.name || int64(r.Attempt) != c.number("attempt") {
		c.missing()
		return
	}
	url := c.runURL(r)
	conclusion, ended := any(r.Conclusion), any(nil)
	if r.Status != "completed" {
		conclusion = nil
	} else {
		ended = stamp(r.Updated)
	}
	job := object{
		"id": r.ID, "node_id": node("CR", r.ID), "run_id": r.ID, "run_url": url, "run_attempt": r.Attempt, "head_sha": r.SHA, "head_branch": r.Branch,
		"workflow_name": r.Name, "name": "session", "url": url + "/job", "html_url": nil, "status": r.Status, "conclusion": conclusion,
		"created_at": stamp(r.Created), "started_at": stamp(r.Created), "completed_at": ended, "steps": []any{}, "check_run_url": url + "/check",
		"labels": []any{"ubuntu-latest"}, "runner_id": 7, "runner_name": RunnerName, "runner_group_id": nil, "runner_group_name": nil,
	}
	c.answer(http.StatusOK, object{"total_count": 1, "jobs": []any{job}})
}

func (s *Server) cancelRun(c *call) {
	if !c.may("actions=write") {
		return
	}
	r := s.run(c.number("run"))
	switch {
	case r == nil || r.Repo != c.repo.name:
		c.missing()
	case r.Status == "completed":
		refuse(c.w, http.StatusConflict, "Cannot cancel a workflow run that is completed.")
	default:
		r.Status, r.Conclusion, r.Updated = "completed", "cancelled", s.now()
		s.edit("%s: run %d cancelled by %s", c.repo.name, r.Number, c.actor.Login)
		c.answer(http.StatusAccepted, object{})
	}
}
