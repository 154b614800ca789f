package tool

import (
	"context"
	"strings"

	"github.com/autonomous-loop/autonomous-loop/runner/sandbox"
)

// ripgrep asks rg which files of the whole tree hold a word that a match needs.
// It says no more than that: the matches are found by the same code as without
// it, so that the results are the same, whichever syntax and whichever notion of
// a letter it has. It runs in the sandbox, as the user of the model's commands.
// ok is false where it cannot be asked, or did not say all.
func (h *hunt) ripgrep(ctx context.Context) (names []string, ok bool) {
	o := h.b.o
	dir := strings.Trim(h.in.Path, " ./")
	if o.Ripgrep == "" || o.Shell == nil || dir != "" || strings.Contains(h.in.Path, "..") || len(h.need.words) == 0 {
		return nil, false
	}
	if _, err := h.b.tree.Lstat(".rgignore"); err == nil {
		return nil, false // rg heeds it, whatever it is told, short of ignoring .gitignore too
	}
	argv := []string{
		o.Ripgrep, "--no-config", "--files-with-matches", "--fixed-strings", "--text", "--encoding", "none", "--color", "never",
		// What is left out is what a walk of ours leaves out: the rules of
		// .gitignore and no others, whatever this machine has besides.
		"--hidden", "--no-require-git", "--no-ignore-dot", "--no-ignore-exclude", "--no-ignore-global", "--no-ignore-parent",
		"--max-filesize", "2M", "--glob", "!.git", "--glob", "!node_modules/",
	}
	if h.need.fold {
		argv = append(argv, "--ignore-case")
	}
	for _, w := range h.need.words {
		if !shows(w) {
			return nil, false
		}
		argv = append(argv, "--regexp", w)
	}
	const most = 16 << 20
	out, err := o.Shell.Run(ctx, sandbox.Command{Argv: append(argv, "."), Dir: o.Dir, Timeout: mostSearch, Head: most, Tail: 1 << 10})
	if err != nil || out.TimedOut || out.Cancelled || out.Signal != "" || out.Code > 1 || out.Bytes > most {
		return nil, false
	}
	for l := range strings.Lines(out.Text) {
		name := strings.TrimPrefix(strings.TrimSuffix(l, "\n"), "./")
		if name != "" && shows(name) {
			names = append(names, name)
		}
	}
	return names, true
}
