package oracle

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/autonomous-loop/autonomous-loop/internal/fakegithub"
)

// A witness is a test that may fail without failing this one.
type witness struct {
	testing.TB
	said []string
}

func (w *witness) Helper()                        {}
func (w *witness) Errorf(format string, a ...any) { w.said = append(w.said, fmt.Sprintf(format, a...)) }

// ask sends one request to a handler that the oracle watches.
func ask(t *testing.T, method, path, body string, h http.HandlerFunc) []string {
	w := &witness{TB: t}
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	Validate(w, h).ServeHTTP(httptest.NewRecorder(), r)
	return w.said
}

func reply(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		w.Write([]byte(body))
	}
}

func TestOracleSeesWhatIsWrong(t *testing.T) {
	const pulls = "/repos/o/r/pulls"
	const comment = "/repos/o/r/issues/1/comments"
	for _, c := range []struct {
		method, path, body string
		answer             http.HandlerFunc
		want               string // "": nothing is wrong
	}{
		{"GET", pulls, "", reply(200, "[]"), ""},
		{"GET", "/elsewhere", "", reply(200, "nonsense"), ""},
		{"GET", "/repos/o/r/nonsense", "", reply(200, "{}"), "not in GitHub's description"},
		{"GET", pulls + "?state=maybe", "", reply(200, "[]"), "the request is not as GitHub describes it"},
		{"POST", pulls, `{"title":"t","base":"main"}`, reply(422, `{"message":"m","documentation_url":"d"}`), "the request is not as GitHub describes it"},
		{"POST", comment, `{"body":7}`, reply(404, `{"message":"m","documentation_url":"d"}`), "the request is not as GitHub describes it"},
		{"GET", pulls, "", reply(200, `[{"number":1}]`), "the answer is not as GitHub describes it"},
		{"GET", pulls, "", reply(201, `[]`), "the answer is not as GitHub describes it"},
		{"GET", pulls, "", reply(404, `{"message":"m","documentation_url":"d"}`), ""},
		{"GET", pulls, "", reply(404, `{}`), "without message and documentation_url"},
		{"GET", pulls, "", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set(fakegithub.Faulty, "1")
			reply(500, "<html>")(w, r)
		}, ""},
	} {
		said := strings.Join(ask(t, c.method, c.path, c.body, c.answer), "\n")
		if c.want == "" && said != "" || !strings.Contains(said, c.want) {
			t.Errorf("%s %s: said %q, want %q", c.method, c.path, said, c.want)
		}
	}
}

// Every package that tests against the fake pays for loading the description.
func BenchmarkLoad(b *testing.B) {
	for b.Loop() {
		if _, err := load(); err != nil {
			b.Fatal(err)
		}
	}
}
