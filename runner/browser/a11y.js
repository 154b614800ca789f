// shape is what a page looks like, apart from its texts: elements, how they are
// nested, the attributes that matter to those who cannot see it, and the styles.
function shape() {
  let a = 0x811c9dc5, b = 0x1000193
  const add = s => { for (let i = 0; i < s.length; i++) { a = Math.imul(a ^ s.charCodeAt(i), 2654435761); b = Math.imul(b + s.charCodeAt(i), 1597334677) ^ (b >>> 13) } }
  const telling = /^(class|style|role|type|lang|tabindex|hidden|disabled|for|aria-(?!label$).*)$/
  const walk = e => {
    add('<' + e.localName)
    for (const { name, value } of e.attributes) add(' ' + name + (telling.test(name) ? '=' + value : value.trim() ? '' : '!'))
    for (const n of e.childNodes) n.nodeType === 1 ? walk(n) : n.nodeType === 3 && n.data.trim() && add('t')
    if (e.shadowRoot) for (const n of e.shadowRoot.children) walk(n)
    add('>')
  }
  walk(document.documentElement)
  add(document.title.trim() ? 't' : '')
  for (const sheet of document.styleSheets) try { for (const r of sheet.cssRules) add(r.cssText) } catch { add(sheet.href) }
  return (a >>> 0).toString(16) + (b >>> 0).toString(16)
}

async function barriers() {
  const found = await axe.run(document, {
    runOnly: { type: 'tag', values: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa'] },
    resultTypes: ['violations'], iframes: false,
  })
  return JSON.stringify(found.violations.map(v => ({
    rule: v.id, impact: v.impact || '', help: v.help, count: v.nodes.length, elements: v.nodes.slice(0, 5).map(n => n.target.join(' ')),
  })))
}
