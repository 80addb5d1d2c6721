"""Test reports of every format -> ``raw_tests__results``: one row an execution attempt, whatever wrote it.

The format is told by how a file begins, never by its name. There is one reader a format (``junit``, ``go_test``,
``pytest_lines``, ``ctrf``, ``gitlab_test_report``, ``trx``, ``nunit``, ``xunit``); linking reports to runs and
revisions is ``links.ci``.
"""

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator
from xml.parsers import expat

import polars as pl

from weaver_forge.contracts.batch import Batch, Frame, Rejected
from weaver_forge.contracts.dtypes import empty
from weaver_forge.contracts.tables.ci import RAW_TEST_RESULTS
from weaver_forge.decode import junit
from weaver_forge.decode.ctrf import read_ctrf
from weaver_forge.decode.faults import in_words
from weaver_forge.decode.gitlab_test_report import is_gitlab, read_gitlab
from weaver_forge.decode.go_test import is_go_test, read_go_test
from weaver_forge.decode.nunit import read_nunit
from weaver_forge.decode.pytest_lines import is_pytest_lines, read_pytest_lines
from weaver_forge.decode.recognise import other_source, recognise
from weaver_forge.decode.report import Report, escaped, lines_of
from weaver_forge.decode.report_rows import ReportRows, Told
from weaver_forge.decode.trx import read_trx
from weaver_forge.decode.xunit import read_xunit

HEAD_BYTES = 1 << 16
"""How much of a file's beginning tells its format."""
WHOLE_BYTES = 256 << 20
"""CTRF, TRX, NUnit and xUnit.net reports are read whole, so they have a limit; the two others have none."""
SMALL_BYTES = 16 << 20
"""A JUnit report up to this size is read once, in memory."""

_ROOTS = {
    "testsuites": "junit",
    "testsuite": "junit",
    "TestRun": "trx",
    "test-run": "nunit",
    "test-results": "nunit",
    "test-suite": "nunit",
    "assemblies": "xunit",
    "assembly": "xunit",
}
_REFUSED_ROOTS = {
    "robot": "a Robot Framework report: let it write JUnit XML (--xunit)",
    "Site": "a CTest report: let it write JUnit XML (--output-junit)",
    "coverage": "a coverage report",
    "checkstyle": "a Checkstyle report",
    "pmd": "a PMD report",
    "testExecutions": "a SonarQube report",
    "html": "a web page",
}
_READERS: dict[str, Callable[[bytes], Report]] = {
    "ctrf": read_ctrf,
    "gitlab": read_gitlab,
    "trx": read_trx,
    "nunit": read_nunit,
    "xunit": read_xunit,
}
_LINE_READERS: dict[str, Callable[[Iterable[bytes]], Report]] = {
    "go_test": read_go_test,
    "pytest": read_pytest_lines,
}
_BOM = b"\xef\xbb\xbf"
_CTRF = re.compile(rb'"(?:reportFormat|results|specVersion)"\s*:')


def decode(frames: Iterable[Frame], told: Told) -> Batch:
    """Read reports that are in memory, one whole file a frame."""
    batches = [batch for frame in frames for batch in decode_parts(frame.name, _one(frame.data), told)]
    tables = [frame for batch in batches for frame in batch.tables.values()]
    return Batch(
        {RAW_TEST_RESULTS.name: pl.concat(tables) if tables else empty(RAW_TEST_RESULTS)},
        tuple(piece for batch in batches for piece in batch.rejected),
        tuple(note for batch in batches for note in batch.notes),
    )


def decode_parts(name: str, blocks: Callable[[], Iterable[bytes]], told: Told) -> Iterator[Batch]:
    """Read one report of any size, in batches of bounded memory.

    Args:
        name: The file, for messages.
        blocks: Gives the file's bytes from its beginning, each time it is called.
        told: What the caller says about it.
    """
    head = _head(blocks())
    kind, reason = sniff(head)
    if kind is None:
        yield Batch(rejected=(Rejected(name, "beginning of the file", reason, escaped(head)),))
    elif kind == "junit" and len(head) > SMALL_BYTES:
        yield from _junit_parts(name, blocks, told)
    else:
        yield _whole(kind, name, blocks, told)


def sniff(head: bytes) -> tuple[str | None, str]:
    """Tell the format of a report from its beginning: the format, or None and the reason."""
    head = head[:HEAD_BYTES]
    start = head.removeprefix(_BOM).lstrip()
    if not start:
        return None, "the file is empty: the run wrote no report"
    if start.startswith((b"{", b"[")) or (not start.startswith(b"<") and b"\n{" in start):
        kind = _json_kind(start)
        reason = "JSON, but neither events of go test -json, nor a CTRF report, nor one of GitLab or the pytest plugin"
        return kind, "" if kind else reason + other_source(head, "tests")
    kind, reason = _sniff_xml(head)
    likely = None if kind or start.startswith(b"<") else recognise(start)
    return kind, f"neither JSON nor XML: looks like {likely.what}. {likely.hint}".rstrip() if likely else reason


def _json_kind(start: bytes) -> str | None:
    if is_pytest_lines(start):
        return "pytest"
    if is_go_test(start):
        return "go_test"
    if is_gitlab(start):
        return "gitlab"
    return "ctrf" if start.startswith(b"{") and _CTRF.search(start) else None


def _sniff_xml(head: bytes) -> tuple[str | None, str]:
    root, problem = _root(head)
    if root and root not in _ROOTS:
        what = _REFUSED_ROOTS.get(root, "no format that is known here: convert it to JUnit XML")
        problem = f"the root element is <{root}>, {what}"
    return _ROOTS.get(root), problem


class _Found(Exception):  # noqa: N818 - carries an answer out of expat's callback
    """The root element's name, or the reason to refuse the file."""


def _root(head: bytes) -> tuple[str, str]:
    parser = expat.ParserCreate()

    def start(tag: str, _attributes: dict[str, str]) -> None:
        raise _Found(tag)

    def doctype(*_: object) -> None:
        raise _Found("")

    parser.StartElementHandler = start
    parser.StartDoctypeDeclHandler = doctype
    try:
        parser.Parse(head.lstrip(), False)
    except _Found as found:
        tag = str(found).rpartition(":")[2]
        return tag, "" if tag else "the file declares a DTD, which test reports never need: write it without one"
    except (expat.ExpatError, ValueError, LookupError) as error:
        return "", f"neither JSON nor XML that is well-formed ({in_words(error)})"
    return "", "not well-formed XML (it ends before its root element) and no complete test case before it"


def _one(data: bytes) -> Callable[[], Iterable[bytes]]:
    return lambda: (data,)


def _hashed(blocks: Iterable[bytes], digest: "hashlib._Hash") -> Iterator[bytes]:
    for block in blocks:
        digest.update(block)
        yield block


def _joined(blocks: Iterable[bytes]) -> tuple[bytes, bool]:
    """All bytes, and whether they are within the limit of what is read whole."""
    kept, size = [], 0
    for block in blocks:
        kept.append(block)
        size += len(block)
        if size > WHOLE_BYTES:
            return b"", False
    return b"".join(kept), True


def _head(blocks: Iterable[bytes]) -> bytes:
    """The beginning of a file; more than ``SMALL_BYTES`` only where the file has more."""
    kept, size = [], 0
    for block in blocks:
        kept.append(block)
        size += len(block)
        if size > SMALL_BYTES:
            break
    return b"".join(kept)


def _whole(kind: str, name: str, blocks: Callable[[], Iterable[bytes]], told: Told) -> Batch:
    digest = hashlib.sha256()
    if kind in _LINE_READERS:
        report = _LINE_READERS[kind](lines_of(_hashed(blocks(), digest)))
        first_attempts = [1] * len(report.cases)
    else:
        data, is_whole = _joined(_hashed(blocks(), digest))
        if not is_whole:
            what = f"a {kind} report larger than {WHOLE_BYTES >> 20} MiB: split it"
            return Batch(rejected=(Rejected(name, "whole file", what),))
        if kind == "junit":
            report, first_attempts = junit.read_report(data)
        else:
            report = _READERS[kind](data)
            first_attempts = [1] * len(report.cases)
    rows = ReportRows.of(kind, digest.hexdigest(), told, report.suites)
    return _batch(name, report, {RAW_TEST_RESULTS.name: rows.frame(report.cases, first_attempts)})


def _junit_parts(name: str, blocks: Callable[[], Iterable[bytes]], told: Told) -> Iterator[Batch]:
    digest = hashlib.sha256()
    passes = iter((_hashed(blocks(), digest),))
    parts = junit.read_parts(lambda: next(passes, None) or blocks())
    report = next(parts)
    assert isinstance(report, Report)
    rows = ReportRows.of("junit", digest.hexdigest(), told, report.suites)
    yield _batch(name, report, {})
    for part in parts:
        assert not isinstance(part, Report)
        yield Batch({RAW_TEST_RESULTS.name: rows.frame(*part)})


def _batch(name: str, report: Report, tables: dict[str, pl.DataFrame]) -> Batch:
    rejected = tuple(Rejected(name, *piece) for piece in report.rejected)
    says_nothing = not (rejected or report.notes or any(suite.n_cases for suite in report.suites))
    notes = ["the report holds no test"] if says_nothing else report.notes
    return Batch(tables, rejected, tuple(f"{name}: {note}" for note in notes))
