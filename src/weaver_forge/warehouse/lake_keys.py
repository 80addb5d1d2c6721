"""Keys as 64-bit hashes: hashes that differ prove that keys differ, at a fraction of the price of long texts.

Put what computes with hashes and times in memory here. Hashes on disk are in ``lake_index``; the keys themselves,
which are read where a hash is met twice, in ``lake_known``.
"""

from collections.abc import Callable, Iterable, Sequence

import numpy as np
import numpy.typing as npt
import polars as pl

Hashes = npt.NDArray[np.uint64]
"""Of keys; sorted unless said otherwise."""

Times = npt.NDArray[np.int64]
"""Nanoseconds since 1970, sorted."""

Hashing = Callable[[pl.DataFrame, Sequence[str]], Hashes]
"""From rows and the names of their key columns to a hash a row, in the order of the rows."""


def row_hashes(frame: pl.DataFrame, key: Sequence[str]) -> Hashes:
    """A hash a row, the same in every process of one release of Polars; whoever stores it stores that release too."""
    hashed = frame.select(pl.col(name).hash(seed) for seed, name in enumerate(key))
    combined = hashed.to_series(0)
    for column in hashed.iter_columns():
        combined = combined if column.name == hashed.columns[0] else combined ^ column
    return combined.to_numpy()


def merged(several: Iterable[Hashes]) -> Hashes:
    """Sorted arrays as one, repeated hashes too."""
    return np.sort(np.concatenate([np.empty(0, np.uint64), *several]), kind="stable")  # merges what is sorted


def repeats(hashes: Hashes) -> bool:
    """Whether a hash is there twice."""
    return bool((hashes[1:] == hashes[:-1]).any())


def among(some: Hashes, others: Hashes) -> npt.NDArray[np.bool_]:
    """Which of some hashes are among others; the others are sorted."""
    if not len(others):
        return np.zeros(len(some), dtype=np.bool_)
    at = np.minimum(np.searchsorted(others, some), len(others) - 1)
    found: npt.NDArray[np.bool_] = others[at] == some
    return found


def share_one(some: Hashes, others: Hashes) -> bool:
    """Whether two sorted arrays have a hash in common."""
    few, many = (some, others) if len(some) < len(others) else (others, some)
    return bool(among(few, many).any())


def meet(times: Times, first: int, last: int) -> bool:
    """Whether any of the times lies in a file's range, both ends inclusive.

    Asked of the times themselves, not of their range: one row with a broken clock must not open every file.
    """
    return bool(np.searchsorted(times, first, "left") < np.searchsorted(times, last, "right"))
