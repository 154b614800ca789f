package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/autonomous-loop/autonomous-loop/report"
	"github.com/autonomous-loop/autonomous-loop/runner"
)

// A library keeps the files of the state branch.
type library interface {
	StateFiles(ctx context.Context, prefix string) ([]runner.File, error)
}

// papers puts a state and a result into everything that is read: by people, by
// the next session, and by tools. What cannot be made costs its own place only.
func papers(ctx context.Context, r library, j *journal, v report.View) runner.Papers {
	j.mu.Lock()
	v.Events = append([]runner.Event(nil), j.events...)
	j.mu.Unlock()
	v.Records, v.Images = evidence(context.WithoutCancel(ctx), r, v.State)

	var p runner.Papers
	add := func(to *[]runner.File, name string, data []byte, err error) {
		if err != nil {
			data = fmt.Appendf(nil, "this file could not be made: %v\n", err)
		}
		*to = append(*to, runner.File{Name: name, Data: data})
	}
	handoff, err := report.Handoff(v)
	add(&p.State, "handoff.json", handoff, err)
	add(&p.State, "progress.md", report.Progress(v), nil)

	result, resultErr := report.Result(v)
	html, htmlErr := report.HTML(v)
	add(&p.Report, "comment.md", []byte(report.Comment(v)), nil)
	add(&p.Report, "summary.md", []byte(report.Summary(v)), nil)
	add(&p.Report, "pull-request.md", []byte(report.PullRequest(v)), nil)
	add(&p.Report, "result.json", result, resultErr)
	add(&p.Report, "report.html", html, htmlErr)

	events, eventsErr := jsonLines(v.Events)
	p.Upload = append(p.Upload, p.State...)
	add(&p.Upload, "result.json", result, resultErr)
	add(&p.Upload, "report.html", html, htmlErr)
	add(&p.Upload, "events.jsonl", events, eventsErr)
	p.Upload = append(p.Upload, offered(v.Events)...)
	add(&p.Upload, "transcript.jsonl", j.transcript.bytes(), nil)
	return p
}

// evidence reads the records and pictures of the completed features. They are
// for people to look at: without them the report is poorer, not wrong.
func evidence(ctx context.Context, r library, st runner.State) (map[string]runner.Record, map[string][]byte) {
	records, images := map[string]runner.Record{}, map[string][]byte{}
	files, err := r.StateFiles(ctx, "evidence/")
	if err != nil {
		return records, images
	}
	for _, f := range files {
		id, name, _ := strings.Cut(strings.TrimPrefix(f.Name, "evidence/"), "/")
		feature, ok := st.Feature(id)
		if !ok || feature.Evidence == nil {
			continue
		}
		switch name {
		case feature.Evidence.Record:
			var r runner.Record
			if json.Unmarshal(f.Data, &r) == nil {
				records[id] = r
			}
		case "screenshot.png":
			images[id] = f.Data
		}
	}
	return records, images
}

// mostKept is how much of what the browser kept goes into the artifact, in bytes.
const mostKept = 48 << 20

// kept reads what the browser kept for people in dir: recordings of agents,
// traces of runs that failed, screenshots. The smallest come first where not all
// of it fits.
func kept(dir string) []runner.File {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil // nothing was kept
	}
	type entry struct {
		name string
		size int64
	}
	var all []entry
	for _, e := range entries {
		if info, err := e.Info(); err == nil && info.Mode().IsRegular() {
			all = append(all, entry{e.Name(), info.Size()})
		}
	}
	slices.SortStableFunc(all, func(a, b entry) int { return cmp.Compare(a.size, b.size) })
	var files []runner.File
	left := int64(mostKept)
	for _, e := range all {
		if left -= e.size; left < 0 {
			break
		}
		if data, err := os.ReadFile(filepath.Join(dir, e.name)); err == nil {
			files = append(files, runner.File{Name: "browser/" + e.name, Data: data})
		}
	}
	return files
}

// offered are the patches of what was left out, the last of each feature.
func offered(events []runner.Event) []runner.File {
	last := map[string][]byte{}
	for _, e := range events {
		if e.Step == "left-out" {
			last[e.Feature] = e.Patch
		}
	}
	var files []runner.File
	for _, id := range slices.Sorted(maps.Keys(last)) {
		if len(last[id]) > 0 {
			files = append(files, runner.File{Name: "left-out/" + id + ".patch", Data: last[id]})
		}
	}
	return files
}

func jsonLines(events []runner.Event) ([]byte, error) {
	var b []byte
	for _, e := range events {
		line, err := json.Marshal(e)
		if err != nil {
			return nil, err
		}
		b = append(append(b, line...), '\n')
	}
	return b, nil
}
