package model

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"

	"github.com/autonomous-loop/autonomous-loop/runner/agent"
)

// A shape is how a provider behaves, as its documentation says it: none of it
// was recorded, and the comment of each fixture says where it is written. Its
// entries are
//
//	base, model       what the inputs would be
//	reply 1, reply 2  the streams of a call of shell and of a text
//	wants             lines that must stand in every request
//	never             lines that must not stand in any
//	echo              what must stand in the request after reply 1
//	refusal           the answer, HTTP 400, to a request that lacks these
//	error STATUS KIND an error and what it must be taken for
//	inside KIND       a stream that ends otherwise, and what it must be taken for
type shape struct {
	name         string
	base, model  string
	replies      [2]string
	wants, never []string
	echo         string
	refusal      string
	errors       []ending
}

type ending struct {
	status int // 0: inside a stream
	kind   string
	body   string
}

func readShape(t *testing.T, file string) shape {
	t.Helper()
	archive, err := txtar.ParseFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(archive.Comment), "https://") {
		t.Errorf("%s does not say where its shape is documented", file)
	}
	s := shape{name: strings.TrimSuffix(filepath.Base(file), ".txtar")}
	for _, f := range archive.Files {
		body := string(f.Data)
		trimmed := strings.TrimSpace(body)
		words := strings.Fields(f.Name)
		switch words[0] {
		case "base":
			s.base = trimmed
		case "model":
			s.model = trimmed
		case "reply":
			n, err := strconv.Atoi(words[1])
			if err != nil {
				t.Fatal(err)
			}
			s.replies[n-1] = body
		case "wants":
			s.wants = strings.Split(trimmed, "\n")
		case "never":
			s.never = strings.Split(trimmed, "\n")
		case "echo":
			s.echo = trimmed
		case "refusal":
			s.refusal = trimmed
		case "error":
			status, err := strconv.Atoi(words[1])
			if err != nil {
				t.Fatal(err)
			}
			s.errors = append(s.errors, ending{status, words[2], trimmed})
		case "inside":
			s.errors = append(s.errors, ending{0, words[1], body})
		default:
			t.Fatalf("%s: what is %q?", file, f.Name)
		}
	}
	return s
}

// host serves the shape at its own address: the client is told the provider's
// base-url, and its connections end here.
func (s shape) host(t *testing.T, answer http.HandlerFunc) *bench {
	t.Helper()
	base, err := url.Parse(s.base)
	if err != nil {
		t.Fatal(err)
	}
	secure := base.Scheme == "https"
	checked := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		suffix, ok := strings.CutPrefix(r.URL.Path, strings.TrimSuffix(base.Path, "/"))
		switch key := r.Header.Get("Authorization"); {
		case !ok || suffix != "/chat/completions" && suffix != "/responses" || r.Host != base.Host || r.URL.RawQuery != "": // Azure's v1 path takes no api-version
			status(404, `{"error":{"message":"Invalid URL"}}`)(w, r)
		case secure && key != "Bearer "+testKey:
			status(401, `{"error":{"message":"no key"}}`)(w, r)
		default:
			answer(w, r)
		}
	})
	server := httptest.NewUnstartedServer(checked)
	if secure {
		server.StartTLS()
	} else {
		server.Start()
	}
	t.Cleanup(server.Close)
	transport := server.Client().Transport.(*http.Transport).Clone()
	transport.DialContext = func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, server.Listener.Addr().String())
	}
	if secure {
		transport.TLSClientConfig.ServerName = "example.com" // whom the test's certificate is for
	}
	return open(t, s.base, func(o *Options) {
		o.Transport, o.Name, o.Prices, o.CacheKey = transport, s.model, nil, "loop-1"
		if !secure {
			o.Key = ""
		}
	})
}

// answers gives the replies, and the refusal to a request that is not as the
// provider wants it.
func (s shape) answers(bodies *[]string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		raw, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		body := string(raw)
		*bodies = append(*bodies, body)
		second := strings.Contains(body, "a.txt")
		lacks := slices.ContainsFunc(s.wants, func(l string) bool { return !strings.Contains(body, l) }) ||
			slices.ContainsFunc(s.never, func(l string) bool { return strings.Contains(body, l) }) ||
			second && !strings.Contains(body, s.echo) ||
			strings.Count(body, `"role":"system"`) != 1 || strings.Contains(body, `"role":"developer"`) // Anthropic moves them all to the front
		switch {
		case lacks:
			status(http.StatusBadRequest, s.refusal)(w, r)
		case second:
			events(w)
			_, _ = io.WriteString(w, s.replies[1])
		default:
			events(w)
			_, _ = io.WriteString(w, s.replies[0])
		}
	}
}

func TestProviders(t *testing.T) {
	files, err := filepath.Glob("testdata/providers/*.txtar")
	if err != nil || len(files) < 9 {
		t.Fatalf("fixtures %v, %v", files, err)
	}
	for _, file := range files {
		s := readShape(t, file)
		t.Run(s.name, func(t *testing.T) {
			t.Run("two turns", s.twoTurns)
			if s.echo != "" {
				t.Run("without the echo", s.withoutEcho)
			}
			for _, e := range s.errors {
				t.Run(strconv.Itoa(e.status)+" "+e.kind, func(t *testing.T) { s.ends(t, e) })
			}
		})
	}
}

func (s shape) twoTurns(t *testing.T) {
	var bodies []string
	c := s.host(t, s.answers(&bodies))
	first, err := c.Complete(t.Context(), question1)
	if err != nil {
		t.Fatalf("%v\nasked %s", err, bodies)
	}
	if len(first.Calls) != 1 || first.Calls[0].Name != "shell" || strings.ReplaceAll(first.Calls[0].Args, " ", "") != `{"command":"ls"}` || first.Finish != agent.FinishCalls {
		t.Fatalf("got %+v", first)
	}
	if first.Usage.Tokens != 1050 || first.Prompt != 1000 || strings.Contains(s.replies[0], "cached_tokens") && first.Usage.Cached != 600 {
		t.Errorf("used %+v of a prompt of %d", first.Usage, first.Prompt)
	}
	second, err := c.Complete(t.Context(), follow(question1, first, "a.txt"))
	if err != nil {
		t.Fatalf("%v\nasked %s", err, bodies)
	}
	if second.Content != "It is done." || second.Finish != agent.FinishStop || len(second.Calls) != 0 {
		t.Errorf("got %+v", second)
	}
	if len(bodies) != 2 || len(c.lines) != 0 {
		t.Errorf("asked %d times, logged %q", len(bodies), c.lines)
	}
	if !strings.HasPrefix(bodies[1], conversationOf(t, strings.NewReplacer(`"max_completion_tokens"`, `"max_tokens"`, `],"model":`, `],"max_output_tokens":`).Replace(bodies[0]))) {
		t.Errorf("the second request does not begin with the first:\n%s\n%s", bodies[0], bodies[1])
	}
}

// An Azure deployment has any name, so nothing tells beforehand that the model in it
// wants the Responses API for its tools; by its own words it is found out, at
// Azure's address and with the key for its cache in both APIs.
// https://learn.microsoft.com/azure/ai-foundry/openai/how-to/responses
func TestAnAzureDeploymentIsFoundOut(t *testing.T) {
	s := readShape(t, "testdata/providers/azure.txtar")
	var asked []string
	answer := byPath(status(400, toolsOnlyInResponses), stream(oneLine(completed)))
	c := s.host(t, func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil || !strings.Contains(string(body), `"prompt_cache_key":"loop-1"`) {
			t.Errorf("%v: %s", err, body)
		}
		asked = append(asked, r.URL.Path)
		answer(w, r)
	})
	for range 2 {
		if got, err := c.Complete(t.Context(), question1); err != nil || got.Content != "hello" {
			t.Fatalf("got %+v, %v", got, err)
		}
	}
	if want := []string{"/openai/v1/chat/completions", "/openai/v1/responses", "/openai/v1/responses"}; !slices.Equal(asked, want) {
		t.Errorf("asked %v", asked)
	}
}

// withoutEcho is the control: the fixture's server does miss what is missing,
// and what came from elsewhere is not taken for it.
func (s shape) withoutEcho(t *testing.T) {
	var bodies []string
	c := s.host(t, s.answers(&bodies))
	first, err := c.Complete(t.Context(), question1)
	if err != nil || first.Echo == nil {
		t.Fatalf("got %+v, %v", first, err)
	}
	other := *first.Echo
	other.From += "-mini"
	for _, echo := range []*agent.Echo{nil, &other} {
		first.Echo = echo
		asked := len(bodies)
		if got, err := c.Complete(t.Context(), follow(question1, first, "a.txt")); err == nil {
			t.Errorf("got %+v", got)
		}
		for _, body := range bodies[asked:] {
			if strings.Contains(body, s.echo) {
				t.Errorf("sent %s", body)
			}
		}
	}
}

var kinds = map[kind]string{
	cut: "cut", busy: "busy", broken: "broken", money: "money", keyless: "keyless", barred: "barred", nowhere: "nowhere",
	misfit: "misfit", over: "over", refused: "refused",
}

// ends asks once and sees what the end is taken for: the kind of a fault, or how
// a reply ended that is none.
func (s shape) ends(t *testing.T, e ending) {
	c := s.host(t, func(w http.ResponseWriter, r *http.Request) {
		if e.status != 0 {
			status(e.status, e.body)(w, r)
			return
		}
		events(w)
		_, _ = io.WriteString(w, e.body)
	})
	reply, f := c.once(t.Context(), question1, c.manner(), false)
	got := string(reply.Finish)
	if f != nil {
		got = kinds[f.kind]
	}
	want := e.kind
	if want == "filtered" {
		want = string(agent.FinishFilter)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s\n%s", e.body, diff)
	}
}
