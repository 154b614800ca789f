package tool

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"image"
	"image/draw"
	_ "image/gif" // is decoded, and sent as PNG: not all providers take it
	"image/jpeg"
	"image/png"
	"net/http"
	"slices"

	"github.com/autonomous-loop/autonomous-loop/runner/agent"
)

// What of a picture is shown to a model. Providers make larger ones smaller
// themselves, and charge for it by pixels.
const (
	mostSide   = 1568       // pixels; what is larger is scaled down
	mostBytes  = 1 << 20    // of the file as it is sent
	mostPixels = 16_000_000 // of the file as it is: what it unpacks to
	mostFile   = 16 << 20   // of the file as it is
	mostScans  = 100        // of a JPEG: each goes over all pixels once more
)

var media = []string{"image/png", "image/jpeg", "image/gif", "image/webp"}

// picture makes data, which a page or a file holds, fit to be shown. An error is
// for the model to read.
func picture(data []byte) (agent.Image, error) {
	kind := http.DetectContentType(data)
	if !slices.Contains(media, kind) {
		return agent.Image{}, errors.New("not a picture in PNG, JPEG, GIF or WebP")
	}
	var conf image.Config
	var err error
	if kind == "image/webp" {
		conf.Width, conf.Height, err = webp(data)
	} else {
		conf, _, err = image.DecodeConfig(bytes.NewReader(data))
	}
	switch {
	case err != nil:
		return agent.Image{}, fmt.Errorf("it cannot be read as %s: %w", kind, err)
	case conf.Width < 1 || conf.Height < 1 || conf.Width > mostPixels/conf.Height:
		return agent.Image{}, fmt.Errorf("it has %d x %d pixels; at most %d million are shown", conf.Width, conf.Height, mostPixels/1_000_000)
	case max(conf.Width, conf.Height) <= mostSide && len(data) <= mostBytes && kind != "image/gif":
		return agent.Image{Media: kind, Data: string(data), Width: conf.Width, Height: conf.Height}, nil
	case kind == "image/webp":
		return agent.Image{}, fmt.Errorf("WebP is shown up to %d pixels a side and %s, and it has %d x %d and %s: convert it to PNG or JPEG", mostSide, bytesOf(mostBytes), conf.Width, conf.Height, bytesOf(int64(len(data))))
	}
	if n := bytes.Count(data, []byte{0xff, 0xda}); kind == "image/jpeg" && n > mostScans {
		return agent.Image{}, fmt.Errorf("it is drawn in %d passes, which takes too long", n)
	}
	full, _, err := image.Decode(bytes.NewReader(data))
	if err != nil {
		return agent.Image{}, fmt.Errorf("it cannot be read as %s: %w", kind, err)
	}
	return packed(scaled(full, mostSide))
}

// packed is a picture as PNG, or as JPEG where that is too large.
func packed(m image.Image) (agent.Image, error) {
	out := agent.Image{Media: "image/png", Width: m.Bounds().Dx(), Height: m.Bounds().Dy()}
	var b bytes.Buffer
	if err := png.Encode(&b, m); err != nil {
		return out, err
	}
	for _, quality := range []int{85, 60} {
		if b.Len() <= mostBytes {
			break
		}
		b.Reset()
		out.Media = "image/jpeg"
		if err := jpeg.Encode(&b, m, &jpeg.Options{Quality: quality}); err != nil {
			return out, err
		}
	}
	if b.Len() > mostBytes {
		return out, fmt.Errorf("it is too large to be shown: %s, where %s are", bytesOf(int64(b.Len())), bytesOf(mostBytes))
	}
	out.Data = b.String()
	return out, nil
}

// scaled is m with neither side longer than most pixels: each of its pixels is
// the mean of those it stands for. What is transparent becomes white, as pages are.
func scaled(m image.Image, most int) image.Image {
	from := m.Bounds()
	w, h := from.Dx(), from.Dy()
	long := max(w, h, most)
	out := image.NewRGBA(image.Rect(0, 0, max(1, w*most/long), max(1, h*most/long)))
	for y := range out.Rect.Dy() {
		top, bottom := stretch(y, out.Rect.Dy(), h)
		strip := image.NewRGBA(image.Rect(0, 0, w, bottom-top))
		draw.Draw(strip, strip.Rect, image.White, image.Point{}, draw.Src)
		draw.Draw(strip, strip.Rect, m, from.Min.Add(image.Pt(0, top)), draw.Over)
		for x := range out.Rect.Dx() {
			left, right := stretch(x, out.Rect.Dx(), w)
			var sum [3]int
			for v := range bottom - top {
				for i := strip.PixOffset(left, v); i < strip.PixOffset(right, v); i += 4 {
					for c := range sum {
						sum[c] += int(strip.Pix[i+c])
					}
				}
			}
			at, n := out.PixOffset(x, y), (bottom-top)*(right-left)
			out.Pix[at+3] = 0xff
			for c := range sum {
				out.Pix[at+c] = byte(sum[c] / n) //nolint:gosec // the mean of bytes
			}
		}
	}
	return out
}

// stretch is which of the from pixels the i-th of to pixels stands for.
func stretch(i, to, from int) (first, end int) {
	first = i * from / to
	return first, max((i+1)*from/to, first+1)
}

// webp reads how large a WebP file is. The standard library does not know the
// format. https://developers.google.com/speed/webp/docs/riff_container
func webp(data []byte) (width, height int, err error) {
	if len(data) < 30 {
		return 0, 0, errors.New("it is cut off")
	}
	three := func(at int) int { return int(data[at]) | int(data[at+1])<<8 | int(data[at+2])<<16 }
	switch string(data[12:16]) {
	case "VP8X":
		return 1 + three(24), 1 + three(27), nil
	case "VP8L":
		bits := binary.LittleEndian.Uint32(data[21:])
		return 1 + int(bits&0x3fff), 1 + int(bits>>14&0x3fff), nil
	case "VP8 ":
		return int(binary.LittleEndian.Uint16(data[26:]) & 0x3fff), int(binary.LittleEndian.Uint16(data[28:]) & 0x3fff), nil
	}
	return 0, 0, errors.New("what is in it is not known")
}

// look shows the model a picture of the work tree.
func (b *Box) look(p agent.Permit, s spot) (string, error) {
	data, _, err := b.load(s, mostFile, "make it smaller to see it")
	if err != nil {
		return "", err
	}
	text, err := b.show(p, data)
	if err != nil {
		return "", fmt.Errorf("%s, a file of %s, is not shown: %w", s.name, bytesOf(int64(len(data))), err)
	}
	return text, nil
}

// show hands a picture to the model, and says so in the result.
func (b *Box) show(p agent.Permit, data []byte) (string, error) {
	b.eye.Lock()
	defer b.eye.Unlock()
	i, err := picture(data)
	if err != nil {
		return "", err
	}
	p.Show(i)
	return fmt.Sprintf("[%s of %d x %d pixels, %s; it is shown to you after the results]", i.Media, i.Width, i.Height, bytesOf(int64(len(i.Data)))), nil
}
