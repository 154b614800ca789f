package fakegithub

import (
	"maps"
	"net/http"
	"net/http/httptest"
	"path"
	"strconv"
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
	Lose   bool // the server does it, but the connection ends before the answer
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
	if f.Drop {
		panic(http.ErrAbortHandler)
	}
	rec := httptest.NewRecorder()
	next(rec, r)
	if f.Lose {
		panic(http.ErrAbortHandler)
	}
	maps.Copy(w.Header(), rec.Header())
	half := rec.Body.Bytes()[:rec.Body.Len()/2]
	w.Header().Set("Content-Length", strconv.Itoa(len(half)))
	w.WriteHeader(rec.Code)
	w.Write(half)
}
