"""A JUnit corpus to measure reading with, and the measurement: test cases a CPU-second.

The mix is that of large Java builds: most cases bare, one in 20 failed with a stack trace, one in 25 skipped, and
log output a suite. Figures are of an idle machine; a comparison needs a ratio within one run.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from weaver_forge.contracts.batch import Frame
from weaver_forge.contracts.tables.ci import RAW_TEST_RESULTS
from weaver_forge.decode.report_rows import Told
from weaver_forge.decode.test_results import decode

_TRACE = "java.lang.AssertionError\n" + "\tat org.example.Thing.does(Thing.java:12)\n" * 20
_FAILURE = f'<failure message="expected &lt;1&gt; but was &lt;2&gt;" type="java.lang.AssertionError">{_TRACE}</failure>'
_LOG = "2026-03-01 12:00:00 INFO line of the suite's log\n" * 20


@dataclass(frozen=True, slots=True)
class Measured:
    """What reading a corpus took."""

    n_cases: int
    n_bytes: int
    cpu_seconds: float

    @property
    def cases_per_cpu_second(self) -> float:
        """The figure that is to be at least 40,000."""
        return self.n_cases / self.cpu_seconds


def junit_corpus(n_suites: int = 500, n_cases: int = 100) -> Iterator[bytes]:
    """Write one report, a suite a block: ``b"".join`` of it is the file."""
    yield b'<?xml version="1.0" encoding="UTF-8"?>\n<testsuites>\n'
    for suite in range(n_suites):
        yield _suite(suite, n_cases).encode()
    yield b"</testsuites>\n"


def measure(n_suites: int = 500, n_cases: int = 100) -> Measured:
    """Read the corpus once, to rows, and take the CPU time of it."""
    data = b"".join(junit_corpus(n_suites, n_cases))
    begun = time.process_time()
    batch = decode([Frame("corpus.xml", data)], Told(received_at=datetime(2026, 3, 2)))  # noqa: DTZ001 - naive UTC
    taken = time.process_time() - begun
    return Measured(batch.tables[RAW_TEST_RESULTS.name].height, len(data), taken)


def _suite(suite: int, n_cases: int) -> str:
    head = (
        f'<testsuite name="org.example.Suite{suite}" tests="{n_cases}" timestamp="2026-03-01T12:00:00" hostname="host">'
        '<properties><property name="java.version" value="21"/></properties>\n'
    )
    cases = (_case(suite, number) for number in range(n_cases))
    return f"{head}{''.join(cases)}<system-out><![CDATA[{_LOG}]]></system-out></testsuite>\n"


def _case(suite: int, number: int) -> str:
    head = f'  <testcase name="doesTheThing{number}" classname="org.example.Suite{suite}" time="{number / 1000:.3f}"'
    if number % 20 == 0:
        return f"{head}>\n{_FAILURE}\n</testcase>\n"
    return f"{head}>\n<skipped/>\n</testcase>\n" if number % 25 == 0 else f"{head}/>\n"
