"""Who last wrote each line of each file, followed through a history from its first commit on.

One commit after the other hands in its hunks; the lines of a file's old content are spliced into the new one's. So a
fix's removed lines name their writers without a ``git blame``, at the cost of the diffs that reading history needs
anyway. As with ``git blame -w``, a line whose white space alone changed keeps its writer. Contents are known by
path and blob id; what fell out of memory, or was never seen, is ``UNKNOWN``, and stays so only until it is rewritten.
"""

import re
import sys
from collections import OrderedDict
from difflib import SequenceMatcher

from weaver_forge.decode.git_history import FileDiff, Hunk
from weaver_forge.decode.git_merge import OWN, MergeDiff

UNKNOWN = -1
"""The origin of a line that nobody followed."""

LIVE_LINES = 64_000_000
"""Lines of contents that nothing replaced yet; four bytes a line. Large projects have 10 to 40 million."""

PAST_LINES = 16_000_000
"""Lines of replaced contents, kept for branches that still start from them."""

_WIDTH = 4
_MAX_ALIGNED = 1_000  # lines a side: beyond, the search for moved white space takes too long
_MAX_NAMES = 10  # names of one file that are followed back
_SPACE = b" \t\r"
_NO_NEWLINE = re.compile(rb"\n\\[^\n]*")


class LineOrigins:
    """Origins of the lines of all contents within reach, each the number of a commit.

    Args:
        live_lines: How many lines of live contents to keep at most.
        past_lines: How many lines of replaced contents to keep at most.
    """

    def __init__(self, *, live_lines: int = LIVE_LINES, past_lines: int = PAST_LINES) -> None:
        self._live = _Kept(live_lines)
        self._past = _Kept(past_lines)
        self._names: dict[bytes, bytes] = {}  # new name -> old one, of files that were only renamed

    def of(self, path: bytes, blob: bytes, lines: list[int]) -> list[int]:
        """Origins of lines (1-based) of a content; ``UNKNOWN`` for each that was not followed."""
        known = memoryview(self._get(self._place(path, blob))).cast("i")
        return [known[line - 1] if line <= len(known) else UNKNOWN for line in lines]

    def apply(self, change: FileDiff, commit: int, *, ignored: bool = False) -> None:
        """Follow a commit's change of one file.

        Args:
            change: What it did.
            commit: Its number.
            ignored: It only reformats (``blame.ignoreRevsFile``): lines that it rewrote one by one keep their writer.
        """
        if not change.old_blob:
            if change.old_path:
                self._names[change.path] = change.old_path  # git names no content where it stayed the same
            return
        old = b""
        if change.old_blob.strip(b"0"):
            place = change.old_blob + (change.old_path or change.path)
            found = self._live.pop(place)
            if found is None:
                place = self._place(change.old_path or change.path, change.old_blob)
                old = self._get(place)
                self._retire(place)
            else:
                old = found
                self._past.put(place, found)
        if change.n_added is not None and change.new_blob.strip(b"0"):
            self._live.put(change.new_blob + change.path, _spliced(old, change.hunks, commit, ignored=ignored))

    def merge(self, change: MergeDiff, commit: int) -> None:
        """Follow a merge's file that differs from all parents."""
        places = list(map(self._place, change.old_paths, change.old_blobs))
        olds = [self._get(place) for place in places]
        out: list[bytes] = []
        for piece in change.pieces:
            if piece.parent == OWN:
                out.append(_written(commit) * piece.n)
            elif piece.n < 0:
                out.append(olds[piece.parent][piece.at * _WIDTH :])
            else:
                out.append(_cut(olds[piece.parent], piece.at, piece.at + piece.n))
        for place in places:
            self._retire(place)
        self._live.put(change.new_blob + change.path, b"".join(out))

    def _get(self, place: bytes) -> bytes:
        return self._live.contents.get(place) or self._past.contents.get(place) or b""

    def _place(self, path: bytes, blob: bytes) -> bytes:
        """Under which key the content is kept: its id and the name it was written under."""
        live, past = self._live.contents, self._past.contents
        name: bytes | None = path
        for _ in range(_MAX_NAMES):
            if name is None:
                break
            if (place := blob + name) in live or place in past:
                return place
            name = self._names.get(name)
        return blob + path

    def _retire(self, place: bytes) -> None:
        origins = self._live.pop(place)
        if origins is not None:
            self._past.put(place, origins)


class _Kept:
    """Contents in the order of their last writing, the oldest dropped when there are too many lines."""

    def __init__(self, max_lines: int) -> None:
        self.contents: OrderedDict[bytes, bytes] = OrderedDict()
        self._left = max_lines * _WIDTH

    def put(self, place: bytes, origins: bytes) -> None:
        before = self.contents.pop(place, None)
        if before is not None:
            self._left += len(before)
        self.contents[place] = origins
        self._left -= len(origins)
        while self._left < 0:
            self._left += len(self.contents.popitem(last=False)[1])

    def pop(self, place: bytes) -> bytes | None:
        origins = self.contents.pop(place, None)
        if origins is not None:
            self._left += len(origins)
        return origins


def respaced(change: Hunk) -> dict[int, int]:
    """Pair added with removed lines (both 0-based in the hunk) where only white space differs."""
    if not change.n_old or not change.n_new:
        return {}
    text = change.text if b"\n\\" not in change.text else _NO_NEWLINE.sub(b"", change.text)
    keys = text.translate(None, _SPACE).split(b"\n")
    removed = [key[1:] for key in keys[1 : change.n_old + 1]]
    added = [key[1:] for key in keys[change.n_old + 1 : change.n_old + change.n_new + 1]]
    shared = set(removed).intersection(added)
    if not shared or shared == {b""}:
        return {}
    if removed == added:
        return {number: number for number in range(len(added))}
    if max(change.n_old, change.n_new) > _MAX_ALIGNED:
        return {}
    blocks = SequenceMatcher(None, removed, added, autojunk=False).get_matching_blocks()
    return {block.b + n: block.a + n for block in blocks for n in range(block.size)}


def _spliced(old: bytes, hunks: list[Hunk], commit: int, *, ignored: bool) -> bytes:
    """The origins of the new content; past the end of an ``old`` that is not known they are unknown."""
    if len(hunks) == 1 and not ignored:  # most changes
        (only,) = hunks
        begin, end = only.at * _WIDTH, (only.at + only.n_old) * _WIDTH
        if end <= len(old) and not (only.n_old and only.n_new and respaced(only)):
            return old[:begin] + _written(commit) * only.n_new + old[end:]
    out: list[bytes] = []
    at = 0
    for change in hunks:
        out.append(_cut(old, at, change.at))
        at = change.at + change.n_old
        kept = respaced(change)
        if ignored and change.n_old == change.n_new:
            kept = {number: number for number in range(change.n_new)}
        if not kept:
            out.append(_written(commit) * change.n_new)
            continue
        for number in range(change.n_new):
            source = kept.get(number)
            place = change.at + (source or 0)
            out.append(_written(commit) if source is None else _cut(old, place, place + 1))
    out.append(old[at * _WIDTH :])
    return b"".join(out)


def _cut(origins: bytes, start: int, stop: int) -> bytes:
    found = origins[start * _WIDTH : stop * _WIDTH]
    missing = (stop - start) * _WIDTH - len(found)
    return found + b"\xff" * missing if missing > 0 else found


def _written(commit: int) -> bytes:
    return commit.to_bytes(_WIDTH, sys.byteorder, signed=True)
