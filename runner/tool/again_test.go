package tool

import (
	"strings"
	"testing"

	"github.com/autonomous-loop/autonomous-loop/runner/agent"
)

// What stands in the conversation is not given twice, unless it is asked for
// again, has changed, or may not stand there any more.
func TestUnchangedReadsAreNotRepeated(t *testing.T) {
	text := strings.Repeat("a line of some length\n", 200)
	b := open(t, map[string]string{"f": text, "short": "x\n"})
	read := func(view int, in args) string {
		t.Helper()
		got, err := b.Use(t.Context(), callOf(t, "read_file", in), agent.Permit{View: view})
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	const line, unchanged = "1\ta line of some length", "[lines 1–200 of 200 are unchanged since you read them"
	has(t, read(1, args{"path": "f"}), line)
	has(t, read(1, args{"path": "./f", "offset": 1}), unchanged) // another spelling of the same
	has(t, read(1, args{"path": "f"}), line)                     // asked once more
	has(t, read(1, args{"path": "f", "offset": 2, "limit": 150}), "2\ta line")
	has(t, read(1, args{"path": "f"}), unchanged)
	put(t, b.o.Dir, map[string]string{"f": text + "more\n"})
	has(t, read(1, args{"path": "f"}), line, "of 201]")
	has(t, read(2, args{"path": "f"}), line, "of 201]") // the conversation was begun anew
	has(t, read(2, args{"path": "short"}), "1\tx")
	has(t, read(2, args{"path": "short"}), "1\tx")
}
