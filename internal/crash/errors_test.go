package crash

import (
	"bytes"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"
)

// spoils are the ways in which a request fails that a server can cause. What a
// proxy answers was carried out behind it.
var spoils = []struct {
	what  string
	spoil func(rw http.ResponseWriter, r *http.Request, serve http.HandlerFunc)
}{
	{"500", func(rw http.ResponseWriter, _ *http.Request, _ http.HandlerFunc) {
		http.Error(rw, `{"message":"Server Error"}`, http.StatusInternalServerError)
	}},
	{"502 after it was done", func(rw http.ResponseWriter, r *http.Request, serve http.HandlerFunc) {
		serve(httptest.NewRecorder(), r)
		http.Error(rw, "<html>Bad Gateway</html>", http.StatusBadGateway)
	}},
	{"reset before it was done", func(http.ResponseWriter, *http.Request, http.HandlerFunc) { panic(http.ErrAbortHandler) }},
	{"reset after it was done", func(_ http.ResponseWriter, r *http.Request, serve http.HandlerFunc) {
		serve(httptest.NewRecorder(), r)
		panic(http.ErrAbortHandler)
	}},
	{"half an answer", func(rw http.ResponseWriter, r *http.Request, serve http.HandlerFunc) {
		rec := httptest.NewRecorder()
		serve(rec, r)
		maps.Copy(rw.Header(), rec.Header())
		half := rec.Body.Bytes()[:rec.Body.Len()/2]
		rw.Header().Set("Content-Length", strconv.Itoa(len(half)))
		rw.WriteHeader(rec.Code)
		_, _ = bytes.NewReader(half).WriteTo(rw)
	}},
	{"403 secondary", func(rw http.ResponseWriter, _ *http.Request, _ http.HandlerFunc) {
		rw.Header().Set("Retry-After", "1")
		http.Error(rw, `{"message":"You have exceeded a secondary rate limit"}`, http.StatusForbidden)
	}},
	{"429", func(rw http.ResponseWriter, _ *http.Request, _ http.HandlerFunc) {
		rw.Header().Set("Retry-After", "1")
		http.Error(rw, `{"message":"Too many requests"}`, http.StatusTooManyRequests)
	}},
}

// TestErrorAtEveryRequest lets every request of a loop fail once, and every other
// one from then on until the process ends, in ways that take turns: the
// simulation tries all of them (internal/sim, TestEveryError), here they meet the
// program, over real HTTP and git's own protocol. Its pauses are a thousandth as
// long.
func TestErrorAtEveryRequest(t *testing.T) {
	g := peace(t, oneJob)
	c := count{begun: time.Now()}
	t.Run("requests", func(t *testing.T) {
		for n, e := range g.effects {
			for _, sticky := range []bool{false, true} {
				if deep && sticky && n%2 == 1 {
					continue // the simulation has all
				}
				if !deep && (n%20 != 11 || sticky != (n%40 == 11)) {
					continue
				}
				s := spoils[(n+map[bool]int{true: 3}[sticky])%len(spoils)]
				often := map[bool]string{false: "once", true: "from then on"}[sticky]
				t.Run(fmt.Sprintf("%d %s %s %s", n+1, s.what, often, strings.ReplaceAll(e.what, "/", "|")), func(t *testing.T) {
					t.Parallel()
					w := oneJob.world(t)
					process := -1
					w.meet = func(w *world, at int, _ effect) fault {
						if at == n+1 {
							process = len(w.runs)
						}
						if at == n+1 || sticky && process == len(w.runs) {
							return fault{spoil: s.spoil}
						}
						return fault{}
					}
					w.play()
					w.same(g, 3)
					if w.met == 0 {
						w.fail("no request failed")
					}
					c.add(w)
				})
			}
		}
	})
	c.tell(t, "failed requests")
}
