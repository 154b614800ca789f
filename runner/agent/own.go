package agent

import (
	"encoding/json"
	"fmt"

	"github.com/autonomous-loop/autonomous-loop/runner"
)

// The agent's own tools: they end the phase or speak to whoever goes on.
const (
	noteTool   = "note"
	verifyTool = "request_verification"
	giveUpTool = "cannot_complete"
)

// ownSpecs follow the toolbox's. Their bytes are constant for a release: they
// stand at the start of every request, where the provider caches it.
var ownSpecs = []ToolSpec{
	{
		noteTool, `Write down a finding, decision or dead end that whoever goes on after you needs. Short.`,
		json.RawMessage(`{"type":"object","additionalProperties":false,"required":["text"],"properties":{"text":{"type":"string","maxLength":600}}}`),
	},
	{
		verifyTool, `End this phase: the harness now runs its own checks. If they fail you get the failures and go on.`,
		json.RawMessage(`{"type":"object","additionalProperties":false,"required":["summary"],"properties":{"summary":{"type":"string","maxLength":800}}}`),
	},
	{
		giveUpTool, `Stop honestly. kind: conflict (the spec and the checks cannot both hold), blocked (something is missing that only a person can give), too_big (the feature should be split). Say in reason what you tried and what is missing.`,
		json.RawMessage(`{"type":"object","additionalProperties":false,"required":["kind","reason"],"properties":{"kind":{"type":"string","enum":["conflict","blocked","too_big"]},"reason":{"type":"string","maxLength":800}}}`),
	},
}

// mostNotes is how many notes a phase may leave. They are read by every later
// attempt.
const mostNotes = 20

// own performs one of the agent's own calls. over says that it ends the phase.
func (p *phase) own(c Call) (result string, over bool) {
	var in struct{ Text, Summary, Kind, Reason string }
	if err := json.Unmarshal([]byte(c.Args), &in); err != nil { // unreachable unless the schema above lost a type
		return fmt.Sprintf(Failed+"read the arguments: %v", err), false
	}
	switch c.Name {
	case noteTool:
		if len(p.claim.Notes) == mostNotes {
			return fmt.Sprintf(Failed+"%d notes are enough for one phase", mostNotes), false
		}
		p.claim.Notes = append(p.claim.Notes, in.Text)
		return "noted", false
	case verifyTool:
		return "the harness now verifies; its verdict follows", true
	default:
		p.claim.GaveUp, p.claim.Why = runner.GiveUp(in.Kind), in.Reason
		return "the feature is set aside", true
	}
}

func isOwn(name string) bool {
	return name == noteTool || name == verifyTool || name == giveUpTool
}

// shared says whether calls of a tool may run at once. All other tools may
// change what their neighbours see.
func shared(name string) bool {
	return name == "read_file" || name == "find_files" || name == "search"
}
