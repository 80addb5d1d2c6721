"""What a prediction alone says under a policy: how far it can be trusted, and its verdict by the thresholds.

Put here what looks at probability, age and thresholds. Who may enforce the verdict, and what a person wrote besides,
is ``ruling``'s.
"""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import timedelta

from weaver_forge.contracts.values import Freshness, Verdict
from weaver_forge.policy import money, table
from weaver_forge.policy.effective import Rule
from weaver_forge.policy.question import On, PredictionView, Question

CLOCK_TOLERANCE = timedelta(minutes=5)
"""How far in the future a prediction may lie before two clocks contradict each other."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """A prediction's own verdict.

    Args:
        rules: Those that took part, as the ruling names them.
        takes: Whether the action would be taken on it.
    """

    verdict: Verdict
    freshness: Freshness
    why: str
    rules: tuple[str, ...] = ()
    takes: bool = False


def judge(rule: Rule, question: Question) -> Judgement:
    """Judge what was found, or that nothing was."""
    freshness, doubt = _freshness(question.prediction, rule, question)
    doubt = doubt or _unjudgeable(rule, question)
    if doubt or question.prediction is None or not table.JUDGED[freshness]:
        fired = [f"{named(rule, 'max_age_hours')}={rule.max_age_hours:g}"] if freshness is Freshness.STALE else []
        fired.append(f"{named(rule, 'on_unknown')}={rule.on_unknown}")
        return Judgement(verdict=Verdict.UNKNOWN, freshness=freshness, why=doubt, rules=tuple(fired))
    if question.on == "low" and question.aim:
        why = f"{question.action or question.decision} by {question.aim}"
        return Judgement(
            verdict=Verdict.ALLOW, freshness=freshness, why=why, rules=(f"aim={question.aim}",), takes=True
        )
    if question.on == "low":
        return _skipped(rule, question.prediction)
    if question.on == "upper":
        why = f"{question.action or question.decision} follows the forecast"
        rules = (said(rule, "cover_at"),) if rule.cover_at is not None else ()
        return Judgement(verdict=Verdict.ALLOW, freshness=freshness, why=why, rules=rules, takes=True)
    return _by_thresholds(rule, question, question.prediction)


def named(rule: Rule, key: str) -> str:
    """A key as a ruling names it: with the layer that said it."""
    return f"{rule.origin[key]}.{key}" if key in rule.origin else f"{rule.decision}.{key} (default)"


def said(rule: Rule, key: str) -> str:
    """A threshold with where it is from: derived with its formula; given, with what money would say."""
    value = getattr(rule, key)
    derived = rule.derived.get(key)
    text = f"{named(rule, key)}={'none' if value is None else f'{value:.4g}'}"
    if derived is None:
        return text
    if key in rule.from_costs:
        return f"{text} from costs: {derived.formula}"
    if key not in rule.origin:
        return text
    would = "none" if derived.value is None else f"{derived.value:.4g}" + (" a minute" if derived.per_minute else "")
    return f"{text} as given; costs would say {would}: {derived.formula}"


def _freshness(found: PredictionView | None, rule: Rule, question: Question) -> tuple[Freshness, str]:
    """The state of what was found, and why it must not be used (empty: it may be)."""
    if found is None:
        return Freshness.MISSING, question.unknown_reason or "no prediction for this subject"
    age = question.now - found.made_at
    if contradiction := _contradiction(found, age):
        return Freshness.CONTRADICTORY, contradiction
    if age > timedelta(hours=rule.max_age_hours):
        hours = age / timedelta(hours=1)
        return Freshness.STALE, f"the prediction is {hours:.1f} h old; policy takes at most {rule.max_age_hours:g} h"
    return Freshness.FRESH, question.unknown_reason


def _contradiction(found: PredictionView, age: timedelta) -> str:
    """Why a prediction cannot be believed whatever its age; empty where it can."""
    if found.contradiction:
        return found.contradiction
    if age < -CLOCK_TOLERANCE:
        return f"the prediction is from the future ({found.made_at:%Y-%m-%d %H:%M} UTC)"
    if found.probability is not None and not 0 <= found.probability <= 1:
        return f"{found.probability} is no probability"
    return "" if found.value is None or math.isfinite(found.value) else f"{found.value} is no quantity"


def _unjudgeable(rule: Rule, question: Question) -> str:
    """Why a fresh prediction cannot be judged; empty where it can."""
    found = question.prediction
    if found is None:
        return ""
    if question.on == "upper":
        return "" if found.value is not None else "the prediction has no value, and the action needs one"
    if question.aim:
        return ""  # an order is enough for what is not held against a threshold
    asked = rule.skip_below if question.on == "low" else _lowest_threshold(rule)
    if asked is not None and found.probability is None:
        return "the prediction has no probability, and policy asks for one"
    return ""


def _lowest_threshold(rule: Rule) -> float | None:
    return min((value for value in (rule.review_at, rule.deny_at) if value is not None), default=None)


def _by_thresholds(rule: Rule, question: Question, found: PredictionView) -> Judgement:
    """Compare a usable probability with the thresholds; a threshold itself already counts."""
    lowest = _lowest_threshold(rule)
    rules = tuple(said(rule, key) for key in ("review_at", "deny_at") if key in rule.origin)
    if lowest is None:
        why = f"{question.decision} has no thresholds: it orders or forecasts and holds nothing back"
        return Judgement(verdict=Verdict.ALLOW, freshness=Freshness.FRESH, why=why, rules=rules)
    assert found.probability is not None
    p = found.probability
    if rule.deny_at is not None and p >= rule.deny_at:
        verdict, why, takes = Verdict.DENY, f"probability {p:.3f} reaches deny_at {rule.deny_at:.4g}", True
    elif rule.review_at is not None and p >= rule.review_at:
        verdict, why, takes = Verdict.REVIEW, f"probability {p:.3f} reaches review_at {rule.review_at:.4g}", False
    else:
        name = "review_at" if rule.review_at == lowest else "deny_at"
        verdict, why, takes = Verdict.ALLOW, f"probability {p:.3f} is below {name} {lowest:.4g}", False
    if not question.holds:  # an action that does something is taken or left; it stops nobody
        verdict = Verdict.ALLOW
    return Judgement(verdict=verdict, freshness=Freshness.FRESH, why=why, rules=rules, takes=takes)


def _skipped(rule: Rule, found: PredictionView) -> Judgement:
    """Whether a test need not run now: given, or by what running it costs against an escape."""
    limit, rules = skip_limit(rule, found.duration_ms), skip_rules(rule, found.duration_ms)
    verdict, freshness = Verdict.ALLOW, Freshness.FRESH
    if limit is None:
        why = "no threshold says what may be skipped: everything runs"
        if "skip_below" in rule.from_costs:
            why = "how long the test takes is not known, so what skipping it saves is not either: it runs"
        return Judgement(verdict=verdict, freshness=freshness, why=why, rules=rules)
    assert found.probability is not None
    below = found.probability < limit
    why = f"probability {found.probability:.4g} {'is below' if below else 'reaches'} skip_below {limit:.4g}"
    return Judgement(verdict=verdict, freshness=freshness, why=why, rules=rules, takes=below)


def may_wait(rule: Rule, question: Question, views: Iterable[PredictionView]) -> Iterator[bool]:
    """Of many predictions for one question: which of them :func:`judge` would say of that the action is taken.

    Without a sentence for each, so that ten thousand tests cost little, and only of as many as are asked for; one
    that is not fresh, or has no number, runs.
    """
    for view in views:
        freshness, doubt = _freshness(view, rule, question)
        limit = skip_limit(rule, view.duration_ms)
        is_usable = freshness is Freshness.FRESH and not doubt and view.probability is not None
        yield is_usable and limit is not None and view.probability < limit  # type: ignore[operator] # usable has one


def never_taken(rule: Rule, on: On) -> str:
    """Why an action can never be taken under a rule, so that it has no trials and earns nothing; empty where it can."""
    key = {"low": "skip_below", "high": "deny_at", "upper": ""}[on]
    value = getattr(rule, key) if key else None
    if not key or (value is not None and (on == "high" or value > 0)):
        return ""
    about = f"decisions.{rule.decision}" if not rule.action else f"decisions.{rule.decision}.actions.{rule.action}"
    if key in rule.from_costs:
        return f"{key} of {about} is from_costs, and these amounts are not given or zero: " + ", ".join(
            money.needed(key, rule.action)
        )
    set_ = f"policy sets {key} to 0" if value is not None else f"policy sets no {key}"
    return f"{set_} for {rule.action or rule.decision}: write one below {about}, a number or from_costs"


def skip_limit(rule: Rule, duration_ms: float | None) -> float | None:
    """The probability below which a test of this length may wait; None: it may not."""
    derived = rule.derived.get("skip_below")
    if "skip_below" not in rule.from_costs or derived is None:
        return rule.skip_below
    return money.worth(derived, duration_ms) if duration_ms is not None and duration_ms >= 0 else None


def skip_rules(rule: Rule, duration_ms: float | None = None) -> tuple[str, ...]:
    """The threshold of what may wait in words, for a test of this length where it depends on that."""
    derived = rule.derived.get("skip_below")
    if "skip_below" in rule.from_costs and derived is not None and duration_ms is not None and duration_ms >= 0:
        made = money.of_duration(derived, duration_ms)
        return (f"{named(rule, 'skip_below')}={made.value:.4g} from costs: {made.formula}",)
    return (said(rule, "skip_below"),) if "skip_below" in rule.origin else ()
