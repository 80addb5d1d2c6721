"""What the ledger holds of autonomy: standings, ceilings, switches, acts; and the figures that are shown of them.

Put here every figure about autonomy that CLI, pages or notebooks show. SQL and order of events only: what a standing
is made of was computed when it was assessed. Standard library alone: hooks and the CLI load this.
"""

import operator
from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from weaver_forge.autonomy.promises import weighed
from weaver_forge.contracts.values import Level, Scope
from weaver_forge.ledger.canonical import instant_of

if TYPE_CHECKING:
    from weaver_forge.ledger.reading import Reading

Key = tuple[str, str, str, str]
"""Decision, entity, action and scope."""

ALL = "all"
LEVELS = tuple(Level)
_COUNTS_ANEW = ("precision", "calibration", "drift")


def newest_standings(ledger: "Reading") -> list[dict[str, Any]]:
    """The standing that holds, a decision, entity, action and scope."""
    return ledger.rows("standings", f"join ({_NEWEST}) newest on newest.id = r.standing_id " + _ORDER)


def memory(ledger: "Reading", key: Key) -> dict[str, Any] | None:
    """What the next assessment must know of the ones before; None where there was none.

    Returns:
        The newest row, with ``proposed_at`` (since when its proposal stands), ``counts_from`` (newest demotion for
        what the trials showed) and ``earned_until`` (newest promotion; null at assisted).
    """
    named = dict(zip(("d", "e", "a", "s"), key, strict=True))
    newest = ledger.rows("standings", f"{_OF_KEY} {_LAST}", named)
    if not newest:
        return None
    row = newest[0]
    causes = ", ".join(f"'{cause}'" for cause in _COUNTS_ANEW)
    fallen = _latest(ledger, f"and r.cause in ({causes})", named)
    risen = _latest(ledger, f"and {_rank('r.level')} > {_rank('r.previous_level')}", named)
    earned = risen if row["level"] != Level.ASSISTED else None
    return {**row, "proposed_at": _proposed_at(ledger, row, named), "counts_from": fallen, "earned_until": earned}


def ceiling_set(rows: Sequence[Mapping[str, Any]], decision: str, scope: str) -> Level | None:
    """The ceiling that somebody set last for a decision in a scope; None where nobody did.

    Args:
        rows: Of ``ceilings``, in the order of the chain; the newest that covers both holds.
        decision: Its name.
        scope: development, deployment or operations.
    """
    covering = [row for row in rows if row["decision"] in {None, decision} and row["scope"] in {ALL, scope}]
    return Level(covering[-1]["level"]) if covering else None


def ceilings(ledger: "Reading") -> list[dict[str, Any]]:
    """Every ceiling that was ever set, in the order of the chain: people do this rarely."""
    return ledger.rows("ceilings", "order by batch_seq, position")


def switches(ledger: "Reading") -> list[dict[str, Any]]:
    """How the kill switch stands: the newest row of each scope."""
    return ledger.rows("switches", _NEWEST_SWITCH)


def matrix(ledger: "Reading") -> list[dict[str, Any]]:
    """What each action has earned, as rows of a table: decision, entity, action and scope.

    Adds to the newest standing: ``trials`` ("12 of 90 trials", or how many where nothing is above),
    ``proposed_since``, ``changed_at`` and ``changed_reason`` (of its last change of level; null where it never
    changed). A bound without a trial behind it is null.
    """
    rows = []
    for row in newest_standings(ledger):
        key = (row["decision"], row["entity"], row["action"], row["scope"])
        named = dict(zip(("d", "e", "a", "s"), key, strict=True))
        changed = ledger.rows(
            "standings",
            f"{_OF_KEY} and r.level <> r.previous_level {_LAST}",
            named,
            columns=("assessed_at", "reason"),
        )
        last = changed[0] if changed else {"assessed_at": None, "reason": None}
        rows.append(
            {
                **row,
                "bound": row["bound"] if row["n_trials"] > 0 else None,
                "trials": trials_text(row["n_trials"], row["n_needed"]),
                "proposed_since": _proposed_at(ledger, row, named),
                "changed_at": last["assessed_at"],
                "changed_reason": last["reason"],
            }
        )
    return rows


def history(ledger: "Reading", *, decision: str | None = None) -> list[dict[str, Any]]:
    """Standings that changed something (level, proposal or cause), oldest first, each action's first included."""
    rows = ledger.rows(
        "standings", "where (:d is null or r.decision = :d) order by r.batch_seq, r.position", {"d": decision}
    )
    by_key: dict[Key, list[dict[str, Any]]] = {}
    for row in rows:
        by_key.setdefault((row["decision"], row["entity"], row["action"], row["scope"]), []).append(row)
    kept = [standings[0] for standings in by_key.values()]
    for standings in by_key.values():
        kept += [
            row
            for before, row in pairwise(standings)
            if row["level"] != row["previous_level"]
            or row["proposed_level"] != before["proposed_level"]
            or row["cause"] != before["cause"]
        ]
    return sorted(kept, key=operator.itemgetter("batch_seq", "position"))


def acts_of(ledger: "Reading", act_key: str) -> list[dict[str, Any]]:
    """The states that an action has been through, in order."""
    return ledger.rows("acts", "where act_key = :k order by batch_seq, position", {"k": act_key})


def uncertain_acts(ledger: "Reading") -> list[dict[str, Any]]:
    """Actions that were claimed and of which nobody said what came of them: under way, or taken by a hook that died."""
    return ledger.rows(
        "acts",
        "where r.state = 'claimed' and not exists (select 1 from acts x where x.act_key = r.act_key "
        "and x.state <> 'claimed') order by r.batch_seq, r.position",
    )


def trials_text(n_trials: float, n_needed: int | None) -> str:
    """``12 of 90 trials``: weighted trials that count, of those that the next level takes if all others are right."""
    n = weighed(n_trials)
    return f"{n} trials" if n_needed is None else f"{n} of {n_trials + n_needed:.0f} trials"


def scopes() -> tuple[str, ...]:
    """The scopes by name."""
    return tuple(scope.value for scope in Scope)


def _proposed_at(ledger: "Reading", row: Mapping[str, Any], named: Mapping[str, Any]) -> datetime | None:
    """When the run of assessments that propose what the newest one does began."""
    if row["proposed_level"] is None:
        return None
    other = ledger.rows(
        "standings",
        f"{_OF_KEY} and (r.proposed_level is null or r.proposed_level <> :p) {_LAST}",
        {**named, "p": row["proposed_level"]},
        columns=("batch_seq", "position"),
    )
    place = other[0] if other else {"batch_seq": -1, "position": -1}
    found = ledger.select(_PROPOSED, {**named, "batch": place["batch_seq"], "position": place["position"]})
    return instant_of(found[0][0])


def _latest(ledger: "Reading", condition: str, named: Mapping[str, Any]) -> datetime | None:
    found = ledger.rows(
        "standings",
        f"{_OF_KEY} {condition} {_LAST}",
        named,
        columns=("assessed_at",),
    )
    return found[0]["assessed_at"] if found else None


def _rank(column: str) -> str:
    return f"case {column} when 'assisted' then 0 when 'supervised' then 1 else 2 end"


_OF_KEY = "where r.decision = :d and r.entity = :e and r.action = :a and r.scope = :s"

_LAST = "order by r.batch_seq desc, r.position desc limit 1"

_ORDER = "order by r.decision, r.entity, r.action, r.scope"

_NEWEST = (
    "select id from (select standing_id as id, row_number() over (partition by decision, entity, action, scope "
    "order by batch_seq desc, position desc) as age from standings) ranked where age = 1"
)

_NEWEST_SWITCH = (
    "where switch_id in (select id from (select switch_id as id, row_number() over (partition by scope "
    "order by batch_seq desc, position desc) as age from switches) newest where age = 1) order by scope"
)

_PROPOSED = """
-- grain: one row; what is proposed now has been since the first row after the last that proposed something else
select min(r.assessed_at) from standings r
where r.decision = :d and r.entity = :e and r.action = :a and r.scope = :s
  and (r.batch_seq > :batch or (r.batch_seq = :batch and r.position > :position))
"""
