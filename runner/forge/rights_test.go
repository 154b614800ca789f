package forge

import (
	"strings"
	"testing"

	"github.com/autonomous-loop/autonomous-loop/internal/fakegithub"
)

// What a token may not do is said, one thing after the other; and nothing is
// written to find it out.
func TestRights(t *testing.T) {
	const classic = "ghp_classic"
	for name, tt := range map[string]struct {
		begin func(w *world)
		token string
		lacks string
		says  string
	}{
		"a job's token":          {func(*world) {}, "", "", "may read what a session reads"},
		"no actions":             {func(w *world) { w.SetPermission("actions", "") }, "", "may not read actions (GitHub says 403 Resource not accessible by integration)", ""},
		"no issues":              {func(w *world) { w.SetPermission("issues", ""); w.SetPermission("pull_requests", "") }, "", "may not read issues (GitHub says 403 Resource not accessible by integration)|may not read pull-requests (GitHub says 403 Resource not accessible by integration)", ""},
		"an archived repository": {func(w *world) { w.Archive(where) }, "", "can write nothing: the repository is archived", ""},
		"a classic one":          {func(w *world) { w.AddToken(classic, fakegithub.Actor{Login: "ada", ID: 7, Scopes: "repo, workflow"}) }, classic, "", "with the scopes repo, workflow"},
		"one without the scope":  {func(w *world) { w.AddToken(classic, fakegithub.Actor{Login: "ada", ID: 7, Scopes: "gist"}) }, classic, "lacks the scope repo (a classic token)", ""},
		"of somebody who may read": {func(w *world) {
			w.AddToken(classic, fakegithub.Actor{Login: "ada", ID: 7, Scopes: "repo", Reader: true})
		}, classic, "belongs to an account that may not push to the repository", ""},
		"one that nobody knows": {func(*world) {}, "ghp_unknown", "may not see the repository (GitHub says 401 Bad credentials)", ""},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			tt.begin(w)
			h := w.hub()
			if tt.token != "" {
				h.wire.authorize = bearer(tt.token)
			}
			before := len(w.Edits())
			r := got(h.Rights(t.Context()))(t)
			if lacks := strings.Join(r.Lacks, "|"); lacks != tt.lacks || !strings.Contains(r.Says, tt.says) {
				t.Errorf("it %s; %s", lacks, r.Says)
			}
			if len(w.Edits()) != before {
				t.Errorf("it wrote: %q", w.Edits())
			}
		})
	}
	w := newWorld(t)
	w.Fail(fakegithub.Fault{Match: "GET /repos/*/*", Status: 500, Times: -1})
	if _, err := w.hub().Rights(t.Context()); err == nil {
		t.Error("no error where nobody can be asked")
	}
}

// What people see of a loop is listed, and what stands there twice is there twice.
func TestShown(t *testing.T) {
	w := newWorld(t)
	h := w.hub()
	r := w.report("It goes well.")
	st := r.State
	pulls, comments, err := h.Shown(t.Context(), st)
	if err != nil || len(pulls) != 0 || len(comments) != 0 {
		t.Fatalf("before anything: %v, %v, %v", pulls, comments, err)
	}
	st.Effects = got(h.Report(t.Context(), r))(t).Keys
	pulls, comments, err = h.Shown(t.Context(), st)
	if err != nil || len(pulls) != 1 || len(comments) != 1 {
		t.Fatalf("after a report: %v, %v, %v", pulls, comments, err)
	}
	for _, p := range w.Pulls(where) { // somebody copies it, in the loop's name and in their own
		body := w.Comments(where, p.Number)[0].Body
		w.AddComment(where, p.Number, fakegithub.Actor{Login: fakegithub.Bot, ID: fakegithub.BotID, App: true}, body)
		w.AddComment(where, p.Number, fakegithub.Actor{Login: "mallory", ID: 66}, body)
	}
	if _, comments, err = h.Shown(t.Context(), st); err != nil || len(comments) != 2 {
		t.Errorf("with another one: %v, %v", comments, err)
	}
	w.Fail(fakegithub.Fault{Match: "GET /repos/*/*/pulls", Status: 500, Times: -1})
	if _, _, err := h.Shown(t.Context(), st); err == nil {
		t.Error("no error where nobody can be asked")
	}
}
