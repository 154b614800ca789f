package runner

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
)

// HandoffFile is the name of the package that one session leaves for the next,
// on the state branch and in the artifact.
const HandoffFile = "handoff.json"

// HandoffSchema is the version of a [Handoff].
const HandoffSchema = 1

// A Handoff is what one session leaves for the next, for people and for tools.
// The loop itself goes on from state.json alone: a handoff that does not fit
// costs a line, and can raise no verdict.
type Handoff struct {
	SchemaVersion     int            `json:"schema_version"`
	ID                string         `json:"id"`
	Type              HandoffType    `json:"type"`
	Reason            Reason         `json:"reason"`
	SourceAgent       string         `json:"source_agent"`
	TargetAgent       string         `json:"target_agent"`
	Timestamp         string         `json:"timestamp"`
	State             HandoffState   `json:"state"`
	Context           HandoffContext `json:"context"`
	Summary           string         `json:"summary"`
	FeatureListSHA256 string         `json:"feature_list_sha256"`
	BudgetSpent       HandoffBudget  `json:"budget_spent"`
	Branch            string         `json:"branch"`
	RunID             string         `json:"run_id"`
	RunAttempt        int            `json:"run_attempt"`
	Integrity         HandoffTag     `json:"integrity"`
}

// A HandoffType is the kind of a handoff.
type HandoffType string

// The types of handoffs. Of those that the format knows as well, agent and
// parallel, there is none yet.
const (
	SessionHandoff  HandoffType = "session"  // the next session goes on where this one ended
	RecoveryHandoff HandoffType = "recovery" // it has to begin from what the branch holds
)

// A HandoffState says how far the features are.
type HandoffState struct {
	CurrentFeature    *string  `json:"current_feature"`
	CompletedFeatures []string `json:"completed_features"`
	Blockers          []string `json:"blockers"`
	NextSteps         []string `json:"next_steps"`
}

// A HandoffContext says what the session worked on.
type HandoffContext struct {
	RecentFiles   []string `json:"recent_files"`
	GitHash       string   `json:"git_hash"` // the code commit
	SessionNumber int      `json:"session_number"`
}

// A HandoffBudget is what the loop has spent.
type HandoffBudget struct {
	Tokens  int64   `json:"tokens"`
	Dollars float64 `json:"dollars"`
	Minutes float64 `json:"minutes"`
}

// A HandoffTag binds a handoff to its place in the chain of transactions. The
// state of that transaction names the hash of the whole file, and the chain
// holds the state.
type HandoffTag struct {
	Lineage string `json:"lineage"`
	Serial  int    `json:"serial"`      // of the transaction that it was saved with
	Prev    string `json:"prev_sha256"` // of the state before that
	SHA256  string `json:"sha256"`      // of the handoff as compact JSON, with "" in this place
}

// Sealed is the handoff with its hash.
func (h Handoff) Sealed() (Handoff, error) {
	h.Integrity.SHA256 = ""
	data, err := json.Marshal(h)
	h.Integrity.SHA256 = Hash(data)
	return h, err
}

// A misfit says why a handoff is not the one that a state was left with.
type misfit string

func (m misfit) Error() string { return string(m) }

// handedOver holds a handoff against the state and the list that were found with
// it. The next session's number is one more than the handoff's.
func (st State) handedOver(data, list []byte) (Handoff, error) {
	var h Handoff
	if len(data) == 0 {
		return h, misfit("there is no handoff")
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&h); err != nil {
		return h, misfit(fmt.Sprintf("the handoff cannot be read: %v", err))
	}
	sealed, err := h.Sealed()
	if err != nil {
		return h, err
	}
	switch {
	case h.SchemaVersion != HandoffSchema:
		return h, misfit(fmt.Sprintf("the handoff has schema %d", h.SchemaVersion))
	case h.Integrity.SHA256 != sealed.Integrity.SHA256:
		return h, misfit("the handoff was changed after it was written")
	case h.Integrity.Lineage != st.Lineage:
		return h, misfit("the handoff belongs to loop " + legible(h.Integrity.Lineage, 40))
	case Hash(data) != st.Handoff:
		return h, misfit("the handoff is not the one that the state names")
	case h.Integrity.Serial > st.Serial:
		return h, misfit(fmt.Sprintf("the handoff is of transaction %d, which is still to come", h.Integrity.Serial))
	case h.Context.SessionNumber != st.Spent.Sessions:
		return h, misfit(fmt.Sprintf("the handoff is of session %d, the last one was %d", h.Context.SessionNumber, st.Spent.Sessions))
	case h.Context.GitHash != st.Code:
		return h, misfit("the handoff speaks of another commit than the state")
	case h.FeatureListSHA256 != Hash(list):
		return h, misfit("the handoff speaks of another feature list")
	}
	return h, nil
}

// takeOver says how the session before handed over. What does not fit costs this
// line: the session goes on from what the state branch holds in any case.
func (s *Session) takeOver(ctx context.Context, found Found, st State) {
	if st.Spent.Sessions == 0 {
		return
	}
	if st.Status == Running {
		s.notify(st, Event{Step: "handoff", Text: fmt.Sprintf("%s: session %d left no handoff; going on from transaction %d of the state branch", RecoveryHandoff, st.Spent.Sessions, st.Serial)})
		return
	}
	h, err := st.handedOver(found.Handoff, found.List)
	if st.Handoff == "" && err != nil {
		return // it was left by a version that named none
	}
	whence := ""
	if err != nil && Hash(found.Handoff) != st.Handoff && s.Artifact != nil {
		data, lost := s.uploaded(ctx, st)
		again, misfit := st.handedOver(data, found.List)
		switch {
		case lost != nil:
			err = fmt.Errorf("%w; nor is there one in the artifact: %w", err, lost)
		case misfit != nil:
			err = fmt.Errorf("%w; nor does that of the artifact do: %w", err, misfit)
		default:
			h, err, whence = again, nil, ", by the artifact, because that on the branch was damaged"
		}
	}
	if err != nil {
		s.notify(st, Event{Step: "handoff", Text: fmt.Sprintf("%s: %s; going on from transaction %d of the state branch", RecoveryHandoff, oneLine(err), st.Serial)})
		return
	}
	s.notify(st, Event{Step: "handoff", Text: fmt.Sprintf("%s: session %d handed over with %s%s", h.Type, h.Context.SessionNumber, h.ID, whence)})
}

// uploaded is the handoff as the last session's artifact has it.
func (s *Session) uploaded(ctx context.Context, st State) ([]byte, error) {
	last := st.Sessions[len(st.Sessions)-1]
	at := st
	at.Serial = last.Serial
	files, err := s.Artifact(ctx, last.Run, artifactName(at, Owner{Run: last.Run, Attempt: last.Attempt}))
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(files, func(f File) bool { return f.Name == HandoffFile })
	if i < 0 {
		return nil, errors.New("its artifact holds no handoff")
	}
	return files[i].Data, nil
}

// handing is the state with the papers that it is left with: it names the
// handoff among them.
func (s *Session) handing(st State, d Decision) (State, []File) {
	files := s.Papers(st, st.Result(d)).State
	st.Handoff = ""
	for _, f := range files {
		if f.Name == HandoffFile {
			st.Handoff = Hash(f.Data)
		}
	}
	return st, files
}

// as gives a file of the artifact that was saved as well the bytes that were
// saved. A handoff that was not saved is not in it.
func as(saved, files []File) []File {
	var out []File
	for _, f := range files {
		i := slices.IndexFunc(saved, func(g File) bool { return g.Name == f.Name })
		switch {
		case i >= 0:
			out = append(out, saved[i])
		case f.Name != HandoffFile:
			out = append(out, f)
		}
	}
	return out
}

func oneLine(err error) string { return clean(err.Error()) }
