package fakegithub

import (
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
)

// A Fault is what goes wrong with the requests that match.
type Fault struct {
	// Match is a pattern of package path over "METHOD /path", in which * stands
	// for anything but a slash: "POST /repos/*/*/pulls".
	Match string
	Skip  int // matching requests that are served before the fault begins
	Times int // how often it happens; 0 is once, less is always

	// One of these happens.
	Status int  // this answer, and nothing else
	Drop   bool // the connection ends before the server does anything
	Reset  bool // the same, with a reset
	Hang   bool // no answer, until the client goes away
	Lose   bool // the server does it, but the connection ends before the answer
	Later  bool // the server does it, and says that it will (202)
	Cut    bool // the server does it, but half of the answer is missing, unnoticed by HTTP

	Header map[string]string // of the answer with Status
	Body   string            // of it; "" is GitHub's usual JSON
}

// Faulty marks an answer that a fault made up.
const Faulty = "X-Fake-Fault"

// Fail adds a fault.
func (s *Server) Fail(f Fault) {
	if _, err := path.Match(f.Match, ""); err != nil {
		panic("fakegithub: " + f.Match + ": " + err.Error())
	}
	if f.Times == 0 {
		f.Times = 1
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = append(s.faults, &f)
}

// Heal ends all faults.
func (s *Server) Heal() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = nil
}

// due is the fault that r meets, if any.
func (s *Server) due(r *http.Request) *Fault {
	for _, f := range s.faults {
		if ok, _ := path.Match(f.Match, r.Method+" "+r.URL.Path); !ok || f.Times == 0 {
			continue
		}
		if f.Skip > 0 {
			f.Skip--
			continue
		}
		f.Times--
		return f
	}
	return nil
}

func (f *Fault) serve(w http.ResponseWriter, r *http.Request, next http.HandlerFunc) {
	w.Header().Set(Faulty, "1")
	if f.Status != 0 {
		for k, v := range f.Header {
			w.Header().Set(k, v)
		}
		if f.Body == "" {
			refuse(w, f.Status, http.StatusText(f.Status))
			return
		}
		w.WriteHeader(f.Status)
		w.Write([]byte(f.Body))
		return
	}
	switch {
	case f.Drop:
		panic(http.ErrAbortHandler)
	case f.Reset:
		reset(w)
		return
	case f.Hang:
		io.Copy(io.Discard, r.Body) // or the client's end is not noticed
		<-r.Context().Done()
		panic(http.ErrAbortHandler)
	}
	rec := httptest.NewRecorder()
	next(rec, r)
	if f.Lose {
		panic(http.ErrAbortHandler)
	}
	if f.Later {
		answer(w, http.StatusAccepted, object{})
		return
	}
	maps.Copy(w.Header(), rec.Header())
	half := rec.Body.Bytes()[:rec.Body.Len()/2]
	w.Header().Set("Content-Length", strconv.Itoa(len(half)))
	w.WriteHeader(rec.Code)
	w.Write(half)
}

// reset ends the connection of an answer with a TCP reset. What wraps the
// answer's writer has to say so, as http.ResponseController wants it.
func reset(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	if c, ok := conn.(*net.TCPConn); ok {
		c.SetLinger(0)
	}
	conn.Close()
}

// Rename gives a repository another name. GitHub then sends requests by the old
// name elsewhere, to an address with the repository's id.
func (s *Server) Rename(old, name string) error {
	if err := os.MkdirAll(filepath.Dir(s.Dir(name)), 0o755); err != nil {
		return err
	}
	if err := os.Rename(s.Dir(old), s.Dir(name)); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.repos[old]
	delete(s.repos, old)
	r.name, r.dir = name, s.Dir(name)
	s.repos[name], s.former[old] = r, r
	return nil
}

// redirected sends a request by an old name of a repository elsewhere, and
// leads one by a repository's id to its name.
func (s *Server) redirected(w http.ResponseWriter, r *http.Request) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	to := ""
	for old, now := range s.former {
		if rest, ok := strings.CutPrefix(r.URL.Path, "/repos/"+old); ok {
			to = fmt.Sprintf("/repositories/%d%s", now.id, rest)
		} else if rest, ok := strings.CutPrefix(r.URL.Path, "/"+old+".git/"); ok {
			to = "/" + now.name + ".git/" + rest
		}
	}
	if rest, ok := strings.CutPrefix(r.URL.Path, "/repositories/"); ok {
		id, rest, _ := strings.Cut(rest, "/")
		for name, repo := range s.repos {
			if strconv.FormatInt(repo.id, 10) == id {
				r.URL.Path = strings.TrimSuffix("/repos/"+name+"/"+rest, "/")
			}
		}
	}
	if to == "" {
		return false
	}
	if r.URL.RawQuery != "" {
		to += "?" + r.URL.RawQuery
	}
	status := http.StatusMovedPermanently
	if r.Method != http.MethodGet {
		status = http.StatusTemporaryRedirect
	}
	w.Header().Set(Faulty, "1") // GitHub's description does not have it everywhere
	w.Header().Set("Location", "http://"+r.Host+to)
	refuse(w, status, http.StatusText(status))
	return true
}

// Archive makes a repository one that only can be read.
func (s *Server) Archive(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.repos[name].archived = true
}

// RemovePull deletes a pull request, as GitHub's staff does for its owner.
func (s *Server) RemovePull(repo string, number int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.repos[repo].issue(int64(number)).removed = true
}
