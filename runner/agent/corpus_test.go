package agent

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/autonomous-loop/autonomous-loop/runner"
)

// A badCall is the arguments of a call as models spoil them: what is done for
// them, or "" where there is no one reading and the answer is the schema.
type badCall struct{ kind, tool, raw, want string }

var badCalls = []badCall{
	{"fence", "shell", "```json\n{\"command\":\"ls\"}\n```", `{"command":"ls"}`},
	{"fence", "shell", "```\n{\"command\":\"ls\"}```", `{"command":"ls"}`},
	{"fence", "shell", "```json\n{\"command\":\"echo '```'\"}\n```", "{\"command\":\"echo '```'\"}"},
	{"fence", "shell", "`{\"command\":\"ls\"}`", `{"command":"ls"}`},
	{"fence", "shell", "```json\n{\"command\":\"ls\"\n```", ``},

	{"prose", "shell", `Here you go: {"command":"ls"}`, `{"command":"ls"}`},
	{"prose", "shell", `{"command":"ls"} I hope that helps.`, `{"command":"ls"}`},
	{"prose", "shell", "<tool_call>\n{\"command\":\"ls\"}\n</tool_call>", `{"command":"ls"}`},
	{"prose", "shell", "\ufeff{\"command\":\"ls\"}", `{"command":"ls"}`},
	{"prose", "shell", `{"command":"ls"} and then {"command":"pwd"}`, ``},
	{"prose", "shell", `I would run ls -la now.`, ``},
	{"prose", "shell", `command: ls`, ``},

	{"commas", "read_file", `{"path":"a",}`, `{"path":"a"}`},
	{"commas", "edit_file", `{"path":"a","edits":[{"old":"x","new":"y",},],}`, `{"edits":[{"new":"y","old":"x"}],"path":"a"}`},
	{"commas", "read_file", `{"path":"a",,"offset":1}`, ``},
	{"commas", "read_file", `{,"path":"a"}`, ``},
	{"commas", "read_file", `{"path":"a" "offset":1}`, ``},
	{"commas", "read_file", `{"path":"a";"offset":1}`, ``},

	{"python", "shell", `{"command":"ls","background":True}`, `{"background":true,"command":"ls"}`},
	{"python", "shell", `{"command":"ls","background":None}`, `{"command":"ls"}`},
	{"python", "shell", `{'command': 'ls'}`, `{"command":"ls"}`},
	{"python", "shell", `{'command': 'echo "hi"', 'background': False}`, `{"background":false,"command":"echo \"hi\""}`},
	{"python", "shell", `{'command': "it's"}`, `{"command":"it's"}`},
	{"python", "shell", `{'command': 'it\'s'}`, `{"command":"it's"}`},
	{"python", "note", `{'text': 'it's here'}`, ``},
	{"python", "note", `{'text': 'don't, please'}`, ``},
	{"python", "shell", "{'command': 'a\nb'}", ``},
	{"python", "read_file", `{"path":"a","offset":NaN}`, ``},
	{"python", "read_file", `dict(path="a")`, ``},

	{"keys", "shell", `{command: "ls"}`, `{"command":"ls"}`},
	{"keys", "read_file", `{path: 'a', offset: 3}`, `{"offset":3,"path":"a"}`},
	{"keys", "shell", `{command: ls}`, ``},
	{"keys", "shell", `{command = "ls"}`, ``},
	{"keys", "read_file", `{"path":"a","path":"b"}`, ``},
	{"keys", "edit_file", `{"path":"a","edits":[{"old":"x","old":"z","new":"y"}]}`, ``},

	{"newlines", "write_file", "{\"path\":\"a\",\"content\":\"one\ntwo\n\"}", `{"content":"one\ntwo\n","path":"a"}`},
	{"newlines", "write_file", "{\"path\":\"a\",\"content\":\"\tone\"}", `{"content":"\tone","path":"a"}`},
	{"newlines", "write_file", "{\"path\":\"a\",\"content\":\"one\r\ntwo\"}", `{"content":"one\r\ntwo","path":"a"}`},

	{"escapes", "search", `{"pattern":"\d+\.go"}`, `{"pattern":"\\d+\\.go"}`},
	{"escapes", "search", `{"pattern":"\(a\)\s"}`, `{"pattern":"\\(a\\)\\s"}`},
	{"escapes", "shell", `{"command":"echo \'hi\'"}`, ``},
	{"escapes", "shell", `{"command":"echo \$HOME"}`, ``},
	{"escapes", "shell", "{\"command\":\"echo \\`date\\`\"}", ``},
	{"escapes", "shell", `{"command":"\x41"}`, ``},
	{"escapes", "shell", `{"command":"\u12"}`, ``},
	{"escapes", "shell", `{"command":"say "hi" now"}`, ``},
	{"escapes", "write_file", `{"path":"a","content":"x := "y""}`, ``},

	{"twice", "shell", `"{\"command\":\"ls\"}"`, `{"command":"ls"}`},
	{"twice", "write_file", `"{\"path\":\"a\",\"content\":\"b\\n\"}"`, `{"content":"b\n","path":"a"}`},
	{"twice", "edit_file", `{"path":"a","edits":"[{\"old\":\"x\",\"new\":\"y\"}]"}`, `{"edits":[{"new":"y","old":"x"}],"path":"a"}`},
	{"twice", "shell", `"ls -la"`, ``},
	{"twice", "shell", `"{\"command\":\"a\",\"command\":\"b\"}"`, ``},

	{"closers", "shell", `{"command":"ls"`, `{"command":"ls"}`},
	{"closers", "edit_file", `{"path":"a","edits":[{"old":"x","new":"y"`, `{"edits":[{"new":"y","old":"x"}],"path":"a"}`},
	{"closers", "edit_file", `{"path":"a","edits":[{"old":"x","new":"y"}]`, `{"edits":[{"new":"y","old":"x"}],"path":"a"}`},
	{"closers", "shell", `{"command":"ls"}}`, `{"command":"ls"}`},
	{"closers", "read_file", `{"path":"a","offset":1`, ``}, // 1, or 12?
	{"closers", "write_file", `{"path":"a","content":"half`, ``},
	{"closers", "write_file", `{"path":"a","content":`, ``},
	{"closers", "write_file", `{"path":"a",`, ``},
	{"closers", "edit_file", `{"path":"a","edits":[{"old":"x"`, ``},
	{"closers", "edit_file", `{"path":"a","edits":[{"old":"x","new":"y"}}`, ``},

	{"aliases", "read_file", `{"file_path":"a"}`, `{"path":"a"}`},
	{"aliases", "shell", `{"cmd":"ls"}`, `{"command":"ls"}`},
	{"aliases", "find_files", `{"pattern":"*.go"}`, `{"glob":"*.go"}`},
	{"aliases", "edit_file", `{"file_path":"a","old_string":"x","new_string":"y"}`, `{"edits":[{"new":"y","old":"x"}],"path":"a"}`},
	{"aliases", "read_file", `{"path":"a","file_path":"a"}`, `{"path":"a"}`},
	{"aliases", "read_file", `{"path":"a","file_path":"b"}`, ``},
	{"aliases", "edit_file", `{"path":"a","edits":[{"old":"x","new":"y"}],"old_string":"p","new_string":"q"}`, ``},
	{"aliases", "edit_file", `{"path":"a","edits":[{"old":"x","new":"y","new_str":"z"}]}`, ``},

	{"types", "read_file", `{"path":"a","offset":"12"}`, `{"offset":12,"path":"a"}`},
	{"types", "read_file", `{"path":"a","offset":12.0}`, `{"offset":12,"path":"a"}`},
	{"types", "shell", `{"command":"ls","background":"true"}`, `{"background":true,"command":"ls"}`},
	{"types", "edit_file", `{"path":"a","edits":{"old":"x","new":"y"}}`, `{"edits":[{"new":"y","old":"x"}],"path":"a"}`},
	{"types", "read_file", `{"path":"a","offset":"twelve"}`, ``},
	{"types", "read_file", `{"path":["a","b"]}`, ``},
	{"types", "shell", `{"command":["ls","-l"]}`, ``},
	{"types", "shell", `{"command":7}`, ``},
	{"types", "shell", `{"command":"ls","background":"maybe"}`, ``},
	{"types", "shell", `[]`, ``},
	{"types", "shell", `null`, ``},
}

func TestBadCalls(t *testing.T) {
	mended := 0
	for i, c := range badCalls {
		t.Run(fmt.Sprintf("%s/%d", c.kind, i), func(t *testing.T) {
			got, remarks, err := arguments(c.raw, specOf(t, c.tool))
			switch {
			case c.want == "" && err == nil:
				t.Errorf("a false repair: %s became %s", c.raw, got)
			case c.want != "" && (err != nil || got != c.want || len(remarks) == 0):
				t.Errorf("%s: got %s, %q, %v, want %s", c.raw, got, remarks, err, c.want)
			}
		})
		if c.want != "" {
			mended++
		}
	}
	t.Logf("%d calls: %d mended, %d refused", len(badCalls), mended, len(badCalls)-mended)
	if len(badCalls) < 60 {
		t.Errorf("%d calls", len(badCalls))
	}
}

// spoil are ways in which good arguments are spoilt on their way, whatever is in
// them.
var spoil = map[string]func(r *rand.Rand, good string) string{
	"fenced":         func(_ *rand.Rand, s string) string { return "```json\n" + s + "\n```" },
	"in prose":       func(_ *rand.Rand, s string) string { return "Sure! " + s + "\nDone" },
	"encoded twice":  func(_ *rand.Rand, s string) string { return encode(s) },
	"trailing comma": func(_ *rand.Rand, s string) string { return strings.TrimSuffix(s, "}") + ",}" },
	"no closer":      func(_ *rand.Rand, s string) string { return strings.TrimSuffix(s, "}") },
	"a closer more":  func(_ *rand.Rand, s string) string { return s + "}" },
	"raw newlines":   func(_ *rand.Rand, s string) string { return strings.ReplaceAll(s, `\n`, "\n") },
	"raw tabs":       func(_ *rand.Rand, s string) string { return strings.ReplaceAll(s, `\t`, "\t") },
	"other quotes": func(_ *rand.Rand, s string) string {
		return strings.NewReplacer(`\"`, `"`, `"`, `'`).Replace(s)
	},
	"bare quotes": func(_ *rand.Rand, s string) string { return strings.ReplaceAll(s, `\"`, `"`) },
	"cut off":     func(r *rand.Rand, s string) string { return s[:r.IntN(len(s))] },
	"a hole": func(r *rand.Rand, s string) string {
		i := r.IntN(len(s))
		return s[:i] + s[min(len(s), i+1):]
	},
}

// What was spoilt is mended to what it was, or refused: nothing else is ever
// done. Where a byte of a text itself was lost, or a quote that JSON allows, what
// is left is valid and nobody can tell; those two are only tried for their form.
func TestNoFalseRepair(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	bits := []string{`"`, `'`, "\n", "\t", "{", "}", "[", "]", ",", ":", "```", "\\", "a", "b c", "it's", "x := \"y\"", "//", "True", "$", "é", "<b>", "}}", `":"`, `", "`}
	text := func() string {
		var b strings.Builder
		for range r.IntN(9) {
			b.WriteString(bits[r.IntN(len(bits))])
		}
		return b.String()
	}
	write, counts := specOf(t, "write_file"), map[string][2]int{}
	for range 3000 {
		good := encode(map[string]any{"content": text(), "path": "a/" + text()})
		for how, f := range spoil {
			bad := f(r, good)
			got, remarks, err := arguments(bad, write)
			n := counts[how]
			switch {
			case err != nil:
				n[1]++
			case got == good || canonical(got) == canonical(good):
				n[0]++
			case len(remarks) == 0 && how != "other quotes": // still valid as it stands: no repair
			case how == "bare quotes" && len(remarks) == 1 && strings.HasSuffix(remarks[0], "is no parameter and was dropped"): // valid, too
			case how == "a hole" || how == "bare quotes" || how == "other quotes" || how == "raw newlines" || how == "raw tabs":
				if !alikeBut(bad, got) {
					t.Errorf("%s: %s\nspoilt   %s\nbecame   %s (%v)", how, good, bad, got, remarks)
				}
			default:
				t.Errorf("%s: %s\nspoilt   %s\nbecame   %s (%v)", how, good, bad, got, remarks)
			}
			counts[how] = n
		}
	}
	for how, n := range counts {
		t.Logf("%-14s mended %4d, refused %4d", how, n[0], n[1])
	}
	for _, how := range []string{"fenced", "encoded twice", "trailing comma", "no closer"} {
		if n := counts[how]; n[1]*20 > n[0] {
			t.Errorf("%s: %d mended, %d refused", how, n[0], n[1])
		}
	}
}

// alikeBut says that two spellings have the same letters in the same order: what
// was mended is in punctuation.
func alikeBut(a, b string) bool {
	letters := func(s string) string {
		return strings.Map(func(r rune) rune {
			if strings.ContainsRune("\"'\\{}[],:\n\t `", r) || r < 0x20 {
				return -1
			}
			return r
		}, strings.NewReplacer(`\n`, "", `\t`, "", `\u000a`, "", `\u0009`, "").Replace(s))
	}
	return letters(a) == letters(b)
}

// What a phase starts lives by the context of its calls, which is over when the
// phase is, and goes by the view that its results are part of.
func TestCallsEndWithTheirPhase(t *testing.T) {
	var begun []context.Context
	a, _, _ := open(t, map[string]Reply{
		"tests/1": calls(call("shell", `{"command":"serve"}`), done),
	}, map[string]func(context.Context, Call) string{"shell": func(ctx context.Context, _ Call) string {
		begun = append(begun, ctx)
		if ctx.Err() != nil {
			t.Error("over before it began")
		}
		return "exit 0"
	}})
	if _, err := a.Work(t.Context(), task(runner.Tests, 0)); err != nil {
		t.Fatal(err)
	}
	if len(begun) != 1 || begun[0].Err() == nil {
		t.Errorf("%d calls, and the phase's end did not end them", len(begun))
	}
	was := a.views
	if was == 0 {
		t.Error("the first conversation has no view")
	}
	p := &phase{a: a, c: &conversation{}, t: task(runner.Tests, 0)}
	if p.masked(nil, 1); a.views == was {
		t.Error("results were dropped, and the view is the same")
	}
}
