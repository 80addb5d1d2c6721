"""The learnt order of test selection: rates in one pass, neighbours by name, pairs of a ranking, and what it is for."""

from datetime import datetime, timedelta

import numpy as np
import polars as pl
import pytest

from models.test_selection import evaluation, objectives, pairwise
from models.test_selection.patience import patience
from models.test_selection.recency import ALPHAS, PRIOR_WEIGHT, RECENT, natural_order, recent_rates

T0 = datetime(2026, 1, 1)
HOUR = timedelta(hours=1)


def _ran(*runs: dict[str, float], attempts: int = 1) -> pl.DataFrame:
    """Run k is known at hour k; values are the shares of failed attempts."""
    rows = [
        {"repo_id": "r", "run_id": f"run{k}", "test_id": test, "known_at": T0 + k * HOUR, "share": share,
         "n_attempts": attempts, "failed": float(share > 0)}
        for k, run in enumerate(runs)
        for test, share in run.items()
    ]  # fmt: skip
    return pl.DataFrame(rows).with_columns(pl.col("known_at").cast(pl.Datetime("us")))


def _asked(hour: float, *tests: str) -> pl.DataFrame:
    frame = pl.DataFrame({"repo_id": "r", "revision": "rev", "test_id": list(tests)})
    return frame.with_columns(predicted_at=pl.lit(T0 + hour * HOUR, pl.Datetime("us")))


def test_numbers_in_names_are_ordered_as_numbers() -> None:
    assert natural_order(["t10", "t9", "a2b", "t9a", "a10"]) == ["a2b", "a10", "t9", "t9a", "t10"]


def test_a_run_known_later_than_the_prediction_is_not_seen() -> None:
    ran = _ran({"a": 0.0, "b": 0.0}, {"a": 1.0, "b": 1.0})

    before = recent_rates(_asked(0.5, "a", "b"), ran)
    without = recent_rates(_asked(0.5, "a", "b"), ran.head(2))

    assert before.equals(without)


def test_a_test_without_runs_has_the_rate_of_its_repository() -> None:
    rates = recent_rates(_asked(5, "new"), _ran(*({"a": 1.0} for _ in range(3))))

    assert rates.select(*ALPHAS).row(0) == pytest.approx([(1 + 3) / (20 + 3)] * len(ALPHAS))


def test_a_share_of_failed_attempts_counts_as_a_share() -> None:
    half, none = (recent_rates(_asked(5, "a"), _ran({"a": share}, attempts=4)) for share in (0.5, 0.0))
    weight, prior_half, prior_none = 2.0, (1 + 1) / 22, 1 / 22

    assert half["ewma_20"][0] == pytest.approx((1 + PRIOR_WEIGHT * prior_half) / (weight + PRIOR_WEIGHT))
    assert none["ewma_20"][0] == pytest.approx(PRIOR_WEIGHT * prior_none / (weight + PRIOR_WEIGHT))


def test_neighbours_by_name_tell_of_a_new_test_and_its_own_failures_do_not_count_among_them() -> None:
    quiet = {f"t{n}": 0.0 for n in range(20)}
    ran = _ran(*({**quiet, "t3": 1.0, "t5": 1.0} for _ in range(3)))

    rates = recent_rates(_asked(5, "t4", "t5", "t15"), ran).select("near_short_1", "near_short_5")

    assert rates["near_short_1"][0] > 3 * rates["near_short_1"][2]
    assert rates["near_short_1"][1] == pytest.approx(rates["near_short_1"][2])
    assert rates["near_short_5"][1] > rates["near_short_5"][2]


def test_columns_are_complete_and_follow_the_subjects() -> None:
    ran = _ran({"a": 0.0, "b": 1.0})
    both = recent_rates(pl.concat([_asked(5, "a", "b"), _asked(-1, "a")]), ran)
    turned = recent_rates(pl.concat([_asked(-1, "a"), _asked(5, "b", "a")]), ran)

    assert both.columns == list(RECENT)
    assert both.select(*ALPHAS).rows() == [turned.select(*ALPHAS).row(i) for i in (2, 1, 0)]


def test_pairs_are_of_one_ranking_and_every_ranking_weighs_what_a_random_order_loses() -> None:
    y = np.array([1.0, 0, 0, 0, 1, 1, 1, 0])
    unit = np.array([0, 0, 0, 0, 1, 2, 2, 2])

    first, second, weight = pairwise.pairs(y, unit, np.ones(8), np.random.default_rng(0))

    assert (unit[first] == unit[second]).all()
    assert (y[first] == 1).all()
    assert (y[second] == 0).all()
    assert np.bincount(unit[first], weights=weight).tolist() == pytest.approx([0.75, 0.0, 1 / 3])


def test_the_order_learns_what_sorts_within_rankings_and_not_what_tells_rankings_apart() -> None:
    rng = np.random.default_rng(0)
    unit = np.repeat(np.arange(80), 10)
    whole, own = rng.normal(size=80)[unit], rng.normal(size=800)
    y = (rng.random(800) < 1 / (1 + np.exp(2 - 3 * whole - 1.5 * own))).astype(float)

    learnt = pairwise.fit(np.column_stack([whole, own]), y, unit, np.ones(800), prior=np.zeros(2), penalty=1.0, rng=rng)

    assert abs(learnt.coefficient[0]) < 0.05
    assert learnt.coefficient[1] > 0.8
    assert pairwise.Order.from_data(learnt.as_data()).value(np.ones((1, 2))).shape == (1,)


def test_without_a_pair_the_stated_coefficients_order() -> None:
    x = np.array([[1.0, np.nan], [2.0, 0.0]])

    learnt = pairwise.fit(
        x,
        np.zeros(2),
        np.zeros(2, np.intp),
        np.ones(2),
        prior=np.array([1.0, 1.0]),
        penalty=1.0,
        rng=np.random.default_rng(0),
    )

    assert learnt.value(x).tolist() == [1.0, 2.0]


def _rankings(n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    value = rng.normal(size=(n, 10))
    y = (value == value.max(axis=1, keepdims=True)).astype(float)
    return y.ravel(), np.repeat(np.arange(n), 10), value.ravel()


def test_few_rankings_choose_nothing() -> None:
    y, unit, value = _rankings(5)

    chosen = objectives.choose(y, unit, -value, value, *np.ones((3, y.size)))

    assert chosen == {name: list(default) for name, default in objectives.DEFAULTS.items()}


def test_what_alone_outlasts_the_budget_stands_behind_what_fits() -> None:
    order, duration = np.array([3.0, 2.0, 1.0, 0.0]), np.array([60.0, 10.0, 20.0, 10.0])

    ordered = objectives.in_budget(order, duration, np.full(4, duration.sum()))

    assert np.argsort(-ordered).tolist() == [1, 2, 3, 0]


def _durations(n_files: float | None) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "repo_id": ["r"] * 4, "revision": ["a"] * 4, "predicted_at": [T0] * 4,
            "expected_duration_ms": [1.0, 50.0, 10.0, None], "n_failures": [0.0, 3.0, 0.0, 0.0],
            "n_files": [n_files] * 4,
        },
        schema_overrides={"n_files": pl.Float64},
    )  # fmt: skip


def test_tests_that_never_failed_wait_alike_where_the_change_is_known() -> None:
    assert patience(_durations(2.0)).tolist() == [50.0, 50.0, 50.0, 50.0]
    assert patience(_durations(None)).tolist() == [1.0, 50.0, 10.0, 10.0]


def test_the_order_that_served_best_is_chosen_for_each_objective() -> None:
    y, unit, value = _rankings(60)
    noise = np.random.default_rng(1).normal(scale=3.0, size=y.size)

    by_value = objectives.choose(y, unit, noise, value, *np.ones((3, y.size)))
    by_chance = objectives.choose(y, unit, value, noise, *np.ones((3, y.size)))

    assert by_value["failures"] == [1.0, 0.0]
    assert by_chance["failures"] == [0.0, 0.0]


def test_names_that_differ_by_leading_zeros_or_begin_with_a_number_have_one_order() -> None:
    assert natural_order(["t9", "b", "t09", "", "7", "t"]) == natural_order(["", "t09", "7", "t", "t9", "b"])
    assert natural_order(["b", "10", "9", ""]) == ["", "9", "10", "b"]


def test_gaps_between_runs_fade_alike_however_long_they_are() -> None:
    """Two tests a run apart and one far behind: its gap is longer than the number of tests."""
    runs = [{"b": 0.0, "a": 1.0}, *({"b": 0.0} for _ in range(9))]

    rates = recent_rates(_asked(20, "a", "b"), _ran(*runs))

    prior, faded = (1 + 1) / (20 + 11), np.exp(-10 / 3.0)
    assert rates["near_short_1"][1] == pytest.approx((faded + prior) / (faded + 1))


def test_the_first_of_some_failures_is_where_the_mean_of_all_orders_has_it() -> None:
    judged = pl.DataFrame({"unit": ["a", "a", "a", "b", "b", "b"], "outcome": [1.0, 0.0, 0.0, 1.0, 1.0, 0.0]})

    place = evaluation._first_by_chance(judged)

    one_of_three = (1 / 6 + 3 / 6 + 5 / 6) / 3
    two_of_three = (1 / 6 + 1 / 6 + 3 / 6) / 3
    assert place == pytest.approx((one_of_three + two_of_three) / 2)
