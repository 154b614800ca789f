package suite

import (
	"path/filepath"
	"strings"
	"time"

	"github.com/autonomous-loop/autonomous-loop/runner/pattern"
)

// CSI, OSC, DCS and two-byte escapes, then the other controls but tab and newline.
var escapes = pattern.MustCompile("\x1b\\[[0-9;:?<=>!]*[ -/]*[@-~]|\x1b\\][^\x07\x1b]*(?:\x07|\x1b\\\\)|\x1b[PX^_][^\x1b]*\x1b\\\\|\x1b[ -/]*[0-~]|[\x00-\x08\x0b-\x1f\x7f]")

// Clean makes output fit for reading: no terminal escapes, valid UTF-8.
func Clean(s string) string {
	return strings.ToValidUTF8(escapes.ReplaceAllString(s, ""), "\uFFFD")
}

// Tail keeps the last bytes of s, from the start of a line.
func Tail(s string, most int) string {
	if len(s) <= most {
		return s
	}
	s = s[len(s)-most:]
	if _, rest, ok := strings.Cut(s, "\n"); ok {
		s = rest
	}
	return "[…]\n" + strings.ToValidUTF8(s, "")
}

// relative makes p relative to dir, where it is below it.
func relative(dir, p string) string {
	p = strings.TrimPrefix(p, "file://")
	if rel, err := filepath.Rel(dir, p); err == nil && filepath.IsAbs(p) && !strings.HasPrefix(rel, "..") {
		return filepath.ToSlash(rel)
	}
	return p
}

// trimPaths makes the paths in text relative to dir, so that the same failure
// reads the same in every checkout.
func trimPaths(text, dir string) string {
	return strings.NewReplacer("file://"+dir+"/", "", dir+"/", "", dir, ".").Replace(text)
}

// quote makes s one word of a shell.
func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

// head keeps the first bytes of s.
func head(s string, most int) string {
	s = strings.TrimSpace(s)
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + " […]"
}

// oneLine makes s, which is a name, fit for one line.
func oneLine(s string) string {
	return strings.Join(strings.Fields(Clean(s)), " ")
}

func firstLine(s string) string {
	s, _, _ = strings.Cut(s, "\n")
	return s
}

func millis(ms float64) time.Duration { return time.Duration(ms * float64(time.Millisecond)) }
