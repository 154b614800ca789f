package audit

import (
	"slices"
	"strings"
)

// module gives the name that a module's members are known by.
func module(path string) string {
	path = strings.TrimPrefix(path, "node:")
	switch path {
	case "assert/strict", "power-assert":
		return "assert"
	case "timers/promises", "fs/promises":
		return strings.TrimSuffix(path, "/promises")
	case "test":
		return "node:test"
	}
	return path
}

// testers are the modules whose members every test knows by their own names.
var testers = []string{"node:test", "vitest", "@jest/globals", "mocha", "chai", "bun:test", "@playwright/test", "tape", "ava", "uvu", "tap"}

// member is what a member of a module is called throughout the audit.
func member(mod, name string) string {
	switch {
	case slices.Contains(testers, mod):
		return name
	case mod == "assert" && name == "strict":
		return "assert"
	case name == "default" || name == "":
		if slices.Contains(testers, mod) {
			return "test"
		}
		return mod
	}
	return mod + "." + name
}

// findAliases learns what names stand for.
func (s *source) findAliases() {
	for n := range s.toks {
		i := int32(n) // #nosec G115 -- a file has at most 4 MB
		if s.toks[i].kind != word {
			continue
		}
		switch w := s.toks[i].text; {
		case w == "import" && s.lang == golang:
			s.goImports(i + 1)
		case w == "import" && s.lang == js:
			s.jsImport(i + 1)
		case w == "from" && s.lang == python && s.at(i).nl:
			s.pyFrom(i + 1)
		case w == "import" && s.lang == python && s.at(i).nl:
			s.pyImport(i + 1)
		case s.lang == js && (w == "const" || w == "let" || w == "var"):
			s.jsConst(i + 1)
		case s.lang == python && s.at(i).nl && s.is(i+1, "=") && s.at(i+2).kind == word && s.is(i+3, "."):
			if name, _ := s.dotted(i + 2); known[root(name)] {
				s.alias[w] = name
			}
		}
	}
}

func (s *source) goImports(i int32) {
	end := i + 3
	if s.is(i, "(") && s.at(i).pair > 0 {
		end = s.at(i).pair
	}
	for ; i < end; i++ {
		t := s.at(i)
		if t.kind != str {
			continue
		}
		mod := t.text
		short := mod[strings.LastIndex(mod, "/")+1:]
		switch p := s.at(i - 1); {
		case p.kind == punct && p.text == "." && !s.is(i-2, "."):
			for _, name := range []string{"Exit", "Kill", "Getenv", "Args", "Testing"} {
				s.alias[name] = short + "." + name
			}
		case p.kind == word && p.text != "import" && p.text != "_":
			s.alias[p.text] = short
		}
		if end == i+3 {
			return
		}
	}
}

// jsImport reads what stands between import and the module's name.
func (s *source) jsImport(i int32) {
	from := i
	for from < i+200 && s.at(from).kind != str {
		if s.at(from).kind == ends || s.is(from, ";", "(") {
			return
		}
		from++
	}
	if s.at(from).kind != str || from == i {
		return
	}
	mod := module(s.at(from).text)
	for j := i; j < from; j++ {
		t := s.at(j)
		if t.kind != word || t.text == "from" || t.text == "as" || t.text == "type" {
			continue
		}
		inBraces := s.is(j-1, "{", ",") && s.is(i, "{") || s.braced(i, j)
		switch {
		case s.is(j+1, "as"):
			s.alias[s.at(j+2).text] = member(mod, t.text)
			j += 2
		case inBraces:
			s.alias[t.text] = member(mod, t.text)
		case s.is(j-1, "as"):
			s.alias[t.text] = mod
		default:
			s.alias[t.text] = member(mod, "default")
			if slices.Contains(testers, mod) {
				s.alias[t.text] = "test"
			}
		}
	}
}

// braced says whether an opening brace stands between i and j.
func (s *source) braced(i, j int32) bool {
	for ; i < j; i++ {
		if s.is(i, "{") {
			return true
		}
	}
	return false
}

// known are the roots of names that rules know, and that are worth following
// when they get another name.
var known = map[string]bool{
	"process": true, "assert": true, "expect": true, "console": true, "Date": true, "Math": true, "globalThis": true, "global": true, "Reflect": true,
	"os": true, "sys": true, "time": true, "unittest": true, "pytest": true, "builtins": true, "signal": true, "atexit": true, "random": true, "datetime": true,
	"navigator": true, "performance": true, "window": true, "inspect": true, "child_process": true, "fs": true, "test": true, "it": true, "describe": true,
}

func root(name string) string {
	r, _, _ := strings.Cut(name, ".")
	return strings.TrimSuffix(r, "()")
}

// jsConst reads a declaration that gives a known thing another name.
func (s *source) jsConst(i int32) {
	if s.is(i, "{") && s.at(i).pair > 0 && s.is(s.at(i).pair+1, "=") {
		shut := s.at(i).pair
		from := s.origin(shut + 2)
		if from == "" {
			return
		}
		for j := i + 1; j < shut; j++ {
			if t := s.at(j); t.kind == word && s.is(j-1, "{", ",") {
				if s.is(j+1, ":") && s.at(j+2).kind == word {
					s.alias[s.at(j+2).text] = member(from, t.text)
				} else {
					s.alias[t.text] = member(from, t.text)
				}
			}
		}
		return
	}
	if s.at(i).kind == word && s.is(i+1, "=") {
		if from := s.origin(i + 2); from != "" && from != s.at(i).text {
			s.alias[s.at(i).text] = from
			if slices.Contains(testers, from) {
				s.alias[s.at(i).text] = "test"
			}
		}
	}
}

// origin is the known thing, or the module, that an expression names.
func (s *source) origin(i int32) string {
	for s.is(i, "await", "(", "new") {
		i++
	}
	if s.is(i, "require", "import") && s.is(i+1, "(") && s.at(i+2).kind == str && s.is(i+3, ")") {
		name := module(s.at(i + 2).text)
		for j := i + 4; s.is(j, ".") && s.at(j+1).kind == word; j += 2 {
			name = member(name, s.at(j+1).text)
		}
		return name
	}
	name, end := s.dotted(i)
	name = strings.TrimSuffix(name, ".bind")
	if !known[root(name)] || s.is(end, "(") && !strings.HasSuffix(s.at(end-1).text, "bind") {
		return ""
	}
	return name
}

// dotted is a name with its members, from i on, and where it ends.
func (s *source) dotted(i int32) (string, int32) {
	if s.at(i).kind != word {
		return "", i
	}
	name := s.resolve(s.at(i).text)
	for i++; ; {
		switch {
		case s.is(i, ".") && s.at(i+1).kind == word:
			name = join(name, s.at(i+1))
			i += 2
		case s.is(i, "[") && s.at(i+1).kind == str && s.is(i+2, "]"):
			name = join(name, s.at(i+1))
			i += 3
		default:
			return trimGlobal(name), i
		}
		if len(name) > 200 {
			return name, i
		}
	}
}

func join(name string, member token) string { return name + "." + member.text }

func (s *source) resolve(w string) string {
	if a, ok := s.alias[w]; ok {
		return a
	}
	return w
}

func trimGlobal(name string) string {
	for _, g := range []string{"globalThis.", "global.", "window.", "builtins.", "__builtins__."} {
		if rest, ok := strings.CutPrefix(name, g); ok && g != "builtins." && g != "__builtins__." {
			return rest
		}
	}
	return name
}

func (s *source) pyFrom(i int32) {
	mod, j := s.dottedPlain(i)
	if !s.is(j, "import") {
		return
	}
	for j++; j < i+200 && s.at(j).kind != ends; j++ {
		t := s.at(j)
		switch {
		case t.text == "*" && (mod == "os" || mod == "sys"):
			for _, name := range []string{"exit", "abort", "kill", "environ", "getenv"} {
				s.alias[name] = mod + "." + name
			}
		case t.kind == word && s.is(j+1, "as"):
			s.alias[s.at(j+2).text] = mod + "." + t.text
			j += 2
		case t.kind == word:
			s.alias[t.text] = mod + "." + t.text
		}
	}
}

func (s *source) pyImport(i int32) {
	for j := i; j < i+200 && s.at(j).kind != ends; {
		mod, end := s.dottedPlain(j)
		if mod == "" {
			return
		}
		if s.is(end, "as") {
			s.alias[s.at(end+1).text] = mod
			end += 2
		}
		j = end + 1
	}
}

func (s *source) dottedPlain(i int32) (string, int32) {
	from := i
	for s.at(i).kind == word && s.at(i).text != "import" && s.at(i).text != "as" || s.is(i, ".") {
		i++
	}
	return strings.ReplaceAll(s.text(from, i), " ", ""), i
}

// findRefs finds every name in use.
func (s *source) findRefs() {
	for n := range s.toks {
		i := int32(n) // #nosec G115 -- a file has at most 4 MB
		if s.toks[i].kind == word && !s.is(i-1, ".") {
			s.chain(i)
		}
	}
}

// chain follows a name through its members and calls.
func (s *source) chain(i int32) {
	name := s.resolve(s.toks[i].text)
	if s.is(i-1, "func", "def", "function", "fn", "class") {
		name = s.toks[i].text
	}
	line := int(s.toks[i].line)
	j := i + 1
	called := false
	for {
		switch {
		case s.is(j, ".") && s.at(j+1).kind == word:
			name += "." + s.at(j+1).text
			line = int(s.at(j + 1).line)
			j += 2
			called = false
			continue
		case s.is(j, "[") && s.at(j+1).kind == str && s.is(j+2, "]"):
			name += "." + s.at(j+1).text
			j += 3
			called = false
			continue
		case s.is(j, "!") && s.is(j+1, "."):
			j++
			continue
		case s.is(j, "(") && s.at(j).pair > j:
			shut := s.at(j).pair
			r := ref{name: trimGlobal(name), tok: i, end: shut + 1, line: line, call: true, args: [2]int32{j + 1, shut}}
			s.refs = append(s.refs, r)
			s.indirect(r)
			name += "()"
			if strings.HasPrefix(name, "require()") || name == "import()" || name == "__import__()" || name == "importlib.import_module()" {
				if s.at(j+1).kind == str && s.is(j+2, ")") {
					name = module(s.at(j + 1).text)
				}
			}
			j = shut + 1
			called = true
			if len(name) < 200 {
				continue
			}
		}
		break
	}
	if !called {
		set := s.is(j, "=", "+=", "||=", "??=", "&&=") && !(s.lang == golang && s.at(j).text == ":=")
		s.refs = append(s.refs, ref{name: trimGlobal(name), tok: i, end: j, line: line, set: set})
	}
}

// setters assign to a member by name.
var setters = []string{
	"Object.defineProperty", "Reflect.set", "Reflect.defineProperty", "setattr", "object.__setattr__", "monkeypatch.setattr",
	"jest.spyOn", "vi.spyOn", "sinon.stub", "mock.method", "t.mock.method", "jest.replaceProperty", "patch.object", "unittest.mock.patch.object", "mock.patch.object",
}

// indirect adds the assignment that a call makes.
func (s *source) indirect(r ref) {
	if r.name == "Object.assign" {
		name, end := s.dotted(r.args[0])
		if name == "" || !s.is(end, ",") || !s.is(end+1, "{") {
			return
		}
		for j := end + 2; j < r.args[1]; j++ {
			if s.at(j).kind == word && s.is(j-1, "{", ",") {
				s.refs = append(s.refs, ref{name: name + "." + s.at(j).text, tok: r.tok, end: r.end, line: r.line, set: true})
			}
		}
		return
	}
	if !slices.Contains(setters, r.name) {
		return
	}
	if name, end := s.dotted(r.args[0]); name != "" && s.is(end, ",") && s.at(end+1).kind == str {
		s.refs = append(s.refs, ref{name: name + "." + s.at(end+1).text, tok: r.tok, end: r.end, line: r.line, set: true})
	}
}

// in says whether token i is in a function, and so does not run when its file is
// loaded.
func (s *source) inFunction(i int32) bool {
	for b := range s.around(i) {
		if b.kind == function {
			// One that is called where it stands is none: (() => { ... })().
			if s.is(b.to+1, ")") && s.is(b.to+2, "(") || s.lang == golang && s.is(b.to+1, "(") {
				continue
			}
			return true
		}
	}
	return s.lang == js && s.arrow(i) || s.lang == python && s.lambda(i)
}

// arrow says whether token i is in a function that has no braces.
func (s *source) arrow(i int32) bool {
	for n := 0; i > 0 && n < 400; n++ {
		p := s.at(i - 1)
		switch {
		case p.kind == punct && p.text == "=>":
			return true
		case p.kind == punct && (p.text == ")" || p.text == "]" || p.text == "}"):
			if p.pair < 0 || p.text == "}" && s.at(i).nl {
				return false
			}
			i = p.pair
		case p.kind == ends, p.kind == punct && (p.text == ";" || p.text == "{"):
			return false
		default:
			i--
		}
	}
	return false
}

func (s *source) lambda(i int32) bool {
	for n := 0; i > 0 && n < 60; n++ {
		i--
		if s.at(i).kind == ends {
			return false
		}
		if s.is(i, "lambda") {
			return true
		}
	}
	return false
}

// guard is the text of the conditions that token i stands under, from the inside
// out, as far as its function.
func (s *source) guard(i int32) string {
	var g []string
	start := s.statement(i)
	if s.is(start, "if", "else", "unless", "while") || s.lang == js {
		g = append(g, s.text(start, i))
	}
	for b := range s.around(i) {
		if b.kind == function || b.kind == class {
			break
		}
		g = append(g, s.text(b.head, b.from))
	}
	return strings.Join(g, " | ")
}

// text is tokens from..to, apart by blanks, as far as it is short.
func (s *source) text(from, to int32) string { return s.textOf(from, min(to, from+400)) }

func (s *source) textOf(from, to int32) string {
	var b strings.Builder
	for i := max(from, 0); i < to; i++ {
		t := s.at(i)
		if t.kind == ends && t.text != ";" || t.kind == punct && (t.text == "," && s.is(i+1, ")", "]", "}") || t.text == ";") {
			continue // where a line is broken makes no difference
		}
		if b.Len() > 0 {
			b.WriteByte(' ')
		}
		switch t.kind {
		case str:
			b.WriteString(`"` + t.text + `"`)
		case regex:
			b.WriteString("/" + t.text + "/")
		default:
			b.WriteString(t.text)
		}
	}
	return b.String()
}
