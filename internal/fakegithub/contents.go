package fakegithub

import (
	"encoding/base64"
	"net/http"
	"path"
	"strings"
)

// getContents answers with a file as it is at a commit or branch.
func (s *Server) getContents(c *call) {
	if !c.may("contents=read") {
		return
	}
	name, ref := c.r.PathValue("path"), c.r.URL.Query().Get("ref")
	if ref == "" {
		ref = "refs/heads/" + c.repo.branch
	}
	id, err := c.repo.git("rev-parse", "--verify", "--quiet", ref+":"+name)
	if err != nil {
		c.missing()
		return
	}
	kind, err := c.repo.git("cat-file", "-t", strings.TrimSpace(id))
	if err != nil || strings.TrimSpace(kind) != "blob" { // of directories nobody asks
		c.missing()
		return
	}
	text, err := c.repo.git("cat-file", "blob", strings.TrimSpace(id))
	if err != nil {
		c.missing()
		return
	}
	url := c.base + "/repos/" + c.repo.name + "/contents/" + name
	c.answer(http.StatusOK, object{
		"type": "file", "encoding": "base64", "size": len(text), "name": path.Base(name), "path": name, "content": base64.StdEncoding.EncodeToString([]byte(text)),
		"sha": strings.TrimSpace(id), "url": url, "git_url": nil, "html_url": nil, "download_url": nil,
		"_links": object{"git": nil, "html": nil, "self": url},
	})
}
