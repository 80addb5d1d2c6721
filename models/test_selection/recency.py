"""How often a test, and the tests beside it in the order of names, failed lately: one pass over the verdicts.

Put here rates that need the verdicts in the order in which they became known, a run at a time. Everything is arrays
over the tests of a repository; a run that became known after a prediction has not been added when it is asked.
"""

import re
from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import polars as pl
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Places = NDArray[np.intp]

ALPHAS: dict[str, float] = {
    "ewma_02": 0.02, "ewma_05": 0.05, "ewma_10": 0.1, "ewma_20": 0.2, "ewma_40": 0.4, "ewma_80": 0.8,
}  # fmt: skip
"""Time scales of the moving averages: memories of about 50, 20, 10, 5, 2 and 1 runs."""

PRIOR_WEIGHT = 0.5
"""The repository's rate counts as half a run of the test."""

MEMORIES = {"short": 3.0, "middle": 10.0, "long": 40.0}
"""Runs of the repository after which a neighbour's outcome has faded to a third."""

WIDTHS = (1, 5, 25)
"""Neighbours on either side."""

NEAR = tuple(f"near_{memory}_{width}" for memory in MEMORIES for width in WIDTHS)
"""Names of the neighbours' rates."""

BESIDE = ("beside_2", "beside_8")
"""Names of the mean rates of the next tests within the ranking, 2 or 8 on either side."""

CHOSEN = ("chosen_2", "chosen_10")
"""Names of the shares of the next known tests that the ranking holds, 2 or 10 on either side."""

RECENT = (*ALPHAS, *NEAR, *BESIDE, *CHOSEN, "name_place")
"""All columns of :func:`recent_rates`; ``name_place`` is the test's place in the order of names, 0-1."""

TEST_STATE = (
    "place",
    *(f"failed_{name}" for name in ALPHAS),
    *(f"weight_{name}" for name in ALPHAS),
    *(f"failed_{memory}" for memory in MEMORIES),
    *(f"ran_{memory}" for memory in MEMORIES),
    "last_run",
)
"""What a later ranking needs of each test's past: place among all names, weighed sums, and number of its last run."""

REPOSITORY_STATE = ("n_runs_seen", "all_failed", "all_ran")
"""The same of the repository."""

_NUMBER = re.compile(r"(\d+)")
_SPEAKER = list(ALPHAS).index("ewma_40")
_PRIOR_FAILED, _PRIOR_RUN = 1.0, 20.0


def natural_order(names: list[str]) -> list[str]:
    """Sort names so that numbers in them count as numbers: ``t9`` stands before ``t10``."""

    def key(name: str) -> list[str | int]:
        parts: list[str | int] = [*_NUMBER.split(name)]  # text and number by turns, beginning with text
        parts[1::2] = map(int, parts[1::2])
        return parts

    return sorted(sorted(names), key=key)


def recent_rates(subjects: pl.DataFrame, ran: pl.DataFrame) -> pl.DataFrame:
    """Columns of :data:`RECENT`, one row a subject, in the subjects' order.

    Args:
        subjects: repo_id, revision, test_id, predicted_at; those of one revision and time are a ranking.
        ran: Verdicts of tests that ran, in the order in which they became known: repo_id, run_id, test_id, known_at,
            ``share`` of the attempts that failed (0-1), ``n_attempts``, and ``failed`` (1 where the verdict is that).
    """
    out = np.empty((subjects.height, len(RECENT)))
    asked = subjects.select("repo_id", "revision", "test_id", "predicted_at").with_row_index("row")
    needed = ran.select("repo_id", "run_id", "test_id", "known_at", "share", "n_attempts", "failed")
    for (repo,), mine in asked.group_by("repo_id"):
        _one_repository(mine.sort("predicted_at", "revision", "row"), needed.filter(pl.col("repo_id") == repo), out)
    return pl.DataFrame(out, schema=list(RECENT), orient="row")


def kept_rates(ran: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """What is left of all these verdicts: :data:`TEST_STATE` a test, and :data:`REPOSITORY_STATE` a repository.

    Args:
        ran: As of :func:`recent_rates`, of any number of repositories.
    """
    tests, repositories = [], []
    needed = ran.select("repo_id", "run_id", "test_id", "known_at", "share", "n_attempts", "failed")
    for (repo,), mine in needed.group_by("repo_id"):
        names = natural_order(mine["test_id"].unique().to_list())
        state = _State(len(names))
        for run in _runs(mine.with_columns(place=pl.col("test_id").cast(pl.Enum(names)).to_physical())):
            state.add(*run[1:])
        own = pl.DataFrame({"repo_id": [repo] * len(names), "test_id": names}).with_row_index("place")
        tests.append(own.hstack(pl.DataFrame(state.of_tests(), schema=list(TEST_STATE[1:]), orient="row")))
        repositories.append({"repo_id": repo, **state.of_all()})
    none = pl.DataFrame(schema=dict.fromkeys(("repo_id", "test_id"), pl.String))
    return (
        pl.concat(tests) if tests else none.with_columns(pl.lit(0.0).alias(name) for name in TEST_STATE),
        pl.DataFrame(repositories, schema={"repo_id": pl.String, **dict.fromkeys(REPOSITORY_STATE, pl.Float64)}),
    )


def rates_of_kept(subjects: pl.DataFrame, tests: pl.DataFrame, repositories: pl.DataFrame) -> pl.DataFrame:
    """As :func:`recent_rates`, after all verdicts of which ``tests`` and ``repositories`` is what was kept.

    Args:
        subjects: As there.
        tests: repo_id, test_id and :data:`TEST_STATE`.
        repositories: repo_id and :data:`REPOSITORY_STATE`.
    """
    out = np.empty((subjects.height, len(RECENT)))
    asked = subjects.select("repo_id", "revision", "test_id", "predicted_at").with_row_index("row")
    for (repo,), mine in asked.group_by("repo_id"):
        here = pl.col("repo_id") == repo
        known = tests.filter(here).sort("place")
        order = known.select("test_id")
        new = mine.filter(~pl.col("test_id").is_in(order["test_id"].implode()))["test_id"].unique()
        if new.len():
            order = pl.DataFrame({"test_id": natural_order([*order["test_id"], *new])})
        state, order = _State(order.height), order.with_row_index("place")
        placed = mine.join(order, on="test_id", how="left", maintain_order="left")
        at = known.select("test_id").join(order, on="test_id", how="left", maintain_order="left")["place"]
        state.restore(at.to_numpy(), known.select(TEST_STATE[1:]).to_numpy(), repositories.filter(here))
        for _, rows, places in _groups(placed.sort("predicted_at", "revision", "row")):
            out[rows] = state.rates(places)
    return pl.DataFrame(out, schema=list(RECENT), orient="row")


def _one_repository(asked: pl.DataFrame, ran: pl.DataFrame, out: Floats) -> None:
    names = natural_order(pl.concat([asked["test_id"].unique(), ran["test_id"].unique()]).unique().to_list())
    code = pl.Enum(names)
    state = _State(len(names))
    runs = _runs(ran.with_columns(place=pl.col("test_id").cast(code).to_physical()))
    coming = next(runs, None)
    moments = asked.with_columns(place=pl.col("test_id").cast(code).to_physical())
    for at, rows, places in _groups(moments):
        while coming is not None and coming[0] <= at:
            state.add(*coming[1:])
            coming = next(runs, None)
        out[rows] = state.rates(places)


def _groups(moments: pl.DataFrame) -> Iterator[tuple[int, Places, Places]]:
    at = moments["predicted_at"].cast(pl.Int64).to_numpy()
    rows, places = (moments[name].to_numpy().astype(np.intp) for name in ("row", "place"))
    ranking = moments.select(pl.struct("predicted_at", "revision").rle_id()).to_series().to_numpy()
    edges = [0, *(np.flatnonzero(np.diff(ranking)) + 1).tolist(), at.size]
    for start, end in pairwise(edges):
        yield int(at[start]), rows[start:end], places[start:end]


def _runs(ran: pl.DataFrame) -> Iterator[tuple[int, Places, Floats, Floats, Floats]]:
    """Per run and time at which it became known: that time, its tests' places, shares, attempts and failures."""
    if ran.is_empty():
        return
    ordered = ran.sort("known_at", "run_id", maintain_order=True)
    at = ordered["known_at"].cast(pl.Int64).to_numpy()
    run = ordered["run_id"].rank("dense").to_numpy()
    place = ordered["place"].to_numpy().astype(np.intp)
    names = ("share", "n_attempts", "failed")
    share, attempts, failed = (ordered[name].cast(pl.Float64).to_numpy() for name in names)
    edges = [0, *(np.flatnonzero((np.diff(at) != 0) | (np.diff(run) != 0)) + 1).tolist(), at.size]
    for start, end in pairwise(edges):
        part = slice(start, end)
        yield int(at[start]), place[part], share[part], attempts[part], failed[part]


class _State:
    """What is known of every test of a repository after some of its runs; a place is a test in natural order."""

    def __init__(self, n_tests: int) -> None:
        self._keep = 1.0 - np.array(list(ALPHAS.values()))[:, None]
        self._fade = np.exp(-1.0 / np.array(list(MEMORIES.values())))[:, None]
        self._failed, self._weight = np.zeros((len(ALPHAS), n_tests)), np.zeros((len(ALPHAS), n_tests))
        self._near_failed, self._near_ran = np.zeros((len(MEMORIES), n_tests)), np.zeros((len(MEMORIES), n_tests))
        self._last_run = np.full(n_tests, -1)
        self._n_runs = 0
        self._all_failed, self._all_ran = _PRIOR_FAILED, _PRIOR_RUN

    def add(self, places: Places, share: Floats, attempts: Floats, failed: Floats) -> None:
        """Take in a run; many attempts say more than one, but not as much as many runs."""
        weight = np.sqrt(np.maximum(attempts, 1.0))
        # Powers cost most of a run, and nearly all are of 1 or of few whole numbers.
        keep = self._keep if (attempts <= 1).all() else self._keep**weight
        self._failed[:, places] = self._failed[:, places] * keep + weight * share
        self._weight[:, places] = self._weight[:, places] * keep + weight
        faded = self._faded(places)
        self._near_failed[:, places] = self._near_failed[:, places] * faded + failed
        self._near_ran[:, places] = self._near_ran[:, places] * faded + 1.0
        self._last_run[places] = self._n_runs
        self._n_runs += 1
        self._all_failed += float((weight * share).sum())
        self._all_ran += float(weight.sum())

    def of_tests(self) -> Floats:
        """What is kept of each test, shape (n_tests, len(TEST_STATE) - 1); its place is its row."""
        parts = (self._failed, self._weight, self._near_failed, self._near_ran, self._last_run[None, :])
        return np.concatenate(parts).T

    def of_all(self) -> dict[str, float]:
        """What is kept of the repository."""
        said = (float(self._n_runs), self._all_failed, self._all_ran)
        return dict(zip(REPOSITORY_STATE, said, strict=True))

    def restore(self, places: Places, tests: Floats, repository: pl.DataFrame) -> None:
        """Take up what was kept: rows of :meth:`of_tests` at these places, and the repository's, if it ever ran."""
        parts = (self._failed, self._weight, self._near_failed, self._near_ran, self._last_run[None, :])
        edges = np.cumsum([part.shape[0] for part in parts[:-1]])
        for part, values in zip(parts, np.split(tests.T, edges), strict=True):
            part[:, places] = values
        for n_runs, failed, ran in repository.select(REPOSITORY_STATE).drop_nulls().iter_rows():
            self._n_runs, self._all_failed, self._all_ran = int(n_runs), failed, ran

    def rates(self, places: Places) -> Floats:
        """What is said of the tests of a ranking, shape (n, len(RECENT))."""
        prior = self._all_failed / self._all_ran
        own = (self._failed[:, places] + PRIOR_WEIGHT * prior) / (self._weight[:, places] + PRIOR_WEIGHT)
        there = self._last_run >= 0
        there[places] = True
        # Tests of the ranking that never ran take their places too: one amid new tests is not beside an old one.
        others = np.flatnonzero(there)
        at = np.searchsorted(others, places)
        within = _within(places, own[_SPEAKER], prior)
        return np.concatenate([own, self._near(others, at, prior), within[:-1], _chosen(others, at), within[-1:]]).T

    def _faded(self, places: Places) -> Floats:
        """What is left of the last state of these tests, shape (len(MEMORIES), n)."""
        gap = self._n_runs - self._last_run[places]
        longest = int(gap.max(initial=0))
        if longest > gap.size:
            each: Floats = self._fade ** gap.astype(np.float64)
            return each
        left: Floats = self._fade ** np.arange(longest + 1, dtype=np.float64)
        return left[:, gap]

    def _near(self, others: Places, at: Places, prior: float) -> Floats:
        """Rates of the tests on either side, without the test itself; the prior counts as one run."""
        faded = self._faded(others)
        failed, ran = (np.pad(np.cumsum(x[:, others] * faded, axis=1), ((0, 0), (1, 0)))
                       for x in (self._near_failed, self._near_ran))  # fmt: skip
        rates = []
        for width in WIDTHS:
            f, n = (_around(sums, at, width) for sums in (failed, ran))
            rates.append((np.maximum(f, 0.0) + prior) / (np.maximum(n, 0.0) + 1.0))
        return np.stack(rates, axis=1).reshape(len(NEAR), at.size)


def _around(sums: Floats, at: Places, width: int) -> Floats:
    """Sum over ``width`` entries on either side of ``at``, without that itself; running sums begin with 0."""
    low, high = np.maximum(at - width, 0), np.minimum(at + width + 1, sums.shape[-1] - 1)
    upper, lower, after, before = (sums.take(place, axis=-1) for place in (high, low, at + 1, at))
    result: Floats = upper - lower - (after - before)
    return result


def _within(places: Places, rate: Floats, prior: float) -> Floats:
    """Mean rates of the next tests of the ranking, and the test's own place in it, shape (3, n)."""
    order = np.argsort(places, kind="stable")
    at = np.empty_like(order)
    at[order] = np.arange(places.size)
    sums = np.pad(np.cumsum(rate[order]), (1, 0))
    count = np.arange(places.size + 1, dtype=float)
    means = [(_around(sums, at, width) + prior) / (_around(count, at, width) + 1.0) for width in (2, 8)]
    return np.stack([*means, (at + 0.5) / places.size])


def _chosen(others: Places, at: Places) -> Floats:
    """Share of the places on either side that the ranking holds, shape (2, n)."""
    held = np.zeros(others.size)
    held[at] = 1.0
    sums = np.pad(np.cumsum(held), (1, 0))
    return np.stack([_around(sums, at, width) / (2 * width) for width in (2, 10)])
