package repo

import "strings"

// wildmatch says whether text matches pattern, as git's function of the same
// name does: if pathname, then *, ? and [...] do not match a slash, and ** does.
func wildmatch(pattern, text string, pathname bool) bool {
	return match(pattern, text, pathname) == matched
}

// A mismatch can tell the stars further left that trying on is in vain.
type outcome int

const (
	mismatched outcome = iota
	matched
	abort     // the text is used up
	abortStar // only a ** could still match
)

func match(p, text string, pathname bool) outcome {
	pi, ti := 0, 0
	for ; pi < len(p); pi, ti = pi+1, ti+1 {
		if ti >= len(text) && p[pi] != '*' {
			return abort
		}
		switch p[pi] {
		case '\\':
			pi++
			if pi >= len(p) || text[ti] != p[pi] {
				return mismatched
			}
		case '?':
			if pathname && text[ti] == '/' {
				return mismatched
			}
		case '*':
			star := pi
			for pi < len(p) && p[pi] == '*' {
				pi++
			}
			slashes := !pathname // whether this star matches a slash
			if pi-star > 1 && pathname && between(p, star, pi) {
				if pi < len(p) && p[pi] == '/' && match(p[pi+1:], text[ti:], pathname) == matched {
					return matched // **/ also stands for nothing
				}
				slashes = true
			}
			switch {
			case pi >= len(p):
				if !slashes && strings.IndexByte(text[ti:], '/') >= 0 {
					return mismatched
				}
				return matched
			case !slashes && p[pi] == '/':
				k := strings.IndexByte(text[ti:], '/')
				if k < 0 {
					return mismatched
				}
				ti += k
				continue // past the slash in both
			}
			return matchStar(p[pi:], text[ti:], pathname, slashes)
		case '[':
			end, ok, valid := class(p[pi+1:], text[ti])
			if !valid {
				return abort
			}
			if !ok || pathname && text[ti] == '/' {
				return mismatched
			}
			pi += end
		default:
			if text[ti] != p[pi] {
				return mismatched
			}
		}
	}
	if ti < len(text) {
		return mismatched
	}
	return matched
}

// between says that the stars p[from:to] stand between slashes, or at an end.
func between(p string, from, to int) bool {
	return (from == 0 || p[from-1] == '/') &&
		(to >= len(p) || p[to] == '/' || strings.HasPrefix(p[to:], `\/`))
}

// matchStar matches what follows a star against every rest of the text.
func matchStar(p, text string, pathname, slashes bool) outcome {
	for i := range len(text) {
		m := match(p, text[i:], pathname)
		switch {
		case m != mismatched && (!slashes || m != abortStar):
			return m
		case m == mismatched && !slashes && text[i] == '/':
			return abortStar
		}
	}
	if match(p, "", pathname) == matched {
		return matched
	}
	return abort
}

// class matches c against a bracket expression; p begins after the bracket. It
// returns the length of the expression with its closing bracket.
func class(p string, c byte) (length int, ok, valid bool) {
	i := 0
	negative := p != "" && (p[0] == '!' || p[0] == '^')
	if negative {
		i++
	}
	var prev byte // the start of a range, if one follows
	for first := true; ; first = false {
		if i >= len(p) {
			return 0, false, false
		}
		if p[i] == ']' && !first {
			return i + 1, ok != negative, true
		}
		switch {
		case p[i] == '-' && prev != 0 && i+1 < len(p) && p[i+1] != ']':
			i++
			if p[i] == '\\' {
				i++
			}
			if i >= len(p) {
				return 0, false, false
			}
			ok = ok || prev <= c && c <= p[i]
			prev = 0
		case strings.HasPrefix(p[i:], "[:"):
			end := strings.Index(p[i+2:], ":]")
			if end < 0 { // an ordinary bracket
				ok = ok || c == '['
				prev = '['
				break
			}
			in, known := named(p[i+2:i+2+end], c)
			if !known {
				return 0, false, false
			}
			ok = ok || in
			i += 2 + end + 1
			prev = 0
		default:
			if p[i] == '\\' {
				i++
				if i >= len(p) {
					return 0, false, false
				}
			}
			ok = ok || c == p[i]
			prev = p[i]
		}
		i++
	}
}

// named says whether c is in the class called name, such as alpha.
func named(name string, c byte) (in, known bool) {
	lower, upper, digit := c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9'
	switch name {
	case "alnum":
		return lower || upper || digit, true
	case "alpha":
		return lower || upper, true
	case "blank":
		return c == ' ' || c == '\t', true
	case "cntrl":
		return c < 32 || c == 127, true
	case "digit":
		return digit, true
	case "graph":
		return c > 32 && c < 127, true
	case "lower":
		return lower, true
	case "print":
		return c >= 32 && c < 127, true
	case "punct":
		return c > 32 && c < 127 && !lower && !upper && !digit, true
	case "space":
		return c == ' ' || c >= 9 && c <= 13, true
	case "upper":
		return upper, true
	case "xdigit":
		return digit || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F', true
	}
	return false, false
}
