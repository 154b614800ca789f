package suite

import (
	_ "embed"
	"path"
	"slices"
	"strings"

	"github.com/autonomous-loop/autonomous-loop/runner/pattern"
)

//go:embed ruby/events.rb
var rubyEvents string

//go:embed ruby/rspec.rb
var rspecFormatter string

//go:embed ruby/minitest/loop_plugin.rb
var minitestPlugin string

const (
	rspec    = "RSpec"
	minitest = "Minitest"
)

var (
	rspecForm    = caller(`(?:\S*/)?rspec`)
	minitestForm = caller(`(?:\S*/)?rails\s+test(?::\S+)?|(?:\S*/)?rake\s+test(?::\S+)?|ruby\s+(?:-I\s*\S+\s+)*-e|ruby\s+(?:-I\s*\S+\s+)*(?:\S*_test|\S*/test_\S*|test_\S*)\.rb`)
	rspecTaken   = pattern.MustCompile(`(?:^|\s)(?:--(?:format|out|color|colour|no-color|force-color|fail-fast)(?:[=\s]+\S+)?|-[fo]\s*\S+)`)
	specFile     = pattern.MustCompile(`(^|/)[^/]+_spec\.rb$`)
	rubyTest     = pattern.MustCompile(`^test/.*(_test\.rb|/test_[^/]+\.rb)$|^test/test_[^/]+\.rb$`)
	rakeTest     = pattern.MustCompile(`Rake::TestTask|Minitest::TestTask|task\s+:?["']?test\b`)
)

var rspecAdapter = adapter{
	name: rspec,
	claim: func(command string) (Suite, bool) {
		s, ok := claimer(rspec, rspecForm)(command)
		s.args = strings.TrimSpace(rspecTaken.ReplaceAllString(s.args, ""))
		return s, ok
	},
	detect: func(p place) []string {
		if len(slices.DeleteFunc(p.find(specFile), aside.MatchString)) == 0 {
			return nil
		}
		return []string{p.bundled("rspec")}
	},
	plan: func(s Suite, k Kit) Plan {
		p := tell(s, "--no-color --require "+quote(path.Join(k.Dir, "rspec.rb"))+" --format LoopFormatter", map[string]string{"events.rb": rubyEvents, "rspec.rb": rspecFormatter})
		return p
	},
	read: func(_ Suite, run Run) (Report, error) { return parseEvents(run.Log, run, rubyKind), nil },
	only: replacing(" --example "),
}

var minitestAdapter = adapter{
	name:  minitest,
	claim: claimer(minitest, minitestForm),
	detect: func(p place) []string {
		files := p.find(rubyTest)
		if len(files) == 0 {
			return nil
		}
		switch {
		case p.has("bin/rails"):
			return []string{"bin/rails test"}
		case rakeTest.MatchString(p.text("Rakefile")):
			return []string{p.bundled("rake") + " test"}
		}
		return []string{p.bundled("ruby") + ` -Ilib -Itest -e "Dir.glob('./test/**/{*_test,test_*}.rb').sort.each { |f| require f }"`}
	},
	plan: func(s Suite, k Kit) Plan {
		// Minitest loads what is found in the load path under this name.
		return Plan{
			Script: "RUBYLIB=" + quote(k.Dir) + `"${RUBYLIB:+:$RUBYLIB}"; export RUBYLIB; ` + strings.TrimSpace(s.head+s.call+" "+s.args),
			Files:  map[string]string{"events.rb": rubyEvents, "minitest/loop_plugin.rb": minitestPlugin},
		}
	},
	read: func(_ Suite, run Run) (Report, error) {
		r := parseEvents(run.Log, run, rubyKind)
		if f := rubyDead(run); len(r.Cases) == 0 && f != "" {
			text := run.Log[:min(len(run.Log), mostMessage)]
			why := rubyKind(event{K: "load", Text: text}, run.Dir)
			r = Report{Partial: true, Tail: r.Tail, Cases: []Case{{File: f, Name: f, State: Fail, Load: true, Kind: why, Message: trimPaths(Clean(text), run.Dir)}}}
		}
		return r, nil
	},
	only: func(s Suite, scope string, isPath bool) Suite {
		switch {
		case isPath && strings.Contains(s.call, "rails"):
			s.args = quote(scope)
		case isPath && strings.Contains(s.call, "rake"):
			s.args = "TEST=" + quote(scope)
		}
		return s
	},
}

// bundled calls a program of Ruby through Bundler, where the project has one.
func (p place) bundled(program string) string {
	if p.has("Gemfile") {
		return "bundle exec " + program
	}
	return program
}

var rubyPath = pattern.MustCompile(`(?m)(?:^|\s)(\.?/?[^\s:]+\.rb):\d+:`)

// rubyDead is the test file that could not be loaded, by what Ruby said when it
// died before Minitest began.
func rubyDead(run Run) string {
	if strings.Contains(run.Log, run.Kit.Nonce+" 0 ") {
		return ""
	}
	for _, m := range rubyPath.FindAllStringSubmatch(run.Log[:min(len(run.Log), 64<<10)], -1) {
		if rel := relative(run.Dir, m[1]); IsTest(strings.TrimPrefix(rel, "./")) {
			return strings.TrimPrefix(rel, "./")
		}
	}
	return ""
}

var (
	rubyMissing = pattern.MustCompile(`uninitialized constant|undefined method|undefined local variable or method|wrong number of arguments|cannot load such file -- (/|\./|\.\./)|unknown keyword|missing keyword|No route matches|does not implement`)
	rubyLoad    = pattern.MustCompile(`cannot load such file -- (\S+)`)
	rubySyntax  = pattern.MustCompile(`SyntaxError|syntax error`)
)

// rubyKind says why a case or a file failed.
func rubyKind(e event, dir string) Kind {
	is := func(name string) bool { return e.Type == name || slices.Contains(strings.Split(e.Code, ", "), name) }
	text := e.Text + "\n" + e.Trace
	switch {
	case is("SyntaxError") || e.K != "case" && rubySyntax.MatchString(text):
		return Syntax
	case is("RSpec::Expectations::ExpectationNotMetError"), is("RSpec::Mocks::MockExpectationError"), is("Minitest::Assertion"), is("Minitest::UnexpectedError") && strings.Contains(e.Text, "Assertion"):
		return Assertion
	case is("RSpec::Core::Pending::PendingExampleFixedError"):
		return Assertion
	case is("Timeout::Error") || is("Timeout::ExitException"):
		return Timeout
	}
	if m := rubyLoad.FindStringSubmatch(text); m != nil && (is("LoadError") || e.K != "case") {
		if strings.HasPrefix(m[1], ".") || strings.HasPrefix(m[1], dir+"/") {
			return Missing
		}
		return Dependency
	}
	if (is("NameError") || is("ArgumentError") || is("LoadError") || is("NotImplementedError") || e.K != "case") && rubyMissing.MatchString(text) {
		return Missing
	}
	return Crash
}
