// Package oracle holds HTTP exchanges against GitHub's published OpenAPI
// description, so that neither the product nor the fake that it is tested with
// can drift from what GitHub documents.
package oracle

import (
	"bytes"
	"compress/gzip"
	"context"
	_ "embed"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/gorillamux"

	"github.com/autonomous-loop/autonomous-loop/internal/fakegithub"
)

//go:generate sh -c "npm pack --silent @octokit/openapi@23.0.2 | xargs tar xzf && go run trim.go package/generated/api.github.com.json testdata/openapi.json.gz && rm -r package octokit-openapi-*.tgz"

//go:embed testdata/openapi.json.gz
var zipped []byte

// router finds the operation of a request. It is loaded once for all tests.
var router = sync.OnceValues(load)

func load() (routers.Router, error) {
	zr, err := gzip.NewReader(bytes.NewReader(zipped))
	if err != nil {
		return nil, err
	}
	text, err := io.ReadAll(zr)
	if err != nil {
		return nil, err
	}
	doc, err := openapi3.NewLoader().LoadFromData(text)
	if err != nil {
		return nil, err
	}
	// A path of its own may hold slashes, which the description cannot say.
	const contents = "/repos/{owner}/{repo}/contents/{path"
	doc.Paths.Set(contents+":.+}", doc.Paths.Value(contents+"}"))
	doc.Paths.Delete(contents + "}")
	return gorillamux.NewRouter(doc)
}

// options make kin-openapi report all that is wrong, each in a line instead of
// with the whole schema.
func options() *openapi3filter.Options {
	o := &openapi3filter.Options{AuthenticationFunc: openapi3filter.NoopAuthenticationFunc, IncludeResponseStatus: true, MultiError: true}
	o.WithCustomSchemaErrorFunc(func(err *openapi3.SchemaError) string {
		return "/" + strings.Join(err.JSONPointer(), "/") + ": " + err.Reason
	})
	return o
}

// Validate wraps a handler: every REST request that reaches it and every answer
// that it gives must be as GitHub describes them, else t fails. What is not
// REST passes, and so do answers that an injected fault made up.
func Validate(t testing.TB, next http.Handler) http.Handler {
	t.Helper()
	find, err := router()
	if err != nil {
		t.Fatalf("load GitHub's description: %v", err)
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasPrefix(r.URL.Path, "/repos/") && r.URL.Path != "/user" {
			next.ServeHTTP(w, r)
			return
		}
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Errorf("%s %s: read the request: %v", r.Method, r.URL.Path, err)
		}
		again := func() { r.Body = io.NopCloser(bytes.NewReader(body)) }
		again()
		route, params, err := find.FindRoute(r)
		if err != nil {
			t.Errorf("%s %s: not in GitHub's description: %v", r.Method, r.URL.Path, err)
			next.ServeHTTP(w, r)
			return
		}
		in := &openapi3filter.RequestValidationInput{
			Request: r, PathParams: params, Route: route, Options: options(),
		}
		if err := openapi3filter.ValidateRequest(r.Context(), in); err != nil {
			t.Errorf("%s %s: the request is not as GitHub describes it: %v", r.Method, r.URL.Path, err)
		}
		again()
		rec := httptest.NewRecorder()
		maps.Copy(rec.Header(), w.Header())
		next.ServeHTTP(rec, r)
		if rec.Header().Get(fakegithub.Faulty) == "" {
			if err := answered(r.Context(), in, rec); err != nil {
				t.Errorf("%s %s: the answer is not as GitHub describes it: %v", r.Method, r.URL.Path, err)
			}
		}
		maps.Copy(w.Header(), rec.Header())
		w.WriteHeader(rec.Code)
		w.Write(rec.Body.Bytes())
	})
}

// answered checks an answer. GitHub's description leaves out most refusals: of
// those only the usual shape is asked.
func answered(ctx context.Context, in *openapi3filter.RequestValidationInput, rec *httptest.ResponseRecorder) error {
	described := in.Route.Operation.Responses.Status(rec.Code) != nil
	if rec.Code >= 400 && !described {
		var shape struct {
			Message *string `json:"message"`
			Docs    *string `json:"documentation_url"`
		}
		if err := json.Unmarshal(rec.Body.Bytes(), &shape); err != nil || shape.Message == nil || shape.Docs == nil {
			return &openapi3filter.ResponseError{Reason: "a refusal without message and documentation_url"}
		}
		return nil
	}
	if rec.Code == http.StatusNotModified && rec.Body.Len() == 0 && in.Request.Header.Get("If-None-Match") != "" {
		return nil // which any answer with a tag may be, described or not
	}
	out := &openapi3filter.ResponseValidationInput{
		RequestValidationInput: in, Status: rec.Code, Header: rec.Header(), Options: options(),
	}
	out.SetBodyBytes(rec.Body.Bytes())
	return openapi3filter.ValidateResponse(ctx, out)
}
