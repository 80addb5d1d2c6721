"""Long series are recognised by their columns and measured with the decision's own methods."""

import io
from datetime import datetime, timedelta

import numpy as np
import polars as pl
import pytest

from models.load_forecast import evaluation
from weaver_forge import settings
from weaver_forge.benchmarks import series

POINTS = "core_service__points"
START = datetime(2025, 1, 1)


def long(days: int = 8, step: timedelta = timedelta(minutes=30)) -> pl.DataFrame:
    n = int(timedelta(days=days) / step)
    ds = pl.datetime_range(START, START + (n - 1) * step, step, eager=True, time_unit="us")
    t = np.arange(n)
    y = np.sin(2 * np.pi * t / 48) + np.random.default_rng(0).normal(0, 0.3, n)
    return pl.DataFrame({"series_id": "a", "ds": ds, "y": y})


def parquet(frame: pl.DataFrame) -> bytes:
    buffer = io.BytesIO()
    frame.write_parquet(buffer)
    return buffer.getvalue()


def test_parquet_and_csv_of_the_same_series_give_the_same_points() -> None:
    frame = long(days=2)

    found = series.read(
        {"x/one.parquet": parquet(frame), "two.csv": frame.write_csv().encode(), "other.csv": b"a,b\n1,2\n"}
    )

    assert [data.set for data in found] == ["two", "x/one"]
    assert found[0].tables[POINTS].equals(found[1].tables[POINTS])
    assert found[0].tables[POINTS].columns[:4] == ["service_key", "metric", "at", "step_s"]


def test_a_point_is_known_when_its_step_has_ended_and_negative_values_stay() -> None:
    points = series.read({"a.parquet": parquet(long(days=2))})[0].tables[POINTS]

    assert (points["known_at"] - points["at"]).unique().to_list() == [timedelta(minutes=30)]
    assert points["value"].min() < 0


def test_a_missing_value_is_a_gap() -> None:
    frame = long(days=2).with_columns(pl.when(pl.int_range(pl.len()) == 5).then(None).otherwise("y").alias("y"))

    points = series.read({"a.parquet": parquet(frame)})[0].tables[POINTS]

    assert points.height == frame.height - 1
    assert points["step_s"].unique().to_list() == [1800]


def test_the_protocol_beats_the_value_of_a_day_ago_on_a_noisy_season() -> None:
    data = series.read({"a.parquet": parquet(long(days=14))})[0]

    rows = evaluation.benchmark(data, np.random.default_rng(0))

    by = {(row["protocol"], row["metric"]): row for row in rows}
    assert by["h48", "rel_mase"]["value"] < 0.9
    assert by["h48", "rel_mase"]["baselines"]["seasonal_naive"] == pytest.approx(1.0)
    assert ("h288", "rel_mase") not in by


def test_a_window_sees_nothing_of_itself() -> None:
    """Changing what happens in the last window changes no forecast of it."""
    frame = long(days=8)
    inside = pl.int_range(pl.len()) >= frame.height - 48
    spoilt = frame.with_columns(pl.when(inside).then(999.0).otherwise("y").alias("y"))

    before, after = (
        evaluation.rolling(series.read({"a.parquet": parquet(f)})[0].tables[POINTS], 48, np.random.default_rng(0))
        for f in (frame, spoilt)
    )

    assert before["value"].equals(after["value"])


@pytest.mark.outside
def test_the_outside_series_are_recognised() -> None:
    folder = settings.test_data()
    if folder is None:
        pytest.skip("WEAVER_FORGE_TEST_DATA is not set")

    found = series.read({"series.parquet": (folder / "load" / "series.parquet").read_bytes()})

    assert found[0].tables[POINTS]["service_key"].n_unique() >= 45
