package repo

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/autonomous-loop/autonomous-loop/runner"
)

// A scanner finds secrets in what is about to be recorded: keys by their form,
// and the values that this process holds, as they are and as a program would
// encode them. It finds what got there by accident; whoever wants to hide a
// secret can, which is why no process that could ever holds one.
type scanner struct {
	literal [][]byte
	known   map[string]bool // findings that a person says are no secrets, by their ids
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
	re    func() *regexp.Regexp
}

// compiled is an expression that is compiled when it is first looked for: most
// never are.
func compiled(expression string) func() *regexp.Regexp {
	return sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(expression) })
}

var forms = []form{
	{"a private key", []string{"PRIVATE KEY"}, compiled(`-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----(?:\\n|\s)*(?:[A-Za-z-]+: [^\n]*\s+)*[A-Za-z0-9+/=]{16,}`)},
	{"a GitHub token", []string{"ghp_", "gho_", "ghu_", "ghs_", "ghr_"}, compiled(`\bgh[pousr]_[A-Za-z0-9]{36,}`)},
	{"a GitHub token", []string{"github_pat_"}, compiled(`\bgithub_pat_[A-Za-z0-9_]{60,}`)},
	{"a model provider's key", []string{"sk-"}, compiled(`\bsk-[A-Za-z0-9_-]*[A-Za-z0-9]{20,}`)},
	{"an AWS access key", []string{"AKIA", "ASIA"}, compiled(`\bA[KS]IA[A-Z2-7]{16}\b`)},
	{"a Google API key", []string{"AIza"}, compiled(`\bAIza[A-Za-z0-9_-]{35}`)},
	{"a Slack token", []string{"xox"}, compiled(`\bxox[abprs]-[A-Za-z0-9-]{20,}`)},
	{"an npm token", []string{"npm_"}, compiled(`\bnpm_[A-Za-z0-9]{36}\b`)},
	{"a Stripe key", []string{"k_live_"}, compiled(`\b[sr]k_live_[A-Za-z0-9]{20,}`)},
	{"a Stripe signing secret", []string{"whsec_"}, compiled(`\bwhsec_[A-Za-z0-9+/]{32,}`)},
	{"a GitLab token", []string{"glpat-"}, compiled(`\bglpat-[A-Za-z0-9_-]{20,}`)},
	{"a PyPI token", []string{"pypi-AgEI"}, compiled(`\bpypi-AgEI[A-Za-z0-9_-]{50,}`)},
	{"a Docker Hub token", []string{"dckr_pat_"}, compiled(`\bdckr_pat_[A-Za-z0-9_-]{20,}`)},
	{"a Hugging Face token", []string{"hf_"}, compiled(`\bhf_[A-Za-z]{34}\b`)},
	{"a SendGrid key", []string{"SG."}, compiled(`\bSG\.[A-Za-z0-9_-]{22}\.[A-Za-z0-9_-]{43}`)},
	{"a DigitalOcean token", []string{"dop_v1_", "doo_v1_"}, compiled(`\bdo[op]_v1_[0-9a-f]{64}`)},
	{"a Slack webhook", []string{"hooks.slack.com"}, compiled(`hooks\.slack\.com/services/T[A-Z0-9]+/B[A-Z0-9]+/[A-Za-z0-9]{20,}`)},
	{"an Azure storage key", []string{"AccountKey="}, compiled(`\bAccountKey=[A-Za-z0-9+/]{86}==`)},
	{"a password in an address", []string{"://"}, compiled(`\b(?:postgres(?:ql)?|mysql|mongodb(?:\+srv)?|redis|rediss|amqps?)://[^\s:/@"'<>${}]+:[^\s:/@"'<>${}]{8,}@[A-Za-z0-9][A-Za-z0-9.-]*\.[A-Za-z]{2,}`)},
}

func (f form) hinted(b []byte) bool {
	return slices.ContainsFunc(f.hints, func(hint string) bool { return bytes.Contains(b, []byte(hint)) })
}

// find says what secret is in b that is not in before, "" if none. What the
// repository holds already is its owner's business, such as a test's key. A
// finding that is told by its form has an id, by which a person can say that it
// is none; a value of this run never passes.
func (s *scanner) find(b, before []byte) string {
	if s.holds(b) && !s.holds(before) {
		return "a secret of this run"
	}
	for _, f := range forms {
		if !f.hinted(b) {
			continue
		}
		for _, m := range f.re().FindAll(b, -1) {
			if varied(m) && !bytes.Contains(before, m) && !s.known[finding(m)] {
				return fmt.Sprintf("%s (finding %s)", f.name, finding(m))
			}
		}
	}
	return ""
}

// finding is the id of a text that looks like a secret: a part of its hash, from
// which it cannot be had.
func finding(m []byte) string { return runner.Hash(m)[:12] }

// Allow lets findings pass that a person has looked at, by their ids.
func (r *Repo) Allow(ids []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.secrets.known = map[string]bool{}
	for _, id := range ids {
		r.secrets.known[id] = true
	}
}

// Scrub takes out of a text what would be found in it, for texts that are kept
// for other reasons than a commit's.
func (r *Repo) Scrub(text string) string {
	b := []byte(text)
	for _, v := range r.secrets.literal {
		b = bytes.ReplaceAll(b, v, []byte("***"))
	}
	for _, f := range forms {
		if !f.hinted(b) {
			continue
		}
		b = f.re().ReplaceAllFunc(b, func(m []byte) []byte {
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
