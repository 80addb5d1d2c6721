"""A combined diff of a merge -> from which parent each line of the result came.

Git shows only files that differ from all parents; elsewhere the merge wrote nothing. Lines outside the hunks are the
same in all parents. The form is git's ``-c`` with ``--combined-all-paths``: a column of signs a parent.
"""

import re
from dataclasses import dataclass

from weaver_forge.decode.git_patch import unquoted

OWN = -1
"""Written by the merge itself."""

_INDEX = re.compile(rb"\nindex ([0-9a-f]+(?:,[0-9a-f]+)+)\.\.([0-9a-f]+)")
_RANGE = re.compile(rb"-(\d+)(?:,(\d+))?")


@dataclass(slots=True)
class Piece:
    """Lines of the result: ``n`` lines of parent ``parent`` from behind its line ``at``; -1 is all the rest."""

    parent: int
    at: int
    n: int


@dataclass(slots=True)
class MergeDiff:
    """A merged file: its names and contents in the parents, and what the result is made of, in order."""

    path: bytes
    old_paths: list[bytes]
    old_blobs: list[bytes]
    new_blob: bytes
    pieces: list[Piece]


def merge_diff(diff: bytes) -> MergeDiff | None:
    """Read one combined diff; None for a binary file, a removed one and a change of mode."""
    head, *hunks = diff.split(b"\n@@@")
    index = _INDEX.search(head)
    if index is None or b"\nBinary files " in head or not index[2].strip(b"0"):
        return None
    lines = head.split(b"\n")
    path = unquoted(lines[0].removeprefix(b"combined "))
    blobs = index[1].split(b",")
    olds = [unquoted(line[4:].removesuffix(b"\t")).removeprefix(b"a/") for line in lines if line.startswith(b"--- ")]
    if len(olds) != len(blobs):
        olds = [path] * len(blobs)
    return MergeDiff(path, olds, blobs, index[2], _pieces(hunks, len(blobs)))


def _pieces(hunks: list[bytes], n_parents: int) -> list[Piece]:
    pieces: list[Piece] = []
    at = 0
    for text in hunks:
        header, _, body = text.partition(b"\n")
        places = [_before(found) for found in _RANGE.finditer(header.split(b" +", 1)[0])]
        if len(places) != n_parents:
            raise ValueError(f"git wrote a hunk that cannot be read: {text[:80]!r}")
        if places[0] > at:
            pieces.append(Piece(0, at, places[0] - at))
        for line in body.split(b"\n"):
            _line(line[:n_parents], places, pieces)
        at = places[0]
    pieces.append(Piece(0, at, -1))
    return pieces


def _before(found: "re.Match[bytes]") -> int:
    start, n = int(found[1]), int(found[2] or 1)
    return start - 1 if n else start


def _line(signs: bytes, places: list[int], pieces: list[Piece]) -> None:
    """Take one line of the hunk: a lost one moves on in the parents that had it, another is a line of the result."""
    if len(signs) < len(places) or signs.startswith(b"\\"):
        return
    lost = b"-" in signs
    own = b"-" if lost else b" "
    having = [number for number in range(len(places)) if signs[number : number + 1] == own]
    if not lost:
        parent = having[0] if having else OWN
        at = places[parent] if having else 0
        last = pieces[-1] if pieces else None
        if last is not None and last.parent == parent and (parent == OWN or last.at + last.n == at):
            last.n += 1
        else:
            pieces.append(Piece(parent, at, 1))
    for number in having:
        places[number] += 1
