// What is run in every frame before any script of the page: errors that the page
// would keep to itself are logged as if it had not. What it hides by other means,
// it hides from its users as well.
(() => {
  const { error, assert } = console
  const later = setTimeout
  const say = text => Reflect.apply(error, console, [text])
  // Whoever takes console.error's place is called after it, and never instead.
  for (const [name, own] of [['error', error], ['assert', assert]]) {
    let other, within = false
    const both = function (...args) {
      if (within) return
      within = true
      try {
        Reflect.apply(own, console, args)
        if (other) Reflect.apply(other, this, args)
      } finally {
        within = false
      }
    }
    Object.defineProperty(console, name, { configurable: false, enumerable: true, get: () => other ? both : own, set: f => { other = typeof f === 'function' ? f : undefined } })
  }
  // A handler that prevents the default keeps an error out of the console.
  const text = e => { try { return String(e && e.stack || e) } catch { return 'unknown' } }
  addEventListener('error', e => {
    if (!(e instanceof ErrorEvent) || /^ResizeObserver loop/.test(e.message)) return
    later(() => { if (e.defaultPrevented) say('uncaught, and hidden by the page: ' + text(e.error ?? e.message)) })
  }, true)
  addEventListener('unhandledrejection', e => {
    later(() => { if (e.defaultPrevented) say('unhandled rejection, hidden by the page: ' + text(e.reason)) })
  }, true)
})()
