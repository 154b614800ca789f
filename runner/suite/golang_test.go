package suite

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestGoReport(t *testing.T) {
	const head = "import (\n\t\"os\"\n\t\"testing\"\n\t\"time\"\n)\n\nvar _, _ = os.Exit, time.Now\n\n"
	dir := lay(t, tree{
		"go.mod":                   "module example.test/many\n\ngo 1.21\n",
		"a.go":                     "package many\n",
		"a_test.go":                "package many\n\n" + head + "func TestOK(t *testing.T) {}\nfunc TestBad(t *testing.T) { t.Errorf(\"got %d, want %d\", 1, 2) }\nfunc TestSub(t *testing.T) { t.Run(\"a b\", func(t *testing.T) {}); t.Run(\"c\", func(t *testing.T) { t.Fatal(\"no\") }) }\nfunc TestOwn(t *testing.T) { t.Run(\"a\", func(t *testing.T) {}); t.Fatal(\"own\") }\nfunc TestSkip(t *testing.T) { t.Skip(\"why\") }\n",
		"none/n.go":                "package none\n",
		"symbol/s_test.go":         "package symbol\n\n" + head + "func TestS(t *testing.T) { New() }\n",
		"syntax/s_test.go":         "package syntax\n\n" + head + "func TestS(t *testing.T) {\n",
		"unused/s_test.go":         "package unused\n\n" + head + "func TestS(t *testing.T) { x := 1 }\n",
		"module/s_test.go":         "package module\n\nimport (\n\t\"testing\"\n\n\t_ \"example.test/many/later\"\n)\n\nfunc TestS(t *testing.T) {}\n",
		"foreign/s_test.go":        "package foreign\n\nimport (\n\t\"testing\"\n\n\t_ \"example.com/other\"\n)\n\nfunc TestS(t *testing.T) {}\n",
		"panics/p_test.go":         "package panics\n\n" + head + "func TestA(t *testing.T) {}\nfunc TestP(t *testing.T) { var m map[int]int; m[1] = 1 }\nfunc TestZ(t *testing.T) {}\n",
		"exit/e_test.go":           "package exit\n\n" + head + "func TestE(t *testing.T) { os.Exit(0) }\n",
		"direct/d_test.go":         "package direct\n\nimport (\n\t\"syscall\"\n\t\"testing\"\n)\n\nfunc TestD(t *testing.T) { syscall.Exit(0) }\nfunc TestLater(t *testing.T) { t.Fatal(\"no\") }\n",
		"quiet/q_test.go":          "package quiet\n\n" + head + "func TestMain(m *testing.M) { os.Exit(0) }\nfunc TestQ(t *testing.T) { t.Fatal(\"no\") }\n",
		"initexit/i_test.go":       "package initexit\n\n" + head + "func init() { os.Exit(0) }\nfunc TestI(t *testing.T) { t.Fatal(\"no\") }\n",
		"tagged/t_test.go":         "//go:build special\n\npackage tagged\n\n" + head + "func TestT(t *testing.T) {}\n",
		"tagged/t_windows_test.go": "package tagged\n\n" + head + "func TestW(t *testing.T) {}\n",
		"tagged/t.go":              "package tagged\n",
		"testdata/x/x_test.go":     "package x\n\n" + head + "func TestX(t *testing.T) {}\n",
		"nested/go.mod":            "module example.test/nested\n",
		"nested/n_test.go":         "package nested\n\n" + head + "func TestN(t *testing.T) {}\n",
	})
	r := do(t, dir, "")
	if r.Broken != "" {
		t.Fatal(r.Broken)
	}
	want := []said{
		{"TestBad", Fail, Assertion, false},
		{"TestOK", Pass, "", false},
		{"TestOwn", Fail, Assertion, false},
		{"TestOwn/a", Pass, "", false},
		{"TestSkip", Skip, "", false},
		{"TestSub/a_b", Pass, "", false},
		{"TestSub/c", Fail, Assertion, false},
		{"direct: TestD", Pass, "", false}, // by test2json, which closes what the exit left open
		{"exit: TestE", Fail, Crash, false},
		{"package foreign", Fail, Dependency, true},
		{"package module", Fail, Missing, true},
		{"package symbol", Fail, Missing, true},
		{"package syntax", Fail, Syntax, true},
		{"package unused", Fail, Syntax, true},
		{"panics: TestA", Pass, "", false},
		{"panics: TestP", Fail, Crash, false},
	}
	if d := cmp.Diff(want, summary(r)); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff([]string{"direct", "package direct (TestLater was never run)", "package initexit (TestI was never run)", "package quiet (TestQ was never run)"}, r.Early); d != "" {
		t.Error(d)
	}
	if i := slices.IndexFunc(r.Cases, func(c Case) bool { return c.Name == "TestBad" }); !strings.Contains(r.Cases[i].Message, "a_test.go:12: got 1, want 2") {
		t.Errorf("message of TestBad: %q", r.Cases[i].Message)
	}
}
