package tool

import "strings"

// wildmatch is git's wildmatch: with pathname, '*', '?' and [...] do not match
// '/', "**" does.
func wildmatch(p, t string, pathname bool) bool { return dowild(p, t, pathname) == 1 }

const (
	wmAbort     = -1
	wmAbortStar = -2
)

func dowild(p, text string, pathname bool) int {
	pi, ti := 0, 0
	for ; pi < len(p); pi, ti = pi+1, ti+1 {
		pc := p[pi]
		if ti >= len(text) && pc != '*' {
			return wmAbort
		}
		switch pc {
		case '\\':
			pi++
			if pi >= len(p) {
				return 0
			}
			if text[ti] != p[pi] {
				return 0
			}
		case '?':
			if pathname && text[ti] == '/' {
				return 0
			}
		case '*':
			matchSlash := !pathname
			star := pi
			pi++
			if pi < len(p) && p[pi] == '*' {
				for pi < len(p) && p[pi] == '*' {
					pi++
				}
				if !pathname {
					matchSlash = true
				} else if (star == 0 || p[star-1] == '/') &&
					(pi >= len(p) || p[pi] == '/' || (p[pi] == '\\' && pi+1 < len(p) && p[pi+1] == '/')) {
					if pi < len(p) && p[pi] == '/' && dowild(p[pi+1:], text[ti:], pathname) == 1 {
						return 1
					}
					matchSlash = true
				} else {
					matchSlash = false
				}
			}
			if pi >= len(p) {
				if !matchSlash && strings.IndexByte(text[ti:], '/') >= 0 {
					return 0
				}
				return 1
			} else if !matchSlash && p[pi] == '/' {
				k := strings.IndexByte(text[ti:], '/')
				if k < 0 {
					return 0
				}
				ti += k
				continue // both advance past the slash
			}
			for ; ti < len(text); ti++ {
				m := dowild(p[pi:], text[ti:], pathname)
				if m != 0 {
					if !matchSlash || m != wmAbortStar {
						return m
					}
				} else if !matchSlash && text[ti] == '/' {
					return wmAbortStar
				}
			}
			// also the empty remainder
			if m := dowild(p[pi:], "", pathname); m == 1 {
				return 1
			}
			return wmAbort
		case '[':
			pi++
			if pi >= len(p) {
				return wmAbort
			}
			neg := p[pi] == '!' || p[pi] == '^'
			if neg {
				pi++
			}
			matched := false
			var prev byte
			first := true
			tc := text[ti]
			for {
				if pi >= len(p) {
					return wmAbort
				}
				c := p[pi]
				if c == ']' && !first {
					break
				}
				first = false
				switch {
				case c == '\\':
					pi++
					if pi >= len(p) {
						return wmAbort
					}
					c = p[pi]
					if tc == c {
						matched = true
					}
				case c == '-' && prev != 0 && pi+1 < len(p) && p[pi+1] != ']':
					pi++
					hi := p[pi]
					if hi == '\\' {
						pi++
						if pi >= len(p) {
							return wmAbort
						}
						hi = p[pi]
					}
					if tc <= hi && tc >= prev {
						matched = true
					}
					c = 0
				case c == '[' && pi+1 < len(p) && p[pi+1] == ':':
					e := strings.Index(p[pi+2:], ":]")
					if e < 0 {
						if tc == '[' {
							matched = true
						}
						break
					}
					ok, valid := class(p[pi+2:pi+2+e], tc)
					if !valid {
						return wmAbort
					}
					matched = matched || ok
					pi += 2 + e + 1
					c = 0
				default:
					if tc == c {
						matched = true
					}
				}
				prev = c
				pi++
			}
			if matched == neg || (pathname && tc == '/') {
				return 0
			}
		default:
			if text[ti] != pc {
				return 0
			}
		}
	}
	if ti < len(text) {
		return 0
	}
	return 1
}

func class(n string, c byte) (match, valid bool) {
	lower, upper, digit := c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9'
	switch n {
	case "alnum":
		return lower || upper || digit, true
	case "alpha":
		return lower || upper, true
	case "digit":
		return digit, true
	case "lower":
		return lower, true
	case "upper":
		return upper, true
	case "space":
		return c == ' ' || c >= 9 && c <= 13, true
	case "blank":
		return c == ' ' || c == '\t', true
	case "cntrl":
		return c < 32 || c == 127, true
	case "graph":
		return c > 32 && c < 127, true
	case "print":
		return c >= 32 && c < 127, true
	case "punct":
		return c > 32 && c < 127 && !(lower || upper || digit), true
	case "xdigit":
		return digit || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F', true
	}
	return false, false
}
