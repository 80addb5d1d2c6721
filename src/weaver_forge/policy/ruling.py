"""The judgement: policy and question in, verdict and exit code out. Pure; time is an argument.

Put here what is asked in which order, and who may enforce what:

1. kill switch: everything is assisted;
2. freeze windows and 3. protected paths: rules that a person wrote, in force at the ceiling without being earned;
4. what cannot be trusted is unknown; 5. thresholds: the prediction's own verdict;
6. holdout, 7. rate limit, 8. blast radius, 9. ceiling, 10. earned level: how far that verdict may be enforced;
11. a person's yes, until it expires.

Of what a person wrote and what the prediction says the stricter exit code decides, of equal ones the stricter
verdict; unknown is stricter than allow and never becomes one.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from weaver_forge.contracts.values import Level, Verdict
from weaver_forge.policy import table, windows
from weaver_forge.policy.document import OnUnknown, Policy
from weaver_forge.policy.effective import Rule, effective, lowest
from weaver_forge.policy.judging import Judgement, judge, named
from weaver_forge.policy.paths import protected
from weaver_forge.policy.question import Question, Ruling

_VERDICTS = (Verdict.ALLOW, Verdict.UNKNOWN, Verdict.REVIEW, Verdict.DENY)
_SHOWN = 3


@dataclass(frozen=True, slots=True)
class _Claim:
    """What one side would have: a verdict, the level that it may be enforced at, and why."""

    verdict: Verdict
    level: Level
    why: str
    rules: tuple[str, ...] = ()
    by: Literal["prediction", "person"] = "person"


@dataclass(frozen=True, slots=True)
class _Reach:
    """How far the prediction's verdict may be enforced, and what says so."""

    level: Level
    held_out: bool
    reasons: tuple[str, ...] = ()
    rules: tuple[str, ...] = ()


def evaluate(policy: Policy, question: Question, *, rule: Rule | None = None) -> Ruling:
    """Judge one decision unit.

    Args:
        policy: The reviewed document.
        question: Everything else that the verdict depends on.
        rule: ``effective(policy, question.decision, question.action, question.scope)``, where a caller who asks many
            questions of one action has made it already.
    """
    if rule is None:
        rule = effective(policy, question.decision, question.action, question.scope)
    ceiling = lowest(rule.ceiling, question.ceiling or Level.AUTONOMOUS)
    allowed = Level.ASSISTED if question.halted else ceiling
    judged = judge(rule, question)
    written = _written(rule, question, allowed)
    reach = _reach(rule, question, judged, lowest(allowed, question.earned))
    held_out = reach.held_out and not written
    own = _Claim(judged.verdict, reach.level, judged.why, judged.rules, "prediction")
    claims = [*(written if question.holds else ()), own]
    deciding = max(claims, key=lambda claim: _strictness(claim, rule, held_out=held_out))
    code = _code(deciding, rule, held_out=held_out)
    forbidden = bool(written) and not question.holds
    approved = _approves(question) and (code != table.ALLOWED or not question.holds)
    stopped = table.ALLOWED if approved else code
    return Ruling(
        verdict=deciding.verdict,
        level=deciding.level,
        scope=rule.scope,
        freshness=judged.freshness,
        applied=not held_out and (deciding.level is not Level.ASSISTED or stopped != table.ALLOWED),
        exit_code=stopped,
        reasons=tuple(_reasons(rule, question, deciding, [*written, own], reach, held_out, approved=approved)),
        rules=tuple(_rules(rule, question, ceiling, written, judged, reach, approved=approved)),
        expires_at=_expiry(question, rule) if deciding.verdict is not Verdict.UNKNOWN else None,
        action=question.action,
        ceiling=ceiling,
        earned=question.earned,
        by="person" if forbidden else deciding.by,
        takes=judged.takes,
        acts=_acts(question, judged, reach, stopped, held_out=held_out, forbidden=forbidden, approved=approved),
        held_out=held_out,
        draw=question.draw,
    )


def _written(rule: Rule, question: Question, level: Level) -> list[_Claim]:
    """What persons wrote that holds now, in the order in which it is asked."""
    claims = []
    for window in rule.freeze:
        if windows.in_force(window, question.now, question.environment, question.tags):
            where = " (the environment is not known)" if window.environments and question.environment is None else ""
            claims.append(_Claim(Verdict.DENY, level, f"frozen: {window.reason}{where}", (f"freeze={window.reason}",)))
    if not rule.protected_paths:
        return claims
    if question.paths is None:
        why = "which files it changes is not known, so it may touch protected paths"
        return [*claims, _Claim(Verdict.UNKNOWN, level, why, ("protected_paths: not known",))]
    if touched := protected(rule.protected_paths, question.paths):
        more = f" and {len(touched) - _SHOWN} more" if len(touched) > _SHOWN else ""
        why = f"changes protected paths: {', '.join(touched[:_SHOWN])}{more}"
        claims.append(_Claim(Verdict.REVIEW, level, why, (f"protected_paths={', '.join(touched[:_SHOWN])}{more}",)))
    return claims


def _reach(rule: Rule, question: Question, judged: Judgement, level: Level) -> _Reach:
    """Lower the level of a verdict that would be enforced, by lot and by what has been acted on already."""
    if level is Level.ASSISTED or judged.verdict is Verdict.UNKNOWN:
        return _Reach(level, held_out=False)
    if question.draw is not None and question.draw < rule.holdout:
        why = f"drawn into the holdout of {rule.holdout:.0%}: said, not enforced"
        return _Reach(level, True, (why,), (f"{named(rule, 'holdout')}={rule.holdout:g}",))
    if judged.verdict is Verdict.ALLOW and not judged.takes:
        return _Reach(level, held_out=False)
    reasons: list[str] = []
    rules: list[str] = []
    for then, why, fired in _spent(rule, question):
        level = lowest(level, then)
        reasons.append(f"{why}: {then} for now")
        rules.append(fired)
    return _Reach(level, False, tuple(reasons), tuple(rules))


def _spent(rule: Rule, question: Question) -> list[tuple[Level, str, str]]:
    """The budgets that leave no room for one more unit: level from here on, why, rule."""
    found = []
    usage = question.usage
    unknown = "what has been acted on is not known, so the budget counts as used up"
    if (limit := rule.rate_limit) is not None:
        fired = f"{named(rule, 'rate_limit')}={limit.max} in {limit.per_hours:g} h"
        if usage is None:
            found.append((limit.then, unknown, fired))
        elif usage.rate_units >= limit.max:
            found.append((limit.then, f"{usage.rate_units} acted on in {limit.per_hours:g} h, the limit", fired))
    if (blast := rule.blast_radius) is not None:
        fired = f"{named(rule, 'blast_radius')} in {blast.per_hours:g} h"
        if usage is None:
            found.append((blast.then, unknown, fired))
        elif usage.blast_units >= (room := _room(blast.max_share, blast.max_units, usage.decided_units + 1)):
            found.append((blast.then, f"{usage.blast_units} of {room} units that may be acted on are used", fired))
    return found


def _room(max_share: object, max_units: object, decided: int) -> int:
    """How many units may be acted on; a share of few is still one."""
    rooms = [int(max_units)] if isinstance(max_units, int) else []
    if isinstance(max_share, int | float):
        rooms.append(max(int(max_share * decided + 1e-9), 1) if max_share > 0 else 0)
    return min(rooms)


def _code(claim: _Claim, rule: Rule, *, held_out: bool) -> int:
    held = held_out and claim.by == "prediction"
    return table.ALLOWED if held else table.exit_code(claim.verdict, claim.level, rule.on_unknown)


def _strictness(claim: _Claim, rule: Rule, *, held_out: bool) -> tuple[int, int]:
    code = _code(claim, rule, held_out=held_out)
    return table.STRICTNESS.index(code), _VERDICTS.index(claim.verdict)


def _approves(question: Question) -> bool:
    return question.approval is not None and question.now < question.approval.expires_at


def _acts(
    question: Question, judged: Judgement, reach: _Reach, code: int, *, held_out: bool, forbidden: bool, approved: bool
) -> bool:
    """Whether something is held back now, or the hook may do what it is for."""
    if question.holds:
        return code != table.ALLOWED
    may = reach.level is Level.AUTONOMOUS or (reach.level is Level.SUPERVISED and approved)
    return judged.takes and may and not forbidden and not held_out


def _reasons(
    rule: Rule,
    question: Question,
    deciding: _Claim,
    claims: Sequence[_Claim],
    reach: _Reach,
    held_out: bool,
    *,
    approved: bool,
) -> list[str]:
    """In words, what decided first."""
    reasons = [deciding.why, *(claim.why for claim in claims if claim is not deciding)]
    if question.halted:
        reasons.append(f"halted: {question.halted}; everything is assisted")
    if reach.held_out and not held_out:
        reasons.append("the holdout is of predictions: what a person wrote holds all the same")
    else:
        reasons += reach.reasons
    if deciding.verdict is Verdict.UNKNOWN:
        closed = rule.on_unknown is OnUnknown.FAIL_CLOSED
        reasons.append(
            f"unknown fails {'closed by policy: a person decides' if closed else 'open by policy: not stopped'}"
        )
    elif deciding.level is Level.ASSISTED and deciding.verdict is not Verdict.ALLOW:
        reasons.append("level assisted: said, not enforced")
    if lowest(rule.ceiling, question.earned) is not rule.ceiling and deciding.verdict in {Verdict.REVIEW, Verdict.DENY}:
        reasons.append(f"the ceiling is {rule.ceiling}, earned so far is {question.earned}")
    if question.sources_missing:
        reasons.append(f"without {', '.join(question.sources_missing)}, which the prediction would have used")
    if not rule.is_named:
        reasons.append(f"the policy does not name {question.decision}: defaults hold")
    if approved and question.approval is not None:
        until = f"{question.approval.expires_at:%Y-%m-%d %H:%M} UTC"
        reasons.append(f"approved by {question.approval.actor} until {until}: {question.approval.reason}")
    return reasons


def _rules(
    rule: Rule,
    question: Question,
    ceiling: Level,
    written: Sequence[_Claim],
    judged: Judgement,
    reach: _Reach,
    *,
    approved: bool,
) -> list[str]:
    """Every rule that fired, in the order of the module's list."""
    rules = ["halted"] if question.halted else []
    rules += [fired for claim in written for fired in claim.rules]
    rules += [*judged.rules, *reach.rules]
    lower = " as set by enable" if ceiling is not rule.ceiling else ""
    rules += [f"{named(rule, 'ceiling')}={ceiling}{lower}", f"earned={question.earned}"]
    return [*rules, "approval"] if approved else rules


def _expiry(question: Question, rule: Rule) -> datetime | None:
    found = question.prediction
    return found.made_at + timedelta(hours=rule.max_age_hours) if found is not None else None
