"""Every cell of the verdict table: freshness x verdict x level x fail mode, with and without a person's yes."""

import itertools
from datetime import datetime, timedelta
from typing import Any

import pytest

from weaver_forge.contracts.values import Freshness, Level, Verdict
from weaver_forge.policy import (
    Approval,
    DecisionPolicy,
    Freeze,
    OnUnknown,
    Policy,
    PredictionView,
    Question,
    Ruling,
    evaluate,
    lowest,
    table,
)
from weaver_forge.policy.document import Weekday

NOW = datetime(2026, 3, 1, 12)
PROBABILITY = {Verdict.ALLOW: 0.1, Verdict.REVIEW: 0.5, Verdict.DENY: 0.9}
WRITTEN = {  # verdict: exit code under assisted, supervised, autonomous
    Verdict.ALLOW: (0, 0, 0),
    Verdict.REVIEW: (0, 3, 3),
    Verdict.DENY: (0, 3, 1),
}
WRITTEN_UNKNOWN = {OnUnknown.FAIL_OPEN: (0, 0, 0), OnUnknown.FAIL_CLOSED: (3, 3, 3)}
CELLS = list(itertools.product(Freshness, PROBABILITY, Level, OnUnknown))


def _found(freshness: Freshness, probability: float) -> PredictionView | None:
    if freshness is Freshness.MISSING:
        return None
    age = timedelta(hours=25 if freshness is Freshness.STALE else 1)
    doubt = "two predictions disagree" if freshness is Freshness.CONTRADICTORY else ""
    return PredictionView(probability=probability, made_at=NOW - age, contradiction=doubt)


def _ruling(
    freshness: Freshness,
    verdict: Verdict,
    level: Level,
    mode: OnUnknown,
    approval: Approval | None = None,
    *,
    earned: Level | None = None,
    freeze: tuple[Freeze, ...] = (),
    **more: Any,
) -> Ruling:
    """What is said under a ceiling, with the same level earned unless another one is."""
    rule = DecisionPolicy(ceiling=level, on_unknown=mode, max_age_hours=24, review_at=0.35, deny_at=0.7, freeze=freeze)
    policy = Policy(version=1, decisions={"deploy_risk": rule})
    found = _found(freshness, PROBABILITY[verdict])
    question = Question(
        decision="deploy_risk", prediction=found, now=NOW, approval=approval, earned=earned or level, **more
    )
    return evaluate(policy, question)


def _cell(freshness: Freshness, verdict: Verdict, level: Level, mode: OnUnknown) -> tuple[Verdict, int]:
    """Verdict and exit code as the table says."""
    column = list(Level).index(level)
    if freshness is Freshness.FRESH:
        return verdict, WRITTEN[verdict][column]
    return Verdict.UNKNOWN, WRITTEN_UNKNOWN[mode][column]


@pytest.mark.parametrize(("freshness", "verdict", "level", "mode"), CELLS)
def test_every_cell_of_the_table_is_as_written(
    freshness: Freshness, verdict: Verdict, level: Level, mode: OnUnknown
) -> None:
    """Only a fresh prediction gets its own verdict; all else is unknown, whatever its probability says."""
    ruling = _ruling(freshness, verdict, level, mode)

    assert ruling.freshness is freshness
    assert (ruling.verdict, ruling.exit_code) == _cell(freshness, verdict, level, mode)
    assert ruling.reasons[0]


@pytest.mark.parametrize(("freshness", "verdict", "level", "mode"), CELLS)
def test_a_persons_yes_exits_0_and_keeps_the_verdict(
    freshness: Freshness, verdict: Verdict, level: Level, mode: OnUnknown
) -> None:
    yes = Approval(actor="ana", reason="looked at it", expires_at=NOW + timedelta(minutes=1))

    approved = _ruling(freshness, verdict, level, mode, yes)

    assert approved.exit_code == 0
    assert approved.verdict is _ruling(freshness, verdict, level, mode).verdict


@pytest.mark.parametrize(("freshness", "verdict", "level", "mode"), CELLS)
def test_an_expired_yes_changes_nothing(freshness: Freshness, verdict: Verdict, level: Level, mode: OnUnknown) -> None:
    expired = Approval(actor="ana", reason="looked at it", expires_at=NOW)

    assert _ruling(freshness, verdict, level, mode, expired) == _ruling(freshness, verdict, level, mode)


@pytest.mark.parametrize(("freshness", "verdict", "level", "mode"), CELLS)
@pytest.mark.parametrize("earned", list(Level))
def test_a_predictions_verdict_is_enforced_at_the_lower_of_ceiling_and_earned(
    freshness: Freshness, verdict: Verdict, level: Level, mode: OnUnknown, earned: Level
) -> None:
    """Every cell again for every pair of the two: a ceiling alone, or a standing alone, enforces nothing."""
    in_force = lowest(level, earned)

    ruling = _ruling(freshness, verdict, level, mode, earned=earned)

    assert ruling.level is in_force
    assert (ruling.verdict, ruling.exit_code) == _cell(freshness, verdict, in_force, mode)


@pytest.mark.parametrize(("freshness", "verdict", "level", "mode"), CELLS)
def test_halted_every_cell_is_the_assisted_one(
    freshness: Freshness, verdict: Verdict, level: Level, mode: OnUnknown
) -> None:
    ruling = _ruling(freshness, verdict, level, mode, halted="stop (ana)")

    assert (ruling.verdict, ruling.exit_code) == _cell(freshness, verdict, Level.ASSISTED, mode)


@pytest.mark.parametrize(("freshness", "verdict", "level", "mode"), CELLS)
def test_held_out_every_judged_cell_exits_0_and_keeps_its_verdict(
    freshness: Freshness, verdict: Verdict, level: Level, mode: OnUnknown
) -> None:
    """The holdout is of predictions: an unknown that fails closed is no part of it."""
    ruling = _ruling(freshness, verdict, level, mode, draw=0.0)

    expected, code = _cell(freshness, verdict, level, mode)
    trusted = freshness is Freshness.FRESH
    assert (ruling.verdict, ruling.exit_code) == (expected, 0 if trusted else code)
    assert ruling.held_out is (trusted and level is not Level.ASSISTED)


@pytest.mark.parametrize(("freshness", "verdict", "level", "mode"), CELLS)
@pytest.mark.parametrize("earned", list(Level))
def test_frozen_every_cell_is_the_denied_one_at_the_ceiling(
    freshness: Freshness, verdict: Verdict, level: Level, mode: OnUnknown, earned: Level
) -> None:
    """A person's rule needs no earning; only an unknown that fails closed may be stricter than it at assisted."""
    ruling = _ruling(freshness, verdict, level, mode, earned=earned, freeze=(Freeze(reason="r", days=tuple(Weekday)),))

    _, own = _cell(freshness, verdict, lowest(level, earned), mode)
    denied = WRITTEN[Verdict.DENY][list(Level).index(level)]
    strictest = max(own, denied, key=(0, 3, 1).index)
    assert ruling.exit_code == strictest
    assert ruling.freshness is freshness
    assert (ruling.verdict is Verdict.DENY) is (strictest == denied)


def test_the_table_as_data_is_the_one_written_here() -> None:
    assert set(table.JUDGED) == set(Freshness)
    assert [freshness for freshness in Freshness if table.JUDGED[freshness]] == [Freshness.FRESH]
    for level, verdict in itertools.product(Level, WRITTEN):
        assert table.EXIT_CODES[verdict, None][level] == WRITTEN[verdict][list(Level).index(level)]
    for level, mode in itertools.product(Level, OnUnknown):
        assert table.EXIT_CODES[Verdict.UNKNOWN, mode][level] == WRITTEN_UNKNOWN[mode][list(Level).index(level)]


@pytest.mark.parametrize("probability", [float("nan"), float("inf"), -0.01, 1.01, None])
@pytest.mark.parametrize("level", list(Level))
def test_what_is_no_probability_is_unknown(probability: float | None, level: Level) -> None:
    """NaN compares false with every threshold; it must not become an allow."""
    rule = DecisionPolicy(ceiling=level, on_unknown=OnUnknown.FAIL_CLOSED, review_at=0.35, deny_at=0.7)
    found = PredictionView(probability=probability, made_at=NOW)

    ruling = evaluate(
        Policy(version=1, decisions={"d": rule}), Question(decision="d", prediction=found, now=NOW, earned=level)
    )

    assert (ruling.verdict, ruling.exit_code) == (Verdict.UNKNOWN, 3)
