import { createServer } from 'node:http';
import { createApp } from './lib/app.js';

const port = Number(process.env.PORT ?? 3000);
const app = createApp();

async function answer(req) {
  const { pathname } = new URL(`http://localhost${req.url}`);
  return app({ method: req.method, path: pathname });
}

const server = createServer(async (req, res) => {
  try {
    const { status, headers, body } = await answer(req);
    res.writeHead(status, headers).end(body);
  } catch (error) {
    console.error(error);
    res.writeHead(500, { 'content-type': 'text/plain' }).end('Something went wrong.\n');
  }
});

server.listen(port, '127.0.0.1', () => {
  console.log(`Shelf is open at http://127.0.0.1:${port}/`);
});
