// Writes events for the harness: lines with a nonce that the tests do not know, a
// running number, and JSON, on the standard output that the process was born with.
'use strict';
const { writeSync } = require('node:fs');

const nonce = '@NONCE@';
const most = 8192;
const { stringify } = JSON;
let number = 0;

function write(text) {
  let rest = Buffer.from(text);
  while (rest.length > 0) {
    try {
      rest = rest.subarray(writeSync(1, rest));
    } catch (e) {
      if (e.code !== 'EAGAIN') throw e; // a full pipe
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 5);
    }
  }
}

const text = (v) => (v === undefined || v === null || v === '' ? undefined : String(v).slice(0, most));

exports.emit = (event) => write(`\n${nonce} ${number++} ${stringify(event)}\n`);

// What was thrown, as the harness reads it.
exports.thrown = (e) => {
  if (e === null || typeof e !== 'object') return { message: text(e) };
  return { type: text(e.name ?? e.constructor?.name), code: text(e.code), message: text(e.message), stack: text(e.stack) };
};
