package audit

import "strings"

// lexPython splits Python. Blocks get braces, and statements an end, so that
// rules can look at them as they look at those of other languages.
func lexPython(text string) (toks []token, whole bool) {
	x := &pyLexer{lexer: lexer{lang: python, src: text, line: 1, nl: true}, indents: []int{0}, ok: true}
	x.run()
	return x.toks, x.ok
}

type pyLexer struct {
	lexer
	indents []int
	open    int  // brackets
	header  bool // the statement at hand has a block
	inline  int  // blocks that end with their line
	begun   bool // a statement has begun
	ok      bool
	inside  bool    // an f-string
	never   [2]bool // a triple quote of this kind is closed from here on
}

var pyHeaders = map[string]bool{
	"if": true, "elif": true, "else": true, "for": true, "while": true, "try": true, "except": true, "finally": true,
	"with": true, "def": true, "class": true, "async": true, "match": true, "case": true,
}

func (x *pyLexer) run() {
	for x.pos < len(x.src) {
		if x.nl && x.open == 0 && !x.begun && !x.inside {
			if !x.indent() {
				continue
			}
		}
		c := x.src[x.pos]
		switch {
		case c == '\n':
			x.pos++
			x.line++
			if x.open == 0 {
				x.statement()
			}
			x.nl = true
		case c == '\\' && strings.HasPrefix(x.src[x.pos+1:], "\n"):
			x.pos += 2
			x.line++
		case c <= ' ' || c == '\\':
			x.pos++
		case c == '#':
			for x.pos < len(x.src) && x.src[x.pos] != '\n' {
				x.pos++
			}
		case x.string():
		case letter(c):
			x.keyword()
		case digit(c):
			x.number()
			x.begun = true
		default:
			x.symbol(c)
		}
	}
	x.statement()
	for len(x.indents) > 1 {
		x.indents = x.indents[:len(x.indents)-1]
		x.emit(punct, "}", x.line)
	}
}

// indent looks at the white space before a statement; false: there is none on
// this line.
func (x *pyLexer) indent() bool {
	width, i := 0, x.pos
	for ; i < len(x.src); i++ {
		if x.src[i] == '\t' {
			width = width/8*8 + 8
		} else if x.src[i] == ' ' {
			width++
		} else if x.src[i] != '\f' && x.src[i] != '\r' {
			break
		}
	}
	x.pos = i
	if i == len(x.src) {
		return false
	}
	switch x.src[i] {
	case '\n':
		x.pos++
		x.line++
		return false
	case '#':
		for x.pos < len(x.src) && x.src[x.pos] != '\n' {
			x.pos++
		}
		return false
	}
	if width > x.indents[len(x.indents)-1] {
		x.indents = append(x.indents, width)
		x.emit(punct, "{", x.line)
		x.nl = true
	}
	for len(x.indents) > 1 && width < x.indents[len(x.indents)-1] {
		x.indents = x.indents[:len(x.indents)-1]
		x.emit(punct, "}", x.line)
		x.nl = true
	}
	x.begun = true
	return true
}

// statement ends the one at hand.
func (x *pyLexer) statement() {
	if x.begun && len(x.toks) > 0 && !x.inside {
		x.emit(ends, "\n", x.line)
	}
	for ; x.inline > 0; x.inline-- {
		x.emit(punct, "}", x.line)
	}
	x.header, x.begun = false, false
}

func (x *pyLexer) keyword() {
	first := len(x.toks) == 0 || x.toks[len(x.toks)-1].kind == ends || x.nl || x.toks[len(x.toks)-1].text == "{" && x.open == 0
	i := x.pos
	for i < len(x.src) && (letter(x.src[i]) || digit(x.src[i])) && x.src[i] != '\\' {
		i++
	}
	if i == x.pos {
		x.pos++
		return
	}
	w := x.src[x.pos:i]
	if first && x.open == 0 && pyHeaders[w] {
		x.header = true
	}
	x.begun = true
	x.emit(word, w, x.line)
	x.pos = i
}

func (x *pyLexer) symbol(c byte) {
	x.begun = true
	switch c {
	case '(', '[', '{':
		x.open++
	case ')', ']', '}':
		x.open = max(0, x.open-1)
	case ';':
		if x.open == 0 {
			x.emit(ends, ";", x.line)
			x.pos++
			x.header = false
			return
		}
	case ':':
		if x.open == 0 && x.header && !x.has(":=") {
			x.emit(punct, ":", x.line)
			x.pos++
			x.header = false
			if rest := strings.TrimLeft(x.rest(), " \t\r"); rest != "" && rest[0] != '\n' && rest[0] != '#' {
				x.emit(punct, "{", x.line)
				x.inline++
			}
			return
		}
	}
	x.punct()
}

// string reads a string, prefix included; the code in an f-string is code.
func (x *pyLexer) string() bool {
	i := x.pos
	for i < len(x.src) && i < x.pos+3 && strings.IndexByte("rRbBfFuUtT", x.src[i]) >= 0 {
		i++
	}
	if i >= len(x.src) || x.src[i] != '"' && x.src[i] != '\'' {
		return false
	}
	prefix := strings.ToLower(x.src[x.pos:i])
	quote := x.src[i : i+1]
	which := 0
	if quote == "'" {
		which = 1
	}
	if t := strings.Repeat(quote, 3); strings.HasPrefix(x.src[i:], t) && !x.never[which] {
		quote = t
	}
	if len(quote) == 1 && x.pos < x.even[which] {
		return false
	}
	start := i + len(quote)
	for i = start; ; i++ {
		if i >= len(x.src) || len(quote) == 1 && x.src[i] == '\n' {
			x.ok = false // it is never closed: read on behind the quote
			if len(quote) == 1 {
				x.even[which] = min(i, len(x.src))
			} else {
				x.never[which] = true
			}
			x.begun = true
			x.emit(punct, quote, x.line)
			x.skip(start - x.pos)
			return true
		}
		if x.src[i] == '\\' {
			i++
			continue
		}
		if strings.HasPrefix(x.src[i:], quote) {
			break
		}
	}
	raw, line := x.src[start:i], x.line
	value := raw
	if !strings.Contains(prefix, "r") {
		value = unescape(raw)
	}
	x.begun = true
	// A string that is a statement of its own is a comment.
	x.emit(str, value, line)
	x.skip(i + len(quote) - x.pos)
	if strings.ContainsAny(prefix, "ft") && strings.Contains(raw, "{") && !x.inside {
		for rest := strings.ReplaceAll(raw, "{{", ""); ; {
			_, code, ok := strings.Cut(rest, "{")
			if !ok {
				break
			}
			code, rest, _ = strings.Cut(code, "}")
			inner := &pyLexer{lexer: lexer{lang: python, src: code, line: line}, indents: []int{0}, ok: true, inside: true}
			inner.run()
			x.emit(punct, "(", line)
			x.toks = append(x.toks, inner.toks...)
			x.emit(punct, ")", line)
		}
	}
	return true
}
