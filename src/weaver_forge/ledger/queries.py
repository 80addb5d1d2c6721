"""Every figure from the ledger that the CLI, a page or a notebook shows comes from here and nowhere else.

Put a new figure here, as data: no formatting but the one sentence that says a number with its n. SQL only, no
statistics: those are computed once by ``weaver_forge.metrics`` and stored as scores.
"""

import operator
from typing import TYPE_CHECKING, Any

from weaver_forge.errors import UsageError
from weaver_forge.ledger.roots import Root, recorded

if TYPE_CHECKING:
    import polars as pl

    from weaver_forge.ledger.reading import Reading

NEEDED = 30
"""Mature predictions below which the scoreboard shows no number."""


def totals(ledger: "Reading") -> list[dict[str, Any]]:
    """Predictions per decision, entity and origin: n, n_mature, n_pending, n_unresolvable."""
    names = ("decision", "entity", "origin", "n", "n_mature", "n_pending", "n_unresolvable")
    return [dict(zip(names, row, strict=True)) for row in ledger.select(_TOTALS, {"d": None, "e": None})]


def counts(ledger: "Reading", decision: str, entity: str) -> dict[str, dict[str, int]]:
    """The same for one decision and entity, by origin."""
    rows = ledger.select(_TOTALS, {"d": decision, "e": entity})
    names = ("n", "n_mature", "n_pending", "n_unresolvable")
    return {row[2]: dict(zip(names, row[3:], strict=True)) for row in rows}


def latest_scores(ledger: "Reading") -> list[dict[str, Any]]:
    """The newest score per decision, entity, origin and metric."""
    return ledger.rows(
        "scores",
        "where score_id in (select id from (select score_id as id, row_number() over (partition by decision, "
        "entity, origin, metric order by batch_seq desc, position desc) as age from scores) newest "
        "where age = 1) order by decision, entity, origin, metric",
    )


def latest_evaluations(ledger: "Reading") -> list[dict[str, Any]]:
    """The newest evaluation per decision, entity and metric: promoted or not, and why."""
    return ledger.rows(
        "evaluations",
        "where evaluation_id in (select id from (select evaluation_id as id, row_number() over (partition by "
        "decision, entity, metric order by batch_seq desc, position desc) as age from evaluations) newest "
        "where age = 1) order by decision, entity, metric",
    )


def scoreboard(ledger: "Reading", *, needed: int = NEEDED) -> list[dict[str, Any]]:
    """The newest scores with what may be said about each.

    Adds to a score: ``state`` (measured, insufficient, not_estimable), ``n_needed``, ``beats_baseline`` (True,
    False, or None where the interval of the gain spans zero), ``text`` and ``gain_text`` (null without a gain). Where
    the state is not measured, value, interval and gain are null: a number without enough behind it is shown nowhere.

    Args:
        ledger: The ledger.
        needed: Mature predictions below which there is no number.
    """
    return [_board_row(score, needed) for score in latest_scores(ledger)]


def decided(ledger: "Reading") -> list[str]:
    """Names of the decisions that were ever decided."""
    return [row[0] for row in ledger.select(_DECIDED)]


def predicted(ledger: "Reading", decision: str, entity: str) -> list[dict[str, Any]]:
    """Every prediction of a decision and entity, its outcome known or not, in the order of the chain."""
    return ledger.rows(
        "predictions", "where decision = :d and entity = :e order by batch_seq, position", {"d": decision, "e": entity}
    )


def tail(ledger: "Reading", kind: str, n: int) -> list[dict[str, Any]]:
    """The last n rows of a kind in the order of the chain, oldest first."""
    newest = ledger.rows(kind, "order by batch_seq desc, position desc limit :n", {"n": max(n, 0)})
    return newest[::-1]


def roots(ledger: "Reading") -> list[Root]:
    """The daily Merkle roots, oldest first: to be kept elsewhere, as the head is."""
    return recorded(ledger.select)


def unresolved(ledger: "Reading", decision: str, entity: str) -> list[dict[str, Any]]:
    """Predictions without a mature or unresolvable outcome, oldest first.

    Each row: prediction_id, subject, unit, origin, predicted_at, made_at, resolve_by (null where unstated).
    """
    return ledger.rows(
        "predictions",
        "left join newest_outcomes o on o.prediction_id = r.prediction_id "
        "where r.decision = :d and r.entity = :e and (o.maturity is null or o.maturity = 'pending') "
        "order by r.batch_seq, r.position",
        {"d": decision, "e": entity},
        columns=("prediction_id", "subject", "unit", "origin", "predicted_at", "made_at", "resolve_by"),
    )


def resolved(ledger: "Reading", decision: str, entity: str, *, origin: str | None = None) -> list[dict[str, Any]]:
    """Predictions joined with their newest outcome where that is mature, in the order of the chain.

    Each row: all numbers of the prediction and its baseline, ids, subject, unit, times, origin, model, and
    outcome, outcome_known_at, link_confidence, cost.
    """
    return ledger.rows(
        "predictions",
        "join newest_outcomes o on o.prediction_id = r.prediction_id and o.maturity = 'mature' "
        "where r.decision = :d and r.entity = :e and (:o is null or r.origin = :o) "
        "order by r.batch_seq, r.position",
        {"d": decision, "e": entity, "o": origin},
        columns=_RESOLVED,
        outcome=("outcome", "outcome_known_at", "link_confidence", "cost"),
    )


def resolved_columns(ledger: "Reading", decision: str, entity: str, **which: Any) -> "pl.DataFrame":
    """As ``resolved``, as a polars frame: for scores over more than a page shows. JSON stays text.

    Args:
        ledger: The ledger.
        decision: The decision's name.
        entity: The subject kind.
        **which: ``origin``, ``columns`` and ``outcome``, as :func:`weaver_forge.ledger.columns.resolved` takes them.
    """
    from weaver_forge.ledger import columns  # loads polars

    return columns.resolved(ledger, decision, entity, **which)


def newest_decision(ledger: "Reading", *, decision: str, unit: str, hook: str) -> dict[str, Any] | None:
    """What was last decided about a unit at a hook; None where nothing was."""
    found = ledger.rows(
        "decisions",
        "where decision = :decision and unit = :unit and hook = :hook order by batch_seq desc, position desc limit 1",
        {"decision": decision, "unit": unit, "hook": hook},
    )
    return found[0] if found else None


def show(ledger: "Reading", prefix: str) -> dict[str, Any]:
    """A decision with its predictions, outcomes, approvals, acts and policy, by id or unique beginning of one.

    An id of a prediction gives that prediction, its outcomes, and the decisions that rest on it.

    Returns:
        ``{kind, id, decisions, predictions, outcomes, approvals, acts, policy}``; policy is the text, or None.

    Raises:
        UsageError: If nothing, or more than one row, begins like this.
    """
    kind, found = _find(ledger, prefix)
    if kind == "decisions":
        decisions = ledger.rows("decisions", "where decision_id = :id", {"id": found})
        ids = decisions[0]["prediction_ids"] or []
    else:
        ids = [found]
        decisions = _resting_on(ledger, found)
    predictions = [row for id_ in ids if (row := ledger.prediction(id_)) is not None]
    made = [row["decision_id"] for row in decisions]
    return {
        "kind": kind.removesuffix("s"),
        "id": found,
        "decisions": decisions,
        "predictions": predictions,
        "outcomes": _of_each(ledger, "outcomes", "prediction_id", ids),
        "approvals": _of_each(ledger, "approvals", "decision_id", made),
        "acts": _of_each(ledger, "acts", "decision_id", made),
        "policy": _policy(ledger, decisions),
    }


def _find(ledger: "Reading", prefix: str) -> tuple[str, str]:
    """The one decision or prediction whose id begins so; an exact id wins over longer ones."""
    found = ledger.select(_FIND, {"p": prefix, "end": prefix + "~"}) if prefix else []
    exact = [row for row in found if row[1] == prefix]
    if len(exact or found) == 1:
        return tuple((exact or found)[0])
    where = f"ledger show {prefix}"
    if not found:
        raise UsageError("no decision or prediction begins like this", where=where, do="See `weaver-forge ledger tail`")
    some = ", ".join(row[1] for row in found[:5])
    raise UsageError(f"more than one row begins like this: {some}", where=where, do="Give more of the id")


def _resting_on(ledger: "Reading", prediction_id: str) -> list[dict[str, Any]]:
    """Decisions rest on predictions of their own unit, so that an index finds them."""
    prediction = ledger.prediction(prediction_id)
    return (
        ledger.rows(
            "decisions",
            "where decision = :d and unit = :u and prediction_ids like :id order by batch_seq, position",
            {"d": prediction["decision"], "u": prediction["unit"], "id": f'%"{prediction_id}"%'},
        )
        if prediction
        else []
    )


def _of_each(ledger: "Reading", kind: str, column: str, ids: list[str]) -> list[dict[str, Any]]:
    """All rows of these ids, superseded ones included, in the order of the chain."""
    rows = [
        row
        for id_ in ids
        for row in ledger.rows(kind, f"where {column} = :id order by batch_seq, position", {"id": id_})
    ]
    return sorted(rows, key=operator.itemgetter("batch_seq", "position"))


def _policy(ledger: "Reading", decisions: list[dict[str, Any]]) -> str | None:
    for sha256 in {row["policy_sha256"] for row in decisions} - {None}:
        for row in ledger.rows("policies", "where policy_sha256 = :id", {"id": sha256}):
            return str(row["text"])
    return None


def _board_row(score: dict[str, Any], needed: int) -> dict[str, Any]:
    if score["n"] >= needed and score["value"] is not None:
        said = {"state": "measured", "beats_baseline": _beats(score), "text": _measured(score)}
        return {**score, **said, "gain_text": _gained(score), "n_needed": needed}
    if score["n"] < needed:
        state, text = "insufficient", f"insufficient data: {score['n']} of {needed}"
    else:
        state, text = "not_estimable", f"not estimable from n = {score['n']} (one outcome or one unit only)"
    said = {"state": state, "beats_baseline": None, "text": text}
    return {**score, **dict.fromkeys(_NUMBERS), **said, "gain_text": None, "n_needed": needed}


def _measured(score: dict[str, Any]) -> str:
    interval = "" if score["low"] is None else f" [{score['low']:.4g}, {score['high']:.4g}]"
    return f"{score['value']:.4g}{interval}, n = {score['n']}"


def _gained(score: dict[str, Any]) -> str | None:
    if score["gain"] is None:
        return None
    interval = "" if score["gain_low"] is None else f" [{score['gain_low']:+.4g}, {score['gain_high']:+.4g}]"
    return f"{score['gain']:+.4g}{interval}"


def _beats(score: dict[str, Any]) -> bool | None:
    if score["gain_low"] is not None and score["gain_low"] > 0:
        return True
    return False if score["gain_high"] is not None and score["gain_high"] < 0 else None


_NUMBERS = ("value", "low", "high", "baseline_value", "gain", "gain_low", "gain_high")

_DECIDED = "-- grain: decision name\nselect distinct decision from decisions order by decision"

_TOTALS = """
-- grain: decision, entity and origin
select p.decision, p.entity, p.origin, count(*) as n,
  sum(case when o.maturity = 'mature' then 1 else 0 end) as n_mature,
  sum(case when o.maturity is null or o.maturity = 'pending' then 1 else 0 end) as n_pending,
  sum(case when o.maturity = 'unresolvable' then 1 else 0 end) as n_unresolvable
from predictions p
left join newest_outcomes o on o.prediction_id = p.prediction_id
where (:d is null or p.decision = :d) and (:e is null or p.entity = :e)
group by p.decision, p.entity, p.origin
order by p.decision, p.entity, p.origin
"""

_FIND = """
-- grain: decision or prediction whose id begins so; '~' sorts after everything in an id
select 'decisions' as kind, decision_id as id from decisions where decision_id >= :p and decision_id < :end
union all
select 'predictions', prediction_id from predictions where prediction_id >= :p and prediction_id < :end
order by 1, 2
limit 6
"""

_RESOLVED = (
    *("prediction_id", "subject", "unit", "predicted_at", "made_at", "origin"),
    *("probability", "value", "q_025", "q_100", "q_900", "q_975", "score"),
    *("baseline_name", "baseline_probability", "baseline_value", "baseline_score"),
    *("model_name", "model_version", "is_baseline"),
)
