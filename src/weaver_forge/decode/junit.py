"""What the elements of a JUnit XML file mean together: which are attempts of one test, and which of its parents.

There is no standard; this is the project's one reading of what runners write. What holds:

* status is error over failure over skipped over passed; totals of a suite are never trusted.
* surefire's ``flaky*`` children are failed attempts before the one that passed, its ``rerun*`` children are
  further failed attempts after the first.
* pytest-rerunfailures writes every failed attempt as a bare test case, which looks passed. Where a pytest suite
  holds another number of elements than its ``tests`` says, all but the last of the same name are failed attempts.
  More elements are reruns; fewer are subtests that ``tests`` counts and the file does not list.
* other elements with the same suite, classname and name are attempts in the order of the file.
* ``pytest.xfail`` is xfailed; ``[XPASS(strict)]`` is xpassed, which fails its run; a collection error is none of
  the tests, nor is a Go package that did not build.
* a Go test that failed while one of its subtests (``Parent/child``) failed is not a second failure.
* A DTD is refused with the file: it is the door to entity bombs and to reading local files.
* A file that breaks off keeps its complete test cases; the rest is rejected.

The reading of one file is in ``junit_report``; linking reports to runs and revisions is ``links.ci``.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import polars as pl

from weaver_forge.decode.junit_report import JunitReader
from weaver_forge.decode.report import Case, Report, Suite

_GO_TEST = re.compile(r"(?:Test|Fuzz|Benchmark|Example)\w*/")


@dataclass(slots=True)
class Outline:
    """What must be known of a whole file before a part of it can be read rightly.

    Args:
        repeated: (Hash of a name that the file has more than once, suite number) -> how often that suite has it.
        names: Hashes of all names, where some are of subtests.
        failed_above: Hashes of the names that have a failed subtest.
    """

    suites: Sequence[Suite]
    is_partial: bool
    repeated: dict[tuple[int, int], int]
    names: frozenset[int]
    failed_above: frozenset[int]
    _again: frozenset[int] = field(init=False)
    _earlier: dict[int, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Gather the names that occur again."""
        self._again = frozenset(key for key, _ in self.repeated)

    @classmethod
    def of(cls, reader: JunitReader) -> "Outline":
        """Look at a file that was read to its end."""
        keys, suites = (np.frombuffer(column, np.int64) for column in (reader.keys, reader.suite_numbers))
        ordered = np.sort(keys)  # a table of hashes would take ten times the memory
        again = np.isin(keys, ordered[1:][ordered[1:] == ordered[:-1]])
        repeated = pl.DataFrame({"key": keys[again], "suite": suites[again]}).group_by("key", "suite").len()
        return cls(
            reader.report.suites,
            reader.report.is_partial,
            {(key, suite): n for key, suite, n in repeated.iter_rows()},
            frozenset(reader.keys) if reader.has_subtests else frozenset(),
            frozenset(reader.failed_above),
        )

    def resolve(self, cases: Iterable[Case]) -> list[int]:
        """Decide what the next cases of the file are; returns the number of each one's first attempt."""
        first_attempts = []
        for case in cases:
            first = 1
            if self._again and (key := hash((case.suite.name, case.classname, case.name))) in self._again:
                first = self._place(case, key)
            if self.names:
                self._relate(case)
            first_attempts.append(first)
        return first_attempts

    def _place(self, case: Case, key: int) -> int:
        first = self._earlier.get(key, 1)
        self._earlier[key] = first + len(case.attempts)
        place = (key, case.suite.number)
        self.repeated[place] -= 1
        status, duration, message = case.attempts[-1]
        if self.repeated[place] and status == "passed" and self._hides_reruns(case.suite.number):
            case.attempts[-1] = ("failed", duration, message)
        return first

    def _hides_reruns(self, number: int) -> bool:
        """Say whether repeated elements of the suite are pytest's failed attempts.

        A report that breaks off cannot be counted; pytest writes one name twice for no other reason.
        """
        suite = self.suites[number]
        return suite.producer == "pytest" and (self.is_partial or suite.n_cases != (suite.tests or 0))

    def _relate(self, case: Case) -> None:
        """Find the test that a Go test is a subtest of, and the failure that it only repeats."""
        suite, name = case.suite, case.name
        if suite.producer != "go" and (suite.producer or not _GO_TEST.match(f"{name}/")):
            return
        above = name
        while above := above.rpartition("/")[0]:
            if hash((suite.name, case.classname, above)) in self.names:
                case.parent = above
                break
        if self.failed_above and hash((suite.name, case.classname, name)) in self.failed_above:
            case.attempts = [
                ("failed_by_child" if status == "failed" else status, duration, message)
                for status, duration, message in case.attempts
            ]


def read_report(data: bytes) -> tuple[Report, list[int]]:
    """Read one file that is in memory: the report, and the number of each case's first attempt."""
    reader = JunitReader()
    reader.feed(data)
    reader.close()
    return reader.report, Outline.of(reader).resolve(reader.report.cases)


def read_parts(blocks: Callable[[], Iterable[bytes]]) -> Iterator[Report | tuple[list[Case], list[int]]]:
    """Read a file of any size in two passes: first its report without cases, then its cases, part after part.

    What a test case is can depend on one at the file's end, so the first pass only takes notes (16 bytes a case).
    """
    reader = JunitReader()
    for block in blocks():
        reader.feed(block)
        reader.drain()
    reader.close()
    reader.drain()
    outline = Outline.of(reader)
    yield reader.report
    reader = JunitReader()
    for block in blocks():
        reader.feed(block)
        if cases := reader.drain():
            yield cases, outline.resolve(cases)
    reader.close()
    if cases := reader.drain():
        yield cases, outline.resolve(cases)
