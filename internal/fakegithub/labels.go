package fakegithub

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// A label is one that a repository has; issues name it.
type label struct {
	id                       int64
	name, color, description string
}

// label is the repository's label called name, whatever its case; nil if there
// is none.
func (r *repo) label(name string) *label {
	i := slices.IndexFunc(r.labels, func(l label) bool { return strings.EqualFold(l.name, name) })
	if i < 0 {
		return nil
	}
	return &r.labels[i]
}

// makeLabel makes sure that the repository has a label, in the colour of those that
// nobody chose one for.
func (s *Server) makeLabel(r *repo, name string) *label {
	if r.label(name) == nil {
		r.labels = append(r.labels, label{id: s.id(), name: name, color: "ededed"})
	}
	return r.label(name)
}

// Labels lists the labels of an issue or pull request.
func (s *Server) Labels(repo string, number int) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.repos[repo].issue(int64(number)).labels)
}

func (c *call) labelObject(l label) object {
	return object{
		"id": l.id, "node_id": node("LA", l.id), "name": l.name, "color": l.color, "default": false, "description": l.description,
		"url": c.base + "/repos/" + c.repo.name + "/labels/" + url.PathEscape(l.name),
	}
}

func (s *Server) getLabel(c *call) {
	if !c.may("issues=read", "pull_requests=read") {
		return
	}
	if l := c.repo.label(c.r.PathValue("name")); l != nil {
		c.answer(http.StatusOK, c.labelObject(*l))
		return
	}
	c.missing()
}

func (s *Server) createLabel(c *call) {
	if !c.may("issues=write", "pull_requests=write") {
		return
	}
	name, _ := c.text("name")
	switch {
	case strings.TrimSpace(name) == "":
		c.invalid("Label", "name can't be blank")
	case c.repo.label(name) != nil:
		answer(c.w, http.StatusUnprocessableEntity, map[string]any{
			"message": "Validation Failed", "documentation_url": docs, "status": "422",
			"errors": []any{map[string]any{"resource": "Label", "code": "already_exists", "field": "name"}},
		})
	default:
		l := s.makeLabel(c.repo, name)
		if color, ok := c.text("color"); ok {
			l.color = color
		}
		if text, ok := c.text("description"); ok {
			l.description = text
		}
		s.edit("%s: label %q", c.repo.name, name)
		c.answer(http.StatusCreated, c.labelObject(*l))
	}
}

// labelled is the issue whose labels are to be changed; nil: that was refused.
func (c *call) labelled() *issue {
	i := c.repo.issue(c.number("number"))
	if i == nil {
		c.missing()
		return nil
	}
	if !c.speak(i) {
		return nil
	}
	return i
}

// addLabels adds labels to those that an issue has, and makes those that the
// repository has not.
func (s *Server) addLabels(c *call) {
	i := c.labelled()
	if i == nil {
		return
	}
	names, _ := c.body["labels"].([]any)
	for _, n := range names {
		name, ok := n.(string)
		if !ok || strings.TrimSpace(name) == "" {
			c.invalid("Label", "name can't be blank")
			return
		}
		name = s.makeLabel(c.repo, name).name
		if !slices.Contains(i.labels, name) {
			i.labels = append(slices.Clone(i.labels), name)
			s.edit("%s: #%d is labelled %q", c.repo.name, i.number, name)
		}
	}
	c.answer(http.StatusOK, labelObjects(c, i))
}

func (s *Server) removeLabel(c *call) {
	i := c.labelled()
	if i == nil {
		return
	}
	at := slices.IndexFunc(i.labels, func(l string) bool { return strings.EqualFold(l, c.r.PathValue("name")) })
	if at < 0 {
		refuse(c.w, http.StatusNotFound, "Label does not exist")
		return
	}
	s.edit("%s: #%d is not labelled %q any more", c.repo.name, i.number, i.labels[at])
	i.labels = slices.Delete(slices.Clone(i.labels), at, at+1)
	c.answer(http.StatusOK, labelObjects(c, i))
}
