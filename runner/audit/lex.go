package audit

import (
	"path"
	"strings"
)

// A token is the smallest part of a program that rules look at. Comments are
// none, so that what stands in a comment is never a finding.
type token struct {
	kind byte
	text string // of a string its value
	line int32
	pair int32 // of a bracket, the index of its partner; -1: it has none
	nl   bool  // stands first on its line
}

// The kinds of tokens.
const (
	word   byte = 'w'
	number byte = 'n'
	str    byte = 's'
	regex  byte = 'r'
	punct  byte = 'p' // brackets included; blocks of Python have braces, too
	ends   byte = ';' // of a statement, where the language knows: Go, Python
)

// A lang is a family of languages that are read alike.
type lang string

const (
	golang lang = "go"
	js     lang = "js"
	python lang = "python"
	ruby   lang = "ruby"
	rust   lang = "rust"
	java   lang = "java" // and Kotlin, Scala
	csharp lang = "csharp"
	php    lang = "php"
)

var langs = map[string]lang{
	".go": golang, ".py": python, ".pyi": python, ".rb": ruby, ".rake": ruby, ".rs": rust,
	".js": js, ".mjs": js, ".cjs": js, ".jsx": js, ".ts": js, ".mts": js, ".cts": js, ".tsx": js, ".vue": js, ".svelte": js,
	".java": java, ".kt": java, ".kts": java, ".scala": java, ".groovy": java, ".cs": csharp, ".php": php,
}

// langOf says in which language the file called name is written; "": in none
// that is known.
func langOf(name string, data []byte) lang {
	if l, ok := langs[strings.ToLower(path.Ext(name))]; ok {
		return l
	}
	switch path.Base(name) {
	case "Rakefile", "Gemfile":
		return ruby
	}
	if first, _, _ := strings.Cut(string(data[:min(len(data), 100)]), "\n"); strings.HasPrefix(first, "#!") {
		for word, l := range map[string]lang{"node": js, "bun": js, "deno": js, "python": python, "ruby": ruby, "php": php} {
			if strings.Contains(first, word) {
				return l
			}
		}
	}
	return ""
}

// lex splits text. Whatever it is given it comes to an end, in one pass and at
// most one more; whole says whether every string and comment was closed.
func lex(l lang, text string) (toks []token, whole bool) {
	switch l {
	case golang:
		toks, whole = lexGo(text)
	case python:
		toks, whole = lexPython(text)
	default:
		x := &lexer{lang: l, src: text, line: 1}
		x.run()
		if !x.whole() {
			// Somebody leads us astray, or the text of a page in JSX has an odd quote:
			// read on behind it, rather than not at all.
			broken := x.broken
			x = &lexer{lang: l, src: text, line: 1, plain: broken}
			x.run()
			x.odd = true
		}
		toks, whole = x.toks, x.whole() && !x.odd
	}
	toks = fold(l, toks)
	match(toks)
	return toks, whole
}

// fold joins strings that are added to each other, so that no name is hidden by
// being cut in two.
func fold(l lang, toks []token) []token {
	out := toks[:0]
	for i := 0; i < len(toks); i++ {
		n := len(out)
		switch {
		case n > 1 && toks[i].kind == str && out[n-1].kind == punct && out[n-1].text == "+" && out[n-2].kind == str && len(out[n-2].text) < 200:
			out[n-2].text += toks[i].text
			out = out[:n-1]
		case l == python && n > 0 && toks[i].kind == str && out[n-1].kind == str && len(out[n-1].text) < 200:
			out[n-1].text += toks[i].text
		default:
			out = append(out, toks[i])
		}
	}
	return out
}

// match pairs brackets. One that closes what is not open is left alone.
func match(toks []token) {
	var open []int32
	for i := range toks {
		t := &toks[i]
		t.pair = -1
		if t.kind != punct {
			continue
		}
		switch t.text {
		case "(", "[", "{":
			open = append(open, int32(i))
		case ")", "]", "}":
			want := map[string]string{")": "(", "]": "[", "}": "{"}[t.text]
			for n := len(open) - 1; n >= max(0, len(open)-4); n-- {
				if o := open[n]; toks[o].text == want {
					toks[o].pair, t.pair = int32(i), o
					open = open[:n]
					break
				}
			}
		}
	}
}

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
	x.line += int32(strings.Count(x.src[x.pos:x.pos+n], "\n"))
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

// quoted reads a string, a template or a regular expression, if one begins here.
func (x *lexer) quoted() bool {
	c := x.src[x.pos]
	switch {
	case c == '}' && len(x.depth) > 0 && x.depth[len(x.depth)-1] == x.braces:
		x.depth = x.depth[:len(x.depth)-1]
		x.emit(punct, ")", x.line)
		x.pos++
		x.template()
	case string(c) == x.plain:
		return false
	case c == '`' && x.lang == js:
		x.pos++
		x.template()
	case c == '/' && (x.lang == js || x.lang == ruby) && x.operand():
		return x.regexp()
	case (x.lang == java || x.lang == csharp) && x.tries < mostTries && x.has(`"""`):
		i := strings.Index(x.src[x.pos+3:], `"""`)
		if i < 0 {
			x.tries++
			return x.text(1)
		}
		x.emit(str, x.src[x.pos+3:x.pos+3+i], x.line)
		x.skip(i + 6)
	case x.lang == csharp && (x.has(`@"`) || x.has(`$@"`) || x.has(`@$"`)):
		start := strings.IndexByte(x.rest(), '"') + 1
		line, end := x.line, start
		for end < len(x.rest()) && (x.rest()[end] != '"' || strings.HasPrefix(x.rest()[end:], `""`)) {
			if x.rest()[end] == '"' {
				end++
			}
			end++
		}
		end = min(end, len(x.rest()))
		x.emit(str, x.rest()[start:end], line)
		x.skip(min(end+1, len(x.rest())))
	case x.lang == rust && x.tries < mostTries && (x.has(`r"`) || x.has(`r#`) || x.has(`br"`) || x.has(`br#`)):
		rest := strings.TrimLeft(x.rest(), "br")
		marks := len(rest) - len(strings.TrimLeft(rest, "#"))
		if marks == len(rest) || rest[marks] != '"' {
			return false
		}
		start := len(x.rest()) - len(rest) + marks + 1
		i := strings.Index(x.rest()[start:], `"`+strings.Repeat("#", marks))
		if i < 0 {
			x.tries++
			return false
		}
		x.emit(str, x.rest()[start:start+i], x.line)
		x.skip(start + i + 1 + marks)
	case x.lang == rust && c == '\'' && !x.has(`'\`) && (len(x.rest()) < 3 || x.rest()[2] != '\''):
		x.pos++ // a lifetime
		x.punctOf("'")
	case (x.lang == ruby || x.lang == php) && x.heredoc():
	case c == '"' || c == '\'' || c == '`' && x.lang == ruby:
		return x.text(1)
	default:
		return false
	}
	return true
}

func (x *lexer) punctOf(s string) { x.emit(punct, s, x.line) }

// text reads a string between quotes. In most languages it ends with its line;
// where that is not so, a quote that is never closed is taken as it stands.
func (x *lexer) text(quote int) bool {
	q := x.src[x.pos]
	which := 0
	if q == '\'' {
		which = 1
	}
	if x.pos < x.even[which] {
		x.punctOf(string(q))
		x.pos++
		return true
	}
	lines := x.lang == ruby || x.lang == php || x.lang == rust
	i := x.pos + quote
	for i < len(x.src) && x.src[i] != q {
		switch {
		case x.src[i] == '\\' && i+1 < len(x.src):
			i++
		case x.src[i] == '\n' && !lines:
			x.even[which] = i
			i = len(x.src)
		}
		i++
	}
	if i >= len(x.src) {
		if x.even[which] <= x.pos {
			x.even[which] = len(x.src)
		}
		if lines && x.broken == "" {
			x.broken = string(q) // and go on behind it
		}
		x.punctOf(string(q))
		x.pos++
		return true
	}
	raw := x.src[x.pos+quote : i]
	line := x.line
	if q == '"' && x.lang == ruby && strings.Contains(raw, "#{") {
		x.interpolated(raw, line)
	} else {
		x.emit(str, unescape(raw), line)
	}
	x.skip(i + 1 - x.pos)
	return true
}

// interpolated emits what Ruby's string holds, its code as code.
func (x *lexer) interpolated(raw string, line int32) {
	x.emit(str, unescape(raw), line)
	for rest := raw; ; {
		_, code, ok := strings.Cut(rest, "#{")
		if !ok {
			return
		}
		code, rest, _ = strings.Cut(code, "}")
		inner := &lexer{lang: ruby, src: strings.ReplaceAll(code, "#{", ""), line: line}
		inner.run()
		x.emit(punct, "(", line)
		x.toks = append(x.toks, inner.toks...)
		x.emit(punct, ")", line)
	}
}

// template reads JavaScript's template from here to its end or its next hole.
func (x *lexer) template() {
	start, line := x.pos, x.line
	for x.pos < len(x.src) {
		switch {
		case x.src[x.pos] == '`':
			x.emit(str, unescape(x.src[start:x.pos]), line)
			x.pos++
			return
		case x.has("${"):
			x.emit(str, unescape(x.src[start:x.pos]), line)
			x.pos += 2
			x.emit(punct, "(", x.line)
			x.depth = append(x.depth, x.braces)
			return
		case x.src[x.pos] == '\\' && x.pos+1 < len(x.src):
			x.skip(2)
		default:
			x.skip(1)
		}
	}
	x.broken = "`"
}

// operand says whether an operand is expected here, so that a slash begins a
// regular expression and does not divide.
func (x *lexer) operand() bool {
	if len(x.toks) == 0 {
		return true
	}
	switch t := x.toks[len(x.toks)-1]; t.kind {
	case number, str, regex:
		return false
	case word:
		switch t.text {
		case "return", "typeof", "case", "in", "of", "do", "else", "void", "delete", "throw", "new", "instanceof", "yield", "await", "and", "or", "not", "when", "if", "unless", "while", "puts":
			return true
		}
		// In Ruby a space before and none behind the slash make an argument of it.
		return x.lang == ruby && x.pos > 0 && x.src[x.pos-1] == ' ' && x.pos+1 < len(x.src) && x.src[x.pos+1] != ' ' && x.src[x.pos+1] != '='
	default:
		switch t.text {
		case ")":
			before := x.opener("(", ")")
			return before > 0 && x.toks[before-1].kind == word && control[x.toks[before-1].text]
		case "]":
			return false
		case "}":
			if o := x.opener("{", "}"); o > 0 {
				b := x.toks[o-1]
				return b.text == ")" || b.text == ";" || b.text == "{" || b.text == "}" || b.text == "=>" || b.text == "else" || b.text == "try" || b.text == "do" || b.text == "finally"
			}
			return true
		case "++", "--":
			return false
		}
		return true
	}
}

// opener finds the partner of the bracket that was read last, near enough.
func (x *lexer) opener(open, shut string) int {
	depth := 0
	for i := len(x.toks) - 1; i >= max(0, len(x.toks)-200); i-- {
		if x.toks[i].kind != punct {
			continue
		}
		switch x.toks[i].text {
		case shut:
			depth++
		case open:
			if depth--; depth == 0 {
				return i
			}
		}
	}
	return -1
}

var control = map[string]bool{"if": true, "for": true, "while": true, "switch": true, "catch": true, "with": true, "foreach": true, "elseif": true, "match": true, "synchronized": true, "using": true, "lock": true}

func (x *lexer) regexp() bool {
	class := false
	if x.tries > mostTries {
		return false
	}
	for i := x.pos + 1; i < min(len(x.src), x.pos+4000) && x.src[i] != '\n'; i++ {
		switch x.src[i] {
		case '\\':
			i++
		case '[':
			class = true
		case ']':
			class = false
		case '/':
			if class {
				continue
			}
			x.emit(regex, x.src[x.pos+1:i], x.line)
			for i++; i < len(x.src) && letter(x.src[i]); i++ {
			}
			x.pos = i
			return true
		}
	}
	x.tries++
	return false
}

// heredoc reads Ruby's and PHP's.
func (x *lexer) heredoc() bool {
	mark := "<<<"
	if x.lang == ruby {
		mark = "<<"
	}
	if x.tries > mostTries || !x.has(mark) {
		return false
	}
	rest := x.rest()[len(mark):]
	name := strings.TrimLeft(rest[:min(len(rest), 60)], "~-'\" ")
	if x.lang == ruby && (rest == "" || !strings.Contains("~-'\"ABCDEFGHIJKLMNOPQRSTUVWXYZ", rest[:1])) {
		return false
	}
	end := 0
	for end < len(name) && (letter(name[end]) || digit(name[end])) {
		end++
	}
	if end == 0 {
		return false
	}
	name = name[:end]
	body := strings.IndexByte(rest, '\n')
	if body < 0 {
		return false
	}
	// What stands behind the mark on its line is code; the text comes after it.
	for at := body + 1; at < len(rest); {
		l, _, more := strings.Cut(rest[at:], "\n")
		if t := strings.TrimSpace(l); t == name || strings.HasPrefix(t, name) && len(t) > len(name) && strings.ContainsRune(";,)", rune(t[len(name)])) {
			x.emit(str, rest[body+1:at], x.line)
			if tail := strings.TrimLeft(rest[:body], "~-'\""+name); strings.TrimSpace(tail) != "" {
				inner := &lexer{lang: x.lang, src: tail, line: x.line}
				if x.lang == ruby {
					inner.run()
					x.toks = append(x.toks, inner.toks...)
				}
			}
			skip := len(mark) + at + len(name)
			for skip < len(x.rest()) && x.rest()[skip-len(name):skip] != name {
				skip++
			}
			x.skip(min(skip, len(x.rest())))
			return true
		}
		if !more {
			break
		}
		at += len(l) + 1
	}
	x.tries++
	return false
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
				r = r<<4 | rune(max(d, 0))
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
