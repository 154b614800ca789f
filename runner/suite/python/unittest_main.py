"""Runs unittest as python -m unittest does, and tells the harness what became of
each test. Events go to a copy of the standard output that the process was born
with."""
import json
import os
import sys
import time
import traceback
import unittest

_fd = os.dup(1)
_write, _dumps = os.write, json.dumps
_most = 8192
_number = 0


def _emit(**event):
    global _number
    line = "\n@NONCE@ %d %s\n" % (_number, _dumps({k: v for k, v in event.items() if v is not None}))
    _number += 1
    data = line.encode("utf-8", "backslashreplace")
    while data:
        data = data[_write(_fd, data):]


def _thrown(err):
    kind, value, trace = err
    return {
        "type": kind.__name__,
        "code": ", ".join(c.__name__ for c in kind.__mro__[1:-2]),
        "message": str(value)[:_most],
        "stack": "".join(traceback.format_exception(kind, value, trace))[-_most:],
    }


def _place(test):
    kind = type(test)
    module = sys.modules.get(kind.__module__)
    name = test.id()
    if name.startswith(kind.__module__ + "."):
        name = name[len(kind.__module__) + 1:]
    return {"file": getattr(module, "__file__", None) or kind.__module__, "name": name.replace(".", " › ")}


class _Result(unittest.TextTestResult):
    def startTest(self, test):
        super().startTest(test)
        self.begun, self.state, self.why = time.monotonic(), "pass", {}
        if not self._unloaded(test):
            _emit(k="start", **_place(test))

    def stopTest(self, test):
        super().stopTest(test)
        if not self._unloaded(test):
            _emit(k="case", state=self.state, ms=(time.monotonic() - self.begun) * 1000, **{**_place(test), **self.why})

    @staticmethod
    def _unloaded(test):
        return type(test).__name__ == "_FailedTest"

    def _fault(self, test, err):
        if self._unloaded(test):
            why = _thrown(err)
            _emit(k="load", file=test._testMethodName.replace(".", "/") + ".py", **why)
        elif not isinstance(test, unittest.TestCase):  # a module or class that could not be set up
            _emit(k="fault", name=str(test), **_thrown(err))
            _emit(k="stop")
        elif self.state != "fail":
            self.state, self.why = "fail", _thrown(err)

    def addError(self, test, err):
        super().addError(test, err)
        self._fault(test, err)

    def addFailure(self, test, err):
        super().addFailure(test, err)
        self._fault(test, err)

    def addSubTest(self, test, subtest, err):
        super().addSubTest(test, subtest, err)
        if err is not None:
            self._fault(test, err)

    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        if isinstance(test, unittest.TestCase):
            self.state = "skip" if self.state == "pass" else self.state

    def addExpectedFailure(self, test, err):
        super().addExpectedFailure(test, err)
        self.state = "skip"

    def addUnexpectedSuccess(self, test):
        super().addUnexpectedSuccess(test)
        self.state, self.why = "fail", {"type": "UnexpectedSuccess", "message": "it was expected to fail, and passes"}


class _Runner(unittest.TextTestRunner):
    resultclass = _Result

    def run(self, test):
        if test.countTestCases() == 0:
            _emit(k="none")
        planned = test.countTestCases()
        result = super().run(test)
        if result.shouldStop:
            _emit(k="stop")
        unloaded = sum(type(t).__name__ == "_FailedTest" for t, _ in result.errors)
        _emit(k="end", n=planned - unloaded)
        return result


_emit(k="begin")
sys.path[0] = ""  # the directory that it runs in, not that of this file
sys.argv[0] = "python -m unittest"
unittest.main(module=None, testRunner=_Runner)
