"""Caught, escaped and unstable of live decisions: the ledger's rows for the product's one accounting.

Put here how decisions are joined with what became of their subjects. Counting is ``autonomy.accounting``'s, the same
that replays are counted by.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING, Any

import polars as pl

from weaver_forge.autonomy.accounting import ESCAPED, NEEDED, ROWS, account, bucket
from weaver_forge.contracts.values import Verdict
from weaver_forge.ledger.canonical import instant_text
from weaver_forge.policy import effective, in_force
from weaver_forge.policy.judging import skip_limit
from weaver_forge.policy.leaving import left_of

if TYPE_CHECKING:
    from weaver_forge.ledger.reading import Reading

_HELD = {Verdict.DENY.value, Verdict.REVIEW.value}
_CHUNK = 500

_Limits = Mapping[tuple[str | None, str], float | None]


def accounting(
    ledger: "Reading", decision: str, since: datetime | None = None, *, hook: str = "", needed: int = NEEDED
) -> list[dict[str, Any]]:
    """What became of the real failures that hooks decided about, a row an entity and action.

    The newest decision about a unit at a hook holds. What a person let through against the verdict counts as what the
    policy said in ``if_enforced`` and as let through in ``as_it_was``. Where a hook leaves subjects for later, what is
    left for later escapes in ``as_it_was``, and all that is below the policy's threshold in ``if_enforced``. Decisions
    recorded before that was kept do not say what was left: ``as_it_was`` is None with one of them, and ``if_enforced``
    counts by the ``skip_below`` of the policy that was in force. Quantities have no failures: no row.

    Args:
        ledger: The record.
        decision: Its name.
        since: Decisions made from then on; all where None.
        hook: Of this enforcement point only.
        needed: Independent units with a real failure below which there is no rate.

    Returns:
        ``{entity, action, n_decisions, as_it_was, if_enforced, why, escapes}``; the two as
        :class:`~weaver_forge.autonomy.accounting.Account`, as data; ``why`` one of them is None; ``escapes``: unit,
        hook and subject of each real failure that was let through or left for later, where the record says which.
    """
    with ledger.one_view():
        decided = _newest(ledger, decision, since, hook)
        known = _predicted(ledger, sorted({row["prediction_id"] for row in decided}))
        unsaid = {(row["policy_sha256"], row["action"]) for row in decided if row["would_hold"] is None}
        limits = {key: _limit(ledger, decision, *key) for key in unsaid}
    found = []
    for entity, action in sorted({(row["entity"], row["action"]) for row in decided}):
        rows = [row for row in decided if (row["entity"], row["action"]) == (entity, action)]
        rows = [row for row in rows if known.get(row["prediction_id"], _UNKNOWN)[0] is not None]
        if not rows:
            continue
        is_said = all(row["was_held"] is not None for row in rows)
        was = [bool(row["was_held"]) for row in rows]
        would = [_runs(row, known, limits) if row["would_hold"] is None else row["would_hold"] for row in rows]
        found.append(
            {
                "entity": entity,
                "action": action,
                "n_decisions": len({row["decision_id"] for row in rows}),
                "as_it_was": asdict(account(_frame(rows, known, was), needed=needed)) if is_said else None,
                "if_enforced": asdict(account(_frame(rows, known, would), needed=needed)),
                "escapes": _escapes(rows, known, was) if is_said else [],
                "why": "" if is_said else "which subjects a hook left for later is not in the record",
            }
        )
    return found


def _newest(ledger: "Reading", decision: str, since: datetime | None, hook: str) -> list[dict[str, Any]]:
    """A row a subject that a unit's newest decision rests on."""
    rows = ledger.rows(
        "decisions",
        "where decision = :decision and (:since = '' or made_at >= :since) and (:hook = '' or hook = :hook) "
        "order by batch_seq, position",
        {"decision": decision, "since": instant_text(since) if since is not None else "", "hook": hook},
        columns=(
            *("decision_id", "entity", "unit", "hook", "action", "verdict", "exit_code", "prediction_ids", "inputs"),
            "policy_sha256",
        ),
    )
    newest = {(row["entity"], row["unit"], row["hook"], row["action"]): row for row in rows}
    return [
        {
            "decision_id": row["decision_id"],
            "entity": row["entity"],
            "action": row["action"] or "",
            "unit": row["unit"],
            "hook": row["hook"],
            "prediction_id": prediction_id,
            "policy_sha256": row["policy_sha256"],
            "was_held": was,
            "would_hold": would,
        }
        for row in newest.values()
        for prediction_id, was, would in zip(row["prediction_ids"] or [], *_covered(row), strict=True)
    ]


def _covered(row: Mapping[str, Any]) -> tuple[list[bool | None], list[bool | None]]:
    """Of each prediction, whether its subject was held or run at once, and whether policy alone would have it so.

    None where the record does not say.
    """
    n, left = len(row["prediction_ids"] or []), left_of(row["inputs"])
    if left is not None:
        rest, below = set(left.rest), set(left.below)
        return [place not in rest for place in range(n)], [place not in below for place in range(n)]
    if not ((row["inputs"] or {}).get("question") or {}).get("holds", True):
        return [None] * n, [None] * n
    return [row["exit_code"] != 0] * n, [row["verdict"] in _HELD] * n


def _escapes(
    rows: Sequence[Mapping[str, Any]], known: Mapping[str, tuple[Any, ...]], covered: Sequence[bool]
) -> list[dict[str, Any]]:
    """Real failures that were let through or left for later, by name."""
    frame = _frame(rows, known, list(covered)).with_columns(bucket())
    return [
        {"unit": row["unit"], "hook": row["hook"], "subject": json.loads(known[row["prediction_id"]][4])}
        for row, which in zip(rows, frame["bucket"], strict=True)
        if which == ESCAPED
    ]


_UNKNOWN = (None, None, "pending", None, "{}")


def _predicted(ledger: "Reading", ids: Sequence[str]) -> dict[str, tuple[Any, ...]]:
    """Prediction -> probability; outcome, maturity and link_method of its newest outcome; its subject as JSON."""
    found: dict[str, tuple[Any, ...]] = {}
    for begin in range(0, len(ids), _CHUNK):
        named = {f"p{number}": value for number, value in enumerate(ids[begin : begin + _CHUNK])}
        listed = ", ".join(f":{name}" for name in named)
        sql = (
            "-- grain: prediction\nselect p.prediction_id, p.probability, o.outcome, coalesce(o.maturity, 'pending'), "
            "o.link_method, p.subject from predictions p "
            "left join newest_outcomes o on o.prediction_id = p.prediction_id "
            f"where p.prediction_id in ({listed})"
        )
        found |= {row[0]: tuple(row[1:]) for row in ledger.select(sql, named)}
    return found


def _limit(ledger: "Reading", decision: str, policy: str | None, action: str) -> float | None:
    """The probability below which a policy leaves subjects for later; None: none."""
    for row in ledger.rows("policies", "where policy_sha256 = :id", {"id": policy or ""}):
        return skip_limit(effective(in_force(str(row["text"]), f"policy {policy}"), decision, action), None)
    return None


def _runs(row: Mapping[str, Any], known: Mapping[str, tuple[Any, ...]], limits: _Limits) -> bool:
    """Whether a subject is run at once under the policy that was in force."""
    limit = limits.get((row["policy_sha256"], row["action"]))
    return limit is None or known[row["prediction_id"]][0] >= limit


def _frame(
    rows: Sequence[Mapping[str, Any]], known: Mapping[str, tuple[Any, ...]], covered: list[bool]
) -> pl.DataFrame:
    found = [known[row["prediction_id"]] for row in rows]
    return pl.DataFrame(
        {
            "unit": [row["unit"] for row in rows],
            "cluster": [row["unit"] for row in rows],
            "is_covered": covered,
            "outcome": [row[1] for row in found],
            "maturity": [row[2] for row in found],
            "link_method": [row[3] for row in found],
        },
        schema=ROWS,
    )
