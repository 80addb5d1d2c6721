"""Every cell of the verdict table: freshness x verdict x level x fail mode, with and without a person's yes."""

import itertools
from datetime import datetime, timedelta

import pytest

from weaver_forge.contracts.values import Freshness, Level, Verdict
from weaver_forge.policy import (
    Approval,
    DecisionPolicy,
    OnUnknown,
    Policy,
    PredictionView,
    Question,
    Ruling,
    evaluate,
)

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
    freshness: Freshness, verdict: Verdict, level: Level, mode: OnUnknown, approval: Approval | None = None
) -> Ruling:
    rule = DecisionPolicy(ceiling=level, on_unknown=mode, max_age_hours=24, review_at=0.35, deny_at=0.7)
    policy = Policy(version=1, decisions={"deploy_risk": rule})
    found = _found(freshness, PROBABILITY[verdict])
    question = Question(decision="deploy_risk", prediction=found, now=NOW, approval=approval, earned=level)
    return evaluate(policy, question)


@pytest.mark.parametrize(("freshness", "verdict", "level", "mode"), CELLS)
def test_every_cell_of_the_table_is_as_written(
    freshness: Freshness, verdict: Verdict, level: Level, mode: OnUnknown
) -> None:
    """Only a fresh prediction gets its own verdict; all else is unknown, whatever its probability says."""
    column = list(Level).index(level)

    ruling = _ruling(freshness, verdict, level, mode)

    trusted = freshness is Freshness.FRESH
    assert ruling.freshness is freshness
    assert ruling.verdict is (verdict if trusted else Verdict.UNKNOWN)
    assert ruling.exit_code == (WRITTEN[verdict] if trusted else WRITTEN_UNKNOWN[mode])[column]
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
