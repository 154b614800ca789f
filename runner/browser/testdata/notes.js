// A small application as people write them: notes in a file, rendered by the server.
const { createServer } = require('node:http')
const { existsSync, readFileSync, writeFileSync } = require('node:fs')
const notes = existsSync('notes.json') ? JSON.parse(readFileSync('notes.json')) : []
const escape = s => s.replace(/[&<>"]/g, c => `&#${c.charCodeAt(0)};`)
const page = () => `<!doctype html><html lang=en><meta charset=utf-8><title>Notes</title><main><h1>Notes</h1>
<form method=post action=/notes><label for=t>Text</label><input id=t name=text required><button>Add</button></form>
<p role=status>${notes.length} notes</p><ul>${notes.map(n => `<li>${escape(n)}</li>`).join('')}</ul></main></html>`
createServer((req, res) => {
  if (req.method === 'POST') {
    let body = ''
    req.on('data', d => { body += d }).on('end', () => {
      notes.push(new URLSearchParams(body).get('text'))
      writeFileSync('notes.json', JSON.stringify(notes))
      res.writeHead(303, { location: '/' }).end()
    })
  } else if (req.url === '/api/notes') {
    res.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(notes))
  } else {
    res.writeHead(req.url === '/' ? 200 : 404, { 'content-type': 'text/html' }).end(page())
  }
}).listen(process.env.PORT, '127.0.0.1')
