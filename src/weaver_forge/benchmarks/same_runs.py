"""Which benchmark sets hold the same runs of one project, so that a mean counts it once. No name plays a part.

Put nothing here that knows a data set: one history may be published twice with other names of tests, other builds left
out and another clock. What survives is how long tests took. A run is recognised by its two longest tests, to the
millisecond: two projects hardly ever agree in both, publications of one do wherever they have the run in common.
"""

from collections.abc import Sequence

import polars as pl

from weaver_forge.benchmarks import BenchmarkData

VERDICTS = "core_ci__test_verdicts"

LONGEST = 2
"""Tests of a run by which it is recognised."""

LEAST_MS = 1000
"""Shorter tests take the same few milliseconds in every project."""

LEAST_SHARE = 0.1
"""Share of the smaller set's runs that must be found in the other: where one leaves out tests, others are longest."""

LEAST_RUNS = 5
"""Fewer runs in common may be chance, where durations are whole seconds."""


def projects(sets: Sequence[BenchmarkData]) -> dict[str, str]:
    """Name of each set -> name of the first set of its project; a set that shares no runs stands for itself."""
    runs = [_runs(data) for data in sets]
    first = list(range(len(sets)))
    for i in range(len(sets)):
        for j in range(i):
            if first[i] != first[j] and _same(runs[i], runs[j]):
                one, other = sorted((first[i], first[j]))
                first = [one if mine == other else mine for mine in first]
    return {data.set: sets[place].set for data, place in zip(sets, first, strict=True)}


def _same(one: set[tuple[int, ...]], other: set[tuple[int, ...]]) -> bool:
    common = len(one & other)
    return common >= LEAST_RUNS and common >= LEAST_SHARE * min(len(one), len(other))


def _runs(data: BenchmarkData) -> set[tuple[int, ...]]:
    """The longest durations of every run, in milliseconds; runs with fewer that are long enough say nothing."""
    verdicts = data.tables.get(VERDICTS)
    if verdicts is None:
        return set()
    longest = (
        verdicts.filter(pl.col("duration_ms") >= LEAST_MS)
        .select("run_id", ms=pl.col("duration_ms").round(0).cast(pl.Int64))
        .sort("ms", descending=True)
        .group_by("run_id")
        .agg(pl.col("ms").head(LONGEST))
        .filter(pl.col("ms").list.len() == LONGEST)
    )
    return {tuple(ms) for ms in longest["ms"].to_list()}
