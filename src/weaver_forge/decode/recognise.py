"""What a file most likely is, from its first bytes: for files that were given to the wrong source, or to none.

Put here signatures of whole formats. Nothing is stored on its word: a reader of its own decides what a file holds.
"""

import re
from dataclasses import dataclass

HEAD_BYTES = 64 * 1024
"""More of a file is not looked at."""

FLAGS = {
    "git": "--git",
    "tests": "--tests",
    "coverage": "--coverage",
    "otlp": "--otlp",
    "focus": "--focus",
    "github_actions": "--runs",
    "gitlab": "--gitlab",
    "deployments": "--deployments",
    "incidents": "--incidents",
}
"""Source -> the flag of ``ingest`` that gives files to it."""
_READ = {"tests": "Test reports", "coverage": "Data files of coverage.py", "focus": "FOCUS cost exports"}


@dataclass(frozen=True, slots=True)
class Likely:
    """What a file looks like.

    Args:
        what: In words, as a noun: "a PNG picture".
        source: Which source reads it; empty where none does, or where that cannot be told.
        perhaps: Sources that read some files of this format.
        may_be_table: It may be a table as text, perhaps damaged: a reader of tables says more.
    """

    what: str
    source: str = ""
    perhaps: tuple[str, ...] = ()
    may_be_table: bool = False

    @property
    def hint(self) -> str:
        """What to do with it, as a sentence; empty where there is nothing to say."""
        if self.source:
            return f"Did you mean {FLAGS[self.source]}?"
        return " ".join(f"{_READ[name]} are given by {FLAGS[name]}." for name in self.perhaps)


_MAGIC = (
    (b"\x89PNG\r\n\x1a\n", Likely("a PNG picture")),
    (b"\xff\xd8\xff", Likely("a JPEG picture")),
    (b"GIF8", Likely("a GIF picture")),
    (b"%PDF-", Likely("a PDF document")),
    (b"PK\x03\x04", Likely("a ZIP archive: unpack it first")),
    (b"7z\xbc\xaf\x27\x1c", Likely("a 7z archive: unpack it first")),
    (b"BZh", Likely("bzip2 compression, which is not undone here: unpack it first")),
    (b"\xfd7zXZ\x00", Likely("xz compression, which is not undone here: unpack it first")),
    (b"\x1f\x8b", Likely("gzip compression inside compression")),
    (b"\x28\xb5\x2f\xfd", Likely("zstd compression inside compression")),
    (b"SQLite format 3\x00", Likely("a SQLite database, as coverage.py's data file is", perhaps=("coverage",))),
    (b"PAR1", Likely("Parquet", perhaps=("focus",))),
    (b"\x7fELF", Likely("a program")),
    (b"\xff\xfe", Likely("text in UTF-16: write it in UTF-8")),
    (b"\xfe\xff", Likely("text in UTF-16: write it in UTF-8")),
)
_COVERAGE_DATA = Likely("a data file of coverage.py", "coverage")
_BOM = b"\xef\xbb\xbf"
_COVERAGE = b"CREATE TABLE coverage_schema"
"""coverage.py makes this table before any other: a database's schema is text, at its beginning."""
_CONTROLS = bytes({*range(32)} - {*b"\t\n\v\f\r\x1b"})
_OTLP = Likely("OTLP in JSON", "otlp")
_OTLP_BEGINS = re.compile(
    rb'\A[\s\[]*\{\s*"resource(?:(?:Spans|Metrics|Logs)"|[SML][a-z]*\Z)|^\{\s*"resource(?:Spans|Metrics|Logs)"\s*:',
    re.MULTILINE,
)
"""However damaged what follows is, or what stands before the first whole line: the reader says where."""
_ROOT = re.compile(rb"<(?:[\w.-]+:)?([A-Za-z_][\w.-]*)")
_TESTS = frozenset({b"testsuites", b"testsuite", b"TestRun", b"test-run", b"test-results", b"assemblies", b"assembly"})
_JSON: tuple[tuple[str, str, "re.Pattern[bytes]"], ...] = tuple(
    (source, what, re.compile(pattern, re.DOTALL))
    for source, what, pattern in (
        ("coverage", "a coverage.py report", rb'\A\s*\{\s*"meta"\s*:\s*\{[^}]*"show_contexts"'),
        ("tests", "a CTRF test report", rb'\A\s*\{(?=.*"results"\s*:\s*\{).*"(?:tool|summary|tests)"\s*:'),
        ("tests", "a record of the pytest plugin", rb'\A\s*\{\s*"(?:pytest_record"|nodeid"[^\n]*"outcome"\s*:)'),
        ("tests", "events of go test -json", rb'\A\s*\{(?=[^\n]*"Action"\s*:\s*")[^\n]*"Package"\s*:\s*"'),
        ("deployments", "a GitLab deployment webhook", rb'\A[\s\[]*\{[^{}]*"object_kind"\s*:\s*"deployment"'),
        ("deployments", "deployment records", rb'\A[\s\[]*\{[^\n]*"deployment_id"\s*:'),
        ("incidents", "incident records", rb'\A[\s\[]*\{[^\n]*"incident_id"\s*:'),
        ("gitlab", "a GitLab webhook", rb'\A\s*\{\s*"object_kind"\s*:\s*"(?:pipeline|build)"'),
        ("incidents", "an Alertmanager webhook", rb'\A\s*\{(?=.*"groupKey"\s*:).*"alerts"\s*:\s*\['),
        ("incidents", "a PagerDuty webhook", rb'"event_type"\s*:\s*"incident\.'),
        ("github_actions", "runs or jobs of GitHub Actions",
         rb'\A\s*\{.*"(?:workflow_runs?|workflow_job|jobs)"\s*:\s*[\[{].*"(?:head_sha|run_attempt)"\s*:'),
        ("", "a GitLab webhook of a kind that is not read", rb'\A\s*\{[^{}]*"object_kind"\s*:\s*"(?!pipeline|build)'),
    )
)  # fmt: skip
_TOKEN = re.compile(rb'("(?:[^"\\]|\\.)*")(\s*:)?|[{}\[\]]', re.DOTALL)
_GITHUB = re.compile(rb'"url"\s*:\s*"[^"]*/repos/[^"/]+/[^"/]+/deployments/\d+')
_CDEVENT = re.compile(rb'"type"\s*:\s*"dev\.cdevents\.(\w+)\.(\w+)\.\d')
_CDEVENTS = {"service": "deployments", "incident": "incidents"}


def recognise(head: bytes) -> Likely | None:
    """Say what a file looks like from its (decompressed) beginning; None where nothing can be told.

    Args:
        head: The first bytes; at most ``HEAD_BYTES`` are looked at.
    """
    head = head[:HEAD_BYTES]
    for magic, likely in _MAGIC:
        if head.startswith(magic):
            return _COVERAGE_DATA if _COVERAGE in head else likely
    text = head.removeprefix(_BOM).lstrip()
    if text.startswith(b"<"):
        return _xml(text)
    if _OTLP_BEGINS.search(text):
        return _OTLP
    if _is_binary(text):
        return Likely("binary data", may_be_table=True)
    return _text(text) if text else None


def _is_binary(text: bytes) -> bool:
    """Whether there is a zero byte, or more control characters than damage would leave in a text."""
    return b"\x00" in text or len(text) - len(text.translate(None, _CONTROLS)) > len(text) // 200


def other_source(data: bytes, source: str) -> str:
    """What is added to the refusal of a file that looks like one of another source; empty where it does not."""
    likely = recognise(data)
    if likely is None or likely.source in {"", source}:
        return ""
    return f". It looks like {likely.what}. {likely.hint}"


def _text(text: bytes) -> Likely | None:
    if text[:1] in b"{[":
        return _event(text) or next((Likely(what, source) for source, what, like in _JSON if like.search(text)), None)
    return _sheet(text)


def _event(text: bytes) -> Likely | None:
    """A deployment or an incident by what its outermost object has; the same names stand inside of other events."""
    cdevent = _CDEVENT.search(text)
    if not cdevent and not _GITHUB.search(text):
        return None
    keys = _outer_keys(text)
    if cdevent and keys & {b"context", b"specversion"}:
        subject, predicate = (part.decode() for part in cdevent.groups())
        if subject in _CDEVENTS:
            return Likely(f"a CDEvent {subject}.{predicate}", _CDEVENTS[subject])
        return Likely("a CDEvent that is neither service.* nor incident.*")
    is_webhook = b"deployment" in keys or b"deployment_status" in keys
    if (is_webhook and b"workflow_job" not in keys) or {b"statuses_url", b"sha"} <= keys:
        return Likely("a deployment of GitHub", "deployments")
    return Likely("a deployment of GitHub", "deployments") if {b"deployment_url", b"state"} <= keys else None


def _outer_keys(text: bytes) -> set[bytes]:
    """Keys of the first object, or of the first in a list; those that can be seen where it is cut off."""
    keys, depth = set[bytes](), 0
    for token in _TOKEN.finditer(text):
        mark = token[0]
        if mark == b"{" or (mark == b"[" and depth):
            depth += 1
        elif mark in {b"}", b"]"}:
            depth -= 1
            if depth <= 0:
                break
        elif depth == 1 and token[2] is not None:
            keys.add(token[1][1:-1])
    return keys


def _xml(text: bytes) -> Likely:
    root = _ROOT.search(text)
    if root and root[1] in _TESTS:
        return Likely("a test report in XML", "tests")
    if root and (root[1].lower() == b"html" or b"<!doctype html" in text[:200].lower()):
        return Likely("a web page")
    if root and root[1] == b"coverage":
        return Likely("a coverage report in XML, which does not say which test covers what")
    return Likely("XML", perhaps=("tests",))


def _sheet(text: bytes) -> Likely:
    """A table as text, or any other text."""
    lines = [line for line in text.split(b"\n")[:8] if line.strip()]
    header = lines[0]
    if b"billedcost" in header.lower() and b"," in header:
        return Likely("a FOCUS cost export in CSV", "focus", may_be_table=True)
    for mark, what in ((b",", "CSV"), (b"\t", "a table with tabs"), (b";", "CSV with semicolons")):
        n = header.count(mark)
        if n and sum(line.count(mark) >= n for line in lines[:-1] or lines) >= max(1, len(lines) - 2):
            return Likely(what, perhaps=("focus",) if what == "CSV" else (), may_be_table=True)
    return Likely("plain text", may_be_table=True)
