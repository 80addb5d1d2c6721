"""A long history is thinned: what is drawn stands for what is not, and a short one is read whole."""

from datetime import datetime, timedelta

import numpy as np
import polars as pl
import pytest

from models.test_selection import SPEC, objectives, thinning
from weaver_forge.benchmarks.verdict_corpus import verdict_history


def _rankings(n: int, size: int, rate: float = 0.02) -> tuple[np.ndarray, np.ndarray]:
    y = (np.random.default_rng(2).random(n * size) < rate).astype(float)
    return y, np.repeat(np.arange(n), size)


def test_a_short_history_is_read_whole_and_draws_nothing() -> None:
    y, unit = _rankings(10, 20)
    rng = np.random.default_rng(0)

    rows, weight = thinning.thinned(y, unit, rng)

    assert rows.tolist() == list(range(200))
    assert (weight == 1).all()
    assert rng.random() == np.random.default_rng(0).random()


def test_drawn_rows_stand_for_all_and_every_failure_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(thinning, "MOST", 2_000)
    y, unit = _rankings(100, 500)

    rows, weight = thinning.thinned(y, unit, np.random.default_rng(0))

    assert y[rows].sum() == y.sum()
    assert rows.size < 6_000
    assert (np.diff(rows) > 0).all()
    assert weight.sum() == pytest.approx(y.size, rel=0.05)
    assert (weight @ y[rows]) / weight.sum() == pytest.approx(y.mean(), rel=0.05)


def test_the_newest_rankings_with_both_outcomes_keep_enough_of_each_to_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(thinning, "MOST", 500)
    y, unit = _rankings(200, 200)

    rows, _ = thinning.thinned(y, unit, np.random.default_rng(0))

    passing = np.bincount(unit[rows][y[rows] == 0], minlength=200)
    newest = 500 // thinning.LEAST
    assert passing[-newest:].mean() > 0.8 * thinning.LEAST
    assert passing[:-newest].mean() < 5


def test_a_row_that_stands_for_many_is_measured_as_many() -> None:
    rng = np.random.default_rng(1)
    y, unit, value = np.tile([1.0, 0.0, 0.0], 30), np.repeat(np.arange(30), 3), rng.normal(size=90)
    log_odds, duration, weight = rng.normal(size=90), rng.uniform(1, 9, 90), np.tile([1.0, 4.0, 1.0], 30)
    copies = np.repeat(np.arange(90), weight.astype(int))

    thin = objectives.choose(y, unit, log_odds, value, duration, duration, weight)
    whole = objectives.choose(
        *(part[copies] for part in (y, unit, log_odds, value, duration, duration)), np.ones(copies.size)
    )

    assert thin == whole


def test_probabilities_of_a_thinned_history_are_those_of_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    kind, tables = SPEC.kinds[0], verdict_history(60, 300)
    as_of = datetime(2027, 1, 1)
    subjects = kind.history(tables, as_of)
    features, labels = kind.features(tables, subjects), kind.labels(tables, subjects, as_of)
    newest = features.filter(pl.col("predicted_at") > features["predicted_at"].max() - timedelta(hours=5))

    whole = kind.model.fit(features, labels, np.random.default_rng(0))
    monkeypatch.setattr(thinning, "MOST", 4_000)
    thin = kind.model.fit(features, labels, np.random.default_rng(0))

    expected, found = (kind.model.predict(model, newest).rows["probability"].to_numpy() for model in (whole, thin))
    assert (thin["n_rows"], thin["n_failures"]) == (whole["n_rows"], whole["n_failures"])
    assert found.mean() == pytest.approx(expected.mean(), rel=0.3)
    assert np.corrcoef(np.log(found), np.log(expected))[0, 1] > 0.95
