"""What a test did on the branch of a run counts there, in place of what it did elsewhere."""

from datetime import datetime, timedelta

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from models.leaks import check_leaks
from models.test_selection import SPEC, branches, kept
from weaver_forge.contracts.dtypes import empty, shaped
from weaver_forge.contracts.tables import BY_NAME
from weaver_forge.contracts.tables.ci import CORE_CI_RUNS, CORE_CI_TEST_VERDICTS

KIND = SPEC.kinds[0]
T0 = datetime(2026, 1, 1)
HOUR = timedelta(hours=1)
TESTS = ("mod::test_mine", "mod::test_theirs", "mod::test_never")
"""One that fails on the branch 'mine' only, one on 'theirs' only, and one that never does."""


def _history(named: list[str | None], failing: dict[str | None, set[str]] | None = None) -> dict[str, pl.DataFrame]:
    """A run an hour, each of its own revision, on these branches; by default each branch fails the test named so."""
    failing = {"mine": {TESTS[0]}, "theirs": {TESTS[1]}} if failing is None else failing
    verdicts, runs = [], []
    for k, branch in enumerate(named):
        end = T0 + (k + 1) * HOUR
        run = {"repo_id": "r", "revision": f"rev{k:03}", "run_id": f"run{k:03}"}
        runs.append({**run, "run_attempt": 1, "workflow": "ci", "link_method": "given", "branch": branch,
                     "started_at": end - HOUR / 2, "ended_at": end, "known_at": end})  # fmt: skip
        for test in TESTS:
            failed = test in failing.get(branch, set())
            verdicts.append({**run, "test_id": test, "verdict": "failed" if failed else "passed", "n_attempts": 1,
                             "n_failed": int(failed), "duration_ms": 5.0, "run_ended_at": end, "known_at": end,
                             "file": None})  # fmt: skip
    made = {table.name: empty(table) for table in SPEC.reads}
    for table, rows in {CORE_CI_TEST_VERDICTS: verdicts, CORE_CI_RUNS: runs}.items():
        made[table.name] = shaped(BY_NAME[table.name], pl.DataFrame(rows, infer_schema_length=None))
    return made


def _asked(at: datetime, branch: str | None) -> pl.DataFrame:
    rows = pl.DataFrame({"repo_id": "r", "revision": "new", "test_id": TESTS, "predicted_at": at, "branch": branch})
    return rows.with_columns(pl.col("predicted_at").cast(pl.Datetime("us")), pl.col("branch").cast(pl.String))


def _apart(tables: dict[str, pl.DataFrame], at: datetime, branch: str | None) -> dict[str, float]:
    """What the branch adds to the average of each test."""
    rows = KIND.features(tables, _asked(at, branch))
    return dict(rows.select("test_id", pl.col("branch_80") - pl.col("ewma_80")).iter_rows())


def test_a_branch_raises_what_fails_on_it_and_lowers_what_fails_elsewhere() -> None:
    tables = _history(["mine", "theirs"] * 5)

    mine = _apart(tables, T0 + 11 * HOUR, "mine")

    assert mine["mod::test_mine"] > 0.3
    assert mine["mod::test_theirs"] < -0.3
    assert mine["mod::test_never"] == 0


@pytest.mark.parametrize("branch", [None, "never seen"])
def test_where_no_branch_is_told_or_it_never_ran_all_runs_hold(branch: str | None) -> None:
    tables = _history(["mine", "theirs"] * 5)

    assert set(_apart(tables, T0 + 11 * HOUR, branch).values()) == {0.0}


def test_a_branch_that_did_as_all_others_says_nothing() -> None:
    tables = _history(["mine"] * 6)

    assert set(_apart(tables, T0 + 7 * HOUR, "mine").values()) == {0.0}


def test_what_fails_elsewhere_is_never_ruled_out_since_a_merge_brings_it_over() -> None:
    tables = _history(["mine"] * 20 + ["theirs"])

    rows = KIND.features(tables, _asked(T0 + 22 * HOUR, "mine"))

    theirs, never = (rows.filter(pl.col("test_id") == test)["branch_80"].item() for test in TESTS[1:])
    assert theirs > 2 * never


def test_runs_that_are_not_known_yet_are_not_seen() -> None:
    tables = _history(["theirs", "theirs", "mine", "mine"])

    before = _apart(tables, T0 + 2.5 * HOUR, "mine")

    assert set(before.values()) == {0.0}
    assert _apart(tables, T0 + 5 * HOUR, "mine")["mod::test_mine"] > 0


def test_the_past_is_asked_on_the_branch_on_which_a_revision_was_run_first() -> None:
    tables = _history(["mine", "theirs", None])
    again = tables[CORE_CI_RUNS.name].head(1)
    later = again.with_columns(run_id=pl.lit("again"), branch=pl.lit("main"), started_at=pl.col("started_at") + HOUR)
    tables[CORE_CI_RUNS.name] = pl.concat([later, tables[CORE_CI_RUNS.name]])

    past = KIND.history(tables, T0 + 9 * HOUR)

    assert past.select("revision", "branch").unique().sort("revision").rows() == [
        ("rev000", "mine"),
        ("rev001", "theirs"),
        ("rev002", None),
    ]


def test_no_feature_knows_the_future_where_branches_are_told() -> None:
    tables = _history(["mine", "theirs", None, "mine", "theirs", "mine"] * 3)
    past = KIND.history(tables, T0 + 99 * HOUR)

    checked = check_leaks(SPEC.name, KIND, tables, past)

    assert checked.n_subjects > 0
    assert KIND.features(tables, past).filter(pl.col("branch_80") != pl.col("ewma_80")).height > 10


def test_a_merge_request_is_one_branch_by_its_head_and_as_merged() -> None:
    names = ["refs/merge-requests/7/head", "refs/merge-requests/7/merge", "refs/merge-requests/8/head", "main"]

    said = pl.DataFrame({"branch": names}).select(branches.line(pl.col("branch"))).to_series().to_list()

    assert said == ["refs/merge-requests/7", "refs/merge-requests/7", "refs/merge-requests/8", "main"]


@pytest.mark.parametrize("seed", range(4))
def test_what_is_kept_says_of_every_branch_what_the_history_says(seed: int) -> None:
    rng = np.random.default_rng(seed)
    names = (None, "mine", "theirs", "refs/merge-requests/1/head")
    named = [names[k] for k in rng.integers(0, 4, 60).tolist()]
    failing: dict[str | None, set[str]] = {name: {TESTS[k % 2]} for k, name in enumerate(names)}
    tables = _history(named, failing)
    at = T0 + 61 * HOUR
    state = kept.keep(tables, at)
    nothing = {**tables, **state, CORE_CI_TEST_VERDICTS.name: tables[CORE_CI_TEST_VERDICTS.name].head(0)}

    assert state[kept.BRANCHES.name].height > 0
    for branch in [*names, "never seen"]:
        asked = _asked(at, branch)
        assert_frame_equal(KIND.features(nothing, asked), KIND.features(tables, asked), rel_tol=1e-12, abs_tol=1e-12)


@pytest.mark.parametrize(("told", "said"), [("", "mine"), ("theirs", "theirs"), ("new", "new")])
def test_a_question_is_asked_on_the_branch_that_is_told_else_on_that_of_its_runs(told: str, said: str) -> None:
    tables = _history(["mine", "theirs"])

    asked = kept.ask(tables, {"repo_id": "r", "revision": "rev000", "branch": told}, T0 + 9 * HOUR)

    assert asked["branch"].unique().to_list() == [said]


def test_a_model_of_before_there_were_branches_still_predicts_and_says_why() -> None:
    tables = _history(["mine", "theirs"] * 30)
    now = T0 + 61 * HOUR
    past = KIND.history(tables, now)
    artifact = KIND.model.fit(KIND.features(tables, past), KIND.labels(tables, past, now), np.random.default_rng(0))
    place = artifact["columns"].index("on_branch")
    linear = {
        name: [x for i, x in enumerate(value) if i != place] if isinstance(value, list) else value
        for name, value in artifact["linear"].items()
    }
    older = {**artifact, "columns": [name for name in artifact["columns"] if name != "on_branch"], "linear": linear}

    said = KIND.model.predict(older, KIND.features(tables, _asked(now, "mine"))).rows

    assert said["probability"].is_between(0, 1).all()
    assert said["evidence"].str.contains("fact").all()
    assert not said["evidence"].str.contains("on this branch").any()


def test_a_model_puts_what_fails_on_the_branch_first() -> None:
    tables = _history(["mine", "theirs"] * 30)
    now = T0 + 61 * HOUR
    past = KIND.history(tables, now)
    rng = np.random.default_rng(0)
    features, labels = KIND.features(tables, past), KIND.labels(tables, past, now)
    artifact = KIND.model.fit(features, labels, rng)

    for branch, first in (("mine", TESTS[0]), ("theirs", TESTS[1])):
        said = KIND.model.predict(artifact, KIND.features(tables, _asked(now, branch))).rows
        assert said.sort("score", descending=True)["test_id"][0] == first
        assert "on this branch" in said.filter(pl.col("test_id") == first)["evidence"].item()
