package model

import (
	"strings"

	"github.com/autonomous-loop/autonomous-loop/runner/pattern"
)

// sighted are the models whose makers say that they take pictures: OpenAI's from
// gpt-4o on, Anthropic's from Claude 3 on, Gemini's, and open ones that are called
// after it. A model that is not known is shown none: some servers break on a
// picture, others answer as if they had seen it.
var sighted = pattern.MustCompile(`^(gpt-(4o|4\.1|4-turbo|[5-9]|\d\d)|chatgpt-4o|o1($|-\d|-pro)|o3($|-\d|-pro)|o4-mini|claude-(3|opus|sonnet|haiku|[4-9])|gemini-\d|grok-4($|[-.])|llama-?4|pixtral|llava|.*-vl\b|.*\bvl:|.*-vision\b)`)

// deaf are names that look like those and mean something else.
var deaf = pattern.MustCompile(`(^|-)(audio|realtime|transcribe|tts|search|embedding|image)(-|$)`)

// sees says whether a model is shown pictures, by the input images and its name.
func sees(images, name string) bool {
	switch images {
	case "on":
		return true
	case "auto":
		name = strings.ToLower(name[strings.LastIndex(name, "/")+1:]) // OpenRouter and others name the maker first
		return sighted.MatchString(name) && !deaf.MatchString(name)
	}
	return false
}

// Sees says whether the model is shown pictures. It may come to be false: by what
// the provider says to the first.
func (c *Client) Sees() bool { return !c.manner().blind }

// Sees says whether the model that answers, or is asked first, is shown pictures.
// For one that is not they are left out.
func (c *Chain) Sees() bool {
	c.mu.Lock()
	m := c.clients[c.at]
	c.mu.Unlock()
	return m.Sees()
}
