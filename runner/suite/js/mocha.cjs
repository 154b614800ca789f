'use strict';
const { emit, thrown } = require('./events.cjs');

const file = (t) => t.file ?? (t.parent ? file(t.parent) : undefined);
const name = (t) => (t.titlePath ? t.titlePath() : [t.title]).join(' › ');

// A reporter for Mocha. Unless Mocha works in parallel it shares its process with
// the tests.
module.exports = class {
  constructor(runner) {
    emit({ k: 'begin' });
    runner.on('test', (t) => emit({ k: 'start', file: file(t), name: name(t) }));
    const over = (state) => (t) => emit({ k: 'case', file: file(t), name: name(t), state, ms: t.duration ?? 0 });
    runner.on('pass', over('pass'));
    runner.on('pending', over('skip'));
    runner.on('fail', (t, e) => {
      const hook = t.type === 'hook';
      emit({ ...thrown(e), k: hook ? 'fault' : 'case', file: file(t), name: name(t), state: 'fail', ms: t.duration ?? 0 });
      if (hook) emit({ k: 'stop' }); // the tests that the hook is for are left out
      if (hook && t.ctx?.currentTest) {
        emit({ ...thrown(e), k: 'case', file: file(t.ctx.currentTest), name: name(t.ctx.currentTest), state: 'fail' });
      }
    });
    runner.once('end', () => {
      if (runner.total === 0) emit({ k: 'none' });
      if (runner._abort || runner._abortController?.signal?.aborted || runner.failures > 0 && runner.suite.bail()) emit({ k: 'stop' });
      emit({ k: 'end', n: runner.total });
    });
  }
};
