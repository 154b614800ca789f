//go:build ignore

// Trim makes testdata/openapi.json.gz of GitHub's published description of its
// REST API, which the npm package @octokit/openapi carries under the MIT
// licence. Only the operations that the product or its tests call are kept,
// with all that they refer to, and without prose and examples, so that loading
// it costs a test next to nothing. To make it anew:
//
//	npm pack @octokit/openapi@23.0.2
//	tar xzf octokit-openapi-23.0.2.tgz package/generated/api.github.com.json
//	go run trim.go package/generated/api.github.com.json testdata/openapi.json.gz
package main

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
)

// operations are what is kept: path, then methods.
var operations = map[string][]string{
	"/repos/{owner}/{repo}": {"get"},
	"/repos/{owner}/{repo}/collaborators/{username}/permission": {"get"},

	"/repos/{owner}/{repo}/rules/branches/{branch}": {"get"},
	"/repos/{owner}/{repo}/rulesets/{ruleset_id}":   {"get"},
	"/repos/{owner}/{repo}/contents/{path}":         {"get"},

	"/repos/{owner}/{repo}/pulls":               {"get", "post"},
	"/repos/{owner}/{repo}/pulls/{pull_number}": {"get", "patch"},

	"/repos/{owner}/{repo}/issues":                              {"get"},
	"/repos/{owner}/{repo}/issues/{issue_number}":               {"get"},
	"/repos/{owner}/{repo}/issues/{issue_number}/comments":      {"get", "post"},
	"/repos/{owner}/{repo}/issues/comments/{comment_id}":        {"get", "patch", "delete"},
	"/repos/{owner}/{repo}/issues/{issue_number}/labels":        {"get", "post"},
	"/repos/{owner}/{repo}/issues/{issue_number}/labels/{name}": {"delete"},
	"/repos/{owner}/{repo}/labels":                              {"post"},
	"/repos/{owner}/{repo}/labels/{name}":                       {"get"},

	"/repos/{owner}/{repo}/actions/workflows":                                    {"get"},
	"/repos/{owner}/{repo}/actions/workflows/{workflow_id}":                      {"get"},
	"/repos/{owner}/{repo}/actions/workflows/{workflow_id}/dispatches":           {"post"},
	"/repos/{owner}/{repo}/actions/workflows/{workflow_id}/runs":                 {"get"},
	"/repos/{owner}/{repo}/actions/runs":                                         {"get"},
	"/repos/{owner}/{repo}/actions/runs/{run_id}":                                {"get"},
	"/repos/{owner}/{repo}/actions/runs/{run_id}/attempts/{attempt_number}":      {"get"},
	"/repos/{owner}/{repo}/actions/runs/{run_id}/attempts/{attempt_number}/jobs": {"get"},
	"/repos/{owner}/{repo}/actions/runs/{run_id}/cancel":                         {"post"},
	"/repos/{owner}/{repo}/actions/runs/{run_id}/artifacts":                      {"get"},
	"/repos/{owner}/{repo}/actions/artifacts/{artifact_id}":                      {"get", "delete"},
	"/repos/{owner}/{repo}/actions/artifacts/{artifact_id}/{archive_format}":     {"get"},

	"/user": {"get"},
}

func main() {
	if len(os.Args) != 3 {
		fail("usage: go run trim.go api.github.com.json out.json.gz")
	}
	data, err := os.ReadFile(os.Args[1])
	check(err)
	var doc map[string]any
	check(json.Unmarshal(data, &doc))

	paths := map[string]any{}
	for path, methods := range operations {
		full, ok := doc["paths"].(map[string]any)[path].(map[string]any)
		if !ok {
			fail("the description has no path " + path)
		}
		item := map[string]any{}
		for _, m := range methods {
			op, ok := full[m].(map[string]any)
			if !ok {
				fail("the description has no " + m + " " + path)
			}
			delete(op, "callbacks")
			item[m] = op
		}
		paths[path] = bare(item, false)
	}
	kept := map[string]any{}
	todo := refs(paths, nil)
	for len(todo) > 0 {
		ref := todo[0]
		todo = todo[1:]
		kind, name, _ := strings.Cut(strings.TrimPrefix(ref, "#/components/"), "/")
		group, _ := kept[kind].(map[string]any)
		if group == nil {
			group = map[string]any{}
			kept[kind] = group
		}
		if group[name] != nil {
			continue
		}
		body := bare(doc["components"].(map[string]any)[kind].(map[string]any)[name], false)
		group[name] = body
		todo = refs(body, todo)
	}
	out, err := json.Marshal(map[string]any{
		"openapi": doc["openapi"], "info": bare(doc["info"], true), "paths": paths, "components": kept,
	})
	check(err)
	var zipped bytes.Buffer
	zw, _ := gzip.NewWriterLevel(&zipped, gzip.BestCompression)
	_, err = zw.Write(out)
	check(err)
	check(zw.Close())
	check(os.WriteFile(os.Args[2], zipped.Bytes(), 0o644))
	fmt.Printf("%d paths, %d schemas, %d bytes, %d zipped\n", len(paths), len(kept["schemas"].(map[string]any)), len(out), zipped.Len())
}

// bare returns v without prose, examples and extensions. named says that v's
// keys are names that the description gives, not words of OpenAPI.
func bare(v any, named bool) any {
	switch v := v.(type) {
	case map[string]any:
		out := map[string]any{}
		for k, e := range v {
			if !named && (slices.Contains([]string{"summary", "example", "examples", "externalDocs", "tags", "title"}, k) || strings.HasPrefix(k, "x-")) {
				continue
			}
			if _, prose := e.(string); prose && !named && k == "description" {
				out[k] = "" // not left out, because every response must have one
				continue
			}
			out[k] = bare(e, !named && (k == "properties" || k == "responses" || k == "headers" || k == "content"))
		}
		return out
	case []any:
		for i := range v {
			v[i] = bare(v[i], false)
		}
	}
	return v
}

// refs appends what v refers to.
func refs(v any, to []string) []string {
	switch v := v.(type) {
	case map[string]any:
		if ref, ok := v["$ref"].(string); ok {
			to = append(to, ref)
		}
		for _, e := range v {
			to = refs(e, to)
		}
	case []any:
		for _, e := range v {
			to = refs(e, to)
		}
	}
	return to
}

func check(err error) {
	if err != nil {
		fail(err.Error())
	}
}

func fail(why string) {
	fmt.Fprintln(os.Stderr, "trim:", why)
	os.Exit(1)
}
