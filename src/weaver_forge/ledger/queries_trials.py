"""The ledger's predictions, outcomes and decisions as the columns that trials of an action are made of.

Put here how millions of rows get from the database into a frame. What makes a trial is ``autonomy.trials``', what
follows from trials ``autonomy.standing``'s.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

import polars as pl

from weaver_forge.autonomy.trials import ROWS
from weaver_forge.contracts.decision import SubjectKind
from weaver_forge.contracts.values import Level
from weaver_forge.ledger.canonical import instant_of

if TYPE_CHECKING:
    from weaver_forge.ledger.reading import Reading

_CHUNK = 50_000


def trial_rows(ledger: "Reading", decision: str, kind: SubjectKind, *, durations: bool = False) -> pl.DataFrame:
    """A row a prediction of a decision's kind, in the order of the chain.

    Args:
        ledger: Where they are.
        decision: Its name.
        kind: Of its subjects.
        durations: Whether ``duration_ms`` is wanted; else it is null.

    Returns:
        In the shape of :data:`~weaver_forge.autonomy.trials.ROWS`.
    """
    about = {"decision": decision, "entity": kind.entity}
    with ledger.one_view():
        said = _frame(ledger, _PREDICTIONS, about, _SAID)
        decided = _frame(ledger, _DECISIONS, about, _DECIDED)
        approved = _frame(ledger, _APPROVALS, {"decision": decision}, {"unit": pl.String, "hook": pl.String})
    rows = said.with_columns(
        *(_instant(name) for name in ("predicted_at", "outcome_known_at")),
        pl.concat_str(_cluster(kind), separator="|").alias("cluster")
        if kind.judged_per
        else pl.col("unit").alias("cluster"),
        _closes_at(kind),
        _duration(kind) if durations else pl.lit(None, dtype=pl.Float64).alias("duration_ms"),
    )
    acted = _acted(decided, approved)
    rows = rows.join(acted, on="unit", how="left", maintain_order="left").with_columns(
        pl.col("is_enforced", "is_stopped").fill_null(value=False)
    )
    return rows.select(list(ROWS)).cast(ROWS)


def data_as_of(ledger: "Reading", decision: str, entity: str) -> datetime | None:
    """Newest data behind the newest prediction; None where there is none or it did not say."""
    found = ledger.select(_AS_OF, {"decision": decision, "entity": entity})
    return instant_of(found[0][0]) if found and found[0][0] else None


def decided_scopes(ledger: "Reading", decision: str, entity: str) -> list[str]:
    """Scopes in which hooks have asked for the decision."""
    return [row[0] for row in ledger.select(_SCOPES, {"decision": decision, "entity": entity})]


def _frame(ledger: "Reading", sql: str, parameters: Mapping[str, Any], schema: Mapping[str, Any]) -> pl.DataFrame:
    """A query's rows as columns, a chunk at a time: as Python rows they would take ten times the memory."""
    empty = pl.DataFrame(schema=dict(schema))
    chunks = ledger.batches(sql, parameters, size=_CHUNK)
    return pl.concat([empty, *(pl.DataFrame(chunk, schema=dict(schema), orient="row") for chunk in chunks)])


def _acted(decided: pl.DataFrame, approved: pl.DataFrame) -> pl.DataFrame:
    """A row a unit that a hook decided on with more than words: the newest decision of each hook holds.

    A person's yes lets a unit through, whatever the verdict: what follows is seen.
    """
    newest = decided.unique(["unit", "hook"], keep="last", maintain_order=True)
    let_through = approved.unique().with_columns(is_approved=pl.lit(value=True))
    in_force = (pl.col("level") != Level.ASSISTED.value) & (pl.col("applied") | pl.col("held_out"))
    stopped = pl.col("applied") & (pl.col("exit_code") != 0) & ~pl.col("is_approved").fill_null(value=False)
    return (
        newest.with_columns(pl.col("applied", "held_out").cast(pl.Boolean))
        .join(let_through, on=["unit", "hook"], how="left")
        .group_by("unit")
        .agg(in_force.any().alias("is_enforced"), stopped.any().alias("is_stopped"))
    )


def _instant(name: str) -> pl.Expr:
    return pl.col(name).str.to_datetime("%Y-%m-%dT%H:%M:%S%.fZ", time_unit="us")


def _cluster(kind: SubjectKind) -> list[pl.Expr]:
    """What is independent evidence of something else: an instant counts by its day."""
    instants = _instants(kind)
    return [_of_subject(n).str.slice(0, 10) if n in instants else _of_subject(n) for n in kind.judged_per]


def _closes_at(kind: SubjectKind) -> pl.Expr:
    """The end of the day that a cluster covers; before, it may gain further units."""
    days = [name for name in kind.judged_per if name in _instants(kind)]
    if not days:
        return pl.lit(None, dtype=pl.Datetime("us")).alias("closes_at")
    day = _of_subject(days[0]).str.slice(0, 10).str.to_datetime("%Y-%m-%d", time_unit="us")
    return (day + pl.duration(days=1)).alias("closes_at")


def _duration(kind: SubjectKind) -> pl.Expr:
    """What the same thing took on average before, in ms: what it takes this time nobody knew."""
    names: Sequence[str] = [name for name in kind.key_names if name not in {*_instants(kind), "revision"}]
    if not names or names == list(kind.decided_per):
        return pl.lit(None, dtype=pl.Float64).alias("duration_ms")
    same = [_of_subject(name) for name in names]
    known = pl.col("cost").is_not_null().cum_sum()
    mean = pl.col("cost").fill_null(0.0).cum_sum() / known
    before = pl.when(known > 0).then(mean).shift(1)
    return before.over(same, order_by="predicted_at").alias("duration_ms")


def _instants(kind: SubjectKind) -> set[str]:
    return {column.name for column in kind.key if column.type == "TIMESTAMP"}


def _of_subject(name: str) -> pl.Expr:
    return pl.col("subject").str.json_path_match(f"$.{name}").fill_null("")


_SAID = {
    "unit": pl.String, "subject": pl.String, "predicted_at": pl.String, "origin": pl.String,
    "probability": pl.Float64, "q_975": pl.Float64, "outcome": pl.Float64, "maturity": pl.String,
    "outcome_known_at": pl.String, "cost": pl.Float64,
}  # fmt: skip

_DECIDED = {
    "unit": pl.String, "hook": pl.String, "level": pl.String, "applied": pl.Int64, "held_out": pl.Int64,
    "exit_code": pl.Int64,
}  # fmt: skip

_PREDICTIONS = """
-- grain: prediction, in the order of the chain
select r.unit, r.subject, r.predicted_at, r.origin, r.probability, r.q_975,
  o.outcome, o.maturity, o.outcome_known_at, o.cost
from predictions r
left join newest_outcomes o on o.prediction_id = r.prediction_id
where r.decision = :decision and r.entity = :entity
order by r.batch_seq, r.position
"""

_DECISIONS = """
-- grain: decision, in the order of the chain
select unit, hook, level, case when applied then 1 else 0 end, case when held_out then 1 else 0 end, exit_code
from decisions
where decision = :decision and entity = :entity
order by batch_seq, position
"""

_APPROVALS = "-- grain: approval\nselect unit, hook from approvals where decision = :decision"

_AS_OF = """
-- grain: one row
select data_as_of from predictions where decision = :decision and entity = :entity
order by batch_seq desc, position desc limit 1
"""

_SCOPES = """
-- grain: scope
select distinct scope from decisions where decision = :decision and entity = :entity order by scope
"""
