package tool

import (
	"encoding/json"

	"github.com/autonomous-loop/autonomous-loop/runner/agent"
)

// specs are sent with every request, before all else: their order and bytes are
// constant for a release, so that the provider's cache holds. The agent appends
// its own.
var specs = []agent.ToolSpec{
	{
		Name: "read_file", Description: `Read a text file. Lines come numbered as N<TAB>text. Read before you edit.`,
		Parameters: json.RawMessage(`{"type":"object","additionalProperties":false,"required":["path"],"properties":{"path":{"type":"string","description":"relative to the repository root"},"offset":{"type":"integer","minimum":1,"description":"first line, default 1"},"limit":{"type":"integer","minimum":1,"maximum":2000,"description":"lines, default 400"}}}`),
	},
	{
		Name: "find_files", Description: `List files by glob (** allowed), ignored files left out, sorted by path, at most 200.`,
		Parameters: json.RawMessage(`{"type":"object","additionalProperties":false,"required":["glob"],"properties":{"glob":{"type":"string"},"path":{"type":"string","description":"directory to look in, default the root"}}}`),
	},
	{
		Name: "search", Description: `Search file contents with a Go (RE2) regular expression. At most 100 matches.`,
		Parameters: json.RawMessage(`{"type":"object","additionalProperties":false,"required":["pattern"],"properties":{"pattern":{"type":"string"},"path":{"type":"string","description":"file or directory"},"glob":{"type":"string","description":"only these files"},"context":{"type":"integer","minimum":0,"maximum":10},"mode":{"type":"string","enum":["lines","files","count"],"description":"default lines"}}}`),
	},
	{
		Name: "edit_file", Description: `Replace text in a file. Each old must be copied from the file as it is now and occur once (or set all). The edits are applied in order, all or none.`,
		Parameters: json.RawMessage(`{"type":"object","additionalProperties":false,"required":["path","edits"],"properties":{"path":{"type":"string"},"edits":{"type":"array","minItems":1,"maxItems":20,"items":{"type":"object","additionalProperties":false,"required":["old","new"],"properties":{"old":{"type":"string"},"new":{"type":"string"},"all":{"type":"boolean"}}}}}}`),
	},
	{
		Name: "write_file", Description: `Create a file, or replace all of a file that you have read. For small changes use edit_file.`,
		Parameters: json.RawMessage(`{"type":"object","additionalProperties":false,"required":["path","content"],"properties":{"path":{"type":"string"},"content":{"type":"string"}}}`),
	},
	{
		Name: "shell", Description: `Run a bash command in a fresh shell at the repository root. Not interactive, no pager. Long output is cut in the middle and saved whole to a file that is named in the result. Use background for servers.`,
		Parameters: json.RawMessage(`{"type":"object","additionalProperties":false,"required":["command"],"properties":{"command":{"type":"string"},"workdir":{"type":"string"},"timeout_s":{"type":"integer","minimum":1,"maximum":900,"description":"default 120"},"background":{"type":"boolean"}}}`),
	},
	{
		Name: "job", Description: `A background job: read its new output (waiting up to wait_s), write to its input, or stop it.`,
		Parameters: json.RawMessage(`{"type":"object","additionalProperties":false,"required":["id","action"],"properties":{"id":{"type":"string"},"action":{"type":"string","enum":["read","write","stop"]},"input":{"type":"string"},"wait_s":{"type":"integer","minimum":0,"maximum":60}}}`),
	},
	{
		Name: "run_tests", Description: `Run the project's tests as the harness does. Gives the failures only, shortened. scope: changed (tests near changed files), all, or a name filter.`,
		Parameters: json.RawMessage(`{"type":"object","additionalProperties":false,"properties":{"scope":{"type":"string","description":"changed (default), all, or a filter"}}}`),
	},
	{
		Name: "browser", Description: `Drive the headless browser. snapshot gives the page's accessibility tree with [refs]; click/type take a ref.`,
		Parameters: json.RawMessage(`{"type":"object","additionalProperties":false,"required":["action"],"properties":{"action":{"type":"string","enum":["open","snapshot","click","type","press","wait","eval","console","screenshot","close"]},"url":{"type":"string"},"ref":{"type":"string"},"text":{"type":"string"},"key":{"type":"string"},"script":{"type":"string"},"wait_ms":{"type":"integer","minimum":0,"maximum":30000}}}`),
	},
}

// patchSpec takes the place of edit_file. Its parameter has the name that models
// know.
var patchSpec = agent.ToolSpec{
	Name: "apply_patch", Description: `Change files by a patch, all of it or none. *** Begin Patch, then for each file *** Add File: path with +lines, *** Delete File: path, or *** Update File: path (then *** Move to: path to move it) with hunks in file order: @@ and the header of the block it is in, then lines that begin with a blank (stay), - (go) or + (come), three unchanged ones around each change, then *** End Patch. A hunk that fits in several places is refused.`,
	Parameters: json.RawMessage(`{"type":"object","additionalProperties":false,"required":["input"],"properties":{"input":{"type":"string","description":"the whole patch"}}}`),
}
