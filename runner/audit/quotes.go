package audit

import "strings"

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
