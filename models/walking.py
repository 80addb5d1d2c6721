"""Past units as the methods would have ordered them: learnt on what came before, block after block. Pure.

Put here how a history is walked through, and what is kept of each unit: how far down its order the failures stood. What
a selection at some share would have caught is counted from that by ``weaver_forge.hooks.selecting``. Unlike a replay it
costs a few fits and no new features, so that it can follow every training.
"""

from collections.abc import Iterator
from datetime import datetime

import numpy as np
import polars as pl

from models.learning import mature_labels
from weaver_forge.contracts.decision import FLAKY, PAST_BASELINE, Artifact, Method, SubjectKind, Tables

BLOCKS = 5
"""Times at which the methods are learnt anew."""

WARM_UP = 0.2
"""Share of the units, oldest first, that are only learnt from."""

MOST_UNITS = 1_000
"""Newest units that are walked through: what a project was like years ago says little about today."""

SCORE = "score_"
DURATION = "expected_duration_ms"


def walk(kind: SubjectKind, tables: Tables, features: pl.DataFrame, *, as_of: datetime, seed: int = 0) -> pl.DataFrame:
    """Order every past unit by methods that were learnt before its block began.

    Args:
        kind: The subject kind.
        tables: Core tables, for labels.
        features: Past subjects with their features, each computed as of its own ``predicted_at``.
        as_of: Outcomes are what was known then; those that were learnt from, what was known at the block's beginning.
        seed: Of fitting.

    Returns:
        A row a unit and order, in the columns of ``contracts.decision.past_table``; none where too little is known.
    """
    labels = mature_labels(kind, tables, features, as_of=as_of)
    known = features.join(labels.select(kind.subject_columns), on=kind.subject_columns, how="semi")
    parts = []
    for begin, end in _blocks(known, kind):
        older = features.filter(pl.col("predicted_at") < begin)
        learnt_from = mature_labels(kind, tables, older, as_of=begin)
        if learnt_from.is_empty():
            continue
        inside = pl.col("predicted_at") >= begin
        block = known.filter(inside if end is None else inside & (pl.col("predicted_at") < end))
        outcomes = block.select(*kind.subject_columns, _duration(block)).join(
            labels.select(*kind.subject_columns, "outcome", "link_method", "outcome_known_at", "cost"),
            on=kind.subject_columns,
        )
        rng = np.random.default_rng(seed)
        for method, only in ((kind.model, ""), (kind.baseline, PAST_BASELINE)):
            scores = _scores(method, method.fit(older, learnt_from, rng), block, kind, only)
            parts += [kept(outcomes.join(frame, on=kind.subject_columns), kind, name, begin) for name, frame in scores]
    return pl.concat(parts) if parts else kept(_nothing(kind), kind, "", as_of)


def kept(rows: pl.DataFrame, kind: SubjectKind, order_name: str, fitted_at: datetime) -> pl.DataFrame:
    """What is kept of each unit.

    Args:
        rows: Key, predicted_at, score, expected_duration_ms, outcome, link_method, outcome_known_at and cost.
        kind: The subject kind.
        order_name: What to call the order.
        fitted_at: When its method was learnt.
    """
    unit = [*kind.decided_per, "predicted_at"]
    names = [name for name in kind.key_names if name not in kind.decided_per]
    # The order and what stands in for unknown durations are those of hooks.rank_tests.ordered; a test holds them equal.
    middle = pl.col(DURATION).sort(nulls_last=True).get(pl.col(DURATION).count() // 2).over(unit)
    expected = pl.col(DURATION).fill_null(pl.when(pl.col(DURATION).count().over(unit) > 0).then(middle).otherwise(1.0))
    placed = (
        rows.with_columns(expected=expected, score=pl.col("score").fill_nan(None).fill_null(-np.inf))
        .sort(*unit, "score", *names, descending=[*(False for _ in unit), True, *(False for _ in names)])
        .with_columns(
            through=pl.col("expected").cum_sum().over(unit) / pl.col("expected").sum().over(unit),
            place=pl.int_range(1, pl.len() + 1).over(unit) / pl.len().over(unit),
            is_first=pl.int_range(pl.len()).over(unit) == 0,
        )
        # One subject always comes first: a failure there needs no share at all.
        .with_columns(pl.when("is_first").then(0.0).otherwise(pl.col("through", "place")).name.keep())
    )
    failed = pl.col("outcome") == 1
    flaky = pl.col("link_method").str.ends_with(FLAKY).fill_null(value=False)
    return placed.group_by(unit, maintain_order=True).agg(
        order_name=pl.lit(order_name),
        fitted_at=pl.lit(fitted_at, pl.Datetime("us")),
        known_at=pl.col("outcome_known_at").max(),
        n_tests=pl.len().cast(pl.Int32),
        n_failing=failed.sum().cast(pl.Int32),
        n_unstable=flaky.sum().cast(pl.Int32),
        expected_ms=pl.col("expected").sum(),
        cost_ms=pl.col("cost").sum(),
        first_share=pl.col("through").filter(failed).min(),
        first_share_tests=pl.col("place").filter(failed).min(),
        shares=_as_list(pl.col("through").filter(failed)),
        shares_tests=_as_list(pl.col("place").filter(failed)),
    )


def _as_list(shares: pl.Expr) -> pl.Expr:
    """A JSON list of numbers, as text."""
    return pl.format("[{}]", shares.sort().round(6).cast(pl.String).str.join(", "))


def _blocks(known: pl.DataFrame, kind: SubjectKind) -> Iterator[tuple[datetime, datetime | None]]:
    """Beginnings and ends of blocks of about equally many units; the last has no end."""
    times = known.select(*kind.decided_per, "predicted_at").unique()["predicted_at"].sort()
    first = max(int(WARM_UP * len(times)), len(times) - MOST_UNITS)
    edges = [times[int(place)] for place in np.linspace(first, len(times), BLOCKS + 1)[:-1]] if len(times) else []
    begins = sorted({edge for edge in edges if edge > times[0]})
    if begins:  # a repository without results, or with one run, has nothing to walk through
        yield from zip(begins, [*begins[1:], None], strict=True)


def _duration(block: pl.DataFrame) -> pl.Expr:
    return pl.col(DURATION).cast(pl.Float64) if DURATION in block.columns else pl.lit(None, pl.Float64).alias(DURATION)


def _scores(
    method: Method, artifact: Artifact, block: pl.DataFrame, kind: SubjectKind, only: str
) -> Iterator[tuple[str, pl.DataFrame]]:
    """Each order of a method as subject columns and score."""
    if only or method.orders is None:
        rows = method.predict(artifact, block).rows
        score = pl.coalesce("score", "probability") if "score" in rows.columns else pl.col("probability")
        yield only or "score", rows.select(*kind.subject_columns, score.alias("score"))
        return
    frame = method.orders(artifact, block)
    for column in frame.columns:
        if column.startswith(SCORE):
            yield column.removeprefix(SCORE), frame.select(*kind.subject_columns, score=column)


def _nothing(kind: SubjectKind) -> pl.DataFrame:
    at = pl.Datetime("us")
    schema = {name: at if name.endswith("_at") else pl.String for name in kind.subject_columns}
    return pl.DataFrame(
        schema={
            **schema, "score": pl.Float64, DURATION: pl.Float64, "outcome": pl.Float64, "link_method": pl.String,
            "outcome_known_at": at, "cost": pl.Float64,
        }
    )  # fmt: skip
