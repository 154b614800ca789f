package browser

import (
	"net"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// A scope says which addresses a page may reach: those of one port on this
// machine or, for an agent that looks around, of every port on it.
type scope struct {
	port string // "": any
}

// holds says whether raw is in the scope. Content that a page brings along
// (data:, blob:) is; files, the browser's own pages and other hosts are not.
func (s scope) holds(raw string) bool {
	u, err := url.Parse(raw)
	if err != nil {
		return false
	}
	switch u.Scheme {
	case "data", "blob", "about":
		return true
	}
	return s.serves(u)
}

// serves says whether u is an address that can be opened as a page.
func (s scope) serves(u *url.URL) bool {
	if !slices.Contains([]string{"http", "https", "ws", "wss"}, u.Scheme) || !loopback(u.Hostname()) {
		return false
	}
	return s.port == "" || port(u) == s.port
}

// loopback says whether host is this machine by one of the names that the
// browser resolves.
func loopback(host string) bool {
	return host == "localhost" || strings.HasSuffix(host, ".localhost") || host == "127.0.0.1" || host == "::1"
}

func port(u *url.URL) string {
	switch {
	case u.Port() != "":
		return u.Port()
	case u.Scheme == "https" || u.Scheme == "wss":
		return "443"
	}
	return "80"
}

// resolve makes an address of a path, or of an address in the scope; ok is
// false for any other.
func (s scope) resolve(base *url.URL, ref string) (string, bool) {
	u, err := base.Parse(strings.TrimSpace(ref))
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || !s.serves(u) {
		return "", false
	}
	return u.String(), true
}

// local strips the application's own origin from text that people read: ports
// differ from run to run and say nothing.
func local(base *url.URL, text string) string {
	_, p, err := net.SplitHostPort(base.Host)
	if err != nil {
		return text
	}
	for _, host := range []string{"127.0.0.1", "localhost", "[::1]"} {
		origin := base.Scheme + "://" + host + ":" + p
		text = strings.ReplaceAll(text, origin+"/", "/")
		text = strings.ReplaceAll(text, origin, "/")
	}
	return text
}

// sameURL says whether have is the address that want describes: a path, with
// query and fragment only if they matter, or a whole address. * stands for any
// text.
func sameURL(want, have string) bool {
	w, h := parts(want), parts(have)
	if !strings.HasPrefix(want, "/") && !strings.HasPrefix(want, "*") && w.origin != h.origin {
		return false
	}
	return glob(w.path, h.path) &&
		(w.query == "" || glob(w.query, h.query)) &&
		(w.fragment == "" || glob(w.fragment, h.fragment))
}

type urlParts struct{ origin, path, query, fragment string }

func parts(s string) urlParts {
	var p urlParts
	s, p.fragment, _ = strings.Cut(s, "#")
	s, p.query, _ = strings.Cut(s, "?")
	if scheme, rest, ok := strings.Cut(s, "://"); ok {
		host, path, _ := strings.Cut(rest, "/")
		name, p0, _ := strings.Cut(host, ":")
		if loopback(name) {
			name = "localhost"
		}
		p.origin, s = scheme+"://"+name+":"+p0, "/"+path
	}
	if p.path = s; len(s) > 1 {
		p.path = strings.TrimSuffix(s, "/")
	}
	return p
}

// glob says whether s is pattern, in which * stands for any text.
func glob(pattern, s string) bool {
	var b strings.Builder
	b.WriteString(`(?s)^`)
	for i, part := range strings.Split(pattern, "*") {
		if i > 0 {
			b.WriteString(`.*`)
		}
		b.WriteString(regexp.QuoteMeta(part))
	}
	b.WriteString(`$`)
	return regexp.MustCompile(b.String()).MatchString(s)
}
