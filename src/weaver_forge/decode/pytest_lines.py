"""What the pytest plugin writes down, one JSON object a line -> a report.

The first line says which run it is; where files are put together there are several, and each begins a session. Every
other line is an attempt. They are written as they end, so that of a run that was killed all lines hold but the last,
which may be cut off. A test that had begun when the run was broken off has no result.
"""

import json
import math
import re
from collections.abc import Iterable
from datetime import UTC, datetime

import msgspec

from weaver_forge.decode.faults import in_words
from weaver_forge.decode.report import COLLECTION_ERROR, Case, Report, Suite, cut, escaped, named_by_pytest

MARK = "pytest_record"
"""The key that the line of a run begins with."""
OUTCOMES = frozenset({"passed", "failed", "error", "skipped", "xfailed", "xpassed"})
UNFINISHED = "unfinished"

_BEGINS = re.compile(rb'\{\s*"(?:' + MARK.encode() + rb'"\s*:|nodeid"\s*:\s*"(?=[^\n]*"outcome"\s*:))')
_LATEST_NS = 4_102_444_800 * 10**9
"""The year 2100: a later instant is none."""


class _Line(msgspec.Struct):
    """An attempt, or a run. What later releases add is passed over."""

    pytest_record: int = 0
    run_id: str = ""
    revision: str = ""
    repo_id: str = ""
    trace_id: str = ""
    nodeid: str = ""
    outcome: str = ""
    message: str = ""
    duration_ms: float | None = None
    start_unix_ns: int | None = None


def is_pytest_lines(head: bytes) -> bool:
    """Say whether a file begins as the plugin's record does."""
    return _BEGINS.match(head) is not None


def read_pytest_lines(lines: Iterable[bytes]) -> Report:
    """Read a record; never raises for what it holds."""
    record = _Record()
    decoder = msgspec.json.Decoder(_Line)
    broken: tuple[int, bytes, Exception] | None = None
    for number, text in enumerate(lines, 1):
        if not text.strip():
            continue
        if broken is not None:
            record.refuse(*broken)
        broken = None
        try:
            record.take(number, decoder.decode(text), text)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            broken = number, text, error
    if broken is not None:
        record.refuse_last(*broken)
    return record.finish()


class _Record:
    """The sessions of a record, and the tests of the last one."""

    def __init__(self) -> None:
        self.report = Report("pytest")
        self._suite: Suite | None = None
        self._cases: dict[str, Case] = {}
        self._first_ns: dict[int, int] = {}
        self._n_unfinished, self._n_bad_times = 0, 0

    def take(self, number: int, line: _Line, text: bytes) -> None:
        """Take in a line."""
        if line.pytest_record:
            self._begin(line)
        elif not line.nodeid:
            self._refused(number, "neither a run nor an attempt: it has no nodeid", text)
        elif line.outcome == UNFINISHED:
            self._n_unfinished += 1
        elif line.outcome == COLLECTION_ERROR:
            self._uncollected(line)
        elif line.outcome not in OUTCOMES:
            self._refused(number, f"no outcome of a test: {line.outcome[:40]!r}", text)
        else:
            self._attempt(line)

    def refuse(self, number: int, text: bytes, error: Exception) -> None:
        """Refuse a line that is damaged."""
        self._refused(number, f"no JSON object of the plugin: {in_words(error)}", text)

    def refuse_last(self, number: int, text: bytes, error: Exception) -> None:
        """Refuse the last line: where its object has no end, the run was broken off while it was written."""
        try:
            json.loads(text)
        except (ValueError, RecursionError):
            self.report.is_partial = True
            self._refused(number, f"it is cut off: the run was ended ({in_words(error)})", text)
        else:
            self.refuse(number, text, error)

    def _refused(self, number: int, why: str, text: bytes) -> None:
        self.report.rejected.append((f"line {number}", why, escaped(text)))

    def _begin(self, line: _Line | None) -> Suite:
        self._suite = self.report.suite("pytest", producer="pytest")
        self._cases = {}
        if line is not None:
            said = {"run_id": line.run_id, "revision": line.revision, "repo_id": line.repo_id}
            self._suite.properties = {name: value for name, value in said.items() if value}
        return self._suite

    def _attempt(self, line: _Line) -> None:
        suite = self._suite or self._begin(None)
        start = line.start_unix_ns
        if start is not None and 0 < start < _LATEST_NS:
            self._first_ns[suite.number] = min(start, self._first_ns.get(suite.number, start))
        duration = line.duration_ms
        if duration is not None and not 0 <= duration < math.inf:
            duration, self._n_bad_times = None, self._n_bad_times + 1
        case = self._cases.get(line.nodeid)
        if case is None:
            classname, name = named_by_pytest(line.nodeid)
            file = line.nodeid.partition("::")[0]
            self.report.add(suite, classname, name, [], file=file)
            case = self._cases[line.nodeid] = self.report.cases[-1]
        case.attempts.append((line.outcome, duration, None))

    def _uncollected(self, line: _Line) -> None:
        """List a module that could not be collected, by the name that pytest's JUnit XML has for it."""
        classname, name = named_by_pytest(line.nodeid)
        classname, name = (classname, name) if name else ("", classname)
        suite, file = self._suite or self._begin(None), line.nodeid.partition("::")[0]
        self.report.add(suite, classname, name, [(COLLECTION_ERROR, None, cut(line.message))], file=file)

    def finish(self) -> Report:
        """Say when each session began, and what the record does not hold."""
        for number, start in self._first_ns.items():
            self.report.suites[number].timestamp = datetime.fromtimestamp(start / 1e9, UTC).isoformat()
        if self._n_unfinished:
            self.report.is_partial = True
            self.report.notes.append(f"{self._n_unfinished} tests had begun when the run was broken off: no result")
        if self._n_bad_times:
            self.report.notes.append(f"{self._n_bad_times} durations could not be read and are null")
        return self.report
