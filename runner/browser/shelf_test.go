package browser

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/autonomous-loop/autonomous-loop/runner/check"
)

// The application that the tests look at: a shelf of books, kept in a file of
// its working directory, and a few pages that misbehave. It is this test binary
// in a process of its own, started by a shell as any application is.

//go:embed testdata/shelf.html
var shelfPage string

func page(body string) string {
	return "<!doctype html><html lang=en><head><meta charset=utf-8><title>Shelf</title></head><body>" + body + "</body></html>"
}

// outsidePage asks for something at $TO in every way that there is.
const outsidePage = `<h1>Outside</h1><link rel=icon href="$TO/icon.png"><img src="$TO/img.png"><iframe src="$TO/frame"></iframe>
<script>
fetch('$TO/fetch').catch(() => {})
if (!location.search.includes('stay')) fetch('/away?to=$TO').catch(() => { document.title = 'Back' })
navigator.sendBeacon('$TO/beacon')
new EventSource('$TO/events')
try { new WebSocket('$TO/socket'.replace('http', 'ws')) } catch {}
new Worker(URL.createObjectURL(new Blob(["fetch('$TO/worker').catch(() => {})"])))
</script>`

// forgedPage answers every question about itself with a lie.
const forgedPage = `<p id=p>plain</p><script>
for (const k of ['innerText', 'textContent', 'value'])
  for (const c of [HTMLElement, Node, HTMLInputElement])
    try { Object.defineProperty(c.prototype, k, {get: () => 'forged'}) } catch {}
document.querySelectorAll = document.querySelector = () => null
Element.prototype.getAttribute = () => 'forged'
Element.prototype.checkVisibility = () => true
window.fetch = () => Promise.resolve(new Response('forged'))
</script>`

var pages = map[string]string{
	"/":        shelfPage,
	"/about":   page("<h1>About</h1>"),
	"/tall":    page(`<div style="height:20000px;background:linear-gradient(red,blue)">tall</div>`),
	"/loud":    page(`<script>for (let i = 0; i < 600; i++) console.error('loud ' + i + '\u001b[31m\n::error::x' + 'y'.repeat(2000))</script>`),
	"/forged":  page(forgedPage),
	"/socket":  page(`<p id=s></p><script>new WebSocket('ws://' + location.host + '/none').onerror = () => { document.getElementById('s').textContent = 'reached' }</script>`),
	"/leave":   page(`<script>onbeforeunload = e => e.preventDefault()</script><a href=/about>away</a>`),
	"/windows": page(`<h1>Windows</h1><script>for (let i = 0; i < 12; i++) open('/about')</script>`),
}

// serve is the application's main; how says what is wrong with it, if anything.
func serve(how string) {
	port := os.Getenv("PORT")
	var h http.Handler = http.HandlerFunc(shelfHandler)
	host := "127.0.0.1"
	switch how {
	case "503":
		h = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) })
	case "::1":
		host = how
	case "once":
		if _, err := os.Stat("once"); err == nil {
			fmt.Println("no more")
			os.Exit(4)
		}
		if err := os.WriteFile("once", nil, 0o600); err != nil {
			panic(err)
		}
	}
	l, err := net.Listen("tcp", net.JoinHostPort(host, port))
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	if how != "503" {
		fmt.Println("listening")
	}
	panic(http.Serve(l, h))
}

var visits int // by any path, since it was started

func shelfHandler(w http.ResponseWriter, r *http.Request) {
	fmt.Println(r.Method, r.URL)
	send := func(status int, v any) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(v) // whoever asked is gone
	}
	visits++
	if p, ok := pages[r.URL.Path]; ok {
		w.Header().Set("Content-Type", "text/html")
		_, _ = fmt.Fprint(w, p) // whoever asked is gone
		return
	}
	to := r.URL.Query().Get("to")
	switch r.URL.Path {
	case "/hang":
		<-r.Context().Done()
	case "/outside":
		w.Header().Set("Content-Type", "text/html")
		_, _ = fmt.Fprint(w, page(strings.ReplaceAll(outsidePage, "$TO", to)))
	case "/away":
		http.Redirect(w, r, to+"/redirected", http.StatusFound)
	case "/broken":
		w.WriteHeader(http.StatusInternalServerError)
	case "/down":
		os.Exit(3)
	case "/visits":
		send(http.StatusOK, visits)
	case "/env":
		dir, _ := os.Getwd()
		send(http.StatusOK, map[string]string{"cwd": dir, "port": os.Getenv("PORT")})
	case "/api/books":
		books(r, send)
	default:
		http.Error(w, "Not found", http.StatusNotFound)
	}
}

func books(r *http.Request, send func(int, any)) {
	list := []string{}
	if b, err := os.ReadFile("books.json"); err == nil {
		_ = json.Unmarshal(b, &list) // it wrote it itself
	}
	if r.Method == http.MethodGet {
		send(http.StatusOK, list)
		return
	}
	var book struct{ Title string }
	if r.Method == http.MethodDelete {
		list = list[:0]
	} else if err := json.NewDecoder(r.Body).Decode(&book); err != nil {
		send(http.StatusBadRequest, "not JSON")
		return
	} else {
		list = append(list, book.Title)
	}
	b, _ := json.Marshal(list)
	if err := os.WriteFile("books.json", b, 0o600); err != nil {
		panic(err)
	}
	send(http.StatusCreated, list)
}

// shelf is the application in a directory of its own.
func shelf(t *testing.T, how ...string) check.App {
	t.Helper()
	return check.App{Dir: t.TempDir(), Start: "exec " + shelfCommand(t, how...)}
}

func shelfCommand(t *testing.T, how ...string) string {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return "env SHELF=" + strings.Join(append(how, "serve")[:1], "") + " " + quote(self)
}
