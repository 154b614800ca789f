package browser

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/big"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/playwright-community/playwright-go"

	"github.com/autonomous-loop/autonomous-loop/runner/check"
)

// A request is what assert_response sends: GET /api/x, or POST /api/x {"a":1},
// or a whole message as HTTP writes it: headers on the lines below the first, an
// empty line, the body.
type request struct {
	method, path string
	headers      map[string]string
	body         string
}

// An answer is what it expects: 200, or 200 contains text, or 200 {"a":1}, or a
// whole message likewise.
type answer struct {
	status  int
	headers map[string]string // name -> pattern; "": it is not there
	part    string            // text that the body contains
	within  bool              // value may stand anywhere in the body
	value   any               // what the body, read as JSON, includes; nil: nothing is said of that
}

var methods = []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}

func parseResponse(st check.Step) (request, answer, error) {
	q, err := parseRequest(st.Value)
	if err != nil {
		return q, answer{}, err
	}
	a, err := parseAnswer(st.Expected)
	return q, a, err
}

func parseRequest(text string) (request, error) {
	head, headers, body, err := message(text, 2)
	if err != nil {
		return request{}, fmt.Errorf("value %w", err)
	}
	f := strings.SplitN(head, " ", 3)
	if strings.HasPrefix(f[0], "/") || strings.Contains(f[0], "://") {
		f = append([]string{http.MethodGet}, strings.SplitN(head, " ", 2)...)
	}
	f = append(f, "", "")
	q := request{method: strings.ToUpper(f[0]), path: f[1], headers: headers, body: strings.TrimSpace(f[2])}
	if !slices.Contains(methods, q.method) || q.path == "" {
		return q, fmt.Errorf("value %q is not a request like GET /api/books", text)
	}
	if q.body != "" && body != "" {
		return q, fmt.Errorf("value %q has two bodies", text)
	}
	if q.body == "" {
		q.body = body
	}
	kind := ""
	switch {
	case strings.HasPrefix(q.body, "{"), strings.HasPrefix(q.body, "["):
		kind = "application/json"
	case formBody.MatchString(q.body):
		if form, err := url.ParseQuery(q.body); err == nil {
			q.body, kind = form.Encode(), "application/x-www-form-urlencoded"
		}
	case q.body != "":
		kind = "text/plain; charset=utf-8"
	}
	if kind != "" && q.headers["Content-Type"] == "" {
		q.headers = maps.Clone(q.headers)
		if q.headers == nil {
			q.headers = map[string]string{}
		}
		q.headers["Content-Type"] = kind
	}
	return q, nil
}

// formBody is what a form sends: title=Dune&author=Frank+Herbert.
var formBody = regexp.MustCompile(`^[A-Za-z_][\w.\[\]-]*=[^\n]*$`)

func parseAnswer(text string) (answer, error) {
	head, headers, body, err := message(text, 1)
	if err != nil {
		return answer{}, fmt.Errorf("expected %w", err)
	}
	code, part, _ := strings.Cut(head, " ")
	if !isStatus(code) {
		return answer{}, fmt.Errorf("expected %q is not an answer like 200, or 200 contains text", text)
	}
	a := answer{headers: headers}
	a.status, _ = strconv.Atoi(code) // isStatus has seen that it is one
	if part = strings.TrimSpace(part); part != "" && body != "" {
		return a, fmt.Errorf("expected %q has two bodies", text)
	} else if part == "" {
		part = body
	}
	rest, within := strings.CutPrefix(part, "contains ")
	rest = strings.TrimSpace(rest)
	if !strings.HasPrefix(rest, "{") && !strings.HasPrefix(rest, "[") {
		a.part = rest
		return a, nil
	}
	switch v, err := decode(rest); {
	case err == nil:
		a.value, a.within = v, within
	case within:
		a.part = rest // a piece of text that happens to begin so
	default:
		return a, fmt.Errorf("expected %q begins like JSON and is none: %w; write contains before a piece of text", rest, err)
	}
	return a, nil
}

// message takes an HTTP message apart. One whose first line has more than words
// brings its body there, and has no headers.
func message(text string, words int) (head string, headers map[string]string, body string, err error) {
	text = strings.TrimSpace(strings.ReplaceAll(text, "\r\n", "\n"))
	head, rest, _ := strings.Cut(text, "\n")
	if len(strings.Fields(head)) > words {
		return text, nil, "", nil
	}
	for rest != "" {
		var line string
		if line, rest, _ = strings.Cut(rest, "\n"); line == "" {
			break
		}
		name, value, ok := strings.Cut(line, ":")
		if !ok || !headerName.MatchString(name) {
			return "", nil, "", fmt.Errorf("has the line %q, which is no header like Accept: text/html; leave a line empty before the body", line)
		}
		if headers == nil {
			headers = map[string]string{}
		}
		headers[http.CanonicalHeaderKey(name)] = strings.TrimSpace(value)
	}
	return strings.TrimSpace(head), headers, strings.TrimSpace(rest), nil
}

var headerName = regexp.MustCompile("^[A-Za-z0-9!#$%&'*+.^_`|~-]+$")

func decode(text string) (any, error) {
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber() // an id must not lose its last digits
	var v any
	if err := d.Decode(&v); err != nil {
		return nil, err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("more stands after it")
	}
	return v, nil
}

// includes says whether have is at least want: an object may have more fields,
// a list has the same length, and "*" stands for any value.
func includes(have, want any) bool {
	switch w := want.(type) {
	case string:
		return w == "*" || have == want
	case map[string]any:
		h, ok := have.(map[string]any)
		if !ok {
			return false
		}
		for k, v := range w {
			if part, there := h[k]; !there || !includes(part, v) {
				return false
			}
		}
		return true
	case []any:
		h, ok := have.([]any)
		if !ok || len(h) != len(w) {
			return false
		}
		for i := range w {
			if !includes(h[i], w[i]) {
				return false
			}
		}
		return true
	case json.Number:
		h, ok := have.(json.Number)
		return ok && (h == w || sameNumber(h, w))
	}
	return have == want // true, false, null
}

func sameNumber(a, b json.Number) bool {
	if len(a) > 40 || len(b) > 40 { // 1e999999999 would fill the memory
		return a == b
	}
	x, ok := new(big.Float).SetString(string(a))
	y, too := new(big.Float).SetString(string(b))
	return ok && too && x.Cmp(y) == 0
}

// holds says whether have, or anything in it, includes want.
func holds(have, want any) bool {
	if includes(have, want) {
		return true
	}
	switch h := have.(type) {
	case map[string]any:
		for _, v := range h {
			if holds(v, want) {
				return true
			}
		}
	case []any:
		return slices.ContainsFunc(h, func(v any) bool { return holds(v, want) })
	}
	return false
}

// wrong says how what was answered differs from a; "" if it does not.
func (a answer) wrong(status int, headers map[string]string, body string) string {
	seen := fmt.Sprintf("got %d with %s", status, quoted(body))
	if status != a.status || a.part != "" && !contains(body, a.part) {
		return seen
	}
	if a.value != nil {
		v, err := decode(body)
		if err != nil || !a.within && !includes(v, a.value) || a.within && !holds(v, a.value) {
			return seen
		}
	}
	for _, name := range slices.Sorted(maps.Keys(a.headers)) {
		want, have := a.headers[name], headers[strings.ToLower(name)]
		main, _, _ := strings.Cut(have, ";")
		if !glob(want, have) && !glob(want, strings.TrimSpace(main)) || want == "*" && have == "" {
			return fmt.Sprintf("got the header %s: %s", name, quoted(have))
		}
	}
	return ""
}

func (a answer) String() string {
	var b strings.Builder
	b.WriteString(strconv.Itoa(a.status))
	if a.part != "" {
		b.WriteString(" with " + quoted(a.part))
	}
	if a.value != nil {
		text, _ := json.Marshal(a.value) // it was decoded from JSON
		b.WriteString(" with " + oneLine(string(text), 300))
	}
	for _, name := range slices.Sorted(maps.Keys(a.headers)) {
		fmt.Fprintf(&b, ", %s: %s", name, oneLine(a.headers[name], 100))
	}
	return b.String()
}

func assertResponse(ctx context.Context, r *run, st check.Step, limit time.Duration) error {
	q, want, err := parseResponse(st)
	if err != nil {
		return &fault{err.Error()}
	}
	to, ok := r.in.resolve(r.server.url, q.path)
	if !ok {
		return faultf("%s is outside the application", q.path)
	}
	o := playwright.APIRequestContextFetchOptions{
		Method:  &q.method,
		Headers: q.headers,
		// The driver sends this request, and nothing but this would keep it
		// from following the application to another host.
		MaxRedirects: new(0),
		Timeout:      new(ms(limit)),
	}
	if q.body != "" {
		o.Data = []byte(q.body) // a string would be encoded again
	}
	// Only what changes nothing is asked for again until it is right.
	if q.method != http.MethodGet && q.method != http.MethodHead {
		limit = 0
	}
	return r.expect(ctx, limit, "the answer "+want.String(), func() (string, bool, error) {
		resp, err := r.ctx.Request().Fetch(to, o)
		if err != nil {
			if gone(err) {
				return "", false, err
			}
			return "there is none: " + brief(err), false, nil
		}
		defer resp.Dispose() //nolint:errcheck // it goes with the context at the latest
		body, err := resp.Text()
		if err != nil && gone(err) {
			return "", false, err
		}
		wrong := want.wrong(resp.Status(), resp.Headers(), body)
		return wrong, wrong == "", nil
	})
}
