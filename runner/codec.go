package runner

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
)

// stateFile is state.json. Fields may come and go between schemas; names that
// were once written keep their meaning.
type stateFile struct {
	State
	Progress []progressFile `json:"features"`
}

// progressFile is a feature in state.json. Row is the hash of its row in
// feature_list.json, passes aside: a list that was changed by hand does not
// match its state.
type progressFile struct {
	ID  string `json:"id"`
	Row string `json:"row_sha256"`
	Progress
}

// Encode gives the two files of a state. What would not be the same after a
// restart is an error now, not then.
func Encode(st State) (state, list []byte, err error) {
	written, err := compact(st.file())
	if err != nil {
		return nil, nil, fmt.Errorf("encode state: %w", err)
	}
	rows, err := compact(st.rows())
	if err != nil {
		return nil, nil, fmt.Errorf("encode feature list: %w", err)
	}
	state, list = indented(written), indented(rows)
	back, err := Decode(state, list)
	if err != nil {
		return nil, nil, fmt.Errorf("read back what was encoded: %w", err)
	}
	// The hashes of the rows stand in the state, so it speaks for the list too.
	if again, err := compact(back.file()); err != nil || !bytes.Equal(again, written) {
		return nil, nil, errors.New("encode state: it does not survive a restart")
	}
	return state, list, nil
}

// file is what state.json holds.
func (st State) file() stateFile {
	f := stateFile{State: st, Progress: make([]progressFile, 0, len(st.Features))}
	for _, feature := range st.Features {
		f.Progress = append(f.Progress, progressFile{feature.ID, rowHash(feature.Row), feature.Progress})
	}
	return f
}

// rows is what feature_list.json holds.
func (st State) rows() []Row {
	rows := make([]Row, 0, len(st.Features))
	for _, feature := range st.Features {
		row := feature.Row
		row.Passes = feature.Status == Complete
		rows = append(rows, row)
	}
	return rows
}

// Decode joins the two files. Everything that does not fit is an error: a
// damaged state must never pass for an empty one.
func Decode(state, list []byte) (State, error) {
	var f stateFile
	err := json.Unmarshal(state, &f)
	if err != nil || f.Schema < 1 || f.Schema > Schema {
		// Of a schema to come nothing else may be readable.
		var head struct {
			Schema int `json:"schema"`
		}
		if err := json.Unmarshal(state, &head); err != nil {
			return State{}, fmt.Errorf("state.json: %w", err)
		}
		if head.Schema < 1 || head.Schema > Schema {
			return State{}, fmt.Errorf("state.json: schema %d, this version reads 1 to %d", head.Schema, Schema)
		}
	}
	if err != nil {
		return State{}, fmt.Errorf("state.json: %w", err)
	}
	var rows []Row
	if err := json.Unmarshal(list, &rows); err != nil {
		return State{}, fmt.Errorf("feature_list.json: %w", err)
	}
	if err := f.migrate(state, rows); err != nil {
		return State{}, fmt.Errorf("state.json: %w", err)
	}
	st := f.State
	st.digest = Hash(state)
	if err := f.check(rows); err != nil {
		return State{}, err
	}
	for i, p := range f.Progress {
		rows[i].Passes = false
		st.Features = append(st.Features, Feature{rows[i], p.Progress})
	}
	return st, nil
}

// migrate brings what an older version wrote up to this one's schema.
func (f *stateFile) migrate(state []byte, rows []Row) error {
	if f.Schema == 1 { // froze acceptances by the hash of the row alone, and kept no records
		for i := range min(len(rows), len(f.Progress)) {
			f.Progress[i].Frozen = rows[i].AcceptanceHash()
		}
		f.Schema = 2
	}
	if f.Schema == 2 { // said that all calls had a price, not that one had none
		var old struct {
			Spent struct {
				Priced bool `json:"priced"`
			} `json:"spent"`
		}
		if err := json.Unmarshal(state, &old); err != nil {
			return err
		}
		f.Spent.Unpriced = f.Spent.Calls > 0 && !old.Spent.Priced
		f.Schema = 3
	}
	return nil
}

func (f stateFile) check(rows []Row) error {
	if len(rows) != len(f.Progress) {
		return fmt.Errorf("feature_list.json has %d features, state.json %d", len(rows), len(f.Progress))
	}
	if f.Lineage == "" || f.Serial < 1 || f.Status == "" {
		return errors.New("state.json: lineage, serial or status is missing")
	}
	var errs []error
	seen := map[string]bool{}
	for i, p := range f.Progress {
		switch {
		case seen[p.ID]:
			errs = append(errs, fmt.Errorf("feature %s is there twice", p.ID))
		case rows[i].ID != p.ID:
			errs = append(errs, fmt.Errorf("feature %d is %s in feature_list.json and %s in state.json", i+1, rows[i].ID, p.ID))
		case rowHash(rows[i]) != p.Row:
			errs = append(errs, fmt.Errorf("feature %s was changed in feature_list.json", p.ID))
		case !slices.Contains([]FeatureStatus{Todo, Complete, SetAside, Quarantined, Deprecated}, p.Status):
			errs = append(errs, fmt.Errorf("feature %s has the unknown status %q", p.ID, p.Status))
		case p.Status == Complete && (p.Evidence == nil || p.Commit == ""):
			errs = append(errs, fmt.Errorf("feature %s is complete without evidence", p.ID))
		case p.Frozen != rows[i].AcceptanceHash():
			errs = append(errs, fmt.Errorf("feature %s has another acceptance than the one that was frozen", p.ID))
		case p.Evidence != nil && p.Evidence.Record != "" && p.Evidence.Files[p.Evidence.Record] == "":
			errs = append(errs, fmt.Errorf("feature %s names the record %s of its evidence without its hash", p.ID, p.Evidence.Record))
		}
		seen[p.ID] = true
	}
	if f.Wip != nil && !seen[f.Wip.Feature] {
		errs = append(errs, fmt.Errorf("the feature in progress, %s, is not in the list", f.Wip.Feature))
	}
	return errors.Join(errs...)
}

// rowHash is the sha256 of a row's canonical JSON, passes aside.
func rowHash(r Row) string {
	r.Passes = false
	b, err := json.Marshal(r)
	if err != nil {
		panic("runner: a row cannot be encoded: " + err.Error()) // unreachable unless Row gets a field that JSON cannot hold
	}
	return Hash(b)
}

// Hash is the sha256 of b in hex.
func Hash(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// compact is the JSON of v without a space in it, and with < and & as they are.
func compact(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// encodeJSON is the JSON of v for people.
func encodeJSON(v any) ([]byte, error) {
	b, err := compact(v)
	if err != nil {
		return nil, err
	}
	return indented(b), nil
}

// indented is JSON for people.
func indented(compact []byte) []byte {
	var b bytes.Buffer
	if err := json.Indent(&b, compact, "", "  "); err != nil {
		panic("runner: what was encoded cannot be indented: " + err.Error()) // unreachable unless encoding/json is broken
	}
	return b.Bytes()
}
