"""A plugin for pytest that tells the harness what became of each test.

Events go to a copy of the standard output that the process was born with, made
before any file of the project is loaded. What a test did is judged by what it
raised, before any hook of the project can say otherwise.
"""
import json
import os

import pytest

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


def _place(item):
    # The file and the name under which pytest knows the case.
    parts = item.nodeid.split("::")
    path = getattr(item, "path", None) or getattr(item, "fspath", None)
    return {"file": str(path) if path else parts[0], "name": " › ".join(parts[1:]) or parts[0]}


def _thrown(excinfo, longrepr=None):
    return {
        "type": excinfo.type.__name__,
        "code": ", ".join(c.__name__ for c in excinfo.type.__mro__[1:-2]),
        "message": str(excinfo.value)[:_most],
        "stack": str(longrepr)[-_most:] if longrepr is not None else None,
    }


class _Plugin:
    def __init__(self):
        self.failed = {}

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionstart(self, session):
        _emit(k="begin")

    @pytest.hookimpl(hookwrapper=True, tryfirst=True)
    def pytest_make_collect_report(self, collector):
        outcome = yield
        report = outcome.get_result()
        if report.outcome == "passed" or isinstance(collector, pytest.Session):
            return
        place = _place(collector)
        call = getattr(report, "call", None)
        excinfo = getattr(call, "excinfo", None)
        if report.outcome == "skipped":
            _emit(k="case", state="skip", **{**place, "name": "(the file)"})
        elif excinfo is not None:
            _emit(k="load", **{**place, **_thrown(excinfo, report.longrepr)})
        else:
            _emit(k="load", message=str(report.longrepr)[-_most:], **place)

    @pytest.hookimpl(trylast=True)
    def pytest_collection_finish(self, session):
        for item in session.items:
            _emit(k="plan", **_place(item))
        if not session.items:
            _emit(k="none")

    @pytest.hookimpl(hookwrapper=True, tryfirst=True)
    def pytest_runtest_protocol(self, item):
        _emit(k="start", **_place(item))
        self.phases, self.result, self.wall = [], None, 0.0
        outcome = yield
        if outcome.excinfo is not None or not self.phases:
            return  # never run to its end: the harness misses it
        state, why = self.result or ("pass", {})
        if state == "pass" and self.phases != ["setup", "call", "teardown"]:
            _emit(k="tamper", message="%s passes in pytest's eyes, though it was never called" % item.nodeid)
        _emit(k="case", state=state, ms=self.wall * 1000, **{**_place(item), **why})

    @pytest.hookimpl(hookwrapper=True, tryfirst=True)
    def pytest_runtest_makereport(self, item, call):
        excinfo = call.excinfo
        outcome = yield
        report = outcome.get_result()
        excinfo = excinfo or call.excinfo  # which pytest puts there late for unittest's cases
        self.phases.append(call.when)
        self.wall += call.duration if hasattr(call, "duration") else call.stop - call.start
        if report.outcome == "passed" and excinfo is not None and not hasattr(report, "wasxfail"):
            _emit(k="tamper", message="%s raised %s and something made pytest call that a pass" % (item.nodeid, excinfo.type.__name__))
        if report.outcome == "skipped":
            self.result = self.result or ("skip", {})
        elif report.outcome == "failed":
            why = _thrown(excinfo, report.longrepr) if excinfo is not None else {"message": str(report.longrepr)[-_most:]}
            if self.result is None or self.result[0] != "fail":
                self.result = ("fail", why)
        elif hasattr(report, "wasxfail"):
            self.result = self.result or ("skip", {})  # it was to fail, and proves nothing by passing

    @pytest.hookimpl(hookwrapper=True, tryfirst=True)
    def pytest_sessionfinish(self, session, exitstatus):
        yield
        if getattr(session, "shouldstop", False) or getattr(session, "shouldfail", False):
            _emit(k="stop")
        _emit(k="end", n=None)


def pytest_configure(config):
    if hasattr(config, "workerinput"):
        return  # a worker of pytest-xdist; the process above reports
    config.pluginmanager.register(_Plugin(), "@NONCE@")
