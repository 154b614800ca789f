package runner

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"
)

// An attic has something to rescue.
type attic struct{ Repo }

func (attic) Rescue(context.Context) ([]File, error) {
	return []File{{Name: "loop.bundle"}, {Name: "RESCUE.md"}}, nil
}

// A depot takes uploads, or has none.
type depot struct {
	Forge
	down  error
	names []string
}

func (s *depot) Upload(_ context.Context, name string, _ []File) (string, error) {
	s.names = append(s.names, name)
	return "artifact 7", s.down
}

func TestUnsavedIsKept(t *testing.T) {
	away := errors.New("save transaction 7: the remote is away")
	for name, tt := range map[string]struct {
		err, down error
		uploads   int
		want      string
		files     int
	}{
		"the remote is away":             {away, nil, 1, "is kept in artifact 7", 0},
		"so is the artifact service":     {away, errors.New("storage is away"), 1, "nor could it be uploaded: storage is away", 2},
		"another session has overtaken":  {&MovedError{}, nil, 0, "moved from", 0},
		"it was refused for its content": {&RefusedError{Err: errors.New("push protection")}, nil, 0, "push protection", 0},
	} {
		t.Run(name, func(t *testing.T) {
			by := &depot{down: tt.down}
			s := &Session{Repo: attic{}, Forge: by, Now: time.Now, Owner: Owner{Run: "5", Attempt: 1}}
			res, err := s.unsaved(t.Context(), State{Loop: "main", Serial: 6, Status: AwaitingSuccessor}, tt.err)
			if !errors.Is(err, tt.err) || !strings.Contains(err.Error(), tt.want) || len(by.names) != tt.uploads {
				t.Errorf("%v, uploads %q", err, by.names)
			}
			if res.Decision != Wait || res.HandoffReason == nil || *res.HandoffReason != Paused {
				t.Errorf("%+v", res)
			}
			if e, ok := errors.AsType[*UnsavedError](err); ok != (tt.files > 0) || ok && len(e.Files) != tt.files {
				t.Errorf("%+v", e)
			}
		})
	}
}
