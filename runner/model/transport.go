package model

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// A transport stands between go-openai and the network, for what the library
// loses or swallows: it signs, it keeps status, headers and error bodies, it
// tells an LLM API from a web page, and it hands on nothing but clean events.
type transport struct {
	next http.RoundTripper
	base *url.URL
	sign func(http.Header) // holds the key in a closure, where no print finds it
}

// An exchange is what the transport noted of one request, for whoever put it
// into the request's context.
type exchange struct {
	edit func([]byte) ([]byte, error) // of the request's body; nil: none
	seen func()                       // called when bytes arrive

	sent   int // bytes of the request
	status int // 0: no answer
	header http.Header
	body   []byte // of an answer that is an error
}

type exchangeKey struct{}

// A misfitError says that what answered is not the endpoint we were told of.
type misfitError struct{ what string }

func (e *misfitError) Error() string { return e.what }

const (
	mostError = 64 << 10 // of an error's body
	mostReply = 64 << 20 // of a reply
)

func newTransport(next http.RoundTripper, base *url.URL, key string) *transport {
	if next == nil {
		next = &http.Transport{
			DialContext:         (&net.Dialer{Timeout: 30 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
			TLSHandshakeTimeout: 20 * time.Second,
			IdleConnTimeout:     90 * time.Second,
			MaxIdleConnsPerHost: 4,
			ForceAttemptHTTP2:   true,
			DisableCompression:  true, // a compressed stream arrives in lumps
		}
	}
	t := &transport{next: next, base: base, sign: func(http.Header) {}}
	if key != "" {
		t.sign = func(h http.Header) { h.Set("Authorization", "Bearer "+key) }
	}
	return t
}

// RoundTrip sends one request and prepares the answer for the library.
func (t *transport) RoundTrip(req *http.Request) (*http.Response, error) {
	x, ok := req.Context().Value(exchangeKey{}).(*exchange)
	if !ok {
		panic("model: request without an exchange")
	}
	if req.URL.Scheme != t.base.Scheme || req.URL.Host != t.base.Host {
		return nil, &misfitError{"a request to " + req.URL.Host + " was about to leave"}
	}
	out := req.Clone(req.Context())
	t.sign(out.Header)
	if err := x.load(out); err != nil {
		return nil, err
	}
	resp, err := t.next.RoundTrip(out)
	if err != nil {
		return nil, err
	}
	x.status, x.header = resp.StatusCode, resp.Header
	if resp.StatusCode >= 300 && resp.StatusCode < 400 {
		return resp, nil
	}
	if resp.StatusCode != http.StatusOK {
		defer resp.Body.Close()
		x.body, _ = io.ReadAll(io.LimitReader(resp.Body, mostError)) // half an error is better than none
		resp.Body = io.NopCloser(bytes.NewReader(x.body))
		return resp, nil
	}
	body, err := x.events(resp)
	if err != nil {
		return nil, errors.Join(err, resp.Body.Close())
	}
	resp.Body = body
	return resp, nil
}

// load reads the request's body, to edit and to measure it.
func (x *exchange) load(out *http.Request) error {
	if out.Body == nil {
		return nil
	}
	data, err := io.ReadAll(out.Body)
	err = errors.Join(err, out.Body.Close())
	if err == nil && x.edit != nil {
		data, err = x.edit(data)
	}
	if err != nil {
		return fmt.Errorf("write the request: %w", err)
	}
	x.sent = len(data)
	out.ContentLength = int64(len(data))
	out.Body = io.NopCloser(bytes.NewReader(data))
	out.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(data)), nil }
	return nil
}

// refuseRedirect follows a redirect only within the host that was asked. The
// conversation is the user's code; where it goes is for the user to say.
func refuseRedirect(req *http.Request, via []*http.Request) error {
	if from := via[0].URL; req.URL.Host != from.Host || req.URL.Scheme != from.Scheme || req.Method != via[0].Method || len(via) > 3 {
		return &misfitError{fmt.Sprintf("redirected to %s://%s, which is not followed", req.URL.Scheme, req.URL.Host)}
	}
	return nil
}

// events returns the body of a good answer as a stream of events: a stream as
// it is, a completion in one piece as its only event.
func (x *exchange) events(resp *http.Response) (io.ReadCloser, error) {
	r := bufio.NewReaderSize(&watched{resp.Body, x.seen, mostReply}, 32<<10)
	kind, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	switch {
	case kind == "text/event-stream":
		return &eventReader{r: r, c: resp.Body}, nil
	case strings.Contains(kind, "json"):
		return whole(r, resp.Body)
	}
	// Small servers name their streams text/plain, or nothing at all.
	head, _ := r.Peek(1)
	for len(head) == 1 && (head[0] == '\n' || head[0] == '\r' || head[0] == ' ') {
		_, _ = r.Discard(1) // was peeked at
		head, _ = r.Peek(1)
	}
	switch {
	case kind == "text/html" || len(head) == 0 || !strings.ContainsAny(string(head), "{[d:ei"):
		return nil, &misfitError{fmt.Sprintf("answered with %s", orNothing(kind))}
	case head[0] == '{' || head[0] == '[':
		return whole(r, resp.Body)
	}
	return &eventReader{r: r, c: resp.Body}, nil
}

func orNothing(kind string) string {
	if kind == "" {
		return "no content type"
	}
	return kind
}

// whole makes a stream of one event of a completion that came in one piece,
// because it was asked for so or because the server does not stream.
func whole(r io.Reader, c io.Closer) (io.ReadCloser, error) {
	defer c.Close()
	data, err := io.ReadAll(r)
	if err != nil {
		return nil, err
	}
	if list := []json.RawMessage(nil); json.Unmarshal(data, &list) == nil && len(list) > 0 {
		data = list[0] // Gemini wraps its errors
	}
	var line bytes.Buffer
	if json.Compact(&line, data) != nil {
		return nil, fmt.Errorf("read the reply: %w", io.ErrUnexpectedEOF)
	}
	var top struct{ Choices, Error json.RawMessage }
	if json.Unmarshal(data, &top) != nil || top.Choices == nil && top.Error == nil {
		return nil, &misfitError{"answered with JSON that is neither a completion nor an error"}
	}
	return &eventReader{r: bufio.NewReader(io.MultiReader(strings.NewReader("data: "), &line, strings.NewReader("\n"))), c: c}, nil
}

// watched tells whoever waits that bytes arrived, and does not read forever.
type watched struct {
	r    io.Reader
	seen func()
	left int
}

func (w *watched) Read(p []byte) (int, error) {
	n, err := w.r.Read(p)
	if n > 0 {
		w.seen()
	}
	if w.left -= n; w.left < 0 {
		return 0, errors.New("the reply is endless")
	}
	return n, err
}

// An eventReader leaves of a stream its data lines. The library counts comments
// and blank lines against a limit, mixes them into error events, and swallows
// an error event that it cannot read; this way it sees neither.
type eventReader struct {
	r    *bufio.Reader
	c    io.Closer
	rest []byte
	err  error
}

func (e *eventReader) Read(p []byte) (int, error) {
	for len(e.rest) == 0 {
		if e.err != nil {
			return 0, e.err
		}
		var line []byte
		line, e.err = e.r.ReadBytes('\n')
		e.rest = event(bytes.TrimSpace(line))
	}
	n := copy(p, e.rest)
	e.rest = e.rest[n:]
	return n, nil
}

func (e *eventReader) Close() error { return e.c.Close() }

// event is a line of a stream as the library is to see it, nil if not at all.
func event(line []byte) []byte {
	data, ok := bytes.CutPrefix(line, []byte("data:"))
	if !ok {
		if !bytes.HasPrefix(line, []byte("{")) {
			return nil // comment, event name, id
		}
		data = line // an error that a proxy threw into the stream
	}
	data = bytes.TrimSpace(data)
	if len(data) == 0 {
		return nil
	}
	out := append([]byte("data: "), data...)
	if tail, ok := bytes.CutPrefix(data, []byte(`{"error"`)); ok {
		// The blank hides the event from the library's own handling of errors.
		out = append([]byte(`data: { "error"`), tail...)
	}
	return append(out, '\n')
}

// watch returns a context that ends with errSilent when nothing arrives for
// too long, and the function to be called when something does.
func watch(ctx context.Context, first, idle time.Duration) (context.Context, func(), func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	timer := time.AfterFunc(first, func() { cancel(errSilent) })
	return ctx, func() { timer.Reset(idle) }, func() { timer.Stop(); cancel(nil) }
}

var errSilent = errors.New("nothing arrived for too long")
