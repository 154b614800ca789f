package fakegithub

import (
	"bytes"
	"io"
	"log"
	"net/http"
	"net/http/cgi"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
)

// backend is the path of the program that serves repositories.
var backend = sync.OnceValues(func() (string, error) {
	dir, err := exec.Command("git", "--exec-path").Output()
	return filepath.Join(strings.TrimSpace(string(dir)), "git-http-backend"), err
})

// git serves a repository over smart HTTP by git's own program, to x-access-token
// with a token that may read or write contents.
func (s *Server) git(w http.ResponseWriter, r *http.Request) {
	name, _, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), ".git/")
	_, token, _ := r.BasicAuth()
	s.mu.Lock()
	a, known := s.actors[token], s.repos[name]
	level := ""
	if a != nil {
		level = a.Perms["contents"]
	}
	s.mu.Unlock()
	push := strings.HasSuffix(r.URL.Path, "/git-receive-pack") || r.URL.Query().Get("service") == "git-receive-pack"
	switch {
	case a == nil:
		w.Header().Set("WWW-Authenticate", `Basic realm="GitHub"`)
		http.Error(w, "Invalid username or token. Password authentication is not supported for Git operations.", http.StatusUnauthorized)
		return
	case known == nil, a.App && level == "":
		http.Error(w, "Repository not found.", http.StatusNotFound)
		return
	case push && known.archived:
		http.Error(w, "This repository was archived so it is read-only.", http.StatusForbidden)
		return
	case push && a.App && level != "write":
		http.Error(w, "Permission to "+name+".git denied to "+a.Login+".", http.StatusForbidden)
		return
	}
	program, err := backend()
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	// CGI has no chunks: the length of the body must be known.
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	r = r.Clone(r.Context())
	r.Body, r.ContentLength, r.TransferEncoding = io.NopCloser(bytes.NewReader(body)), int64(len(body)), nil
	r.Header.Del("Authorization")
	h := cgi.Handler{
		Path: program,
		Env: append([]string{
			"GIT_PROJECT_ROOT=" + s.opts.Root, "GIT_HTTP_EXPORT_ALL=1", "REMOTE_USER=" + a.Login, "PATH=/usr/local/bin:/usr/bin:/bin",
		}, gitConfig...),
		Logger: log.New(io.Discard, "", 0),
		Stderr: io.Discard,
	}
	if r.Method != http.MethodPost || !push {
		h.ServeHTTP(w, r)
		return
	}
	before := refs(known.dir)
	h.ServeHTTP(w, r)
	s.mu.Lock()
	defer s.mu.Unlock()
	after := refs(known.dir)
	for ref, oid := range after {
		if old := before[ref]; old == "" {
			s.edit("%s: %s created by %s", name, ref, a.Login)
		} else if old != oid {
			s.edit("%s: %s moved by %s", name, ref, a.Login)
		}
	}
	for ref := range before {
		if after[ref] == "" {
			s.edit("%s: %s deleted by %s", name, ref, a.Login)
		}
	}
}

// refs are the branches and tags of a bare repository.
func refs(dir string) map[string]string {
	out := map[string]string{}
	text, err := git(dir, nil, "for-each-ref", "--format=%(refname) %(objectname)")
	if err != nil {
		return out
	}
	for line := range strings.Lines(text) {
		ref, oid, _ := strings.Cut(strings.TrimSpace(line), " ")
		out[ref] = oid
	}
	return out
}
