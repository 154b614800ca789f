package repo

import (
	"bytes"
	"encoding/base64"
	"io"
	"net/http"
	"net/http/cgi"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// A server is git's own HTTP backend behind a password, with faults.
type server struct {
	*httptest.Server
	url string

	mu    sync.Mutex
	fault func(w http.ResponseWriter, r *http.Request, serve func(http.ResponseWriter)) // nil: none
	asked []string                                                                      // paths with queries
	sent  []int                                                                         // bytes of each push
}

const password = "ghs_Zq8rT2mVbX5nKd7LpW3yHc9JfA4sGe6UoQ1i"

// serve offers the bare repository at dir over HTTP.
func serve(tb testing.TB, dir string) *server {
	tb.Helper()
	s := &server{}
	backend := &cgi.Handler{
		Path: filepath.Join(git(tb, "", "--exec-path"), "git-http-backend"),
		Env: []string{
			"GIT_PROJECT_ROOT=" + filepath.Dir(dir), "GIT_HTTP_EXPORT_ALL=1", "REMOTE_USER=ci", "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=/dev/null",
			"GIT_CONFIG_COUNT=1", "GIT_CONFIG_KEY_0=http.receivepack", "GIT_CONFIG_VALUE_0=true",
		},
		InheritEnv: []string{"PATH"},
		Stderr:     io.Discard,
	}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body) // CGI knows no chunks
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		r.Body, r.ContentLength, r.TransferEncoding = io.NopCloser(bytes.NewReader(body)), int64(len(body)), nil
		s.mu.Lock()
		s.asked = append(s.asked, r.URL.String())
		if pushes(r) {
			s.sent = append(s.sent, len(body))
		}
		fault := s.fault
		s.mu.Unlock()
		if user, pass, _ := r.BasicAuth(); user != "x-access-token" || pass != password {
			w.Header().Set("WWW-Authenticate", `Basic realm="git"`)
			http.Error(w, "bad credentials for "+pass, http.StatusUnauthorized)
			return
		}
		if fault != nil {
			fault(w, r, func(w http.ResponseWriter) { backend.ServeHTTP(w, r) })
			return
		}
		backend.ServeHTTP(w, r)
	}))
	tb.Cleanup(s.Close)
	s.url = s.URL + "/" + filepath.Base(dir)
	return s
}

func (s *server) on(fault func(w http.ResponseWriter, r *http.Request, serve func(http.ResponseWriter))) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fault = fault
}

// pushes says whether r is the request that updates refs.
func pushes(r *http.Request) bool {
	return r.Method == http.MethodPost && strings.HasSuffix(r.URL.Path, "/git-receive-pack")
}

// drop ends a connection in the middle.
func drop(w http.ResponseWriter) {
	panic(http.ErrAbortHandler)
}

// status answers with a status and a text as GitHub would.
func status(code int, text string) func(http.ResponseWriter, *http.Request, func(http.ResponseWriter)) {
	return func(w http.ResponseWriter, _ *http.Request, _ func(http.ResponseWriter)) {
		http.Error(w, text, code)
	}
}

func withAuth(o *Options) { o.Auth = Auth{User: "x-access-token", Token: password} }

func basic() string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte("x-access-token:"+password))
}
