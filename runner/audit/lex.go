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
type lang = string

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
	for i := range toks {
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
