package forge

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/autonomous-loop/autonomous-loop/internal/fakegithub"
	"github.com/autonomous-loop/autonomous-loop/runner"
)

func TestReportOpensOnePullRequestAndOneComment(t *testing.T) {
	w := newWorld(t)
	out := got(w.hub().Report(t.Context(), w.report("1 of 3")))(t)
	want := runner.Receipts{Keys: map[string]string{
		KeyPull:    w.url + "/octo/loop/pull/1",
		KeyComment: fmt.Sprintf("%s/octo/loop/pull/1#issuecomment-%d", w.url, w.Comments(where, 1)[0].ID),
	}}
	if d := cmp.Diff(out, want); d != "" {
		t.Errorf("receipts (-got +want):\n%s", d)
	}
	if d := cmp.Diff(w.edits(), []string{
		"draft pull request #1 by github-actions[bot], autonomous-loop/main into main: List: 1 of 3",
		"comment on #1 by github-actions[bot]: **1 of 3** done",
	}); d != "" {
		t.Errorf("edits (-got +want):\n%s", d)
	}
	if got, want := w.Pulls(where)[0].Body, marker(lineage)+"\nWhat is in it: 1 of 3.\n"+endMarker; got != want {
		t.Errorf("body %q, want %q", got, want)
	}
	if got, want := w.summary.String(), "Summary: 1 of 3\n"; got != want {
		t.Errorf("summary %q, want %q", got, want)
	}
}

func TestReportTwiceChangesNothing(t *testing.T) {
	w := newWorld(t)
	h := w.hub()
	first := got(h.Report(t.Context(), w.report("1 of 3")))(t)
	for _, h := range []*Hub{h, w.hub()} { // the same process and a new one
		before := len(w.edits())
		again := got(h.Report(t.Context(), w.report("1 of 3")))(t)
		if d := cmp.Diff(again, first); d != "" {
			t.Errorf("receipts (-again +first):\n%s", d)
		}
		if edits := w.edits()[before:]; len(edits) > 0 {
			t.Errorf("changed %q", edits)
		}
	}
	if n := strings.Count(w.summary.String(), "Summary"); n != 2 {
		t.Errorf("two jobs wrote %d summaries", n)
	}
}

func TestReportKeepsBothUpToDate(t *testing.T) {
	w := newWorld(t)
	got(w.hub().Report(t.Context(), w.report("1 of 3")))(t)
	before := len(w.edits())
	got(w.hub().Report(t.Context(), w.report("2 of 3")))(t)
	if d := cmp.Diff(w.edits()[before:], []string{
		"pull request #1 edited: List: 2 of 3",
		"comment on #1 edited: **2 of 3** done",
	}); d != "" {
		t.Errorf("edits (-got +want):\n%s", d)
	}
}

// Whatever answer is lost, and however the session ends for it, the next report
// leaves one pull request and one comment.
func TestReportLosesAnAnswer(t *testing.T) {
	for _, at := range []string{"POST /repos/*/*/pulls", "POST /repos/*/*/issues/*/comments", "PATCH /repos/*/*/pulls/*", "PATCH /repos/*/*/issues/comments/*", "GET /repos/*/*/pulls", "GET /user"} {
		for name, f := range map[string]fakegithub.Fault{
			"drop": {Drop: true}, "lose": {Lose: true}, "cut": {Cut: true}, "502": {Status: 502}, "always lost": {Lose: true, Times: -1},
		} {
			t.Run(strings.ReplaceAll(at, "/", "_")+" "+name, func(t *testing.T) {
				w := newWorld(t)
				if strings.HasPrefix(at, "PATCH") {
					got(w.hub().Report(t.Context(), w.report("1 of 3")))(t)
				}
				f.Match = at
				w.Fail(f)
				out, err := w.hub().Report(t.Context(), w.report("2 of 3"))
				if err != nil {
					t.Fatal(err)
				}
				if f.Times == 0 && len(out.Warnings) > 0 {
					t.Errorf("one lost answer is a warning: %q", out.Warnings)
				}
				w.Heal()
				got(w.hub().Report(t.Context(), w.report("2 of 3")))(t)
				if p := w.Pulls(where); len(p) != 1 || p[0].Title != "List: 2 of 3" {
					t.Errorf("pull requests %+v", p)
				}
				if c := w.Comments(where, 1); len(c) != 1 || !strings.Contains(c[0].Body, "2 of 3") {
					t.Errorf("comments %+v", c)
				}
			})
		}
	}
}

func TestCommentIsFoundOnAnyPage(t *testing.T) {
	w := newWorld(t)
	n := w.AddPull(where, boss, "autonomous-loop/main", "main", "By hand", "")
	for i := range 205 {
		w.AddComment(where, n, boss, fmt.Sprint("comment ", i))
	}
	me := fakegithub.Actor{Login: fakegithub.Bot, ID: fakegithub.BotID, App: true}
	id := w.AddComment(where, n, me, marker(lineage)+"\nold\n")
	out := got(w.hub().Report(t.Context(), w.report("1 of 3")))(t)
	if !strings.HasSuffix(out.Keys[KeyComment], fmt.Sprint("#issuecomment-", id)) {
		t.Errorf("comment %s, want %d", out.Keys[KeyComment], id)
	}
	if d := cmp.Diff(w.edits(), []string{"comment on #1 edited: **1 of 3** done"}); d != "" {
		t.Errorf("edits (-got +want):\n%s", d)
	}
	if n := w.count("GET /repos/octo/loop/issues/1/comments"); n != 3 {
		t.Errorf("%d requests for 3 pages", n)
	}
}

func TestPlantedMarkersAreIgnored(t *testing.T) {
	w := newWorld(t)
	got(w.hub().Report(t.Context(), w.report("1 of 3")))(t)
	ours := w.Comments(where, 1)[0]
	me := fakegithub.Actor{Login: fakegithub.Bot, ID: fakegithub.BotID, App: true}
	planted := w.AddComment(where, 1, boss, marker(lineage)+"\nSend me your keys.\n")
	other := w.AddComment(where, 1, me, marker("another")+"\nanother loop's\n")
	quoted := w.AddComment(where, 1, me, "Another action quotes:\n"+marker(lineage)+"\n")
	got(w.hub().Report(t.Context(), w.report("2 of 3")))(t)
	var ids []int64
	for _, c := range w.Comments(where, 1) {
		ids = append(ids, c.ID)
		if c.ID != ours.ID && strings.Contains(c.Body, "of 3") {
			t.Errorf("comment %d is not ours but was edited: %s", c.ID, c.Body)
		}
	}
	if d := cmp.Diff(ids, []int64{ours.ID, planted, other, quoted}); d != "" {
		t.Errorf("comments (-got +want):\n%s", d)
	}
}

func TestDuplicateCommentsAreHealed(t *testing.T) {
	w := newWorld(t)
	got(w.hub().Report(t.Context(), w.report("1 of 3")))(t)
	me := fakegithub.Actor{Login: fakegithub.Bot, ID: fakegithub.BotID, App: true}
	first := w.Comments(where, 1)[0].ID
	w.AddComment(where, 1, me, marker(lineage)+"\nsecond\n")
	w.AddComment(where, 1, me, marker(lineage)+"\nthird\n")
	got(w.hub().Report(t.Context(), w.report("2 of 3")))(t)
	if c := w.Comments(where, 1); len(c) != 1 || c[0].ID != first {
		t.Errorf("comments %+v, want only %d", c, first)
	}
}

func TestATokenOfAPersonIsKnownByGitHub(t *testing.T) {
	w := newWorld(t)
	w.AddToken("ghp_ann", boss)
	ann := func(o *Options) { o.Token = "ghp_ann" }
	for _, text := range []string{"1 of 3", "2 of 3"} {
		if out := got(w.hub(ann).Report(t.Context(), w.report(text)))(t); len(out.Warnings) > 0 {
			t.Errorf("warnings %q", out.Warnings)
		}
	}
	if c := w.Comments(where, 1); len(c) != 1 || c[0].Author != "ann" || !strings.Contains(c[0].Body, "2 of 3") {
		t.Errorf("comments %+v", c)
	}
}

// One that cannot be deleted costs a warning that names it, and not the news.
func TestDuplicateThatStays(t *testing.T) {
	w := newWorld(t)
	got(w.hub().Report(t.Context(), w.report("1 of 3")))(t)
	me := fakegithub.Actor{Login: fakegithub.Bot, ID: fakegithub.BotID, App: true}
	second := w.AddComment(where, 1, me, marker(lineage)+"\nsecond\n")
	w.Fail(fakegithub.Fault{Match: "DELETE /repos/*/*/issues/comments/*", Status: 403})
	out := got(w.hub().Report(t.Context(), w.report("2 of 3")))(t)
	if d := cmp.Diff(out.Warnings, []string{fmt.Sprintf("keep the progress comment up to date: delete the comment %s/octo/loop/pull/1#issuecomment-%d, which is one too many: GitHub says 403 Forbidden", w.url, second)}); d != "" {
		t.Errorf("warnings (-got +want):\n%s", d)
	}
	if c := w.Comments(where, 1)[0]; !strings.Contains(c.Body, "2 of 3") {
		t.Errorf("comment %q", c.Body)
	}
}

// The tokens of some apps cannot tell whose they are. The receipt of the session
// before tells which comment and pull request are ours.
func TestReceiptStandsForAnUnknownAccount(t *testing.T) {
	w := newWorld(t)
	w.AddToken("ghs_app", fakegithub.Actor{Login: "our-app[bot]", ID: 99, App: true, Perms: fakegithub.DefaultPermissions()})
	app := func(o *Options) { o.Token = "ghs_app" }
	out := got(w.hub(app).Report(t.Context(), w.report("1 of 3")))(t)
	r := w.report("2 of 3")
	r.State.Effects = out.Keys
	got(w.hub(app).Report(t.Context(), r))(t)
	if c := w.Comments(where, 1); len(c) != 1 || !strings.Contains(c[0].Body, "2 of 3") {
		t.Errorf("comments %+v", c)
	}
	if p := w.Pulls(where)[0]; p.Title != "List: 2 of 3" {
		t.Errorf("pull request %+v", p)
	}
}

func TestBeforeThePullRequest(t *testing.T) {
	t.Run("the spec's issue has the comment, and hands it over", func(t *testing.T) {
		w := newWorld(t)
		issue := w.AddIssue(where, boss, "A list", "Build it.")
		spec := func(o *Options) { o.SpecIssue = issue }
		got(w.hub(spec).Report(t.Context(), w.early("0 of 3")))(t)
		if c := w.Comments(where, issue); len(c) != 1 {
			t.Fatalf("comments %+v", c)
		}
		got(w.hub(spec).Report(t.Context(), w.report("1 of 3")))(t)
		if d := cmp.Diff(w.edits(), []string{
			"comment on #1 by github-actions[bot]: **0 of 3** done",
			"draft pull request #2 by github-actions[bot], autonomous-loop/main into main: List: 1 of 3",
			"comment on #2 by github-actions[bot]: **1 of 3** done",
			"comment on #1 deleted: **0 of 3** done",
		}); d != "" {
			t.Errorf("edits (-got +want):\n%s", d)
		}
	})
	t.Run("without an issue only the summary", func(t *testing.T) {
		w := newWorld(t)
		out := got(w.hub().Report(t.Context(), w.early("0 of 3")))(t)
		if d := cmp.Diff(out, runner.Receipts{Keys: map[string]string{}}); d != "" || len(w.Requests()) > 0 {
			t.Errorf("%s after %q", d, w.Requests())
		}
		if w.summary.String() != "Summary: 0 of 3\n" {
			t.Errorf("summary %q", w.summary.String())
		}
	})
	t.Run("no commits between is no fault", func(t *testing.T) {
		w := newWorld(t)
		got(w.Seed(where, "main", "", map[string]string{"x": "y"}))(t)
		must(t, w.Point(where, "refs/heads/autonomous-loop/main", "refs/heads/main"))
		out := got(w.hub().Report(t.Context(), w.report("1 of 3")))(t)
		if d := cmp.Diff(out, runner.Receipts{Keys: map[string]string{}}); d != "" {
			t.Errorf("receipts (-got +want):\n%s", d)
		}
	})
	t.Run("none is wanted", func(t *testing.T) {
		w := newWorld(t)
		got(w.hub(func(o *Options) { o.PullRequest = None }).Report(t.Context(), w.report("1 of 3")))(t)
		if e := w.edits(); len(e) > 0 {
			t.Errorf("edits %q", e)
		}
	})
}

func TestPullRequestOfAPerson(t *testing.T) {
	w := newWorld(t)
	w.AddPull(where, boss, "autonomous-loop/main", "main", "By hand", "My words.")
	out := got(w.hub().Report(t.Context(), w.report("1 of 3")))(t)
	if out.Keys[KeyPull] == "" || len(out.Warnings) > 0 {
		t.Errorf("receipts %+v", out)
	}
	if d := cmp.Diff(w.edits(), []string{"comment on #1 by github-actions[bot]: **1 of 3** done"}); d != "" {
		t.Errorf("edits (-got +want):\n%s", d)
	}
}

func TestWordsOfPeopleStayInThePullRequest(t *testing.T) {
	w := newWorld(t)
	got(w.hub().Report(t.Context(), w.report("1 of 3")))(t)
	w.EditPull(where, 1, "Fixes #9, says Ann.\n\n"+strings.ReplaceAll(w.Pulls(where)[0].Body, "\n", "\r\n")+"\n\nAnd a note.")
	got(w.hub().Report(t.Context(), w.report("2 of 3")))(t)
	want := "Fixes #9, says Ann.\n\n" + marker(lineage) + "\nWhat is in it: 2 of 3.\n" + endMarker + "\n\nAnd a note."
	if got := w.Pulls(where)[0].Body; got != want {
		t.Errorf("body %q, want %q", got, want)
	}
	w.EditPull(where, 1, "All mine now.")
	got(w.hub().Report(t.Context(), w.report("3 of 3")))(t)
	if got := w.Pulls(where)[0].Body; got != "All mine now." {
		t.Errorf("a body without our marks was replaced by %q", got)
	}
}

func TestClosedPullRequestStaysClosed(t *testing.T) {
	w := newWorld(t)
	got(w.hub().Report(t.Context(), w.report("1 of 3")))(t)
	w.ClosePull(where, 1, false)
	out := got(w.hub().Report(t.Context(), w.report("2 of 3")))(t)
	if out.Keys[KeyClosed] != w.url+"/octo/loop/pull/1" || out.Keys[KeyPull] != "" {
		t.Errorf("receipts %+v", out)
	}
	if p := w.Pulls(where); len(p) != 1 || p[0].Title != "List: 1 of 3" {
		t.Errorf("pull requests %+v", p)
	}
	if c := w.Comments(where, 1); len(c) != 1 || !strings.Contains(c[0].Body, "2 of 3") {
		t.Errorf("comments %+v", c)
	}
}

func TestMergedPullRequestIsFollowedByAnother(t *testing.T) {
	w := newWorld(t)
	got(w.hub().Report(t.Context(), w.report("1 of 3")))(t)
	w.ClosePull(where, 1, true)
	out := got(w.hub().Report(t.Context(), w.report("2 of 3")))(t)
	if out.Keys[KeyPull] != w.url+"/octo/loop/pull/2" {
		t.Errorf("receipts %+v", out)
	}
}

func TestRefusalsAreWarningsThatSayWhatToDo(t *testing.T) {
	for name, c := range map[string]struct {
		before   func(*world)
		warnings []string
	}{
		"no permission for pull requests": {
			func(w *world) { w.SetPermission("pull_requests", "read") },
			[]string{"open a pull request (by hand: {url}/octo/loop/compare/main...autonomous-loop/main?expand=1): GitHub says 403 Resource not accessible by integration (the token lacks the permission pull-requests: write; add it to the job's permissions)"},
		},
		"the organization's setting": {
			func(w *world) { w.ForbidPullRequests() },
			[]string{"open a pull request (by hand: {url}/octo/loop/compare/main...autonomous-loop/main?expand=1): GitHub says 403 GitHub Actions is not permitted to create or approve pull requests. (allow it under Settings, Actions, General: Allow GitHub Actions to create and approve pull requests)"},
		},
		"no permission for comments": {
			func(w *world) {
				w.AddPull(where, boss, "autonomous-loop/main", "main", "By hand", "")
				w.SetPermission("pull_requests", "read")
				w.SetPermission("issues", "read")
			},
			[]string{"keep the progress comment up to date: GitHub says 403 Resource not accessible by integration (the token lacks the permission issues: write or pull-requests: write; add it to the job's permissions)"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			c.before(w)
			out := got(w.hub().Report(t.Context(), w.report("1 of 3")))(t)
			for i := range c.warnings {
				c.warnings[i] = strings.ReplaceAll(c.warnings[i], "{url}", w.url)
			}
			if d := cmp.Diff(out.Warnings, c.warnings); d != "" {
				t.Errorf("warnings (-got +want):\n%s", d)
			}
			if w.summary.Len() == 0 {
				t.Error("no summary")
			}
		})
	}
}

func TestInvalidTokenIsAnError(t *testing.T) {
	w := newWorld(t)
	_, err := w.hub(func(o *Options) { o.Token = "old" }).Report(t.Context(), w.report("1 of 3"))
	if err == nil || !strings.Contains(err.Error(), "the token is invalid or has expired") || strings.Contains(err.Error(), "old") {
		t.Errorf("error %v", err)
	}
	if n := len(w.Requests()); n != 1 {
		t.Errorf("%d requests with a token that is refused", n)
	}
}

func TestSummaryThatCannotBeWritten(t *testing.T) {
	w := newWorld(t)
	out := got(w.hub(func(o *Options) { o.Summary = func([]byte) error { return errors.New("disk full") } }).Report(t.Context(), w.report("1 of 3")))(t)
	if d := cmp.Diff(out.Warnings, []string{"write the job's summary: disk full"}); d != "" {
		t.Errorf("warnings (-got +want):\n%s", d)
	}
}

func TestLongTextsAreCut(t *testing.T) {
	w := newWorld(t)
	r := w.report("1 of 3")
	long := []byte("# Title\n\n<details><summary>Log</summary>\n\n```\n" + strings.Repeat("äöü and more of it\n", 10_000))
	for i := range r.Files {
		r.Files[i].Data = long
	}
	out := got(w.hub().Report(t.Context(), r))(t)
	if len(out.Warnings) > 0 {
		t.Errorf("warnings %q", out.Warnings)
	}
	for _, body := range []string{w.Comments(where, 1)[0].Body, w.Pulls(where)[0].Body} {
		if !strings.Contains(body, "äöü and more of it\n```\n</details>\n\n*The rest is cut off here") || !strings.HasPrefix(body, marker(lineage)) || len(body) > bodyLimit || len(body) < bodyLimit-1000 {
			t.Errorf("%d bytes, ending %q", len(body), body[len(body)-200:])
		}
	}
	if p := w.Pulls(where)[0]; !strings.HasSuffix(p.Body, endMarker) {
		t.Errorf("no end mark: %q", p.Body[len(p.Body)-100:])
	}
	before := len(w.edits())
	got(w.hub().Report(t.Context(), r))(t)
	if e := w.edits()[before:]; len(e) > 0 {
		t.Errorf("the same long text again: %q", e)
	}
}

// What a spec leaves open is asked once, on its issue or the open pull request,
// and taken back; a comment of somebody else with the same mark is left alone.
func TestQuestionsAreAskedOnce(t *testing.T) {
	w := newWorld(t)
	ask := runner.Questions{Loop: "main", Text: []byte("## Before\n\n1. For whom?\n")}
	if url := got(w.hub().Ask(t.Context(), ask))(t); url != "" || len(w.edits()) > 0 {
		t.Errorf("asked at %q without a place: %q", url, w.edits())
	}
	if !strings.Contains(w.summary.String(), "For whom?") {
		t.Errorf("the summary says %q", w.summary.String())
	}
	got(w.hub().Report(t.Context(), w.report("1 of 3")))(t)
	before := len(w.edits())
	for range 2 {
		if url := got(w.hub().Ask(t.Context(), ask))(t); !strings.HasPrefix(url, w.url+"/octo/loop/pull/1#issuecomment-") {
			t.Errorf("asked at %q", url)
		}
	}
	ask.Text = []byte("## Before\n\n1. Since when?\n")
	got(w.hub().Ask(t.Context(), ask))(t)
	got(w.hub().Report(t.Context(), w.report("1 of 3")))(t)
	comments := w.Comments(where, 1)
	if len(comments) != 2 || comments[1].Body != questionsMark("main")+"\n## Before\n\n1. Since when?\n" {
		t.Errorf("comments: %+v\n%q", comments, w.edits()[before:])
	}
	for range 2 {
		got(w.hub().Ask(t.Context(), runner.Questions{Loop: "main"}))(t)
	}
	if left := w.Comments(where, 1); len(left) != 1 || !strings.HasPrefix(left[0].Body, marker(lineage)) {
		t.Errorf("comments after it was answered: %+v", left)
	}
}
