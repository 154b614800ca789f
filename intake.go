package main

import (
	"bytes"
	"context"
	"path"

	"github.com/autonomous-loop/autonomous-loop/runner/agent"
	"github.com/autonomous-loop/autonomous-loop/runner/repo"
)

// An intake is what a session tells the model of the project, from the base
// branch only: whoever may change that may also change the code.
type intake struct {
	root   string            // the project's own instructions for agents
	nested map[string]string // those of directories
	layout string            // what the repository looks like
}

// instructionFiles are the names of instructions for agents; of those in one
// directory the first counts.
var instructionFiles = []string{"AGENTS.md", "CLAUDE.md", ".github/copilot-instructions.md"}

func takeIn(ctx context.Context, r *repo.Repo) (intake, error) {
	const mostRoot, mostDirs = 32 << 10, 50
	in := intake{nested: map[string]string{}}
	names, err := r.List(ctx)
	if err != nil {
		return in, err
	}
	read := func(name string) ([]byte, error) { return r.Read(ctx, name) }
	for _, file := range instructionFiles {
		for _, name := range names {
			dir := path.Dir(name)
			root := name == file
			if !root && (path.Base(name) != file || dir == "." || len(in.nested) == mostDirs) {
				continue
			}
			data, err := read(name)
			if err != nil {
				continue // a link, which is nobody's to follow here
			}
			text := string(bytes.ToValidUTF8(data[:min(len(data), mostRoot)], nil))
			if root && in.root == "" {
				in.root = text
			} else if !root && in.nested[dir] == "" {
				in.nested[dir] = text
			}
		}
	}
	in.layout = agent.Map(names, read)
	return in, nil
}
