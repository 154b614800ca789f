package runner

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"unicode"
)

// message is the commit message of a completed feature: a conventional subject,
// the verdict in a sentence, and trailers that lead to the evidence. Text from
// a model passes clean, so that it can be neither a trailer nor a command.
func message(f Feature, st State, v Verdict) string {
	subject := clean(f.Description)
	if r := []rune(subject); len(r) > 60 {
		subject = strings.TrimSpace(string(r[:59])) + "…"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s\n\n", commitType(f.Category), subject)
	for _, g := range v.Gates {
		fmt.Fprintf(&b, "%s: %d passed, %d failed\n", clean(g.Name), g.Counts.Passed, g.Counts.Failed)
	}
	fmt.Fprintf(&b, "\nFeature: %s\nLoop-Session: %d\nLoop-Evidence: evidence/%s on the state branch, transaction %d\n", f.ID, st.Spent.Sessions, f.ID, st.Serial+1)
	return b.String()
}

func commitType(category string) string {
	switch category {
	case "testing":
		return "test"
	case "performance":
		return "perf"
	case "style":
		return "style"
	}
	return "feat"
}

// clean puts a text on one line and takes away what is not to be seen.
func clean(s string) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case !unicode.IsPrint(r):
			return -1
		}
		return r
	}, s)
	return strings.Join(strings.Fields(s), " ")
}

// recall is what is remembered that bears on a feature.
func (s *Session) recall(ctx context.Context, st State, id string) string {
	if s.Memory == nil {
		return ""
	}
	f, _ := st.Feature(id)
	return s.Memory.Recall(ctx, f)
}

// learn gives the files of the memory that a lesson changed.
func (s *Session) learn(ctx context.Context, st State, l Lesson) []File {
	if s.Memory == nil {
		return nil
	}
	l.Session, l.Time = st.Spent.Sessions, s.Now()
	l.Notes = slices.DeleteFunc(slices.Clone(l.Notes), func(n string) bool { return strings.HasPrefix(n, HarnessNote) })
	return s.Memory.Learn(ctx, l)
}
