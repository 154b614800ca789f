package audit

import (
	"cmp"
	"fmt"
	"strings"
	"testing"

	godiff "github.com/google/go-cmp/cmp"
)

// paths of tests by language, and what a body stands in.
var frames = map[string]struct{ path, text string }{
	"js":     {"test/a.test.js", "import test from 'node:test';\nimport assert from 'node:assert/strict';\nimport { f } from '../a.js';\n%s"},
	"python": {"tests/test_a.py", "import pytest\nfrom a import f\n\n%s"},
	"go":     {"a_test.go", "package a\n\nimport \"testing\"\n\n%s"},
}

func became(lang, before, after string) []Change {
	f := frames[lang]
	return changes(files{f.path: fmt.Sprintf(f.text, before)}, files{f.path: fmt.Sprintf(f.text, after)})
}

const (
	jsTable = "test('f', () => {\n  for (const [a, b] of [['one', 'ONE'], ['two', 'TWO'], ['straße', 'STRASSE']]) {\n    assert.equal(f(a), b);\n  }\n});\n"
	pyTable = "def test_f():\n    for a, b in [('one', 'ONE'), ('two', 'TWO'), ('straße', 'STRASSE')]:\n        assert f(a) == b\n"
	pyMark  = "@pytest.mark.parametrize('a, b', [('one', 'ONE'), ('two', 'TWO'), ('straße', 'STRASSE')])\ndef test_f(a, b):\n    assert f(a) == b\n"
	goTable = "func TestF(t *testing.T) {\n\tfor _, tt := range []struct{ in, out string }{\n\t\t{\"one\", \"ONE\"},\n\t\t{\"two\", \"TWO\"},\n\t\t{\"straße\", \"STRASSE\"},\n\t} {\n\t\tif got := f(tt.in); got != tt.out {\n\t\t\tt.Errorf(\"%q: %q\", tt.in, got)\n\t\t}\n\t}\n}\n"
	jsNamed = "const cases = [['one', 'ONE'], ['two', 'TWO'], ['straße', 'STRASSE']];\ntest('f', () => {\n  for (const [a, b] of cases) assert.equal(f(a), b);\n});\n"
	goNamed = "var cases = []struct{ in, out string }{\n\t{\"one\", \"ONE\"},\n\t{\"straße\", \"STRASSE\"},\n}\n\nfunc TestF(t *testing.T) {\n\tfor _, tt := range cases {\n\t\tif got := f(tt.in); got != tt.out {\n\t\t\tt.Errorf(\"%q: %q\", tt.in, got)\n\t\t}\n\t}\n}\n"
	jsSlow  = "test('f', { timeout: 1500 }, async () => {\n  assert.equal(await f('one'), 'ONE');\n});\n"
	pySlow  = "@pytest.mark.timeout(2)\ndef test_f():\n    assert f('one') == 'ONE'\n"
	goSlow  = "func TestF(t *testing.T) {\n\tctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)\n\tdefer cancel()\n\tif got := f(ctx, \"one\"); got != \"ONE\" {\n\t\tt.Errorf(\"%q\", got)\n\t}\n}\n"
	jsPlain = "test('f', () => {\n  assert.equal(f('Hello World'), 'hello-world');\n});\n"
	pyPlain = "def test_f():\n    assert f('Hello World') == 'hello-world'\n"
	goPlain = "func TestF(t *testing.T) {\n\tif got := f(\"Hello World\"); got != \"hello-world\" {\n\t\tt.Errorf(\"%q\", got)\n\t}\n}\n"
)

// What a test that is there may not lose, and what it may.
func TestPoorerTests(t *testing.T) {
	for _, tt := range []struct {
		name, lang, before, old, new, text string // old becomes new in before
		parent, seen                       string // findings, where the parent has the test, and where it was seen red
	}{
		{name: "row gone", lang: "js", before: jsTable, old: ", ['straße', 'STRASSE']", parent: "failed fewer-inputs", seen: "failed fewer-inputs"},
		{name: "row gone", lang: "python", before: pyTable, old: ", ('straße', 'STRASSE')", parent: "failed fewer-inputs", seen: "failed fewer-inputs"},
		{name: "mark gone", lang: "python", before: pyMark, old: ", ('straße', 'STRASSE')", parent: "failed fewer-inputs", seen: "failed fewer-inputs"},
		{name: "row gone", lang: "go", before: goTable, old: "\t\t{\"straße\", \"STRASSE\"},\n", parent: "failed fewer-inputs", seen: "failed fewer-inputs"},
		{name: "row of a named table gone", lang: "js", before: jsNamed, old: ", ['straße', 'STRASSE']", parent: "failed fewer-inputs", seen: "failed fewer-inputs"},
		{name: "row of a named table gone", lang: "go", before: goNamed, old: "\t{\"straße\", \"STRASSE\"},\n", parent: "failed fewer-inputs", seen: "failed fewer-inputs"},
		{name: "row of a named table changed", lang: "go", before: goNamed, old: `"straße", "STRASSE"`, new: `"a", "A"`, parent: "failed expectation-changed", seen: "note expectation-changed"},
		{name: "row gone, as the feature says", lang: "js", before: jsTable, old: ", ['straße', 'STRASSE']", text: "f no longer makes straße into STRASSE", parent: "note fewer-inputs", seen: "note fewer-inputs"},
		{name: "part of the list", lang: "js", before: jsNamed, old: "of cases", new: "of cases.slice(0, 2)", parent: "failed fewer-inputs", seen: "failed fewer-inputs"},
		{name: "part of the list", lang: "go", before: goNamed, old: "range cases", new: "range cases[:1]", parent: "failed fewer-inputs", seen: "failed fewer-inputs"},
		{name: "passed by", lang: "python", before: pyTable, old: "        assert", new: "        if a == 'straße':\n            continue\n        assert", parent: "failed fewer-inputs", seen: "failed fewer-inputs"},
		{name: "fewer rounds", lang: "js", before: "test('f', () => {\n  for (let i = 0; i < 1000; i++) assert.equal(f(i), i);\n});\n", old: "1000", new: "3", parent: "failed expectation-changed, failed fewer-inputs", seen: "failed fewer-inputs, note expectation-changed"},
		{name: "row more", lang: "js", before: jsTable, old: "['one', 'ONE']", new: "['one', 'ONE'], ['three', 'THREE']"},
		{name: "row more", lang: "go", before: goTable, old: "\t\t{\"two\"", new: "\t\t{\"three\", \"THREE\"},\n\t\t{\"two\""},
		{name: "rows in another order", lang: "js", before: jsTable, old: "[['one', 'ONE'], ['two', 'TWO'], ", new: "[['two', 'TWO'], ['one', 'ONE'], "},
		{name: "rows say more", lang: "python", before: pyTable, old: "('one', 'ONE'), ('two', 'TWO'), ('straße', 'STRASSE')", new: "('one', 'ONE', 1), ('two', 'TWO', 2), ('straße', 'STRASSE', 3)"},
		{name: "rows in another form", lang: "js", before: jsTable, old: "[a, b] of [['one', 'ONE'], ['two', 'TWO'], ['straße', 'STRASSE']]", new: "{ a, b } of [{ a: 'one', b: 'ONE' }, { a: 'two', b: 'TWO' }, { a: 'straße', b: 'STRASSE' }]"},
		{name: "table moved out", lang: "js", before: jsTable, old: jsTable, new: jsNamed},
		{name: "row has a test of its own", lang: "python", before: pyTable, old: ", ('straße', 'STRASSE')]:\n        assert f(a) == b\n", new: "]:\n        assert f(a) == b\n\n\ndef test_sharp():\n    assert f('straße') == 'STRASSE'\n"},
		{name: "arguments are no table", lang: "js", before: "test('f', () => {\n  assert.equal(f(['--x', '--y']), 1);\n});\n", old: "test('f'", new: "const run = ['--x', '--y'];\ntest('f'"},

		{name: "limit raised", lang: "js", before: jsSlow, old: "1500", new: "60000", parent: "failed timeout, note test-changed", seen: "note test-changed, note timeout"},
		{name: "limit gone", lang: "js", before: jsSlow, old: "{ timeout: 1500 }, ", parent: "failed timeout", seen: "note timeout"},
		{name: "limit raised", lang: "python", before: pySlow, old: "timeout(2)", new: "timeout(60)", parent: "failed timeout, note test-changed", seen: "note test-changed, note timeout"},
		{name: "limit raised", lang: "go", before: goSlow, old: "2*time.Second", new: "time.Minute", parent: "failed timeout", seen: "note timeout"},
		{name: "limit of all raised", lang: "js", before: "jest.setTimeout(1000);\n" + jsPlain, old: "1000", new: "90000", parent: "failed timeout", seen: "note timeout"},
		{name: "limit raised, as the feature says", lang: "js", before: jsSlow, old: "1500", new: "2500", text: "f answers within 2500 ms", parent: "note test-changed, note timeout", seen: "note test-changed, note timeout"},
		{name: "limit that the feature names raised", lang: "js", before: jsSlow, old: "1500", new: "9000", text: "f answers within 1500 ms", parent: "failed timeout, note test-changed", seen: "failed timeout, note test-changed"},
		{name: "limit lowered", lang: "js", before: jsSlow, old: "1500", new: "900", parent: "note test-changed", seen: "note test-changed"},
		{name: "limit in another unit", lang: "go", before: goSlow, old: "2*time.Second", new: "2000*time.Millisecond", parent: "note test-changed", seen: "note test-changed"},
		{name: "first limit", lang: "js", before: jsPlain, old: "'f', ()", new: "'f', { timeout: 5000 }, ()"},

		{name: "only that it is there", lang: "js", before: jsPlain, old: "f('Hello World'), 'hello-world'", new: "typeof f, 'function'", parent: "failed assertion-loosened", seen: "failed assertion-loosened"},
		{name: "only that it is there", lang: "python", before: pyPlain, old: "f('Hello World') == 'hello-world'", new: "callable(f)", parent: "failed assertion-loosened", seen: "failed assertion-loosened"},
		{name: "only of what type", lang: "python", before: pyPlain, old: "f('Hello World') == 'hello-world'", new: "type(f('')) == str", parent: "failed assertion-loosened", seen: "failed assertion-loosened"},
		{name: "an easier case", lang: "js", before: jsPlain, old: "f('Hello World'), 'hello-world'", new: "f('a'), 'a'", parent: "failed expectation-changed", seen: "failed expectation-changed"},
		{name: "an easier case", lang: "python", before: pyPlain, old: "f('Hello World') == 'hello-world'", new: "f('a') == 'a'", parent: "failed expectation-changed", seen: "failed expectation-changed"},
		{name: "an easier case", lang: "go", before: goPlain, old: `f("Hello World"); got != "hello-world"`, new: `f("a"); got != "a"`, parent: "failed expectation-changed", seen: "failed expectation-changed"},
		{name: "deleted", lang: "go", before: goPlain + goTable[:0], old: goPlain, new: "func TestG(t *testing.T) {\n\tif f == nil {\n\t\tt.Error()\n\t}\n}\n", parent: "failed test-deleted", seen: "failed test-deleted"},
		{name: "a wrong expectation mended", lang: "js", before: jsPlain, old: "'hello-world'", new: "'hello_world'", parent: "failed expectation-changed", seen: "note expectation-changed"},
		{name: "a wrong expectation mended", lang: "python", before: pyPlain, old: "'hello-world'", new: "'hello_world'", parent: "failed expectation-changed", seen: "note expectation-changed"},
		{name: "a wrong expectation mended", lang: "go", before: goPlain, old: `"hello-world"`, new: `"hello_world"`, parent: "failed expectation-changed", seen: "note expectation-changed"},
		{name: "a right expectation changed", lang: "js", before: jsPlain, old: "'hello-world'", new: "'hello_world'", text: "f of a title is like hello-world", parent: "failed expectation-changed", seen: "failed expectation-changed"},
		{name: "another call", lang: "js", before: jsPlain, old: "f('Hello World')", new: "f({ title: 'Hello World' })"},
		{name: "more", lang: "python", before: pyPlain, old: pyPlain, new: pyPlain + "    assert f('') == ''\n"},
	} {
		t.Run(tt.lang+"/"+strings.ReplaceAll(tt.name, " ", "-"), func(t *testing.T) {
			if strings.Count(tt.before, tt.old) != 1 {
				t.Fatalf("%q occurs %d times", tt.old, strings.Count(tt.before, tt.old))
			}
			cs := became(tt.lang, tt.before, strings.Replace(tt.before, tt.old, tt.new, 1))
			for what, in := range map[string]Input{tt.parent: {Changes: cs}, "seen red: " + tt.seen: {Since: cs}} {
				in.Kind, in.Text = kindOf, tt.text
				got := Judge(in)
				want, since := strings.CutPrefix(what, "seen red: ")
				if d := godiff.Diff(cmp.Or(want, "quiet"), cmp.Or(strings.Join(said(got), ", "), "quiet")); d != "" {
					t.Errorf("since it was seen red %v: %s %v", since, d, got)
				}
				for _, f := range got {
					if strings.HasPrefix(f.Reason, "Changed since the tests were seen red: ") != since {
						t.Errorf("since it was seen red %v: %s", since, f)
					}
				}
			}
		})
	}
}

// What is found in both comparisons is said once.
func TestSaidOnce(t *testing.T) {
	cs := became("js", jsTable, strings.Replace(jsTable, ", ['straße', 'STRASSE']", "", 1))
	if got := Judge(Input{Changes: cs, Since: cs, Kind: kindOf}); len(got) != 1 {
		t.Errorf("%v", got)
	}
}

// Limits of the configuration.
func TestRaisedInConfiguration(t *testing.T) {
	for _, tt := range []struct{ before, after, want string }{
		{"export default {\n  testTimeout: 2000,\n};\n", "export default {\n  testTimeout: 60000,\n};\n", "failed timeout"},
		{"export default {\n  testTimeout: 2000,\n};\n", "export default {\n  testTimeout: 1000,\n};\n", "note timeout"},
		{"export default {\n};\n", "export default {\n  testTimeout: 20000,\n};\n", "note timeout"},
	} {
		got := said(Judge(Input{Kind: kindOf, Changes: changes(files{"jest.config.js": tt.before}, files{"jest.config.js": tt.after})}))
		if d := godiff.Diff(tt.want, strings.Join(got, ", ")); d != "" {
			t.Errorf("%s: %s", tt.after, d)
		}
	}
}
