package suite

import (
	_ "embed"
	"encoding/json"
	"path"
	"slices"
	"strings"

	"github.com/autonomous-loop/autonomous-loop/runner/pattern"
)

//go:embed node/reporter.mjs
var nodeReporter string

//go:embed node/preload.cjs
var nodePreload string

const nodeTest = "node --test"

var (
	nodeForm     = pattern.MustCompile(before + `(node)\s+(.*)$`)
	testFlag     = pattern.MustCompile(`(^|\s)--test(\s|$)`)
	nodeTaken    = pattern.MustCompile(`--(?:test-reporter(?:-destination)?(?:=|\s+)\S+|(?:experimental-)?test-isolation(?:=|\s+)\S+|watch\b)`)
	nodeTestFile = pattern.MustCompile(`(^test|[._-]test|/test-[^/]*)\.[cm]?js$|(^|/)(test|__tests__)/.*\.[cm]?js$`)
)

// Node's own runner starts each test file in a process of its own and reports
// from the process above.
var nodeAdapter = adapter{
	name: nodeTest,
	claim: func(command string) (Suite, bool) {
		m := nodeForm.FindStringSubmatch(command)
		if m == nil || !testFlag.MatchString(m[3]) {
			return Suite{}, false
		}
		return Suite{tool: nodeTest, Command: command, head: m[1], call: m[2], args: nodeTaken.ReplaceAllString(m[3], "")}, true
	},
	detect: func(p place) []string {
		files := p.find(nodeTestFile)
		if len(files) == 0 || p.nodePackage() != "" {
			return nil
		}
		if !p.has("package.json") && p.dir != "." {
			return nil
		}
		return []string{"node --test"}
	},
	plan: func(s Suite, k Kit) Plan {
		// The report goes to the runner's standard output, which only the sandbox
		// writes down: there is no file that the tests could reach.
		return Plan{
			Script: s.head + s.call + " --require " + quote(path.Join(k.Dir, "preload.cjs")) + " --test-reporter=" + quote(path.Join(k.Dir, "reporter.mjs")) +
				" --test-reporter-destination=stdout " + s.args,
			Files: map[string]string{"reporter.mjs": nodeReporter, "preload.cjs": nodePreload},
		}
	},
	read: func(s Suite, run Run) (Report, error) { return parseNode(run.Log, run.Kit.Nonce, run.Dir), nil },
	only: func(s Suite, scope string, isPath bool) Suite {
		if isPath {
			s.args = "--test " + quote(scope)
		} else {
			s.args = "--test-name-pattern=" + quote(scope) + " " + s.args
		}
		return s
	},
}

// A nodeEvent is one line of our reporter.
type nodeEvent struct {
	K       string     `json:"k"`
	File    string     `json:"file"`
	Name    string     `json:"name"`
	Text    string     `json:"text"`
	OK      bool       `json:"ok"`
	Nesting int        `json:"nesting"`
	Suite   bool       `json:"suite"`
	Skip    *string    `json:"skip"`
	Todo    bool       `json:"todo"`
	Millis  float64    `json:"ms"`
	Error   *nodeError `json:"error"`
}

type nodeError struct {
	Type    string `json:"type"` // node's failureType
	Name    string `json:"name"`
	Code    string `json:"code"`
	Message string `json:"message"`
	Stack   string `json:"stack"`
}

// parseNode reads the log of node --test, run in dir with our reporter. Lines
// without the nonce, or out of number, are not the reporter's.
func parseNode(log, nonce, dir string) Report {
	var r Report
	ended := false
	said := map[string]string{}  // file -> its output, to classify it if it does not load
	over := map[string]bool{}    // files that came to their natural end
	var files, dead []string     // files that were begun; that failed as a whole
	below := map[int][]int{}     // nesting -> cases that wait for their parent's name
	perFile := map[string]Case{} // failures of whole files
	var other strings.Builder    // what the tests wrote

	stray, err := sift(log, nonce, func(body []byte) error {
		var e nodeEvent
		if err := json.Unmarshal(body, &e); err != nil {
			return err
		}
		file := relative(dir, e.File)
		switch e.K {
		case "file":
			files = append(files, file)
		case "over":
			over[file] = true
		case "out":
			if len(said[file]) < mostMessage {
				said[file] += e.Text
			}
			other.WriteString(e.Text)
		case "end":
			ended = true
		case "filecase":
			if !e.OK {
				dead = append(dead, file)
				perFile[file] = Case{File: file, State: Fail, Wall: millis(e.Millis)}
			}
		case "case":
			if e.Skip != nil && strings.HasPrefix(*e.Skip, "test name does not match") {
				return nil // node lists what a filter leaves out as skipped
			}
			c := Case{File: file, Name: e.Name, State: Pass, Wall: millis(e.Millis)}
			if !e.OK {
				c.State = Fail
				c.Kind, c.Message = nodeKind(e.Error, dir), nodeMessage(e.Error, dir)
			}
			if e.Skip != nil || e.Todo {
				c.State = Skip // a failing todo does not fail the run, so it proves nothing either way
			}
			children := below[e.Nesting+1]
			delete(below, e.Nesting+1)
			for _, i := range children {
				r.Cases[i].Name = e.Name + " › " + r.Cases[i].Name
			}
			c.Group = (e.Suite || len(children) > 0) && (e.OK || e.Error != nil && e.Error.Type == "subtestsFailed")
			r.Cases = append(r.Cases, c)
			if e.Nesting > 0 {
				below[e.Nesting] = append(append(below[e.Nesting], children...), len(r.Cases)-1)
			}
		}
		return nil
	})
	if err != nil {
		r.Broken = err.Error()
		return r
	}
	r.Cases = distinct(r.Cases)
	r.Tail = Tail(trimPaths(strings.TrimSpace(Tail(stray+other.String(), 64<<10)), dir), 4<<10)
	for _, f := range dead {
		c := perFile[f]
		c.Name = f
		c.Load = !slices.ContainsFunc(r.Cases, func(o Case) bool { return o.File == f })
		if c.Load {
			c.Kind, c.Message = loadKind(said[f], dir), trimPaths(said[f], dir)
		} else {
			c.Name, c.Kind, c.Message = "(the file)", Crash, trimPaths(said[f], dir)
		}
		r.Cases = append(r.Cases, c)
	}
	for _, f := range files {
		if !over[f] && !slices.Contains(dead, f) {
			r.Early = append(r.Early, f)
		}
	}
	if !ended {
		r.Broken = "the test report has no end: it was cut, or the runner died"
	}
	return r
}

var (
	noExport  = pattern.MustCompile(`The requested module '([^']+)' does not provide an export named|Named export '[^']*' not found\. The requested module '([^']+)'`)
	noModule  = pattern.MustCompile(`Cannot find module '([^']+)'`)
	noPackage = pattern.MustCompile(`Cannot find package '([^']+)'`)
	noMember  = pattern.MustCompile(`is not a (function|constructor)|[Cc]annot read propert|is not iterable|[Cc]annot destructure`)
)

// nodeKind says why a case failed.
func nodeKind(e *nodeError, dir string) Kind {
	switch {
	case e == nil:
		return Crash
	case e.Type == "testTimeoutFailure" || e.Type == "cancelledByParent" || e.Type == "testAborted":
		return Timeout
	case e.Code == "ERR_ASSERTION" || e.Name == "AssertionError":
		return Assertion
	case e.Code == "ERR_MODULE_NOT_FOUND" || e.Code == "MODULE_NOT_FOUND":
		return moduleKind(e.Message, dir)
	case e.Name == "SyntaxError":
		if noExport.MatchString(e.Message) {
			return moduleKind(e.Message, dir)
		}
		return Syntax
	case e.Name == "TypeError" && noMember.MatchString(e.Message):
		return Missing
	}
	return Crash
}

// loadKind says why a test file did not load, by what it wrote before it died.
func loadKind(said, dir string) Kind {
	switch {
	case noExport.MatchString(said), noModule.MatchString(said), noPackage.MatchString(said):
		return moduleKind(said, dir)
	case strings.Contains(said, "SyntaxError"):
		return Syntax
	case strings.Contains(said, "AssertionError"):
		return Assertion
	}
	return Crash
}

// moduleKind tells a module of the project, which the feature will bring, from
// a package that nobody installed.
func moduleKind(text, dir string) Kind {
	for _, re := range []*pattern.Regexp{noExport, noModule} {
		if m := re.FindStringSubmatch(text); m != nil {
			if name := strings.Join(m[1:], ""); strings.HasPrefix(name, ".") || strings.HasPrefix(name, "#") ||
				strings.HasPrefix(name, "file:") || strings.HasPrefix(name, dir+"/") {
				return Missing
			}
		}
	}
	return Dependency
}

func nodeMessage(e *nodeError, dir string) string {
	if e == nil {
		return ""
	}
	if e.Stack != "" && strings.Contains(e.Stack, firstLine(e.Message)) {
		return trimPaths(e.Stack, dir)
	}
	return trimPaths(strings.TrimPrefix(e.Name+": "+e.Message, ": "), dir)
}
