package model

import (
	"fmt"
	"net/url"
	"strings"

	"github.com/autonomous-loop/autonomous-loop/runner/pattern"
)

// An API is one of the two that OpenAI's protocol has.
type API string

// The values of the input api. Auto finds out: see [firstManner] and
// [manner.mend].
const (
	Auto      API = "auto"
	Chat      API = "chat"
	Responses API = "responses"
)

// A manner is how this endpoint wants to be asked. It begins as what is known of
// the host and the model, and is mended by what the provider refuses, once for
// the client's life.
type manner struct {
	auto      bool // nobody has said which API
	responses bool // the Responses API, not chat completions
	turned    bool // the API was changed once, and is not again
	newer     bool // the output limit is called max_completion_tokens
	open      bool // it is not known under that name, and the library knows no other for this model
	usage     bool // usage in a stream has to be asked for
	sealed    bool // reasoning can be had encrypted
	bare      bool // what came with a reply is not wanted back
	keyed     bool // it knows which requests belong together by prompt_cache_key, or session_id
	marked    bool // what is to be cached has to be marked
	blind     bool // pictures are left out
}

// firstManner is what can be known before the first request.
func firstManner(api API, name, effort string, base *url.URL) (manner, error) {
	m := manner{newer: takesNewer(name, base), usage: true, sealed: true, blind: true}
	m.keyed = openAI(base) || openRouter(base)
	m.marked = openRouter(base) && strings.HasPrefix(name, "anthropic/") // the others there cache by themselves
	switch api {
	case "", Auto:
		m.auto = true
		m.responses = openAI(base) && (onlyResponses.MatchString(name) || toolsInResponses.MatchString(name) && effort != "none")
	case Chat:
	case Responses:
		m.responses = true
	default:
		return m, fmt.Errorf("input api: %q is not auto, chat or responses", api)
	}
	return m, nil
}

// Models of OpenAI's that chat completions do not know at all, and those that
// use no tools there unless they do not reason.
var (
	onlyResponses    = pattern.MustCompile(`^(gpt-\d[\d.]*(-[a-z]+)*-(codex|pro)\b|gpt-\d[\d.]*-(codex|pro)\b|codex-|o\d+-pro\b|o\d+(-mini)?-deep-research)`)
	toolsInResponses = pattern.MustCompile(`^gpt-(5\.([4-9]|\d\d)|[6-9]|\d\d)`)
)

// suffix is the API's path.
func (m manner) suffix() string {
	if m.responses {
		return "/responses"
	}
	return "/chat/completions"
}

// openAI says whether the endpoint is OpenAI's own, or Azure's.
func openAI(base *url.URL) bool {
	host := base.Hostname()
	return host == "api.openai.com" || azure(host)
}

func openRouter(base *url.URL) bool { return base.Hostname() == "openrouter.ai" }

func azure(host string) bool {
	return strings.HasSuffix(host, ".openai.azure.com") || strings.HasSuffix(host, ".services.ai.azure.com") || strings.HasSuffix(host, ".cognitiveservices.azure.com")
}

// takesNewer says whether the output limit is called max_completion_tokens.
// OpenAI's reasoning models refuse the old name (and so does the library, by
// the model's name); most other servers know the old one only.
func takesNewer(name string, base *url.URL) bool {
	for _, p := range []string{"o1", "o3", "o4", "gpt-5", "gpt-6"} {
		if strings.HasPrefix(name, p) {
			return true
		}
	}
	return openAI(base)
}

// What providers say of a request that would be right in another form.
var (
	wantsResponses = pattern.MustCompile(`(?i)v1/responses|responses api`)
	wantsNewer     = pattern.MustCompile(`(?i)max_tokens.*max_completion_tokens`)
	knowsNoNewer   = pattern.MustCompile(`(?i)(unrecognized|unknown|unsupported|unexpected|extra|not permitted|not allowed).*max_completion_tokens|max_completion_tokens.*(unrecognized|unknown|unsupported|unexpected|extra|not permitted|not allowed)`)
	knowsNoUsage   = pattern.MustCompile(`(?i)stream_options`)
	knowsNoSeal    = pattern.MustCompile(`(?i)encrypted.content is not supported|(unknown|unsupported|invalid|not supported|unrecognized).*\binclude\b|\binclude\b.*(unknown|unsupported|invalid|not supported|unrecognized)`)
	wantsNoEcho    = pattern.MustCompile(`(?i)(reasoning(_content|_details)?|extra_content|provider_specific_fields|encrypted.content)\b.*(unsupported|not supported|not permitted|unexpected|unknown|unrecognized|extra|could not be (verified|decrypted)|not issued)|(unsupported|not supported|not permitted|unexpected|unknown|unrecognized|extra)\b.*(reasoning(_content|_details)?|extra_content)\b|invalid_encrypted_content`)
	knowsNoKey     = pattern.MustCompile(`(?i)prompt_cache_key|session_id`)
	knowsNoMark    = pattern.MustCompile(`(?i)cache_control`)
	seesNothing    = pattern.MustCompile(`(?i)\b(image|images|image_url|input_image|vision|multimodal|multi-modal)\b.*(not support|unsupported|not available|not allowed|not enabled|disabled|no endpoints|cannot|can't|invalid|unknown|unexpected)|(not support|unsupported|no endpoints|cannot|can't|invalid|unknown|unexpected)\b.*\b(image|images|image_url|input_image|vision|multimodal)\b|must be a string|text.?only`)
	wantsEcho      = pattern.MustCompile(`(?i)missing|must be (passed|echoed|sent)|required`)
)

// mend is the manner after f, which a request in the manner m met with, and what
// was learned, "" if nothing. echoed says that the request held what had
// come with a reply, pictured that it held pictures.
func (m manner) mend(f fault, echoed, pictured bool) (manner, string) {
	switch {
	case pictured && !m.blind && (f.kind == refused || f.kind == nowhere || f.kind == broken) && seesNothing.MatchString(f.text):
		m.blind = true // OpenRouter finds no endpoint then (404), some servers break
		return m, "pictures are left out from now on"
	case m.auto && !m.turned && !m.responses && (f.kind == refused || f.kind == nowhere) && wantsResponses.MatchString(f.text):
		m.responses, m.turned = true, true
		return m, "it is asked through the Responses API from now on"
	case m.auto && !m.turned && m.responses && (f.kind == misfit || f.kind == nowhere) && !modelText.MatchString(f.text):
		m.responses, m.turned = false, true
		return m, "it is asked through chat completions from now on"
	case f.kind != refused:
		return m, ""
	case !m.responses && !m.newer && wantsNewer.MatchString(f.text):
		m.newer = true
		return m, "the output limit is called max_completion_tokens from now on"
	case !m.responses && m.newer && !m.open && knowsNoNewer.MatchString(f.text) && !wantsNewer.MatchString(f.text):
		m.open = true
		return m, "no output limit is sent from now on"
	case m.keyed && knowsNoKey.MatchString(f.text):
		m.keyed = false
		return m, "no cache key is sent from now on"
	case m.marked && knowsNoMark.MatchString(f.text):
		m.marked = false
		return m, "nothing is marked for its cache from now on"
	case !m.responses && m.usage && knowsNoUsage.MatchString(f.text):
		m.usage = false
		return m, "usage is no longer asked for"
	case m.responses && m.sealed && knowsNoSeal.MatchString(f.text):
		m.sealed = false
		return m, "encrypted reasoning is no longer asked for"
	case !m.bare && echoed && wantsNoEcho.MatchString(f.text) && !wantsEcho.MatchString(f.text):
		m.bare = true
		return m, "what comes with its replies is no longer sent back"
	}
	return m, ""
}
