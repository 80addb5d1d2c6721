r"""``git log -p`` of a whole history, oldest first -> commits with the hunks of their files.

One reading gives what ``decode.git`` and ``decode.git_patch`` take two for: sizes are counted from the hunks, so git
compares every file once. What the stream looks like: ``\x01``, seven NUL-terminated header fields, then the diffs. A
line of a file begins with a sign or a blank there, so no content can forge a diff, a hunk or a commit; a
message can hold no NUL, so none can forge the end of the header. Merges come as combined diffs (``decode.git_merge``).
What the lines mean for whom belongs in ``sources.line_origins``.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from weaver_forge.decode.git_patch import unquoted

HISTORY_FORMAT = "--format=tformat:%x01%H%x00%P%x00%aE%x00%at%x00%ct%x00%s%x00%b%x00"
HISTORY_OPTIONS = (
    "-p", "-U0", "-M", "-c", "--combined-all-paths", "--full-index", "--no-ext-diff", "--no-textconv", "--no-color",
    "--no-relative", "--submodule=short", "--src-prefix=a/", "--dst-prefix=b/", "--topo-order", "--reverse",
    HISTORY_FORMAT,
)  # fmt: skip

_FIELDS = 7
_PLAIN = 4  # lines of a diff's head that says nothing but names and contents
_HUNK = re.compile(rb"-(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@")
_INDEX = re.compile(rb"\nindex ([0-9a-f]+)\.\.([0-9a-f]+)")


@dataclass(slots=True)
class Hunk:
    """Lines that gave way to others.

    Args:
        at: How many lines of the old file come before it.
        n_old: Lines removed.
        n_new: Lines added.
        text: The rest of the header, then the lines as git writes them, removed ones first, each after its sign.
    """

    at: int
    n_old: int
    n_new: int
    text: bytes

    def sides(self) -> tuple[list[bytes], list[bytes]]:
        """The removed and the added lines, without their signs."""
        lines = [line for line in self.text.split(b"\n")[1:] if line[:1] in {b"-", b"+"}]
        return [line[1:] for line in lines[: self.n_old]], [line[1:] for line in lines[self.n_old :]]


@dataclass(slots=True)
class FileDiff:
    """One file of one commit against the first parent.

    Args:
        path: After the change.
        old_path: Before a rename; None otherwise.
        old_blob: Id of the content before; empty where git names none (only the mode or the name changed).
        new_blob: Id of the content after; all zeros when the file is gone.
        n_added: None for a binary file.
        n_deleted: None for a binary file.
    """

    path: bytes
    old_path: bytes | None
    old_blob: bytes
    new_blob: bytes
    n_added: int | None
    n_deleted: int | None
    hunks: list[Hunk]


@dataclass(slots=True)
class Record:
    """One commit: its header fields (parents, author, author time, committer time, subject, body) and its diffs."""

    revision: str
    header: list[str]
    diffs: list[bytes]

    @property
    def is_merge(self) -> bool:
        """Say whether it has several parents: its diffs are combined ones then."""
        return " " in self.header[0]


def records(blocks: Iterable[bytes]) -> Iterator[Record]:
    """Cut the stream into commits, wherever its blocks end; one commit at a time is held in memory.

    Raises:
        ValueError: If the stream ends inside a commit's header.
    """
    held: list[bytes] = []
    for block in blocks:
        held.append(block)
        if b"\x01" not in block:
            continue
        *pieces, last = b"".join(held).split(b"\n\x01")
        begun = b""
        for piece in pieces:
            fields = (begun + piece).split(b"\0", _FIELDS)
            if len(fields) > _FIELDS:
                begun = b""
                yield _record(fields)
            else:
                begun += piece + b"\n\x01"  # a message may hold what looks like the next commit
        held = [begun + last]
    fields = b"".join(held).split(b"\0", _FIELDS)
    if len(fields) > _FIELDS:
        yield _record(fields)
    elif any(held):
        raise ValueError("the output of git ends inside a commit")


def _record(fields: list[bytes]) -> Record:
    header = [field.decode("utf-8", "replace") for field in fields[:_FIELDS]]
    return Record(header[0].removeprefix("\x01"), header[1:], fields[_FIELDS].split(b"\ndiff --")[1:])


def file_diff(diff: bytes) -> FileDiff:
    """Read one diff of a commit with one parent or none."""
    head, *texts = diff.split(b"\n@@ ")
    lines = head.split(b"\n")
    if len(lines) == _PLAIN and lines[1].startswith(b"index ") and lines[3].startswith(b"+++ "):
        # A file that was there before, and is no binary one.
        old_path, path = None, _same_path(lines[0])
        old_blob, _, rest = lines[1][6:].partition(b"..")
        new_blob = rest.partition(b" ")[0]
    else:
        index = _INDEX.search(head)
        old_blob, new_blob = index.groups() if index else (b"", b"")
        old_path, path = _paths(head)
        if b"\nBinary files " in head:
            return FileDiff(path, old_path, old_blob, new_blob, None, None, [])
    hunks = [hunk(text) for text in texts]
    added = deleted = 0
    for part in hunks:
        added += part.n_new
        deleted += part.n_old
    return FileDiff(path, old_path, old_blob, new_blob, added, deleted, hunks)


def hunk(text: bytes) -> Hunk:
    """Read a hunk from behind its first ``@@``."""
    found = _HUNK.match(text)
    if found is None:
        raise ValueError(f"git wrote a hunk that cannot be read: {text[:80]!r}")
    first, old, _, new = found.groups()
    start, n_old, n_new = int(first), int(old or 1), int(new or 1)
    # Of no lines, git names the line before them.
    return Hunk(start - 1 if n_old else start, n_old, n_new, text)


def _paths(head: bytes) -> tuple[bytes | None, bytes]:
    if b"\nrename from " in head:
        old, _, rest = head.partition(b"\nrename from ")[2].partition(b"\nrename to ")
        return unquoted(old), unquoted(rest.split(b"\n", 1)[0])
    return None, _same_path(head[: head.find(b"\n")])


def _same_path(line: bytes) -> bytes:
    """The name in " --git a/NAME b/NAME": both are the same where nothing was renamed, so the middle is known."""
    return unquoted(line[(len(line) + 6) // 2 :]).removeprefix(b"b/")
