package tool

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/autonomous-loop/autonomous-loop/runner/agent"
)

type patchArgs struct {
	Input string `json:"input"`
}

// A change is what becomes of one file.
type change struct {
	s        spot
	was, now *string // nil: there is none
	mode     fs.FileMode
	known    bool // the model has read it, as it is
	told     string
}

// applyPatch changes several files, all of them or none.
func (b *Box) applyPatch(p agent.Permit, text, dir string) (string, error) {
	sections, err := parsePatch(text)
	if err != nil {
		return "", fmt.Errorf("nothing was changed: %w", err)
	}
	changes, err := b.drawUp(p, sections, dir)
	if err != nil {
		return "", fmt.Errorf("nothing was changed: %w", err)
	}
	if err := b.carryOut(changes); err != nil {
		return "", fmt.Errorf("nothing was changed: %w", err)
	}
	const most = 8 << 10
	var out strings.Builder
	for _, c := range changes {
		line, shown, _ := strings.Cut(c.told, "\n")
		out.WriteString(line + "\n")
		if shown != "" && out.Len()+len(shown) < most {
			out.WriteString(shown + "\n")
		}
	}
	return strings.TrimSuffix(out.String(), "\n"), nil
}

// drawUp says what a patch comes to, file by file, and changes nothing.
func (b *Box) drawUp(p agent.Permit, sections []section, dir string) (changes []*change, err error) {
	byName := map[string]*change{}
	look := func(name string) (*change, error) {
		if !path.IsAbs(name) {
			name = path.Join(dir, name)
		}
		s, err := b.spot(name)
		if err != nil {
			return nil, err
		}
		if c, ok := byName[s.name]; ok {
			return c, nil
		}
		c := &change{s: s, mode: newFile}
		exists, err := b.target(s, p)
		if err != nil {
			return nil, err
		}
		if exists {
			text, mode, err := b.read(s)
			if err := errors.Join(err, utf8Only(s.name, text)); err != nil {
				return nil, err
			}
			c.was, c.now, c.mode, c.known = &text, &text, mode, b.fresh(s.name, text) == nil
		}
		byName[s.name] = c
		changes = append(changes, c)
		return c, nil
	}
	for _, s := range sections {
		c, err := look(s.path)
		if err != nil {
			return nil, err
		}
		if err := c.make(s); err != nil {
			return nil, err
		}
		if s.move == "" {
			continue
		}
		to, err := look(s.move)
		switch {
		case err != nil:
			return nil, err
		case to.now != nil:
			return nil, fmt.Errorf("%s cannot be moved to %s, which exists", c.s.name, to.s.name)
		}
		to.now, to.mode, to.known, c.now = c.now, c.mode, c.known, nil
		to.told, c.told = strings.Replace(c.told, "updated "+c.s.name, "moved "+c.s.name+" to "+to.s.name, 1), "removed "+c.s.name
	}
	for _, c := range changes {
		if c.now == nil {
			continue
		}
		if err := writable(*c.now); err != nil {
			return nil, fmt.Errorf("%s: %w", c.s.name, err)
		}
	}
	return changes, nil
}

// make is what a section makes of its file.
func (c *change) make(s section) error {
	name := c.s.name
	switch {
	case s.verb == "add" && c.now != nil:
		return fmt.Errorf("%s exists; change it with *** Update File", name)
	case s.verb == "add":
		c.now, c.known = &s.text, true
		c.told = fmt.Sprintf("added %s: %d lines", name, strings.Count(s.text, "\n"))
		return nil
	case c.now == nil:
		return fmt.Errorf("%s does not exist", name)
	case s.verb == "delete":
		c.now, c.told = nil, "deleted "+name
		return nil
	}
	c.told = "updated " + name
	if len(s.hunks) == 0 {
		return nil
	}
	text, done, err := patch(*c.now, s.hunks)
	if err != nil {
		return fmt.Errorf("%s, %w", name, err)
	}
	c.now, c.told = &text, c.told+"\n"+done.tell(text)
	return nil
}

// carryOut makes all changes or none: every new text is written beside its file
// before the first takes its place, and what was done is undone when one cannot.
func (b *Box) carryOut(changes []*change) (err error) {
	var undo []func() error
	defer func() {
		if err != nil {
			for _, back := range slices.Backward(undo) {
				err = errors.Join(err, back())
			}
		}
	}()
	staged := make([]string, len(changes))
	for i, c := range changes {
		if c.now == nil {
			continue
		}
		for dir := range prefixes(path.Dir(c.s.name)) {
			if _, err := b.tree.Lstat(dir); errors.Is(err, fs.ErrNotExist) {
				undo = append(undo, func() error { _ = b.tree.Remove(dir); return nil }) // unless a job has put something there
			}
		}
		tmp, err := b.stage(c.s, *c.now, c.mode)
		if err != nil {
			return err
		}
		staged[i] = tmp
		undo = append(undo, func() error {
			if err := b.tree.Remove(tmp); !errors.Is(err, fs.ErrNotExist) {
				return err
			}
			return nil // it took its place
		})
	}
	for i, c := range changes {
		switch {
		case c.now != nil:
			err = b.tree.Rename(staged[i], c.s.name)
		case c.was != nil:
			err = b.tree.Remove(c.s.name)
		}
		if err != nil {
			return fmt.Errorf("write %s: %w", c.s.name, err)
		}
		undo = append(undo, func() error {
			switch {
			case c.was != nil:
				return b.put(c.s, *c.was, c.mode)
			case c.now != nil:
				return b.tree.Remove(c.s.name)
			}
			return nil
		})
	}
	for _, c := range changes {
		switch {
		case c.now == nil:
			b.forget(c.s.name)
		case c.known: // what it has only seen in parts it still has to read to replace it
			b.know(c.s.name, *c.now)
		}
	}
	return nil
}

// heredoc is how a model gives a patch to a program that it takes to be there.
var (
	heredoc  = regexp.MustCompile(`(?s)^\s*(?:cd\s+([^\s;&|'"$]+)\s*(?:&&|;|\n)\s*)?apply_?patch\s*<<-?\s*(['"]?)(\w+)(['"]?)[ \t]*\n(.*)\n[ \t]*(\w+)\s*$`)
	patching = regexp.MustCompile(`^\s*(?:cd\s+\S+\s*(?:&&|;|\n)\s*)?apply_?patch\b|\|\s*apply_?patch\b`)
)

// patchIn is the patch that a command would apply, and in which directory. There
// is no such program: the tool does it, if that is all the command does.
func patchIn(command string) (dir, text string, is bool, err error) {
	if !patching.MatchString(command) || !strings.Contains(command, patchBegin) {
		return "", "", false, nil
	}
	m := heredoc.FindStringSubmatch(command)
	switch {
	case m == nil || m[3] != m[6] || m[2] != m[4] || !strings.HasSuffix(strings.TrimSpace(m[5]), patchEnd):
		return "", "", true, errors.New("nothing was run: a patch must be all of the command: apply_patch <<'EOF', the patch, EOF")
	case m[2] == "" && strings.ContainsAny(m[5], "$`\\"):
		return "", "", true, errors.New("nothing was run: without quotes around EOF the shell would change $, ` and \\ in the patch; write apply_patch <<'EOF'")
	}
	return m[1], m[5], true, nil
}
