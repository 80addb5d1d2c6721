"""A policy in words: what holds for every decision and action, and how each derived number came about. Data for pages.

Put here what a reader of a policy is shown. Laying it out belongs to ``cli`` and the pages.
"""

from typing import Any

from msgspec import UNSET

from weaver_forge.policy.document import BlastRadius, Freeze, Policy, RateLimit, Select
from weaver_forge.policy.effective import THRESHOLDS, Rule, effective
from weaver_forge.policy.judging import said

ALONE = "(all of it)"
"""Stands for the decision as a whole where an action has rules of its own."""


def effective_rules(policy: Policy) -> list[Rule]:
    """The effective rule of every decision that the document names, and of each of its actions."""
    return [
        effective(policy, name, action)
        for name, decision in policy.decisions.items()
        for action in ("", *decision.actions)
    ]


def as_rows(policy: Policy) -> list[dict[str, Any]]:
    """One row a decision and action: what holds, in plain values."""
    return [_row(rule) for rule in effective_rules(policy)]


def formulas(policy: Policy) -> list[str]:
    """Every threshold that money has a say in: derived with its formula, or given beside what costs would say."""
    found = []
    for rule in effective_rules(policy):
        keys = [key for key in THRESHOLDS if key in rule.derived and key in rule.origin]
        found += [f"{_about(rule)}: {said(rule, key)}" for key in keys]
        if rule.review_at is not None and rule.deny_at is not None and rule.review_at >= rule.deny_at:
            found.append(f"{_about(rule)}: no review, since review_at is not below deny_at")
    return list(dict.fromkeys(found))


def rate_text(limit: RateLimit | None) -> str | None:
    """A rate limit in words; None where there is none."""
    return None if limit is None else f"{limit.max} in {limit.per_hours:g} h, then {limit.then}"


def radius_text(radius: BlastRadius | None) -> str | None:
    """A blast-radius budget in words; None where there is none."""
    if radius is None:
        return None
    share = [f"{radius.max_share:.4g} of all"] if radius.max_share is not UNSET else []
    units = [f"{radius.max_units} units"] if radius.max_units is not UNSET else []
    return f"{' and '.join(share + units)} in {radius.per_hours:g} h, then {radius.then}"


def select_text(select: Select | None) -> str | None:
    """What a selection is to reach, in words; None where policy does not say."""
    if select is None:
        return None
    parts = [f"confidence {select.confidence:.4g}"] if select.confidence is not UNSET else []
    parts += [f"time {select.time_minutes:g} minutes"] if select.time_minutes is not UNSET else []
    parts += [f"target {select.target:.4g} of the time"] if select.target is not UNSET else []
    parts += [f"ordered by {select.objective}"] if select.objective is not UNSET else []
    return ", ".join(parts)


def freeze_text(window: Freeze) -> str:
    """A freeze window in words."""
    parts = [f"from {window.from_:%Y-%m-%d %H:%M}"] if window.from_ is not UNSET else []
    parts += [f"until {window.until:%Y-%m-%d %H:%M}"] if window.until is not UNSET else []
    parts += [", ".join(window.days)] if window.days else []
    parts += [window.hours] if window.hours is not UNSET else []
    where = f" in {', '.join(window.environments)}" if window.environments else ""
    but = f", but not for {', '.join(window.except_)}" if window.except_ else ""
    return f"{' '.join(parts)} {window.time_zone}{where}{but}: {window.reason}"


def _row(rule: Rule) -> dict[str, Any]:
    return {
        "decision": rule.decision,
        "action": rule.action or ALONE,
        "scope": str(rule.scope),
        "ceiling": str(rule.ceiling),
        "bar": rule.bar,
        "supervised_bar": rule.supervised_bar,
        **{key: _threshold(rule, key) for key in THRESHOLDS},
        "on_unknown": str(rule.on_unknown),
        "max_age_hours": rule.max_age_hours,
        "approval_hours": rule.approval_hours,
        "select": select_text(rule.select),
        "quarantine_days": rule.quarantine_days,
        "holdout": rule.holdout,
        "rate_limit": rate_text(rule.rate_limit),
        "blast_radius": radius_text(rule.blast_radius),
        "freeze": [freeze_text(window) for window in rule.freeze],
        "protected_paths": list(rule.protected_paths),
        "costs": {name: f"{amount:f} {rule.prices.currency}" for name, amount in rule.prices.amounts.items()},
        "evidence": {name: getattr(rule.evidence, name) for name in type(rule.evidence).__slots__},
    }


def _threshold(rule: Rule, key: str) -> float | str | None:
    """A number; for one that depends on a test's duration the words for it."""
    derived = rule.derived.get(key)
    if key in rule.from_costs and derived is not None and derived.per_minute:
        return f"{derived.value:.4g} a minute"
    value: float | None = getattr(rule, key)
    return value


def _about(rule: Rule) -> str:
    return f"{rule.decision} {rule.action}".strip()
