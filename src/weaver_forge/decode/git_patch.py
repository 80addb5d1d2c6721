"""``git log -p -U0`` output -> which lines of which files a commit removed; the input of SZZ.

Lines that say nothing about behaviour (blank, brackets alone, comments alone) are left out here, because a
blame of them accuses nobody of anything.
"""

import codecs
import re
from collections.abc import Iterator
from dataclasses import dataclass

COMMIT_FORMAT = "--format=tformat:%x01%H"
PATCH_OPTIONS = (
    "-p", "-U0", "-M", "-w", "--no-ext-diff", "--no-textconv", "--no-color", "--src-prefix=a/", "--dst-prefix=b/",
    "--no-relative", "--ignore-submodules",
    COMMIT_FORMAT,
)  # fmt: skip

MAX_HUNK_LINES = 500
"""A hunk that removes more is a move or a generated file, not a mend."""

_HUNK = re.compile(rb"@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@")
_EMPTY = re.compile(rb"[\s{}()\[\];,]*")
_COMMENT = re.compile(rb"\s*(?:#|//|/\*|\*/|\*\s|\*$|--\s|;|%|<!--|\"\"\"|''')")


@dataclass(frozen=True, slots=True)
class Removal:
    """Lines that a commit removed from a file, as inclusive 1-based ranges in its first parent."""

    revision: str
    path: bytes
    ranges: tuple[tuple[int, int], ...]


@dataclass(slots=True)
class Skipped:
    """Counts what was passed over, for the notes."""

    long_hunks: int = 0


def removals(patch: bytes, skipped: Skipped) -> Iterator[Removal]:
    """Yield what was removed, a file a commit at a time, in the order of the output."""
    lines = iter(patch.split(b"\n"))
    revision, path, numbers = "", b"", list[int]()
    for line in lines:
        if line.startswith((b"\x01", b"diff --git ")):
            yield from _removal(revision, path, numbers)
            path, numbers = b"", []
            if line.startswith(b"\x01"):
                revision = line[1:].decode("ascii", "replace")
        elif line.startswith(b"--- "):
            path = _path(line[4:])
        elif hunk := _HUNK.match(line):
            numbers += _removed(hunk, lines, skipped)
    yield from _removal(revision, path, numbers)


def _removal(revision: str, path: bytes, numbers: list[int]) -> Iterator[Removal]:
    if revision and path and numbers:
        yield Removal(revision, path, ranges(numbers))


def _removed(hunk: "re.Match[bytes]", lines: Iterator[bytes], skipped: Skipped) -> list[int]:
    """Consume the hunk by its own counts: a removed line may itself look like a header."""
    start, n_old = int(hunk[1]), int(hunk[2] or 1)
    remaining = n_old + int(hunk[4] or 1)
    old, kept = 0, []
    while remaining:
        line = next(lines, None)
        if line is None:
            break
        if line.startswith(b"-"):
            if says_something(line[1:]):
                kept.append(start + old)
            old += 1
        elif not line.startswith(b"+"):
            continue  # "\ No newline at end of file" is not counted by the hunk
        remaining -= 1
    if n_old > MAX_HUNK_LINES:
        skipped.long_hunks += 1
        return []
    return kept


def says_something(line: bytes) -> bool:
    """Say whether a line can carry a bug: not blank, not brackets alone, not a comment alone."""
    return _EMPTY.fullmatch(line) is None and _COMMENT.match(line) is None


def _path(written: bytes) -> bytes:
    """Undo git's quoting; ``/dev/null`` (a new file) becomes empty. A trailing tab marks a name with blanks."""
    written = written.removesuffix(b"\t")
    written = unquoted(written)
    return written.removeprefix(b"a/") if written != b"/dev/null" else b""


def unquoted(written: bytes) -> bytes:
    """Undo git's quoting of a name."""
    if not written.startswith(b'"'):
        return written
    return codecs.escape_decode(written[1:-1])[0]  # C escapes, octal included


def ranges(numbers: list[int]) -> tuple[tuple[int, int], ...]:
    """Rising line numbers as inclusive ranges."""
    found: list[tuple[int, int]] = []
    for number in numbers:
        if found and found[-1][1] == number - 1:
            found[-1] = (found[-1][0], number)
        else:
            found.append((number, number))
    return tuple(found)
