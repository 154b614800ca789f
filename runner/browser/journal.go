package browser

import (
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"
)

// How much a run keeps of what a page says: a page that logs for ever must not
// fill the evidence.
const (
	maxEntries = 200
	maxEntry   = 600 // bytes
)

// A journal collects what a page reports by itself, while it is being used.
type journal struct {
	base *url.URL

	mu       sync.Mutex
	console  []string
	network  []string
	problems []string // errors of the page, without the noise that we make
	lost     int
}

func (j *journal) entry(list *[]string, format string, args ...any) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if len(*list) >= maxEntries {
		j.lost++
		return
	}
	*list = append(*list, oneLine(local(j.base, fmt.Sprintf(format, args...)), maxEntry))
}

// report is what has been collected: console and network.
func (j *journal) report() (console, network []string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	console = append(console, j.console...)
	network = append(network, j.network...)
	if j.lost > 0 {
		console = append(console, fmt.Sprintf("and %d more entries", j.lost))
	}
	return console, network
}

// errors are the errors of the page so far.
func (j *journal) errors() []string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return append([]string(nil), j.problems...)
}

// unheard is what the browser says of a request that an application did not
// answer because it was not there.
var unheard = regexp.MustCompile(`net::ERR_(CONNECTION_\w+|EMPTY_RESPONSE|SOCKET_NOT_CONNECTED|INCOMPLETE_CHUNKED_ENCODING)`)

// served is what the browser says of a resource that was answered with an error.
const served = "Failed to load resource: the server responded with a status of "

// mishaps are the errors of the page that speak against it whatever it was asked
// for: not that an address is not there or that input was refused, which may be
// what a scenario is about; not that a request failed which was refused here, or
// that came while the application was restarted; and nothing that contains one of
// allowed.
func (j *journal) mishaps(allowed []string, restarted bool) []string {
	_, network := j.report()
	refused := slices.ContainsFunc(network, func(e string) bool { return strings.HasPrefix(e, "refused ") })
	return slices.DeleteFunc(j.errors(), func(e string) bool {
		return strings.HasPrefix(e, served+"4") || (refused || restarted) && strings.Contains(e, "Failed to fetch") ||
			restarted && unheard.MatchString(e) || slices.ContainsFunc(allowed, func(part string) bool { return contains(e, part) })
	})
}

// oneLine makes text that a page or a server wrote fit for a report: one line,
// no control characters, at most n bytes.
func oneLine(s string, n int) string {
	if len(s) > 8*n {
		s = s[:8*n]
	}
	s = strings.ToValidUTF8(s, "\uFFFD")
	s = strings.Join(strings.FieldsFunc(s, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }), " ")
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n] + "…"
}
