"""Decision units of the past put to policy, oldest first, as a hook would have: a ruling a unit, an action a subject.

Put here how a unit's question comes about in a replay, and what is acted on then. The question itself is made by
``hooks.asking`` as for a live hook; judging is policy's.
"""

from bisect import bisect_right
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

import polars as pl
from msgspec import structs

from weaver_forge.contracts.values import Level
from weaver_forge.hooks.asking import Asked, ChangedPaths, question
from weaver_forge.hooks.standing import Standings
from weaver_forge.hooks.subject import Kind
from weaver_forge.policy import Policy, PredictionView, Question, Rule, Ruling, Usage, effective, evaluate
from weaver_forge.policy.document import Rules, WithinReach
from weaver_forge.policy.money import MINUTE_MS

AS_EARNED, AS_ENFORCED = "as earned now", "if it were enforced"
VIEWS = (AS_EARNED, AS_ENFORCED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """What all decisions of a replay have in common.

    Args:
        decision: Its name.
        kind: The subject kind as data (``contracts.decision.spec_as_data``).
        action: Of the kind's, as data; an event without any is asked about as a whole.
        hook: Whose lots are drawn.
        standings: What has been earned and halted now.
        changed_paths: Files that a subject changes; None where nobody knows.
    """

    decision: str
    kind: Kind
    action: Mapping[str, Any]
    hook: str = "ci"
    standings: Standings = field(default_factory=Standings)
    changed_paths: ChangedPaths | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Decided:
    """What became of the units.

    Args:
        rulings: A ruling a unit and prediction time, oldest first.
        rows: The subjects, with ``is_taken`` (the prediction alone would have the action taken), ``is_acted`` (it would
            have been taken then), ``is_covered`` (a failure would have been stopped or run) and the unit's ``verdict``.
        rule: What held.
    """

    rulings: tuple[Ruling, ...]
    rows: pl.DataFrame
    rule: Rule


def decide(policy: Policy, stage: Stage, rows: pl.DataFrame, *, view: str) -> Decided:
    """Put every decision unit to policy.

    Args:
        policy: The document.
        stage: What is common to all.
        rows: A row a subject: key, predicted_at, unit, probability, value, expected_duration_ms.
        view: One of :data:`VIEWS`: with what has been earned now, or as if autonomous had been earned and allowed.
    """
    if view == AS_ENFORCED:
        policy = lifted(policy)
    rule = effective(policy, stage.decision, str(stage.action["name"]))
    marked = rows.with_columns(_taken(rule, stage).alias("is_taken"))
    firsts = _judged_first(stage, marked)
    used = _Used()
    rulings = tuple(_ruled(policy, stage, row, used, view) for row in firsts.iter_rows(named=True))
    units = firsts.select(
        "unit",
        "predicted_at",
        pl.Series("acts", [ruling.acts for ruling in rulings], dtype=pl.Boolean),
        pl.Series("verdict", [str(ruling.verdict) for ruling in rulings], dtype=pl.String),
    )
    joined = marked.join(units, on=["unit", "predicted_at"], how="left", maintain_order="left")
    acted = pl.col("acts") & (pl.col("is_taken") if stage.action["on"] == "low" else pl.lit(value=True))
    covered = ~acted if stage.action["on"] == "low" else acted
    return Decided(
        rulings=rulings,
        rows=joined.with_columns(acted.alias("is_acted"), covered.alias("is_covered")).drop("acts"),
        rule=rule,
    )


def lifted(policy: Policy) -> Policy:
    """The same policy with every ceiling at autonomous: what it would do where nothing held it back."""

    def raised(rules: Any) -> Any:
        return structs.replace(rules, ceiling=Level.AUTONOMOUS)

    decisions = {
        name: structs.replace(raised(rules), actions={action: raised(inner) for action, inner in rules.actions.items()})
        for name, rules in policy.decisions.items()
    }
    scopes = {name: raised(rules) for name, rules in policy.scopes.items()}
    if WithinReach.ALL not in scopes:
        scopes[WithinReach.ALL] = Rules(ceiling=Level.AUTONOMOUS)
    return structs.replace(policy, decisions=decisions, scopes=scopes)


def _taken(rule: Rule, stage: Stage) -> pl.Expr:
    """Whether a subject's own prediction would have the action taken; of low ones for many at once.

    The limit of a low action is ``policy.judging.skip_limit``; a test holds the two against each other.
    """
    if stage.action["on"] == "low":
        return (pl.col("probability") < _limit(rule)).fill_null(value=False)
    if stage.action["on"] == "upper":
        return pl.col("value").is_not_null()
    if rule.deny_at is None:
        return pl.lit(value=False)
    return (pl.col("probability") >= rule.deny_at).fill_null(value=False)


def _limit(rule: Rule) -> pl.Expr:
    derived = rule.derived.get("skip_below")
    if "skip_below" in rule.from_costs and derived is not None:
        minutes = pl.col("expected_duration_ms") / MINUTE_MS
        known = pl.col("expected_duration_ms") >= 0
        return pl.when(known).then(pl.min_horizontal((derived.value or 0.0) * minutes, pl.lit(1.0)))
    return pl.lit(rule.skip_below, pl.Float64)


def _judged_first(stage: Stage, marked: pl.DataFrame) -> pl.DataFrame:
    """The row of each unit that policy is asked about, oldest unit first.

    Of what is held the likeliest one, as at the gate; of what is skipped one that would be, where any would.
    """
    is_first = (
        [pl.col("is_taken"), pl.col("probability").fill_null(-1.0)]
        if stage.action["on"] == "low"
        else [pl.col("probability").fill_null(-1.0)]
    )
    return (
        marked.sort("predicted_at", "unit", *is_first, descending=[False, False, *(True for _ in is_first)])
        .unique(["unit", "predicted_at"], keep="first", maintain_order=True)
        .sort("predicted_at", "unit")
    )


def _ruled(policy: Policy, stage: Stage, row: Mapping[str, Any], used: "_Used", view: str) -> Ruling:
    now = row["predicted_at"]
    asked = question(
        policy,
        Asked(
            decision=stage.decision,
            kind={**stage.kind, "actions": [stage.action]},
            unit=row["unit"],
            subject=row,
            hook=stage.hook,
            now=now,
            action=str(stage.action["name"]),
            prediction=PredictionView(
                probability=row["probability"],
                made_at=now,
                data_as_of=now,
                duration_ms=row["expected_duration_ms"],
                value=row["value"],
            ),
            standings=stage.standings,
        ),
        stage.changed_paths,
        used.counting(now),
    )
    ruling = evaluate(policy, _as_viewed(asked, view))
    used.note(now, row["unit"], acts=ruling.acts and ruling.by == "prediction")
    return ruling


def _as_viewed(asked: Question, view: str) -> Question:
    if view == AS_EARNED:
        return asked
    return replace(asked, earned=Level.AUTONOMOUS, ceiling=None, halted="")


class _Used:
    """What has been acted on so far, for the budgets of a policy: the same counts as the ledger's."""

    def __init__(self) -> None:
        self._times: list[datetime] = []
        self._units: list[tuple[str, bool]] = []

    def note(self, now: datetime, unit: str, *, acts: bool) -> None:
        """Remember a unit; times never go back."""
        self._times.append(now)
        self._units.append((unit, acts))

    def counting(self, now: datetime) -> Callable[[Rule, str], Usage]:
        """As hooks count in the ledger."""

        def count(rule: Rule, unit: str) -> Usage:
            rate = blast = decided = 0
            if rule.rate_limit is not None:
                rate, _ = self._within(now, rule.rate_limit.per_hours, unit)
            if rule.blast_radius is not None:
                blast, decided = self._within(now, rule.blast_radius.per_hours, unit)
            return Usage(rate_units=rate, blast_units=blast, decided_units=decided)

        return count

    def _within(self, now: datetime, hours: float, unit: str) -> tuple[int, int]:
        begin = bisect_right(self._times, now - timedelta(hours=hours))
        end = bisect_right(self._times, now)
        others = [(name, acts) for name, acts in self._units[begin:end] if name != unit]
        return len({name for name, acts in others if acts}), len({name for name, _ in others})
