"""anomaly: strict in time, sober without incidents, and it names the service that is in trouble."""

import itertools
import json
from datetime import datetime, timedelta

import numpy as np
import polars as pl
import pytest

from models import learning
from models.anomaly import SPEC
from models.anomaly.causes import ranked
from weaver_forge.contracts.tables import BY_NAME

KIND = SPEC.kind("windows")
START = datetime(2025, 3, 3)
MINUTE = timedelta(minutes=2)
DAYS = 6
TYPES = {
    "VARCHAR": pl.String,
    "TIMESTAMP": pl.Datetime("us"),
    "BIGINT": pl.Int64,
    "DOUBLE": pl.Float64,
    "INTEGER": pl.Int32,
}
SERVICES = ("shop/web/prod", "shop/cart/prod", "shop/db/prod")
INCIDENT_STARTS = [START + timedelta(days=d, hours=h) for d, h in ((1, 7), (2, 3), (2, 19), (3, 12), (4, 1), (4, 9))]


def frame(name: str, rows: list[tuple[object, ...]], columns: list[str]) -> pl.DataFrame:
    table = BY_NAME[name]
    types = {column.name: TYPES[column.type] for column in table.columns}
    given = pl.DataFrame(rows, schema={c: types[c] for c in columns}, orient="row")
    absent = [pl.lit(None, dtype=types[c]).alias(c) for c in types if c not in columns]
    return given.with_columns(absent).select(list(types))


def points(service: str, hurt: list[datetime], seed: int) -> pl.DataFrame:
    """Two-minute points of a service whose errors and latency rise for an hour from each of the given times."""
    rng = np.random.default_rng(seed)
    n = DAYS * 720
    at = pl.datetime_range(START, START + (n - 1) * MINUTE, MINUTE, eager=True, time_unit="us")
    t = np.arange(n)
    requests = rng.poisson(12 * (1.3 + np.sin(2 * np.pi * t / 720)))
    bad = np.zeros(n, dtype=bool)
    for start in hurt:
        first = int((start - START) / MINUTE)
        bad[first : first + 30] = True
    errors = rng.binomial(requests, np.where(bad, 0.1, 0.01)) / np.maximum(requests, 1)
    latency = np.exp(rng.normal(5, 0.4, n) / 1.0) * np.where(bad, 1.4, 1)
    metrics = {"requests": requests.astype(float), "error_ratio": errors, "latency_p95_ms": latency}
    frames = [
        pl.DataFrame({"service_key": service, "metric": name, "at": at, "value": value, "n": requests.astype(np.int64)})
        for name, value in metrics.items()
    ]
    everything = pl.concat(frames).with_columns(
        pl.lit(120, dtype=pl.Int32).alias("step_s"), (pl.col("at") + timedelta(minutes=3)).alias("known_at")
    )
    return everything.select(BY_NAME["core_service__points"].column_names)


def tables(*, incidents: bool = True) -> dict[str, pl.DataFrame]:
    """Web calls cart calls db; db is the service in trouble, six times."""
    hurt = {"shop/db/prod": INCIDENT_STARTS}
    hour = timedelta(hours=1)
    return {
        "core_service__points": pl.concat([points(s, hurt.get(s, []), i) for i, s in enumerate(SERVICES)]),
        "core_trace__edges": frame(
            "core_trace__edges",
            [(a, b, START, 9, 0, 1.0, START + hour) for a, b in itertools.pairwise(SERVICES)],
            ["caller_key", "callee_key", "hour_at", "n_calls", "n_errors", "duration_p95_ms", "known_at"],
        ),
        "core_incidents__incidents": frame(
            "core_incidents__incidents",
            [
                (f"i{i}", "shop/db/prod", "major", "db", at, at + hour, at + timedelta(minutes=9))
                for i, at in enumerate(INCIDENT_STARTS)
                if incidents
            ],
            ["incident_id", "service_key", "severity", "title", "started_at", "resolved_at", "known_at"],
        ),
        "core_deployments__deployments": frame(
            "core_deployments__deployments",
            [
                (
                    "shop/db/prod",
                    "production",
                    "1",
                    "d1",
                    "succeeded",
                    START + timedelta(days=2),
                    START + timedelta(days=2),
                )
            ],
            ["service_key", "environment", "version", "deployment_id", "status", "started_at", "known_at"],
        ),
    }


AS_OF = START + timedelta(days=DAYS)
TABLES = tables()
HISTORY = KIND.history(TABLES, AS_OF)
FEATURES = KIND.features(TABLES, HISTORY)


def test_a_planted_future_row_changes_no_feature() -> None:
    """Rows known later change nothing, neither a late point of an old window nor a later call or deployment."""
    then = HISTORY["predicted_at"].sort()[HISTORY.height // 2]
    subjects = HISTORY.filter(pl.col("predicted_at") <= then)
    later = {"known_at": pl.lit(then + timedelta(seconds=1), dtype=pl.Datetime("us"))}
    known = TABLES["core_service__points"].filter(pl.col("known_at") <= then)
    holes = known.gather_every(37)
    without = {**TABLES, "core_service__points": known.join(holes, on=["service_key", "metric", "at"], how="anti")}
    planted = {
        "core_service__points": pl.concat(
            [without["core_service__points"], holes.with_columns(pl.lit(1e5).alias("value"), **later)]
        ),
        "core_trace__edges": pl.concat(
            [
                TABLES["core_trace__edges"],
                TABLES["core_trace__edges"].with_columns(pl.lit("shop/web/prod").alias("callee_key"), **later),
            ]
        ),
        "core_deployments__deployments": pl.concat(
            [TABLES["core_deployments__deployments"], TABLES["core_deployments__deployments"].with_columns(**later)]
        ),
        "core_incidents__incidents": TABLES["core_incidents__incidents"],
    }

    assert KIND.features(planted, subjects).equals(KIND.features(without, subjects))


def test_features_equal_those_of_the_tables_as_they_were() -> None:
    """Points that came hours late are seen from their own time on, by every subject."""
    rng = np.random.default_rng(4)
    table = TABLES["core_service__points"]
    delay = np.where(rng.random(table.height) < 0.02, rng.integers(0, 2000, table.height), 0)
    late = {
        **TABLES,
        "core_service__points": table.with_columns(pl.col("known_at") + pl.duration(minutes=pl.Series(delay))),
    }
    some = KIND.history(late, AS_OF).gather_every(40)

    whole = KIND.features(late, some)

    for predicted_at in some["predicted_at"].unique().sort().to_list()[::9]:
        mine = pl.col("predicted_at") == predicted_at
        then = {name: rows.filter(pl.col("known_at") <= predicted_at) for name, rows in late.items()}
        assert whole.filter(mine).equals(KIND.features(then, some.filter(mine)))


def test_row_order_changes_nothing() -> None:
    mixed = {name: rows.sample(fraction=1.0, shuffle=True, seed=1) for name, rows in TABLES.items()}
    labels = KIND.labels(TABLES, FEATURES, AS_OF)
    rng = np.random.default_rng(0)

    artifact = KIND.model.fit(FEATURES, labels, rng)

    assert KIND.history(mixed, AS_OF).equals(HISTORY)
    assert KIND.features(mixed, HISTORY).equals(FEATURES)
    assert KIND.model.fit(FEATURES.reverse(), labels.sample(fraction=1.0, shuffle=True, seed=2), rng) == artifact


def test_it_beats_the_rolling_robust_z_and_stays_a_probability() -> None:
    judgement = learning.learn(KIND, TABLES, FEATURES, as_of=AS_OF, rng=np.random.default_rng(0)).judgement

    ap = judgement.scores[0]
    assert judgement.promoted, judgement.reason
    assert ap.value > 0.8
    assert ap.gain > 0.1
    assert judgement.rows["probability"].is_between(0, 1).all()


def test_without_any_incident_it_says_something_sober() -> None:
    """The stated prior: quiet windows far below one in a hundred, windows in trouble well above."""
    quiet = tables(incidents=False)
    labels = KIND.labels(quiet, HISTORY, AS_OF)
    artifact = KIND.model.fit(FEATURES, labels, np.random.default_rng(0))

    rows = KIND.model.predict(artifact, FEATURES).rows.join(
        KIND.labels(TABLES, HISTORY, AS_OF), on=KIND.subject_columns, how="inner"
    )

    assert rows.filter(pl.col("outcome") == 0)["probability"].median() < 0.01
    assert rows.filter(pl.col("outcome") == 1)["probability"].median() > 0.1


def test_an_unseen_service_gets_a_prior() -> None:
    unseen = HISTORY.head(1).with_columns(pl.lit("shop/new/prod").alias("service_key"))
    features = KIND.features(TABLES, unseen)
    empty = learning.no_labels(KIND, features)

    for method in (KIND.model, KIND.baseline):
        rows = method.predict(method.fit(features.head(0), empty, np.random.default_rng(0)), features).rows
        assert 0 < rows["probability"][0] < 0.05


def test_the_artifact_is_plain_data_and_the_same_seed_gives_the_same_one() -> None:
    labels = KIND.labels(TABLES, FEATURES, AS_OF)
    first, second = (KIND.model.fit(FEATURES, labels, np.random.default_rng(7)) for _ in range(2))

    assert json.loads(json.dumps(first)) == second


def test_the_deepest_service_in_trouble_is_named_with_its_reason() -> None:
    labels = KIND.labels(TABLES, FEATURES, AS_OF)
    said = KIND.model.predict(KIND.model.fit(FEATURES, labels, np.random.default_rng(0)), FEATURES)
    at = INCIDENT_STARTS[2] + timedelta(minutes=10)

    causes = said.candidates.filter(pl.col("window_at") == at, pl.col("service_key") == "shop/db/prod")

    assert causes["candidate"][0] == "shop/db/prod"
    assert "errors, usually" in causes["evidence"][0]
    assert said.candidates.group_by(KIND.subject_columns).agg(pl.col("probability").sum())[
        "probability"
    ].to_numpy() == pytest.approx(1.0)


def test_trouble_below_explains_trouble_above() -> None:
    """Two services equally slow: the one that is called is the likelier cause."""
    sick = {"errors_z": 9.0, "error_ratio": 0.3, "errors_usual": 0.01, "latency_z": 2.0, "latency_ratio": 1.6}
    row = {"requests_z": 0.0, "requests_ratio": 1.0, **sick}

    order = ranked([{"service": "web", "distance": 0, **row}, {"service": "db", "distance": 1, **row}], hour=14)

    assert [service for service, _, _ in order] == ["db", "web"]
    assert "14:00" in order[0][2]


def test_a_label_waits_a_day_for_a_late_declaration() -> None:
    at = INCIDENT_STARTS[0]
    subject = HISTORY.filter(pl.col("window_at") == at, pl.col("service_key") == "shop/db/prod")

    early = KIND.labels(TABLES, subject, at + timedelta(hours=5))
    late = KIND.labels(TABLES, subject, at + timedelta(hours=25))

    assert early.select("outcome", "maturity").row(0) == (None, "pending")
    assert late.select("outcome", "maturity").row(0) == (1.0, "mature")


def test_a_window_is_judged_when_its_last_point_came_and_not_before() -> None:
    recent = KIND.current(TABLES, AS_OF)

    assert recent["window_at"].min() >= AS_OF - timedelta(hours=24, minutes=10)
    assert (recent["predicted_at"] <= AS_OF).all()
    assert (recent["predicted_at"] - recent["window_at"]).unique().to_list() == [timedelta(minutes=11)]
