package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"
)

var firstImplement = regexp.MustCompile(`(?m)^-- greet-001/1/implement/(\d+) `)

// long-script N: before the model of the script implements its first feature it
// thinks aloud for N turns, looking for something each time, which fills a small
// window again and again.
func (h *hub) longScript(ts *testscript.TestScript, args []string) {
	n, err := strconv.Atoi(args[0])
	ts.Check(err)
	script := firstImplement.ReplaceAllStringFunc(ts.ReadFile(strings.TrimPrefix(ts.Getenv("INPUT_MODEL"), "script:")), func(entry string) string {
		turn, _ := strconv.Atoi(firstImplement.FindStringSubmatch(entry)[1])
		return fmt.Sprintf("-- greet-001/1/implement/%d ", turn+n)
	})
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "-- greet-001/1/implement/%d say --\n%s\n-- greet-001/1/implement/%[1]d search greeting%[1]d --\n", i+1, strings.Repeat("The page gets the query and puts the name into it. ", 28))
	}
	b.WriteString("-- compact/greet-001/1 say --\n# Decisions\n- The name is cleaned, because it goes into a page.\n# Open problems\n- none\n# State\nThe tests are written; page.js comes next.\n")
	file := filepath.Join(h.work, "long.txtar")
	ts.Check(os.WriteFile(file, []byte(script+b.String()), 0o600))
	ts.Setenv("INPUT_MODEL", "script:"+file)
}

// begun-anew TIMES: in the transcript of the first artifact the conversation
// was begun anew at least so often, each time with the model's summary.
func (h *hub) begunAnew(ts *testscript.TestScript, args []string) {
	times, err := strconv.Atoi(args[0])
	ts.Check(err)
	file := filepath.Join(h.work, "transcript.zip")
	ts.Check(os.WriteFile(file, h.Artifacts()[0].Data, 0o600))
	out, err := exec.Command("unzip", "-p", file, "transcript.jsonl").Output() // #nosec G204 -- a file of the test's own
	ts.Check(err)
	asked, begun := strings.Count(string(out), `"[loop] compact feature=`), len(againLine.FindAll(out, -1))
	if asked < times || begun != asked {
		ts.Fatalf("asked for %d summaries and begun anew %d times, want at least %d", asked, begun, times)
	}
}

var againLine = regexp.MustCompile(`"\[loop\] feature=\S+ attempt=\d+ phase=\w+ round=\d+ turn=\d+\\n`)
