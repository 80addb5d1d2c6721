"""Metrics of order and probability: hand-computed values, honest Nones, paired gains."""

import numpy as np
import polars as pl
import pytest

from weaver_forge.errors import ContractError
from weaver_forge.metrics import METRICS, Score, evaluate


def _one(name: str, rows: pl.DataFrame, seed: int = 0) -> Score:
    return evaluate([name], rows, rng=np.random.default_rng(seed))[0]


def _ranking(unit: str, outcomes: list[float], costs: list[float]) -> pl.DataFrame:
    """Tests in run order: the score falls with the position."""
    n = len(outcomes)
    return pl.DataFrame(
        {
            "unit": [unit] * n,
            "outcome": outcomes,
            "cost": costs,
            "score": [float(n - i) for i in range(n)],
        }
    )


def test_apfd_is_the_textbook_value() -> None:
    rows = _ranking("a", [0.0, 1.0, 0.0, 1.0], [1.0] * 4)

    score = _one("apfd", rows)

    assert score.value == pytest.approx(1 - (2 + 4) / (4 * 2) + 1 / 8)
    assert score.n == 1


def test_apfdc_counts_the_time_from_the_failing_test_on() -> None:
    """Durations 9, 19, 29 ms plus the one extra each: the failing test at the second place leaves 10 + 30."""
    rows = _ranking("a", [0.0, 1.0, 0.0], [9.0, 19.0, 29.0])

    score = _one("apfdc", rows)

    assert score.value == pytest.approx((20 + 30 - 10) / 60)


def test_equal_durations_make_apfdc_equal_apfd() -> None:
    rows = _ranking("a", [0.0, 1.0, 0.0, 0.0, 1.0], [5.0] * 5)

    assert _one("apfdc", rows).value == pytest.approx(_one("apfd", rows).value)


def test_recall_at_25_counts_failing_tests_that_end_within_the_budget() -> None:
    rows = _ranking("a", [1.0, 1.0, 0.0, 0.0], [9.0, 9.0, 9.0, 9.0])

    assert _one("recall@25", rows).value == pytest.approx(0.5)


def test_units_without_or_full_of_failures_do_not_count() -> None:
    rows = pl.concat(
        [
            _ranking("a", [0.0, 0.0], [1.0, 1.0]),
            _ranking("b", [1.0, 1.0], [1.0, 1.0]),
            _ranking("c", [1.0, 0.0], [1.0, 1.0]),
        ]
    )

    score = _one("apfd", rows)

    assert score.n == 1
    assert score.value == pytest.approx(0.75)


def test_nothing_to_rank_gives_none_not_a_number() -> None:
    score = _one("apfdc", _ranking("a", [0.0, 0.0], [1.0, 1.0]))

    assert (score.value, score.low, score.gain, score.n) == (None, None, None, 0)


def test_an_unknown_duration_takes_the_unit_out_of_apfdc_only() -> None:
    rows = _ranking("a", [1.0, 0.0], [1.0, 1.0]).with_columns(cost=pl.lit(None, pl.Float64))

    assert _one("apfdc", rows).value is None
    assert _one("apfd", rows).value == pytest.approx(0.75)


def test_ties_are_broken_at_random_by_the_seed() -> None:
    rows = pl.concat([_ranking(str(i), [1.0] + [0.0] * 9, [1.0] * 10) for i in range(300)]).with_columns(score=0.0)

    first, again, other = _one("apfd", rows, 1), _one("apfd", rows, 1), _one("apfd", rows, 2)

    assert first.value == pytest.approx(0.5, abs=0.05)
    assert first == again
    assert first.value != other.value


def _events(probability: list[float], outcome: list[float], **more: list[float]) -> pl.DataFrame:
    return pl.DataFrame(
        {"unit": [str(i) for i in range(len(outcome))], "probability": probability, "outcome": outcome, **more}
    )


def test_auc_counts_ties_one_half() -> None:
    rows = _events([0.1, 0.5, 0.5, 0.9], [0.0, 0.0, 1.0, 1.0])

    assert _one("auc", rows).value == pytest.approx(3.5 / 4)


def test_auc_of_one_class_is_none() -> None:
    score = _one("auc", _events([0.1, 0.5], [0.0, 0.0]))

    assert (score.value, score.n) == (None, 0)


def test_average_precision_is_the_step_area() -> None:
    rows = _events([0.9, 0.8, 0.7, 0.1], [1.0, 0.0, 1.0, 0.0])

    assert _one("ap", rows).value == pytest.approx(0.5 * 1 + 0.5 * 2 / 3)


def test_precision_without_a_call_is_none() -> None:
    assert _one("precision", _events([0.1, 0.4], [0.0, 1.0])).value is None


def test_confusion_metrics_at_one_half() -> None:
    rows = _events([0.9, 0.8, 0.2, 0.1], [1.0, 0.0, 1.0, 0.0])

    values = {
        s.metric: s.value
        for s in evaluate(["precision", "recall", "mcc", "f1_macro"], rows, rng=np.random.default_rng(0))
    }

    assert values == pytest.approx({"precision": 0.5, "recall": 0.5, "mcc": 0.0, "f1_macro": 0.5})


def test_a_calibrated_constant_has_no_calibration_error() -> None:
    rows = _events([0.25] * 8, [1.0, 0.0, 0.0, 0.0] * 2)

    assert _one("ece", rows).value == pytest.approx(0.0)
    assert _one("brier", rows).value == pytest.approx(0.1875)


def test_popt_is_one_for_the_optimal_order_and_zero_for_the_worst() -> None:
    outcome, cost = [1.0, 1.0, 0.0, 0.0], [1.0, 5.0, 5.0, 9.0]
    best = _events([0.5] * 4, outcome, cost=cost, score=[4.0, 3.0, 2.0, 1.0])
    worst = _events([0.5] * 4, outcome, cost=cost, score=[1.0, 2.0, 3.0, 4.0])

    assert _one("popt", best).value == pytest.approx(1.0)
    assert _one("popt", worst).value == pytest.approx(0.0, abs=0.08)
    assert _one("acc", best).value == pytest.approx(0.5)


def test_the_gain_is_positive_where_the_model_is_better_whatever_the_direction() -> None:
    rng = np.random.default_rng(3)
    outcome = rng.integers(0, 2, 400).astype(float)
    rows = _events(list(0.1 + 0.8 * outcome), list(outcome), baseline_probability=[0.5] * 400)

    scores = evaluate(["brier", "auc"], rows, rng=rng)

    assert all(s.gain is not None and s.gain > 0 and s.gain_low is not None and s.gain_low > 0 for s in scores)


def test_equal_methods_earn_no_promotion() -> None:
    rng = np.random.default_rng(4)
    outcome = rng.integers(0, 2, 200).astype(float)
    p = list(rng.random(200))

    score = _one("brier", _events(p, list(outcome), baseline_probability=p))

    assert score.gain == pytest.approx(0.0)
    assert score.gain_low == pytest.approx(0.0)


def test_the_interval_covers_the_true_auc_about_as_often_as_it_says() -> None:
    covered = 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        y = (rng.random(150) < 0.4).astype(float)
        x = 1 / (1 + np.exp(-(rng.normal(size=150) + y)))
        score = evaluate(["auc"], _events(list(x), list(y)), rng=rng, resamples=200)[0]
        assert score.low is not None
        assert score.high is not None
        covered += score.low <= 0.7602 <= score.high

    assert covered >= 51


def test_too_few_units_have_a_value_but_no_interval() -> None:
    score = _one("brier", _events([0.1, 0.4], [0.0, 1.0]))

    assert score.value is not None
    assert (score.low, score.gain_low) == (None, None)


def test_every_metric_survives_no_rows_at_all() -> None:
    rows = _events([], []).cast({"probability": pl.Float64, "outcome": pl.Float64, "unit": pl.String})

    scores = evaluate(list(METRICS), rows, rng=np.random.default_rng(0))

    assert all(s.value is None and s.n == 0 for s in scores)


def test_an_unknown_metric_is_refused() -> None:
    with pytest.raises(ContractError, match="f1_hope"):
        evaluate(["f1_hope"], _events([0.1], [0.0]), rng=np.random.default_rng(0))
