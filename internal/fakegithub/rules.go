package fakegithub

import (
	"net/http"
	"path"
)

// A Rule is one of a repository's rulesets, which applies to branches. That it is
// obeyed is for a test's own hook.
type Rule struct {
	Type     string // as the API calls it
	Branches string // a pattern of path.Match
	Ruleset  string // its name
	Bypass   string // what the token may: always, never, ...; "": the ruleset is not shown
}

// AddRule makes a rule known.
func (s *Server) AddRule(repo string, r Rule) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.repos[repo].rules = append(s.repos[repo].rules, r)
}

// DropRules takes all rules back.
func (s *Server) DropRules(repo string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.repos[repo].rules = nil
}

// Rules have the ids of their places, from 1.

func (s *Server) branchRules(c *call) {
	list := []object{}
	for i, r := range c.repo.rules {
		if ok, err := path.Match(r.Branches, c.r.PathValue("branch")); ok && err == nil {
			list = append(list, object{"type": r.Type, "ruleset_id": i + 1, "ruleset_source": c.repo.name, "ruleset_source_type": "Repository"})
		}
	}
	c.answer(http.StatusOK, list)
}

func (s *Server) getRuleset(c *call) {
	id := int(c.number("id"))
	if id < 1 || id > len(c.repo.rules) || c.repo.rules[id-1].Bypass == "" {
		c.missing()
		return
	}
	r := c.repo.rules[id-1]
	c.answer(http.StatusOK, object{
		"id": id, "name": r.Ruleset, "target": "branch", "source_type": "Repository", "source": c.repo.name, "enforcement": "active",
		"current_user_can_bypass": r.Bypass, "rules": []object{{"type": r.Type}},
	})
}
