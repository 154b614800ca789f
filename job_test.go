package main

import (
	"fmt"
	"io/fs"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/autonomous-loop/autonomous-loop/internal/fakegithub"
	"github.com/autonomous-loop/autonomous-loop/internal/fakegithub/oracle"
)

// TestJobs runs the whole binary in the environment of a job of GitHub Actions,
// against a GitHub that runs here: its REST routes, each exchange held against
// GitHub's published description; its artifact service; git over HTTP.
func TestJobs(t *testing.T) { playScripts(t, "testdata/script") }

func playScripts(t *testing.T, dir string) {
	t.Helper()
	testscript.Run(t, testscript.Params{
		Dir:   dir,
		Setup: func(e *testscript.Env) error { return setupJob(t, e) },
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"repository":       hubDo((*hub).repository),
			"by-hand":          hubDo((*hub).byHand),
			"person":           hubDo((*hub).person),
			"permission":       hubDo((*hub).permission),
			"event":            hubDo((*hub).event),
			"dispatched":       hubDo((*hub).dispatched),
			"another-job":      hubDo((*hub).anotherJob),
			"run-ends":         hubDo((*hub).runEnds),
			"nothing-waits":    hubDo((*hub).nothingWaits),
			"output":           hubDo((*hub).output),
			"summary":          hubDo((*hub).summary),
			"pull":             hubDo((*hub).pull),
			"comment":          hubDo((*hub).comment),
			"artifact":         hubDo((*hub).artifact),
			"log":              hubDo((*hub).log),
			"files":            hubDo((*hub).files),
			"untouched":        hubDo((*hub).untouched),
			"point":            hubDo((*hub).point),
			"foreign-commit":   hubDo((*hub).foreignCommit),
			"change":           hubDo((*hub).change),
			"truncated-script": hubDo((*hub).truncatedScript),
			"leaky-script":     hubDo((*hub).leakyScript),
			"push-protection":  hubDo((*hub).pushProtection),
			"refuses-file":     hubDo((*hub).refusesFile),
			"heal":             hubDo(func(h *hub, _ *testscript.TestScript, _ []string) { h.Heal() }),
			"rescue":           hubDo((*hub).rescue),
			"rule":             hubDo((*hub).rule),
			"no-rules":         hubDo((*hub).noRules),
			"beside-script":    hubDo((*hub).besideScript),
			"fault":            hubDo((*hub).fault),
			"long-script":      hubDo((*hub).longScript),
			"begun-anew":       hubDo((*hub).begunAnew),
			"refs":             hubDo((*hub).refs),
			"git":              hubDo((*hub).git),
			"slow-script":      hubDo((*hub).slowScript),
			"poisoned-script":  hubDo((*hub).poisonedScript),
			"fast-script":      hubDo((*hub).fastScript),
			"until":            hubDo((*hub).until),
			"age":              hubDo((*hub).age),
			"label":            hubDo((*hub).label),
			"close-pull":       hubDo((*hub).closePull),
			"reopen-pull":      hubDo((*hub).reopenPull),
			"says":             hubDo((*hub).says),
			"comment-event":    hubDo((*hub).commentEvent),
			"issue":            hubDo((*hub).issue),
			"provider":         hubDo((*hub).provider),
			"asked":            hubDo((*hub).asked),
			"labels":           hubDo((*hub).labels),
			"asks":             hubDo((*hub).asks),
			"edit-issue":       hubDo((*hub).editIssue),
			"commits":          hubDo((*hub).commits),
			"holds":            hubDo((*hub).holds),
			"conform":          hubDo((*hub).conform),
		},
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
	})
}

const (
	repoName = "octo/greeter"
	jobToken = "ghs_1_test.token-of_the-job"
)

// A hub is the GitHub of one script.
type hub struct {
	*fakegithub.Server
	url  string
	work string // the script's directory
	run  int64  // at work
	jobs int    // of it

	questions map[string]*atomic.Int64 // of the provider, by model
}

type hubKey struct{}

func setupJob(t *testing.T, e *testscript.Env) error {
	h := &hub{Server: fakegithub.New(fakegithub.Options{Root: filepath.Join(e.WorkDir, "remotes"), Token: jobToken}), work: e.WorkDir}
	server := httptest.NewServer(oracle.Validate(t, h.Server))
	h.url = server.URL
	e.Defer(server.Close)
	e.Defer(func() { pushedForward(t, h.Dir(repoName)) })
	e.Values[hubKey{}] = h
	e.Setenv("PATH", e.Getenv("PATH")+":"+os.Getenv("PATH"))
	e.Setenv("TMPDIR", os.TempDir()) // the script's own cannot be walked by the sandbox's user
	for _, name := range []string{"AUTONOMOUS_LOOP_CHROMIUM", "AUTONOMOUS_LOOP_DRIVER", "AUTONOMOUS_LOOP_NODE"} {
		e.Setenv(name, os.Getenv(name))
	}
	model, err := filepath.Abs("testdata/job-model.txtar")
	if err != nil {
		return err
	}
	e.Setenv("INPUT_MODEL", "script:"+model)
	examples, err := filepath.Abs("examples")
	if err != nil {
		return err
	}
	e.Setenv("EXAMPLES", examples)
	e.Setenv("TESTDATA", filepath.Dir(model))
	e.Setenv("REMOTE", h.Dir(repoName))
	e.Setenv("INPUT_GITHUB-TOKEN", jobToken)
	e.Setenv("AUTONOMOUS_LOOP_CACHE", filepath.Join(e.WorkDir, "cache"))
	return nil
}

// hubDo makes a method of the script's hub a command.
func hubDo(do func(h *hub, ts *testscript.TestScript, args []string)) func(*testscript.TestScript, bool, []string) {
	return func(ts *testscript.TestScript, neg bool, args []string) {
		if neg {
			ts.Fatalf("! is not for this command")
		}
		do(ts.Value(hubKey{}).(*hub), ts, args)
	}
}

// repository WORKFLOW: the greeter on GitHub, with a workflow of the examples.
func (h *hub) repository(ts *testscript.TestScript, args []string) {
	files := map[string]string{}
	project := os.DirFS("testdata/job")
	err := fs.WalkDir(project, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := fs.ReadFile(project, name)
		files[name] = string(data)
		return err
	})
	ts.Check(err)
	workflow, err := os.ReadFile(filepath.Join("examples/workflows", args[0]))
	ts.Check(err)
	files[".github/workflows/loop.yml"] = string(workflow)
	files[".github/blank.md"] = " \n"
	files[".github/picture.md"] = "\x89PNG\x00"
	files[".github/wrong.yml"] = "modle: x\napi-key: y\n"
	ts.Check(h.AddRepo(repoName))
	_, err = h.Seed(repoName, "main", "", files)
	ts.Check(err)
}

// by-hand: a person starts the workflow.
func (h *hub) byHand(ts *testscript.TestScript, args []string) {
	run, err := h.StartRun(repoName, "loop.yml", "workflow_dispatch", fakegithub.Actor{Login: "ada", ID: 7}, nil)
	ts.Check(err)
	h.begin(ts, run)
}

// person LOGIN ID ROLE: GitHub knows somebody, who may do what ROLE may.
func (h *hub) person(ts *testscript.TestScript, args []string) {
	h.AddPerson(account(ts, args[0], args[1]), args[2])
}

// permission NAME LEVEL: what the job's token may do; none for nothing.
func (h *hub) permission(ts *testscript.TestScript, args []string) {
	h.SetPermission(args[0], strings.TrimPrefix(args[1], "none"))
}

// event NAME LOGIN ID: somebody causes an event that starts the workflow. Of an
// app the login ends in [bot].
func (h *hub) event(ts *testscript.TestScript, args []string) {
	run, err := h.StartRun(repoName, "loop.yml", args[0], account(ts, args[1], args[2]), nil)
	ts.Check(err)
	h.begin(ts, run)
}

func account(ts *testscript.TestScript, login, id string) fakegithub.Actor {
	n, err := strconv.ParseInt(id, 10, 64)
	ts.Check(err)
	return fakegithub.Actor{Login: login, ID: n, App: strings.HasSuffix(login, "[bot]")}
}

// dispatched TITLE: a runner takes the run that was dispatched, whose title
// matches, on the default branch and with the loop's inputs.
func (h *hub) dispatched(ts *testscript.TestScript, args []string) {
	run, ok := h.Take(repoName)
	if !ok {
		ts.Fatalf("no run waits")
	}
	if !regexp.MustCompile("^"+args[0]+"$").MatchString(run.Title) || run.Branch != "main" || run.Event != "workflow_dispatch" {
		ts.Fatalf("the run is %+v", run)
	}
	for _, name := range []string{"loop", "lineage", "serial"} {
		if run.Inputs[name] == "" {
			ts.Fatalf("the run has no input %s: %v", name, run.Inputs)
		}
	}
	h.begin(ts, run)
}

func (h *hub) begin(ts *testscript.TestScript, run fakegithub.Run) {
	h.SetRun(run.ID, "in_progress", "")
	h.run = run.ID
	for _, v := range h.Env(h.url, run.ID) {
		name, value, _ := strings.Cut(v, "=")
		ts.Setenv(name, value)
	}
	h.anotherJob(ts, nil)
}

// another-job: the next job of the same run, with files of its own.
func (h *hub) anotherJob(ts *testscript.TestScript, _ []string) {
	h.jobs++
	dir := filepath.Join(h.work, fmt.Sprint("job", h.jobs))
	ts.Check(os.Mkdir(dir, 0o755))
	ts.Check(os.WriteFile(filepath.Join(dir, "event.json"), h.Event(h.run), 0o644))
	ts.Setenv("GITHUB_EVENT_PATH", filepath.Join(dir, "event.json"))
	for variable, name := range map[string]string{"GITHUB_OUTPUT": "output", "GITHUB_STEP_SUMMARY": "summary.md"} {
		ts.Check(os.WriteFile(filepath.Join(dir, name), nil, 0o644))
		ts.Setenv(variable, filepath.Join(dir, name))
	}
}

// run-ends CONCLUSION: the run at work is over.
func (h *hub) runEnds(ts *testscript.TestScript, args []string) {
	h.SetRun(h.run, "completed", args[0])
}

// nothing-waits: no run is queued.
func (h *hub) nothingWaits(ts *testscript.TestScript, _ []string) {
	if run, ok := h.Take(repoName); ok {
		ts.Fatalf("a run waits: %+v", run)
	}
}

// output NAME PATTERN: the step has this output, read as the runner reads it.
func (h *hub) output(ts *testscript.TestScript, args []string) {
	values := map[string]string{}
	lines := strings.Split(ts.ReadFile(ts.Getenv("GITHUB_OUTPUT")), "\n")
	for i := 0; i < len(lines); i++ {
		name, delimiter, ok := strings.Cut(lines[i], "<<")
		if !ok {
			continue
		}
		end := i + 1 + slices.Index(lines[i+1:], delimiter)
		values[name] = strings.Join(lines[i+1:end], "\n")
		i = end
	}
	if got, ok := values[args[0]]; !ok || !regexp.MustCompile("^("+args[1]+")$").MatchString(got) {
		ts.Fatalf("output %s is %q, want %q", args[0], got, args[1])
	}
}

// summary TEXT: the job's summary says TEXT.
func (h *hub) summary(ts *testscript.TestScript, args []string) {
	if got := ts.ReadFile(ts.Getenv("GITHUB_STEP_SUMMARY")); !strings.Contains(got, args[0]) {
		ts.Fatalf("the summary does not say %q:\n%s", args[0], got)
	}
}

// pull STATE: there is one pull request, a draft, in this state.
func (h *hub) pull(ts *testscript.TestScript, args []string) {
	pulls := h.Pulls(repoName)
	if len(pulls) != 1 || pulls[0].State != args[0] || !pulls[0].Draft || pulls[0].Head != "autonomous-loop/main" || pulls[0].Base != "main" {
		ts.Fatalf("pull requests: %+v", pulls)
	}
}

// comment TEXT: the pull request has one comment, which says TEXT.
func (h *hub) comment(ts *testscript.TestScript, args []string) {
	comments := h.Comments(repoName, h.Pulls(repoName)[0].Number)
	if len(comments) != 1 || !strings.Contains(comments[0].Body, args[0]) || !strings.HasPrefix(comments[0].Body, "<!-- autonomous-loop:") {
		ts.Fatalf("comments: %+v", comments)
	}
}

// artifact N NAME TEXT: the nth artifact holds a file NAME that says TEXT.
func (h *hub) artifact(ts *testscript.TestScript, args []string) {
	all := h.Artifacts()
	n := int(args[0][0] - '0')
	if n > len(all) {
		ts.Fatalf("there are %d artifacts", len(all))
	}
	file := filepath.Join(h.work, "artifact.zip")
	ts.Check(os.WriteFile(file, all[n-1].Data, 0o644))
	out, err := exec.Command("unzip", "-p", file, args[1]).Output()
	if err != nil || !strings.Contains(string(out), args[2]) {
		ts.Fatalf("artifact %s: %s: %v:\n%s", all[n-1].Name, args[1], err, out)
	}
}

// log BRANCH FILE: the subjects of the branch's own commits, merged ones left out,
// are those of FILE.
func (h *hub) log(ts *testscript.TestScript, args []string) {
	h.compare(ts, args[1], "log", "--first-parent", "--format=%s", args[0])
}

// files BRANCH FILE: the branch holds the files that FILE lists.
func (h *hub) files(ts *testscript.TestScript, args []string) {
	h.compare(ts, args[1], "ls-tree", "-r", "--name-only", args[0])
}

func (h *hub) compare(ts *testscript.TestScript, want string, args ...string) {
	got := h.gitOut(ts, args...)
	if got != ts.ReadFile(want) {
		ts.Fatalf("git %s:\n%s\nwant:\n%s", strings.Join(args, " "), got, ts.ReadFile(want))
	}
}

// point BRANCH AT: a person moves the branch, by force.
func (h *hub) point(ts *testscript.TestScript, args []string) {
	ts.Check(h.Point(repoName, "refs/heads/"+args[0], args[1]))
}

// foreign-commit BRANCH: a person commits to the branch.
func (h *hub) foreignCommit(ts *testscript.TestScript, args []string) {
	_, err := h.Seed(repoName, args[0], "", map[string]string{"note.md": "by hand\n"})
	ts.Check(err)
}

// change NAME FILE: a person commits FILE to the default branch, as NAME.
func (h *hub) change(ts *testscript.TestScript, args []string) {
	_, err := h.Seed(repoName, "main", "", map[string]string{args[0]: ts.ReadFile(args[1])})
	ts.Check(err)
}

// truncated-script [KEY STATUS]: the model's script ends after the feature list,
// or after one more question that is refused first.
func (h *hub) truncatedScript(ts *testscript.TestScript, args []string) {
	script, _, ok := strings.Cut(ts.ReadFile(strings.TrimPrefix(ts.Getenv("INPUT_MODEL"), "script:")), "-- greet-001/")
	if !ok {
		ts.Fatalf("the script has no greet-001")
	}
	if len(args) == 2 {
		script += fmt.Sprintf("-- %[1]s http %[2]s --\n-- %[1]s say --\nNever mind.\n", args[0], args[1])
	}
	file := filepath.Join(h.work, "truncated.txtar")
	ts.Check(os.WriteFile(file, []byte(script), 0o644))
	ts.Setenv("INPUT_MODEL", "script:"+file)
}

// leaky-script: the first attempt at the first feature leaves WORD in a test, the
// second does what the first should have done.
func (h *hub) leakyScript(ts *testscript.TestScript, args []string) {
	script := strings.ReplaceAll(ts.ReadFile(strings.TrimPrefix(ts.Getenv("INPUT_MODEL"), "script:")), "-- greet-001/1/", "-- greet-001/2/")
	first := "-- greet-001/1/tests/1 write_file test/greet.test.js --\n// " + args[0] + "\nimport { test } from 'node:test';\n\ntest('it greets', () => { throw new Error('not yet'); });\n" +
		"-- greet-001/1/tests/1 request_verification --\nthe test is written\n"
	script = strings.Replace(script, "-- greet-001/2/", first+"-- greet-001/2/", 1)
	file := filepath.Join(h.work, "leaky.txtar")
	ts.Check(os.WriteFile(file, []byte(script), 0o644))
	ts.Setenv("INPUT_MODEL", "script:"+file)
}

// push-protection WORD: GitHub takes WORD for a secret and refuses what holds it.
func (h *hub) pushProtection(ts *testscript.TestScript, args []string) {
	script := `#!/bin/sh
for commit in $(git rev-list "$3" --not --all); do
	if git grep -q ` + args[0] + ` "$commit"; then
		echo "error: GH013: Repository rule violations found for $1."
		echo "- GITHUB PUSH PROTECTION"
		echo "- Push cannot contain secrets"
		exit 1
	fi
done
`
	ts.Check(os.WriteFile(filepath.Join(h.Dir(repoName), "hooks", "update"), []byte(script), 0o755))
}

// refuses-file NAME WORD LINE...: GitHub refuses a commit in which the file holds
// WORD, in these lines.
func (h *hub) refusesFile(ts *testscript.TestScript, args []string) {
	hook := filepath.Join(h.Dir(repoName), "hooks", "update")
	script, err := os.ReadFile(hook)
	if err != nil {
		script = []byte("#!/bin/sh\n")
	}
	script = fmt.Appendf(script, `for commit in $(git rev-list "$3" --not --all); do
	if git show "$commit:%s" 2>/dev/null | grep -q %s; then
		cat <<'END'
%s
END
		exit 1
	fi
done
`, args[0], args[1], strings.Join(args[2:], "\n"))
	ts.Check(os.WriteFile(hook, script, 0o755))
}

// rule TYPE BRANCHES RULESET BYPASS: the repository has a rule, and obeys that of
// signed commits.
func (h *hub) rule(ts *testscript.TestScript, args []string) {
	h.AddRule(repoName, fakegithub.Rule{Type: args[0], Branches: args[1], Ruleset: args[2], Bypass: args[3]})
	if args[0] != "required_signatures" {
		return
	}
	script := `#!/bin/sh
case $1 in refs/heads/` + args[1] + `) ;; *) exit 0 ;; esac
for commit in $(git rev-list "$3" --not --all); do
	if ! git cat-file commit "$commit" | grep -q '^gpgsig '; then
		echo "error: GH013: Repository rule violations found for $1."
		echo "- Commits must have verified signatures."
		exit 1
	fi
done
`
	ts.Check(os.WriteFile(filepath.Join(h.Dir(repoName), "hooks", "update"), []byte(script), 0o755))
}

// no-rules: a person has taken the rules back.
func (h *hub) noRules(ts *testscript.TestScript, _ []string) {
	h.DropRules(repoName)
	ts.Check(os.Remove(filepath.Join(h.Dir(repoName), "hooks", "update")))
}

// beside-script NAME WORD...: the first attempt at the first feature leaves each
// file NAME with WORD in it, and does else what it should.
func (h *hub) besideScript(ts *testscript.TestScript, args []string) {
	script := ts.ReadFile(strings.TrimPrefix(ts.Getenv("INPUT_MODEL"), "script:"))
	const first = "-- greet-001/1/implement/1 read_file page.js --\n"
	more := ""
	for pair := range slices.Chunk(args, 2) {
		more += fmt.Sprintf("-- greet-001/1/implement/1 write_file %s --\n%s\n", pair[0], pair[1])
	}
	if !strings.Contains(script, first) {
		ts.Fatalf("the script has no %q", first)
	}
	file := filepath.Join(h.work, "beside.txtar")
	ts.Check(os.WriteFile(file, []byte(strings.Replace(script, first, first+more, 1)), 0o644))
	ts.Setenv("INPUT_MODEL", "script:"+file)
}

// rescue N: a person does what RESCUE.md in the nth artifact says, in a clone.
func (h *hub) rescue(ts *testscript.TestScript, args []string) {
	clone := filepath.Join(h.work, "rescued")
	h.gitOut(ts, "clone", "-q", h.Dir(repoName), clone)
	n, err := strconv.Atoi(args[0])
	ts.Check(err)
	file := filepath.Join(h.work, "rescue.zip")
	ts.Check(os.WriteFile(file, h.Artifacts()[n-1].Data, 0o644))
	if out, err := exec.Command("unzip", "-d", clone, file).CombinedOutput(); err != nil {
		ts.Fatalf("unzip: %v: %s", err, out)
	}
	for line := range strings.Lines(ts.ReadFile(filepath.Join(clone, "RESCUE.md"))) {
		if command, ok := strings.CutPrefix(line, "    git "); ok {
			if out, err := exec.Command("sh", "-ec", "cd '"+clone+"' && git "+command).CombinedOutput(); err != nil {
				ts.Fatalf("%s: %v: %s", command, err, out)
			}
		}
	}
}

// fault MATCH STATUS TIMES BODY [SKIP]: requests that match are answered with
// STATUS, after SKIP that are not. With lose for it they are served, and the answer
// is lost.
func (h *hub) fault(ts *testscript.TestScript, args []string) {
	times, err := strconv.Atoi(args[2])
	ts.Check(err)
	if args[1] == "lose" {
		h.Fail(fakegithub.Fault{Match: args[0], Lose: true, Times: times})
		return
	}
	status, err := strconv.Atoi(args[1])
	ts.Check(err)
	f := fakegithub.Fault{Match: args[0], Status: status, Times: times, Body: args[3]}
	if len(args) > 4 {
		f.Skip, err = strconv.Atoi(args[4])
		ts.Check(err)
	}
	h.Fail(f)
}

// refs FILE: the repository has the refs that FILE lists.
func (h *hub) refs(ts *testscript.TestScript, args []string) {
	h.compare(ts, args[0], "for-each-ref", "--format=%(refname)")
}

// git ARGS: git on the bare repository succeeds.
func (h *hub) git(ts *testscript.TestScript, args []string) { h.gitOut(ts, args...) }

func (h *hub) gitOut(ts *testscript.TestScript, args ...string) string {
	out, err := exec.Command("git", append([]string{"-C", h.Dir(repoName)}, args...)...).CombinedOutput()
	if err != nil {
		ts.Fatalf("git %s: %v: %s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// untouched: nothing was changed over the network, and no ref was pushed.
func (h *hub) untouched(ts *testscript.TestScript, _ []string) {
	if edits := h.Edits(); len(edits) > 0 {
		ts.Fatalf("edits: %q", edits)
	}
	if refs := h.gitOut(ts, "for-each-ref", "--format=%(refname)"); refs != "refs/heads/main\n" {
		ts.Fatalf("refs:\n%s", refs)
	}
}
