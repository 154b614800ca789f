package fakegithub

import (
	"net/http"
	"slices"
	"strconv"
	"time"
)

// An artifact is a row of the artifact service: named first, then filled by
// blocks, then final.
type artifact struct {
	id       int64
	run      *Run
	backends [2]string // of the run attempt and the job that created it
	name     string
	mime     string
	blocks   map[string][]byte // staged, by block id
	data     []byte            // committed
	stored   bool
	final    bool
	expired  bool
	digest   string
	created  time.Time
	expires  time.Time
}

// An Artifact is a final artifact as a test sees it.
type Artifact struct {
	ID   int64
	Run  int64
	Name string
	Data []byte
}

// Artifacts lists the artifacts of all runs, oldest first.
func (s *Server) Artifacts() []Artifact {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []Artifact
	for _, a := range s.rows {
		if a.final {
			out = append(out, Artifact{ID: a.id, Run: a.run.ID, Name: a.name, Data: slices.Clone(a.data)})
		}
	}
	return out
}

// Corrupt replaces what an artifact holds, but not the digest that is known of
// it. Expire lets it expire.
func (s *Server) Corrupt(id int64, data []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.artifact(id).data = data
}

// Expire lets an artifact expire.
func (s *Server) Expire(id int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.artifact(id).expired = true
}

func (s *Server) artifact(id int64) *artifact {
	i := slices.IndexFunc(s.rows, func(a *artifact) bool { return a.id == id })
	if i < 0 {
		return nil
	}
	return s.rows[i]
}

func (s *Server) listArtifacts(c *call) {
	if !c.may("actions=read") {
		return
	}
	run := c.number("run")
	if r := s.run(run); r == nil || r.Repo != c.repo.name {
		c.missing()
		return
	}
	name := c.r.URL.Query().Get("name")
	var found []*artifact
	for _, a := range slices.Backward(s.rows) { // newest first
		if a.final && a.run.ID == run && (name == "" || a.name == name) {
			found = append(found, a)
		}
	}
	out := []any{}
	for _, a := range page(c, found) {
		out = append(out, c.artifactObject(a))
	}
	c.answer(http.StatusOK, object{"total_count": len(found), "artifacts": out})
}

// final finds the artifact that the path names.
func (s *Server) final(c *call) *artifact {
	if !c.may("actions=read") {
		return nil
	}
	a := s.artifact(c.number("id"))
	if a == nil || !a.final || a.run.Repo != c.repo.name {
		c.missing()
		return nil
	}
	return a
}

func (s *Server) getArtifact(c *call) {
	if a := s.final(c); a != nil {
		c.answer(http.StatusOK, c.artifactObject(a))
	}
}

func (s *Server) downloadArtifact(c *call) {
	a := s.final(c)
	switch {
	case a == nil:
	case a.expired:
		refuse(c.w, http.StatusGone, "Artifact has expired")
	case c.r.PathValue("format") != "zip":
		c.missing()
	default:
		c.w.Header().Set("Location", s.blobURL(c.base, a, "r", time.Minute))
		c.w.WriteHeader(http.StatusFound)
	}
}

func decimal(n int) string { return strconv.Itoa(n) }
