package agent

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func specOf(t testing.TB, name string) schema {
	for _, s := range append((&box{}).Specs(), ownSpecs...) {
		if s.Name == name {
			return parseSchema(s)
		}
	}
	t.Fatalf("no tool %s", name)
	return schema{}
}

func TestArguments(t *testing.T) {
	for _, c := range []struct{ name, tool, raw, want, remark string }{
		// Valid: byte for byte.
		{"valid", "shell", `{"command" : "a\u00e9\/ <b>"}`, `{"command" : "a\u00e9\/ <b>"}`, ""},
		{"valid number", "read_file", `{"path":"a","offset":3}`, `{"path":"a","offset":3}`, ""},
		{"nothing", "run_tests", ``, `{}`, ""},
		{"blank", "run_tests", " \n", `{}`, ""},

		// The ladder of JSON.
		{"fence", "shell", "```json\n{\"command\":\"ls\"}\n```", `{"command":"ls"}`, "around"},
		{"prose", "shell", `Sure: {"command":"ls"} Hope it helps.`, `{"command":"ls"}`, "around"},
		{"raw newline", "shell", "{\"command\":\"a\n\tb\"}", `{"command":"a\n\tb"}`, "control"},
		{"regexp escape", "shell", `{"command":"grep '\d\.\(x\)'"}`, `{"command":"grep '\\d\\.\\(x\\)'"}`, "literally"},
		{"trailing comma", "edit_file", `{"path":"a","edits":[{"old":"x","new":"y",},],}`, `{"edits":[{"new":"y","old":"x"}],"path":"a"}`, "comma"},
		{"comma in a string stays", "shell", `{"command":"a,}",}`, `{"command":"a,}"}`, "comma"},
		{"python", "shell", `{"command":"None","background":True}`, `{"background":true,"command":"None"}`, "Python"},
		{"twice encoded", "shell", `"{\"command\":\"a\\n\"}"`, `{"command":"a\n"}`, "twice"},
		{"missing closers", "edit_file", `{"path":"a","edits":[{"old":"x","new":"y"}`, `{"edits":[{"new":"y","old":"x"}],"path":"a"}`, "missing closing"},
		{"too many closers", "shell", `{"command":"a"}}`, `{"command":"a"}`, "superfluous"},

		// The ladder of the schema.
		{"alias", "write_file", `{"file_path":"a","text":"b"}`, `{"content":"b","path":"a"}`, "file_path was taken as path"},
		{"number in a string", "read_file", `{"path":"a","offset":"3"}`, `{"offset":3,"path":"a"}`, "string"},
		{"float that is whole", "read_file", `{"path":"a","offset":3.0}`, `{"offset":3,"path":"a"}`, "as 3"},
		{"out of range", "read_file", `{"path":"a","offset":0,"limit":99999}`, `{"limit":2000,"offset":1,"path":"a"}`, "lowered"},
		{"boolean in a string", "shell", `{"command":"a","background":"True"}`, `{"background":true,"command":"a"}`, "string"},
		{"list in a string", "edit_file", `{"path":"a","edits":"[{\"old\":\"x\",\"new\":\"y\"}]"}`, `{"edits":[{"new":"y","old":"x"}],"path":"a"}`, "out of a string"},
		{"one for a list", "edit_file", `{"path":"a","edits":{"old":"x","new":"y"}}`, `{"edits":[{"new":"y","old":"x"}],"path":"a"}`, "list of one"},
		{"flat edit", "edit_file", `{"path":"a","old_string":"x","new_string":"y"}`, `{"edits":[{"new":"y","old":"x"}],"path":"a"}`, "list of one"},
		{"unknown key", "shell", `{"command":"a","why":"b"}`, `{"command":"a"}`, "dropped"},
		{"null for left out", "shell", `{"command":"a","background":null}`, `{"command":"a"}`, "null"},
		{"enum by case", "job", `{"id":"1","action":"READ"}`, `{"action":"read","id":"1"}`, "as read"},
		{"too long a note", "note", `{"text":"` + strings.Repeat("n", 601) + `"}`, `{"text":"` + strings.Repeat("n", 600) + `"}`, "cut"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, remarks, err := arguments(c.raw, specOf(t, c.tool))
			if err != nil || got != c.want || !strings.Contains(strings.Join(remarks, "\n"), c.remark) || (c.remark == "") != (len(remarks) == 0) {
				t.Errorf("got %s, %q, %v\nwant %s, %q", got, remarks, err, c.want, c.remark)
			}
		})
	}
}

// What has two readings, or none, is refused.
func TestArgumentsRefused(t *testing.T) {
	for _, c := range []struct{ name, tool, raw, want string }{
		{"two readings of an escape", "shell", `{"command":"echo \'a\'"}`, `\' at byte`},
		{"dollar", "shell", `{"command":"echo \$a"}`, `\$ at byte`},
		{"string without end", "write_file", `{"path":"a","content":"hal`, "does not end"},
		{"ends after a comma", "write_file", `{"path":"a",`, "too early"},
		{"ends after a colon", "write_file", `{"path":"a","content":`, "too early"},
		{"quotes not escaped", "shell", `{"command":"say "hi" now"}`, "not valid JSON"},
		{"two objects", "shell", `{"command":"a"}{"command":"b"}`, "not valid JSON"},
		{"two objects in prose", "shell", `first {"command":"a"} then {"command":"b"}`, "not valid JSON"},
		{"crossed brackets", "shell", `{"command":["a"}]`, "closes nothing"},
		{"a list", "shell", `["a"]`, "not a JSON object"},
		{"prose", "shell", `ls -la`, "not valid JSON"},
		{"bad unicode", "shell", `{"command":"\u12"}`, "hexadecimal"},
		{"missing", "shell", `{}`, "command is missing"},
		{"null where wanted", "shell", `{"command":null}`, "command is null"},
		{"wrong type", "shell", `{"command":["a","b"]}`, "command is an array, want string"},
		{"number for text", "shell", `{"command":5}`, "command is a number"},
		{"half a number", "read_file", `{"path":"a","offset":1.5}`, "want an integer"},
		{"no edits", "edit_file", `{"path":"a","edits":[]}`, "at least 1"},
		{"enum", "job", `{"id":"1","action":"kill"}`, "want one of read, write, stop"},
		{"all mistakes at once", "edit_file", `{"edits":[{"old":1}]}`, "path is missing"},
		{"huge", "shell", `{"command":"` + strings.Repeat("a", mostArgs) + `"}`, "at most"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got, _, err := arguments(c.raw, specOf(t, c.tool)); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %s, %v; want an error with %q", clip(got, 200), err, c.want)
			}
		})
	}
}

func FuzzArguments(f *testing.F) {
	for _, s := range []string{`{"path":"a","edits":[{"old":"x","new":"y"}]}`, `{"a":1,}`, "```{\"path\":\"\n\"}```", `"{\"path\":\"a\"}"`, `{"path":"\d`, `{"path":True}}`, `[`, `{"edits":"[{}]"}`, `{"path":"a","old":1e999,"new":{"b":[]}}`} {
		f.Add(s)
	}
	for _, c := range badCalls {
		f.Add(c.raw)
	}
	edit := specOf(f, "edit_file")
	f.Fuzz(func(t *testing.T, raw string) {
		// Mending what needs none changes nothing.
		if v, err := decode(raw); err == nil {
			mended, how, merr := mend(raw)
			again, derr := decode(mended)
			if merr != nil || derr != nil || len(how) > 0 || !cmp.Equal(v, again) {
				t.Errorf("%q was mended to %q: %v, %v, %v", raw, mended, how, merr, derr)
			}
		}
		args, remarks, err := arguments(raw, edit)
		if err != nil {
			return
		}
		if len(remarks) == 0 && strings.TrimSpace(raw) != "" && args != raw {
			t.Errorf("%q became %q without a word", raw, args)
		}
		// What comes out is JSON, fits, and is read the same a second time.
		if !json.Valid([]byte(args)) {
			t.Fatalf("%q became %q", raw, args)
		}
		if again, more, err := arguments(args, edit); err != nil || again != args || len(more) > 0 {
			t.Errorf("%q became %q, then %q, %v, %v", raw, args, again, more, err)
		}
		// What was JSON keeps its strings.
		var in, out struct{ Path string }
		if json.Unmarshal([]byte(raw), &in) == nil && json.Unmarshal([]byte(args), &out) == nil && strings.Contains(raw, `"path"`) && !strings.Contains(raw, "file") && in != out {
			t.Errorf("path %q became %q", in.Path, out.Path)
		}
	})
}
