package fakegithub

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// An issue is an issue or, if pull is set, a pull request.
type issue struct {
	id, number               int64
	title, body, state       string
	author                   *Actor
	created, updated, closed time.Time
	comments                 []*comment
	labels                   []string
	closer                   *Actor
	pull                     *pull
	removed                  bool
}

type comment struct {
	id               int64
	body             string
	author           *Actor
	created, updated time.Time
}

// A Comment is a comment as a test sees it.
type Comment struct {
	ID     int64
	Issue  int64
	Author string
	Body   string
}

func (s *Server) open(r *repo, a *Actor, title, body string, p *pull) *issue {
	i := &issue{
		id: s.id(), number: int64(len(r.issues) + 1), title: title, body: body, state: "open",
		author: a, created: s.now(), updated: s.now(), pull: p,
	}
	r.issues = append(r.issues, i)
	return i
}

// AddIssue opens an issue as a and returns its number.
func (s *Server) AddIssue(repo string, a Actor, title, body string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return int(s.open(s.repos[repo], &a, title, body, nil).number)
}

// EditIssue changes the text of an issue, as its author may.
func (s *Server) EditIssue(repo string, number int, body string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := s.repos[repo].issue(int64(number))
	i.body, i.updated = body, s.now()
}

// Label puts labels on an issue or pull request, and takes all others off.
func (s *Server) Label(repo string, number int, labels ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := s.repos[repo].issue(int64(number))
	for _, name := range labels {
		s.makeLabel(s.repos[repo], name)
	}
	i.labels, i.updated = labels, s.now()
}

// AddComment comments on an issue or pull request as a and returns the id.
func (s *Server) AddComment(repo string, number int, a Actor, body string) int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.comment(s.repos[repo].issue(int64(number)), &a, body).id
}

// Comments lists the comments of an issue or pull request.
func (s *Server) Comments(repo string, number int) []Comment {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []Comment
	for _, m := range s.repos[repo].issue(int64(number)).comments {
		out = append(out, Comment{ID: m.id, Issue: int64(number), Author: m.author.Login, Body: m.body})
	}
	return out
}

// RemoveComment deletes a comment, as a person may.
func (s *Server) RemoveComment(repo string, id int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if i, m := s.repos[repo].comment(id); m != nil {
		i.comments = slices.DeleteFunc(i.comments, func(c *comment) bool { return c == m })
	}
}

func (s *Server) comment(i *issue, a *Actor, body string) *comment {
	m := &comment{id: s.id(), body: body, author: a, created: s.now(), updated: s.now()}
	i.comments = append(i.comments, m)
	return m
}

func (r *repo) issue(number int64) *issue {
	if number < 1 || number > int64(len(r.issues)) || r.issues[number-1].removed {
		return nil
	}
	return r.issues[number-1]
}

func (r *repo) comment(id int64) (*issue, *comment) {
	for _, i := range r.issues {
		for _, m := range i.comments {
			if m.id == id {
				return i, m
			}
		}
	}
	return nil, nil
}

// listIssues lists issues and pull requests, which are issues as well.
func (s *Server) listIssues(c *call) {
	if !c.may("issues=read") {
		return
	}
	out := []any{}
	for _, i := range page(c, c.repo.issues) {
		out = append(out, c.issueObject(i))
	}
	c.answer(http.StatusOK, out)
}

func (s *Server) getIssue(c *call) {
	if !c.may("issues=read", "pull_requests=read") {
		return
	}
	if i := c.repo.issue(c.number("number")); i != nil {
		o := c.issueObject(i)
		o["closed_by"] = nil
		if i.closer != nil {
			o["closed_by"] = c.user(i.closer)
		}
		c.tagged(http.StatusOK, o)
		return
	}
	c.missing()
}

// speak checks that the actor may write comments on i: on a pull request either
// permission will do.
func (c *call) speak(i *issue) bool {
	if i.pull != nil {
		return c.may("issues=write", "pull_requests=write")
	}
	return c.may("issues=write")
}

// getComments serves both issues/{number}/comments and issues/comments/{id},
// which the mux cannot tell apart.
func (s *Server) getComments(c *call) {
	switch {
	case c.r.PathValue("number") == "comments":
		s.getComment(c)
	case c.r.PathValue("id") == "comments":
		s.listComments(c)
	default:
		c.missing()
	}
}

func (s *Server) listComments(c *call) {
	if !c.may("issues=read", "pull_requests=read") {
		return
	}
	i := c.repo.issue(c.number("number"))
	if i == nil {
		c.missing()
		return
	}
	since, _ := time.Parse(time.RFC3339, c.r.URL.Query().Get("since"))
	shown := slices.DeleteFunc(slices.Clone(i.comments), func(m *comment) bool { return m.updated.Before(since) })
	out := []any{}
	for _, m := range page(c, shown) {
		out = append(out, c.commentObject(i, m))
	}
	c.tagged(http.StatusOK, out)
}

func (s *Server) createComment(c *call) {
	i := c.repo.issue(c.number("number"))
	if i == nil {
		c.missing()
		return
	}
	if body, ok := c.words(i); ok {
		m := s.comment(i, c.actor, body)
		s.edit("%s: comment on #%d by %s: %s", c.repo.name, i.number, c.actor.Login, gist(body))
		c.answer(http.StatusCreated, c.commentObject(i, m))
	}
}

// words is the body of a comment that may be written.
func (c *call) words(i *issue) (string, bool) {
	if !c.speak(i) {
		return "", false
	}
	body, _ := c.text("body")
	switch {
	case strings.TrimSpace(body) == "":
		c.invalid("IssueComment", "Body cannot be blank")
	case utf8.RuneCountInString(body) > 65536:
		c.invalid("IssueComment", "Body is too long (maximum is 65536 characters)")
	default:
		return body, true
	}
	return "", false
}

func (s *Server) getComment(c *call) {
	if i, m := c.repo.comment(c.number("id")); m == nil {
		c.missing()
	} else if c.may("issues=read", "pull_requests=read") {
		c.answer(http.StatusOK, c.commentObject(i, m))
	}
}

func (s *Server) editComment(c *call) {
	i, m := c.repo.comment(c.number("id"))
	if m == nil {
		c.missing()
		return
	}
	if body, ok := c.words(i); ok {
		m.body, m.updated = body, s.now()
		s.edit("%s: comment on #%d edited: %s", c.repo.name, i.number, gist(body))
		c.answer(http.StatusOK, c.commentObject(i, m))
	}
}

func (s *Server) deleteComment(c *call) {
	i, m := c.repo.comment(c.number("id"))
	if m == nil {
		c.missing()
		return
	}
	if c.speak(i) {
		i.comments = slices.DeleteFunc(i.comments, func(o *comment) bool { return o == m })
		s.edit("%s: comment on #%d deleted: %s", c.repo.name, i.number, gist(m.body))
		c.answer(http.StatusNoContent, nil)
	}
}

// gist is the first line that people see of text, not too long.
func gist(text string) string {
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if line != "" && !strings.HasPrefix(line, "<!--") {
			if len(line) > 60 {
				return fmt.Sprintf("%.60s…", line)
			}
			return line
		}
	}
	return ""
}
