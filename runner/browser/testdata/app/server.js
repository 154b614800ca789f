// The application that the tests look at: a shelf of books, kept in a file of
// its working directory, and a few pages that misbehave.
'use strict'
const fs = require('fs')
const http = require('http')

const file = 'books.json'
const read = () => { try { return JSON.parse(fs.readFileSync(file)) } catch { return [] } }
let visits = 0

const page = body => `<!doctype html><html lang=en><head><meta charset=utf-8><title>Shelf</title></head><body>${body}</body></html>`

const shelf = page(`
<h1>Shelf</h1>
<p>The little library
   of   tests</p>
<label for=title>Title</label><input id=title placeholder="Book title">
<label for=subtitle>Subtitle</label><input id=subtitle>
<button id=add>Add</button> <button>Add all</button>
<p role=status data-testid=count></p>
<ul id=books></ul>
<label><input type=checkbox id=seen> Read</label>
<label for=genre>Genre</label><select id=genre><option value=n>Novel<option value=p>Poetry</select>
<label for=cover>Cover</label><input type=file id=cover hidden><output id=covered></output>
<p id=tip>tip: off</p>
<p id=twice>twice: no</p>
<p id=key>key: none</p>
<p id=genre-out></p>
<p id=late></p>
<div id=secret style="display:none">secret</div>
<button id=off disabled>Save</button>
<div style="position:relative;width:80px"><button id=under>Under</button><div id=cover-up style="position:absolute;inset:0"></div></div>
<button id=clear>Clear</button><button id=rename>Rename</button><button id=boom>Boom</button><button id=spin>Spin</button>
<a id=about href="/about?from=shelf#top" class="link quiet" aria-current>About</a>
<script>
const $ = id => document.getElementById(id)
const show = list => {
  document.querySelector('[data-testid=count]').textContent = list.length + (list.length === 1 ? ' book' : ' books')
  $('books').replaceChildren(...list.map(t => Object.assign(document.createElement('li'), {textContent: t})))
}
const load = () => fetch('/api/books').then(r => r.json()).then(show)
$('add').onclick = () => fetch('/api/books', {method: 'POST', headers: {'content-type': 'application/json'}, body: JSON.stringify({title: $('title').value})}).then(load)
$('title').onkeydown = e => { $('key').textContent = 'key: ' + e.key }
$('genre').onchange = () => { $('genre-out').textContent = 'genre: ' + $('genre').value }
$('cover').onchange = async () => { const f = $('cover').files[0]; $('covered').textContent = f.name + ' ' + f.type + ': ' + await f.text() }
$('tip').onmouseenter = () => { $('tip').textContent = 'tip: on' }
$('twice').ondblclick = () => { $('twice').textContent = 'twice: yes' }
$('clear').onclick = () => { if (confirm('Clear the shelf?')) fetch('/api/books', {method: 'DELETE'}).then(load) }
$('rename').onclick = () => { const n = prompt('New name?', 'old'); document.querySelector('h1').textContent = n === null ? 'Kept' : n }
$('boom').onclick = () => { console.error('boom at', location.pathname); setTimeout(() => { throw new TypeError('late boom') }) }
$('spin').onclick = () => { for (;;); }
setTimeout(() => { $('late').textContent = 'late: here' }, 300)
load()
</script>`)

const outside = to => page(`<h1>Outside</h1><link rel=icon href="${to}/icon.png"><img src="${to}/img.png"><iframe src="${to}/frame"></iframe>
<script>
fetch('${to}/fetch').catch(() => {})
fetch('/away?to=${to}').catch(() => {})
navigator.sendBeacon('${to}/beacon')
new EventSource('${to}/events')
try { new WebSocket('${to.replace('http', 'ws')}/socket') } catch {}
new Worker(URL.createObjectURL(new Blob(["fetch('${to}/worker').catch(() => {})"])))
</script>`)

http.createServer((req, res) => {
  const u = new URL(req.url, 'http://x')
  const send = (status, body, type = 'text/html') => { res.writeHead(status, {'content-type': type}); res.end(body) }
  const json = (status, v) => send(status, JSON.stringify(v), 'application/json')
  console.log(req.method, req.url)
  switch (u.pathname) {
    case '/': visits++; return send(200, shelf)
    case '/about': return send(200, page('<h1>About</h1>'))
    case '/tall': return send(200, page('<div style="height:20000px;background:linear-gradient(red,blue)">tall</div>'))
    case '/loud': return send(200, page('<script>for (let i = 0; i < 5000; i++) console.error("loud " + i + "\\u001b[31m\\n::error::x" + "y".repeat(2000))</script>'))
    case '/forged': return send(200, page(`<p id=p>plain</p><script>
      for (const k of ['innerText', 'textContent', 'value']) for (const c of [HTMLElement, Node, HTMLInputElement]) try { Object.defineProperty(c.prototype, k, {get: () => 'forged'}) } catch {}
      document.querySelectorAll = document.querySelector = () => null
      Element.prototype.getAttribute = () => 'forged'; Element.prototype.checkVisibility = () => true
      window.fetch = () => Promise.resolve(new Response('forged'))
      </script>`))
    case '/hang': return // never answers
    case '/outside': return send(200, outside(u.searchParams.get('to')))
    case '/away': res.writeHead(302, {location: u.searchParams.get('to') + '/redirected'}); return res.end()
    case '/broken': return send(500, page('broken'))
    case '/down': process.exit(3)
    case '/socket-page': return send(200, page(`<p id=s></p><script>new WebSocket('ws://' + location.host + '/socket').onerror = () => { document.getElementById('s').textContent = 'reached' }</script>`))
    case '/leave': return send(200, page(`<script>onbeforeunload = e => e.preventDefault()</script><a href=/about>away</a>`))
    case '/windows': return send(200, page(`<h1>Windows</h1><script>for (let i = 0; i < 30; i++) open('/about')</script>`))
    case '/visits': return json(200, {visits})
    case '/env': return json(200, {cwd: process.cwd(), port: process.env.PORT})
    case '/api/books':
      if (req.method === 'GET') return json(200, read())
      if (req.method === 'DELETE') { fs.writeFileSync(file, '[]'); return json(200, []) }
      let body = ''
      req.on('data', d => { body += d })
      return req.on('end', () => {
        let b; try { b = JSON.parse(body) } catch { return json(400, {error: 'not JSON'}) }
        fs.writeFileSync(file, JSON.stringify([...read(), b.title])); json(201, b)
      })
  }
  send(404, page('<h1>Not found</h1>'))
}).listen(process.env.PORT, '127.0.0.1', () => console.log('listening'))
