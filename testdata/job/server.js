import { createServer } from 'node:http';
import { page } from './page.js';

createServer((request, response) => {
  const query = new URL(request.url, 'http://localhost').searchParams;
  response.setHeader('Content-Type', 'text/html; charset=utf-8');
  response.end(page(query));
}).listen(process.env.PORT, '127.0.0.1');
