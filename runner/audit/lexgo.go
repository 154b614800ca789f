package audit

import (
	"go/scanner"
	gotoken "go/token"
	"strconv"
)

// lexGo splits Go with the standard library's own scanner.
func lexGo(text string) (toks []token, whole bool) {
	fset := gotoken.NewFileSet()
	file := fset.AddFile("", fset.Base(), len(text))
	whole = true
	var s scanner.Scanner
	s.Init(file, []byte(text), func(gotoken.Position, string) { whole = false }, 0)
	last := int32(0)
	for {
		pos, tok, lit := s.Scan()
		if tok == gotoken.EOF {
			return toks, whole
		}
		line := int32(file.PositionFor(pos, false).Line) // #nosec G115 -- a file has at most 4 MB
		t := token{kind: punct, text: tok.String(), line: line, nl: line != last}
		last = line
		switch {
		case tok == gotoken.IDENT || tok.IsKeyword():
			t.kind = word
			if tok == gotoken.IDENT {
				t.text = lit
			}
		case tok == gotoken.STRING || tok == gotoken.CHAR:
			t.kind, t.text = str, lit
			if v, err := strconv.Unquote(lit); err == nil {
				t.text = v
			}
		case tok.IsLiteral():
			t.kind, t.text = number, lit
		case tok == gotoken.SEMICOLON:
			t.kind, t.text = ends, lit // ";", or the end of a line
		}
		toks = append(toks, t)
	}
}
