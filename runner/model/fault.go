package model

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/autonomous-loop/autonomous-loop/runner/pattern"

	"github.com/autonomous-loop/autonomous-loop/runner"
)

// A kind of fault says what can be done about it.
type kind int

const (
	cut     kind = iota + 1 // the reply ended before it was over: ask again
	busy                    // the provider wants us to wait
	broken                  // the provider or the way to it fails: ask again later
	money                   // the account is empty
	keyless                 // 401
	barred                  // 403
	nowhere                 // 404: no such model
	misfit                  // not an endpoint of this protocol
	over                    // the conversation is too long for the model
	refused                 // 400 and its like: the request is wrong, and would be again
)

// A fault is one request that brought no reply.
type fault struct {
	kind  kind
	text  string        // for people, clean
	hint  time.Duration // the provider asks to wait so long; 0: it does not say
	until time.Time     // the same as a time

	loaded    bool // busy for everybody, not for us alone
	unreached bool // broken before anything answered
	filtered  bool // refused for what the conversation holds: for the agent to hear, like a filtered reply
}

// said is what a provider wrote about an error.
type said struct {
	code, typ, message string
	relayed            string // what another provider behind it said
	header             map[string]json.RawMessage
	retry              time.Duration
}

// fault judges the end of one request; nil means that the reply is whole.
func (c *Client) fault(x *exchange, finish string, err error) *fault {
	f := fault{}
	var inside *saidError
	var misses *misfitError
	switch {
	case finish == "error": // OpenRouter's word for it
		f.kind, f.text = cut, "the provider broke the reply off"
		if errors.As(err, &inside) {
			f = judge(0, x.header, readSaid(inside.raw), c.now())
		}
	case err != nil && finish != "" && !errors.As(err, &inside):
		return nil // the line went down after the reply was complete
	case errors.As(err, &misses):
		f.kind, f.text = misfit, misses.what
	case errors.As(err, &inside):
		f = judge(0, x.header, readSaid(inside.raw), c.now())
	case x.status != 0 && x.status != http.StatusOK:
		f = judge(x.status, x.header, readSaid(x.body), c.now())
		if x.status < 500 && (web(x) || f.kind == nowhere && !json.Valid(x.body)) && f.kind != busy {
			f.kind, f.text = misfit, fmt.Sprintf("answered with HTTP %d and no word of the protocol", x.status)
		}
	case err != nil && x.status == 0 && x.sent == 0:
		f.kind, f.text = refused, err.Error() // it never left
	case err != nil && x.status == 0:
		f.kind, f.text, f.unreached = broken, err.Error(), !errors.Is(err, errSilent)
		if !f.unreached {
			f.text = "no answer"
		}
	case err != nil:
		f.kind, f.text = cut, "the reply was cut: "+err.Error()
	case finish == "":
		f.kind, f.text = cut, "the reply was cut: it ended without a finish reason"
	default:
		return nil
	}
	f.text = c.clean(f.text)
	return &f
}

// web says whether an error came from something that is not an API: a web
// server, a portal, a proxy.
func web(x *exchange) bool {
	return strings.Contains(x.header.Get("Content-Type"), "html") || bytes.HasPrefix(bytes.TrimSpace(x.body), []byte("<"))
}

var (
	moneyCodes  = pattern.MustCompile(`(?i)^(insufficient_quota|billing_\w+|credit_balance\w*|insufficient_(credits?|balance|funds)|\w*spend_limit\w*|payment_required)$`)
	moneyText   = pattern.MustCompile(`(?i)credit balance|insufficient (quota|credit|balance|funds)|exceeded your current quota|spend(ing)? limit|out of credits|more credits|billing hard limit`)
	overCodes   = pattern.MustCompile(`(?i)^(context_length_exceeded|exceed_context_size_error|request_too_large|string_above_max_length)$`)
	overText    = pattern.MustCompile(`(?i)maximum context|context.?(length|window|size)|too many (input )?tokens|prompt is too long|input is too long|token count .*exceeds`)
	busyCodes   = pattern.MustCompile(`(?i)^(rate_limit\w*|too_many_requests|resource_exhausted|overloaded\w*|429|503|529)$`)
	filterCode  = pattern.MustCompile(`(?i)^(content_filter|content_policy_violation|invalid_prompt)$`)
	wrongCodes  = pattern.MustCompile(`(?i)^(invalid_request(_error)?|unsupported_\w+|BadRequestError)$`)
	keyText     = pattern.MustCompile(`(?i)api.?key (is )?(not valid|invalid|expired)|API_KEY_INVALID`)
	setupText   = pattern.MustCompile(`--jinja|--enable-auto-tool-choice`) // a server that was started without tools
	modelText   = pattern.MustCompile(`(?i)model.*(not found|not exist|unknown|retired|deprecated|decommissioned|discontinued|no longer (available|supported))|unknown model|no such model|model_not_found`)
	loadedCodes = pattern.MustCompile(`(?i)^(overloaded\w*|503|529)$`)
)

// judge finds the kind of an error that the provider sent. status is 0 for one
// inside a stream, which may carry a status as its code.
func judge(status int, header http.Header, s said, now time.Time) fault {
	f := fault{text: s.words(status)}
	word := func(re *pattern.Regexp) bool { return re.MatchString(s.code) || re.MatchString(s.typ) }
	inside := status == 0
	if n, err := strconv.Atoi(s.code); err == nil && inside && n >= 400 && n < 600 {
		status = n
	}
	if f.hint = hint(status, s.headers(header), s, now); f.hint > 0 {
		f.until = now.Add(f.hint)
	}
	// Gemini says "current quota" and "billing" of limits that last seconds,
	// and names the seconds. A provider behind the provider speaks of an account
	// that is not ours.
	poor := word(moneyCodes) || moneyText.MatchString(s.message) && (status != 429 || f.hint == 0)
	long := word(overCodes) || overText.MatchString(s.message) || overText.MatchString(s.relayed)
	switch {
	case s.code == scriptCode:
		f.kind = refused // whatever its words look like
	case status == 402 || poor && status < 500:
		f.kind = money
	case long && (status == 0 || status == 400 || status == 422), status == 413:
		f.kind = over
	case status == 429 || status == 529 || status == 503 && f.hint > 0, inside && word(busyCodes):
		f.kind, f.loaded = busy, status >= 500 || word(loadedCodes)
	case status == 401 || status == 400 && keyText.MatchString(s.message): // Gemini's is a 400
		f.kind = keyless
	case status == 403:
		f.kind = barred
	case status == 404 || status == 410 || status == 400 && (s.code == "model_not_found" || modelText.MatchString(s.message)):
		f.kind = nowhere
	case word(filterCode) && status < 500:
		f.kind, f.filtered = refused, true
	case inside && status == 0 && word(wrongCodes), setupText.MatchString(s.message):
		f.kind = refused
	case status == 408 || status == 409 || status == 425 || status >= 500 || status == 0:
		f.kind = broken
	case status >= 300 && status < 400, status == 405:
		f.kind = misfit
	default:
		f.kind = refused
	}
	return f
}

// down says that the model does not answer and another one may: not that the
// account, the key or the request is at fault, nor that nothing could be reached
// at all.
func (f fault) down() bool {
	return f.kind == broken && !f.unreached || f.kind == cut || f.kind == nowhere || f.kind == busy && f.loaded
}

// words is the error in a line.
func (s said) words(status int) string {
	var b strings.Builder
	if status != 0 {
		fmt.Fprintf(&b, "HTTP %d", status)
		if t := http.StatusText(status); t != "" {
			b.WriteString(" " + t)
		}
	} else {
		b.WriteString("an error inside the reply")
	}
	if s.message != "" {
		b.WriteString(": " + s.message)
	}
	if s.relayed != "" {
		b.WriteString(": " + s.relayed)
	}
	if s.code != "" && !strings.Contains(s.message, s.code) {
		b.WriteString(" (" + s.code + ")")
	}
	return b.String()
}

// readSaid reads an error in the shapes that providers give it: an object, an
// object in an array, a text, or the fields without the object around them.
func readSaid(body []byte) said {
	body = bytes.TrimSpace(body)
	var list []json.RawMessage
	if json.Unmarshal(body, &list) == nil && len(list) > 0 {
		return readSaid(list[0])
	}
	var o struct {
		Error   json.RawMessage `json:"error"`
		Message json.RawMessage `json:"message"`
		Detail  json.RawMessage `json:"detail"`
		Type    json.RawMessage `json:"type"`
		Status  json.RawMessage `json:"status"`
		Code    json.RawMessage `json:"code"`
		Details json.RawMessage `json:"details"`

		Metadata json.RawMessage `json:"metadata"`
	}
	if json.Unmarshal(body, &o) != nil {
		var s string
		if json.Unmarshal(body, &s) != nil && len(body) > 0 && body[0] != '<' {
			s = string(body)
		}
		return said{message: s}
	}
	if e := bytes.TrimSpace(o.Error); len(e) > 0 && string(e) != "null" {
		s := readSaid(e)
		if s.message == "" {
			s.message = text(o.Message)
		}
		return s
	}
	s := said{code: text(o.Code), typ: text(o.Type), message: text(o.Message)}
	if s.message == "" && len(o.Detail) > 0 {
		if s.message = text(o.Detail); s.message == "" {
			s.message = string(o.Detail)
		}
	}
	if st := text(o.Status); s.typ == "" {
		s.typ = st
	}
	return s.detailed(o.Details).passedOn(o.Metadata)
}

// passedOn reads what OpenRouter has from the provider behind it: headers, and
// the error in that one's words.
func (s said) passedOn(metadata json.RawMessage) said {
	var m struct {
		Headers map[string]json.RawMessage `json:"headers"`
		Raw     json.RawMessage            `json:"raw"`
	}
	if json.Unmarshal(metadata, &m) != nil {
		return s
	}
	s.header = m.Headers
	raw := []byte(m.Raw)
	if t := text(m.Raw); t != "" {
		raw = []byte(t) // the error as a text, which may hold JSON
	}
	if len(raw) == 0 || string(raw) == "null" {
		return s
	}
	inner := readSaid(raw)
	s.relayed, s.retry = cmp.Or(inner.message, inner.relayed), max(s.retry, inner.retry)
	if code := cmp.Or(inner.code, inner.typ); overCodes.MatchString(code) || filterCode.MatchString(code) {
		s.typ = code
	}
	return s
}

// headers are those of the answer, and those that were passed on.
func (s said) headers(own http.Header) http.Header {
	if len(s.header) == 0 {
		return own
	}
	all := http.Header{}
	for name, raw := range s.header {
		all.Set(name, text(raw))
	}
	maps.Copy(all, own)
	return all
}

// detailed reads what hides in the details: Google's delay, Anthropic's code.
func (s said) detailed(raw json.RawMessage) said {
	var one struct {
		Code  string `json:"error_code"`
		Delay string `json:"retryDelay"`
	}
	var list []json.RawMessage
	if json.Unmarshal(raw, &list) != nil && len(raw) > 0 {
		list = []json.RawMessage{raw}
	}
	for _, d := range list {
		if json.Unmarshal(d, &one) != nil {
			continue
		}
		if delay, err := time.ParseDuration(one.Delay); err == nil {
			s.retry = delay
		}
		if one.Code != "" {
			s.code = one.Code
		}
	}
	return s
}

// stop is the error that f ends the call with, in words that say what to do.
func (c *Client) stop(f fault) error {
	because := func(r runner.Reason, format string, args ...any) error {
		return &runner.StopError{Reason: r, Err: fmt.Errorf("ask %s: "+format, append([]any{c.name}, args...)...), Until: f.until}
	}
	switch f.kind {
	case busy:
		return because(runner.RateLimit, "%s", f.text)
	case money:
		f.until = time.Time{} // no waiting mends it
		return because(runner.Paused, "%s; the account has no credit or has met its spending limit: top it up, then start the loop again", f.text)
	case keyless:
		return because(runner.Paused, "%s; mend the input api-key: %s does not accept it", f.text, c.base.Host)
	case barred:
		return because(runner.Paused, "%s; the input api-key may not use this model: give the key the right, or mend the input model", f.text)
	case nowhere:
		return because(runner.Paused, "%s; mend the input model (or base-url): %s does not know %s", f.text, c.base.Host, c.name)
	case misfit:
		return because(runner.Paused, "base-url %s is not an OpenAI-compatible endpoint: %s; mend the input base-url (it often ends in /v1), and look for a proxy or login page in between", c.base, f.text)
	case over:
		return because(runner.ContextLimit, "the conversation is too long for the model: %s", f.text)
	case broken, cut:
		return because(runner.Paused, "%s; the provider did not recover, start the loop again later", f.text)
	case refused:
		return fmt.Errorf("ask %s: %s%s", c.name, f.text, advice(f.text))
	default:
		panic("model: fault without a kind")
	}
}

// advice says what to do about a refusal that is known.
func advice(text string) string {
	if wantsResponses.MatchString(text) || strings.Contains(text, "reasoning_effort") {
		return "; set the input api to auto, or the input reasoning-effort to none"
	}
	return ""
}
