"""The judgement: prediction, policy and a person's yes in, verdict and exit code out. Pure; time is an argument.

Put here what decides. How a verdict is shown or stored belongs in ``hooks``. The table of verdicts and exit codes
is swept cell by cell by ``tests/contract/test_verdict_table.py``.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from weaver_forge.contracts.values import Freshness, Level, Scope, Verdict
from weaver_forge.policy.document import DecisionPolicy, OnUnknown, Policy

ALLOWED, DENIED, A_PERSON_DECIDES = 0, 1, 3

CLOCK_TOLERANCE = timedelta(minutes=5)
"""How far in the future a prediction may lie before two clocks contradict each other."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PredictionView:
    """What policy needs to know of a prediction.

    Args:
        probability: That it goes wrong; None for a quantity or a mere order.
        made_at: When it was computed, naive UTC: its age counts from here.
        data_as_of: Newest known_at of the data behind it, naive UTC.
        contradiction: Why it cannot be trusted although it is there ("two predictions disagree"); empty when it can.
    """

    probability: float | None
    made_at: datetime
    data_as_of: datetime | None = None
    contradiction: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Approval:
    """A person's yes to one decision unit at one hook."""

    actor: str
    reason: str
    expires_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Ruling:
    """What policy made of a prediction.

    Args:
        applied: False where the hook only says it (shadow) and nothing stops.
        exit_code: 0, 1 (an enforced deny alone) or 3 (a person decides).
        reasons: In words, what decided first.
        rules: The keys of the policy that took part, as ``decision.key=value``.
        expires_at: When the ruling stops being worth anything; None where it never was (unknown).
    """

    verdict: Verdict
    level: Level
    scope: Scope
    freshness: Freshness
    applied: bool
    exit_code: int
    reasons: tuple[str, ...]
    rules: tuple[str, ...]
    expires_at: datetime | None


def exit_code(verdict: Verdict, level: Level, on_unknown: OnUnknown) -> int:
    """The exit code of a verdict, before a person's yes.

    ========================  ========  ==========  ==========
    verdict                   assisted  supervised  autonomous
    ========================  ========  ==========  ==========
    allow                     0         0           0
    review                    0         3           3
    deny                      0         3           1
    unknown, fail_open        0         0           0
    unknown, fail_closed      3         3           3
    ========================  ========  ==========  ==========
    """
    if verdict is Verdict.ALLOW:
        return ALLOWED
    if verdict is Verdict.UNKNOWN:
        return A_PERSON_DECIDES if on_unknown is OnUnknown.FAIL_CLOSED else ALLOWED
    if level is Level.ASSISTED:
        return ALLOWED
    return DENIED if verdict is Verdict.DENY and level is Level.AUTONOMOUS else A_PERSON_DECIDES


def evaluate(
    policy: Policy,
    decision: str,
    *,
    prediction: PredictionView | None,
    now: datetime,
    sources_missing: Sequence[str] = (),
    approval: Approval | None = None,
    unknown_reason: str = "",
) -> Ruling:
    """Judge one decision unit.

    Args:
        policy: The reviewed document.
        decision: Name of the decision.
        prediction: What was found, or None.
        now: Naive UTC.
        sources_missing: Sources that the prediction would have used and did not have; said, never judged.
        approval: A person's yes; counts until it expires, and leaves the verdict as it is.
        unknown_reason: Why nothing can be said, where the hook knows better than "no prediction".
    """
    rule, named = policy.for_decision(decision)
    freshness, doubt = _freshness(prediction, rule, now, unknown_reason)
    if doubt or prediction is None:
        verdict, why, rules = Verdict.UNKNOWN, doubt, [f"{decision}.on_unknown={rule.on_unknown}"]
    else:
        verdict, why, rules = _judge(prediction.probability, rule, decision)
    code = exit_code(verdict, rule.level, rule.on_unknown)
    reasons = [why, *_remarks(rule, verdict, decision, named=named, sources_missing=sources_missing)]
    if freshness is Freshness.STALE:
        rules.append(f"{decision}.max_age_hours={rule.max_age_hours:g}")
    if approval is not None and now < approval.expires_at and code != ALLOWED:
        code = ALLOWED
        reasons.append(
            f"approved by {approval.actor} until {approval.expires_at:%Y-%m-%d %H:%M} UTC: {approval.reason}"
        )
        rules.append("approval")
    rules.append(f"{decision}.level={rule.level}")
    return Ruling(
        verdict=verdict,
        level=rule.level,
        scope=rule.scope,
        freshness=freshness,
        applied=rule.level is not Level.ASSISTED or code != ALLOWED,
        exit_code=code,
        reasons=tuple(reasons),
        rules=tuple(rules),
        expires_at=_expiry(prediction, rule) if verdict is not Verdict.UNKNOWN else None,
    )


def _freshness(
    prediction: PredictionView | None, rule: DecisionPolicy, now: datetime, unknown_reason: str
) -> tuple[Freshness, str]:
    """The state of what was found, and why it must not be used (empty: it may be)."""
    if prediction is None:
        return Freshness.MISSING, unknown_reason or "no prediction for this subject"
    age = now - prediction.made_at
    if prediction.contradiction:
        return Freshness.CONTRADICTORY, prediction.contradiction
    if age < -CLOCK_TOLERANCE:
        return Freshness.CONTRADICTORY, f"the prediction is from the future ({prediction.made_at:%Y-%m-%d %H:%M} UTC)"
    if prediction.probability is not None and not 0 <= prediction.probability <= 1:
        return Freshness.CONTRADICTORY, f"{prediction.probability} is no probability"
    if age > timedelta(hours=rule.max_age_hours):
        hours = age / timedelta(hours=1)
        return Freshness.STALE, f"the prediction is {hours:.1f} h old; policy takes at most {rule.max_age_hours:g} h"
    return Freshness.FRESH, unknown_reason or _unjudgeable(prediction.probability, rule)


def _unjudgeable(probability: float | None, rule: DecisionPolicy) -> str:
    thresholds = rule.review_at is not None or rule.deny_at is not None
    return "the prediction has no probability, and policy asks for one" if thresholds and probability is None else ""


def _judge(probability: float | None, rule: DecisionPolicy, decision: str) -> tuple[Verdict, str, list[str]]:
    """Compare a usable probability with the thresholds; a threshold itself already counts."""
    if rule.review_at is None and rule.deny_at is None:
        return Verdict.ALLOW, f"{decision} has no thresholds: it orders or forecasts and holds nothing back", []
    assert probability is not None
    assert math.isfinite(probability)
    if rule.deny_at is not None and probability >= rule.deny_at:
        why = f"probability {probability:.3f} reaches deny_at {rule.deny_at:g}"
        return Verdict.DENY, why, [f"{decision}.deny_at={rule.deny_at:g}"]
    if rule.review_at is not None and probability >= rule.review_at:
        why = f"probability {probability:.3f} reaches review_at {rule.review_at:g}"
        return Verdict.REVIEW, why, [f"{decision}.review_at={rule.review_at:g}"]
    lowest = rule.review_at if rule.review_at is not None else rule.deny_at
    name = "review_at" if rule.review_at is not None else "deny_at"
    return Verdict.ALLOW, f"probability {probability:.3f} is below {name} {lowest:g}", [f"{decision}.{name}={lowest:g}"]


def _remarks(
    rule: DecisionPolicy, verdict: Verdict, decision: str, *, named: bool, sources_missing: Sequence[str]
) -> list[str]:
    remarks = []
    if verdict is Verdict.UNKNOWN:
        closed = rule.on_unknown is OnUnknown.FAIL_CLOSED
        said = "closed by policy: a person decides" if closed else "open by policy: not stopped"
        remarks.append(f"unknown fails {said}")
    elif rule.level is Level.ASSISTED and verdict is not Verdict.ALLOW:
        remarks.append("level assisted: said, not enforced")
    if sources_missing:
        remarks.append(f"without {', '.join(sources_missing)}, which the prediction would have used")
    if not named:
        remarks.append(f"the policy does not name {decision}: assisted defaults hold")
    return remarks


def _expiry(prediction: PredictionView | None, rule: DecisionPolicy) -> datetime | None:
    return prediction.made_at + timedelta(hours=rule.max_age_hours) if prediction is not None else None
