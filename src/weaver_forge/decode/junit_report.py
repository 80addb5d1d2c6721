"""One JUnit XML file, read as a stream into suites and test cases; nothing is inferred across elements here.

Expat directly: it stops at a DTD, says at which byte a file broke, and hands over every case that was complete,
a block at a time. What the cases mean together (attempts, parents, revisions) is decided in ``junit``.
"""

import math
import re
from array import array
from typing import Literal
from xml.parsers import expat

from weaver_forge.decode.faults import in_words, kept_before
from weaver_forge.decode.junit_producers import producer_of_property, producer_of_suite
from weaver_forge.decode.report import Attempt, Case, Report, Suite, cut, escaped, odd_number

_OUTCOMES = {"error": 3, "failure": 2, "skipped": 1, "skip": 1, "disabled": 1}
_STATUS = ("passed", "skipped", "failed", "error")
_TRIES = {"flakyFailure": "failed", "flakyError": "error", "rerunFailure": "failed", "rerunError": "error"}
_NOT_RUN = frozenset({"notrun", "disabled", "ignored", "suppressed", "skipped"})
_NO_TEST_OF_GO = re.compile(r"\[[a-z ]+ failed\]|TestMain")


class _NotReadable(Exception):  # noqa: N818 - carries a reason out of expat's callbacks
    """The file as a whole is refused."""


class JunitReader:
    """Expat's callbacks; one instance a file. Feed blocks, then close; never raises for what the file holds.

    ``keys`` and ``suite_numbers`` have one entry a case, also of cases that were drained: hash of (suite, classname,
    name), and number of the suite. ``failed_above`` has the hashes of names that have a failed subtest.
    """

    def __init__(self) -> None:
        self.report = Report("junit")
        self.keys, self.suite_numbers = array("q"), array("q")
        self.failed_above: set[int] = set()
        self.has_subtests = False
        self.is_closed = False
        self._complete_until, self._skipped = 0, 0
        self._held, self._n_fed = b"", 0
        self._n_bad_times = 0
        self._depth, self._position = 0, 0
        self._suites: list[Suite] = []
        self._in_case = False
        self._collecting: Literal["", "property", "message"] = ""
        self._collect_depth = 0
        self._text: list[str] = []
        self._property = ""
        self._attributes: dict[str, str] = {}
        self._rank, self._status = 0, "passed"
        self._message: str | None = None
        self._flaky: list[Attempt] = []
        self._reruns: list[Attempt] = []
        self._file: str | None = None
        self._case_depth = 0
        self._parser = expat.ParserCreate()
        self._parser.buffer_text = True
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._parser.StartDoctypeDeclHandler = _refuse_doctype

    def feed(self, block: bytes) -> None:
        """Read the next block."""
        if not self._n_fed:
            stripped = block.lstrip()  # a blank line before the declaration is common and harmless
            self._skipped += len(block) - len(stripped)
            block = stripped
        self._n_fed += len(block)
        # The block before is held too, so that the refused end of a damaged file can be shown.
        self._held = self._held[-len(block) :] + block if block else self._held
        self._parse(block, is_last=False)

    def close(self) -> None:
        """Say that the file ends here."""
        if not self._held and not self.is_closed:
            self._refuse("byte 0", "the file is empty: the run wrote no report", "")
        self._parse(b"", is_last=True)
        self.is_closed = True
        report = self.report
        if self._n_bad_times:
            report.notes.append(f"{self._n_bad_times} durations could not be read and are null")
        if not (self.keys or report.rejected) and any(suite.tests for suite in report.suites):
            report.notes.append("the suites claim tests but hold no test case")

    def drain(self) -> list[Case]:
        """Take the cases read so far. The last one stays until the file is closed: the next element may amend it."""
        stay = 0 if self.is_closed else 1
        cases = self.report.cases
        taken = cases[: len(cases) - stay]
        self.report.cases = cases[len(cases) - stay :] if stay and cases else []
        return taken

    def _parse(self, block: bytes, *, is_last: bool) -> None:
        if self.is_closed:
            return
        try:
            self._parser.Parse(block, is_last)
        except _NotReadable as refusal:
            self._refuse("root element", str(refusal), escaped(self._held))
        except (expat.ExpatError, ValueError, LookupError) as error:
            # LookupError and ValueError: an encoding that Python does not know or cannot use here.
            self._keep_complete(str(error))

    def _refuse(self, position: str, reason: str, raw: str) -> None:
        self.report.rejected.append((position, reason, raw))
        self.is_closed = True

    def _keep_complete(self, error: str) -> None:
        """Reject everything after the last complete test case of a damaged or cut-off file."""
        held_from = self._n_fed - len(self._held)
        end = self._complete_until - held_from
        rest = self._held[end:] if end >= 0 else b""
        if rest.startswith(b"</"):  # expat stands before a closing tag, but behind a self-closing one
            behind = rest.find(b">") + 1
            end, rest = end + behind, rest[behind:]
        what = f"not well-formed XML ({in_words(error)}); {kept_before(len(self.keys))}"
        self.report.is_partial = True
        self._refuse(f"byte {self._skipped + held_from + end}", what, escaped(rest))

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        self._depth += 1
        if ":" in tag:
            tag = tag.rpartition(":")[2]
        if self._in_case:
            self._start_in_case(tag, attributes)
        elif self._depth == 1:
            self._start_root(tag, attributes)
        elif tag == "testcase":
            self._start_case(attributes)
        elif tag in {"testsuite", "testsuites"}:
            self._start_suite(attributes)
        elif tag == "property":
            self._start_property(attributes)

    def _start_root(self, tag: str, attributes: dict[str, str]) -> None:
        if tag not in {"testsuites", "testsuite"}:
            raise _NotReadable(f"the root element is <{tag}>, no format that is known here: convert it to JUnit XML")
        # The outermost testsuites is the outermost suite without a name: cases and properties may stand in it.
        self._start_suite(attributes if tag == "testsuite" else {**attributes, "name": ""})
        self._suites[-1].producer = producer_of_suite(attributes)

    def _start_suite(self, attributes: dict[str, str]) -> None:
        outer = self._suites[-1] if self._suites else Suite(-1)
        tests = attributes.get("tests", "")
        suite = Suite(
            number=len(self.report.suites),
            name=attributes.get("name", ""),
            timestamp=attributes.get("timestamp") or outer.timestamp,
            hostname=attributes.get("hostname") or outer.hostname,
            file=attributes.get("file") or outer.file,
            producer=producer_of_suite(attributes) or outer.producer,
            tests=int(tests) if tests.isdecimal() else None,
            properties=dict(outer.properties),
        )
        self.report.suites.append(suite)
        self._suites.append(suite)

    def _start_property(self, attributes: dict[str, str]) -> None:
        self._property = attributes.get("name", "").lower().removeprefix("env.")
        suite = self._suites[-1]
        suite.producer = suite.producer or producer_of_property(self._property)
        if "value" in attributes:
            suite.properties.setdefault(self._property, attributes["value"])
        else:
            self._collect("property")

    def _start_case(self, attributes: dict[str, str]) -> None:
        self._in_case, self._case_depth, self._attributes = True, self._depth, attributes
        said = attributes.get("status", ""), attributes.get("result", "")  # most say neither
        not_run = any(said) and not _NOT_RUN.isdisjoint(word.lower() for word in said)
        self._rank, self._message, self._file = 1 if not_run else 0, None, None
        self._status = _STATUS[self._rank]

    def _start_in_case(self, tag: str, attributes: dict[str, str]) -> None:
        message = attributes.get("message") or None
        if tag in _OUTCOMES:
            self._outcome(_OUTCOMES[tag], attributes.get("type", ""), message)
        elif tag in _TRIES:
            tries = self._flaky if tag.startswith("flaky") else self._reruns
            tries.append((_TRIES[tag], self._milliseconds(attributes.get("time")), cut(message)))
        elif tag == "property" and attributes.get("name") == "nodeid":
            # A parameter may hold `::` too; the file is what stands before the first.
            self._file = attributes.get("value", "").partition("::")[0] or None

    def _outcome(self, rank: int, kind: str, message: str | None) -> None:
        if rank < self._rank or (rank == self._rank and self._message is not None):
            return
        self._rank, self._message, self._status = rank, cut(message), _STATUS[rank]
        if rank == 1 and kind == "pytest.xfail":
            self._status = "xfailed"
        elif rank == 2 and message is not None and message.startswith("[XPASS(strict)]"):
            self._status = "xpassed"
        if message is None:
            self._collect("message")

    def _collect(self, what: Literal["property", "message"]) -> None:
        self._collecting, self._collect_depth, self._text = what, self._depth, []
        self._parser.CharacterDataHandler = self._text.append

    def _end(self, tag: str) -> None:
        if self._collecting and self._depth == self._collect_depth:
            self._end_text("".join(self._text).strip())
        if self._in_case:
            if self._depth == self._case_depth:
                self._end_case()
        elif self._suites and tag.rpartition(":")[2] in {"testsuite", "testsuites"}:
            self._suites.pop()
        self._depth -= 1

    def _end_text(self, text: str) -> None:
        self._parser.CharacterDataHandler = None
        if self._collecting == "property":
            self._suites[-1].properties.setdefault(self._property, text)
        else:
            self._message = cut(text)
        self._collecting = ""

    def _end_case(self) -> None:
        self._in_case = False
        self._complete_until = self._parser.CurrentByteIndex
        attributes, suite = self._attributes, self._suites[-1]
        classname, name = attributes.get("classname", ""), attributes.get("name", "")
        attempts: list[Attempt] = [(self._status, self._milliseconds(attributes.get("time")), self._message)]
        if self._flaky or self._reruns:
            attempts = [*self._flaky, *attempts, *self._reruns]
            self._flaky, self._reruns = [], []
        position, self._position = self._position, self._position + 1
        if not (classname or name):
            what = f"a {self._status} test case without a name has no identity"
            self.report.rejected.append((f"test case {position}", what, ""))
            return
        file = attributes.get("file") or self._file or suite.file
        case = Case(suite, position, classname, name, file, attempts)
        if self._rank > 1:
            self._not_passed(case)
        self._keep(case)

    def _not_passed(self, case: Case) -> None:
        """See what an error or failure is of: of no test, of a test that is listed already, or of a subtest."""
        producer = case.suite.producer
        if producer == "pytest":
            if self._rank == 3 and case.classname in {"", "pytest"}:
                self._restate(case, "collection_error")
            elif self._rank == 3 and (self._message or "").startswith("failed on teardown"):
                self._drop_failed_call(case)
        elif producer == "go" and _NO_TEST_OF_GO.fullmatch(case.name):
            self._restate(case, "collection_error")
        if "/" in case.name:
            name = case.name
            while name := name.rpartition("/")[0]:
                self.failed_above.add(hash((case.suite.name, case.classname, name)))

    def _restate(self, case: Case, status: str) -> None:
        _, duration, message = case.attempts[0]
        case.attempts[0] = (status, duration, message)

    def _drop_failed_call(self, case: Case) -> None:
        """In pytest's report a test whose call and teardown both failed stands twice; it was executed once."""
        last = self.report.cases[-1] if self.report.cases else None
        if last is None or (last.suite, last.classname, last.name) != (case.suite, case.classname, case.name):
            return
        if [status for status, _, _ in last.attempts] == ["failed"]:
            self.report.cases.pop()
            self.keys.pop()
            self.suite_numbers.pop()
            case.suite.n_cases -= 1

    def _keep(self, case: Case) -> None:
        self.has_subtests |= "/" in case.name
        case.suite.n_cases += 1
        self.keys.append(hash((case.suite.name, case.classname, case.name)))
        self.suite_numbers.append(case.suite.number)
        self.report.cases.append(case)

    def _milliseconds(self, text: str | None) -> float | None:
        """Read seconds; ``1,234.5`` has a thousands comma, ``0,014`` a decimal one."""
        if not text:
            return None
        try:
            value = float(text) * 1000
        except ValueError:
            value = odd_number(text) * 1000
            if not text.strip():
                return None
        if 0 <= value < math.inf:
            return value
        self._n_bad_times += 1
        return None


def _refuse_doctype(*_: object) -> None:
    raise _NotReadable("the file declares a DTD, which test reports never need: write it without one")
