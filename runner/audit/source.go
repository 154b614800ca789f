package audit

import (
	"slices"
)

// A source is a file of a program, read.
type source struct {
	lang  lang
	toks  []token
	whole bool

	blocks []block
	inside []int32 // for each token, the innermost block that it is in; -1: none
	alias  map[string]string
	refs   []ref
	tests  []testcase

	cuts    map[int32]cut  // by block, what leaves it first
	dropped map[int32]bool // by block, whether failures in it are dropped
	unused  map[int32]bool // by block, whether it is a function that nothing calls

	fuel int // looks at tokens that are left; hostile text would have us look for ever
}

// Honest text takes some ten looks at a token.
const leastLooks, looksEach = 4 << 20, 100

// A block is what stands between braces.
type block struct {
	from, to int32 // its braces
	up       int32 // the block around it; -1: none
	head     int32 // where the statement begins that it belongs to
	kind     blockKind
	name     string // of a function or a class
}

type blockKind string

const (
	function blockKind = "function"
	class    blockKind = "class"
	branch   blockKind = "branch" // if, for, try and others: what is in it may not happen
	plain    blockKind = "plain"  // a value, or a block of its own
)

// A ref is a name in use, with its members: process.exit, whatever the program
// calls it by.
type ref struct {
	name string
	tok  int32 // first token
	end  int32 // behind the last
	line int
	call bool // args from "(" to ")"
	args [2]int32
	set  bool // it is assigned to
}

// read looks at a program. It is linear in its size.
func read(l lang, text string) *source {
	s := &source{lang: l, alias: map[string]string{}, cuts: map[int32]cut{}, dropped: map[int32]bool{}, unused: map[int32]bool{}}
	s.toks, s.whole = lex(l, text)
	s.fuel = leastLooks + looksEach*len(s.toks)
	s.findBlocks()
	s.findAliases()
	s.findRefs()
	s.findTests()
	return s
}

func (s *source) at(i int32) token {
	s.fuel--
	if i < 0 || int(i) >= len(s.toks) {
		return token{kind: ends, pair: -1}
	}
	return s.toks[i]
}

func (s *source) is(i int32, texts ...string) bool {
	t := s.at(i)
	return t.kind != str && slices.Contains(texts, t.text)
}

// statement finds where the statement begins that token i is in, on the same
// level of brackets.
func (s *source) statement(i int32) int32 { return s.statementOf(i, 2) }

func (s *source) statementOf(i int32, parts int) int32 {
	for n := 0; i > 0 && n < 500; n++ {
		p := s.at(i - 1)
		switch {
		case p.kind == ends && p.text == ";" && s.lang == golang && parts > 0:
			// The head of an if, a for or a switch may have several parts.
			if h := s.statementOf(i-1, parts-1); s.is(h, "if", "for", "switch", "else", "}") {
				return h
			}
			return i
		case p.kind == ends, p.kind == punct && (p.text == ";" || p.text == "{" || p.text == "("):
			return i
		case p.kind == punct && p.text == "}":
			if s.at(i).nl || p.pair < 0 || s.lang == python || s.is(i, "else", "catch", "finally") {
				return i
			}
			i = p.pair
		case p.kind == punct && (p.text == ")" || p.text == "]"):
			if p.pair < 0 {
				return i
			}
			i = p.pair
		case p.kind == punct && p.text == "[":
			return i
		case s.lang == js && s.at(i).nl && p.kind != punct && s.at(i).kind == word:
			return i
		case s.lang == js && s.at(i).nl && p.text == ")" && s.at(i).kind == word:
			return i
		default:
			i--
		}
	}
	return i
}

func (s *source) findBlocks() {
	s.inside = make([]int32, len(s.toks))
	cur := int32(-1)
	for n := range s.toks {
		i := int32(n) // #nosec G115 -- a file has at most 4 MB
		t := s.toks[i]
		if t.kind == punct && t.text == "}" && cur >= 0 && s.blocks[cur].to == i {
			cur = s.blocks[cur].up
		}
		s.inside[i] = cur
		if t.kind == punct && t.text == "{" && t.pair > i {
			b := block{from: i, to: t.pair, up: cur, head: s.statement(i)}
			b.kind, b.name, b.head = s.blockKind(i, b.head)
			s.blocks = append(s.blocks, b)
			cur = int32(len(s.blocks) - 1) // #nosec G115 -- as above
		}
	}
}

// blockKind says what the brace at i opens; the statement begins at head, or
// where it says instead.
func (s *source) blockKind(i, head int32) (blockKind, string, int32) {
	first := s.at(head).text
	name := func(after string) string {
		for j := head; j < min(i, head+12); j++ {
			if s.is(j, after) {
				return s.at(j + 1).text
			}
		}
		return ""
	}
	prev := s.at(i - 1)
	switch s.lang {
	case python:
		if prev.text != ":" && !s.at(i).nl {
			return plain, "", head // a dictionary
		}
		// A block that stands on its own lines belongs to the statement before.
		h := i - 1
		for h > 0 && s.at(h-1).kind == ends {
			h--
		}
		if s.at(h).kind == ends {
			h = s.statement(h)
		} else {
			h = s.statement(i - 1)
		}
		switch w := s.at(h).text; w {
		case "def":
			return function, s.at(h + 1).text, h
		case "async":
			if s.is(h+1, "def") {
				return function, s.at(h + 2).text, h
			}
			return branch, "", h
		case "class":
			return class, s.at(h + 1).text, h
		}
		return branch, "", h
	case golang:
		if first == "func" {
			n := head + 1
			if s.is(n, "(") && s.at(n).pair > 0 && s.at(s.at(n).pair+1).kind == word {
				n = s.at(n).pair + 1 // a method
			}
			return function, s.at(n).text, head
		}
		if name("func") != "" && !control[first] {
			return function, "", head
		}
		for j := i - 1; j > max(head, i-40); j-- {
			if s.is(j, "func") {
				return function, "", head
			}
		}
		switch first {
		case "type", "struct", "interface":
			return class, name("type"), head
		case "if", "for", "switch", "select", "else", "case":
			return branch, "", head
		}
		return plain, "", head
	}
	switch {
	case first == "class" || name("class") != "":
		return class, name("class"), head
	case s.is(head, "struct", "interface", "trait", "impl", "enum", "namespace", "mod", "module"):
		return class, s.at(head + 1).text, head
	case prev.text == "=>" && prev.kind == punct:
		return function, s.bound(i, head), head
	case s.lang == rust && name("fn") != "":
		return function, name("fn"), head
	case prev.text == ")" && prev.kind == punct && prev.pair >= 0:
		before := s.at(prev.pair - 1)
		switch {
		case before.kind == word && control[before.text]:
			return branch, "", head
		case before.kind == word && before.text == "function":
			return function, s.bound(i, head), head
		case before.kind == word:
			return function, before.text, head
		}
		return function, "", head
	case s.is(i-1, "else", "try", "finally", "do", "catch", "loop", "unsafe"):
		return branch, "", head
	case first == "if" || first == "for" || first == "while" || first == "match":
		return branch, "", head
	case name("function") != "":
		return function, name("function"), head
	case s.lang != js && name("fun") != "":
		return function, name("fun"), head
	case s.lang != js && name("def") != "":
		return function, name("def"), head
	case (s.lang == java || s.lang == csharp) && (name("throws") != "" || name("where") != ""):
		for j := head; j < i; j++ {
			if s.is(j, "(") {
				return function, s.at(j - 1).text, head
			}
		}
		return function, "", head
	}
	// With a type behind the parameters, as TypeScript has it.
	for j := i - 1; j > max(head, i-20); j-- {
		if s.is(j, ":") && s.is(j-1, ")") {
			if p := s.at(j - 1).pair; p > 0 && s.at(p-1).kind == word && !control[s.at(p-1).text] {
				return function, s.at(p - 1).text, head
			}
			return function, "", head
		}
	}
	return plain, "", head
}

// bound is the name that a function without one is bound to.
func (s *source) bound(i, head int32) string {
	for j := head; j < min(i, head+8); j++ {
		if s.is(j, "=") && s.at(j-1).kind == word {
			return s.at(j - 1).text
		}
	}
	return ""
}

// around yields the blocks that token i is in, from the inside out.
func (s *source) around(i int32) func(func(block) bool) {
	return func(yield func(block) bool) {
		if i < 0 || int(i) >= len(s.inside) {
			return
		}
		for b := s.inside[i]; b >= 0; b = s.blocks[b].up {
			if !yield(s.blocks[b]) {
				return
			}
		}
	}
}
