import { createRequire } from 'node:module';

const { emit, thrown } = createRequire(import.meta.url)('./events.cjs');
const under = (a) => a.filter(Boolean).join(' › ');

// A reporter for Vitest, which runs in Vitest's own process; tests run in workers.
export default class {
  #vitest;
  #planned = 0;
  #over = false;

  onInit(vitest) {
    this.#vitest = vitest;
    emit({ k: 'begin' });
  }

  onTestModuleQueued(m) {
    emit({ k: 'file', file: m.moduleId });
  }

  // Vitest 3 and newer.
  onTestRunEnd(modules, errors, reason) {
    if (this.#over) return;
    this.#over = true;
    for (const m of modules) {
      emit({ k: 'file', file: m.moduleId });
      const cases = [...m.children.allTests()];
      for (const e of m.errors()) emit({ ...thrown(e), k: cases.length === 0 ? 'load' : 'fault', name: 'the file', file: m.moduleId });
      for (const s of m.children.allSuites()) {
        for (const e of s.errors()) emit({ ...thrown(e), k: 'fault', name: s.fullName, file: m.moduleId });
      }
      for (const t of cases) {
        const { state, errors: why } = t.result();
        this.#planned++;
        if (state === 'pending') continue;
        emit({
          ...(state === 'failed' ? thrown(why?.[0]) : {}),
          k: 'case',
          file: m.moduleId,
          name: t.fullName.replaceAll(' > ', ' › '),
          state: { passed: 'pass', failed: 'fail' }[state] ?? 'skip',
          ms: t.diagnostic()?.duration ?? 0,
        });
      }
      emit({ k: 'over', file: m.moduleId });
    }
    this.#end(modules.length, errors, reason === 'interrupted');
  }

  // Vitest 1 and 2; newer ones that still call it have been heard already.
  onFinished(files = [], errors = []) {
    if (this.#over || typeof this.#vitest?.state?.getReportedEntity === 'function') return;
    this.#over = true;
    const go = (file, task, names) => {
      const r = task.result;
      if (task.type === 'suite') {
        if (r?.state === 'fail' && r.errors?.length > 0) {
          const none = task === file && task.tasks.length === 0;
          for (const e of r.errors) emit({ ...thrown(e), k: none ? 'load' : 'fault', name: under(names) || 'the file', file: file.filepath });
        }
        for (const t of task.tasks) go(file, t, [...names, t.name]);
        return;
      }
      this.#planned++;
      if (task.mode === 'run' && !r?.state) return;
      emit({
        ...(r?.state === 'fail' ? thrown(r.errors?.[0]) : {}),
        k: 'case', file: file.filepath, name: under(names), state: { pass: 'pass', fail: 'fail' }[r?.state] ?? 'skip', ms: r?.duration ?? 0,
      });
    };
    for (const f of files) {
      emit({ k: 'file', file: f.filepath });
      go(f, f, []);
      emit({ k: 'over', file: f.filepath });
    }
    this.#end(files.length, errors, false);
  }

  #end(files, errors, interrupted) {
    for (const e of errors) emit({ ...thrown(e), k: 'fault', name: 'an error outside of the tests' });
    if (files === 0) emit({ k: 'none' });
    if (!interrupted) emit({ k: 'end', n: this.#planned });
  }
}
