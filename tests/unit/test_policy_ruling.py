"""The judgement beyond the table: reasons, thresholds at their edge, the clock."""

from datetime import datetime, timedelta

import pytest

from weaver_forge.contracts.values import Freshness, Verdict
from weaver_forge.policy import DecisionPolicy, Policy, PredictionView, Question, evaluate

NOW = datetime(2026, 3, 1, 12)
GIVEN = Policy(version=1, decisions={"d": DecisionPolicy(review_at=0.35, deny_at=0.7), "order": DecisionPolicy()})


def _view(probability: float | None = 0.1, *, age: timedelta = timedelta()) -> PredictionView:
    return PredictionView(probability=probability, made_at=NOW - age)


@pytest.mark.parametrize(
    ("probability", "verdict"),
    [(0.0, "allow"), (0.3499, "allow"), (0.35, "review"), (0.6999, "review"), (0.7, "deny"), (1.0, "deny")],
)
def test_a_threshold_itself_already_counts(probability: float, verdict: str) -> None:
    assert evaluate(GIVEN, Question(decision="d", prediction=_view(probability), now=NOW)).verdict == verdict


def test_a_decision_without_thresholds_allows_and_says_why() -> None:
    ruling = evaluate(GIVEN, Question(decision="order", prediction=_view(None), now=NOW))

    assert ruling.verdict is Verdict.ALLOW
    assert "no thresholds" in ruling.reasons[0]


def test_an_unnamed_decision_says_that_defaults_hold() -> None:
    ruling = evaluate(GIVEN, Question(decision="new_one", prediction=_view(0.99), now=NOW))

    assert ruling.exit_code == 0
    assert any("does not name new_one" in reason for reason in ruling.reasons)


def test_missing_sources_are_said_and_never_judged() -> None:
    ruling = evaluate(GIVEN, Question(decision="d", prediction=_view(0.1), now=NOW, sources_missing=("incidents",)))

    assert ruling.verdict is Verdict.ALLOW
    assert any("incidents" in reason for reason in ruling.reasons)


def test_a_prediction_from_the_future_is_contradictory() -> None:
    """Two clocks disagree: nothing about its age can be believed."""
    ruling = evaluate(GIVEN, Question(decision="d", prediction=_view(age=-timedelta(hours=1)), now=NOW))

    assert (ruling.verdict, ruling.freshness) == (Verdict.UNKNOWN, Freshness.CONTRADICTORY)


def test_a_ruling_expires_with_its_prediction_and_unknown_never_holds() -> None:
    fresh = evaluate(GIVEN, Question(decision="d", prediction=_view(), now=NOW))
    unknown = evaluate(GIVEN, Question(decision="d", prediction=None, now=NOW, unknown_reason="shallow clone"))

    assert fresh.expires_at == NOW + timedelta(hours=24)
    assert unknown.expires_at is None
    assert unknown.reasons[0] == "shallow clone"


def test_a_shadow_ruling_is_not_applied() -> None:
    assert evaluate(GIVEN, Question(decision="d", prediction=_view(0.99), now=NOW)).applied is False
