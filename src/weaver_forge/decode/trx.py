"""TRX, the report of Visual Studio and ``dotnet test`` -> a report.

A result names its test by id; the definition, which may come before or after the results, has its class. Data-driven
results hold inner results: those are the tests, and the one around them only repeats their failure. Results with the
same test id in one file are attempts (``--retry-failed-tests`` appends them).
"""

import re

from weaver_forge.decode.report import Attempt, Case, Report, cut
from weaver_forge.decode.xml_nodes import Node, read_nodes

_STATUS = {
    "passed": "passed",
    "passedbutrunaborted": "passed",
    "completed": "passed",
    "warning": "passed",
    "failed": "failed",
    "error": "error",
    "timeout": "error",
    "aborted": "error",
    "disconnected": "error",
    "notrunnable": "skipped",
    "notexecuted": "skipped",
    "inconclusive": "skipped",
    "pending": "skipped",
    "inprogress": "error",
}
_ECHO = re.compile(r"\[FAIL\]$")  # xUnit.net's adapter repeats every failed test among the errors of the run
_DURATION = re.compile(r"(?:(\d+)\.)?(\d+):(\d{2}):(\d{2}(?:\.\d+)?)")


def read_trx(data: bytes) -> Report:
    """Read one file; never raises for what it holds."""
    report = Report("trx")
    reader = _Trx(report)
    read_nodes(
        data, report, {"UnitTestResult": reader.result, "UnitTest": reader.definition, "Times": reader.times,
                       "RunInfo": reader.run_info},
    )  # fmt: skip
    reader.finish()
    return report


class _Trx:
    """The results of a file, which get their classes when the definitions are known."""

    def __init__(self, report: Report) -> None:
        self._report = report
        self._suite = report.suite("", producer="dotnet")
        self._cases: dict[tuple[str, str], Case] = {}
        self._ids: list[str] = []
        self._defined: dict[str, tuple[str, str]] = {}
        self._n_inner = 0

    def times(self, node: Node) -> None:
        """When the run began."""
        self._suite.timestamp = node.get("start") or node.get("creation") or None

    def run_info(self, node: Node) -> None:
        """What went wrong with the run itself: an adapter that could not be loaded, a crash of the host."""
        message = cut(node.text_at("Text")) or "the test run failed"
        if node.get("outcome").lower() in {"error", "failed"} and not _ECHO.search(message):
            self._report.add(self._suite, "", "[run]", [("collection_error", None, message)])
            self._ids.append("")

    def definition(self, node: Node) -> None:
        """Class and method of a test."""
        method = node.find("TestMethod")
        if method is not None:
            # MSTest of Visual Studio writes the assembly behind the class: "Ns.Class, Assembly, Version=...".
            self._defined[node.get("id")] = (method.get("className").partition(",")[0].strip(), method.get("name"))

    def result(self, node: Node) -> None:
        """A result; of a data-driven test, those inside it."""
        if any(above.tag == "UnitTestResult" for above in node.all_above()):
            return
        inner = node.find("InnerResults")
        rows = [child for child in inner.children if child.tag == "UnitTestResult"] if inner else []
        for row in rows:
            self._keep(row, parent=node)
        attempt = _attempt(node)
        if rows and attempt[0] in {"failed", "error"}:
            attempt = ("failed_by_child", attempt[1], attempt[2])
        if not rows:
            self._keep(node)
        elif attempt[0] == "failed_by_child":
            self._keep(node, attempt=attempt)

    def _keep(self, node: Node, *, parent: Node | None = None, attempt: Attempt | None = None) -> None:
        name, test_id = node.get("testName"), node.get("testId")
        if not name:
            self._report.rejected.append(("UnitTestResult", "a result without a test name has no identity", ""))
            return
        self._suite.hostname = self._suite.hostname or node.get("computerName") or None
        key = (test_id or name, name)
        case = self._cases.get(key)
        if case is not None:
            case.attempts.append(attempt or _attempt(node))
            return
        above = parent.get("testName") if parent is not None else None
        self._report.add(self._suite, "", name, [attempt or _attempt(node)], parent=above)
        self._cases[key] = self._report.cases[-1]
        self._ids.append(test_id)

    def finish(self) -> None:
        """Name the tests: the class by their definition, the method without its class before it."""
        for case, test_id in zip(self._report.cases, self._ids, strict=True):
            classname, _method = self._defined.get(test_id, ("", ""))
            case.classname = classname
            if classname and case.name.startswith(f"{classname}."):
                case.name = case.name[len(classname) + 1 :] or case.name


def _attempt(node: Node) -> Attempt:
    # Without an outcome a result stands for an error: Microsoft's schema says so.
    status = _STATUS.get(node.get("outcome").lower(), "error")
    message = cut(node.text_at("Output/ErrorInfo/Message")) if status != "passed" else None
    return status, _milliseconds(node.get("duration")), message


def _milliseconds(text: str) -> float | None:
    match = _DURATION.fullmatch(text.strip())
    if match is None:
        return None
    days, hours, minutes, seconds = match.groups()
    return ((int(days or 0) * 24 + int(hours)) * 3600 + int(minutes) * 60 + float(seconds)) * 1000
