"""Looking again at what every action has earned: trials from the ledger, standings back into it.

Put here the order of reading, assessing and writing. The statistics are ``autonomy``'s; which kinds there are, and
when it is looked at, the caller's. Loads polars and scipy: hooks never import this.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from weaver_forge.autonomy.standing import NOTHING_EARNED, Cause, Standing, Terms, assess
from weaver_forge.autonomy.terms import terms_of, threshold_of, weights_of
from weaver_forge.autonomy.trials import Trials, trials_of
from weaver_forge.contracts.decision import Action, DecisionSpec, SubjectKind
from weaver_forge.contracts.values import Level, Scope
from weaver_forge.ledger.gathering import Asked, Gathering
from weaver_forge.ledger.queries_autonomy import Key, ceiling_set, ceilings, memory
from weaver_forge.policy import Policy, Rule, effective

if TYPE_CHECKING:
    import polars as pl

    from weaver_forge.ledger.ledger import Ledger


@dataclass(frozen=True, slots=True, kw_only=True)
class Circumstances:
    """What an assessment needs besides the ledger.

    Args:
        policy: The reviewed document.
        policy_sha256: Hash of its text; None where there is none.
        halted: ``scope -> why the kill switch is on``; empty where it is off.
        is_demo: Whether the deployment is simulated, so that simulated trials count.
        now: Naive UTC.
    """

    policy: Policy
    policy_sha256: str | None = None
    halted: Callable[[Scope], str]
    is_demo: bool = False
    now: datetime


def assess_all(
    ledger: "Ledger", specs: Sequence[DecisionSpec], around: Circumstances, kept: Path | None = None
) -> list[dict[str, Any]]:
    """Assess every action of every kind in its decision's scope, and in every scope that hooks have asked in.

    Args:
        ledger: Open.
        specs: The decisions.
        around: What else it depends on.
        kept: A folder for what is worked out of the ledger, so that the next assessment reads only what was added; it
            changes no figure. None reads everything.

    Returns:
        The standings that were appended.
    """
    set_ceilings = ceilings(ledger)
    rows = []
    for spec in specs:
        for kind in spec.kinds:
            if kind.actions:
                rows += _of_kind(
                    Gathering(ledger, spec.name, kind, kept), ledger, spec.name, kind, around, set_ceilings
                )
    ledger.append("standings", rows, now=around.now)
    return rows


@dataclass(frozen=True, slots=True, kw_only=True)
class _Question:
    """One action in one scope, with all that decides about it but its trials."""

    key: Key
    asked: Asked
    terms: Terms
    before: Standing
    halted: str

    def answered(self, trials: Trials, now: datetime) -> Standing:
        """The standing that the trials give it."""
        standing = assess(trials, self.before, self.terms, now=now, halted=self.halted)
        if self.asked.threshold is None and self.asked.action.on != "upper":
            return _without_threshold(standing)
        return standing


def _of_kind(
    record: Gathering,
    ledger: "Ledger",
    decision: str,
    kind: SubjectKind,
    around: Circumstances,
    set_ceilings: Sequence[Mapping[str, Any]],
) -> list[dict[str, Any]]:
    own = str(effective(around.policy, decision).scope)
    elsewhere = [scope for scope in record.scopes if scope != own]
    questions = [
        _question(ledger, (decision, kind.entity, action.name, scope), action, around, set_ceilings)
        for action in kind.actions
        for scope in (own, *elsewhere)
    ]
    trials = record.trials([question.asked for question in questions])
    standings = [each.answered(mine, around.now) for each, mine in zip(questions, trials, strict=True)]
    if record.is_from_kept and any(map(_is_turn, standings, questions)):
        # A level is given and taken on the ledger's word alone, whatever became of the file in between.
        record.forget()
        trials = record.trials([question.asked for question in questions])
        standings = [each.answered(mine, around.now) for each, mine in zip(questions, trials, strict=True)]
    return [
        {
            **dict(zip(("decision", "entity", "action", "scope"), question.key, strict=True)),
            **_row(standing, question.before, question.terms, mine),
            "policy_sha256": around.policy_sha256,
            "assessed_at": around.now,
        }
        for question, standing, mine in zip(questions, standings, trials, strict=True)
    ]


def _question(
    ledger: "Ledger", key: Key, action: Action, around: Circumstances, set_ceilings: Sequence[Mapping[str, Any]]
) -> _Question:
    decision, _, _, scope = key
    rule = effective(around.policy, decision, action.name, Scope(scope))
    weights = weights_of(rule, is_demo=around.is_demo)
    return _Question(
        key=key,
        asked=Asked(action=action, threshold=threshold_of(rule, action), weights=weights),
        terms=terms_of(rule, ceiling_set(set_ceilings, decision, scope)),
        before=recalled(ledger, key),
        halted=around.halted(Scope(scope)),
    )


def _is_turn(standing: Standing, question: _Question) -> bool:
    """Whether a level changes, or trials begin to count anew."""
    before = question.before
    return (standing.level, standing.counts_from) != (before.level, before.counts_from)


def gathered(
    said: "pl.DataFrame",
    kind: SubjectKind,
    action: Action,
    rule: Rule,
    *,
    is_demo: bool = False,
    as_of: datetime | None = None,
) -> Trials:
    """The trials of an action under a policy's rule, from all that was said of the kind."""
    return trials_of(
        said,
        action,
        threshold=threshold_of(rule, action),
        weights=weights_of(rule, is_demo=is_demo),
        one_sided_for=kind.one_sided_for,
        data_as_of=as_of,
    )


def recalled(ledger: "Ledger", key: Key) -> Standing:
    """The standing of the assessment before, as the next one needs it."""
    row = memory(ledger, key)
    if row is None:
        return NOTHING_EARNED
    return Standing(
        level=Level(row["level"]),
        proposed=Level(row["proposed_level"]) if row["proposed_level"] else None,
        proposed_at=row["proposed_at"],
        cause=Cause(row["cause"]),
        reason=row["reason"],
        counts_from=row["counts_from"],
        earned_until=row["earned_until"],
    )


def _without_threshold(standing: Standing) -> Standing:
    why = "assisted: the policy sets no threshold from which it would be done, so there are no trials"
    return standing if standing.n_mature or standing.level is not Level.ASSISTED else replace(standing, reason=why)


def _row(standing: Standing, before: Standing, terms: Terms, trials: Trials) -> dict[str, Any]:
    needed = standing.n_needed
    return {
        "level": standing.level.value,
        "previous_level": before.level.value,
        "proposed_level": standing.proposed.value if standing.proposed else None,
        "cause": standing.cause.value,
        "reason": standing.reason,
        "n_trials": standing.n,
        "n_right": standing.n_right,
        "n_replay": standing.n_replay,
        "n_pending": trials.n_pending,
        "n_unresolvable": trials.n_unresolvable,
        "n_needed": None if needed is None else needed - math.ceil(standing.n),
        "bound": standing.bound,
        "bar": standing.next_bar,
        "ceiling": terms.ceiling.value,
        "evidence_from": standing.oldest_at,
        "evidence_until": standing.newest_at,
    }
