package plan

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/autonomous-loop/autonomous-loop/runner"
	"github.com/autonomous-loop/autonomous-loop/runner/pattern"
)

const (
	mostSpec  = 256 << 10 // bytes of a spec: what a model can still keep in view
	mostFiles = 100       // of a spec that is a directory
	mostList  = 4 << 20   // bytes of a feature list
)

// A Source is a spec as it was written: one text, or several files.
type Source struct {
	Name  string        // where it came from, for people: a path, issue:N, text
	Files []runner.File // in the order of their names; one that is called as the source is the whole
}

// Text is a spec that is one text.
func Text(name string, data []byte) Source {
	return Source{name, []runner.File{{Name: name, Data: data}}}
}

// Issue is a spec that is an issue.
func Issue(number int, title, body string) Source {
	name := fmt.Sprintf("issue:%d", number)
	return Text(name, []byte("# "+title+"\n\n"+body))
}

// Read reads a spec from a file, or from the Markdown files of a directory and
// those below it. A link is refused, because it may lead anywhere, and so is
// what is too large to be read.
func Read(from fs.FS, name string) (Source, error) {
	name = path.Clean(name)
	info, err := fs.Stat(from, name)
	switch {
	case err != nil:
		return Source{Name: name}, err
	case info.IsDir():
		return readDir(from, name)
	case !info.Mode().IsRegular():
		return Source{Name: name}, fmt.Errorf("%s is no file with text; name the file that holds what is to be built", name)
	}
	data, err := readFile(from, name, info.Size(), mostSpec)
	return Text(name, data), err
}

// ReadList reads a feature list of a person's own.
func ReadList(from fs.FS, name string) ([]byte, error) {
	name = path.Clean(name)
	info, err := fs.Stat(from, name)
	switch {
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("%s is no file; name the one that holds the feature list", name)
	}
	return readFile(from, name, info.Size(), mostList)
}

func readFile(from fs.FS, name string, size, most int64) ([]byte, error) {
	if size > most {
		return nil, fmt.Errorf("%s: %w", name, tooLarge(size, most))
	}
	return fs.ReadFile(from, name)
}

func tooLarge(size, most int64) error {
	return fmt.Errorf("%d KiB is more than %d KiB; keep what is to be built, and link the rest", size>>10, most>>10)
}

func readDir(from fs.FS, dir string) (Source, error) {
	s := Source{Name: dir}
	var total int64
	err := fs.WalkDir(from, dir, func(name string, d fs.DirEntry, err error) error {
		hidden := strings.HasPrefix(d.Name(), ".") && name != dir
		switch {
		case err != nil:
			return err
		case hidden && d.IsDir():
			return fs.SkipDir
		case hidden || d.IsDir() || !isMarkdown(name):
			return nil
		case !d.Type().IsRegular():
			return fmt.Errorf("%s is a link, which may lead anywhere; put the text itself there", name)
		case len(s.Files) == mostFiles:
			return fmt.Errorf("%s holds more than %d Markdown files; keep what is to be built", dir, mostFiles)
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		if total += info.Size(); total > mostSpec {
			return fmt.Errorf("%s: %w", dir, tooLarge(total, mostSpec))
		}
		data, err := fs.ReadFile(from, name)
		s.Files = append(s.Files, runner.File{Name: name, Data: data})
		return err
	})
	if err == nil && len(s.Files) == 0 {
		err = fmt.Errorf("%s holds no Markdown file (.md, .markdown); write what is to be built into one", dir)
	}
	slices.SortFunc(s.Files, func(a, b runner.File) int { return cmp.Compare(a.Name, b.Name) })
	return s, err
}

func isMarkdown(name string) bool {
	ext := strings.ToLower(path.Ext(name))
	return ext == ".md" || ext == ".markdown"
}

// whole says whether the source is one text.
func (s Source) whole() bool { return len(s.Files) == 1 && s.Files[0].Name == s.Name }

// Hash is the sha256 of the source in hex: of the one text, or of a list of
// files as sha256sum would print it.
func (s Source) Hash() string {
	if s.whole() {
		return runner.Hash(s.Files[0].Data)
	}
	var sums strings.Builder
	for _, f := range s.Files {
		fmt.Fprintf(&sums, "%s  %s\n", runner.Hash(f.Data), f.Name)
	}
	return runner.Hash([]byte(sums.String()))
}

// Words is a hash of the words of the source, whatever the blanks and line breaks
// between them; of a block of code, in which these may be what is meant, it is
// of the block as it stands. An edit that changes neither asks for nothing else.
func (s Source) Words() string {
	h := sha256.New()
	for _, f := range s.Files {
		fmt.Fprintf(h, "file %q\n", f.Name)
		fence := ""
		for line := range strings.Lines(strings.TrimPrefix(string(f.Data), "\ufeff")) {
			line = strings.TrimRight(line, "\r\n")
			mark := fenced.FindString(line)
			switch {
			case fence == "" && mark != "":
				fence = strings.TrimSpace(mark)
			case fence != "" && mark != "" && strings.HasPrefix(strings.TrimSpace(mark), fence) && strings.TrimSpace(line) == strings.TrimSpace(mark):
				fence = ""
			case fence != "":
				fmt.Fprintf(h, "%q\n", line)
				continue
			}
			for word := range strings.FieldsSeq(line) {
				fmt.Fprintf(h, "%s ", word)
			}
		}
	}
	return hex.EncodeToString(h.Sum(nil))
}

// fenced is what begins or ends a block of code.
var fenced = pattern.MustCompile("^ {0,3}(`{3,}|~{3,})")

// Text is the source as it is read: several files each under its name, and of
// an issue that a form was filled in for the questions with their answers.
func (s Source) Text() []byte {
	if s.whole() {
		data := bytes.TrimPrefix(s.Files[0].Data, []byte("\ufeff"))
		if strings.HasPrefix(s.Name, "issue:") {
			return []byte(answered(string(data)))
		}
		return data
	}
	var b strings.Builder
	for _, f := range s.Files {
		fmt.Fprintf(&b, "# The file %s\n\n%s\n", f.Name, quote(strings.TrimPrefix(string(f.Data), "\ufeff")))
	}
	return []byte(b.String())
}

// Check says what is wrong with the source before anything is spent on it.
func (s Source) Check() error {
	var errs []error
	if !s.whole() {
		for _, f := range s.Files {
			if err := CheckSpec(f.Name, f.Data); err != nil && len(bytes.TrimSpace(f.Data)) > 0 { // one may be empty, not all
				errs = append(errs, err)
			}
		}
		if len(errs) > 0 {
			return errors.Join(errs...)
		}
		if !slices.ContainsFunc(s.Files, func(f runner.File) bool { return len(bytes.TrimSpace(f.Data)) > 0 }) {
			return CheckSpec(s.Name, nil)
		}
		return CheckSpec(s.Name, s.Text())
	}
	return CheckSpec(s.Name, s.Files[0].Data)
}

// CheckSpec says what is wrong with a spec that came from source before
// anything is spent on it.
func CheckSpec(source string, data []byte) error {
	err := func() error {
		switch {
		case len(data) > mostSpec:
			return tooLarge(int64(len(data)), mostSpec)
		case bytes.IndexByte(data, 0) >= 0 || !utf8.Valid(data):
			return errors.New("not UTF-8 text; save it as plain text or Markdown")
		case len(bytes.TrimSpace(bytes.TrimPrefix(data, []byte("\ufeff")))) == 0:
			return errors.New("empty; write down what is to be built, for whom, and how one can tell that it works")
		}
		return nil
	}()
	if err != nil {
		return fmt.Errorf("spec %s: %w", source, err)
	}
	return nil
}

// checkList says what is wrong with a feature list before it is read.
func checkList(data []byte) error {
	switch {
	case len(data) > mostList:
		return fmt.Errorf("%d KiB is more than %d KiB; at most %d features are taken", len(data)>>10, mostList>>10, mostRows)
	case bytes.IndexByte(data, 0) >= 0 || !utf8.Valid(data):
		return errors.New("not UTF-8 text; save it as JSON")
	case len(bytes.TrimSpace(bytes.TrimPrefix(data, []byte("\ufeff")))) == 0:
		return errors.New("empty; write a JSON array of features into it, or leave the input features out and have it drawn up")
	}
	return nil
}

// quote wraps text from outside in a fence that is longer than any inside, so
// that nothing in it can pretend to be outside.
func quote(text string) string {
	longest, run := 2, 0
	for _, r := range text {
		if r != '`' {
			run = 0
			continue
		}
		run++
		longest = max(longest, run)
	}
	fence := strings.Repeat("`", longest+1)
	return fence + "\n" + strings.TrimSuffix(text, "\n") + "\n" + fence + "\n"
}
