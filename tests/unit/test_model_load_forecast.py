"""load_forecast: strict in time, sober without history, better than last season with it."""

import json
from datetime import datetime, timedelta

import numpy as np
import polars as pl
import pytest

from models import learning
from models.load_forecast import SPEC, configure
from models.load_forecast.candidates import CANDIDATES, Prefix, Season, forecast

KIND = SPEC.kind("points")
POINTS = "core_service__points"
START = datetime(2025, 3, 3)
STEP = timedelta(minutes=10)
SUBJECT = list(KIND.subject_columns)


def points(values: np.ndarray, service: str = "shop/cart/prod", lag: timedelta = STEP) -> pl.DataFrame:
    n = len(values)
    at = pl.datetime_range(START, START + (n - 1) * STEP, STEP, eager=True, time_unit="us")
    frame = pl.DataFrame({"at": at, "value": values}).with_columns(
        pl.lit(service).alias("service_key"),
        pl.lit("requests").alias("metric"),
        pl.lit(600, dtype=pl.Int32).alias("step_s"),
        pl.lit(10, dtype=pl.Int64).alias("n"),
        (pl.col("at") + lag).alias("known_at"),
    )
    return frame.filter(pl.col("value").is_not_nan())


def busy(days: int, seed: int = 0) -> np.ndarray:
    t = np.arange(days * 144)
    return np.random.default_rng(seed).poisson(30 * (1.2 + np.sin(2 * np.pi * t / 144))).astype(float)


def several(days: int = 12, n: int = 6) -> dict[str, pl.DataFrame]:
    return {POINTS: pl.concat([points(busy(days, seed), f"shop/s{seed}/prod") for seed in range(n)])}


def features_of(tables: dict[str, pl.DataFrame], as_of: datetime) -> pl.DataFrame:
    return KIND.features(tables, KIND.history(tables, as_of))


def test_a_feature_never_uses_what_was_not_known_yet() -> None:
    """Rows known later, whatever time they speak of, change no feature: not even those that fill an old gap."""
    values = busy(8)
    values[300:310] = np.nan
    tables = {POINTS: points(values)}
    subjects = KIND.history(tables, START + timedelta(days=6))
    late = points(np.full(8 * 144, 1e6), lag=timedelta(0)).slice(300, 10)
    planted = late.with_columns(pl.lit(START + timedelta(days=6, minutes=1)).dt.cast_time_unit("us").alias("known_at"))

    before, after = (
        KIND.features(tables, subjects),
        KIND.features({POINTS: pl.concat([tables[POINTS], planted])}, subjects),
    )

    assert subjects.height
    assert before.equals(after)


def test_features_equal_those_of_the_tables_as_they_were() -> None:
    """Points that came late and out of order are seen from their own time on, by every subject."""
    rng = np.random.default_rng(1)
    table = points(busy(7))
    delay = pl.Series(np.where(rng.random(table.height) < 0.2, rng.integers(0, 3000, table.height), 0))
    table = table.with_columns(pl.col("known_at") + pl.duration(minutes=delay))
    subjects = KIND.history({POINTS: table}, START + timedelta(days=7))

    whole = KIND.features({POINTS: table}, subjects)

    for predicted_at in subjects["predicted_at"].unique().sort().to_list()[::7]:
        mine = pl.col("predicted_at") == predicted_at
        then = KIND.features({POINTS: table.filter(pl.col("known_at") <= predicted_at)}, subjects.filter(mine))
        assert whole.filter(mine).equals(then)


def test_row_order_changes_nothing() -> None:
    tables = several(n=2)
    as_of = START + timedelta(days=11)
    features = features_of(tables, as_of)
    labels = KIND.labels(tables, features, as_of)
    mixed = {POINTS: tables[POINTS].sample(fraction=1.0, shuffle=True, seed=3)}
    rng = np.random.default_rng(0)

    again = features_of(mixed, as_of)
    artifact = KIND.model.fit(features.sample(fraction=1.0, shuffle=True, seed=1), labels, rng)

    assert again.equals(features)
    assert artifact == KIND.model.fit(features, labels.reverse(), rng)


def test_the_artifact_is_plain_data() -> None:
    tables = several(n=2)
    as_of = START + timedelta(days=11)
    features = features_of(tables, as_of)
    artifact = KIND.model.fit(features, KIND.labels(tables, features, as_of), np.random.default_rng(0))

    again = json.loads(json.dumps(artifact))

    assert KIND.model.predict(again, features).rows.equals(KIND.model.predict(artifact, features).rows)


def test_it_beats_the_value_of_last_season_where_counts_are_noisy() -> None:
    """The margin stated in the card: at least a fifth less error than seasonal naive on Poisson counts."""
    tables = several()
    as_of = START + timedelta(days=12)

    judgement = learning.learn(
        KIND, tables, features_of(tables, as_of), as_of=as_of, rng=np.random.default_rng(0)
    ).judgement

    by_name = {score.metric: score for score in judgement.scores}
    assert judgement.promoted, judgement.reason
    mase = by_name["mase"]
    assert mase.value < 0.8 * mase.baseline_value
    assert by_name["coverage80"].value == pytest.approx(0.8, abs=0.08)


def test_a_service_nobody_has_seen_gets_an_answer_not_an_error() -> None:
    subjects = pl.DataFrame(
        {
            "service_key": ["shop/new/prod"],
            "metric": ["requests"],
            "at": [START + timedelta(days=3)],
            "predicted_at": [START + timedelta(days=2)],
        },
        schema_overrides={"at": pl.Datetime("us"), "predicted_at": pl.Datetime("us")},
    )
    features = KIND.features({POINTS: points(busy(1))}, subjects)
    nothing = learning.no_labels(KIND, features)

    rows = KIND.model.predict(KIND.model.fit(features, nothing, np.random.default_rng(0)), features).rows

    assert rows.height == 1
    assert rows["value"].to_list() == [None]
    assert "nothing is known" in rows["evidence"][0]


def test_the_first_hour_of_a_service_is_forecast_from_the_prior() -> None:
    tables = {POINTS: points(np.full(6, 12.0))}
    subjects = KIND.current(tables, START + timedelta(hours=2))
    features = KIND.features(tables, subjects)

    rows = KIND.model.predict(
        KIND.model.fit(features, learning.no_labels(KIND, features), np.random.default_rng(0)), features
    ).rows

    assert rows.height == 120
    assert rows["value"].to_numpy() == pytest.approx(12.0)
    assert (rows["q_025"] <= rows["q_100"]).all()
    assert (rows["q_900"] <= rows["q_975"]).all()


def test_counts_are_never_forecast_below_zero() -> None:
    tables = {POINTS: points(np.random.default_rng(0).poisson(0.2, 12 * 144).astype(float))}
    as_of = START + timedelta(days=12)
    features = features_of(tables, as_of)
    artifact = KIND.model.fit(features, KIND.labels(tables, features, as_of), np.random.default_rng(0))

    rows = KIND.model.predict(artifact, features).rows

    assert rows.select(pl.min_horizontal("value", "q_025", "q_100").min()).item() >= 0


def test_a_missing_step_is_a_gap_once_the_source_went_on_and_pending_before() -> None:
    values = busy(3)
    values[-20] = np.nan
    tables = {POINTS: points(values)}
    at = [START + (len(values) - 20) * STEP, START + (len(values) - 19) * STEP, START + (len(values) + 5) * STEP]
    subjects = pl.DataFrame(
        {"service_key": ["shop/cart/prod"] * 3, "metric": ["requests"] * 3, "at": at, "predicted_at": [START] * 3},
        schema_overrides={"at": pl.Datetime("us"), "predicted_at": pl.Datetime("us")},
    )

    labels = KIND.labels(tables, subjects, START + timedelta(days=4))

    assert labels["maturity"].to_list() == ["unresolvable", "mature", "pending"]
    assert labels["outcome"].to_list() == [None, values[-19], None]


def test_now_means_the_next_steps_after_the_newest_known_point() -> None:
    tables = {POINTS: points(busy(3))}
    as_of = START + timedelta(days=2)

    subjects = configure(horizon_steps=3).kind("points").current(tables, as_of)

    assert subjects["at"].to_list() == [as_of + (i - 1) * STEP for i in range(1, 4)]
    assert set(subjects["predicted_at"]) == {as_of}


def test_candidates_read_nothing_beyond_their_origin() -> None:
    """The same origin gives the same candidates whatever comes after it."""
    values = busy(9)
    origin, target = np.full(3, 1000), np.array([1001, 1020, 1200])
    cut = values.copy()
    cut[1001:] = -1e9

    whole, blind = (forecast(Prefix.of(v), Season.of(600), origin, target) for v in (values, cut))

    assert all(np.array_equal(whole[name], blind[name], equal_nan=True) for name in CANDIDATES)
    assert set(KIND.features({POINTS: points(values)}, KIND.history({POINTS: points(values)}, START)).columns) == {
        *SUBJECT,
        *(column.name for column in KIND.feature_columns),
    }
