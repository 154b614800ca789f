package model

// cacheFields is what tells a provider's cache about a request, as JSON fields that
// the library does not know, each after a comma. They are the same in all
// requests of a loop, and stand behind the conversation: what providers cache is
// the prompt.
//
// OpenAI and Azure route by prompt_cache_key, OpenRouter by session_id; for
// Anthropic's models OpenRouter caches nothing that is not marked, and marks the end of
// each request where the mark stands at the top.
// https://platform.openai.com/docs/guides/prompt-caching
// https://openrouter.ai/docs/guides/best-practices/prompt-caching
func (c *Client) cacheFields(how manner) []byte {
	var more []byte
	if how.keyed && c.key != "" {
		name := `,"prompt_cache_key":`
		if openRouter(c.base) {
			name = `,"session_id":`
		}
		more = quote([]byte(name), c.key)
	}
	if how.marked {
		more = append(more, `,"cache_control":{"type":"ephemeral"}`...)
	}
	return more
}
