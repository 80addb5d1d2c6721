"""What every action may do here and now, and why: standings from the ledger under the policy, ceilings and kill switch.

Put here what is put together for commands and pages. Figures come from ``ledger.queries_autonomy``, what hooks read
from ``standing``; the level in force is what a hook asking now would be given.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from weaver_forge.autonomy.promises import promise
from weaver_forge.contracts.values import Level, Scope
from weaver_forge.hooks.standing import Standings
from weaver_forge.ledger.queries_autonomy import ceiling_set, ceilings, matrix, trials_text
from weaver_forge.policy import Policy, effective, lowest
from weaver_forge.policy.judging import never_taken
from weaver_forge.policy.question import On

if TYPE_CHECKING:
    from weaver_forge.ledger.reading import Reading

Specs = Mapping[str, Mapping[str, Any]]
"""Decision -> its spec as data, from a snapshot."""

NOT_ASSESSED: Mapping[str, Any] = {
    "level": Level.ASSISTED.value, "reason": "not assessed yet: `weaver-forge run` does it", "cause": None,
    "n_trials": 0.0, "n_right": 0.0, "n_replay": 0, "n_pending": 0, "n_unresolvable": 0, "n_needed": None,
    "trials": trials_text(0.0, None), "bound": None, "bar": None, "proposed_level": None, "proposed_since": None,
    "evidence_from": None, "evidence_until": None, "assessed_at": None, "changed_at": None, "changed_reason": None,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Proposed:
    """A ceiling that somebody is about to set.

    Args:
        decision: Its name; None for every one in the scope.
        scope: One scope, or ``all``.
        level: The ceiling.
    """

    decision: str | None
    scope: str
    level: Level


def autonomy_matrix(ledger: "Reading", policy: Policy, specs: Specs, standings: Standings) -> list[dict[str, Any]]:
    """A row a decision, entity, action and scope.

    Returns:
        Of the newest standing: n_trials, n_right, n_replay, n_pending, n_unresolvable, n_needed, trials (in words),
        bound (null without trials), bar, proposed_level, proposed_since, evidence_from, evidence_until (newest mature
        trial), assessed_at, changed_at, changed_reason, cause. Besides: ``level`` in force and ``why``, ``earned``,
        ``ceiling`` with ``policy_ceiling`` and ``set_ceiling``, ``halted`` (empty where it is not),
        ``no_trials_because`` (policy can never have it taken; empty where it can), ``promotion_delay_hours`` and
        ``taken_back_by`` (what takes the earned level back at once; empty at assisted).
    """
    set_rows = ceilings(ledger)
    assessed = {(row["decision"], row["entity"], row["action"], row["scope"]): row for row in matrix(ledger)}
    declared = dict(_declared(specs, policy))
    return [
        _row(key, assessed.get(key, NOT_ASSESSED), policy, set_rows, standings, declared.get(key))
        for key in sorted({*assessed, *declared})
    ]


def without_trials(policy: Policy, specs: Specs) -> list[dict[str, str]]:
    """Declared actions that policy can never have taken, so that they earn nothing: decision, action, scope and why."""
    found = []
    for (decision, _, action, scope), on in _declared(specs, policy):
        if why := never_taken(effective(policy, decision, action, Scope(scope)), on):
            found.append({"decision": decision, "action": action, "scope": scope, "why": why})
    return found


def changes(rows: Sequence[Mapping[str, Any]], proposed: Proposed) -> list[dict[str, Any]]:
    """What setting a ceiling would change, a row an action: ceiling and level in force, now and then."""
    found = []
    for row in rows:
        if proposed.decision not in {None, row["decision"]} or proposed.scope not in {"all", row["scope"]}:
            continue
        then = lowest(Level(row["policy_ceiling"]), proposed.level)
        level = Level.ASSISTED if row["halted"] else lowest(then, Level(row["earned"]))
        found.append(
            {
                **{
                    name: row[name]
                    for name in ("decision", "entity", "action", "scope", "earned", "trials", "policy_ceiling")
                },
                "ceiling_now": row["ceiling"],
                "ceiling_then": then.value,
                "level_now": row["level"],
                "level_then": level.value,
                "is_capped": then is not proposed.level,
            }
        )
    return found


def _declared(specs: Specs, policy: Policy) -> Iterator[tuple[tuple[str, str, str, str], On]]:
    """Every action in its decision's own scope, assessed or not, and where it is taken."""
    for name, spec in specs.items():
        scope = str(effective(policy, name).scope)
        for kind in spec.get("kinds", ()):
            for action in kind.get("actions", ()):
                yield (name, str(kind["entity"]), str(action["name"]), scope), action["on"]


def _row(
    key: tuple[str, str, str, str],
    row: Mapping[str, Any],
    policy: Policy,
    set_rows: Sequence[Mapping[str, Any]],
    standings: Standings,
    on: On | None,
) -> dict[str, Any]:
    decision, entity, action, scope = key
    rule = effective(policy, decision, action, Scope(scope))
    set_to, earned = ceiling_set(set_rows, decision, scope), Level(row["level"])
    ceiling = lowest(rule.ceiling, set_to or Level.AUTONOMOUS)
    halted = standings.halted(Scope(scope))
    level = Level.ASSISTED if halted else lowest(ceiling, earned)
    bar = {Level.SUPERVISED: rule.supervised_bar, Level.AUTONOMOUS: rule.bar}.get(earned)
    shown = {name: row[name] for name in NOT_ASSESSED if name not in {"level", "reason"}}
    return {
        "decision": decision,
        "entity": entity,
        "action": action,
        "scope": scope,
        "level": level.value,
        "why": _why(row, halted, ceiling, earned),
        "no_trials_because": never_taken(rule, on) if on is not None else "",
        "earned": earned.value,
        "ceiling": ceiling.value,
        "policy_ceiling": rule.ceiling.value,
        "set_ceiling": set_to.value if set_to else None,
        "halted": halted,
        **shown,
        "promotion_delay_hours": rule.evidence.promotion_delay_hours,
        "taken_back_by": ", ".join(promise(bar)) if bar is not None else "",
    }


def _why(row: Mapping[str, Any], halted: str, ceiling: Level, earned: Level) -> str:
    if halted:
        return f"halted: {halted}"
    if lowest(ceiling, earned) is not earned:
        return f"earned {earned}, the ceiling is {ceiling}"
    return str(row["reason"])
