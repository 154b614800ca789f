package audit

import (
	"slices"
	"strings"

	"github.com/autonomous-loop/autonomous-loop/runner/pattern"
)

var (
	// What a stack is taken for by who only wants to tell people of it.
	telling = pattern.MustCompile(`(?i)\b(console|log|logs|logger|logging|slog|warn\w*|debug\w*|trace[rds]?|report\w*|print\w*|deprecat\w*|diagnos\w*|sentry|stderr|capture\w*|notice|stacklevel|fatal\w*)\b`)
	// Where it decides something, and where it is taken apart.
	asking  = pattern.MustCompile(`\. (includes|match|matchAll|test|indexOf|search|startsWith|endsWith|some|find|findIndex|startswith|endswith|Contains|HasPrefix|HasSuffix|MatchString|EqualFold) \(|[!=]==? |\bin \w+ \.|\bnot in\b`)
	parting = pattern.MustCompile(`\. (split|slice|substring|exec|replace|at|f_locals|f_globals|f_back|f_code|filename|lineno|code_context|function|name|line) |\. (f_locals|f_globals|f_back|f_code|filename|code_context)\b|getFileName|getFunctionName|Frames \(|FuncForPC`)
	locals  = pattern.MustCompile(`f_locals|f_globals (\[ "|\. get)|code_context|\. locals\b`)
)

// stacks finds code that looks at who calls it, and says what it does with that:
// what is told to people is no matter, what decides or answers is.
func (a *auditor) stacks(c *change, s *source, r ref) {
	name := r.name
	text := s.followed(r)
	const undo = " The program must do the same whoever calls it. Take it out."
	m := stackSign.FindString(text)
	if m == "" {
		m = a.namesTest(text)
	}
	tells := telling.MatchString(s.sentence(r.tok)) || telling.MatchString(s.functionNames(r.tok)) || telling.MatchString(strings.ReplaceAll(c.Path, "/", " "))
	asks := asking.MatchString(text)
	if name == "Error.captureStackTrace" && !strings.Contains(text+a.captured(s, r), ". stack") {
		return // as errors of a kind of their own do
	}
	switch {
	case s.lang != ruby && s.lang != php && (name == "caller" || name == "caller_locations" || name == "debug_backtrace"):
	case s.lang == python && strings.Contains(text, `"__name__"`) && !strings.Contains(text, "f_locals") && m == "":
		a.find("environment", Note, c, r.line, "The implementation looks at the module of who calls it (`%s`).", name)
	case m != "" && (asks || parting.MatchString(text) || stackCall.MatchString(name)) && !(name == "runtime.Caller" && !asks):
		a.find("environment", Invalid, c, r.line, "The implementation looks on the stack whether a test calls it (`%s`).%s", m, undo)
	case reading.MatchString(text) && !(name == "runtime.Caller" && s.is(r.args[0], "0")): // where its own source is, it may ask
		a.find("environment", Failed, c, r.line, "The implementation reads the source of who calls it, from the stack. Let it work by itself.")
	case locals.MatchString(text) && s.lang == python:
		a.find("environment", Failed, c, r.line, "The implementation looks into the frame of who calls it, on the stack (`%s`).%s", name, undo)
	case tells && !asks:
	case asks && !tells, s.lang == python && parting.MatchString(text) && !tells && !strings.Contains(text, "__name__"):
		a.find("environment", Failed, c, r.line, "The implementation looks on the stack who calls it (`%s`).%s", name, undo)
	case strings.HasPrefix(name, "runtime.") || strings.HasPrefix(name, "debug.") || strings.HasSuffix(name, ".stack") || name == "Error.captureStackTrace":
	default:
		a.find("environment", Note, c, r.line, "The implementation looks at who calls it (`%s`).", name)
	}
}

// namesTest finds in a text a string that is, or is part of, the name of a test
// file of the change.
func (a *auditor) namesTest(text string) string {
	for _, m := range inQuotes.FindAllStringSubmatch(text, 50) {
		w := strings.Trim(m[1]+m[2], `^$\/`)
		if len(w) < 3 || strings.ContainsAny(w, " \n") {
			continue
		}
		w = strings.ReplaceAll(w, `\`, "")
		if !strings.Contains(w, ".") && !strings.Contains(w, "_") && !strings.Contains(w, "/") {
			continue
		}
		if slices.ContainsFunc(a.changes, func(o *change) bool { return o.kind == Test && strings.Contains(o.Path, w) }) {
			return w
		}
	}
	return ""
}

var inQuotes = pattern.MustCompile(`"([^"]*)"|/([^/ ]+(?:\\/[^/ ]*)*)/`)

// sentence is the text of the statement that token i is in, out of all brackets that
// open on the way but those of blocks.
func (s *source) sentence(i int32) string {
	from := i
	for range 8 {
		from = s.statement(from)
		if !s.is(from-1, "(", "[") || from < 2 {
			break
		}
		from--
	}
	for s.is(from-1, "(", "[", "!") || from > 0 && s.at(from-1).kind == word && s.at(from-1).line == s.at(from).line && !s.at(from).nl {
		from--
	}
	end := i
	for end < i+80 && s.at(end).kind != ends && !s.is(end, ";") && (end == i || !(s.at(end).nl && s.at(end).kind == word && s.at(end-1).kind != punct)) {
		if s.is(end, "{") && (s.is(end-1, ")") || s.at(end).pair > end+40) {
			break
		}
		end++
	}
	return s.text(from, end)
}

// followed is the statement that r is in and, where a name is given to what it
// finds, the statements in which that name is used.
func (s *source) followed(r ref) string {
	text := s.sentence(r.tok)
	start := r.tok
	for n := 0; n < 60 && start > 0; n++ {
		p := s.at(start - 1)
		if p.kind == ends || s.is(start-1, ";", "{", "}") {
			break
		}
		start--
	}
	var names []string
	for i := start; i < r.tok; i++ {
		if s.is(i, "=", ":=", "of", "in") && s.at(i-1).kind != str {
			for j := start; j <= i; j++ {
				if s.at(j).kind == word && s.is(j+1, "=", ",", "]", "}", ":=", "of", "in", ")") && (j < 1 || !s.is(j-1, ".")) {
					names = append(names, s.at(j).text)
				}
			}
			break
		}
	}
	if len(names) == 0 || len(names) > 6 {
		return text
	}
	// Names of what was found lead to further names, as far as it goes.
	var b strings.Builder
	b.WriteString(text)
	limit := int32(len(s.toks)) // #nosec G115 -- a file has at most 4 MB
	for x := range s.around(r.tok) {
		if x.kind == function {
			limit = x.to
			break
		}
	}
	uses := 0
	for i := r.end; i < min(limit, r.end+3000) && uses < 20; i++ {
		if s.at(i).kind == word && slices.Contains(names, s.at(i).text) && !s.is(i-1, ".") {
			w := s.sentence(i)
			b.WriteString(" ; " + w)
			uses++
			if name, _, ok := strings.Cut(w, " = "); ok && len(names) < 8 {
				f := strings.Fields(name)
				names = append(names, f[len(f)-1])
			}
		}
	}
	return b.String()
}

// captured is what the function does with the object that a stack is put into.
func (a *auditor) captured(s *source, r ref) string {
	if s.at(r.args[0]).kind != word || s.is(r.args[0], "this") {
		return ""
	}
	for b := range s.around(r.tok) {
		if b.kind == function {
			return s.text(r.end, b.to)
		}
	}
	return s.text(r.end, r.end+200)
}

// madeStack says whether r is the stack of an error that is made to be looked at,
// and not thrown: const e = new Error(); e.stack.
func (s *source) madeStack(r ref) bool {
	v, member, ok := strings.Cut(r.name, ".")
	if !ok || s.lang != js || member != "stack" && !strings.HasPrefix(member, "stack.") || v == "this" {
		return false
	}
	for i := r.tok; i > max(0, r.tok-4000); i-- {
		if s.at(i).kind != word || s.at(i).text != v {
			continue
		}
		if s.is(i+1, "=") {
			return strings.HasPrefix(s.text(i+2, i+5), "new Error") || strings.HasPrefix(s.text(i+2, i+4), "Error (") || s.is(i+2, "{") && strings.Contains(s.text(max(0, i-10), min(r.tok+1, i+200)), "captureStackTrace ( "+v)
		}
		if s.is(i-2, "catch") && s.is(i-1, "(") {
			// Thrown and caught on the spot.
			p := i - 3
			if s.is(p, "}") && s.at(p).pair >= 0 {
				b := s.text(s.at(p).pair, p)
				return strings.HasPrefix(b, "{ throw new Error") || strings.HasPrefix(b, "{ null .") || strings.HasPrefix(b, "{ undefined")
			}
			return false
		}
	}
	return false
}
