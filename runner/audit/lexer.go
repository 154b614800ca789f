package audit

import "strings"

// A lexer reads the languages that have braces, and Ruby.
type lexer struct {
	lang   lang
	src    string
	pos    int
	line   int32
	nl     bool
	toks   []token
	depth  []int // of braces, at which a template goes on
	braces int
	plain  string // the quote that is to be taken as it stands, because it is never closed
	broken string // the quote that was not closed
	odd    bool
	even   [2]int // as far as here, this quote (" and ') is to be taken as it stands
	tries  int    // that failed; hostile text would have us try for ever
}

const mostTries = 500

func (x *lexer) whole() bool { return x.broken == "" && len(x.depth) == 0 }

func (x *lexer) emit(kind byte, text string, line int32) {
	x.toks = append(x.toks, token{kind: kind, text: text, line: line, nl: x.nl || len(x.toks) == 0})
	x.nl = false
}

func (x *lexer) run() {
	if x.lang == php {
		x.markup()
	}
	for x.pos < len(x.src) {
		c := x.src[x.pos]
		switch {
		case c == '\n':
			x.line++
			x.nl = true
			x.pos++
		case c <= ' ' || c == 0x7f:
			x.pos++
		case x.comment():
		case x.quoted():
		case letter(c):
			x.word()
		case digit(c):
			x.number()
		default:
			x.punct()
		}
	}
	if len(x.depth) > 0 && x.broken == "" {
		x.broken = "`"
	}
}

func (x *lexer) rest() string { return x.src[x.pos:] }

func (x *lexer) has(s string) bool { return strings.HasPrefix(x.rest(), s) }

// skip passes over n bytes and counts their lines.
func (x *lexer) skip(n int) {
	x.line += int32(strings.Count(x.src[x.pos:x.pos+n], "\n")) // #nosec G115 -- a file has at most 4 MB
	x.pos += n
}

// upto passes over what goes as far as end.
func (x *lexer) upto(end string) {
	i := strings.Index(x.rest(), end)
	if i < 0 {
		x.skip(len(x.rest()))
		return
	}
	x.skip(i + len(end))
}

// markup passes over what is outside of PHP.
func (x *lexer) markup() {
	i := strings.Index(x.rest(), "<?")
	if i < 0 {
		x.pos = len(x.src)
		return
	}
	x.skip(i + 2)
	if x.has("php") {
		x.pos += 3
	}
	x.emit(punct, ";", x.line)
}

func (x *lexer) comment() bool {
	hash := x.lang == ruby || x.lang == php && !x.has("#[")
	switch {
	case x.lang == php && x.has("?>"):
		x.pos += 2
		x.markup()
	case hash && x.has("#"), x.lang != ruby && x.has("//"), x.pos == 0 && x.has("#!"):
		i := strings.IndexByte(x.rest(), '\n')
		if i < 0 {
			i = len(x.rest())
		}
		if j := strings.Index(x.src[x.pos:x.pos+i], "?>"); x.lang == php && j >= 0 {
			i = j
		}
		x.pos += i
	case x.lang == ruby && x.nl && x.has("=begin"):
		x.upto("\n=end")
	case x.lang == rust && x.has("/*"):
		depth := 0
		for x.pos < len(x.src) {
			switch {
			case x.has("/*"):
				depth++
				x.pos += 2
			case x.has("*/"):
				depth--
				x.pos += 2
			default:
				x.skip(1)
			}
			if depth == 0 {
				break
			}
		}
	case x.lang != ruby && x.has("/*"):
		x.pos += 2
		x.upto("*/")
	default:
		return false
	}
	return true
}

func (x *lexer) word() {
	i := x.pos
	for i < len(x.src) && (letter(x.src[i]) || digit(x.src[i])) {
		i++
	}
	if i < len(x.src) && x.lang == ruby && (x.src[i] == '?' || x.src[i] == '!') && !strings.HasPrefix(x.src[i+1:], "=") {
		i++
	}
	if x.lang == rust && i < len(x.src) && x.src[i] == '!' && !strings.HasPrefix(x.src[i+1:], "=") {
		i++
	}
	w := x.src[x.pos:i]
	if strings.Contains(w, `\u`) {
		w = unescape(w)
	}
	x.emit(word, w, x.line)
	x.pos = i
}

func (x *lexer) number() {
	i := x.pos
	for i < len(x.src) && (digit(x.src[i]) || letter(x.src[i]) || x.src[i] == '.' && i+1 < len(x.src) && digit(x.src[i+1])) {
		i++
	}
	x.emit(number, strings.ReplaceAll(x.src[x.pos:i], "_", ""), x.line)
	x.pos = i
}

// Longest first.
var puncts = []string{"===", "!==", "**=", "...", "<=>", ">>>", "&&=", "||=", "??=", "=>", "->", "::", "?.", "==", "!=", "<=", ">=", "&&", "||", "??", "++", "--", "+=", "-=", "*=", "/=", "%=", ":=", "=~", "<<", ">>", "**"}

func (x *lexer) punct() {
	text := x.src[x.pos : x.pos+1]
	for _, p := range puncts {
		if x.has(p) {
			text = p
			break
		}
	}
	switch text {
	case "{":
		x.braces++
	case "}":
		x.braces--
	case "?.", "->", "::":
		if x.lang == js && text == "?." || x.lang == php && text != "?." || x.lang == rust && text == "::" || x.lang == ruby && text == "::" {
			text = "." // all ways to name a member are one
			x.emit(punct, text, x.line)
			x.pos += 2
			return
		}
	}
	x.emit(punct, text, x.line)
	x.pos += len(text)
}

func letter(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_' || c == '$' || c == '\\' || c >= 0x80
}

func digit(c byte) bool { return c >= '0' && c <= '9' }

// unescape gives the value of a string, as far as rules need it.
func unescape(s string) string {
	if !strings.Contains(s, `\`) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' || i+1 == len(s) {
			b.WriteByte(s[i])
			continue
		}
		i++
		width := 0
		switch c := s[i]; c {
		case 'n':
			b.WriteByte('\n')
		case 't':
			b.WriteByte('\t')
		case 'r':
			b.WriteByte('\r')
		case '\n':
		case 'x':
			width = 2
		case 'u':
			width = 4
			if strings.HasPrefix(s[i+1:], "{") {
				i++
				width = max(0, strings.IndexByte(s[i+1:], '}'))
			}
		default:
			b.WriteByte(c)
		}
		if width > 0 && width <= 6 && i+width < len(s) {
			r := rune(0)
			for _, h := range s[i+1 : i+1+width] {
				d := strings.IndexRune("0123456789abcdef", h|0x20)
				if digitRune(h) {
					d = int(h - '0')
				}
				r = r<<4 | rune(max(d, 0)) // #nosec G115 -- a hexadecimal digit
			}
			b.WriteRune(r)
			i += width
			if i+1 < len(s) && s[i+1] == '}' && s[i-width] == '{' {
				i++
			}
		}
	}
	return b.String()
}

func digitRune(r rune) bool { return r >= '0' && r <= '9' }
