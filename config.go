package main

import (
	"errors"
	"fmt"
	"math"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/autonomous-loop/autonomous-loop/runner/pattern"

	"gopkg.in/yaml.v3"

	"github.com/autonomous-loop/autonomous-loop/runner"
	"github.com/autonomous-loop/autonomous-loop/runner/agent"
)

// A config is all that a person may set. What parse returns is right; nothing
// below checks it again.
type config struct {
	Spec, Features   string
	Readiness        int
	MinFeatures      int // of a list that is drawn up; 0: the spec decides
	MaxFeatures      int
	Model            string
	Script           string   // the file, if the model is script:<file>
	Fallback         []string // models that take over, in order
	ReviewModel      string   // "": none
	ReviewScript     string
	APIKey           secret
	BaseURL          string
	API              string
	ReasoningEffort  string
	Images           string
	Edit             string
	Prices           string
	ContextWindow    int
	Bands            agent.Bands // of the context window
	GitHubToken      secret
	Loop             string
	Base             string
	StateBranch      string // full ref
	Workflow         string
	SessionMinutes   time.Duration
	TDD              bool
	E2E              string
	A11y             string
	Setup            string
	Test, Start, URL string
	Isolation        string
	PullRequest      string
	Notify           []string // who is mentioned when a person is needed
	ConfigFile       string
	NotSecrets       []string // ids of findings
	DryRun           bool
	Off              bool // the switch that a person stops the loop with
	LoopConfig       runner.LoopConfig
}

// workBranch is the full ref of the branch that verified code goes to.
func (c config) workBranch() string { return "refs/heads/autonomous-loop/" + c.Loop }

// An input is one row of the table that action.yml, the flags, the config file
// and the README share.
type input struct {
	name  string
	def   string // default
	takes string // what it takes, for mistakes and for --help
	doc   string
	set   func(c *config, value string) error
}

// secretInput says that an input never comes from a file in the repository and
// never from a flag, where other users of the machine would see it.
func (in input) secretInput() bool { return in.name == "api-key" || in.name == "github-token" }

var inputs = []input{
	{"spec", "SPEC.md", "a path, issue:N, or the text itself", "What to build: a file, a directory of Markdown files, an issue or a few lines.", text(func(c *config) *string { return &c.Spec })},
	{"features", "", "a path", "A feature list of your own, in our form or in Anthropic's; then none is drawn up.", text(func(c *config) *string { return &c.Features })},
	{"readiness", "35", "a number from 0 to 100, 0 to build in any case", "How much a spec must say, by the rules of docs/planning.md, before a feature list is drawn up from it; below, questions are asked and nothing is begun.", number(0, 100, func(c *config, n int) { c.Readiness = n })},
	{"model", "", "a model's name, or script:<file>", "The model that writes the code.", setModel},
	{"fallback-model", "", "names of models, with commas", "Models of the same provider, the first of which takes over when `model` is down or retired; see docs/money.md.", setFallback},
	{"review-model", "", "a model's name, or script:<file>", "A second model of the same provider, which sees each feature that passed and may veto it, never approve it.", setReviewModel},
	{"api-key", "", "a key", "The provider's key. On a laptop: the environment variable AUTONOMOUS_LOOP_API_KEY.", secretText(func(c *config) *secret { return &c.APIKey })},
	{"base-url", "https://api.openai.com/v1", "an http or https URL", "Any endpoint that speaks OpenAI's protocol, see docs/models.md.", setURL},
	{"api", "auto", "auto, chat or responses", "Which of the protocol's two APIs is used; auto finds out.", oneOf(func(c *config) *string { return &c.API }, "auto", "chat", "responses")},
	{"reasoning-effort", "", "none, minimal, low, medium or high", "Passed on to models that know it.", oneOf(func(c *config) *string { return &c.ReasoningEffort }, "none", "minimal", "low", "medium", "high")},
	{"images", "auto", "auto, on or off", "Whether the model is shown pictures: the browser's screenshots, and files that it reads; auto goes by its name, see docs/models.md.", oneOf(func(c *config) *string { return &c.Images }, "auto", "on", "off")},
	{"edit", "auto", "auto, replace or patch", "How the model changes parts of files: by old and new text, or by patches; auto gives patches to the GPT family.", oneOf(func(c *config) *string { return &c.Edit }, "auto", "replace", "patch")},
	{"prices", "", "JSON", "Dollars per million tokens by model: {\"name\":{\"input\":1,\"cached\":0.1,\"output\":4}}. An unknown model is priced high, and that is said; see docs/money.md.", text(func(c *config) *string { return &c.Prices })},
	{"context-window", "128000", "a number from 8000 to 10000000", "Tokens that the model can hold.", number(8000, 10_000_000, func(c *config, n int) { c.ContextWindow = n })},
	{"context-bands", "50,75,85,90", "four rising percentages from 10 to 95", "Of the window, where the model is told, the conversation is shortened, a fresh session goes on, and shortening no longer asks the model.", setBands},
	{"github-token", "", "a token", "The job's own by default.", secretText(func(c *config) *secret { return &c.GitHubToken })},
	{"loop", "main", "a name of letters, digits, - and _", "The loop's name; two loops in one repository need two.", setLoop},
	{"base", "", "a branch", "The branch to start from; the default branch by default.", setBranch},
	{"state-branch", "", "a full ref below refs/heads/", "Where the state is kept; refs/heads/autonomous-loop-state/<loop> by default.", setStateBranch},
	{"workflow", "", "a workflow's file name", "The workflow that continues the loop; this one by default.", text(func(c *config) *string { return &c.Workflow })},
	{"continuation", "auto", "auto, manual, scheduled or event", "How the next session starts.", setContinuation},
	{"mode", "run", "run, session or continue", "run does a session and asks for the next; session leaves that to a second job with continue.", setMode},
	{"max-sessions", "10", "a number from 1 to 1000", "Sessions of the whole loop.", number(1, 1000, func(c *config, n int) { c.LoopConfig.MaxSessions = n })},
	{"features-per-session", "1", "a number from 1 to 100", "Features that a session completes before it hands off.", number(1, 100, func(c *config, n int) { c.LoopConfig.FeaturesPerSession = n })},
	{"session-minutes", "50", "a number from 10 to 4320", "A session's time; it begins to put things in order 8 minutes before.", number(10, int(longest.Minutes()), func(c *config, n int) { c.SessionMinutes = time.Duration(n) * time.Minute })},
	{"token-budget", "500000", "a number from 1 to 1000000000000", "Tokens of the whole loop.", number(1, 1_000_000_000_000, func(c *config, n int) { c.LoopConfig.TokenBudget = int64(n) })},
	{"cost-budget", "0", "dollars, 0 for no limit", "Dollars of the whole loop.", setCost},
	{"session-budget", "0", "tokens like 2000000, or dollars like $3; 0 for no limit", "What one session may take of the budgets; then the next one goes on.", setCap(func(c *config) *runner.Cap { return &c.LoopConfig.SessionBudget })},
	{"feature-budget", "0", "tokens like 2000000, or dollars like $3; 0 for no limit", "What one feature may take of the budgets, over all attempts; then it waits for a person.", setCap(func(c *config) *runner.Cap { return &c.LoopConfig.FeatureBudget })},
	{"attempts-per-feature", "3", "a number from 1 to 20", "Attempts at a feature before it is set aside; it gets one second chance.", number(1, 20, func(c *config, n int) { c.LoopConfig.AttemptsPerFeature = n })},
	{"repairs-per-attempt", "2", "a number from 0 to 20", "Rounds of repair within an attempt.", number(0, 20, func(c *config, n int) { c.LoopConfig.RepairsPerAttempt = n })},
	{"auto-checkpoint", "true", "true or false", "Save work in progress after every phase.", truth(func(c *config, b bool) { c.LoopConfig.AutoCheckpoint = b })},
	{"tdd", "strict", "strict or off", "strict: a feature's tests are seen to fail before they pass.", func(c *config, v string) error {
		c.TDD, c.LoopConfig.TestFirst = v == "strict", v == "strict"
		return among(v, "strict", "off")
	}},
	{"e2e", "auto", "required, auto or off", "Acceptance in a real browser: for every feature, for those that have steps, or not at all.", oneOf(func(c *config) *string { return &c.E2E }, "required", "auto", "off")},
	{"a11y", "report", "off, report or block", "What keeps people from using the pages, looked for by axe-core as acceptance runs: reported, or failing it where serious.", oneOf(func(c *config) *string { return &c.A11y }, "off", "report", "block")},
	{"setup", "", "a shell command", "Run in every clean checkout before its tests.", text(func(c *config) *string { return &c.Setup })},
	{"test", "", "a shell command", "How the project's tests run; found by itself for most runners, see docs/tests.md.", text(func(c *config) *string { return &c.Test })},
	{"start", "", "a shell command", "How the application starts, on the port in PORT; found by itself for Node and Go.", text(func(c *config) *string { return &c.Start })},
	{"url", "", "a URL with {port}", "Where the application answers; http://127.0.0.1:{port} by default.", text(func(c *config) *string { return &c.URL })},
	{"isolation", "auto", "auto, landlock or none", "How commands are kept from doing harm; auto takes the strongest that the machine has and refuses below.", oneOf(func(c *config) *string { return &c.Isolation }, "auto", "landlock", "none")},
	{"feature-count", "auto", "auto, a number like 30, or a range like 20-50", "How many features a list that is drawn up may have, within 1 to 500; auto leaves it to the spec, up to 60 and for long ones to 200.", setCount},
	{"approve-features", "false", "true or false", "Stop after the feature list until a person has started the workflow by hand.", truth(func(c *config, b bool) { c.LoopConfig.ApproveFeatures = b })},
	{"pull-request", "draft", "draft, ready or none", "What kind of pull request is opened with the first verified feature.", oneOf(func(c *config) *string { return &c.PullRequest }, "draft", "ready", "none")},
	{"not-secrets", "", "ids of findings, with commas", "False alarms of the search for secrets, by the ids that the log gives them, so that their files are committed; see docs/checkpoints.md.", setNotSecrets},
	{"notify", "", "names on GitHub like ada or org/team, with commas", "Who is mentioned in the comment when only a person can let the loop go on; by default who started it by hand.", setNotify},
	{"dry-run", "false", "true or false", "Say what a session would do, and write nothing: no branch, no pull request, no comment, no dispatch. A feature list that is not there yet is drawn up and shown.", truth(func(c *config, b bool) { c.DryRun = b })},
	{"enabled", "true", "true, on, 1, false, off or 0", "The switch: when it is off no session starts, and the job is green and says so. Best set to a variable of the repository, see How to stop it.", setSwitch},
	{"config", ".github/autonomous-loop.yml", "a path", "A file with these names as keys, read from the default branch only.", text(func(c *config) *string { return &c.ConfigFile })},
}

// parseConfig reads every input through lookup ("" is not set) and reports every
// mistake, not only the first.
func parseConfig(lookup func(name string) string) (config, error) {
	var c config
	var errs []error
	for _, in := range inputs {
		value := strings.TrimSpace(lookup(in.name))
		if value == "" {
			value = in.def
		}
		if value == "" {
			continue
		}
		if err := in.set(&c, value); err != nil {
			shown := value
			if in.secretInput() {
				shown = "***"
			}
			errs = append(errs, fmt.Errorf("input %s: %q is not %s%s", in.name, shown, in.takes, because(err)))
		}
	}
	if c.StateBranch == "" {
		c.StateBranch = "refs/heads/autonomous-loop-state/" + c.Loop
	}
	if c.StateBranch == c.workBranch() {
		errs = append(errs, fmt.Errorf("input state-branch: %s is where the loop's code goes", c.StateBranch))
	}
	if c.LoopConfig.Mode != runner.ContinueMode {
		errs = append(errs, c.missing()...)
	} else if c.DryRun {
		errs = append(errs, errors.New("input dry-run: mode continue does nothing but ask for the next session, so there is nothing to show; leave one of the two out"))
	}
	return c, errors.Join(errs...)
}

// missing names what a session cannot do without.
func (c config) missing() []error {
	var errs []error
	if slices.Contains(c.Fallback, c.Model) {
		errs = append(errs, fmt.Errorf("input fallback-model: %s is the model itself", c.Model))
	}
	if c.Script != "" && len(c.Fallback) > 0 {
		errs = append(errs, errors.New("input fallback-model: a scripted model has none"))
	}
	if c.Model == "" {
		errs = append(errs, errors.New("input model: is not set; it takes a model's name, or script:<file> to try the loop without a model"))
	}
	if c.Model != "" && c.Script == "" && c.APIKey.reveal() == "" && !loopback(c.BaseURL) {
		errs = append(errs, errors.New("input api-key: is not set; put the provider's key into a secret of the repository and pass it with `api-key: ${{ secrets.… }}`, on a laptop set AUTONOMOUS_LOOP_API_KEY"))
	}
	return errs
}

func because(err error) string {
	if errors.Is(err, errNot) {
		return ""
	}
	return ": " + err.Error()
}

// errNot says that a value is simply not what the input takes.
var errNot = errors.New("not what it takes")

func text(at func(*config) *string) func(*config, string) error {
	return func(c *config, v string) error { *at(c) = v; return nil }
}

func secretText(at func(*config) *secret) func(*config, string) error {
	return func(c *config, v string) error { *at(c) = newSecret(v); return nil }
}

func among(v string, values ...string) error {
	if !slices.Contains(values, v) {
		return errNot
	}
	return nil
}

func oneOf(at func(*config) *string, values ...string) func(*config, string) error {
	return func(c *config, v string) error { *at(c) = v; return among(v, values...) }
}

func number(low, high int, set func(*config, int)) func(*config, string) error {
	return func(c *config, v string) error {
		n, err := strconv.Atoi(v)
		if err != nil || n < low || n > high {
			return errNot
		}
		set(c, n)
		return nil
	}
}

func truth(set func(*config, bool)) func(*config, string) error {
	return func(c *config, v string) error {
		set(c, v == "true")
		return among(v, "true", "false")
	}
}

func setSwitch(c *config, v string) error {
	v = strings.ToLower(v)
	c.Off = slices.Contains([]string{"false", "off", "0"}, v)
	return among(v, "true", "on", "1", "false", "off", "0")
}

func setModel(c *config, v string) (err error) {
	c.Model, c.Script, err = modelName(v)
	return err
}

func setFallback(c *config, v string) error {
	for name := range strings.SplitSeq(v, ",") {
		name = strings.TrimSpace(name)
		if _, script, err := modelName(name); err != nil || script != "" || name == "" || slices.Contains(c.Fallback, name) {
			return errNot
		}
		c.Fallback = append(c.Fallback, name)
	}
	return nil
}

func setNotSecrets(c *config, v string) error {
	for id := range strings.SplitSeq(v, ",") {
		id = strings.TrimSpace(id)
		if len(id) != 12 || strings.Trim(id, "0123456789abcdef") != "" {
			return errNot
		}
		c.NotSecrets = append(c.NotSecrets, id)
	}
	return nil
}

// mentionable is what GitHub lets an account or a team be called.
var mentionable = pattern.MustCompile(`^[A-Za-z0-9](-?[A-Za-z0-9]){0,38}(/[A-Za-z0-9]([A-Za-z0-9_-]{0,98}[A-Za-z0-9_])?)?$`)

func setNotify(c *config, v string) error {
	for name := range strings.SplitSeq(v, ",") {
		name = strings.TrimPrefix(strings.TrimSpace(name), "@")
		if !mentionable.MatchString(name) || len(c.Notify) == 10 {
			return errNot
		}
		c.Notify = append(c.Notify, name)
	}
	return nil
}

func setReviewModel(c *config, v string) (err error) {
	c.ReviewModel, c.ReviewScript, err = modelName(v)
	return err
}

// modelName reads a model's name; script is the file of a scripted one.
func modelName(v string) (name, script string, err error) {
	file, scripted := strings.CutPrefix(v, "script:")
	switch {
	case scripted && file == "":
		return "", "", errors.New("the file is missing")
	case strings.ContainsFunc(v, func(r rune) bool { return r < ' ' }):
		return "", "", errNot
	case scripted:
		return v, file, nil
	}
	return v, "", nil
}

func setURL(c *config, v string) error {
	u, err := url.Parse(v)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" || u.User != nil {
		return errNot
	}
	if u.Scheme == "http" && !loopback(v) {
		return errors.New("a key would travel in the clear; use https, except on this machine")
	}
	c.BaseURL = v
	return nil
}

func loopback(raw string) bool {
	u, err := url.Parse(raw)
	if err != nil {
		return false
	}
	h := u.Hostname()
	return h == "localhost" || h == "::1" || strings.HasPrefix(h, "127.")
}

var (
	loopName   = pattern.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]{0,49}$`)
	branchName = pattern.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_./+-]{0,199}$`)
)

func setLoop(c *config, v string) error {
	c.Loop = v
	if !loopName.MatchString(v) {
		return errNot
	}
	return nil
}

func validBranch(v string) bool {
	return branchName.MatchString(v) && !strings.Contains(v, "..") && !strings.Contains(v, "//") &&
		!strings.HasSuffix(v, "/") && !strings.HasSuffix(v, ".") && !strings.HasSuffix(v, ".lock") && !strings.Contains(v, "/.")
}

func setBranch(c *config, v string) error {
	c.Base = strings.TrimPrefix(v, "refs/heads/")
	if !validBranch(c.Base) {
		return errNot
	}
	return nil
}

func setStateBranch(c *config, v string) error {
	name, full := strings.CutPrefix(v, "refs/heads/")
	if !full || !validBranch(name) {
		return errNot
	}
	c.StateBranch = v
	return nil
}

func setContinuation(c *config, v string) error {
	c.LoopConfig.Continuation = runner.Continuation(v)
	return among(v, "auto", "manual", "scheduled", "event")
}

func setMode(c *config, v string) error {
	c.LoopConfig.Mode = runner.Mode(v)
	return among(v, "run", "session", "continue")
}

func setBands(c *config, v string) error {
	var p []int
	last := 10
	for f := range strings.SplitSeq(v, ",") {
		n, err := strconv.Atoi(strings.TrimSpace(f))
		if err != nil || n < last || n > 95 {
			return errNot
		}
		p, last = append(p, n), n
	}
	if len(p) != 4 {
		return errNot
	}
	c.Bands = agent.Bands{Warn: p[0], Compact: p[1], HandOff: p[2], Emergency: p[3]}
	return nil
}

func setCost(c *config, v string) (err error) {
	c.LoopConfig.CostBudget, err = money(strings.TrimPrefix(v, "$"))
	return err
}

func money(v string) (runner.Money, error) {
	dollars, err := strconv.ParseFloat(v, 64)
	if err != nil || dollars < 0 || dollars > 1e6 || math.IsNaN(dollars) {
		return 0, errNot
	}
	return runner.Money(math.Round(dollars * float64(runner.Dollar))), nil
}

// setCap reads tokens, or dollars, which have their sign.
func setCap(at func(*config) *runner.Cap) func(*config, string) error {
	return func(c *config, v string) (err error) {
		if dollars, ok := strings.CutPrefix(v, "$"); ok {
			at(c).Cost, err = money(dollars)
			return err
		}
		n, err := strconv.ParseInt(v, 10, 64)
		if err != nil || n < 0 || n > 1_000_000_000_000 {
			return errNot
		}
		at(c).Tokens = n
		return nil
	}
}

// setCount reads how many features a list may have. 0 and 0: the spec decides.
func setCount(c *config, v string) error {
	if v == "auto" {
		c.MinFeatures, c.MaxFeatures = 0, 0
		return nil
	}
	low, high, ranged := strings.Cut(v, "-")
	if !ranged {
		high = low
	}
	var err1, err2 error
	c.MinFeatures, err1 = strconv.Atoi(strings.TrimSpace(low))
	c.MaxFeatures, err2 = strconv.Atoi(strings.TrimSpace(high))
	if err1 != nil || err2 != nil || c.MinFeatures < 1 || c.MaxFeatures < c.MinFeatures || c.MaxFeatures > 500 {
		return errNot
	}
	return nil
}

// parseFile reads a config file: the inputs' names as keys, secrets excepted.
func parseFile(name string, data []byte) (map[string]string, error) {
	var raw map[string]any
	if err := yaml.Unmarshal(data, &raw); err != nil {
		return nil, fmt.Errorf("config file %s: %w", name, err)
	}
	values := map[string]string{}
	var errs []error
	for key, v := range raw {
		i := slices.IndexFunc(inputs, func(in input) bool { return in.name == key })
		switch {
		case i < 0:
			errs = append(errs, fmt.Errorf("config file %s: there is no input %s", name, key))
		case inputs[i].secretInput():
			errs = append(errs, fmt.Errorf("config file %s: %s is a secret; take it out, change it, and pass it in the workflow", name, key))
		case slices.Contains([]string{"config", "loop", "base", "state-branch", "mode"}, key):
			errs = append(errs, fmt.Errorf("config file %s: %s decides where the file is read from; set it in the workflow", name, key))
		case key == "dry-run":
			errs = append(errs, fmt.Errorf("config file %s: dry-run is for one run; set it where that is started", name))
		default:
			switch v.(type) {
			case string, int, bool, float64:
				values[key] = fmt.Sprint(v)
			default:
				errs = append(errs, fmt.Errorf("config file %s: %s takes %s", name, key, inputs[i].takes))
			}
		}
	}
	slices.SortFunc(errs, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
	return values, errors.Join(errs...)
}
