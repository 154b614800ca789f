package check

import (
	"context"
	"fmt"
	"io"
	"os"
	"path"
	"slices"
	"strings"

	"github.com/autonomous-loop/autonomous-loop/runner/pattern"

	"github.com/autonomous-loop/autonomous-loop/runner"
	"github.com/autonomous-loop/autonomous-loop/runner/suite"
)

// A canary is a test that the harness adds to a copy of the tree under
// judgement, to see whether the run of the tests tells the truth. It stands in
// a test file of the candidate's own, so that whatever the candidate loads,
// patches or configures is there, too; and its name is drawn anew, so that
// nothing can be prepared for it.
type canary struct {
	file string // that it was added to
	word string // its name contains it; nothing else's does
}

// The names of a file's canaries begin with the word; the rest says how they end.
const (
	mustPass = "holds"
	mustFail = "breaks"
)

// canaries is the gate on the run of the tests itself: one that must pass is
// listed, those that must fail fail, and a file that cannot be loaded is not
// green.
func (g *Gates) canaries(ctx context.Context, j *judgement) error {
	j.begin()
	if j.caged == nil {
		j.caged = func() (cage, error) { return g.letOut(ctx, j) }
	}
	c, err := j.caged()
	if err != nil {
		return err
	}
	if len(c.placed) == 0 {
		j.note("No canary could be placed: there is no test file in a language that the harness can write tests in.")
		return nil
	}
	j.saw(c.run.on(j.Tree, ""))
	f := judgeCanaries(c.placed, c.run.Report)
	if f.passed() {
		j.saw(c.spoilt.on(j.Tree, ""))
		if g := judgeSpoilt(c.placed[0].file, c.spoilt.Report); !g.passed() {
			f = g
		}
	}
	j.decide("canaries", j.Tree, f)
	return nil
}

// A cage is what became of the canaries of one judgement.
type cage struct {
	placed []canary
	run    recorded // with them
	spoilt recorded // with a file that cannot be loaded; only made if the other told the truth
}

// letOut places the canaries and makes the runs with them.
func (g *Gates) letOut(ctx context.Context, j *judgement) (c cage, err error) {
	changed, err := g.o.Trees.Changed(ctx, j.Parent, j.Tree)
	if err != nil {
		return c, fmt.Errorf("compare %s with its parent: %w", j.Tree, err)
	}
	dir, done, err := g.checkout(ctx, j.Tree)
	if err != nil {
		return c, err
	}
	defer done()
	ways, err := g.ways(ctx, j.Parent)
	if err != nil {
		return c, err
	}
	c.placed, err = g.place(dir, only(changed, ways.IsTest), mostChanged)
	if err == nil && len(c.placed) == 0 {
		var old []string
		if old, err = testFiles(dir, ways); err == nil {
			c.placed, err = g.place(dir, old, mostOld)
		}
	}
	if err != nil || len(c.placed) == 0 {
		return c, err
	}
	if c.run, err = g.test(ctx, g.o.Run, dir, ""); err == nil && judgeCanaries(c.placed, c.run.Report).passed() {
		// Apart from the others, because in most languages nothing runs beside a
		// file that does not load.
		c.spoilt, err = g.spoilt(ctx, j, c.placed[0].file)
	}
	return c, err
}

// How many files get canaries: of those that the candidate changed, and of the
// others if it changed none.
const mostChanged, mostOld = 20, 3

// testFiles are the test files of the tree in dir.
func testFiles(dir string, ways suite.Conventions) ([]string, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	var files []string
	_, err = suite.AnyFile(root, func(p string) bool {
		if ways.IsTest(p) {
			files = append(files, p)
		}
		return false
	})
	return files, err
}

// place adds canaries to the first of files, in dir, whose language is known.
func (g *Gates) place(dir string, files []string, most int) ([]canary, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	var placed []canary
	for _, name := range files {
		source, err := suite.ReadFile(root, name, 1<<20)
		if err != nil || len(placed) == most {
			continue // deleted, or not a file
		}
		word, err := g.word()
		if err != nil {
			return nil, err
		}
		text, ok := withCanary(name, string(source), word)
		if !ok {
			continue
		}
		if err := rewrite(root, name, text); err != nil {
			return nil, fmt.Errorf("place a canary in %s: %w", name, err)
		}
		placed = append(placed, canary{name, word})
	}
	return placed, nil
}

// spoilt runs the tests with one file that no language can load.
func (g *Gates) spoilt(ctx context.Context, j *judgement, name string) (recorded, error) {
	dir, done, err := g.checkout(ctx, j.Tree)
	if err != nil {
		return recorded{}, err
	}
	defer done()
	root, err := os.OpenRoot(dir)
	if err != nil {
		return recorded{}, err
	}
	defer root.Close()
	source, err := suite.ReadFile(root, name, 1<<20)
	if err != nil {
		return recorded{}, err
	}
	if err := rewrite(root, name, string(source)+"\n)]} (\n"); err != nil {
		return recorded{}, fmt.Errorf("spoil %s: %w", name, err)
	}
	return g.test(ctx, g.o.Run, dir, name)
}

func rewrite(root *os.Root, name, text string) error {
	f, err := root.OpenFile(name, os.O_WRONLY|os.O_TRUNC, 0)
	if err != nil {
		return err
	}
	_, err = io.WriteString(f, text)
	if e := f.Close(); err == nil {
		err = e
	}
	return err
}

// judgeCanaries says whether a run of the tests told the truth about the
// canaries that were placed.
func judgeCanaries(placed []canary, run suite.Report) finding {
	f := finding{}
	lies := func(format string, args ...any) finding {
		f.Outcome = runner.Invalid
		f.Reason = "The run of the tests cannot be trusted: " + fmt.Sprintf(format, args...) +
			" Something in the project changes what the tests are reported to say: a hook, a reporter, a configuration, a patched assertion, an early exit. Take it out."
		f.Detail = limit(suite.Clean(run.Tail), mostDetail)
		return f
	}
	weak := !slices.ContainsFunc(run.Cases, func(c suite.Case) bool { return !c.Weak })
	var dumb []string
	for _, c := range placed {
		var held, broke bool // listed
		for _, k := range run.Leaves() {
			if !strings.Contains(strings.ToLower(k.Name), c.word) {
				continue
			}
			f.Counts.Run++
			switch {
			case strings.Contains(k.Name, mustFail) && k.State != suite.Fail:
				return lies("a test that must fail was added to %s and is reported as %s.", c.file, said[k.State])
			case strings.Contains(k.Name, mustFail):
				broke = true
				f.Counts.Failed++
			default:
				held = true
				f.Counts.Passed++
			}
		}
		switch {
		case held && broke:
		case held != broke:
			return lies("of two tests that were added to %s, one that passes and one that fails, only one is reported.", c.file)
		case len(run.Failed()) == 0 && run.Broken == "" && len(run.Early) == 0 && !run.Hung:
			return lies("a test that must fail was added to %s, and the run is reported as passed without it.", c.file)
		case !weak && !slices.ContainsFunc(run.Failed(), func(k suite.Case) bool { return k.Load || touches([]string{c.file}, k.File) }) && run.Broken == "" && len(run.Early) == 0:
			return lies("a test that was added to %s is not reported at all.", c.file)
		default:
			dumb = append(dumb, c.file)
		}
	}
	f.Reason = fmt.Sprintf("%s placed in %s, and the run told the truth about them.", plural(2*len(placed), "canary", "canaries"), list(places(placed)))
	if weak {
		f.Reason = fmt.Sprintf("the run fails with a failing test in %s; only its exit code is known.", list(places(placed)))
	} else if len(dumb) > 0 {
		f.Reason += fmt.Sprintf(" Of %s no more is known than that the run fails with them.", list(dumb))
	}
	return f
}

var said = map[suite.State]string{suite.Pass: "passed", suite.Fail: "failed", suite.Skip: "skipped"}

func places(placed []canary) []string {
	var files []string
	for _, c := range placed {
		files = append(files, c.file)
	}
	return files
}

// judgeSpoilt says whether a run noticed that one of its files cannot be loaded.
func judgeSpoilt(file string, run suite.Report) finding {
	f := finding{Counts: counts(run.Leaves())}
	if len(run.Failed()) == 0 && run.Broken == "" && len(run.Early) == 0 && !run.Hung {
		f.Outcome = runner.Invalid
		f.Reason = fmt.Sprintf("The run of the tests cannot be trusted: %s was spoilt so that it cannot be loaded, and the run is reported as passed all the same (%s). "+
			"Something in the project swallows errors of the runner. Take it out.", file, plural(f.Counts.Passed, "test passed", "tests passed"))
		f.Detail = limit(suite.Clean(run.Tail), mostDetail)
	}
	return f
}

// word is a name that nothing can be prepared for.
func (g *Gates) word() (string, error) {
	nonce, err := g.nonce()
	if err != nil {
		return "", err
	}
	return strings.Map(func(r rune) rune { // letters only: a name in every language
		if r >= '0' && r <= '9' {
			return r - '0' + 'g'
		}
		return r
	}, strings.TrimPrefix(nonce, "loop-"))[:16], nil
}

// withCanary is the source of the test file called name with canaries at its
// end: first one that must pass, then those that must fail, in case the runner
// is told to stop at the first failure. ok is false if the language is not known.
func withCanary(name, source, word string) (text string, ok bool) {
	title := strings.ToUpper(word[:1]) + word[1:]
	fill := func(s string) string {
		return strings.NewReplacer("WORD", word, "TITLE", title, "HOLDS", mustPass, "BREAKS", mustFail).Replace(s)
	}
	switch ext := path.Ext(name); ext {
	case ".js", ".mjs", ".cjs", ".jsx", ".ts", ".mts", ".cts", ".tsx":
		if !jsCase.MatchString(source) {
			return "", false
		}
		return source + fill(jsCanary(source, ext)), true
	case ".go":
		pkg := goTesting.FindStringSubmatch(source)
		if !strings.HasSuffix(name, "_test.go") || pkg == nil {
			return "", false
		}
		t := pkg[1]
		if t == "" {
			t = "testing"
		}
		return source + fill("\nfunc TestTITLEHOLDS(t *"+t+".T) {}\n\nfunc TestTITLEBREAKS(t *"+t+".T) { t.Errorf(\"%d is not %d\", 1, 2) }\n"), true
	case ".py":
		if !pyCase.MatchString(source) {
			return "", false
		}
		return source + fill(pyCanary), true
	case ".rb":
		switch {
		case strings.HasSuffix(name, "_spec.rb"):
			return source + fill("\nRSpec.describe('WORD') do\n  it('WORD HOLDS') { expect(1).to eq(1) }\n  it('WORD BREAKS') { expect(1).to eq(2) }\nend\n"), true
		case strings.Contains(source, "Minitest"):
			return source + fill("\nclass TestTITLE < Minitest::Test\n  def test_WORD_HOLDS = assert_equal(1, 1)\n  def test_WORD_BREAKS = assert_equal(1, 2)\nend\n"), true
		}
	case ".php":
		if i := strings.LastIndexByte(source, '}'); i >= 0 && strings.HasSuffix(name, "Test.php") {
			return source[:i] + fill("\n    public function testTITLEHOLDS(): void { $this->assertSame(1, 1); }\n    public function testTITLEBREAKS(): void { $this->assertSame(1, 2); }\n") + source[i:], true
		}
	case ".java":
		annotation := ""
		for _, a := range []string{"org.junit.jupiter.api.Test", "org.junit.Test"} {
			if strings.Contains(source, a) {
				annotation = a
				break
			}
		}
		if i := strings.LastIndexByte(source, '}'); i >= 0 && annotation != "" {
			return source[:i] + fill("\n    @"+annotation+" public void TITLEHOLDS() {}\n    @"+annotation+" public void TITLEBREAKS() { throw new AssertionError(\"1 is not 2\"); }\n") + source[i:], true
		}
	case ".rs":
		if strings.Contains(source, "#[test]") {
			return source + fill("\n#[test]\nfn WORD_HOLDS() {}\n\n#[test]\nfn WORD_BREAKS() { assert_eq!(1, 2); }\n"), true
		}
	}
	return "", false
}

var (
	goTesting = pattern.MustCompile(`(?m)^(?:import[ \t]+)?[ \t]*(\w*)[ \t]*"testing"`)
	jsCase    = pattern.MustCompile(`\b(?:test|it|describe|suite)\b`)
	jsModule  = pattern.MustCompile(`(?m)^\s*(?:import\s*["'{*\w]|export\s)`)
	pyCase    = pattern.MustCompile(`(?m)^\s*(?:async\s+)?def\s+test|^\s*class\s+\w*Test|\bTestCase\b`)
)

const pyCanary = `

import unittest as unittest_WORD


class TestTITLE(unittest_WORD.TestCase):
    def test_WORD_HOLDS(self):
        self.assertEqual(1, 1)

    def test_WORD_BREAKS(self):
        self.assertEqual(1, 2)


def test_WORD_too_BREAKS():
    assert 1 == 2
`

// jsCanary is JavaScript for whichever runner the file is written for. What the
// file calls its test function is not known; node's and Vitest's can be had by
// name, the others' are global.
func jsCanary(source, ext string) string {
	module := ext == ".mjs" || ext == ".mts" || ext != ".cjs" && ext != ".cts" && jsModule.MatchString(source)
	from := func(name, binding string) string {
		if module {
			return "import " + binding + " from '" + name + "';\n"
		}
		return "const " + strings.Replace(binding, " as ", ": ", 1) + " = require('" + name + "');\n"
	}
	var b strings.Builder
	b.WriteString("\n;\n")
	define := "(typeof test === 'function' ? test : it)"
	for _, name := range []string{"node:test", "vitest", "@jest/globals"} {
		if strings.Contains(source, "'"+name+"'") || strings.Contains(source, `"`+name+`"`) {
			b.WriteString(from(name, "{ test as test_WORD }"))
			define = "test_WORD"
			break
		}
	}
	fails := []string{"throw new Error('1 is not 2')"}
	if define == "test_WORD" && strings.Contains(source, "node:test") {
		b.WriteString(from("node:assert", "{ strictEqual as equal_WORD }"))
		fails = append(fails, "equal_WORD(1, 2)")
	}
	if m := jsAssert.FindStringSubmatch(source); m != nil {
		fails = append(fails, m[1]+m[2]+".equal(1, 2)")
	}
	if strings.Contains(source, "expect(") {
		fails = append(fails, "expect(1).toBe(2)")
	}
	fmt.Fprintf(&b, "%s('WORD HOLDS', () => {});\n", define)
	for i, how := range fails {
		fmt.Fprintf(&b, "%s('WORD BREAKS %d', () => { %s; });\n", define, i+1, how)
	}
	return b.String()
}

// jsAssert finds what a file calls node's assertions.
var jsAssert = pattern.MustCompile(`(?:import\s+(\w+)\s+from|(?:const|let|var)\s+(?:\w+\s*=\s*)?(\w+)\s*=\s*require\()\s*['"](?:node:)?assert(?:/strict)?['"]`)
