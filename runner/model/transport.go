package model

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/url"
	"slices"
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
	watch    *watcher
	messages []byte // of the conversation, which the library's request is without
	more     []byte // fields that the library does not know, each after a comma
	plain    bool   // the reply is to come in one piece
	heavier  int    // bytes of the messages that count for nothing, see [form.heavier]

	sent   int // bytes of the request
	status int // 0: no answer
	header http.Header
	body   []byte // of an answer that is an error
}

type exchangeKey struct{}

// A misfitError says that what answered is not the endpoint we were told of.
type misfitError struct{ what string }

func (e *misfitError) Error() string { return e.what }

// What is taken of an endpoint, which may be anybody's. The largest reply of an
// honest one is far below each.
const (
	mostHeader = 256 << 10
	mostBlank  = 4 << 10  // before a reply that does not say what it is
	mostError  = 64 << 10 // of an error's body
	mostReply  = 64 << 20 // of a stream, which is not kept
	mostLine   = 8 << 20  // of one event, or a reply in one piece
	mostHeld   = 4 << 20  // of what the model wrote
	mostCalls  = 128      // of one reply
)

func newTransport(next http.RoundTripper, base *url.URL, key string) *transport {
	if next == nil {
		next = &http.Transport{
			DialContext:         (&net.Dialer{Timeout: 30 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
			TLSHandshakeTimeout: 20 * time.Second,
			IdleConnTimeout:     90 * time.Second,
			MaxIdleConnsPerHost: 4,
			ForceAttemptHTTP2:   true,
			WriteBufferSize:     64 << 10,

			MaxResponseHeaderBytes: mostHeader,
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
	out.Header.Set("Accept-Encoding", "identity") // a compressed stream arrives in lumps, and may unpack to anything
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
	if how := resp.Header.Get("Content-Encoding"); how != "" && !strings.EqualFold(how, "identity") {
		return nil, errors.Join(&misfitError{fmt.Sprintf("answered with HTTP %d, compressed (%.20q) though that was not asked for", resp.StatusCode, how)}, resp.Body.Close())
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

// load puts the conversation into the request's body, where the library left it
// out, and measures the whole.
func (x *exchange) load(out *http.Request) error {
	if out.Body == nil {
		return nil
	}
	data, err := io.ReadAll(out.Body)
	if err = errors.Join(err, out.Body.Close()); err != nil {
		return fmt.Errorf("write the request: %w", err)
	}
	head, tail, err := x.parts(data)
	if err != nil {
		return err
	}
	body := func() (io.ReadCloser, error) {
		return io.NopCloser(io.MultiReader(bytes.NewReader(head), bytes.NewReader(x.messages), bytes.NewReader(tail))), nil
	}
	x.sent = len(head) + len(x.messages) + len(tail)
	out.ContentLength = int64(x.sent)
	out.GetBody = body
	out.Body, err = body()
	return err
}

// parts is what stands before and after the messages in a body of the library's,
// which has null for them.
func (x *exchange) parts(data []byte) (head, tail []byte, err error) {
	var before, after []byte
	found := false
	for _, field := range []string{`"messages":`, `"input":`} {
		// In a string the quotes would have backslashes before them.
		if before, after, found = bytes.Cut(data, []byte(field+"null")); found {
			head = append(append(slices.Clip(before), field...), '[')
			break
		}
	}
	if !found {
		return nil, nil, errors.New("write the request: it has no place for the conversation")
	}
	if x.plain {
		after = bytes.Replace(after, []byte(`"stream":true`), []byte(`"stream":false`), 1)
	}
	return head, slices.Concat([]byte{']'}, x.more, after), nil
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
	r := bufio.NewReaderSize(&watched{resp.Body, x.watch, mostReply}, 32<<10)
	kind, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	switch {
	case kind == "text/event-stream":
		return &eventReader{r: r, c: resp.Body, watch: x.watch}, nil
	case strings.Contains(kind, "json"):
		return whole(r, resp.Body)
	}
	// Small servers name their streams text/plain, or nothing at all.
	head, _ := r.Peek(1)
	for n := 0; n < mostBlank && len(head) == 1 && (head[0] == '\n' || head[0] == '\r' || head[0] == ' '); n++ {
		_, _ = r.Discard(1) // was peeked at
		head, _ = r.Peek(1)
	}
	switch {
	case kind == "text/html" || len(head) == 0 || !strings.ContainsAny(string(head), "{[d:ei"):
		return nil, &misfitError{fmt.Sprintf("answered with %s", orNothing(kind))}
	case head[0] == '{' || head[0] == '[':
		return whole(r, resp.Body)
	}
	return &eventReader{r: r, c: resp.Body, watch: x.watch}, nil
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
	data, err := io.ReadAll(io.LimitReader(r, mostLine+1))
	switch {
	case err != nil:
		return nil, err
	case len(data) > mostLine:
		return nil, errEndless
	case !json.Valid(data):
		return nil, fmt.Errorf("read the reply: %w", io.ErrUnexpectedEOF)
	}
	if list := []json.RawMessage(nil); json.Unmarshal(data, &list) == nil && len(list) > 0 {
		data = list[0] // Gemini wraps its errors
	}
	var top struct{ Choices, Output, Error json.RawMessage }
	if json.Unmarshal(data, &top) != nil || top.Choices == nil && top.Output == nil && top.Error == nil {
		return nil, &misfitError{"answered with JSON that is neither a completion nor an error"}
	}
	// A line's end cannot stand in a string of JSON. Nothing else is touched: a
	// part of this is to go back as it came.
	for i, b := range data {
		if b == '\n' || b == '\r' {
			data[i] = ' '
		}
	}
	return &eventReader{r: bufio.NewReader(io.MultiReader(strings.NewReader("data: "), bytes.NewReader(data), strings.NewReader("\n"))), c: c}, nil
}

var (
	errEndless = errors.New("the reply is endless")
	errSilent  = errors.New("nothing arrived for too long")
	errLong    = errors.New("the reply took too long")
)

// watched tells whoever waits that bytes arrived, and does not read forever.
type watched struct {
	r     io.Reader
	watch *watcher
	left  int
}

func (w *watched) Read(p []byte) (int, error) {
	n, err := w.r.Read(p)
	if n > 0 {
		w.watch.seen()
	}
	if w.left -= n; w.left < 0 {
		return 0, errEndless
	}
	return n, err
}

// An eventReader leaves of a stream its data lines. The library counts comments
// and blank lines against a limit, mixes them into error events, and swallows
// an error event that it cannot read; this way it sees neither.
type eventReader struct {
	r     *bufio.Reader
	c     io.Closer
	watch *watcher // nil: all is there
	rest  []byte
	err   error
}

func (e *eventReader) Read(p []byte) (int, error) {
	for len(e.rest) == 0 {
		if e.err != nil {
			return 0, e.err
		}
		var line []byte
		if line, e.err = e.line(); e.err != nil && !errors.Is(e.err, io.EOF) {
			return 0, e.err // and not half an event
		}
		e.rest = event(bytes.TrimSpace(line))
	}
	n := copy(p, e.rest)
	e.rest = e.rest[n:]
	return n, nil
}

// line reads a line of a length that is not without bounds.
func (e *eventReader) line() ([]byte, error) {
	var line []byte
	for {
		piece, err := e.r.ReadSlice('\n')
		line = append(line, piece...)
		switch {
		case !errors.Is(err, bufio.ErrBufferFull):
			return line, err
		case len(line) > mostLine:
			return nil, errEndless
		}
	}
}

// Close reads what little may still come after the last event, so that the
// connection can be used for the next request, and does not wait for it.
func (e *eventReader) Close() error {
	if e.err == nil && e.watch != nil {
		e.watch.closes()
		_, _ = io.CopyN(io.Discard, e.r, 4<<10)
	}
	return e.c.Close()
}

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
