package suite

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/autonomous-loop/autonomous-loop/runner/pattern"
)

// A junitCase is a <testcase>, of any of the many dialects of JUnit's XML.
type junitCase struct {
	Name   string `xml:"name,attr"`
	Class  string `xml:"classname,attr"`
	Class2 string `xml:"class,attr"` // PHPUnit
	File   string `xml:"file,attr"`
	Time   string `xml:"time,attr"`
	Status string `xml:"status,attr"` // Google's gtest: notrun

	Failures []junitWhy `xml:"failure"`
	Errors   []junitWhy `xml:"error"`
	Skipped  *junitWhy  `xml:"skipped"`
	Out      string     `xml:"system-out"`
}

type junitWhy struct {
	Type    string `xml:"type,attr"`
	Message string `xml:"message,attr"`
	Text    string `xml:",chardata"`
}

// parseJUnit reads one file of JUnit's XML. What a suite counts and what it holds
// must agree. why says why a case failed.
func parseJUnit(data []byte, dir string, why func(fault bool, kind, text string) Kind) ([]Case, error) {
	d := xml.NewDecoder(strings.NewReader(strings.ToValidUTF8(string(data), "\uFFFD")))
	d.CharsetReader = func(_ string, in io.Reader) (io.Reader, error) { return in, nil }
	d.Strict = true
	d.Entity = map[string]string{}
	type count struct {
		name, file                     string
		claims                         map[string]int
		tests, failed, errors, skipped int
	}
	var cases []Case
	var open []*count
	rooted, closed := false, false
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return cases, fmt.Errorf("its XML is cut or broken: %w", err)
		}
		switch t := token.(type) {
		case xml.StartElement:
			switch t.Name.Local {
			case "testsuites", "testsuite":
				if closed {
					return cases, errors.New("there is something after its end")
				}
				rooted = true
				c := &count{claims: map[string]int{}}
				for _, a := range t.Attr {
					switch a.Name.Local {
					case "name":
						c.name = a.Value
					case "file":
						c.file = a.Value
					case "tests", "failures", "errors", "skipped", "disabled":
						n, err := strconv.Atoi(a.Value)
						if err != nil || n < 0 {
							return cases, fmt.Errorf("%s counts %s=%q", c.name, a.Name.Local, a.Value)
						}
						c.claims[a.Name.Local] = n
					}
				}
				if len(open) > 0 && c.file == "" {
					c.file = open[len(open)-1].file
				}
				open = append(open, c)
			case "testcase":
				if len(open) == 0 {
					return cases, errors.New("a case stands outside of every suite")
				}
				var j junitCase
				if err := d.DecodeElement(&j, &t); err != nil {
					return cases, fmt.Errorf("its XML is cut or broken: %w", err)
				}
				c := j.read(dir, open[len(open)-1].file, why)
				for _, s := range open {
					s.tests++
					switch {
					case c.State == Skip:
						s.skipped++
					case len(j.Errors) > 0:
						s.errors++
					case c.State == Fail:
						s.failed++
					}
				}
				cases = append(cases, c)
			case "properties", "system-out", "system-err":
				if err := d.Skip(); err != nil {
					return cases, fmt.Errorf("its XML is cut or broken: %w", err)
				}
			default:
				if !rooted {
					return cases, fmt.Errorf("it begins with <%s> and is no JUnit report", t.Name.Local)
				}
				if err := d.Skip(); err != nil {
					return cases, fmt.Errorf("its XML is cut or broken: %w", err)
				}
			}
		case xml.EndElement:
			s := open[len(open)-1]
			open = open[:len(open)-1]
			closed = len(open) == 0
			if n, ok := s.claims["tests"]; ok && n != s.tests && n != s.tests-s.skipped {
				return cases, fmt.Errorf("%q counts %d tests and holds %d", s.name, n, s.tests)
			}
			if n := s.claims["failures"] + s.claims["errors"]; n > 0 && s.failed+s.errors == 0 {
				return cases, fmt.Errorf("%q counts %d failures and holds none", s.name, n)
			}
			_, f := s.claims["failures"]
			_, e := s.claims["errors"]
			if f && e && s.claims["failures"]+s.claims["errors"] == 0 && s.failed+s.errors > 0 {
				return cases, fmt.Errorf("%q counts no failure and holds %d", s.name, s.failed+s.errors)
			}
		}
	}
	if !rooted || !closed {
		return cases, errors.New("it is empty or cut")
	}
	return cases, nil
}

func (j junitCase) read(dir, file string, why func(bool, string, string) Kind) Case {
	class := j.Class
	if j.Class2 != "" {
		class = j.Class2
	}
	if j.File != "" {
		file = j.File
	}
	c := Case{File: relative(dir, file), Name: j.Name, State: Pass}
	if class != "" && class != file && !strings.HasPrefix(j.Name, class) {
		c.Name = class + " › " + j.Name
	}
	if s, err := strconv.ParseFloat(strings.ReplaceAll(j.Time, ",", ""), 64); err == nil && s > 0 && s < 1e6 {
		c.Wall = time.Duration(s * float64(time.Second))
	}
	switch {
	case len(j.Failures)+len(j.Errors) > 0:
		w := append(slices.Clone(j.Failures), j.Errors...)[0]
		text := strings.TrimSpace(w.Text)
		if first := firstLine(w.Message); !strings.Contains(text, first) {
			text = strings.TrimSpace(w.Message + "\n" + text)
		}
		c.State, c.Message = Fail, trimPaths(text, dir)
		c.Kind = why(len(j.Failures) == 0, w.Type, text)
	case j.Skipped != nil || j.Status == "notrun" || j.Status == "disabled":
		c.State = Skip
	}
	return c
}

const (
	mostReport  = 64 << 20
	mostReports = 5000
)

// gather reads the files of results below dir that want says yes to, each by one.
// None at all is an error: nothing was reported.
func gather(root *os.Root, dir string, want func(p string) bool, one func(data []byte) ([]Case, error)) (cases []Case, broken string) {
	files, size := 0, 0
	err := fs.WalkDir(root.FS(), path.Clean(dir), func(p string, d fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist) && p == path.Clean(dir):
			return fs.SkipAll
		case err != nil:
			return err
		case d.IsDir() && (d.Name() == "node_modules" || d.Name() == ".git"):
			return fs.SkipDir
		case d.IsDir() || !want(p):
			return nil
		}
		files++
		data, err := ReadFile(root, p, mostReport)
		if err != nil {
			return err
		}
		if size += len(data); files > mostReports || size > 4*mostReport {
			return fmt.Errorf("there are more files of results than are read")
		}
		got, err := one(data)
		cases = append(cases, got...)
		if err != nil {
			return fmt.Errorf("%s: %w", path.Base(p), err)
		}
		return nil
	})
	switch {
	case err != nil:
		return cases, "its report cannot be believed: " + err.Error()
	case files == 0:
		return nil, "it wrote no report: it was stopped, or something ended it before the tests were over"
	}
	return cases, ""
}

// anyKind says why a case failed, where the language is not known.
func anyKind(fault bool, kind, text string) Kind {
	switch {
	case anyTimeout.MatchString(kind) || anyTimeout.MatchString(firstLine(text)):
		return Timeout
	case anyAssert.MatchString(kind) || anyAssert.MatchString(text):
		return Assertion
	case anySyntax.MatchString(kind) || anySyntax.MatchString(firstLine(text)):
		return Syntax
	case anyMissing.MatchString(text):
		return Missing
	case !fault:
		return Assertion
	}
	return Crash
}

var (
	anyTimeout = pattern.MustCompile(`(?i)time(d)? ?out`)
	anyAssert  = pattern.MustCompile(`Assert|Expectation|ComparisonFailure|expect\(|Expected:|MultipleFailures`)
	anySyntax  = pattern.MustCompile(`SyntaxError|ParseError|Parse error|syntax error`)
	anyMissing = pattern.MustCompile(`NoSuchMethod|NoClassDefFound|ClassNotFound|NoSuchField|is not a function|undefined (function|method|constant)|Call to undefined|MissingMethodException|has no attribute|NotImplemented`)
)

// globs says whether a path matches one of patterns, in which ** stands for any
// directories.
func globs(patterns []string) func(string) bool {
	var all []*regexp.Regexp
	for _, g := range patterns {
		q := regexp.QuoteMeta(path.Clean(g))
		q = strings.NewReplacer(`\*\*/`, `(?:.*/)?`, `\*\*`, `.*`, `\*`, `[^/]*`, `\?`, `[^/]`).Replace(q)
		all = append(all, regexp.MustCompile(`^`+q+`$`))
	}
	return func(p string) bool {
		return slices.ContainsFunc(all, func(re *regexp.Regexp) bool { return re.MatchString(p) })
	}
}

// noted are the adapters of commands of which a person says, in a comment behind
// them, where they leave results and in what format:
//
//	npx cypress run --reporter junit # junit: results/*.xml
var noted = []adapter{
	{
		name: "junit report",
		plan: func(s Suite, _ Kit) Plan { return Plan{Script: stale(s.results) + s.Command} },
		read: func(s Suite, run Run) (Report, error) {
			return s.inTree(run, func(data []byte) ([]Case, error) { return parseJUnit(data, run.Dir, anyKind) })
		},
	},
	{
		name: "trx report",
		plan: func(s Suite, _ Kit) Plan { return Plan{Script: stale(s.results) + s.Command} },
		read: func(s Suite, run Run) (Report, error) {
			return s.inTree(run, func(data []byte) ([]Case, error) { return parseTRX(data, run.Dir) })
		},
	},
	{
		name: "tap report",
		plan: func(s Suite, _ Kit) Plan { return Plan{Script: s.Command} },
		read: func(_ Suite, run Run) (Report, error) { return parseTAP(run.Log, run.Dir), nil },
	},
}

// stale removes what an earlier run, or the candidate, left where results will be.
func stale(patterns []string) string {
	if len(patterns) == 0 {
		return ""
	}
	var b strings.Builder
	for _, g := range patterns {
		fmt.Fprintf(&b, " -o -path %s", quote("./"+strings.ReplaceAll(path.Clean(g), "**/", "*")))
	}
	return "find . -type f \\(" + strings.TrimPrefix(b.String(), " -o") + " \\) -exec rm -f {} +; "
}

func (s Suite) inTree(run Run, one func([]byte) ([]Case, error)) (Report, error) {
	var r Report
	match := globs(s.results)
	top := s.dir() + "/"
	r.Cases, r.Broken = gather(run.Root, s.dir(), func(p string) bool { return match(strings.TrimPrefix(p, top)) }, one)
	if s.results == nil {
		r.Broken = "nothing says where its report is: write # junit: PATH behind the command"
	}
	return r, nil
}
