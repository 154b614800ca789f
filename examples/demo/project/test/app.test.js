import assert from 'node:assert/strict';
import test from 'node:test';
import { createApp } from '../lib/app.js';

test('an unknown address is answered with 404', async () => {
  const { status } = await createApp()({ method: 'GET', path: '/nowhere' });
  assert.equal(status, 404);
});
