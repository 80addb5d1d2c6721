"""One JUnit XML file, read as a stream into suites and test cases; nothing is inferred across elements here.

Expat directly: it stops at a DTD, says at which byte a file broke, and hands over every case that was complete.
What the cases mean together (attempts, revisions) is decided in ``junit``.
"""

import math
import re
from dataclasses import dataclass, field
from typing import Literal
from xml.parsers import expat

Attempt = tuple[str, float | None, str | None]
"""Status, duration in milliseconds, message."""

MESSAGE_LENGTH = 500
RAW_LENGTH = 4000

_OTHER_FORMATS = {
    "TestRun": "a Visual Studio TRX report",
    "test-run": "an NUnit 3 report",
    "test-results": "an NUnit 2 report",
    "assemblies": "an xUnit.net report",
    "assembly": "an xUnit.net report",
    "robot": "a Robot Framework report",
    "Site": "a CTest report",
    "coverage": "a coverage report",
    "checkstyle": "a Checkstyle report",
    "pmd": "a PMD report",
    "testExecutions": "a SonarQube report",
    "html": "a web page",
}
_OUTCOMES = {"error": 3, "failure": 2, "skipped": 1, "skip": 1, "disabled": 1}
_STATUS = {3: "error", 2: "failed", 1: "skipped", 0: "passed"}
_FLAKY = {"flakyFailure": "failed", "flakyError": "error"}
_RERUN = {"rerunFailure": "failed", "rerunError": "error"}
_NOT_RUN = frozenset({"notrun", "disabled", "ignored", "suppressed", "skipped"})
_NUMBER = re.compile(r"-?[\d.,]*\d[\d.,]*(?:[eE][+-]?\d+)?")


class _NotReadable(Exception):  # noqa: N818 - carries a reason out of expat's callbacks
    """The file as a whole is refused."""


@dataclass(slots=True)
class Suite:
    """A testsuite element; what it does not say itself it has from the suite around it."""

    number: int
    name: str = ""
    timestamp: str | None = None
    hostname: str | None = None
    tests: int | None = None
    is_pytest: bool = False
    n_cases: int = 0
    properties: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Case:
    """A testcase element. ``status`` is that of the element; failed tries inside it are ``flaky`` and ``reruns``."""

    suite: Suite
    position: int
    classname: str
    name: str
    file: str | None
    duration_ms: float | None
    status: str = "passed"
    message: str | None = None
    rank: int = 0
    flaky: list[Attempt] = field(default_factory=list)
    reruns: list[Attempt] = field(default_factory=list)


@dataclass(slots=True)
class Report:
    """What a file held. ``rejected`` has (position, reason, raw) a piece."""

    suites: list[Suite] = field(default_factory=list)
    cases: list[Case] = field(default_factory=list)
    rejected: list[tuple[str, str, str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    is_partial: bool = False


def read_report(data: bytes) -> Report:
    """Read one file; never raises for what the file holds."""
    reader = _Reader()
    data = data.lstrip()  # a blank line before the declaration is common and harmless
    if not data:
        reader.report.rejected.append(("byte 0", "the file is empty: the run wrote no report", ""))
        return reader.report
    try:
        reader.parser.Parse(data, True)
    except _NotReadable as refusal:
        reader.report.rejected.append(("root element", str(refusal), _escaped(data)))
    except (expat.ExpatError, ValueError, LookupError) as error:
        # LookupError and ValueError: an encoding that Python does not know or cannot use here.
        _keep_complete(reader, data, str(error))
    if reader.n_bad_times:
        reader.report.notes.append(f"{reader.n_bad_times} durations could not be read and are null")
    if not (reader.report.cases or reader.report.rejected) and any(s.tests for s in reader.report.suites):
        reader.report.notes.append("the suites claim tests but hold no test case")
    return reader.report


def _keep_complete(reader: "_Reader", data: bytes, error: str) -> None:
    """Reject everything after the last complete test case of a damaged or cut-off file."""
    report, end = reader.report, reader.complete_until
    if data.startswith(b"</", end):  # expat stands before a closing tag, but behind a self-closing one
        end = data.find(b">", end) + 1
    report.is_partial = True
    what = f"not well-formed XML ({error}); {len(report.cases)} complete test cases before it are kept"
    if not report.cases:
        what = f"not well-formed XML ({error}) and no complete test case before it"
    report.rejected.append((f"byte {end}", what, _escaped(data[end:])))


def _escaped(data: bytes) -> str:
    return data[:RAW_LENGTH].decode("utf-8", "backslashreplace")[:RAW_LENGTH]


class _Reader:
    """Expat's callbacks; one instance a file."""

    def __init__(self) -> None:
        self.report = Report()
        self.complete_until = 0
        self.n_bad_times = 0
        self._depth = 0
        self._suites: list[Suite] = []
        self._case: Case | None = None
        self._case_depth = 0
        self._position = 0
        self._collecting: Literal["", "property", "message"] = ""
        self._collect_depth = 0
        self._text: list[str] = []
        self._property = ""
        self._attempt: tuple[list[Attempt], str, float | None] | None = None
        self.parser = expat.ParserCreate()
        self.parser.buffer_text = True
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.StartDoctypeDeclHandler = self._refuse_doctype

    def _refuse_doctype(self, *_: object) -> None:
        raise _NotReadable("the file declares a DTD, which test reports never need: write it without one")

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        tag = tag.rpartition(":")[2]
        self._depth += 1
        if self._depth == 1:
            self._start_root(tag, attributes)
        elif self._case is not None:
            self._start_in_case(tag, attributes)
        elif tag == "testcase":
            self._start_case(attributes)
        elif tag in {"testsuite", "testsuites"}:
            self._start_suite(attributes)
        elif tag == "property":
            self._start_property(attributes)

    def _start_root(self, tag: str, attributes: dict[str, str]) -> None:
        if tag not in {"testsuites", "testsuite"}:
            kind = _OTHER_FORMATS.get(tag, "no format that is known here")
            raise _NotReadable(f"the root element is <{tag}>, {kind}: convert it to JUnit XML")
        # The outermost testsuites is the outermost suite without a name: cases and properties may stand in it.
        name = attributes.get("name", "")
        self._start_suite(attributes if tag == "testsuite" else {**attributes, "name": ""})
        self._suites[-1].is_pytest |= name == "pytest tests"

    def _start_suite(self, attributes: dict[str, str]) -> None:
        outer = self._suites[-1] if self._suites else None
        name = attributes.get("name", "")
        tests = attributes.get("tests", "")
        suite = Suite(
            number=len(self.report.suites),
            name=name,
            timestamp=attributes.get("timestamp") or (outer.timestamp if outer else None),
            hostname=attributes.get("hostname") or (outer.hostname if outer else None),
            tests=int(tests) if tests.isdecimal() else None,
            is_pytest=name == "pytest" or (outer is not None and outer.is_pytest),
            properties=dict(outer.properties) if outer else {},
        )
        self.report.suites.append(suite)
        self._suites.append(suite)

    def _start_property(self, attributes: dict[str, str]) -> None:
        self._property = attributes.get("name", "").lower().removeprefix("env.")
        if "value" in attributes:
            self._suites[-1].properties.setdefault(self._property, attributes["value"])
        else:
            self._collect("property")

    def _start_case(self, attributes: dict[str, str]) -> None:
        suite = self._suites[-1]
        not_run = {attributes.get("status", "").lower(), attributes.get("result", "").lower()} & _NOT_RUN
        self._case = Case(
            suite=suite,
            position=self._position,
            classname=attributes.get("classname", ""),
            name=attributes.get("name", ""),
            file=attributes.get("file") or None,
            duration_ms=self._milliseconds(attributes.get("time")),
            status="skipped" if not_run else "passed",
            rank=1 if not_run else 0,
        )
        self._case_depth = self._depth
        self._position += 1

    def _start_in_case(self, tag: str, attributes: dict[str, str]) -> None:
        case = self._case
        assert case is not None
        message = attributes.get("message") or None
        if tag in _OUTCOMES:
            self._outcome(case, _OUTCOMES[tag], attributes.get("type", ""), message)
        elif tag in _FLAKY or tag in _RERUN:
            tries = case.flaky if tag in _FLAKY else case.reruns
            status = _FLAKY.get(tag) or _RERUN[tag]
            tries.append((status, self._milliseconds(attributes.get("time")), _cut(message)))
        elif tag == "property" and attributes.get("name") == "nodeid" and case.file is None:
            # A parameter may hold `::` too; the file is what stands before the first.
            case.file = attributes.get("value", "").partition("::")[0] or None

    def _outcome(self, case: Case, rank: int, kind: str, message: str | None) -> None:
        if rank < case.rank or (rank == case.rank and case.message is not None):
            return
        case.rank, case.message = rank, _cut(message)
        case.status = _STATUS[rank]
        if rank == 1 and kind == "pytest.xfail":
            case.status = "xfailed"
        elif rank == 2 and message is not None and message.startswith("[XPASS(strict)]"):
            case.status = "xpassed"
        elif rank == 3 and case.suite.is_pytest and case.classname in {"", "pytest"}:
            case.status = "collection_error"
        if message is None:
            self._collect("message")

    def _collect(self, what: Literal["property", "message"]) -> None:
        self._collecting, self._collect_depth, self._text = what, self._depth, []
        self.parser.CharacterDataHandler = self._text.append

    def _end(self, tag: str) -> None:
        if self._collecting and self._depth == self._collect_depth:
            self._end_text("".join(self._text).strip())
        if self._case is not None:
            if self._depth == self._case_depth:
                self._end_case(self._case)
        elif self._suites and tag.rpartition(":")[2] in {"testsuite", "testsuites"}:
            self._suites.pop()
        self._depth -= 1

    def _end_text(self, text: str) -> None:
        self.parser.CharacterDataHandler = None
        if self._collecting == "property":
            self._suites[-1].properties.setdefault(self._property, text)
        elif self._case is not None:
            self._case.message = _cut(text)
        self._collecting = ""

    def _end_case(self, case: Case) -> None:
        self._case = None
        case.suite.n_cases += 1
        self.complete_until = self.parser.CurrentByteIndex
        if case.classname or case.name:
            self.report.cases.append(case)
        else:
            piece = (f"test case {case.position}", f"a {case.status} test case without a name has no identity", "")
            self.report.rejected.append(piece)

    def _milliseconds(self, text: str | None) -> float | None:
        """Read seconds; ``1,234.5`` has a thousands comma, ``0,014`` a decimal one."""
        if not text or not text.strip():
            return None
        number = text.strip()
        number = number.replace(",", "") if "." in number else number.replace(",", ".")
        try:
            value = float(number) * 1000 if _NUMBER.fullmatch(number) else math.nan
        except ValueError:
            value = math.nan
        if not (math.isfinite(value) and value >= 0):
            self.n_bad_times += 1
            return None
        return value


def _cut(message: str | None) -> str | None:
    return message[:MESSAGE_LENGTH] if message else None
