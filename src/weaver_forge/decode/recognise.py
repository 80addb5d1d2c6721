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
_BOM = b"\xef\xbb\xbf"
_ROOT = re.compile(rb"<(?:[\w.-]+:)?([A-Za-z_][\w.-]*)")
_TESTS = frozenset({b"testsuites", b"testsuite", b"TestRun", b"test-run", b"test-results", b"assemblies", b"assembly"})
_JSON: tuple[tuple[str, str, "re.Pattern[bytes]"], ...] = tuple(
    (source, what, re.compile(pattern, re.DOTALL))
    for source, what, pattern in (
        ("otlp", "OTLP in JSON", rb'\A[\s\[]*\{\s*"(?:resourceSpans|resourceMetrics|resourceLogs)"\s*:'),
        ("coverage", "a coverage.py report", rb'\A\s*\{\s*"meta"\s*:\s*\{[^}]*"show_contexts"'),
        ("tests", "a CTRF test report", rb'\A\s*\{(?=.*"results"\s*:\s*\{).*"(?:tool|summary|tests)"\s*:'),
        ("tests", "events of go test -json", rb'\A\s*\{(?=[^\n]*"Action"\s*:\s*")[^\n]*"Package"\s*:\s*"'),
        ("deployments", "deployment records", rb'\A[\s\[]*\{[^\n]*"deployment_id"\s*:'),
        ("incidents", "incident records", rb'\A[\s\[]*\{[^\n]*"incident_id"\s*:'),
        ("gitlab", "a GitLab webhook", rb'\A\s*\{\s*"object_kind"\s*:\s*"(?:pipeline|build)"'),
        ("incidents", "an Alertmanager webhook", rb'\A\s*\{(?=.*"groupKey"\s*:).*"alerts"\s*:\s*\['),
        ("incidents", "a PagerDuty webhook", rb'"event_type"\s*:\s*"incident\.'),
        ("github_actions", "runs or jobs of GitHub Actions",
         rb'\A\s*\{.*"(?:workflow_runs?|workflow_job|jobs)"\s*:\s*[\[{].*"(?:head_sha|run_attempt)"\s*:'),
    )
)  # fmt: skip


def recognise(head: bytes) -> Likely | None:
    """Say what a file looks like from its (decompressed) beginning; None where nothing can be told.

    Args:
        head: The first bytes; at most ``HEAD_BYTES`` are looked at.
    """
    head = head[:HEAD_BYTES]
    for magic, likely in _MAGIC:
        if head.startswith(magic):
            return likely
    text = head.removeprefix(_BOM).lstrip()
    if not text:
        return None
    if text.startswith(b"<"):
        return _xml(text)
    if b"\x00" in text:
        return Likely("binary data", may_be_table=True)
    if text[:1] in b"{[":
        return next((Likely(what, source) for source, what, like in _JSON if like.search(text)), None)
    return _sheet(text)


def other_source(data: bytes, source: str) -> str:
    """What is added to the refusal of a file that looks like one of another source; empty where it does not."""
    likely = recognise(data)
    if likely is None or likely.source in {"", source}:
        return ""
    return f". It looks like {likely.what}. {likely.hint}"


def _xml(text: bytes) -> Likely:
    root = _ROOT.search(text)
    if root and root[1] in _TESTS:
        return Likely("a test report in XML", "tests")
    if root and (root[1].lower() == b"html" or b"<!doctype html" in text[:200].lower()):
        return Likely("a web page")
    return Likely("XML", perhaps=("tests",))


def _sheet(text: bytes) -> Likely:
    """A table as text, or any other text."""
    lines = [line for line in text.split(b"\n")[:8] if line.strip()]
    header = lines[0]
    if b"BilledCost" in header and b"," in header:
        return Likely("a FOCUS cost export in CSV", "focus", may_be_table=True)
    for mark, what in ((b",", "CSV"), (b"\t", "a table with tabs"), (b";", "CSV with semicolons")):
        n = header.count(mark)
        if n and sum(line.count(mark) >= n for line in lines[:-1] or lines) >= max(1, len(lines) - 2):
            return Likely(what, perhaps=("focus",) if what == "CSV" else (), may_be_table=True)
    return Likely("plain text", may_be_table=True)
