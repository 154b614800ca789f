package tool

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"image"
	"image/color"
	"image/gif"
	"image/jpeg"
	"image/png"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/autonomous-loop/autonomous-loop/runner/agent"
)

// flag is a picture whose left half is red and whose right half is not there.
func flag(w, h int) *image.NRGBA {
	m := image.NewNRGBA(image.Rect(0, 0, w, h))
	for y := range h {
		for x := range w / 2 {
			m.SetNRGBA(x, y, color.NRGBA{200, 0, 0, 255})
		}
	}
	return m
}

func noise(w, h int) *image.NRGBA {
	m := image.NewNRGBA(image.Rect(0, 0, w, h))
	r := rand.New(rand.NewPCG(1, 2))
	for i := range m.Pix {
		m.Pix[i] = byte(r.Uint32()) | byte(i&3/3*255) // opaque
	}
	return m
}

func asPNG(m image.Image) string {
	var b bytes.Buffer
	if err := png.Encode(&b, m); err != nil {
		panic(err)
	}
	return b.String()
}

func asJPEG(m image.Image) string {
	var b bytes.Buffer
	if err := jpeg.Encode(&b, m, nil); err != nil {
		panic(err)
	}
	return b.String()
}

func asGIF(m image.Image) string {
	var b bytes.Buffer
	if err := gif.Encode(&b, m, nil); err != nil {
		panic(err)
	}
	return b.String()
}

// bomb is a PNG that says it has so many pixels.
func bomb(w, h int) string {
	raw := []byte(asPNG(flag(2, 2)))
	binary.BigEndian.PutUint32(raw[16:], uint32(w))
	binary.BigEndian.PutUint32(raw[20:], uint32(h))
	binary.BigEndian.PutUint32(raw[29:], crc32.ChecksumIEEE(raw[12:29]))
	return string(raw)
}

// riff is the beginning of a WebP file with one chunk.
func riff(kind string, chunk ...byte) string {
	body := "WEBP" + kind + "\x20\x00\x00\x00" + string(chunk) + strings.Repeat("\x00", 40)
	return "RIFF" + string(binary.LittleEndian.AppendUint32(nil, uint32(len(body)))) + body
}

func TestPicture(t *testing.T) {
	small := asPNG(flag(40, 30))
	lossy := riff("VP8 ", 0, 0, 0, 0x9d, 0x01, 0x2a, 0x40, 0x01, 0xf0, 0x00)
	for name, c := range map[string]struct {
		data  string
		media string // of what is shown
		size  string
		says  string // of an error
	}{
		"a small PNG, as it is":         {small, "image/png", "40x30", ""},
		"a small JPEG, as it is":        {asJPEG(flag(40, 30)), "image/jpeg", "40x30", ""},
		"a GIF":                         {asGIF(flag(40, 30)), "image/png", "40x30", ""},
		"a wide one":                    {asPNG(flag(4000, 100)), "image/png", "1568x39", ""},
		"a tall page":                   {asPNG(flag(1280, 4000)), "image/png", "501x1568", ""},
		"a line":                        {asPNG(flag(4000, 1)), "image/png", "1568x1", ""},
		"more bytes than pixels":        {asPNG(noise(1000, 1000)), "image/jpeg", "1000x1000", ""},
		"WebP, lossy":                   {lossy, "image/webp", "320x240", ""},
		"WebP, lossless":                {riff("VP8L", 0x2f, 0x3f, 0xc1, 0x3b, 0x00), "image/webp", "320x240", ""},
		"WebP, extended":                {riff("VP8X", 0, 0, 0, 0, 0x3f, 0x01, 0, 0xef, 0, 0), "image/webp", "320x240", ""},
		"a large WebP":                  {riff("VP8X", 0, 0, 0, 0, 0xff, 0x1f, 0, 0xef, 0, 0), "", "", "convert it to PNG or JPEG"},
		"a WebP of nothing":             {riff("VPJK"), "", "", "is not known"},
		"a WebP that is cut":            {lossy[:20], "", "", "cut off"},
		"text":                          {"<svg xmlns='http://www.w3.org/2000/svg'/>", "", "", "not a picture in PNG, JPEG, GIF or WebP"},
		"nothing":                       {"", "", "", "not a picture"},
		"a PNG that is cut":             {asPNG(flag(2000, 100))[:60], "", "", "cannot be read as image/png"},
		"a PNG that says it is huge":    {bomb(60_000, 60_000), "", "", "60000 x 60000 pixels; at most 16 million"},
		"a PNG that overflows":          {bomb(1<<31-1, 1<<31-1), "", "", "dimension overflow"},
		"a PNG of no pixels":            {bomb(0, 5), "", "", "image/png"},
		"a JPEG of many passes":         {asJPEG(flag(4000, 100)) + strings.Repeat("\xff\xda\x00\x08\x01\x01\x00\x00\x3f\x00", mostScans+1), "", "", "passes"},
		"more noise than can be packed": {asPNG(noise(1568, 1568)), "", "", "too large to be shown"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := picture([]byte(c.data))
			if c.says != "" {
				if err == nil || !strings.Contains(err.Error(), c.says) || got.Data != "" {
					t.Fatalf("got %v, %s of %d bytes", err, got.Media, len(got.Data))
				}
				return
			}
			if err != nil || got.Media != c.media || fmt.Sprintf("%dx%d", got.Width, got.Height) != c.size || len(got.Data) > mostBytes || got.Tokens() > 3500 {
				t.Fatalf("got %v, %s of %dx%d, %d bytes", err, got.Media, got.Width, got.Height, len(got.Data))
			}
			if got.Media == "image/webp" {
				return
			}
			conf, kind, err := image.DecodeConfig(strings.NewReader(got.Data))
			if err != nil || "image/"+kind != got.Media || conf.Width != got.Width || conf.Height != got.Height {
				t.Errorf("what is shown is %s, %+v, %v", kind, conf, err)
			}
		})
	}
	if got, _ := picture([]byte(small)); got.Data != small {
		t.Error("a small one was touched")
	}
	got, err := picture([]byte(asPNG(flag(4000, 200))))
	if err != nil {
		t.Fatal(err)
	}
	m, err := png.Decode(strings.NewReader(got.Data))
	if err != nil {
		t.Fatal(err)
	}
	left, right := color.RGBAModel.Convert(m.At(100, 20)), color.RGBAModel.Convert(m.At(1400, 20))
	if left != (color.RGBA{200, 0, 0, 255}) || right != (color.RGBA{255, 255, 255, 255}) {
		t.Errorf("scaled to %v and %v", left, right)
	}
}

// A picture goes to a model that sees, and is a binary file for one that does not.
func TestPicturesOfTheTree(t *testing.T) {
	b := open(t, map[string]string{
		"logo.png": asPNG(flag(40, 30)), "page.JPG": asJPEG(flag(400, 300)), "not.png": "\x00 text", "icon.svg": "<svg/>\n", "big.png": strings.Repeat("\x00", mostFile+1),
	})
	var shown []agent.Image
	sees := agent.Permit{Phase: "implement", Show: func(i agent.Image) { shown = append(shown, i) }}
	read := func(path string, p agent.Permit) string {
		args, err := json.Marshal(map[string]string{"path": path})
		if err != nil {
			t.Fatal(err)
		}
		text, err := b.Use(t.Context(), agent.Call{Name: "read_file", Args: string(args)}, p)
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	has(t, read("logo.png", sees), "[image/png of 40 x 30 pixels, ", "shown to you")
	has(t, read("page.JPG", sees), "[image/jpeg of 400 x 300 pixels, ")
	has(t, read("icon.svg", sees), "1\t<svg/>")
	has(t, read("not.png", sees), agent.Failed, "not.png, a file of 6 bytes, is not shown: not a picture")
	has(t, read("big.png", sees), agent.Failed, "make it smaller")
	has(t, read("gone.png", sees), agent.Failed, "gone.png")
	has(t, read("../out.png", sees), agent.Failed, "leads out of the project")
	if len(shown) != 2 || shown[0].Width != 40 || shown[1].Media != "image/jpeg" {
		t.Errorf("%d pictures were shown", len(shown))
	}
	has(t, read("logo.png", agent.Permit{Phase: "implement"}), agent.Failed, "is a binary file of")
	if err := os.Symlink("/etc/hostname", filepath.Join(b.o.Dir, "link.png")); err != nil {
		t.Fatal(err)
	}
	has(t, read("link.png", sees), agent.Failed)
}

func TestScreenshotsAreShown(t *testing.T) {
	p := page{shot: []byte(asPNG(flag(1280, 2000)))}
	b := open(t, nil, withPage(&p))
	var shown []agent.Image
	sees := agent.Permit{Show: func(i agent.Image) { shown = append(shown, i) }}
	act := func(args string, p agent.Permit) string {
		text, err := b.Use(t.Context(), agent.Call{Name: "browser", Args: args}, p)
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	act(`{"action":"open","url":"/a"}`, sees)
	has(t, act(`{"action":"screenshot"}`, sees), "page of", "[image/png of 1003 x 1568 pixels, ")
	if got := act(`{"action":"screenshot"}`, agent.Permit{}); strings.Contains(got, "image/png") || len(shown) != 1 {
		t.Errorf("%q, %d shown", got, len(shown))
	}
	p.shot = []byte("not a picture")
	has(t, act(`{"action":"screenshot"}`, sees), "page of", "the picture is not shown: not a picture")
}

// Whatever a file holds, it is refused, or shown within the limits.
func FuzzPicture(f *testing.F) {
	for _, s := range []string{asPNG(flag(9, 7)), asJPEG(flag(9, 7)), asGIF(flag(9, 7)), asPNG(flag(1600, 2)), bomb(5, 60_000), riff("VP8X", 0, 0, 0, 0, 0x3f, 0x01, 0, 0xef, 0, 0)} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		got, err := picture(data)
		if err != nil {
			return
		}
		if max(got.Width, got.Height) > mostSide || min(got.Width, got.Height) < 1 || len(got.Data) > mostBytes || got.Data == "" || got.Media == "image/gif" {
			t.Errorf("%s of %d x %d, %d bytes", got.Media, got.Width, got.Height, len(got.Data))
		}
	})
}
