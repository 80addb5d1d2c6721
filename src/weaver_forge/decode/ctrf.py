"""CTRF, the Common Test Report Format (JSON) -> a report.

``retryAttempts`` are the failed executions before the one that ``status`` is of; some writers list that last one too,
which ``retries`` tells. Retries that are counted but not listed failed, else nothing would have been retried. pytest's
names are node ids and are taken apart as pytest's own JUnit XML does, so that a test is the same in both. What the
schema refuses but a reader need not (unknown properties, missing totals) is read.
"""

import json
import re
from collections.abc import Mapping
from typing import Any

from weaver_forge.decode.faults import in_words
from weaver_forge.decode.report import RAW_LENGTH, Attempt, Report, Suite, cut, escaped, named_by_pytest

_STATUS = {"passed": "passed", "failed": "failed", "skipped": "skipped", "pending": "skipped", "other": "skipped"}
# What pytest-json-ctrf says beyond the five words of CTRF.
_RAW_STATUS = {"xfailed": "xfailed", "setup_failed": "error", "teardown_failed": "error", "collect_failed": "error"}
_ERRORS = frozenset({"error", "broken", "timedout", "timed out", "interrupted", "crashed"})
_TESTS = re.compile(rb'"tests"\s*:\s*\[')
_ENVIRONMENT = {
    "commit": "commit",
    "buildId": "run_id",
    "repositoryUrl": "repository",
}
_MOST_RETRIES = 1000


class _Unfit(Exception):  # noqa: N818 - carries the reason why one test cannot be read
    """A test that says too little or nonsense."""


def read_ctrf(data: bytes) -> Report:
    """Read one file; never raises for what it holds. A file that breaks off keeps its complete tests."""
    report = Report("ctrf")
    try:
        document = _without_half_characters(json.loads(data.decode("utf-8-sig")), data)
    except (ValueError, RecursionError) as error:
        document = _salvaged(report, data, error)
    results = document.get("results") if isinstance(document, dict) else None
    tests = results.get("tests") if isinstance(results, dict) else None
    if not isinstance(results, dict) or not isinstance(tests, list):
        if not report.rejected:
            report.rejected.append(("root", "no CTRF report: results.tests is not a list", escaped(data)))
        return report
    suites = _Suites(report, document, results)
    for number, test in enumerate(tests):
        try:
            _read_test(report, suites, test)
        except _Unfit as unfit:
            raw = json.dumps(test)[:RAW_LENGTH]
            report.rejected.append((f"test {number}", str(unfit), raw))
    return report


def _salvaged(report: Report, data: bytes, error: Exception) -> dict[str, Any]:
    """Take the complete tests of a damaged file."""
    tests: list[Any] = []
    found = _TESTS.search(data)
    text = data[found.end() :].decode("utf-8", "replace") if found else ""
    decoder, position = json.JSONDecoder(), 0
    while (start := _past(text, position)) < len(text):
        try:
            test, position = decoder.raw_decode(text, start)
        except (ValueError, RecursionError):
            break
        tests.append(_without_half_characters(test, data))
    report.is_partial = True
    what = f"not valid JSON ({in_words(error)}); {len(tests)} complete tests before the damage are kept"
    report.rejected.append(("end of the file", what, text[position : position + RAW_LENGTH] if text else escaped(data)))
    tool = re.search(rb'"tool"\s*:\s*\{\s*"name"\s*:\s*"([^"\\]*)"', data)
    return {"results": {"tests": tests, "tool": {"name": tool[1].decode("utf-8", "replace") if tool else ""}}}


def _without_half_characters(document: Any, data: bytes) -> Any:
    """Replace lone halves of surrogate pairs: JSON can write them, no text can hold them."""
    if b"\\u" not in data:
        return document
    return json.loads(json.dumps(document, ensure_ascii=False).encode("utf-8", "replace"))


def _past(text: str, position: int) -> int:
    while position < len(text) and text[position] in " \t\r\n,":
        position += 1
    return position


class _Suites:
    """The suites of a report: one for every path of names that its tests give."""

    def __init__(self, report: Report, document: Mapping[str, Any], results: Mapping[str, Any]) -> None:
        tool, summary = results.get("tool"), results.get("summary")
        start = summary.get("start") if isinstance(summary, dict) else None
        self.producer = str(tool.get("name") or "").lower() if isinstance(tool, dict) else ""
        self._started = str(start or document.get("timestamp") or "") or None
        environment = results.get("environment")
        self._properties = {
            name: str(environment[key])
            for key, name in _ENVIRONMENT.items()
            if isinstance(environment, dict) and environment.get(key)
        }
        self._report = report
        self._made: dict[str, Suite] = {}

    def of(self, names: Any) -> Suite:
        """The suite of a test; older writers give one name, not a list."""
        parts = names if isinstance(names, list) else [names] if names else []
        name = " > ".join(str(part) for part in parts)
        if name not in self._made:
            suite = self._report.suite(name, timestamp=self._started, producer=self.producer)
            suite.properties = self._properties
            self._made[name] = suite
        return self._made[name]


def _read_test(report: Report, suites: _Suites, test: Any) -> None:
    if not isinstance(test, dict):
        raise _Unfit("a test is not an object")
    name, file = test.get("name"), test.get("filePath")
    if not isinstance(name, str) or not name:
        raise _Unfit("a test without a name has no identity")
    suite = suites.of(test.get("suite"))
    file = file if isinstance(file, str) and file else None
    attempts = _attempts(test)
    if suites.producer == "pytest" and "::" in name:
        classname, name = named_by_pytest(name, file)
    elif suites.producer == "pytest" and attempts[-1][0] == "error":
        classname, attempts = "", [("collection_error", *attempts[-1][1:])]
    else:
        classname = suite.name
    report.add(suite, classname, name, attempts, file=file)


def _attempts(test: Mapping[str, Any]) -> list[Attempt]:
    last = _attempt(test)
    listed = test.get("retryAttempts") or []
    if not isinstance(listed, list) or not all(isinstance(item, dict) for item in listed):
        raise _Unfit("retryAttempts is not a list of objects")
    retries = test.get("retries") or 0
    if not isinstance(retries, int) or not 0 <= retries <= _MOST_RETRIES or len(listed) > _MOST_RETRIES:
        raise _Unfit(f"retries is not a number from 0 to {_MOST_RETRIES}")
    earlier = [_attempt(item) for item in listed]
    if earlier and len(earlier) > retries and earlier[-1][0] == last[0]:
        earlier.pop()
    failed: list[Attempt] = [("failed", None, None)] * (retries - len(earlier))
    if not (failed or earlier) and test.get("flaky") is True and last[0] == "passed":
        failed = [("failed", None, "flaky, as the report says; its attempts are not listed")]
    return [*failed, *earlier, last]


def _attempt(item: Mapping[str, Any]) -> Attempt:
    status = item.get("status")
    if status not in _STATUS:
        raise _Unfit(f"status {status!r} is none of {', '.join(_STATUS)}")
    message, raw = item.get("message"), str(item.get("rawStatus") or "").lower()
    text = message if isinstance(message, str) else None
    if status == "failed" and text and text.startswith("[XPASS(strict)]"):
        status = "xpassed"
    elif raw in _RAW_STATUS:
        status = _RAW_STATUS[raw]
    elif status in {"failed", "other"} and raw in _ERRORS:
        status = "error"
    else:
        status = _STATUS[status]
    return status, _milliseconds(item.get("duration")), cut(text)


def _milliseconds(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1e15:
        return None
    return float(value)
