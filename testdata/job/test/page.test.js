import assert from 'node:assert/strict';
import { test } from 'node:test';
import { page } from '../page.js';

test('the page has a heading', () => {
  assert.match(page(new URLSearchParams()), /<h1>Greeter<\/h1>/);
});
