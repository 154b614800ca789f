// Package forge is where people see the loop and where the next session is
// asked for: [Hub] on GitHub, [Folder] on a laptop, in files beside the remote.
// Both are a runner.Forge.
//
// It promises that doing a thing again changes nothing: there is at most one
// open pull request, one comment of the loop, one artifact of a name and one
// dispatch of a transaction, however often a session dies on the way. It looks
// before it creates, and when the answer to a creation is lost it looks again
// before it repeats. Only what carries the loop's marker and was written by the
// loop's own account is ever changed; a pull request that a person closed stays
// closed.
//
// It does not render: what it shows is handed to it, and whoever renders takes
// out secrets and defuses what a model wrote. It judges nothing and knows no
// clock of its own. A Hub or Folder serves one goroutine, and one more that asks
// only whether a person has stopped the loop.
//
// Package internal/fakegithub stands in for GitHub in tests.
package forge

import (
	"cmp"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/autonomous-loop/autonomous-loop/runner"
)

var (
	_ runner.Forge = (*Hub)(nil)
	_ runner.Forge = (*Folder)(nil)
)

// The files of a report that a forge shows.
const (
	pullFile    = "pull-request.md" // its first line is the title
	commentFile = "comment.md"
	summaryFile = "summary.md"
)

// The keys of receipts.
const (
	KeyPull    = "pull-request"        // its URL
	KeyClosed  = "pull-request:closed" // URL of the pull request that a person closed
	KeyComment = "comment"             // its URL
	KeyLabel   = "label"               // the number of the issue or pull request that has NeedsPerson, or runner.NoLabel
)

// A PullRequest says what kind of pull request the loop opens.
type PullRequest string

// The kinds of pull requests.
const (
	Draft PullRequest = "draft"
	Ready PullRequest = "ready"
	None  PullRequest = "none"
)

// shows is the text of a report's file, "" if the report has none.
func shows(r runner.Report, name string) string {
	i := slices.IndexFunc(r.Files, func(f runner.File) bool { return f.Name == name })
	if i < 0 {
		return ""
	}
	return string(r.Files[i].Data)
}

// title splits the pull request's text into its title and the rest.
func title(text string) (title, body string) {
	title, body, _ = strings.Cut(strings.TrimSpace(text), "\n")
	title = strings.TrimSpace(strings.TrimLeft(title, "#"))
	const most = 256 // GitHub refuses more
	if r := []rune(title); len(r) > most {
		title = string(r[:most-1]) + "…"
	}
	return title, strings.TrimSpace(body)
}

// opened says whether there is verified code for a pull request to show.
func opened(st runner.State) bool {
	return st.Work != "" && st.Work != st.Base.Commit
}

// checkName says why an artifact cannot be called name.
func checkName(name string) error {
	if name == "" || name == "." || name == ".." || len(name) > 200 || strings.ContainsAny(name, "\":<>|*?\r\n\\/") {
		return fmt.Errorf("%q cannot be an artifact's name", name)
	}
	return nil
}

// checkFiles says why files cannot be an artifact, and returns them in the
// order of their names.
func checkFiles(files []runner.File) ([]runner.File, error) {
	files = slices.SortedFunc(slices.Values(files), func(a, b runner.File) int { return cmp.Compare(a.Name, b.Name) })
	for i, f := range files {
		if !local(f.Name) {
			return nil, fmt.Errorf("%q cannot be a file's name", f.Name)
		}
		if i > 0 && f.Name == files[i-1].Name {
			return nil, fmt.Errorf("two files are called %q", f.Name)
		}
	}
	return files, nil
}

// local says whether name stays inside the directory that it is put into.
func local(name string) bool {
	return filepath.IsLocal(filepath.FromSlash(name)) && !strings.ContainsAny(name, "\\\x00") && filepath.ToSlash(filepath.Clean(name)) == name
}
