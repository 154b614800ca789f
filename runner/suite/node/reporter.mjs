// Reports each event of node --test that the harness judges by as one line:
// a nonce that the tests do not know, a running number, and JSON. It runs in the
// runner's process; the tests run in others.
import { resolve } from 'node:path';

const nonce = '@NONCE@';
const most = 8192;
let number = 0;

const line = (event) => `\n${nonce} ${number++} ${JSON.stringify(event)}\n`;
const text = (v) => (v === undefined || v === null ? undefined : String(v).slice(0, most));
const isFile = (d) => d.nesting === 0 && d.file !== undefined && resolve(d.name) === d.file;

function failure(error) {
  if (!error) return undefined;
  const cause = error.cause;
  const thrown = cause !== null && typeof cause === 'object' ? cause : { message: cause ?? error.message };
  return {
    type: error.failureType,
    name: text(thrown.name),
    code: text(thrown.code),
    message: text(thrown.message),
    stack: text(thrown.stack),
    exit: error.exitCode ?? undefined,
  };
}

export default async function* report(source) {
  const said = new Map(); // how much of each file's output was passed on
  yield line({ k: 'begin', version: process.version });
  for await (const { type, data } of source) {
    switch (type) {
      case 'test:enqueue':
        if (isFile(data)) yield line({ k: 'file', file: data.file });
        break;
      case 'test:pass':
      case 'test:fail':
        yield line({
          k: isFile(data) ? 'filecase' : 'case',
          ok: type === 'test:pass',
          file: data.file,
          name: data.name,
          nesting: data.nesting,
          suite: data.details?.type === 'suite',
          skip: data.skip !== undefined && data.skip !== false ? String(data.skip) : undefined,
          todo: data.todo !== undefined && data.todo !== false ? true : undefined,
          ms: data.details?.duration_ms,
          error: failure(data.details?.error),
        });
        break;
      case 'test:stderr':
      case 'test:stdout': {
        if (data.message.includes(`${nonce} over ${process.pid}\n`)) {
          yield line({ k: 'over', file: data.file });
          break;
        }
        const n = said.get(data.file) ?? 0;
        if (n < 4 * most && data.message !== '\n') {
          said.set(data.file, n + data.message.length);
          yield line({ k: 'out', file: data.file, text: text(data.message) });
        }
        break;
      }
    }
  }
  yield line({ k: 'end' });
}
