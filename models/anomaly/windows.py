"""Points of a service as windows of steps, and which of them were known when.

Put here what turns rows of ``core_service__points`` into arrays. What is unusual about a window is computed in
``evidence.py``; which windows are subjects in ``subjects.py``. Instants are microseconds since 1970, UTC.
"""

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
from numpy.typing import NDArray

if TYPE_CHECKING:
    from collections.abc import Iterator

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

US = 1_000_000
NEVER = np.iinfo(np.int64).max
REQUESTS, ERRORS, LATENCY = "requests", "error_ratio", "latency_p95_ms"
METRICS = (REQUESTS, ERRORS, LATENCY)


@dataclass(frozen=True, slots=True)
class Windows:
    """One service on a grid of windows of steps.

    Args:
        first: Number of the first window since 1970.
        length: Length of a window in microseconds.
        values: Metric -> value of each step, shape (n_windows, n_steps), NaN where there is none.
        counts: Metric -> observations behind each value, same shape, 0 where there is none.
        known: Metric -> when each value became known, same shape, :data:`NEVER` where there is none.
    """

    service_key: str
    first: int
    length: int
    values: dict[str, Floats]
    counts: dict[str, Floats]
    known: dict[str, Ints]

    @property
    def n(self) -> int:
        """Number of windows."""
        return len(self.values[REQUESTS])

    @property
    def per_day(self) -> int:
        """Windows in a day, at least 1."""
        return max(round(86_400 * US / self.length), 1)

    def states(self, window: Ints, predicted_at: Ints) -> "Iterator[tuple[Ints, Windows]]":
        """Split subjects by what was known, so that one pass over the windows can serve many at once.

        A step is late if some subject's window is not older than it while it was not known yet at that subject's
        time. Subjects are grouped by how many of the late steps they know; each group gets the
        windows with the others blanked. Evidence never looks past a subject's own window, so steps of
        newer windows need no blanking.

        Args:
            window: Index of each subject's window, shape (k,).
            predicted_at: shape (k,).

        Yields:
            Positions of the subjects, and the windows as they knew them.
        """
        order = np.argsort(window, kind="stable")
        earliest = np.append(np.minimum.accumulate(predicted_at[order][::-1])[::-1], NEVER)
        first = np.searchsorted(window[order], np.arange(self.n), side="left")
        reached = earliest[first][:, None]
        late = {metric: (known > reached) & (known < NEVER) for metric, known in self.known.items()}
        times = np.sort(np.concatenate([self.known[metric][late[metric]] for metric in METRICS]))
        if not len(times):
            yield np.arange(len(window)), self
            return
        seen = np.searchsorted(times, predicted_at, side="right")
        for state in np.unique(seen):
            subjects = np.flatnonzero(seen == state)
            yield subjects, self._without(late, int(predicted_at[subjects].max()))

    def _without(self, late: dict[str, NDArray[np.bool_]], predicted_at: int) -> "Windows":
        values, counts = {}, {}
        for metric in METRICS:
            unknown = late[metric] & (self.known[metric] > predicted_at)
            values[metric] = np.where(unknown, np.nan, self.values[metric])
            counts[metric] = np.where(unknown, 0.0, self.counts[metric])
        return replace(self, values=values, counts=counts)


def micros(column: pl.Series) -> Ints:
    """A timestamp column as microseconds since 1970."""
    return column.cast(pl.Datetime("us")).to_physical().to_numpy().astype(np.int64)


def length_of(window: timedelta) -> int:
    """A window's length in microseconds."""
    return int(window.total_seconds()) * US


def windows_of(points: pl.DataFrame, length: int) -> dict[str, Windows]:
    """Every service of the points as windows, in order of its key; row order does not matter."""
    some = points.filter(pl.col("metric").is_in(METRICS)).sort("service_key", "metric", "at")
    parts = some.partition_by("service_key", as_dict=True, maintain_order=True)
    return {str(key[0]): _windows(str(key[0]), rows, length) for key, rows in parts.items()}


def _windows(service_key: str, rows: pl.DataFrame, length: int) -> Windows:
    at = micros(rows["at"])
    step = int(rows["step_s"].to_numpy().min()) * US
    first, last = int(at.min() // length), int(at.max() // length)
    shape = (last - first + 1, max(length // step, 1))
    window, place = at // length - first, np.minimum(at % length // step, shape[1] - 1)
    value = rows["value"].cast(pl.Float64).fill_null(float("nan")).to_numpy()
    count, known_at = rows["n"].cast(pl.Float64).to_numpy(), micros(rows["known_at"])
    metric = rows["metric"].to_numpy()
    values, counts, known = {}, {}, {}
    for name in METRICS:
        mine = (metric == name) & ~np.isnan(value)
        cell = (window[mine], place[mine])
        values[name], counts[name] = np.full(shape, np.nan), np.zeros(shape)
        known[name] = np.full(shape, NEVER)
        values[name][cell], counts[name][cell], known[name][cell] = value[mine], count[mine], known_at[mine]
    return Windows(service_key, first, length, values, counts, known)
