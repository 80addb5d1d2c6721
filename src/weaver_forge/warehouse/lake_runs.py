"""Runs: sorted 64-bit hashes in a file, looked through and merged piece by piece, whatever their size.

Put what reads and writes such files here. Which runs there are is said in ``lake_index``. Runs are read into one
small buffer: pages of a file mapped as a whole would count as the process's memory, and grow with the lake.
"""

import mmap
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from weaver_forge.warehouse.lake_keys import Hashes, among, merged
from weaver_forge.warehouse.room import room_for, settle

WIDTH = 8
"""Bytes of a hash."""

PIECE = 65_536
"""Hashes read at once: half a megabyte, which stays in a core's cache."""

SPARSE = 256
"""A run of so many hashes for each one looked for is not read whole: most of its pages have none of them."""

_WINDOW = 64 * PIECE


def met(path: Path, asked: Hashes) -> Hashes:
    """Those of sorted hashes that a run has.

    Measured, of 300k hashes in a run of 1M / 10M / 100M: 50 / 90 / 500 ns of CPU each.
    """
    size = path.stat().st_size // WIDTH
    found, start = [np.empty(0, np.uint64)], 0
    for piece in _mapped(path) if size > SPARSE * len(asked) else _read(path):
        if start == len(asked):
            break
        end = start + int(np.searchsorted(asked[start:], piece[-1], "right"))
        some = asked[start:end]
        if len(some):
            found.append(some[among(some, piece)])
        start = end
    return np.concatenate(found)


def write(path: Path, hashes: Hashes, others: Sequence[Path] = ()) -> int:
    """Write sorted hashes and those of other runs as one run that outlives a power cut, each hash once.

    Returns:
        How many they are.

    Raises:
        StoreFull: If there is no room.
    """
    n = 0
    with room_for(str(path)):
        with path.open("wb") as file:
            for piece in _together([iter([hashes]), *(map(np.copy, _read(other)) for other in others)]):
                file.write(piece.data)
                n += len(piece)
        settle(path)
    return n


def _together(runs: Sequence[Iterator[Hashes]]) -> Iterator[Hashes]:
    """Pieces of all runs in order: what is not above the least of their last hashes is complete."""
    heads = {number: head for number, run in enumerate(runs) if (head := next(run, None)) is not None}
    while heads:
        until = min(head[-1] for head in heads.values())
        ready = []
        for number, head in list(heads.items()):
            cut = int(np.searchsorted(head, until, "right"))
            ready.append(head[:cut])
            rest = head[cut:] if cut < len(head) else next(runs[number], None)
            if rest is None:
                del heads[number]
            else:
                heads[number] = rest
        yield _distinct(merged(ready))


def _distinct(hashes: Hashes) -> Hashes:
    return hashes[np.concatenate([[True], hashes[1:] != hashes[:-1]])] if len(hashes) else hashes


def _read(path: Path) -> Iterator[Hashes]:
    """A run from its beginning to its end; a piece holds until the next is asked for."""
    buffer = np.empty(PIECE, np.uint64)
    with path.open("rb") as file:
        while n := file.readinto(buffer.data):
            yield buffer[: n // WIDTH]


def _mapped(path: Path) -> Iterator[Hashes]:
    """The same without reading what nobody looks at; pages are let go of as it goes on."""
    with path.open("rb") as file:
        pages = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)  # closed when its last piece is let go of
    size = len(pages) // WIDTH
    for start in range(0, size, PIECE):
        if start % _WINDOW == 0 and start:
            pages.madvise(mmap.MADV_DONTNEED, (start - _WINDOW) * WIDTH, _WINDOW * WIDTH)
        yield np.frombuffer(pages, np.uint64, min(PIECE, size - start), start * WIDTH)
