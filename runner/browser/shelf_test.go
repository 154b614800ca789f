package browser

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

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

// meansPage asks for something at $TO and $UDP by what is no request of the page.
const meansPage = `<p id=p></p><link rel=dns-prefetch href="$TO"><link rel=preconnect href="$TO"><link rel=prefetch href="$TO/prefetch">
<link rel=prerender href="$TO/prerender"><script type=speculationrules>{"prefetch": [{"source": "list", "urls": ["$TO/speculated"]}], "prerender": [{"source": "list", "urls": ["$TO/speculated"]}]}</script>
<a href="/about" ping="$TO/ping">ping</a><form id=f action="$TO/form" target=t></form><iframe name=t></iframe>
<script>
(async () => {
  const tried = []
  const attempt = async f => { try { await f() } catch {} }
  await attempt(() => new SharedWorker(URL.createObjectURL(new Blob(["fetch('$TO/shared').catch(() => {})"]))))
  await attempt(() => new Worker(URL.createObjectURL(new Blob(["try { importScripts('$TO/script') } catch {}"]))))
  await attempt(() => new WebTransport('$TO'.replace('http', 'https')).ready.catch(() => {}))
  await attempt(() => f.submit())
  await attempt(() => open('$TO/window'))
  await attempt(async () => {
    const c = new RTCPeerConnection({iceServers: [{urls: 'stun:$UDP'}, {urls: 'turn:$UDP', username: 'a', credential: 'b'}, {urls: 'turn:' + '$TO'.slice(7) + '?transport=tcp', username: 'a', credential: 'b'}]})
    c.createDataChannel('x')
    await c.setLocalDescription(await c.createOffer())
    await new Promise(done => setTimeout(done, 1500))
  })
  document.getElementById('p').textContent = 'tried'
})()
</script>`

// barrierPage keeps people out, and whoever looks for that if it can.
const barrierPage = `<h1>Barriers</h1><img src="data:,"><input id=i><p style="color:#ddd;background:#eee">pale</p>
<script>
Object.defineProperty(window, 'axe', {value: {run: async () => ({violations: []})}, writable: false})
document.querySelectorAll = () => []
Array.prototype.map = function () { return [] }
JSON.stringify = () => '[]'
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

// notePage looks as if it kept a note. Where it really does, the script says.
func notePage(script string) string {
	return page(`<h1>Notes</h1><label for=n>Note</label><input id=n><button id=b>Keep</button><p id=out></p><script>
const out = document.getElementById('out'), show = t => { out.textContent = t }
let keep = show
` + script + `
document.getElementById('b').onclick = () => keep(document.getElementById('n').value)
</script>`)
}

var pages = map[string]string{
	"/note/nowhere": notePage(``),
	"/note/name":    notePage(`show(window.name); keep = t => { window.name = t; show(t) }`),
	"/note/storage": notePage(`show(localStorage.note || ''); keep = t => { localStorage.note = t; show(t) }`),
	"/note/cookie":  notePage(`show(decodeURIComponent(document.cookie)); keep = t => { document.cookie = encodeURIComponent(t); show(t) }`),
	"/note/hash":    notePage(`show(decodeURIComponent(location.hash.slice(1))); keep = t => { location.hash = encodeURIComponent(t); show(t) }`),
	"/note/query":   notePage(`show(new URLSearchParams(location.search).get('n') || ''); keep = t => { history.pushState(0, '', '?n=' + encodeURIComponent(t).replaceAll('%20', '+')); show(t) }`),
	"/note/server":  notePage(`const load = () => fetch('/api/books').then(r => r.json()).then(l => show(l.join())); load(); keep = t => fetch('/api/books', {method: 'POST', body: JSON.stringify({title: t})}).then(load)`),
	"/note/memory":  notePage(`const load = () => fetch('/api/memory').then(r => r.text()).then(show); load(); keep = t => fetch('/api/memory', {method: 'PUT', body: t}).then(load)`),
	"/note/worker":  notePage(`show(''); navigator.serviceWorker.register('/worker.js').catch(() => {}).then(() => show('tried'))`),
	"/hushed":       page(`<h1>Hushed</h1><script>console.error = () => {}; onerror = () => true; console.error('hushed up'); setTimeout(() => { throw new TypeError('thrown in vain') })</script>`),
	"/reject":       page(`<h1>Reject</h1><script>addEventListener('unhandledrejection', e => e.preventDefault()); Promise.reject(new Error('never mind'))</script>`),
	"/confirm":      page(`<h1>Confirm</h1><button id=b>Go</button><p id=p></p><script>window.confirm = () => true; document.getElementById('b').onclick = () => { if (confirm('Sure?')) document.getElementById('p').textContent = 'gone' }</script>`),
	"/flicker":      page(`<h1>Open</h1><script>setInterval(() => { const h = document.querySelector('h1'); h.textContent = h.textContent == 'Open' ? 'Closed' : 'Open' }, 150)</script>`),
	"/fetched":      page(`<p id=p></p><script>fetch('/slow').then(r => r.text()).then(t => { document.getElementById('p').textContent = t })</script>`),
	"/steps":        page(`<p id=p>0</p><script>const i = setInterval(() => { const p = document.getElementById('p'); if (++p.textContent == 12) clearInterval(i) }, 150)</script>`),
	"/late":         page(`<h1>Late</h1><ul></ul><p role=status></p><script>setTimeout(() => { document.querySelector('ul').innerHTML = '<li>one' }, 300); setTimeout(() => { document.querySelector('p').textContent = 'loaded' }, 600)</script>`),
	"/polling":      page(`<h1>Polling</h1><p id=p></p><script>setInterval(() => fetch('/visits').then(() => { document.getElementById('p').textContent = 'heard' }), 20)</script>`),
	"/missing":      page(`<h1>Missing</h1><img src=/none.png alt=none>`),
	"/files":        page(`<a id=a href=/export download=export.csv>Export</a>`),
	"/judge":        page(`<ul id=l></ul><script>for (const s of [Intl.DateTimeFormat().resolvedOptions().timeZone, navigator.language, innerWidth + 'x' + innerHeight, 'reduced ' + matchMedia('(prefers-reduced-motion: reduce)').matches, 'light ' + matchMedia('(prefers-color-scheme: light)').matches, 'driven ' + !!navigator.webdriver, /Headless/.test(navigator.userAgent + JSON.stringify(navigator.userAgentData?.brands)) ? 'headless' : 'an ordinary browser']) l.append(Object.assign(document.createElement('li'), {textContent: s}))</script>`),
	"/":             shelfPage,
	"/about":        page("<h1>About</h1>"),
	"/tall":         page(`<div style="height:20000px;background:linear-gradient(red,blue)">tall</div>`),
	"/loud":         page(`<script>for (let i = 0; i < 600; i++) console.error('loud ' + i + '\u001b[31m\n::error::x' + 'y'.repeat(2000))</script>`),
	"/forged":       page(forgedPage),
	"/socket":       page(`<p id=s></p><script>new WebSocket('ws://' + location.host + '/none').onerror = () => { document.getElementById('s').textContent = 'reached' }</script>`),
	"/leave":        page(`<script>onbeforeunload = e => e.preventDefault()</script><a href=/about>away</a>`),
	"/windows":      page(`<h1>Windows</h1><script>for (let i = 0; i < 12; i++) open('/about')</script>`),
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

var (
	visits int    // by any path, since it was started
	memory string // of /api/memory, gone with the process
)

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
	case "/slow":
		time.Sleep(2 * quiet)
		_, _ = fmt.Fprint(w, "slow but sure") // whoever asked is gone
	case "/outside":
		w.Header().Set("Content-Type", "text/html")
		_, _ = fmt.Fprint(w, page(strings.ReplaceAll(outsidePage, "$TO", to)))
	case "/barriers":
		w.Header().Set("Content-Security-Policy", "default-src 'none'; img-src data:; script-src 'unsafe-inline'; style-src 'unsafe-inline'")
		w.Header().Set("Content-Type", "text/html")
		_, _ = fmt.Fprint(w, page(barrierPage)) // whoever asked is gone
	case "/headers":
		fmt.Println(r.Header)
		_, _ = fmt.Fprint(w, r.Header) // whoever asked is gone
	case "/means":
		w.Header().Set("Content-Type", "text/html")
		_, _ = fmt.Fprint(w, page(strings.NewReplacer("$TO", to, "$UDP", r.URL.Query().Get("udp")).Replace(meansPage))) // whoever asked is gone
	case "/away":
		http.Redirect(w, r, to+"/redirected", http.StatusFound)
	case "/broken":
		w.WriteHeader(http.StatusInternalServerError)
	case "/down":
		os.Exit(3)
	case "/export":
		w.Header().Set("Content-Disposition", "attachment; filename=export.csv")
		_, _ = fmt.Fprint(w, "a,b\n") // whoever asked is gone
	case "/worker.js":
		w.Header().Set("Content-Type", "text/javascript")
		_, _ = fmt.Fprint(w, "onfetch = e => e.respondWith(new Response('a worker'))") // whoever asked is gone
	case "/api/memory":
		if r.Method == http.MethodPut {
			b, _ := io.ReadAll(r.Body)
			memory = string(b)
		}
		_, _ = fmt.Fprint(w, memory) // whoever asked is gone
	case "/api/echo":
		b, _ := io.ReadAll(r.Body)
		w.Header().Set("X-Shelf", "oak")
		send(http.StatusAccepted, map[string]any{
			"method": r.Method, "type": r.Header.Get("Content-Type"), "token": r.Header.Get("X-Token"), "body": string(b),
			"list": []any{map[string]any{"id": 9007199254740993, "title": "Dune"}, map[string]any{"id": 2, "title": "Emma", "read": true}},
		})
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
