"""Files of a lake: what is listed of a committed one, what a staged one carries, and how the keys in one are read.

Put what is said about single files here. Which of their rows are stored is decided in ``lake_known``.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from weaver_forge.warehouse.lake_keys import Hashes, Times

MOST_HELD = 4_000_000
"""Hashes of committed files that are kept between commits: 32 MB."""

SLICE_ROWS = 250_000
"""Rows whose keys are read at once, so that memory does not grow with files: about 40 MB of spans' ids."""


@dataclass(frozen=True, slots=True)
class LakeFile:
    """A committed Parquet file and the range of times in it, both ends inclusive, nanoseconds since 1970.

    Args:
        lowest: The least value of the column that the lake marks its files with; None where it has none.
    """

    path: Path
    n_rows: int
    first_unix_ns: int
    last_unix_ns: int
    lowest: int | None = None


@dataclass(frozen=True, slots=True)
class Staged:
    """A Parquet file that is written and not committed: rows of distinct keys. May be sent between processes.

    Args:
        times: Sorted.
        hashes: Of the keys, sorted.
        n_differing: Rows left out of it because a row of their key and of another time came first.
    """

    path: Path
    times: Times
    hashes: Hashes
    lowest: int | None = None
    n_differing: int = 0

    @property
    def n_rows(self) -> int:
        """How many rows the file has."""
        return len(self.times)

    @property
    def as_file(self) -> LakeFile:
        """The file as it will be listed."""
        return LakeFile(self.path, self.n_rows, int(self.times[0]), int(self.times[-1]), self.lowest)


def slices(path: Path, n_rows: int, columns: Sequence[str]) -> Iterator[pl.DataFrame]:
    """Some columns of a file, piece by piece."""
    rows = pl.scan_parquet(path).select(columns)
    for start in range(0, n_rows, SLICE_ROWS):
        yield rows.slice(start, SLICE_ROWS).collect()


class HeldHashes:
    """Hashes of files that never change, the lately used ones kept.

    Args:
        read: From a file to its hashes.
    """

    def __init__(self, read: Callable[[LakeFile], Hashes]) -> None:
        self._read = read
        self._held: OrderedDict[Path, Hashes] = OrderedDict()
        self._size = 0

    def of(self, file: LakeFile) -> Hashes:
        """The hashes of a file, read from it where they are not held."""
        if file.path not in self._held:
            self.hold(file.path, self._read(file))
        self._held.move_to_end(file.path)
        return self._held[file.path]

    def hold(self, path: Path, hashes: Hashes) -> None:
        """Keep a file's hashes, and let go of those unused for longest."""
        self._size += len(hashes) - len(self._held.pop(path, ()))
        self._held[path] = hashes
        while self._size > MOST_HELD and len(self._held) > 1:
            _, dropped = self._held.popitem(last=False)
            self._size -= len(dropped)
