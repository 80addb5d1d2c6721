"""Points as regular series, and which of them were known when.

Put here what turns rows of ``core_service__points`` into arrays. What is computed from the arrays belongs in
``candidates.py``; which subjects exist in ``subjects.py``.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

US = 1_000_000
GROUP = ("service_key", "metric")


@dataclass(frozen=True, slots=True)
class Series:
    """One metric of one service on its grid. Instants are microseconds since 1970, UTC.

    Args:
        start: Instant of index 0.
        step: Length of a step in microseconds.
        values: shape (n,), NaN for a gap.
        known: When each value became known, shape (n,); the largest integer for a gap.
    """

    service_key: str
    metric: str
    start: int
    step: int
    values: Floats
    known: Ints

    @property
    def step_s(self) -> int:
        """Length of a step in seconds."""
        return self.step // US

    def index(self, at: Ints) -> Ints:
        """Grid index of instants, which may lie outside the series."""
        return (at - self.start) // self.step

    def newest_known(self, predicted_at: Ints) -> Ints:
        """Index of the newest value known at each instant, -1 where nothing was; shape of ``predicted_at``."""
        order = np.argsort(self.known, kind="stable")
        newest = np.maximum.accumulate(order)
        n = np.searchsorted(self.known[order], predicted_at, side="right")
        n = np.minimum(n, int((self.known < NEVER).sum()))
        found: Ints = np.where(n > 0, newest[np.maximum(n - 1, 0)], -1)
        return found

    def states(self, origin: Ints, predicted_at: Ints) -> Iterator[tuple[Ints, Floats]]:
        """Split pairs by what was known, so that prefix sums can serve many at once.

        A point is late if some pair's newest known point is newer than it while it was not known yet. Without
        late points all pairs see the same values up to their origin. Otherwise pairs are grouped by how
        many of the late points they know, and each group gets values with the others blanked.

        Args:
            origin: Newest known index of each pair, shape (k,), all >= 0.
            predicted_at: shape (k,).

        Yields:
            Positions of the pairs, and the values as they knew them (NaN for what they did not know).
        """
        order = np.argsort(origin, kind="stable")
        earliest = np.minimum.accumulate(predicted_at[order][::-1])[::-1]
        first = np.searchsorted(origin[order], np.arange(len(self.values)), side="left")
        reached = np.append(earliest, NEVER)[first]  # the earliest pair that looks past this index
        late = np.flatnonzero((self.known > reached) & (self.known < NEVER))
        if not len(late):
            yield np.arange(len(origin)), self.values
            return
        seen = np.searchsorted(np.sort(self.known[late]), predicted_at, side="right")
        for state in np.unique(seen):
            pairs = np.flatnonzero(seen == state)
            values = self.values.copy()
            values[late[self.known[late] > predicted_at[pairs].max()]] = np.nan
            yield pairs, values


NEVER = np.iinfo(np.int64).max


def micros(column: pl.Series) -> Ints:
    """A timestamp column as microseconds since 1970."""
    return column.cast(pl.Datetime("us")).to_physical().to_numpy().astype(np.int64)


def series_of(points: pl.DataFrame) -> dict[tuple[str, str], Series]:
    """Every (service, metric) of the points as a series, in order of the key; row order does not matter."""
    parts = points.sort(*GROUP, "at").partition_by(*GROUP, as_dict=True, maintain_order=True)
    return {(str(key[0]), str(key[1])): _series(str(key[0]), str(key[1]), rows) for key, rows in parts.items()}


def _series(service_key: str, metric: str, rows: pl.DataFrame) -> Series:
    at = micros(rows["at"])
    step = int(rows["step_s"][0]) * US
    index = (at - at[0]) // step
    n = int(index[-1]) + 1
    values, known = np.full(n, np.nan), np.full(n, NEVER)
    values[index], known[index] = rows["value"].cast(pl.Float64).to_numpy(), micros(rows["known_at"])
    known[np.isnan(values)] = NEVER
    return Series(service_key, metric, int(at[0]), step, values, known)
