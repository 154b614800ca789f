package agent

import (
	"encoding/json"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/autonomous-loop/autonomous-loop/runner/pattern"

	"github.com/autonomous-loop/autonomous-loop/runner"
)

// A ledger is what is known of an attempt as facts, whatever becomes of its
// conversation.
type ledger struct {
	brief    runner.Brief
	problems []problem
	solved   []string
	deeds    []string // what changed something, in order
}

// How much the ledger keeps.
const (
	mostFiles     = 5
	mostCommands  = 5
	mostDecisions = 20
	mostTold      = 2 << 10 // bytes of the last run of the tests
	mostSimilar   = 1500    // bytes of what helped against an error like it
)

// patched finds the files of a patch.
var patched = pattern.MustCompile(`(?m)^\*\*\* (?:Add File|Update File|Delete File|Move to): *(.+?)\s*$`)

// entered takes note of a call that was performed.
func (l *ledger) entered(c Call, result string) {
	if strings.HasPrefix(result, Failed) {
		return
	}
	var in struct {
		Path    string `json:"path"`
		Command string `json:"command"`
		Input   string `json:"input"`
		Edits   []struct {
			Old string `json:"old"`
			New string `json:"new"`
		} `json:"edits"`
	}
	_ = json.Unmarshal([]byte(c.Args), &in) // it fits the tool's schema
	switch c.Name {
	case "edit_file":
		deed := []string{"edited " + in.Path}
		for _, e := range in.Edits[:min(len(in.Edits), 2)] {
			deed = append(deed, fmt.Sprintf("%q became %q", oneLine(e.Old, 80), oneLine(e.New, 80)))
		}
		l.deeds = append(l.deeds, strings.Join(deed, ": "))
		l.changed(in.Path, fmt.Sprintf("edited in %d places", len(in.Edits)))
	case "apply_patch":
		for _, m := range patched.FindAllStringSubmatch(in.Input, -1) {
			l.deeds = append(l.deeds, "patched "+m[1])
			l.changed(m[1], "patched")
		}
	case "write_file":
		l.deeds = append(l.deeds, "wrote "+in.Path)
		l.changed(in.Path, "written")
	case "shell":
		if strings.HasPrefix(result, "exit 0") {
			l.deeds = append(l.deeds, "ran "+oneLine(in.Command, 160))
			l.brief.Commands = newest(l.brief.Commands, oneLine(in.Command, 200), mostCommands)
		}
	case "run_tests":
		l.brief.Tests = clip(result, mostTold)
	}
}

// changed remembers a file as the newest that was changed.
func (l *ledger) changed(name, how string) {
	name = path.Clean(name)
	l.brief.Files = slices.DeleteFunc(l.brief.Files, func(s string) bool { return strings.HasPrefix(s, name+": ") })
	l.brief.Files = newest(l.brief.Files, name+": "+how, mostFiles)
}

// newest appends s to all, without what there was of it, and keeps the newest.
func newest(all []string, s string, most int) []string {
	all = append(slices.DeleteFunc(slices.Clone(all), func(o string) bool { return o == s }), s)
	return all[max(0, len(all)-most):]
}

// current is the brief as it stands.
func (l *ledger) current() *runner.Brief {
	b := l.brief
	b.Errors = slices.Concat(b.Errors, l.patterns()) // those before are of an earlier session
	return b.Bounded()
}
