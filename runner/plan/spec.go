package plan

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// mostSpec is how long a spec may be: what a model can still keep in view.
const mostSpec = 256 << 10

// CheckSpec says what is wrong with a spec that came from source before
// anything is spent on it.
func CheckSpec(source string, data []byte) error {
	err := func() error {
		switch {
		case len(data) > mostSpec:
			return fmt.Errorf("%d KiB is more than %d KiB; keep what is to be built, and link the rest", len(data)>>10, mostSpec>>10)
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
