package fakegithub_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/autonomous-loop/autonomous-loop/internal/fakegithub"
	"github.com/autonomous-loop/autonomous-loop/internal/fakegithub/oracle"
)

const where = "octo/loop"

var ann = fakegithub.Actor{Login: "ann", ID: 7}

const flow = `name: Loop
run-name: loop ${{ inputs.lineage || 'auto' }}#${{ inputs.serial || '-' }}
on:
  schedule: [{cron: '23 */6 * * *'}]
  workflow_dispatch:
    inputs:
      lineage: {type: string}
      serial: {type: string}
      mode: {type: string, default: run}
jobs: {}
`

type github struct {
	*fakegithub.Server
	t    *testing.T
	url  string
	base string
}

func start(t *testing.T) *github {
	t.Helper()
	s := fakegithub.New(fakegithub.Options{Root: t.TempDir(), Token: "job"})
	g := &github{Server: s, t: t}
	g.must(s.AddRepo(where))
	s.AddToken("ann-token", ann)
	var err error
	g.base, err = s.Seed(where, "main", "", map[string]string{".github/workflows/loop.yml": flow, "a.txt": "a\n"})
	g.must(err)
	srv := httptest.NewServer(oracle.Validate(t, s))
	t.Cleanup(srv.Close)
	g.url = srv.URL
	return g
}

func (g *github) must(err error) {
	g.t.Helper()
	if err != nil {
		g.t.Fatal(err)
	}
}

// ask makes a request with a token and returns the status and the answer.
func (g *github) ask(token, method, path string, body any) (int, map[string]any) {
	g.t.Helper()
	var in io.Reader
	if body != nil {
		data, err := json.Marshal(body)
		g.must(err)
		in = bytes.NewReader(data)
	}
	req, err := http.NewRequest(method, g.url+path, in)
	g.must(err)
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultTransport.RoundTrip(req)
	g.must(err)
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	g.must(err)
	out := map[string]any{}
	if len(data) > 0 && data[0] == '{' {
		g.must(json.Unmarshal(data, &out))
	}
	return resp.StatusCode, out
}

// says is everything that a refusal says.
func says(answer map[string]any) string {
	data, _ := json.Marshal(answer)
	return string(data)
}

// git runs the real git against the server.
func (g *github) git(dir, token string, args ...string) (string, error) {
	cmd := exec.Command("git", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=/dev/null", "GIT_TERMINAL_PROMPT=0",
		"GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@example.com", "GIT_COMMITTER_NAME=a", "GIT_COMMITTER_EMAIL=a@example.com")
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func (g *github) remote(token string) string {
	return strings.Replace(g.url, "http://", "http://x-access-token:"+token+"@", 1) + "/" + where + ".git"
}

func TestGitOverHTTP(t *testing.T) {
	g := start(t)
	dir := filepath.Join(t.TempDir(), "clone")
	run := func(args ...string) string {
		t.Helper()
		out, err := g.git(dir, "job", args...)
		if err != nil {
			t.Fatalf("git %s: %v\n%s", args[0], err, out)
		}
		return out
	}
	if out, err := g.git("", "", "clone", "-q", g.remote("job"), dir); err != nil {
		t.Fatalf("clone: %v\n%s", err, out)
	}
	g.must(os.WriteFile(filepath.Join(dir, "big"), bytes.Repeat([]byte("noise that git sends in chunks\n"), 1), 0o644))
	noise := make([]byte, 3<<20) // git sends more than a megabyte in chunks
	for i := range noise {
		noise[i] = byte(i * i >> 7)
	}
	g.must(os.WriteFile(filepath.Join(dir, "noise"), noise, 0o644))
	run("add", ".")
	run("commit", "-qm", "work")
	run("-c", "core.compression=0", "push", "-q", "origin", "HEAD:refs/heads/autonomous-loop/main")
	run("push", "-q", "--delete", "origin", "autonomous-loop/main")

	// What GitHub refuses to the token of a job.
	g.must(os.WriteFile(filepath.Join(dir, ".github/workflows/loop.yml"), []byte("on: push\njobs: {}\n"), 0o644))
	run("commit", "-qam", "a workflow")
	if out, err := g.git(dir, "job", "push", "origin", "HEAD:refs/heads/x"); err == nil || !strings.Contains(out, "refusing to allow a GitHub App to create or update workflow `.github/workflows/loop.yml` without `workflows` permission") {
		t.Errorf("push a workflow: %v\n%s", err, out)
	}
	run("push", "-q", g.remote("ann-token"), "HEAD:refs/heads/by-ann")

	for token, want := range map[string]string{"nobody": "Authentication failed"} {
		if out, err := g.git(dir, token, "ls-remote", g.remote(token)); err == nil || !strings.Contains(out, want) {
			t.Errorf("as %s: %v\n%s", token, err, out)
		}
	}
	g.SetPermission("contents", "read")
	run("ls-remote", "origin")
	if out, err := g.git(dir, "job", "push", "origin", "HEAD~1:refs/heads/y"); err == nil || !strings.Contains(out, "403") {
		t.Errorf("push with contents: read: %v\n%s", err, out)
	}
	if d := cmp.Diff(g.Edits(), []string{
		"octo/loop: refs/heads/autonomous-loop/main created by github-actions[bot]",
		"octo/loop: refs/heads/autonomous-loop/main deleted by github-actions[bot]",
		"octo/loop: refs/heads/by-ann created by ann",
	}); d != "" {
		t.Errorf("edits (-got +want):\n%s", d)
	}
}

func TestPullRequestsNeedCommits(t *testing.T) {
	g := start(t)
	g.must(g.Point(where, "refs/heads/work", "refs/heads/main"))
	open := map[string]any{"title": "t", "head": "work", "base": "main", "body": "b"}
	expect := func(status int, want string) {
		t.Helper()
		if code, answer := g.ask("job", "POST", "/repos/octo/loop/pulls", open); code != status || !strings.Contains(says(answer), want) {
			t.Errorf("%d %s, want %d %s", code, says(answer), status, want)
		}
	}
	expect(422, "No commits between main and work")
	_, err := g.Seed(where, "work", "", map[string]string{"b": "b"})
	g.must(err)
	expect(201, `"number":1`)
	expect(422, "A pull request already exists for octo:work.")
	g.ClosePull(where, 1, false)
	expect(201, `"number":2`)
	open["head"] = "nowhere"
	expect(422, "head is invalid")
	g.SetPermission("pull_requests", "read")
	expect(403, "Resource not accessible by integration")
}

func TestDispatchesAreChecked(t *testing.T) {
	g := start(t)
	for _, c := range []struct {
		file   string
		body   map[string]any
		status int
		says   string
	}{
		{"loop.yml", map[string]any{"ref": "main", "inputs": map[string]any{"lineage": "L", "serial": "4"}}, 204, ""},
		{"loop.yml", map[string]any{"ref": "main", "return_run_details": true}, 200, "workflow_run_id"},
		{"loop.yml", map[string]any{"ref": "main", "inputs": map[string]any{"other": "x"}}, 422, `Unexpected inputs provided`},
		{"loop.yml", map[string]any{"ref": "gone"}, 422, "No ref found for: gone"},
		{"none.yml", map[string]any{"ref": "main"}, 404, "Not Found"},
	} {
		if code, answer := g.ask("job", "POST", "/repos/octo/loop/actions/workflows/"+c.file+"/dispatches", c.body); code != c.status || !strings.Contains(says(answer), c.says) {
			t.Errorf("%s %v: %d %s, want %d %s", c.file, c.body, code, says(answer), c.status, c.says)
		}
	}
	// A file that is on another branch only is not known.
	_, err := g.Seed(where, "side", g.base, map[string]string{".github/workflows/side.yml": flow})
	g.must(err)
	if code, _ := g.ask("job", "POST", "/repos/octo/loop/actions/workflows/side.yml/dispatches", map[string]any{"ref": "side"}); code != 404 {
		t.Errorf("a workflow that is not on the default branch: %d", code)
	}
	var titles []string
	for _, r := range g.Runs(where) {
		titles = append(titles, r.Title+" "+r.Inputs["mode"])
	}
	if d := cmp.Diff(titles, []string{"loop L#4 run", "loop auto#- run"}); d != "" {
		t.Errorf("runs (-got +want):\n%s", d)
	}
}

func TestRoutesAnswerAsDescribed(t *testing.T) {
	g := start(t)
	n := g.AddIssue(where, ann, "A list", "Build it.")
	id := g.AddComment(where, n, ann, "Hello.")
	_, err := g.Seed(where, "work", g.base, map[string]string{"b": "b"})
	g.must(err)
	pr := g.AddPull(where, ann, "work", "main", "t", "b")
	run, err := g.StartRun(where, "loop.yml", "schedule", ann, nil)
	g.must(err)
	for path, want := range map[string]int{
		"/user":            200,
		"/repos/octo/loop": 200,
		"/repos/octo/loop/collaborators/ann/permission":                     200,
		"/repos/octo/loop/pulls?state=all&head=octo:work":                   200,
		fmt.Sprint("/repos/octo/loop/pulls/", pr):                           200,
		fmt.Sprint("/repos/octo/loop/issues/", n):                           200,
		fmt.Sprint("/repos/octo/loop/issues/", n, "/comments"):              200,
		fmt.Sprint("/repos/octo/loop/issues/comments/", id):                 200,
		"/repos/octo/loop/actions/workflows":                                200,
		"/repos/octo/loop/actions/workflows/loop.yml":                       200,
		"/repos/octo/loop/actions/workflows/loop.yml/runs":                  200,
		"/repos/octo/loop/actions/runs":                                     200,
		fmt.Sprint("/repos/octo/loop/actions/runs/", run.ID):                200,
		fmt.Sprint("/repos/octo/loop/actions/runs/", run.ID, "/attempts/1"): 200,
		fmt.Sprint("/repos/octo/loop/actions/runs/", run.ID, "/attempts/2"): 404,
		fmt.Sprint("/repos/octo/loop/actions/runs/", run.ID, "/artifacts"):  200,
		"/repos/octo/loop/issues/99":                                        404,
		"/repos/octo/other":                                                 404,
	} {
		if code, answer := g.ask("ann-token", "GET", path, nil); code != want {
			t.Errorf("%s: %d %s, want %d", path, code, says(answer), want)
		}
	}
	if code, _ := g.ask("nobody", "GET", "/user", nil); code != 401 {
		t.Errorf("an unknown token: %d", code)
	}
	if code, _ := g.ask("job", "GET", "/user", nil); code != 403 {
		t.Errorf("the job's token asks who it is: %d", code)
	}
	if code, _ := g.ask("ann-token", "POST", fmt.Sprint("/repos/octo/loop/actions/runs/", run.ID, "/cancel"), nil); code != 202 {
		t.Errorf("cancel: %d", code)
	}
	if len(g.Unknown()) > 0 {
		t.Errorf("unknown %q", g.Unknown())
	}
}

// A test of the whole program starts a run as a runner does.
func TestRunnersView(t *testing.T) {
	g := start(t)
	run, err := g.StartRun(where, "loop.yml", "workflow_dispatch", ann, map[string]string{"lineage": "L"})
	g.must(err)
	if taken, ok := g.Take(where); !ok || taken.ID != run.ID || taken.Status != "in_progress" {
		t.Errorf("took %+v", taken)
	}
	if _, ok := g.Take(where); ok {
		t.Error("took a run twice")
	}
	env := g.Env(g.url, run.ID)
	for _, want := range []string{
		"GITHUB_REPOSITORY=octo/loop", fmt.Sprint("GITHUB_RUN_ID=", run.ID), "GITHUB_RUN_ATTEMPT=1",
		"GITHUB_WORKFLOW_REF=octo/loop/.github/workflows/loop.yml@refs/heads/main", "GITHUB_API_URL=" + g.url,
	} {
		if !slices.Contains(env, want) {
			t.Errorf("no %s in %q", want, env)
		}
	}
	var event struct{ Inputs map[string]string }
	g.must(json.Unmarshal(g.Event(run.ID), &event))
	if event.Inputs["lineage"] != "L" {
		t.Errorf("event %s", g.Event(run.ID))
	}
}

func TestTwirpIsStrict(t *testing.T) {
	g := start(t)
	run, err := g.StartRun(where, "loop.yml", "schedule", ann, nil)
	g.must(err)
	other, err := g.StartRun(where, "loop.yml", "schedule", ann, nil)
	g.must(err)
	job := fmt.Sprintf("00000001-bbbb-4bbb-8bbb-%012x", run.ID)
	backend := fmt.Sprintf("00000001-aaaa-4aaa-8aaa-%012x", run.ID)
	ids := func(more map[string]any) map[string]any {
		m := map[string]any{"workflow_run_backend_id": backend, "workflow_job_run_backend_id": job}
		maps.Copy(m, more)
		return m
	}
	twirp := func(token, method string, body map[string]any) (int, map[string]any) {
		return g.ask(token, "POST", "/twirp/github.actions.results.api.v1.ArtifactService/"+method, body)
	}
	token := g.RuntimeToken(run.ID)
	expect := func(token, method string, body map[string]any, status int, want string) map[string]any {
		t.Helper()
		code, answer := twirp(token, method, body)
		if code != status || !strings.Contains(says(answer), want) {
			t.Errorf("%s %v: %d %s, want %d %s", method, body, code, says(answer), status, want)
		}
		return answer
	}
	create := ids(map[string]any{"name": "a", "version": 7, "mime_type": "application/zip"})
	expect("nonsense", "CreateArtifact", create, 401, "unauthenticated")
	expect(token+"x", "CreateArtifact", create, 401, "unauthenticated")
	expect(g.RuntimeToken(other.ID), "CreateArtifact", create, 403, "another run")
	expect(token, "CreateArtifact", ids(map[string]any{"name": "a/b", "version": 7}), 400, "invalid_argument")
	expect(token, "CreateArtifact", ids(map[string]any{"name": "a", "version": 1}), 400, "version")
	expect(token, "CreateArtifact", ids(map[string]any{"name": "a", "version": 7, "nonsense": 1}), 400, "unknown field nonsense")
	url := expect(token, "CreateArtifact", create, 200, "signed_upload_url")["signed_upload_url"].(string)
	expect(token, "CreateArtifact", create, 409, "already exists")
	expect(token, "FinalizeArtifact", ids(map[string]any{"name": "a", "size": "1", "hash": "sha256:0"}), 400, "the blob has 0 bytes")

	put := func(url, body string, header ...string) int {
		t.Helper()
		req, err := http.NewRequest("PUT", url, strings.NewReader(body))
		g.must(err)
		for i := 0; i < len(header); i += 2 {
			req.Header.Set(header[i], header[i+1])
		}
		resp, err := http.DefaultClient.Do(req)
		g.must(err)
		resp.Body.Close()
		return resp.StatusCode
	}
	for _, c := range []struct {
		what, url, body string
		want            int
		header          []string
	}{
		{"with Authorization", url + "&comp=block&blockid=MQ==", "x", 400, []string{"Authorization", "Bearer " + token}},
		{"another signature", strings.Replace(url, "sig=", "sig=AA", 1) + "&comp=block&blockid=MQ==", "x", 403, nil},
		{"a plain put without its type", url, "x", 400, nil},
		{"the second block first", url + "&comp=block&blockid=Mg==", "b", 201, nil},
		{"an id of another length", url + "&comp=block&blockid=MTIzNDU2", "b", 400, nil},
		{"the first block", url + "&comp=block&blockid=MQ==", "a", 201, nil},
		{"a list with an unknown block", url + "&comp=blocklist", "<BlockList><Latest>Mw==</Latest></BlockList>", 400, nil},
		{"the list", url + "&comp=blocklist", "<BlockList><Latest>MQ==</Latest><Latest>Mg==</Latest></BlockList>", 201, nil},
	} {
		if code := put(c.url, c.body, c.header...); code != c.want {
			t.Errorf("%s: %d, want %d", c.what, code, c.want)
		}
	}
	const sum = "sha256:fb8e20fc2e4c3f248c60c39bd652f3c1347298bb977b8b4d5903b85055620603" // of ab
	expect(token, "FinalizeArtifact", ids(map[string]any{"name": "a", "size": "2", "hash": "sha256:0"}), 400, sum)
	expect(token, "ListArtifacts", ids(nil), 200, `"artifacts":[]`)
	expect(token, "FinalizeArtifact", ids(map[string]any{"name": "a", "size": "2", "hash": sum}), 200, `"artifact_id":"`)
	expect(token, "ListArtifacts", ids(map[string]any{"name_filter": "a"}), 200, `"digest":"`+sum)
	if code := put(url+"&comp=block&blockid=MQ==", "z"); code != 409 {
		t.Errorf("a final artifact changes: %d", code)
	}
	if d := cmp.Diff(g.Artifacts()[0].Data, []byte("ab")); d != "" {
		t.Errorf("data (-got +want):\n%s", d)
	}
}

func TestSignedURLsExpire(t *testing.T) {
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	s := fakegithub.New(fakegithub.Options{Root: t.TempDir(), Token: "job", Now: func() time.Time { return now }})
	if err := s.AddRepo(where); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Seed(where, "main", "", map[string]string{".github/workflows/loop.yml": flow}); err != nil {
		t.Fatal(err)
	}
	run, err := s.StartRun(where, "loop.yml", "schedule", ann, nil)
	if err != nil {
		t.Fatal(err)
	}
	srv, stop := s.Start()
	defer stop()
	body := fmt.Sprintf(`{"workflow_run_backend_id":"00000001-aaaa-4aaa-8aaa-%012x","workflow_job_run_backend_id":"00000001-bbbb-4bbb-8bbb-%012x","name":"a","version":7}`, run.ID, run.ID)
	req, _ := http.NewRequest("POST", srv+"/twirp/github.actions.results.api.v1.ArtifactService/CreateArtifact", strings.NewReader(body))
	req.Header.Set("Authorization", "Bearer "+s.RuntimeToken(run.ID))
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var open struct {
		URL string `json:"signed_upload_url"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&open); err != nil {
		t.Fatal(err)
	}
	now = now.Add(2 * time.Hour)
	put, _ := http.NewRequest("PUT", open.URL+"&comp=block&blockid=MQ==", strings.NewReader("x"))
	resp, err = http.DefaultClient.Do(put)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != 403 {
		t.Errorf("a URL of two hours ago: %d", resp.StatusCode)
	}
}
