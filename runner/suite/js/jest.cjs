'use strict';
const { emit, thrown } = require('./events.cjs');

// A reporter for Jest. It runs in Jest's own process; with workers, tests do not.
module.exports = class {
  onRunStart() {
    emit({ k: 'begin' });
  }

  onTestFileStart(test) {
    emit({ k: 'file', file: test.path });
  }

  onTestStart(test) {
    emit({ k: 'file', file: test.path });
  }

  onTestFileResult(test, result) {
    if (result.testExecError || (result.failureMessage && result.testResults.length === 0)) {
      const e = result.testExecError ?? {};
      emit({ ...thrown(e), k: 'load', file: test.path, message: e.message || result.failureMessage, stack: e.stack || undefined });
    }
    for (const t of result.testResults) {
      const why = t.failureDetails?.[0];
      const error = why?.error && typeof why.error === 'object' ? why.error : why;
      const said = String(t.failureMessages?.[0] ?? ''); // a worker's error has lost its class by now
      emit({
        ...(t.status === 'failed' ? { ...thrown(error), type: /^(\w*Error)\b/.exec(said)?.[1], stack: said.slice(0, 8192) } : {}),
        k: 'case',
        file: test.path,
        name: [...t.ancestorTitles, t.title].join(' › '),
        state: { passed: 'pass', failed: 'fail' }[t.status] ?? 'skip',
        ms: t.duration ?? 0,
      });
    }
    emit({ k: 'over', file: test.path });
  }

  onTestResult(test, result) {
    this.onTestFileResult(test, result);
  }

  onRunComplete(_, results) {
    if (results.numTotalTestSuites === 0) emit({ k: 'none' });
    if (results.runExecError) emit({ ...thrown(results.runExecError), k: 'fault', name: 'the run' });
    if (results.wasInterrupted) return;
    emit({ k: 'end', n: results.numTotalTests });
  }
};
