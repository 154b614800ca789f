package fakegithub

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

type pull struct {
	head, base string
	draft      bool
	merged     time.Time
}

// A Pull is a pull request as a test sees it.
type Pull struct {
	Number      int
	Title, Body string
	State       string // open or closed
	Draft       bool
	Merged      bool
	Head, Base  string
	Author      string
}

// Pulls lists the pull requests of a repository.
func (s *Server) Pulls(repo string) []Pull {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []Pull
	for _, i := range s.repos[repo].issues {
		if i.pull != nil && !i.removed {
			out = append(out, Pull{
				Number: int(i.number), Title: i.title, Body: i.body, State: i.state, Draft: i.pull.draft,
				Merged: !i.pull.merged.IsZero(), Head: i.pull.head, Base: i.pull.base, Author: i.author.Login,
			})
		}
	}
	return out
}

// AddPull opens a pull request as a and returns its number.
func (s *Server) AddPull(repo string, a Actor, head, base, title, body string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return int(s.open(s.repos[repo], &a, title, body, &pull{head: head, base: base}).number)
}

// EditPull changes the body of a pull request, as a person may.
func (s *Server) EditPull(repo string, number int, body string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.repos[repo].issue(int64(number)).body = body
}

// ClosePull closes a pull request; merged says that it was merged by that.
func (s *Server) ClosePull(repo string, number int, merged bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := s.repos[repo].issue(int64(number))
	i.state, i.closed, i.closer = "closed", s.now(), &Actor{Login: "ann", ID: 7}
	if merged {
		i.pull.merged = s.now()
	}
}

// ReopenPull opens a pull request again that was closed.
func (s *Server) ReopenPull(repo string, number int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := s.repos[repo].issue(int64(number))
	i.state, i.closed, i.closer = "open", time.Time{}, nil
}

func (s *Server) listPulls(c *call) {
	if !c.may("pull_requests=read") {
		return
	}
	q := c.r.URL.Query()
	state := q.Get("state")
	if state == "" {
		state = "open"
	}
	owner, head, filtered := strings.Cut(q.Get("head"), ":")
	var found []*issue
	for _, i := range slices.Backward(c.repo.issues) { // newest first
		if i.pull == nil || i.removed || state != "all" && i.state != state || q.Get("base") != "" && i.pull.base != q.Get("base") {
			continue
		}
		if filtered && (i.pull.head != head || owner != c.r.PathValue("owner")) {
			continue
		}
		found = append(found, i)
	}
	out := []any{}
	for _, i := range page(c, found) {
		out = append(out, c.pullObject(i))
	}
	c.answer(http.StatusOK, out)
}

func (s *Server) createPull(c *call) {
	if !c.may("pull_requests=write") {
		return
	}
	if c.actor.App && s.noPullRequests {
		refuse(c.w, http.StatusForbidden, "GitHub Actions is not permitted to create or approve pull requests.")
		return
	}
	title, _ := c.text("title")
	body, _ := c.text("body")
	head, _ := c.text("head")
	base, _ := c.text("base")
	draft, _ := c.body["draft"].(bool)
	owner := c.r.PathValue("owner")
	head = strings.TrimPrefix(head, owner+":")
	switch {
	case title == "":
		c.invalid("PullRequest", "title can't be blank")
		return
	case utf8.RuneCountInString(title) > 256:
		c.invalid("PullRequest", "title is too long (maximum is 256 characters)")
		return
	case utf8.RuneCountInString(body) > 65536:
		c.invalid("PullRequest", "body is too long (maximum is 65536 characters)")
		return
	case c.repo.tip(base) == "":
		c.invalid("PullRequest", "base is invalid")
		return
	case c.repo.tip(head) == "":
		c.invalid("PullRequest", "head is invalid")
		return
	}
	for _, i := range c.repo.issues {
		if i.pull != nil && i.state == "open" && i.pull.head == head && i.pull.base == base {
			c.invalid("PullRequest", fmt.Sprintf("A pull request already exists for %s:%s.", owner, head))
			return
		}
	}
	if n, _ := c.repo.git("rev-list", "--count", "refs/heads/"+base+"..refs/heads/"+head); n == "0" {
		c.invalid("PullRequest", fmt.Sprintf("No commits between %s and %s", base, head))
		return
	}
	i := s.open(c.repo, c.actor, title, body, &pull{head: head, base: base, draft: draft})
	kind := "pull request"
	if draft {
		kind = "draft pull request"
	}
	s.edit("%s: %s #%d by %s, %s into %s: %s", c.repo.name, kind, i.number, c.actor.Login, head, base, title)
	c.answer(http.StatusCreated, c.wholePull(i))
}

func (s *Server) getPull(c *call) {
	if !c.may("pull_requests=read") {
		return
	}
	if i := c.repo.issue(c.number("number")); i != nil && i.pull != nil {
		c.answer(http.StatusOK, c.wholePull(i))
		return
	}
	c.missing()
}

func (s *Server) editPull(c *call) {
	if !c.may("pull_requests=write") {
		return
	}
	i := c.repo.issue(c.number("number"))
	if i == nil || i.pull == nil {
		c.missing()
		return
	}
	if body, ok := c.text("body"); ok {
		if utf8.RuneCountInString(body) > 65536 {
			c.invalid("PullRequest", "body is too long (maximum is 65536 characters)")
			return
		}
		i.body = body
	}
	if title, ok := c.text("title"); ok {
		i.title = title
	}
	if state, ok := c.text("state"); ok {
		i.state = state
	}
	i.updated = s.now()
	s.edit("%s: pull request #%d edited: %s", c.repo.name, i.number, i.title)
	c.answer(http.StatusOK, c.wholePull(i))
}
