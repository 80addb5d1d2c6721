"""GitLab's test report of a pipeline (its REST API's ``test_report``) -> a report.

Read are the answer as it is, and the answer beside its pipeline, as ``sources.gitlab`` saves it::

    {"pipeline": {"id": 3, "sha": "...", "web_url": "...", "started_at": "..."}, "test_report": {"test_suites": [...]}}

A suite is what one job uploaded; GitLab keeps the last of its retries and tells of no attempts. A suite that GitLab
could not parse names an error and has no tests: that is said, not taken for a suite without tests.
"""

import json
import re
from collections.abc import Mapping
from typing import Any

from weaver_forge.decode.faults import in_words
from weaver_forge.decode.report import RAW_LENGTH, Report, Suite, cut, escaped

_BEGINS = re.compile(rb'^\s*\{\s*"(?:pipeline|test_report|total_time)"')
_STATUS = {"success": "passed", "failed": "failed", "error": "error", "skipped": "skipped"}


def is_gitlab(head: bytes) -> bool:
    """Whether a JSON document that begins like this is such a report."""
    return _BEGINS.match(head) is not None and (b'"test_suites"' in head or b'"test_report"' in head)


def read_gitlab(data: bytes) -> Report:
    """Read one file; never raises for what it holds."""
    report = Report("gitlab")
    try:
        document = json.loads(data.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        report.rejected.append(("document", f"not valid JSON: {in_words(error)}", escaped(data)))
        return report
    found = document.get("test_report", document) if isinstance(document, dict) else None
    suites = found.get("test_suites") if isinstance(found, dict) else None
    if not isinstance(suites, list):
        report.rejected.append(("document", "no GitLab test report: test_suites is not a list", escaped(data)))
        return report
    pipeline = document.get("pipeline")
    for number, suite in enumerate(suites):
        _read_suite(report, number, suite, pipeline if isinstance(pipeline, dict) else {})
    return report


def _read_suite(report: Report, number: int, told: Any, pipeline: Mapping[str, Any]) -> None:
    if not isinstance(told, dict) or not isinstance(told.get("test_cases") or [], list):
        _refuse(report, f"suite {number}", "no suite of tests", told)
        return
    suite = report.suite(str(told.get("name") or ""), producer="gitlab", timestamp=_text(pipeline.get("started_at")))
    suite.properties |= _subject(pipeline)
    if error := told.get("suite_error"):
        _refuse(report, f"suite {number}", f"GitLab could not read the job's report: {error}", told)
    for place, case in enumerate(told.get("test_cases") or []):
        _read_case(report, suite, f"suite {number}, test {place}", case)


def _read_case(report: Report, suite: Suite, position: str, case: Any) -> None:
    status = _STATUS.get(str(case.get("status"))) if isinstance(case, dict) else None
    if status is None or not isinstance(name := case.get("name"), str) or not name:
        _refuse(report, position, "no test: it needs a name, and a status success, failed, error or skipped", case)
        return
    seconds = case.get("execution_time")
    is_number = isinstance(seconds, int | float) and not isinstance(seconds, bool) and 0 <= seconds < 1e9
    message = None if status == "passed" else _text(case.get("stack_trace")) or _text(case.get("system_output"))
    attempt = (status, seconds * 1000.0 if is_number else None, cut(message))
    report.add(suite, _text(case.get("classname")) or "", name, [attempt], file=_text(case.get("file")))


def _subject(pipeline: Mapping[str, Any]) -> dict[str, str]:
    """What the report is of, by the names that suites of other formats tell it by."""
    address = (_text(pipeline.get("web_url")) or "").split("/-/", maxsplit=1)[0]
    said = {"commit": pipeline.get("sha"), "run_id": pipeline.get("id"), "repository": address}
    return {name: str(value) for name, value in said.items() if value}


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


def _refuse(report: Report, position: str, reason: str, piece: Any) -> None:
    report.rejected.append((position, reason, json.dumps(piece, ensure_ascii=False)[:RAW_LENGTH]))
