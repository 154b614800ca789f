// Runs before each test file, in its process, and says when that process came to
// its natural end: the event loop ran dry. Whoever calls process.exit gets there
// without, and what was not reported until then is not mistaken for a pass.
'use strict';
const { isMainThread } = require('node:worker_threads');
if (isMainThread && process.env.NODE_TEST_CONTEXT) {
  const { writeSync } = require('node:fs');
  const { ppid } = process; // a fork of the test has another parent than the runner
  let over = false;
  process.once('beforeExit', () => { over = true; });
  process.once('exit', () => { if (over) writeSync(2, `\n@NONCE@ over ${ppid}\n`); });
}
