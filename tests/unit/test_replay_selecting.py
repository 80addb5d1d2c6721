"""A selection over past runs: from what was known before each, with the rules of its change, counted in whole runs."""

from datetime import datetime, timedelta
from typing import Any

import polars as pl
import pytest

from weaver_forge.hooks.rank_tests import ordered
from weaver_forge.hooks.replay.comparing import Named, compare
from weaver_forge.hooks.replay.deciding import Stage
from weaver_forge.hooks.replay.selecting import at_aim, run_of
from weaver_forge.hooks.selecting.aim import read_aim
from weaver_forge.policy import parse

T0 = datetime(2026, 3, 1)
HOUR = timedelta(hours=1)
KIND = {"entity": "tests", "key": ["repo_id", "revision", "test_id"], "decided_per": ["repo_id", "revision"]}
TESTS = ("a", "b", "c", "d")
QUIET: tuple[str, ...] = ("src/shop/cart.py",)


def run(k: int, *failing: str, known_after: timedelta = HOUR / 2, flaky: str = "") -> list[dict[str, Any]]:
    """Four tests of a minute each, likeliest first in the order of their names."""
    return [
        {
            "repo_id": "r", "revision": f"rev{k}", "test_id": name, "predicted_at": T0 + k * HOUR, "unit": f"r|rev{k}",
            "cluster": f"r|rev{k}", "probability": 0.4 - 0.1 * place, "score": None, "value": None,
            "baseline_probability": 0.1, "baseline_score": None, "is_baseline": False, "expected_duration_ms": 60e3,
            "outcome": float(name in failing), "maturity": "mature", "cost": 60e3,
            "link_method": "both outcomes, flaky" if name == flaky else "verdict",
            "outcome_known_at": T0 + k * HOUR + known_after,
        }
        for place, name in enumerate(TESTS)
    ]  # fmt: skip


def frame(*runs: list[dict[str, Any]]) -> pl.DataFrame:
    return pl.DataFrame(
        [row for rows in runs for row in rows],
        schema_overrides={"score": pl.Float64, "value": pl.Float64, "baseline_score": pl.Float64},
    )


def waiting(rows: pl.DataFrame, k: int) -> list[str]:
    return rows.filter(pl.col("is_acted"), pl.col("revision") == f"rev{k}")["test_id"].to_list()


def select(rows: pl.DataFrame, text: str, paths: Any = lambda _: QUIET) -> Any:
    return at_aim(rows, read_aim(text), changed_paths=paths)


def test_a_confidence_rests_on_runs_known_before_and_runs_everything_until_there_are_enough() -> None:
    rows = frame(*(run(k, "a") for k in range(32)))

    found = select(rows, "confidence 90%")

    assert found.n_insufficient == 30
    assert [waiting(found.rows, k) for k in (29, 30, 31)] == [[], ["b", "c", "d"], ["b", "c", "d"]]


def test_a_run_whose_outcome_came_later_says_nothing_yet() -> None:
    late = [run(k, "a", known_after=timedelta(days=9)) for k in range(31)]

    assert select(frame(*late), "confidence 90%").n_insufficient == 31


def test_runs_that_showed_their_failure_late_ask_for_more_of_the_order() -> None:
    rows = frame(*(run(k, "c" if k % 3 == 0 else "a") for k in range(31)))

    assert waiting(select(rows, "confidence 90%").rows, 30) == ["d"]


def test_a_share_of_the_time_needs_no_past() -> None:
    found = select(frame(run(0, "d")), "target 50%")

    assert (waiting(found.rows, 0), found.n_insufficient) == (["c", "d"], 0)


@pytest.mark.parametrize(
    ("paths", "later", "whole"),
    [
        (("uv.lock",), [], {"lock_file": 1}),
        (None, [], {"files_unknown": 1}),
        (("tests/d.py",), ["c"], {}),
        (QUIET, ["c", "d"], {}),
    ],
)
def test_the_rules_of_the_change_hold_as_in_the_hook(paths: Any, later: list[str], whole: dict[str, int]) -> None:
    found = select(frame(run(0)), "target 50%", lambda _: paths)

    assert (waiting(found.rows, 0), found.n_whole) == (later, whole)


def test_a_run_that_fails_by_another_of_its_failures_did_not_go_through() -> None:
    rows = frame(*(run(k, *(("a", "d") if k % 2 else ("d",)), flaky="b") for k in range(40)))
    stage = Stage(decision="t", kind=KIND, action={"name": "skip_tests", "on": "low"}, changed_paths=lambda _: QUIET)
    named = Named("p", parse("version: 1\ndecisions: {t: {scope: development, select: {target: 0.5}}}\n", "p"))

    found = {row["policy"]: row for row in compare([named], stage, rows, {}, {"target 50%": read_aim("target 50%")})}

    assert set(found) >= {"select target 50%", "select target 50% of p"}
    row = found["select target 50%"]
    assert (row["caught"], row["escaped"], row["unstable"], row["escaped_units"]) == (20, 40, 40, 40)
    assert row["went_through"]["rate"] == pytest.approx(0.5)
    assert row["went_through"]["upper"] > 0.5
    assert (row["money"]["minutes"], row["minutes_in_all"]) == ("80.00", 160.0)
    assert len(row["escapes"]) == 40


def test_a_run_in_order_is_counted_by_the_time_up_to_each_failure() -> None:
    tests = ordered(
        [{"test_id": name, "score": -place} for place, name in enumerate("abc")], {"a": 100.0, "b": None, "c": 300.0}
    )

    found = run_of(tests, {"b", "c"}, T0, T0 + HOUR)

    assert found.shares == pytest.approx((400 / 700, 1.0))  # the middle one of the known stands in
    assert found.shares_tests == pytest.approx((2 / 3, 1.0))


def test_a_failure_of_the_first_test_needs_no_share_since_one_always_runs() -> None:
    tests = ordered([{"test_id": "a", "score": 1.0}], {"a": 100.0})

    assert run_of(tests, {"a"}, T0, T0 + HOUR).shares == (0.0,)
