package main

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"path"
	"strings"
	"unicode"

	"github.com/autonomous-loop/autonomous-loop/runner"
)

// An output is one of the action's outputs. The delimiter is fresh each time,
// because a value may hold text that a model wrote, and a delimiter that it can
// guess is a line with which it can end the value and begin another.
func writeOutput(w io.Writer, name, value string) error {
	eof := "eof-" + rand.Text()
	_, err := fmt.Fprintf(w, "%s<<%s\n%s\n%s\n", name, eof, value, eof)
	return err
}

// outputNames are the outputs of action.yml, in its order.
var outputNames = []string{
	"success", "features-completed", "features-total", "sessions-used", "total-tokens", "errors-recovered",
	"duration-minutes", "handoff-reason", "result", "status", "branch", "pull-request", "artifact-id",
}

// outputs gives the values of all outputs. A reason that is null is "".
func outputs(res runner.LoopResult, branch string) (map[string]string, error) {
	whole, err := json.Marshal(res)
	if err != nil {
		return nil, fmt.Errorf("encode the result: %w", err)
	}
	reason := ""
	if res.HandoffReason != nil {
		reason = string(*res.HandoffReason)
	}
	values := map[string]string{
		"success":            fmt.Sprint(res.Success),
		"features-completed": fmt.Sprint(res.FeaturesCompleted),
		"features-total":     fmt.Sprint(res.FeaturesTotal),
		"sessions-used":      fmt.Sprint(res.SessionsUsed),
		"total-tokens":       fmt.Sprint(res.TotalTokens),
		"errors-recovered":   fmt.Sprint(res.ErrorsRecovered),
		"duration-minutes":   fmt.Sprint(res.DurationMinutes),
		"handoff-reason":     reason,
		"result":             string(whole),
		"status":             string(res.Status),
		"branch":             strings.TrimPrefix(branch, "refs/heads/"),
		"pull-request":       "",
		"artifact-id":        "",
	}
	for _, r := range res.Receipts {
		switch {
		case r.Key == "pull-request":
			values["pull-request"] = r.Receipt
		case strings.HasPrefix(r.Key, "artifact:"):
			values["artifact-id"] = path.Base(r.Receipt) // of its address
		}
	}
	return values, nil
}

// logLine makes a text fit to be one line of a job's log: a line break or a
// "##[" in it would be read as a command by the runner, wherever it stands.
func logLine(s string) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\r' || r == '\t':
			return ' '
		case !unicode.IsPrint(r):
			return -1
		}
		return r
	}, s)
	s = strings.ReplaceAll(s, "##[", "##\u200b[")
	if strings.HasPrefix(strings.TrimSpace(s), "::") {
		s = "\u200b" + s
	}
	return s
}
