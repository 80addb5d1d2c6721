"""Policies on the same past: what would have been held or skipped, what escaped, and what that costs."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import polars as pl
import pytest

from weaver_forge.contracts.values import Level
from weaver_forge.hooks.rank_tests import parse_budget
from weaver_forge.hooks.replay.capacity import capacity
from weaver_forge.hooks.replay.comparing import Named, compare
from weaver_forge.hooks.replay.deciding import AS_EARNED, AS_ENFORCED, Stage, decide
from weaver_forge.hooks.standing import Standings
from weaver_forge.policy import Question, effective, evaluate, parse
from weaver_forge.policy.money import Prices
from weaver_forge.policy.question import PredictionView

BEGIN = datetime(2026, 3, 2, 9)
KIND = {"entity": "changes", "key": ["repo_id", "revision"], "baseline": "lines_added", "actions": []}
TESTS = {"entity": "tests", "key": ["repo_id", "revision", "test_id"], "baseline": "last_failed_first", "actions": []}
HOLD = Stage(decision="deploy_risk", kind=KIND, action={"name": "hold_change", "on": "high"})
SKIP = Stage(decision="test_selection", kind=TESTS, action={"name": "skip_tests", "on": "low"})
COSTS = "costs: {currency: EUR, escape: 500, delayed_change: 40, review: 10, ci_minute: 0.5}"


def policy(decision: str, rules: str, costs: str = COSTS) -> Named:
    return Named("p.yaml", parse(f"version: 1\n{costs}\ndecisions:\n  {decision}: {{{rules}}}\n", "p.yaml"))


def subject(number: int, probability: float | None, outcome: float | None, **more: Any) -> dict[str, Any]:
    revision = f"{more.pop('unit', number):040x}"
    return {
        "repo_id": "host/shop",
        "revision": revision,
        "test_id": f"t{number}",
        "predicted_at": BEGIN + timedelta(hours=number if "at" not in more else more.pop("at")),
        "unit": f"host/shop|{revision}",
        "cluster": f"host/shop|{revision}",
        "probability": probability,
        "score": None,
        "value": None,
        "baseline_probability": 0.1,
        "baseline_score": None,
        "expected_duration_ms": 60_000.0,
        "outcome": outcome,
        "maturity": "mature" if outcome is not None else "pending",
        "link_method": "verdict",
        "cost": 60_000.0,
        **more,
    }


def frame(found: Sequence[Mapping[str, Any]]) -> pl.DataFrame:
    types = {"probability": pl.Float64, "score": pl.Float64, "value": pl.Float64, "baseline_score": pl.Float64,
             "outcome": pl.Float64, "predicted_at": pl.Datetime("us")}  # fmt: skip
    return pl.DataFrame(list(found), schema_overrides=types)


def by_view(found: Sequence[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {row["view"]: row for row in found}


CHANGES = frame(
    [subject(0, 0.9, 1.0), subject(1, 0.8, 0.0), subject(2, 0.5, 1.0), subject(3, 0.1, 1.0), subject(4, 0.1, 0.0)]
)


def test_what_is_held_is_caught_and_what_is_let_through_escapes_by_name() -> None:
    named = policy("deploy_risk", "ceiling: assisted, review_at: 0.4, deny_at: 0.7")

    found = by_view(compare([named], HOLD, CHANGES, {}))

    enforced = found[AS_ENFORCED]
    assert enforced["verdicts"] == {"allow": 2, "deny": 2, "review": 1, "unknown": 0}
    assert (enforced["acted"]["units"], enforced["caught"], enforced["escaped"]) == (3, 2, 1)
    assert [escape["subject"]["revision"] for escape in enforced["escapes"]] == [f"{3:040x}"]


def test_nothing_is_held_as_earned_now_where_nothing_was_earned_but_the_verdicts_are_the_same() -> None:
    named = policy("deploy_risk", "ceiling: autonomous, review_at: 0.4, deny_at: 0.7")

    found = by_view(compare([named], HOLD, CHANGES, {}))

    assert found[AS_EARNED]["verdicts"] == found[AS_ENFORCED]["verdicts"]
    assert (found[AS_EARNED]["caught"], found[AS_EARNED]["escaped"]) == (0, 3)
    assert found[AS_EARNED]["level"] == {"assisted": 5}


def test_what_has_been_earned_is_what_is_enforced_now() -> None:
    named = policy("deploy_risk", "ceiling: autonomous, review_at: 0.4, deny_at: 0.7")
    earned = Standings(levels={("deploy_risk", "changes", "hold_change", "deployment"): Level.SUPERVISED})

    found = by_view(compare([named], replace(HOLD, standings=earned), CHANGES, {}))

    assert found[AS_EARNED]["acted"]["units"] + found[AS_EARNED]["held_out"]["n"] == 3


def test_money_of_holding_is_escapes_spared_less_wrong_holds_and_reviews_to_the_cent() -> None:
    named = policy("deploy_risk", "ceiling: autonomous, review_at: 0.4, deny_at: 0.7")

    money = by_view(compare([named], HOLD, CHANGES, {}))[AS_ENFORCED]["money"]

    assert (money["saved"], money["lost"], money["net"]) == ("1000.00", "50.00", "950.00")
    assert money["currency"] == "EUR"


def test_an_amount_that_is_needed_and_not_given_leaves_the_sum_unknown() -> None:
    named = policy("deploy_risk", "ceiling: autonomous, deny_at: 0.7", "costs: {currency: EUR, escape: 500}")

    money = by_view(compare([named], HOLD, CHANGES, {}))[AS_ENFORCED]["money"]

    assert (money["saved"], money["net"]) == (None, None)
    assert money["note"] == "costs.delayed_change not in the policy"


TESTED = frame([
    *(subject(number, 0.001, 0.0, unit=1, at=0) for number in range(6)),
    subject(6, 0.6, 1.0, unit=1, at=0),
    subject(7, 0.002, 1.0, unit=2, at=1),
    subject(8, 0.5, 0.0, unit=2, at=1),
])  # fmt: skip


def test_tests_below_the_threshold_wait_and_a_failure_among_them_escapes() -> None:
    named = policy("test_selection", "scope: development, ceiling: autonomous, skip_below: 0.01")

    row = by_view(compare([named], SKIP, TESTED, {}))[AS_ENFORCED]

    assert (row["acted"], row["caught"], row["escaped"]) == ({"units": 2, "subjects": 7}, 1, 1)
    assert [escape["subject"]["test_id"] for escape in row["escapes"]] == ["t7"]
    assert (row["money"]["minutes"], row["money"]["saved"], row["money"]["lost"]) == ("7.00", "3.50", "500.00")


def test_everything_runs_where_skipping_has_not_been_earned() -> None:
    named = policy("test_selection", "scope: development, ceiling: autonomous, skip_below: 0.01")

    row = by_view(compare([named], SKIP, TESTED, {}))[AS_EARNED]

    assert (row["acted"]["subjects"], row["caught"], row["escaped"]) == (0, 2, 0)


@pytest.mark.parametrize("threshold", ["0.01", "from_costs", "null", "1.0"])
def test_many_tests_at_once_are_taken_just_where_policy_takes_each_alone(threshold: str) -> None:
    named = policy("test_selection", f"scope: development, ceiling: autonomous, skip_below: {threshold}")
    chances = [0.0, 0.0005, 0.001, 0.0099999, 0.01, 0.3, 1.0]
    durations = [None, 0.0, 1.0, 60_000.0, 3.6e6, 1e9]
    found = frame([
        subject(number, chance, 0.0, unit=number, expected_duration_ms=duration)
        for number, (chance, duration) in enumerate((c, d) for c in chances for d in durations)
    ])  # fmt: skip

    at_once = decide(named.policy, SKIP, found, view=AS_ENFORCED).rows["is_taken"].to_list()

    alone = [
        evaluate(
            named.policy,
            Question(
                decision="test_selection", action="skip_tests", on="low", holds=False, now=BEGIN,
                prediction=PredictionView(
                    probability=row["probability"], made_at=BEGIN, duration_ms=row["expected_duration_ms"]
                ),
            ),
        ).takes
        for row in found.iter_rows(named=True)
    ]  # fmt: skip
    assert at_once == alone


def test_a_budget_leaves_for_later_what_the_hook_would_have_left() -> None:
    named = policy("test_selection", "scope: development, skip_below: 0.01")

    found = compare([named], SKIP, TESTED, {"50%": parse_budget("50%")})

    (ours, _baseline) = [row for row in found if row["policy"].startswith("budget 50%")]
    assert ours["policy"] == "budget 50%, in the order of what spoke"
    assert (ours["acted"]["subjects"], ours["caught"], ours["escaped"]) == (5, 1, 1)


def test_a_rate_limit_leaves_the_units_beyond_it_alone() -> None:
    named = policy("deploy_risk", "ceiling: autonomous, deny_at: 0.4, rate_limit: {max: 1, per_hours: 2}")
    found = frame([subject(number, 0.9, 1.0) for number in range(5)])

    row = by_view(compare([named], HOLD, found, {}))[AS_ENFORCED]

    held_out = row["held_out"]["n"]
    assert row["acted"]["units"] + held_out <= 3
    assert row["acted"]["units"] < 5


def test_the_holdout_is_drawn_as_live_hooks_draw_it() -> None:
    named = policy("deploy_risk", "ceiling: autonomous, deny_at: 0.4, holdout: 0.05")
    found = frame([subject(number, 0.9, 1.0) for number in range(400)])

    first, again = (by_view(compare([named], HOLD, found, {}))[AS_ENFORCED] for _ in range(2))

    assert first["held_out"] == again["held_out"]
    assert 0.01 < first["held_out"]["share"] < 0.12
    assert first["escaped"] == first["held_out"]["n"]


def points(*found: tuple[float, float]) -> pl.DataFrame:
    return pl.DataFrame({
        "q_025": [q - 40 for q, _ in found], "q_100": [q - 30 for q, _ in found], "value": [q - 20 for q, _ in found],
        "q_900": [q - 10 for q, _ in found], "q_975": [q for q, _ in found], "outcome": [y for _, y in found],
        "maturity": ["mature"] * len(found), "cluster": [f"c{n}" for n in range(len(found))],
    })  # fmt: skip


def test_capacity_at_the_quantile_costs_what_is_idle_and_what_falls_short() -> None:
    prices = Prices("EUR", {"capacity_minute": Decimal("0.10"), "slo_minute": Decimal(7)})

    found = capacity(points((100.0, 90.0), (100.0, 120.0)), None, prices, needed=30)

    assert (found.n, found.n_short, found.idle) == (2, 1, 10.0)
    assert found.cost == Decimal("8.00")
    assert found.text == "insufficient data: 2 of 30"


def test_a_quantile_between_those_predicted_is_interpolated_and_one_beyond_is_said() -> None:
    none = Prices("", {})

    between = capacity(points((100.0, 95.0)), 0.9375, none, needed=30)
    beyond = capacity(points((100.0, 95.0)), 0.999, none, needed=30)

    assert between.n_short == 0
    assert between.idle == pytest.approx(0.0)
    assert beyond.note.startswith("the quantile 0.999 is not predicted: 0.975 stands in")


def test_a_policy_without_thresholds_holds_nothing() -> None:
    named = policy("deploy_risk", "ceiling: autonomous")

    row = by_view(compare([named], HOLD, CHANGES, {}))[AS_ENFORCED]

    assert (row["acted"]["units"], row["verdicts"]["allow"]) == (0, 5)
    assert effective(named.policy, "deploy_risk").deny_at is None
