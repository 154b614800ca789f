package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/autonomous-loop/autonomous-loop/report"
	"github.com/autonomous-loop/autonomous-loop/runner"
	"github.com/autonomous-loop/autonomous-loop/runner/forge"
	"github.com/autonomous-loop/autonomous-loop/runner/repo"
)

// A command is a sub-command for people.
type command struct {
	name, args, doc string
	run             func(ctx context.Context, env environment, f *flags) error
}

var commands = []command{
	{"run", "[flags]", "work on the loop of a repository until it is done or has to stop (the default)", runLocal},
	{"continue", "[flags]", "ask for the next session of a loop whose session is over", continueLocal},
	{"stop", "[flags]", "stop the loop of a repository before its next model call; run lets it go on", stopLocal},
	{"init", "[directory]", "write a workflow and a spec to begin with into a repository; what is there already stays", begin},
	{"plan", "[flags]", "draw up the feature list and show it, with what the spec leaves open; writes nothing to the repository", planList},
	{"status", "[flags]", "say where the loop of a repository stands", status},
	{"report", "[directory]", "write the report of a loop as it stands into a directory", reportLoop},
	{"doctor", "[flags]", "look over the machine, the settings and the whole chain of transactions, and say how to mend what is wrong", diagnose},
	{"verify", "[feature...]", "prove the complete features of a loop again, from a fresh clone; needs no model and no key", verifyLoop},
	{"checkpoint", "[name]", "save the loop as it stands, to return to; --list shows all points, --delete takes one away", checkpoints},
	{"rollback", "<id>", "return the loop to a checkpoint: an id, a name, or latest", rollback},
	{"demo", "[directory]", "build a small project from its spec with a scripted model, without any key", demo},
	{"help", "", "say what there is", nil},
}

// run does what the arguments say; in a job of GitHub Actions there are none,
// and everything is in the environment.
func run(ctx context.Context, env environment, args []string) error {
	if env.getenv("GITHUB_ACTIONS") == "true" && len(args) == 0 {
		return inJob(ctx, env)
	}
	name := "run"
	if len(args) > 0 && !strings.HasPrefix(args[0], "-") {
		name, args = args[0], args[1:]
	}
	i := slices.IndexFunc(commands, func(c command) bool { return c.name == name })
	if i < 0 {
		return usage(fmt.Errorf("there is no command %s; see autonomous-loop help", name))
	}
	if name == "help" || slices.Contains(args, "--help") || slices.Contains(args, "-h") || slices.Contains(args, "-help") {
		help(env.stdout)
		return nil
	}
	f, err := parseFlags(name, args)
	if err != nil {
		return usage(err)
	}
	f.getenv = env.getenv
	return commands[i].run(ctx, env, f)
}

// flags are the inputs as flags, and what only a laptop needs.
type flags struct {
	values map[string]string
	repo   string
	out    string
	write  string // for plan
	json   bool   // for plan, verify, checkpoint and rollback
	list   bool   // for checkpoint
	forget string // for checkpoint
	why    string // for checkpoint and rollback; the rest is for verify
	noRun  bool
	seen   string
	args   []string // the command line, for a child
	rest   []string
	getenv func(string) string
}

func parseFlags(command string, args []string) (*flags, error) {
	f := &flags{values: map[string]string{}, args: append([]string{command}, args...)}
	set := flag.NewFlagSet(command, flag.ContinueOnError)
	set.SetOutput(io.Discard)
	set.StringVar(&f.repo, "repo", ".", "")
	set.StringVar(&f.out, "out", "", "")
	if command == "plan" {
		set.StringVar(&f.write, "write", "", "")
	}
	switch command {
	case "checkpoint":
		set.BoolVar(&f.list, "list", false, "")
		set.StringVar(&f.forget, "delete", "", "")
		set.StringVar(&f.why, "description", "", "")
	case "rollback":
		set.StringVar(&f.why, "why", "", "")
	}
	if slices.Contains([]string{"plan", "verify", "checkpoint", "rollback", "doctor"}, command) {
		set.BoolVar(&f.json, "json", false, "")
	}
	if command == "verify" {
		set.BoolVar(&f.noRun, "no-run", false, "")
		set.StringVar(&f.seen, "seen", "", "")
	}
	for _, in := range inputs {
		if !in.secretInput() {
			set.Func(in.name, in.doc, func(v string) error { f.values[in.name] = v; return nil })
		}
	}
	for len(args) > 0 { // flags may stand behind what is not one
		if err := set.Parse(args); err != nil {
			return nil, fmt.Errorf("%w; see autonomous-loop help", err)
		}
		if args = set.Args(); len(args) > 0 {
			f.rest, args = append(f.rest, args[0]), args[1:]
		}
	}
	return f, nil
}

// lookup reads an input: a flag, or for the key the environment, because other
// users of the machine can read flags.
func (f *flags) lookup(name string) string {
	if name == "api-key" {
		return cmp.Or(f.getenv("AUTONOMOUS_LOOP_API_KEY"), f.getenv("OPENAI_API_KEY"))
	}
	return f.values[name]
}

func help(w io.Writer) {
	fmt.Fprint(w, `Autonomous Loop builds a project from a spec, feature after feature. A feature is
complete only when the harness has proved it on a clean checkout; killing it at
any moment loses nothing.

Try it without a key:

  autonomous-loop demo

On a repository of yours (your files and your index are not touched; what is
built arrives on the branch autonomous-loop/<loop>):

  autonomous-loop run --repo . --spec SPEC.md --model NAME

Commands:
`)
	for _, c := range commands {
		fmt.Fprintf(w, "  %-24s %s\n", strings.TrimSpace(c.name+" "+c.args), c.doc)
	}
	fmt.Fprint(w, "\nFlags (the action's inputs have the same names):\n  --repo DIR               the repository, default the one here; verify, checkpoint and rollback take a URL as well\n  --out DIR                where report.html, result.json and the rest are copied to\n  --json                   plan, verify, doctor, checkpoint and rollback tell what they found or did as JSON\n  --write FILE             plan keeps the list as a file of your own, for the input features\n  --no-run                 verify looks at what is recorded, and runs nothing\n  --seen ID                verify fails if this commit of the state branch, or state, is no longer on it\n  --list                   checkpoint shows the points to return to, and makes none\n  --description TEXT       what a checkpoint is there for\n  --delete ID              checkpoint takes one away that was made by hand\n  --why TEXT               why rollback is done, for the commit and for whoever does the features again\n")
	for _, in := range inputs {
		if in.secretInput() {
			continue
		}
		def := ""
		if in.def != "" {
			def = " (default " + in.def + ")"
		}
		fmt.Fprintf(w, "  --%-22s %s Takes %s.%s\n", in.name, in.doc, in.takes, def)
	}
	fmt.Fprint(w, "\nThe key comes from the environment: AUTONOMOUS_LOOP_API_KEY or OPENAI_API_KEY.\n\nExit codes: 0 complete, handed over, waiting or stopped at a limit; 1 something has\nto be mended; 2 an input is wrong; 3 the loop's branches are damaged, foreign or\ndeleted; 4 sessions died one after the other; 5 verify: a proof does not hold;\n6 the spec leaves too much open, and questions were asked.\n")
}

// runLocal is `run` on a laptop: the parent of a chain of sessions, or one of
// its children.
func runLocal(ctx context.Context, env environment, f *flags) error {
	gitDir, err := repository(f.repo)
	if err != nil {
		return usage(err)
	}
	if task := env.getenv(childVariable); task != "" {
		return child(ctx, env, f.lookup, gitDir, task)
	}
	c, err := parseConfig(f.lookup)
	if err != nil {
		return usage(err)
	}
	show := &progress{w: env.stdout, terminal: env.tty, begun: env.now()}
	notice(ctx, show, f.repo)
	if c.Off {
		show.line("the loop is switched off (enabled); no session is started")
		return nil
	}
	folder := forge.Local(forge.LocalOptions{Dir: forgeDir(gitDir, c.Loop)})
	if !c.DryRun {
		why, err := folder.Resume(ctx)
		if err != nil {
			return err
		}
		if why != "" {
			show.line(why + "; it goes on now")
		}
	}
	_, err = (&chain{env: env, args: f.args, gitDir: gitDir, config: c, show: show, folder: folder}).run(ctx)
	show.clear()
	return errors.Join(err, conclude(ctx, env, c, gitDir, f.out))
}

// notice says what of the person's work is not built upon. Git's own word is
// asked for: it is their repository, and their configuration of it.
func notice(ctx context.Context, show *progress, dir string) {
	git := func(args ...string) string {
		out, err := exec.CommandContext(ctx, "git", append([]string{"-C", dir}, args...)...).Output()
		if err != nil {
			return ""
		}
		return strings.TrimSpace(string(out))
	}
	if git("status", "--porcelain", "--untracked-files=no") != "" {
		show.line("there are changes that are not committed; the loop builds on the last commit and leaves them alone")
	}
	if git("rev-parse", "--is-bare-repository") == "false" && git("symbolic-ref", "--quiet", "HEAD") == "" {
		show.line("HEAD is detached; the loop builds on the commit it points to")
	}
}

// conclude prints where the loop stands and where to look.
func conclude(ctx context.Context, env environment, c config, gitDir, out string) error {
	v, err := look(ctx, env, c, gitDir)
	if err != nil || v.State.Lineage == "" {
		return err
	}
	fmt.Fprintf(env.stdout, "\n%sbranch     %s\n", report.Text(v), v.Links.Branch)
	from := forgeDir(gitDir, c.Loop)
	if out != "" {
		if err := copyPapers(from, out); err != nil {
			return err
		}
		from = out
	}
	fmt.Fprintf(env.stdout, "report     %s\n", filepath.Join(from, "report.html"))
	return nil
}

// copyPapers copies what a forge folder holds for people.
func copyPapers(from, to string) error {
	if err := os.MkdirAll(to, 0o755); err != nil { //nolint:gosec // meant to be read
		return err
	}
	for _, name := range []string{"report.html", "result.json", "comment.md", "summary.md", "pull-request.md"} {
		data, err := os.ReadFile(filepath.Join(from, name))
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err == nil {
			err = os.WriteFile(filepath.Join(to, name), data, 0o644) //nolint:gosec // meant to be read
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// look reads the state of a loop on disk without changing anything.
func look(ctx context.Context, env environment, c config, gitDir string) (report.View, error) {
	return lookAt(ctx, env, c, gitDir, nil)
}

// lookAt is look, and gives the repository to more before it is closed.
func lookAt(ctx context.Context, env environment, c config, gitDir string, more func(*repo.Repo, *report.View) error) (report.View, error) {
	var v report.View
	p, err := localPlace(c, gitDir, childTask{}, env.now())
	if err != nil {
		return v, err
	}
	r, remove, err := openApart(ctx, env, c, p)
	if err != nil {
		return v, err
	}
	defer remove()
	found, err := r.Load(ctx)
	if err != nil || found.State == nil {
		return v, err
	}
	v.State, err = runner.Decode(found.State, found.List)
	v.Result, v.Links, v.Now = v.State.Result(""), p.links, env.now()
	if err == nil && more != nil {
		err = more(r, &v)
	}
	return v, err
}

func status(ctx context.Context, env environment, f *flags) error {
	gitDir, c, err := f.loop()
	if err != nil {
		return err
	}
	v, err := look(ctx, env, c, gitDir)
	if err != nil {
		return err
	}
	if v.State.Lineage == "" {
		fmt.Fprintf(env.stdout, "there is no loop %s in this repository yet; start one with autonomous-loop run\n", c.Loop)
		return nil
	}
	fmt.Fprint(env.stdout, report.Text(v))
	fmt.Fprint(env.stdout, whose(v.State, c))
	h, err := forge.Local(forge.LocalOptions{Dir: forgeDir(gitDir, c.Loop)}).Stopped(ctx, v.State)
	if h.Why != "" {
		fmt.Fprintf(env.stdout, "stop       %s\n", h.Why)
	}
	return err
}

// stopLocal is `stop`: what closing the pull request is on GitHub.
func stopLocal(ctx context.Context, env environment, f *flags) error {
	gitDir, c, err := f.loop()
	if err != nil {
		return err
	}
	v, err := look(ctx, env, c, gitDir)
	if err != nil {
		return err
	}
	if v.State.Lineage == "" {
		fmt.Fprintf(env.stdout, "there is no loop %s in this repository\n", c.Loop)
		return nil
	}
	who := cmp.Or(env.getenv("USER"), env.getenv("LOGNAME"), "somebody")
	why := fmt.Sprintf("%s stopped the loop with autonomous-loop stop at %s", who, env.now().UTC().Format("15:04 MST on 2006-01-02"))
	if err := forge.Local(forge.LocalOptions{Dir: forgeDir(gitDir, c.Loop)}).Stop(why); err != nil {
		return err
	}
	if v.State.Status == runner.Running {
		fmt.Fprintln(env.stdout, "the session at work ends before its next model call, within a minute or so")
	}
	fmt.Fprintln(env.stdout, "autonomous-loop run lets the loop go on")
	return nil
}

// loop is the loop on disk that the flags name, for commands that ask no model.
func (f *flags) loop() (gitDir string, c config, err error) {
	if gitDir, err = repository(f.repo); err != nil {
		return "", c, usage(err)
	}
	if c, err = parseConfig(f.optional); err != nil {
		return "", c, usage(err)
	}
	return gitDir, c, nil
}

// optional is lookup for commands that ask no model.
func (f *flags) optional(name string) string {
	if name == "mode" {
		return string(runner.ContinueMode)
	}
	return f.lookup(name)
}

func continueLocal(ctx context.Context, env environment, f *flags) error {
	gitDir, c, err := f.loop()
	if err != nil {
		return err
	}
	p, err := localPlace(c, gitDir, childTask{Trigger: runner.ByPerson}, env.now())
	if err != nil {
		return err
	}
	res, err := continueLoop(ctx, env, c, p)
	fmt.Fprintf(env.stdout, "%s\n", res.Decision)
	return err
}

// continueLoop asks for the successor of a session that is over. It needs
// neither model nor browser nor sandbox, so it has none.
func continueLoop(ctx context.Context, env environment, c config, p place) (runner.LoopResult, error) {
	r, remove, err := openApart(ctx, env, c, p)
	if err != nil {
		return runner.LoopResult{}, err
	}
	defer remove()
	f, err := p.forge(c, c.Base)
	if err != nil {
		return runner.LoopResult{}, err
	}
	log := &progress{w: env.stdout, begun: env.now()}
	s := runner.Session{Repo: r, Forge: f, Config: c.LoopConfig, Loop: c.Loop, Lineage: p.lineage, Owner: p.owner, Now: env.now, Notify: log.show}
	return s.Continue(ctx)
}
