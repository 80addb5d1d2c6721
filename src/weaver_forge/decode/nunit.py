"""NUnit XML, of NUnit 2 (``test-results``) and NUnit 3 (``test-run``) -> a report.

A test is fixture and method with its arguments. A fixture whose set-up failed says so at itself, with ``label="Error"``
or ``site="SetUp"``: that is the infrastructure's, and the tests below it did not run for themselves.
"""

from weaver_forge.decode.report import Attempt, Case, Report, Suite, cut
from weaver_forge.decode.xml_nodes import Node, read_nodes

_STATUS = {
    "passed": "passed",
    "success": "passed",
    "warning": "passed",
    "failed": "failed",
    "failure": "failed",
    "error": "error",
    "skipped": "skipped",
    "ignored": "skipped",
    "inconclusive": "skipped",
    "notrunnable": "skipped",
    "cancelled": "error",
}
_LABELS = {"error": "error", "invalid": "error", "cancelled": "error"}


def read_nunit(data: bytes) -> Report:
    """Read one file; never raises for what it holds."""
    report = Report("nunit")
    reader = _Nunit(report)
    read_nodes(data, report, {"test-case": reader.case, "environment": reader.environment})
    reader.finish()
    return report


class _Nunit:
    """The tests of a file, by the fixture that they stand in."""

    def __init__(self, report: Report) -> None:
        self._report = report
        self._suites: dict[int, Suite] = {}
        # Elements are told apart by identity, so they are held: a freed one would lend its id to the next.
        self._held: list[Node] = []
        self._hostname: str | None = None

    def environment(self, node: Node) -> None:
        """The machine; stands before the tests that ran on it."""
        self._hostname = node.get("machine-name") or None

    def case(self, node: Node) -> None:
        """A test."""
        fullname = node.get("fullname") or node.get("name")
        if not fullname:
            self._report.rejected.append(("test-case", "a test without a name has no identity", ""))
            return
        classname = node.get("classname") or _class_of(fullname, node.get("name"))
        name = node.get("name") if node.get("fullname") else fullname
        if classname and name.startswith(f"{classname}."):
            name = name[len(classname) + 1 :]
        self._report.add(self._suite(node), classname, name, [_attempt(node)])

    def _suite(self, node: Node) -> Suite:
        """The nearest suite around a test, with the time and machine of its assembly."""
        above = [one for one in node.all_above() if one.tag in {"test-suite", "test-run", "test-results"}]
        nearest = above[0] if above else node
        if id(nearest) not in self._suites:
            started = next((one.get("start-time") for one in above if one.get("start-time")), "")
            if not started and above and above[-1].get("date"):
                started = f"{above[-1].get('date')}T{above[-1].get('time')}".removesuffix("T")
            name = nearest.get("fullname") or nearest.get("name")
            self._suites[id(nearest)] = self._report.suite(
                name, timestamp=started or None, hostname=self._hostname, producer="nunit"
            )
            self._held.append(nearest)
        return self._suites[id(nearest)]

    def finish(self) -> None:
        """Same fixture and name again: attempts (``[Retry]`` shows one, two runs in one file show two)."""
        seen: dict[tuple[str, str, str], int] = {}
        kept: list[Case] = []
        for case in self._report.cases:
            key = (case.suite.name, case.classname, case.name)
            if key in seen:
                kept[seen[key]].attempts += case.attempts
            else:
                seen[key] = len(kept)
                kept.append(case)
        self._report.cases = kept


def _class_of(fullname: str, name: str) -> str:
    """The class in a full name; arguments may hold dots themselves."""
    if name and fullname.endswith(f".{name}") and name != fullname:
        return fullname[: -len(name) - 1]
    return fullname.partition("(")[0].rpartition(".")[0]


def _attempt(node: Node) -> Attempt:
    result = node.get("result").lower()
    if not result:  # NUnit up to 2.4 says it in two flags, of which some writers leave one out
        is_failed = node.get("success").lower() == "false" or node.find("failure") is not None
        result = "skipped" if node.get("executed").lower() == "false" else "failed" if is_failed else "passed"
    status = _STATUS.get(result, "error")
    if status == "failed":
        status = _LABELS.get(node.get("label").lower(), "failed")
    message = node.text_at("failure/message") or node.text_at("reason/message")
    seconds = node.get("duration") or node.get("time")
    try:
        duration = float(seconds.replace(",", ".")) * 1000
    except ValueError:
        duration = -1.0
    return status, duration if 0 <= duration < 1e15 else None, cut(message) if status != "passed" else None
