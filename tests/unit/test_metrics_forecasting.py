"""Forecast measures: relative to the baseline, scaled, quantile losses, coverage."""

import numpy as np
import polars as pl
import pytest

from weaver_forge.metrics import Score, evaluate


def rows(**columns: list[float | str | None]) -> pl.DataFrame:
    return pl.DataFrame(columns)


def score(name: str, frame: pl.DataFrame, resamples: int = 50) -> Score:
    return evaluate([name], frame, rng=np.random.default_rng(0), resamples=resamples)[0]


def test_rel_mase_is_the_geometric_mean_of_the_series_ratios() -> None:
    """One series twice as good and one twice as bad cancel out, however large their values are."""
    frame = rows(unit=["a", "b"], outcome=[0.0, 0.0], value=[1.0, 2000.0], baseline_value=[2.0, 1000.0])

    result = score("rel_mase", frame)

    assert result.value == pytest.approx(1.0)
    assert result.baseline_value == pytest.approx(1.0)


def test_a_gain_in_rel_mase_needs_enough_series_for_its_interval() -> None:
    better = rows(unit=list("abcdef"), outcome=[0.0] * 6, value=[1.0] * 6, baseline_value=[2.0] * 6)

    enough, few = score("rel_mase", better), score("rel_mase", better.head(3))

    assert enough.gain == pytest.approx(0.5)
    assert enough.gain_low is not None
    assert enough.gain_low > 0
    assert few.gain_low is None


def test_a_series_both_forecast_exactly_is_a_tie() -> None:
    frame = rows(unit=["a"], outcome=[3.0], value=[3.0], baseline_value=[3.0])

    assert score("rel_mase", frame).value == pytest.approx(1.0)


def test_mase_divides_by_the_scale_in_cost_and_skips_rows_without_one() -> None:
    frame = rows(unit=["a", "a"], outcome=[10.0, 10.0], value=[14.0, 90.0], cost=[2.0, None])

    assert score("mase", frame).value == pytest.approx(2.0)


def test_crps_of_a_point_forecast_is_its_relative_absolute_error() -> None:
    frame = rows(unit=["a", "a"], outcome=[10.0, 30.0], value=[12.0, 26.0])

    assert score("crps", frame).value == pytest.approx(6 / 40)


def test_pinball_weighs_misses_by_their_level() -> None:
    frame = rows(unit=["a"], outcome=[10.0], value=[10.0], q_025=[12.0], q_100=[10.0], q_900=[10.0], q_975=[8.0])

    assert score("pinball", frame).value == pytest.approx((0.975 * 2 + 0.975 * 2) / 5)


def test_coverage_counts_the_ends_and_skips_rows_without_quantiles() -> None:
    frame = rows(
        unit=["a"] * 4,
        outcome=[1.0, 5.0, 9.0, 5.0],
        value=[5.0] * 4,
        q_100=[1.0, 2.0, 2.0, None],
        q_900=[8.0, 8.0, 8.0, 8.0],
    )

    assert score("coverage80", frame).value == pytest.approx(2 / 3)


def test_without_any_forecast_nothing_is_made_up() -> None:
    frame = rows(unit=["a"], outcome=[1.0])

    assert [score(n, frame).value for n in ("rel_mase", "mase", "crps", "pinball", "coverage95")] == [None] * 5
