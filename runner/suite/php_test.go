//go:build deep

package suite

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestPHPUnitReport(t *testing.T) {
	need(t, "phpunit")
	const head = "<?php\nuse PHPUnit\\Framework\\TestCase;\n"
	dir := lay(t, tree{
		"src/notes.php":       "<?php\nfunction add($x) { return $x; }\n",
		"tests/NotesTest.php": head + "require_once __DIR__ . '/../src/notes.php';\nfinal class NotesTest extends TestCase {\n  public function testOk(): void { $this->assertSame(1, add(1)); }\n  public function testWrong(): void { $this->assertSame(2, add(1)); }\n  public function testMissing(): void { remove(1); }\n  public function testCrash(): void { throw new RuntimeException('no'); }\n  public function testSkipped(): void { $this->markTestSkipped(); }\n  public function testIncomplete(): void { $this->markTestIncomplete(); }\n  /** @dataProvider each */\n  public function testEach($x): void { $this->assertNotSame('a', $x); }\n  public static function each(): array { return ['ünï' => ['b'], ['a']]; }\n}\n",
	})
	r := do(t, dir, "")
	if r.Command != "phpunit tests" || believed(r) != "" {
		t.Fatal(r.Command, believed(r), r.Tail)
	}
	want := sorted([]said{
		{"tests/NotesTest.php: NotesTest › testCrash", Fail, Crash, false},
		{"tests/NotesTest.php: NotesTest › testEach with data set #0", Fail, Assertion, false},
		{"tests/NotesTest.php: NotesTest › testEach with data set \"ünï\"", Pass, "", false},
		{"tests/NotesTest.php: NotesTest › testIncomplete", Skip, "", false},
		{"tests/NotesTest.php: NotesTest › testMissing", Fail, Missing, false},
		{"tests/NotesTest.php: NotesTest › testOk", Pass, "", false},
		{"tests/NotesTest.php: NotesTest › testSkipped", Skip, "", false},
		{"tests/NotesTest.php: NotesTest › testWrong", Fail, Assertion, false},
	})
	if d := cmp.Diff(want, summary(r)); d != "" {
		t.Error(d)
	}
	for name, tt := range map[string]struct {
		body string
		kind Kind
	}{
		"missing": {"require __DIR__ . '/../src/later.php';\n", Missing}, "syntax": {"class X {\n", Syntax}, "class": {"class XTest extends LaterCase { function testA() {} }\n", Missing},
	} {
		r := do(t, lay(t, tree{"tests/XTest.php": head + tt.body}), "")
		if d := cmp.Diff([]said{{"tests/XTest.php", Fail, tt.kind, true}}, summary(r)); d != "" || believed(r) != "" {
			t.Errorf("%s: %s %s %s", name, d, believed(r), r.Tail)
		}
	}
	for name, body := range map[string]string{"exit": "exit(0);", "killed": "posix_kill(getmypid(), 9);"} {
		r := do(t, lay(t, tree{"tests/XTest.php": head + "class XTest extends TestCase { function testA() { $this->assertTrue(true); } function testB() { " + body + " } function testC() { $this->fail(); } }\n"}), "")
		if !strings.Contains(believed(r), "wrote no report") && !strings.Contains(believed(r), "cut") {
			t.Errorf("%s: %q %v", name, believed(r), summary(r))
		}
	}
	if r := do(t, lay(t, tree{"tests/README.md": "", "phpunit.xml": "<phpunit><testsuites><testsuite name=\"t\"><directory>tests</directory></testsuite></testsuites></phpunit>\n"}), ""); !r.None || believed(r) != "" {
		t.Errorf("no tests: none %v, %q, %s", r.None, believed(r), r.Tail)
	}
}
