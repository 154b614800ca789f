package suite

import (
	_ "embed"
	"path"
	"strings"

	"github.com/autonomous-loop/autonomous-loop/runner/pattern"
)

//go:embed js/events.cjs
var jsEvents string

//go:embed js/jest.cjs
var jestReporter string

//go:embed js/vitest.mjs
var vitestReporter string

//go:embed js/mocha.cjs
var mochaReporter string

const (
	jest   = "Jest"
	vitest = "Vitest"
	mocha  = "Mocha"
)

var (
	jestForm   = caller(`(?:\S*/)?jest(?:\.js)?|node\s+(?:--\S+\s+)*\S*node_modules/(?:\.bin/jest|jest/bin/jest(?:\.js)?)|react-scripts\s+test`)
	vitestForm = caller(`(?:\S*/)?vitest(?:\s+run\b)?`)
	mochaForm  = caller(`(?:\S*/)?_?mocha(?:\.js)?`)

	jestTaken   = pattern.MustCompile(`(?:^|\s)(?:--(?:reporters|colors?|watch(?:All)?|silent|verbose|passWithNoTests|notify)(?:=\S+)?|--reporters\s+\S+)`)
	vitestTaken = pattern.MustCompile(`(?:^|\s)(?:--(?:reporter|outputFile(?:\.\S+)?|watch|ui|silent|passWithNoTests)(?:=\S+)?|--(?:reporter|outputFile)\s+\S+|-w\b|-u\b|--update\b)`)
	mochaTaken  = pattern.MustCompile(`(?:^|\s)(?:--(?:reporter|reporter-options?)(?:=\S+|\s+\S+)|-[RO]\s*\S+|--watch\b|-w\b|--exit\b)`)

	jestNone   = pattern.MustCompile(`(?m)^No tests found(, exiting with code \d)?`)
	vitestNone = pattern.MustCompile(`No test (files )?found`)
	mochaNone  = pattern.MustCompile(`Error: No test files found|no test files found`)
)

// tell makes the plan of a suite whose runner takes a reporter as an argument. The
// report goes to the standard output, which only the sandbox writes down.
func tell(s Suite, args string, files map[string]string) Plan {
	return Plan{Script: strings.TrimSpace(strings.TrimSpace(s.head+s.call+" "+args) + " " + s.args), Files: files}
}

var jestAdapter = adapter{
	name: jest,
	claim: func(command string) (Suite, bool) {
		s, ok := claimer(jest, jestForm)(command)
		s.args = strings.TrimSpace(jestTaken.ReplaceAllString(s.args, ""))
		return s, ok
	},
	detect: func(p place) []string {
		if p.nodePackage() != jest {
			return nil
		}
		return []string{"jest"}
	},
	plan: func(s Suite, k Kit) Plan {
		args := "--ci --colors=false --reporters=" + quote(path.Join(k.Dir, "jest.cjs"))
		if strings.HasPrefix(s.call, "react-scripts") {
			args += " --watchAll=false"
		}
		return tell(s, args, map[string]string{"events.cjs": jsEvents, "jest.cjs": jestReporter})
	},
	read: func(_ Suite, run Run) (Report, error) { return readJS(run, jestNone), nil },
	only: adding(" --runTestsByPath ", " --testNamePattern="),
}

var vitestAdapter = adapter{
	name: vitest,
	claim: func(command string) (Suite, bool) {
		s, ok := claimer(vitest, vitestForm)(command)
		if ok && !strings.HasSuffix(s.call, "run") {
			s.call += " run"
		}
		s.args = strings.TrimSpace(vitestTaken.ReplaceAllString(s.args, ""))
		return s, ok
	},
	detect: func(p place) []string {
		if p.nodePackage() != vitest {
			return nil
		}
		return []string{"vitest run"}
	},
	plan: func(s Suite, k Kit) Plan {
		return tell(s, "--reporter="+quote(path.Join(k.Dir, "vitest.mjs")), map[string]string{"events.cjs": jsEvents, "vitest.mjs": vitestReporter})
	},
	read: func(_ Suite, run Run) (Report, error) { return readJS(run, vitestNone), nil },
	only: adding(" ", " -t "),
}

var mochaAdapter = adapter{
	name: mocha,
	claim: func(command string) (Suite, bool) {
		s, ok := claimer(mocha, mochaForm)(command)
		s.args = strings.TrimSpace(mochaTaken.ReplaceAllString(s.args, ""))
		return s, ok
	},
	detect: func(p place) []string {
		if p.nodePackage() != mocha {
			return nil
		}
		return []string{"mocha"}
	},
	plan: func(s Suite, k Kit) Plan {
		return tell(s, "--no-colors --reporter "+quote(path.Join(k.Dir, "mocha.cjs")), map[string]string{"events.cjs": jsEvents, "mocha.cjs": mochaReporter})
	},
	read: func(_ Suite, run Run) (Report, error) {
		r := readJS(run, mochaNone)
		if f := mochaDead(run); len(r.Cases) == 0 && f != "" && !r.None {
			// Mocha loads every file before it reports anything.
			text := run.Log[:min(len(run.Log), mostMessage)]
			r = Report{Partial: true, Tail: r.Tail, Cases: []Case{{File: f, Name: f, State: Fail, Load: true, Kind: loadKind(text, run.Dir), Message: trimPaths(Clean(text), run.Dir)}}}
		}
		return r, nil
	},
	only: replacing(" --grep "),
}

func readJS(run Run, none *pattern.Regexp) Report {
	r := parseEvents(run.Log, run, jsKind)
	if len(r.Cases) == 0 && none.MatchString(Clean(Tail(run.Log, 64<<10))) {
		r.None, r.Broken = true, ""
	}
	return r
}

var stackPath = pattern.MustCompile(`(?:file://)?(/[^\s:()'"]+\.[cm]?[jt]sx?)\b`)

// mochaDead is the test file that could not be loaded, by the stack that Mocha
// died with; "": it died of something else.
func mochaDead(run Run) string {
	if strings.Contains(run.Log, run.Kit.Nonce+" 0 ") {
		return ""
	}
	var last string
	for _, m := range stackPath.FindAllStringSubmatch(run.Log[:min(len(run.Log), 64<<10)], -1) {
		if rel := relative(run.Dir, m[1]); rel != m[1] && !strings.Contains("/"+rel, "/node_modules/") {
			last = rel
			if IsTest(rel) {
				return rel
			}
		}
	}
	return last
}

var (
	jsTimeout  = pattern.MustCompile(`Exceeded timeout of [\d.,]+ ?m?s|Test timed out in \d+ ?ms|Hook timed out in \d+ ?ms|[Tt]imeout of [\d.]+ ?ms exceeded|ERR_MOCHA_TIMEOUT`)
	jsExpected = pattern.MustCompile(`^(Error: )?expect\(|^assert(\.\w+)?\((received|expected|function)|AssertionError|JestAssertionError|expect\.assertions\(|expect\.hasAssertions|matcher error`)
	jsSyntax   = pattern.MustCompile(`SyntaxError|Jest encountered an unexpected token|Transform failed with|Parse failure|Failed to parse source|PARSE_ERROR|Expression expected|Unexpected token`)
	jsResolve  = pattern.MustCompile(`(?:Cannot find module|Failed to resolve import|Could not resolve|Cannot find package) ["']([^"']+)["']`)
)

// jsKind says why a case or a file failed, for every runner of JavaScript but
// Node's own.
func jsKind(e event, dir string) Kind {
	text := strings.TrimSpace(Clean(e.Text + "\n" + e.Trace))
	switch {
	case jsTimeout.MatchString(text) || e.Code == "ERR_MOCHA_TIMEOUT":
		return Timeout
	case e.Code == "ERR_ASSERTION" || strings.HasSuffix(e.Type, "AssertionError") || jsExpected.MatchString(Clean(e.Text)) || jsExpected.MatchString(text) && e.K == "case":
		return Assertion
	case noExport.MatchString(text):
		return moduleKind(text, dir)
	}
	if m := jsResolve.FindStringSubmatch(text); m != nil {
		if name := m[1]; strings.HasPrefix(name, ".") || strings.HasPrefix(name, "#") || strings.HasPrefix(name, "@/") || strings.HasPrefix(name, "~/") ||
			strings.HasPrefix(name, "file:") || strings.HasPrefix(name, "/") {
			return Missing
		}
		return Dependency
	}
	switch {
	case jsSyntax.MatchString(text) && (e.K == "load" || e.Type == "SyntaxError" || e.K == "fault"):
		return Syntax
	case e.Type == "TypeError" && noMember.MatchString(e.Text), strings.HasPrefix(text, "TypeError: ") && noMember.MatchString(text):
		return Missing
	}
	return Crash
}

var (
	viteConfig  = []string{"vitest.config.ts", "vitest.config.js", "vitest.config.mts", "vitest.config.mjs", "vitest.config.cts", "vitest.config.cjs", "vitest.workspace.ts", "vitest.workspace.js"}
	jestConfig  = []string{"jest.config.js", "jest.config.ts", "jest.config.mjs", "jest.config.cjs", "jest.config.json"}
	mochaConfig = []string{".mocharc.js", ".mocharc.cjs", ".mocharc.mjs", ".mocharc.json", ".mocharc.jsonc", ".mocharc.yml", ".mocharc.yaml"}
)

// nodePackage is the runner that package.json has installed, "" if none of ours.
func (p place) nodePackage() string {
	text := p.text("package.json")
	switch has := func(name string) bool { return strings.Contains(text, `"`+name+`"`) }; {
	case has("vitest") || p.hasAny(viteConfig...):
		return vitest
	case has("jest") || p.hasAny(jestConfig...):
		return jest
	case has("mocha") || p.hasAny(mochaConfig...):
		return mocha
	}
	return ""
}
