// The application as a function from a request to a response. It opens no
// socket, so tests call it directly; server.js is the only file that listens.
export function createApp() {
  return async function app({ method, path }) {
    if (method === 'GET' && path === '/') {
      return page(200, '<!doctype html><title>Shelf</title><p>It works.</p>');
    }
    return page(404, '<!doctype html><title>Shelf</title><p>Not found.</p>');
  };
}

function page(status, body) {
  return { status, headers: { 'content-type': 'text/html; charset=utf-8' }, body };
}
