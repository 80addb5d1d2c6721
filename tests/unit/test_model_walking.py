"""Past runs are ordered by what was learnt before them, and kept as the hook would have ordered them."""

import json
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import polars as pl
import pytest

from models import test_selection
from models.walking import kept, walk
from weaver_forge.contracts.decision import Method, Predictions, past_table
from weaver_forge.contracts.dtypes import empty, shaped
from weaver_forge.contracts.tables import BY_NAME
from weaver_forge.hooks.rank_tests import ordered
from weaver_forge.hooks.replay.selecting import run_of

T0 = datetime(2026, 1, 1)
HOUR = timedelta(hours=1)
SPEC = test_selection.SPEC
KIND = SPEC.kinds[0]


def history(n: int, *, seed: int = 0) -> dict[str, pl.DataFrame]:
    """Runs of eight tests, of which the first fails in every third."""
    rng = np.random.default_rng(seed)
    verdicts, runs = [], []
    for k in range(n):
        base = {"repo_id": "r", "run_id": f"run{k}", "revision": f"rev{k}", "known_at": T0 + k * HOUR + HOUR / 2}
        runs.append({
            **base, "run_attempt": 1, "workflow": "ci", "started_at": T0 + k * HOUR,
            "ended_at": base["known_at"], "link_method": "given",
        })  # fmt: skip
        for test in range(8):
            fails = (test == 0 and k % 3 == 0) or (test > 5 and rng.random() < 0.05)
            verdicts.append({
                **base, "test_id": f"m{test % 2}.t::{test}", "verdict": "failed" if fails else "passed",
                "n_attempts": 1, "duration_ms": 100.0 * (test + 1), "run_ended_at": base["known_at"],
            })  # fmt: skip
    filled = {"core_ci__test_verdicts": verdicts, "core_ci__runs": runs}
    return {
        table.name: shaped(BY_NAME[table.name], pl.DataFrame(filled[table.name]))
        if table.name in filled
        else empty(BY_NAME[table.name])
        for table in SPEC.reads
    }


@pytest.fixture(scope="module")
def walked() -> pl.DataFrame:
    tables = history(60)
    as_of = T0 + 70 * HOUR
    features = KIND.features(tables, KIND.history(tables, as_of))
    return walk(KIND, tables, features, as_of=as_of)


def test_a_run_in_every_order_but_for_those_that_were_only_learnt_from(walked: pl.DataFrame) -> None:
    orders = walked.group_by("order_name").len().sort("order_name")

    assert orders.rows() == [("baseline", 48), ("budget", 48), ("failures", 48), ("time", 48)]
    assert shaped(past_table(SPEC, KIND), walked).height == walked.height
    assert (walked["fitted_at"] <= walked["predicted_at"]).all()
    assert (walked["known_at"] > walked["predicted_at"]).all()


def test_failures_are_placed_and_an_order_that_learnt_finds_them_early(walked: pl.DataFrame) -> None:
    newest = walked.filter(order_name="failures").sort("predicted_at").tail(20).filter(pl.col("n_failing") > 0)

    assert newest["first_share_tests"].mean() < 0.4
    for row in newest.iter_rows(named=True):
        assert json.loads(row["shares"])[0] == pytest.approx(row["first_share"], abs=1e-6)
        assert len(json.loads(row["shares"])) == row["n_failing"]


def test_methods_see_only_what_was_known_when_their_block_began() -> None:
    tables = history(40)
    as_of = T0 + 50 * HOUR
    seen: list[tuple[datetime, datetime]] = []

    def fit(features: pl.DataFrame, labels: pl.DataFrame, _rng: Any) -> dict[str, Any]:
        newest, known = features["predicted_at"].max(), labels["outcome_known_at"].max()
        assert isinstance(newest, datetime)
        assert isinstance(known, datetime)
        seen.append((newest, known))
        return {}

    def predict(_artifact: Any, features: pl.DataFrame) -> Predictions:
        rows = features.select(*KIND.subject_columns, probability=pl.lit(0.1), score=pl.lit(0.0), evidence=pl.lit("[]"))
        return Predictions(rows)

    spy = replace(KIND, model=Method("spy", fit, predict), baseline=Method("blind", fit, predict))
    features = KIND.features(tables, KIND.history(tables, as_of))

    rows = walk(spy, tables, features, as_of=as_of)

    begins = rows.filter(order_name="baseline")["fitted_at"].unique().sort().to_list()
    assert len(seen) == 2 * len(begins) == 10
    for (newest, known), begin in zip(seen[::2], begins, strict=True):
        assert newest < begin
        assert known <= begin


def test_a_history_of_which_nothing_is_known_has_no_past_runs() -> None:
    tables = history(3)
    features = KIND.features(tables, KIND.history(tables, T0 + 9 * HOUR)).head(0)

    rows = walk(KIND, tables, features, as_of=T0)

    assert rows.is_empty()
    assert set(rows.columns) >= {column.name for column in past_table(SPEC, KIND).columns}


@pytest.mark.parametrize("seed", range(5))
def test_a_past_run_stands_in_the_order_that_the_hook_makes(seed: int) -> None:
    """Ties, unknown durations and scores without a number included."""
    rng = np.random.default_rng(seed)
    n = 30
    durations = [None if rng.random() < 0.3 else float(rng.integers(1, 500)) for _ in range(n)]
    scores = [float("nan") if rng.random() < 0.1 else float(rng.integers(0, 6)) for _ in range(n)]
    names = [f"t{place:02}" for place in rng.permutation(n)]
    failing = {name for name in names if rng.random() < 0.2} | {names[0]}
    rows = pl.DataFrame(
        {
            "repo_id": "r", "revision": "v", "test_id": names, "predicted_at": [T0] * n, "score": scores,
            "expected_duration_ms": durations, "outcome": [float(name in failing) for name in names],
            "link_method": "verdict", "outcome_known_at": [T0 + HOUR] * n, "cost": 1.0,
        },
        schema_overrides={"predicted_at": pl.Datetime("us"), "outcome_known_at": pl.Datetime("us")},
    )  # fmt: skip

    (row,) = kept(rows, KIND, "time", T0).rows(named=True)

    tests = ordered(
        [{"test_id": name, "score": score} for name, score in zip(names, scores, strict=True)],
        dict(zip(names, durations, strict=True)),
    )
    hook = run_of(tests, failing, T0, T0 + HOUR)
    assert json.loads(row["shares"]) == pytest.approx(hook.shares, abs=1e-6)
    assert json.loads(row["shares_tests"]) == pytest.approx(hook.shares_tests, abs=1e-6)
