package repo

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// A scanner finds secrets in what is about to be recorded: keys by their form,
// and the values that this process holds, as they are and as a program would
// encode them. It finds what got there by accident; whoever wants to hide a
// secret can, which is why no process that could ever holds one.
type scanner struct {
	literal [][]byte
}

// shortest is the length below which a value is not looked for: it would be
// found everywhere.
const shortest = 8

func newScanner(secrets []string) *scanner {
	s := &scanner{}
	for _, v := range secrets {
		v = strings.TrimSpace(v)
		if len(v) < shortest {
			continue
		}
		forms := []string{v, url.QueryEscape(v), url.PathEscape(v), hex.EncodeToString([]byte(v)), strings.ToUpper(hex.EncodeToString([]byte(v)))}
		for _, html := range []bool{true, false} {
			var b bytes.Buffer
			e := json.NewEncoder(&b)
			e.SetEscapeHTML(html)
			if e.Encode(v) == nil {
				forms = append(forms, strings.Trim(b.String(), "\"\n"))
			}
		}
		// In base64 a value reads in three ways, by where in the text it
		// begins; the characters that it shares with its neighbours are cut.
		for shift := range 3 {
			raw := base64.RawStdEncoding.EncodeToString(append(make([]byte, shift), v...))
			raw = raw[(shift*8+5)/6 : (shift+len(v))*8/6]
			forms = append(forms, raw, strings.NewReplacer("+", "-", "/", "_").Replace(raw))
		}
		slices.Sort(forms)
		for _, f := range slices.Compact(forms) {
			s.literal = append(s.literal, []byte(f))
		}
	}
	return s
}

// A form is a kind of key that can be told by its look. Every such key holds
// one of the hints, which are looked for first because that is cheap.
type form struct {
	name  string
	hints []string
	re    *regexp.Regexp
}

var forms = []form{
	{"a private key", []string{"PRIVATE KEY"}, regexp.MustCompile(`-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----(?:\\n|\s)*(?:[A-Za-z-]+: [^\n]*\s+)*[A-Za-z0-9+/=]{16,}`)},
	{"a GitHub token", []string{"ghp_", "gho_", "ghu_", "ghs_", "ghr_"}, regexp.MustCompile(`\bgh[pousr]_[A-Za-z0-9]{36,}`)},
	{"a GitHub token", []string{"github_pat_"}, regexp.MustCompile(`\bgithub_pat_[A-Za-z0-9_]{60,}`)},
	{"a model provider's key", []string{"sk-"}, regexp.MustCompile(`\bsk-[A-Za-z0-9_-]*[A-Za-z0-9]{20,}`)},
	{"an AWS access key", []string{"AKIA", "ASIA"}, regexp.MustCompile(`\bA[KS]IA[A-Z2-7]{16}\b`)},
	{"a Google API key", []string{"AIza"}, regexp.MustCompile(`\bAIza[A-Za-z0-9_-]{35}`)},
	{"a Slack token", []string{"xox"}, regexp.MustCompile(`\bxox[abprs]-[A-Za-z0-9-]{20,}`)},
	{"an npm token", []string{"npm_"}, regexp.MustCompile(`\bnpm_[A-Za-z0-9]{36}\b`)},
	{"a Stripe key", []string{"k_live_"}, regexp.MustCompile(`\b[sr]k_live_[A-Za-z0-9]{20,}`)},
}

// find says what secret is in b that is not in before, "" if none. What the
// repository holds already is its owner's business, such as a test's key.
func (s *scanner) find(b, before []byte) string {
	if s.holds(b) && !s.holds(before) {
		return "a secret of this run"
	}
	for _, f := range forms {
		if !slices.ContainsFunc(f.hints, func(hint string) bool { return bytes.Contains(b, []byte(hint)) }) {
			continue
		}
		for _, m := range f.re.FindAll(b, -1) {
			if varied(m) && !bytes.Contains(before, m) {
				return f.name
			}
		}
	}
	return ""
}

// Scrub takes out of a text what would be found in it, for texts that are kept
// for other reasons than a commit's.
func (r *Repo) Scrub(text string) string {
	b := []byte(text)
	for _, v := range r.secrets.literal {
		b = bytes.ReplaceAll(b, v, []byte("***"))
	}
	for _, f := range forms {
		b = f.re.ReplaceAllFunc(b, func(m []byte) []byte {
			if varied(m) {
				return []byte("***")
			}
			return m
		})
	}
	return string(b)
}

// holds says whether b holds a value of this run in any form.
func (s *scanner) holds(b []byte) bool {
	return slices.ContainsFunc(s.literal, func(v []byte) bool { return bytes.Contains(b, v) })
}

// varied tells a key from a placeholder such as sk-xxxxxxxxxxxxxxxxxxxxxxxx or
// AKIAIOSFODNN7EXAMPLE.
func varied(key []byte) bool {
	if bytes.HasSuffix(key, []byte("EXAMPLE")) {
		return false
	}
	var seen [256]bool
	n := 0
	for _, c := range key[len(key)/4:] {
		if !seen[c] {
			seen[c] = true
			n++
		}
	}
	return n >= 8
}
