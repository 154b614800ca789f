package sandbox

import (
	"bytes"
	"fmt"
	"os"
	"regexp"
	"strings"
	"sync"
	"unicode/utf8"

	"golang.org/x/sys/unix"
)

const (
	defaultHead = 8 << 10
	defaultTail = 24 << 10
	maxLog      = 64 << 20 // of the log; the command goes on
	sniff       = 8 << 10  // a NUL in so many first bytes makes output binary, as in git
)

// A capture keeps the first and the last bytes of what a command says, and all
// of it in a log. One writes; any may read.
type capture struct {
	log  *os.File // nil: none
	name string   // of the log

	mu     sync.Mutex
	head   []byte // its capacity is how much is kept
	ring   []byte // the last bytes, the same, the oldest of them at at
	at     int
	total  int64
	lines  int64
	logged int64
	binary bool
}

func newCapture(head, tail int, name string) (*capture, error) {
	if head <= 0 {
		head = defaultHead
	}
	if tail <= 0 {
		tail = defaultTail
	}
	c := &capture{head: make([]byte, 0, head), ring: make([]byte, 0, tail), name: name}
	if name == "" {
		return c, nil
	}
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open the log: %w", err)
	}
	c.log = f
	return c, nil
}

// Write never fails: a full disk must not kill the command.
func (c *capture) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := len(p)
	if c.total < sniff {
		c.binary = c.binary || bytes.IndexByte(p[:min(sniff-int(c.total), n)], 0) >= 0
	}
	c.total += int64(n)
	c.lines += int64(bytes.Count(p, []byte{'\n'}))
	if c.log != nil && c.logged < maxLog {
		w, _ := c.log.Write(p[:min(int64(n), maxLog-c.logged)])
		c.logged += int64(w)
	}
	if k := min(cap(c.head)-len(c.head), len(p)); k > 0 {
		c.head = append(c.head, p[:k]...)
		p = p[k:]
	}
	if len(p) > cap(c.ring) {
		p = p[len(p)-cap(c.ring):]
	}
	for len(p) > 0 {
		if room := cap(c.ring) - len(c.ring); room > 0 {
			k := min(room, len(p))
			c.ring = append(c.ring, p[:k]...)
			p = p[k:]
			continue
		}
		k := copy(c.ring[c.at:], p)
		c.at = (c.at + k) % len(c.ring)
		p = p[k:]
	}
	return n, nil
}

// tail is the ring in order.
func (c *capture) tail() []byte {
	return append(bytes.Clone(c.ring[c.at:]), c.ring[:c.at]...)
}

// text is what is shown of the whole.
func (c *capture) text() string {
	if c.binary {
		return c.unshown()
	}
	head, tail := c.head, c.tail()
	if int64(len(head)+len(tail)) == c.total {
		return Clean(append(bytes.Clone(head), tail...))
	}
	// Cut at the ends of lines, where that costs little.
	if i := bytes.LastIndexByte(head, '\n'); i > len(head)/2 {
		head = head[:i+1]
	}
	if i := bytes.IndexByte(tail, '\n'); i >= 0 && i < len(tail)/2 {
		tail = tail[i+1:]
	}
	head = head[:len(head)-unfinished(head)]
	for len(tail) > 0 && !utf8.RuneStart(tail[0]) {
		tail = tail[1:]
	}
	first := Clean(head)
	if !strings.HasSuffix(first, "\n") {
		first += "\n"
	}
	return first + c.cut(c.total-int64(len(head)+len(tail))) + Clean(tail)
}

// since is what came after the first offset bytes, and the offset to ask from
// next time. A rune or an escape that is not yet complete waits for that.
func (c *capture) since(offset int64, whole bool) (string, int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	offset = min(max(offset, 0), c.total)
	if offset == c.total {
		return "", c.total
	}
	if c.binary {
		return c.unshown(), c.total
	}
	tail := c.tail()
	from := c.total - int64(len(tail)) // where the ring begins; the head ends there or before
	note := ""
	var fresh []byte
	switch {
	case offset >= from:
		fresh = tail[offset-from:]
	case from == int64(len(c.head)):
		fresh = append(bytes.Clone(c.head[offset:]), tail...)
	default:
		note = c.cut(from - offset)
		fresh = tail
	}
	next := c.total
	if !whole {
		n := unfinished(fresh)
		fresh, next = fresh[:len(fresh)-n], next-int64(n)
	}
	return note + Clean(fresh), next
}

func (c *capture) cut(n int64) string {
	return fmt.Sprintf("[... %d bytes cut of %d (%d lines)%s ...]\n", n, c.total, c.lines, c.where("; full log: "))
}

func (c *capture) unshown() string {
	return fmt.Sprintf("[binary output, %d bytes%s]", c.total, c.where("; saved to "))
}

func (c *capture) where(prefix string) string {
	if c.name == "" {
		return ""
	}
	return prefix + c.name
}

func (c *capture) close() {
	if c.log != nil {
		c.log.Close()
	}
}

// unfinished is how many bytes at the end of b belong to a rune, an escape or a
// line end that is still to be completed.
func unfinished(b []byte) int {
	if i := bytes.LastIndexByte(b[max(0, len(b)-64):], 0x1b); i >= 0 {
		i += max(0, len(b)-64)
		if loc := escape.FindIndex(b[i:]); loc == nil || loc[0] != 0 || string(b[i:i+loc[1]]) == "\x1b" {
			return len(b) - i
		}
	}
	if len(b) > 0 && b[len(b)-1] == '\r' {
		return 1
	}
	for i := len(b) - 1; i >= 0 && i >= len(b)-utf8.UTFMax; i-- {
		if utf8.RuneStart(b[i]) {
			if !utf8.FullRune(b[i:]) {
				return len(b) - i
			}
			break
		}
	}
	return 0
}

// CSI, OSC (ended by BEL or ST), DCS and its like, two-byte escapes; then the
// control characters but tab and newline.
var escape = regexp.MustCompile("\x1b\\[[0-9;:?<=>!]*[ -/]*[@-~]|\x1b\\][^\x07\x1b]*(?:\x07|\x1b\\\\)|\x1b[PX^_][^\x1b]*\x1b\\\\|\x1b[ -/]*[0-OQ-WYZ\\\\`-~]|[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")

// Clean makes the output of a terminal program fit to be read: no escapes,
// progress lines (\r) in their last state, valid UTF-8.
func Clean(b []byte) string {
	s := strings.ReplaceAll(string(b), "\r\n", "\n")
	if strings.Contains(s, "\r") {
		var out strings.Builder
		for line := range strings.Lines(s) {
			text, end := line, ""
			if t, ok := strings.CutSuffix(line, "\n"); ok {
				text, end = t, "\n"
			}
			text = strings.TrimRight(text, "\r")
			out.WriteString(text[strings.LastIndexByte(text, '\r')+1:] + end)
		}
		s = out.String()
	}
	return strings.ToValidUTF8(escape.ReplaceAllString(s, ""), "\uFFFD")
}
