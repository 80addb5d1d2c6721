"""Which rows of a batch a lake has already: exact, and reading as little as possible.

Put here what finds repeated keys. Keys are long (two ids in hex), so they are compared by 64-bit hashes first:
hashes that differ prove that keys differ, and only where a hash is met twice the keys themselves are read.
"""

from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl

Hashes = npt.NDArray[np.uint64]
"""Of keys, sorted."""

Times = npt.NDArray[np.int64]
"""Nanoseconds since 1970, sorted."""

MOST_HELD = 4_000_000
"""Hashes of committed files that are kept between commits: 32 MB."""


def hashes_of(frame: pl.DataFrame, key: Sequence[str]) -> Hashes:
    """The hashes of the rows' keys, sorted; of one row, the same in every process of a release. Never stored."""
    hashed = frame.select(pl.col(name).hash(seed) for seed, name in enumerate(key))
    combined = hashed.to_series(0)
    for column in hashed.iter_columns():
        combined = combined if column.name == hashed.columns[0] else combined ^ column
    return np.sort(combined.to_numpy())


def repeats(hashes: Hashes) -> bool:
    """Whether a hash is there twice."""
    return bool((hashes[1:] == hashes[:-1]).any())


def share_one(some: Hashes, others: Hashes) -> bool:
    """Whether two sorted arrays have a hash in common."""
    few, many = (some, others) if len(some) < len(others) else (others, some)
    if not len(few):
        return False
    at = np.minimum(np.searchsorted(many, few), len(many) - 1)
    return bool((many[at] == few).any())


def meet(times: Times, first: int, last: int) -> bool:
    """Whether any of the times lies in a file's range, both ends inclusive.

    Asked of the times themselves, not of their range: one row with a broken clock must not open every file.
    """
    return bool(np.searchsorted(times, first, "left") < np.searchsorted(times, last, "right"))


def without_known(frame: pl.DataFrame, files: Sequence[Path], key: Sequence[str]) -> pl.DataFrame:
    """The rows whose key is in none of the files, by the keys themselves."""
    names = list(key)
    known = pl.scan_parquet(list(files)).select(names).join(frame.lazy().select(names), on=names, how="semi").collect()
    return frame.join(known, on=names, how="anti", maintain_order="left")


class HeldHashes:
    """Hashes of files that never change, the lately used ones kept."""

    def __init__(self, key: Sequence[str]) -> None:
        self._key = list(key)
        self._held: OrderedDict[Path, Hashes] = OrderedDict()
        self._size = 0

    def of(self, path: Path) -> Hashes:
        """The hashes of a file, read from it where they are not held."""
        if path not in self._held:
            self.hold(path, hashes_of(pl.read_parquet(path, columns=self._key), self._key))
        self._held.move_to_end(path)
        return self._held[path]

    def hold(self, path: Path, hashes: Hashes) -> None:
        """Keep a file's hashes, and let go of those unused for longest."""
        self._size += len(hashes) - len(self._held.pop(path, ()))
        self._held[path] = hashes
        while self._size > MOST_HELD and len(self._held) > 1:
            _, dropped = self._held.popitem(last=False)
            self._size -= len(dropped)
