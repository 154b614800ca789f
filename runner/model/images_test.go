package model

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"image"
	"image/color"
	"image/png"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/autonomous-loop/autonomous-loop/runner/agent"
)

// square is a picture of so many pixels a side.
func square(t *testing.T, side int, c color.Color) agent.Image {
	t.Helper()
	m := image.NewRGBA(image.Rect(0, 0, side, side))
	for i := range side * side {
		m.Set(i%side, i/side, c)
	}
	var b bytes.Buffer
	if err := png.Encode(&b, m); err != nil {
		t.Fatal(err)
	}
	return agent.Image{Media: "image/png", Data: b.String(), Width: side, Height: side}
}

// shown is a conversation in which a tool has shown pictures.
func showing(pictures ...agent.Image) agent.Request {
	r := follow(question1, agent.Reply{Calls: []agent.Call{{ID: "a", Name: "shell", Args: "{}"}, {ID: "b", Name: "shell", Args: "{}"}}}, "one", "two")
	r.Messages = append(r.Messages, agent.Message{Role: agent.User, Content: "[harness] Shown.", Images: pictures})
	return r
}

// A strict server takes pictures as both APIs document it, and nowhere else:
// https://platform.openai.com/docs/guides/images-vision (a part of a user's
// message: image_url with an object in chat completions, input_image with a
// text in the Responses API).
func strict(t *testing.T, seen *[]string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var q struct {
			Messages, Input []struct {
				Type, Role string
				Content    json.RawMessage
				Output     json.RawMessage
			}
		}
		if err := json.NewDecoder(r.Body).Decode(&q); err != nil {
			t.Error(err)
		}
		responses := strings.HasSuffix(r.URL.Path, "/responses")
		*seen = nil
		for _, m := range slices.Concat(q.Messages, q.Input) {
			var parts []struct {
				Type, Text string
				Image      json.RawMessage `json:"image_url"`
			}
			if json.Unmarshal(m.Content, &parts) != nil || m.Content == nil {
				continue // text, or the output of a call
			}
			if m.Role != "user" {
				status(400, `{"error":{"message":"Invalid content type for role"}}`)(w, r)
				return
			}
			for _, p := range parts {
				at := ""
				switch {
				case p.Type == "text" && !responses, p.Type == "input_text" && responses:
					continue
				case p.Type == "image_url" && !responses:
					var o struct{ URL string }
					_ = json.Unmarshal(p.Image, &o)
					at = o.URL
				case p.Type == "input_image" && responses:
					_ = json.Unmarshal(p.Image, &at)
				}
				data, ok := strings.CutPrefix(at, "data:image/png;base64,")
				raw, err := base64.StdEncoding.DecodeString(data)
				if _, _, bad := image.Decode(bytes.NewReader(raw)); !ok || err != nil || bad != nil {
					status(400, `{"error":{"message":"Invalid image data"}}`)(w, r)
					return
				}
				*seen = append(*seen, string(raw))
			}
		}
		byPath(good(), stream(oneLine(completed)))(w, r)
	}
}

func TestPicturesAreSent(t *testing.T) {
	overBoth(t, func(t *testing.T, over func(*Options)) {
		var seen []string
		answer := strict(t, &seen)
		p := serve(t, func(w http.ResponseWriter, r *http.Request) { answer(w, r) })
		// The body was read by the server around it.
		p.Config.Handler = answer
		wire := &tap{}
		red, blue := square(t, 40, color.RGBA{255, 0, 0, 255}), square(t, 50, color.RGBA{0, 0, 255, 255})
		c := open(t, p.URL+"/v1", over, func(o *Options) { o.Images, o.Transport = "on", wire })
		r := showing(red, blue)
		if got, err := c.Complete(t.Context(), r); err != nil || got.Content != "hello" {
			t.Fatalf("got %+v, %v", got, err)
		}
		if !slices.Equal(seen, []string{red.Data, blue.Data}) {
			t.Errorf("%d pictures arrived", len(seen))
		}
		r = follow(r, agent.Reply{Content: "I see."})
		r.Messages = append(r.Messages, agent.Message{Role: agent.User, Content: "Go on."})
		if _, err := c.Complete(t.Context(), r); err != nil || len(seen) != 2 {
			t.Fatalf("%v, %d pictures", err, len(seen))
		}
		if before := opened(t, wire.bodies[0]).Messages; !bytes.HasPrefix(opened(t, wire.bodies[1]).Messages, bytes.TrimSuffix(before, []byte("]"))) {
			t.Error("the second request does not begin with the first")
		}
		// Another picture in the same place is another conversation.
		r.Messages = slices.Clone(r.Messages)
		r.Messages[len(showing(red).Messages)-1].Images = []agent.Image{blue}
		if _, err := c.Complete(t.Context(), r); err != nil || !slices.Equal(seen, []string{blue.Data}) {
			t.Errorf("%v, %d pictures", err, len(seen))
		}
	})
}

// What providers that are shown a picture and cannot see say. The words are those of
// https://github.com/vllm-project/vllm (entrypoints/chat_utils.py), llama.cpp's
// server (tools/server), OpenRouter's documentation on images, OpenAI's and
// Groq's errors for models without sight, Mistral's and DeepSeek's validation.
func TestPicturesThatAreRefusedAreLeftOut(t *testing.T) {
	for name, refusal := range map[string]http.HandlerFunc{
		"vLLM":       status(400, `{"error":{"message":"At most 0 image(s) may be provided in one prompt. image input is not supported","type":"BadRequestError","code":400}}`),
		"llama.cpp":  status(500, `{"error":{"code":500,"message":"image input is not supported - hint: if this is unexpected, you may need to provide the mmproj","type":"server_error"}}`),
		"OpenRouter": status(404, `{"error":{"message":"No endpoints found that support image input","code":404}}`),
		"OpenAI":     status(400, `{"error":{"message":"Invalid content type. image_url is only supported by certain models.","type":"invalid_request_error","param":"messages.[5].content.[1].type","code":null}}`),
		"Groq":       status(400, `{"error":{"message":"messages[5].content must be a string","type":"invalid_request_error"}}`),
		"DeepSeek":   status(400, `{"error":{"message":"Failed to deserialize the JSON body into the target type: messages[5]: unknown variant `+"`image_url`, expected `text`"+` at line 1 column 900","type":"invalid_request_error"}}`),
	} {
		t.Run(name, func(t *testing.T) {
			p := serve(t, refusal, good())
			c := open(t, p.URL+"/v1", func(o *Options) { o.Images = "on" })
			for range 2 {
				if got, err := c.Complete(t.Context(), showing(square(t, 40, color.White))); err != nil || got.Content != "hello" {
					t.Fatalf("got %+v, %v", got, err)
				}
			}
			if p.asked() != 3 || !strings.Contains(p.bodies[0], "base64,") || strings.Contains(p.bodies[1]+p.bodies[2], "base64,") || !strings.Contains(p.bodies[2], "pictures are left out") {
				t.Errorf("asked %d times: %.2000s", p.asked(), p.bodies)
			}
			if c.Sees() || NewChain(nil, c.Client).Sees() {
				t.Error("it is said to see all the same")
			}
			known, _ := c.Known()
			if !slices.Contains(known.Refused, "images") {
				t.Errorf("kept %+v", known)
			}
		})
	}
	// Without a picture the same words are about something else.
	p := serve(t, status(400, `{"error":{"message":"Invalid content type. image_url is only supported by certain models."}}`))
	c := open(t, p.URL+"/v1", func(o *Options) { o.Images = "on" })
	if _, err := c.Complete(t.Context(), question1); err == nil || p.asked() != 1 || !c.Sees() {
		t.Errorf("%v after %d requests", err, p.asked())
	}
}

// A model of a chain that is shown none gets the conversation without them.
func TestABlindModelTakesOver(t *testing.T) {
	p := serve(t, good())
	c := open(t, p.URL+"/v1")
	if got, err := c.Complete(t.Context(), showing(square(t, 40, color.White))); err != nil || got.Content != "hello" || strings.Contains(p.bodies[0], "base64") || !strings.Contains(p.bodies[0], `[harness] Shown.\n[pictures are left out`) {
		t.Errorf("%v: %s", err, p.bodies)
	}
}

// A picture's bytes are not text: neither are they charged as if they were, nor is
// a server that counts fewer tokens taken for one that cuts.
func TestPicturesAreCountedByTheirPixels(t *testing.T) {
	noise := square(t, 300, color.White)
	noise.Data += strings.Repeat("\x00", 600_000)
	p := serve(t, stream(says("hello"), stops, done), good())
	c := open(t, p.URL+"/v1", func(o *Options) { o.Images = "on" })
	for range 2 {
		got, err := c.Complete(t.Context(), showing(noise))
		if err != nil || got.Prompt < noise.Tokens() || got.Prompt > 2000 {
			t.Errorf("a prompt of %d tokens, %v", got.Prompt, err)
		}
	}
	if len(c.lines) != 0 {
		t.Errorf("said %q", c.lines)
	}
}

func TestWhoSees(t *testing.T) {
	for name, want := range map[string]bool{
		"gpt-5.2": true, "openai/gpt-4o-mini": true, "gpt-4.1": true, "o3": true, "o4-mini-2025-04-16": true, "gpt-5.1-codex-max": true, "chatgpt-4o-latest": true,
		"claude-opus-4-6": true, "anthropic/claude-3.5-haiku": true, "claude-sonnet-5": true, "gemini-3-pro": true, "google/gemini-2.5-flash:free": true,
		"qwen/qwen2.5-vl-72b-instruct": true, "qwen3-vl:8b": true, "llava": true, "pixtral-large-latest": true, "x-ai/grok-4-fast": true, "meta-llama/llama-4-scout": true,

		"our-deployment": false, "gpt-oss-120b": false, "gpt-3.5-turbo": false, "o3-mini": false, "o1-mini": false, "gpt-4": false, "gpt-4o-audio-preview": false,
		"claude-2.1": false, "deepseek-chat": false, "qwen3-coder": false, "grok-code-fast-1": false, "llama-3.3-70b": false, "script": false, "": false, "devstral": false,
	} {
		if got := sees("auto", name); got != want {
			t.Errorf("%s sees: %v", name, got)
		}
		if !sees("on", name) || sees("off", name) || sees("", name) {
			t.Errorf("%s is not obedient", name)
		}
	}
}

// A camera shows a picture with each read.
type camera struct {
	desk
	picture agent.Image
	blind   atomic.Int32 // calls with nobody to show it to
}

func (c *camera) Use(ctx context.Context, k agent.Call, p agent.Permit) (string, error) {
	if k.Name == "read_file" {
		if p.Show == nil {
			c.blind.Add(1)
			return "a picture", nil
		}
		p.Show(c.picture)
		return "[a picture; it is shown to you after the results]", nil
	}
	return c.desk.Use(ctx, k, p)
}

// Through the agent, over the wire of both APIs: the scripted model expects the
// pictures of two calls after both results.
func TestTheScriptedModelSees(t *testing.T) {
	const script = `
-- add-001/1/tests/1 read_file a.png --
-- add-001/1/tests/1 read_file b.png --
-- add-001/1/tests/2 expect --
Shown with the results above: read_file a.png (40 x 40), read_file b.png (40 x 40).
[image/png,
-- add-001/1/tests/2 shell --
ls
-- add-001/1/tests/3 request_verification --
Red.
`
	overBoth(t, func(t *testing.T, over func(*Options)) {
		for _, images := range []string{"on", "off"} {
			server, err := Script("test", []byte(script))
			if err != nil {
				t.Fatal(err)
			}
			defer server.Close()
			wire := &tap{}
			client := open(t, server.URL, over, func(o *Options) { o.Transport, o.Name, o.Images = wire, "script", images })
			tools := &camera{picture: square(t, 40, color.White)}
			a := agent.Open(agent.Options{Model: client.Client, Sees: client.Sees, Tools: tools})
			_, err = a.Work(t.Context(), work("add-001", "tests"))
			if images == "off" {
				if err == nil || !strings.Contains(err.Error(), "script: add-001/1/tests/2 expected") || tools.blind.Load() != 2 {
					t.Errorf("a model that is shown nothing: %v, %d calls", err, tools.blind.Load())
				}
				continue
			}
			if err != nil || len(wire.bodies) != 3 || tools.blind.Load() != 0 {
				t.Fatalf("%v after %d requests", err, len(wire.bodies))
			}
			for i := 1; i < len(wire.bodies); i++ {
				if before := opened(t, wire.bodies[i-1]).Messages; !bytes.HasPrefix(opened(t, wire.bodies[i]).Messages, bytes.TrimSuffix(before, []byte("]"))) {
					t.Errorf("request %d does not begin with the one before", i+1)
				}
			}
		}
	})
}
