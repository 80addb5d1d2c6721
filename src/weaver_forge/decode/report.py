"""What a test report says, as values that every format is read into; what they are as rows is ``report_rows``.

Put here what all formats share: a suite, a test with its attempts, and how pytest's node ids name a test.
How one format says it belongs in that format's module.
"""

import math
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

Attempt = tuple[str, float | None, str | None]
"""Status, duration in milliseconds, message."""

COLLECTION_ERROR = "collection_error"
"""Status of what is no test: a module that cannot be collected."""
MESSAGE_LENGTH = 500
RAW_LENGTH = 4000

_NUMBER = re.compile(r"-?[\d.,]*\d[\d.,]*(?:[eE][+-]?\d+)?")


@dataclass(slots=True)
class Suite:
    """Tests that were run together; what it does not say itself it has from the suite around it."""

    number: int
    name: str = ""
    timestamp: str | None = None
    hostname: str | None = None
    file: str | None = None
    producer: str = ""
    tests: int | None = None
    n_cases: int = 0
    properties: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Case:
    """A test as a report lists it, with its attempts in their order.

    Args:
        parent: Name of the test that this one is a subtest of.
    """

    suite: Suite
    position: int
    classname: str
    name: str
    file: str | None
    attempts: list[Attempt]
    parent: str | None = None


@dataclass(slots=True)
class Report:
    """What a file held. ``rejected`` has (position, reason, raw) a piece."""

    format: str
    suites: list[Suite] = field(default_factory=list)
    cases: list[Case] = field(default_factory=list)
    rejected: list[tuple[str, str, str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    is_partial: bool = False

    def suite(self, name: str, **said: str | None) -> Suite:
        """Begin a suite."""
        made = Suite(number=len(self.suites), name=name)
        for attribute, value in said.items():
            setattr(made, attribute, value)
        self.suites.append(made)
        return made

    def add(
        self, suite: Suite, classname: str, name: str, attempts: list[Attempt], *,
        file: str | None = None, parent: str | None = None,
    ) -> None:  # fmt: skip
        """List a test at the next position."""
        suite.n_cases += 1
        self.cases.append(Case(suite, len(self.cases), classname, name, file, attempts, parent))


def cut(message: str | None) -> str | None:
    """Shorten a message to what is stored; none where it says nothing."""
    return (message.strip()[:MESSAGE_LENGTH] or None) if message else None


def escaped(data: bytes) -> str:
    """A refused piece as text, cut to what is stored."""
    return data[:RAW_LENGTH].decode("utf-8", "backslashreplace")[:RAW_LENGTH]


def odd_number(text: str) -> float:
    """Read a number with commas: ``1,234.5`` has one a thousand, ``0,014`` a decimal one; NaN where it is none."""
    number = text.strip()
    number = number.replace(",", "") if "." in number else number.replace(",", ".")
    try:
        return float(number) if _NUMBER.fullmatch(number) else math.nan
    except ValueError:
        return math.nan


def lines_of(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """Put blocks of bytes together to lines, without their ends; the last one may be cut off."""
    rest: list[bytes] = []
    for block in blocks:
        first, *more = block.split(b"\n")
        rest.append(first)
        if more:
            yield b"".join(rest)
            yield from more[:-1]
            rest = [more[-1]]
    if last := b"".join(rest):
        yield last


def named_by_pytest(nodeid: str, file: str | None = None) -> tuple[str, str]:
    """Name a test as pytest's JUnit XML does: classname and name.

    Parameters may hold ``::`` themselves (``test_a.py::test[1-c::d]``), so only what is before the first bracket is
    taken apart.

    Args:
        nodeid: For instance ``tests/test_a.py::TestB::test_c[1]``.
        file: The file's part of it, where that is known.
    """
    if file and nodeid.startswith(f"{file}::"):
        path, rest = file, nodeid[len(file) + 2 :]
    else:
        path, _, rest = nodeid.partition("::")
    head, bracket, parameters = rest.partition("[")
    *classes, name = head.split("::")
    module = path.replace("\\", "/").strip("/").removesuffix(".py").replace("/", ".")
    return ".".join((module, *classes)), f"{name}{bracket}{parameters}"
