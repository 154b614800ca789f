package tool

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/autonomous-loop/autonomous-loop/runner/agent"
)

// mostWritten is how much write_file takes at once.
const mostWritten = 1 << 20

type writeArgs struct {
	Path    string `json:"path"`
	Content string `json:"content"`
}

func (b *Box) writeFile(p agent.Permit, in writeArgs) (string, error) {
	s, err := b.spot(in.Path)
	if err != nil {
		return "", err
	}
	if err := writable(in.Content); err != nil {
		return "", err
	}
	exists, err := b.target(s, p)
	if err != nil {
		return "", err
	}
	mode, what := newFile, "created"
	if exists {
		old, m, err := b.read(s)
		if err != nil {
			return "", err
		}
		if err := b.fresh(s.name, old); err != nil && old != "" {
			return "", err
		}
		if old == in.Content {
			return s.name + " holds exactly this already", nil
		}
		mode, what = m, "replaced"
	}
	if err := b.put(s, in.Content, mode); err != nil {
		return "", err
	}
	return fmt.Sprintf("%s %s: %d lines, %s", what, s.name, len(linesOf(in.Content)), bytesOf(int64(len(in.Content)))), nil
}

// newFile is the mode of a file that was not there.
const newFile fs.FileMode = 0o644

func writable(content string) error {
	switch {
	case len(content) > mostWritten:
		return fmt.Errorf("%s is too much for one file, at most %s", bytesOf(int64(len(content))), bytesOf(mostWritten))
	case strings.IndexByte(content, 0) >= 0:
		return errors.New("the content holds a NUL byte: only text is written; make binary files with the shell")
	}
	return utf8Only("the content", content)
}

type editArgs struct {
	Path  string `json:"path"`
	Edits []edit `json:"edits"`
}

// mostMisses is how many edits of a file may miss in a row before the model is
// told to replace the file.
const mostMisses = 3

func (b *Box) editFile(p agent.Permit, in editArgs) (string, error) {
	s, err := b.spot(in.Path)
	if err != nil {
		return "", err
	}
	exists, err := b.target(s, p)
	if err == nil && !exists {
		err = fmt.Errorf("%s does not exist; make new files with write_file", s.name)
	}
	if err != nil {
		return "", err
	}
	old, mode, err := b.read(s)
	if err != nil {
		return "", err
	}
	if err := errors.Join(b.fresh(s.name, old), utf8Only(s.name, old)); err != nil {
		return "", err
	}
	content, done, err := apply(old, in.Edits)
	if err == nil {
		err = writable(content)
	}
	if err != nil {
		return "", b.missed(s.name, err)
	}
	if err := b.put(s, content, mode); err != nil {
		return "", err
	}
	return "edited " + s.name + "\n" + done.tell(content), nil
}

func (b *Box) missed(name string, err error) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.miss[name]++
	text := fmt.Sprintf("%s was not changed: %v", name, err)
	if b.miss[name] >= mostMisses {
		text += fmt.Sprintf("\nThat was miss number %d in %s. Read the region again and replace it with a larger or smaller part copied exactly, or give the whole file to write_file.", b.miss[name], name)
	}
	return errors.New(text)
}
