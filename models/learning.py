"""Learning and judging, once for every decision: time-ordered split, fit, compare with the baseline, refit.

Put here what holds for all decisions. What only one decision knows belongs in its package. Pure: tables in,
numbers out; storing, registering and publishing are the assets' business.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import polars as pl

from weaver_forge import metrics
from weaver_forge.contracts.decision import (
    BASELINE_COLUMNS,
    LABEL_COLUMNS,
    OUTPUT_COLUMNS,
    Artifact,
    Predictions,
    SubjectKind,
    Tables,
)
from weaver_forge.contracts.values import Maturity

TRAIN_SHARE = 0.7
"""Share of the mature subjects, oldest first, that the judged model learns from."""

LEAST_TESTED = 20
"""Fewer judged subjects than this decide nothing, so the baseline stays."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """How the model did against its baseline on the newest mature subjects.

    Args:
        promoted: The model beat the baseline on the first metric, by the lower bound of the paired gain.
        reason: Why, in words, with the numbers.
        scores: One a metric; empty when there was nothing to judge on.
        n_trained: Subjects learnt from, all with labels known at ``trained_until``.
        n_tested: Subjects judged on.
        trained_until: The cut: nothing known later was used in training.
        tested_until: Newest predicted_at judged.
        rows: The judged predictions with their outcomes, for plots and replays.
    """

    promoted: bool
    reason: str
    scores: tuple[metrics.Score, ...]
    n_trained: int
    n_tested: int
    trained_until: datetime | None
    tested_until: datetime | None
    rows: pl.DataFrame


@dataclass(frozen=True, slots=True)
class Learned:
    """Both methods fitted on everything that is mature, with the judgement that chose between them."""

    model: Artifact
    baseline: Artifact
    judgement: Judgement


def learn(
    kind: SubjectKind, tables: Tables, features: pl.DataFrame, *, as_of: datetime, rng: np.random.Generator
) -> Learned:
    """Judge model against baseline on the newest part of history, then fit both on all of it.

    Args:
        kind: The subject kind.
        tables: Core tables, with ``known_at`` up to ``as_of``.
        features: Past subjects with their features, each computed as of its own ``predicted_at``.
        as_of: Now. Labels are what was known then.
        rng: Drives fitting and the bootstrap; same generator state, same result.
    """
    labelled = mature_labels(kind, tables, features, as_of=as_of)
    usable = features.join(labelled.select(kind.subject_columns), on=kind.subject_columns, how="semi")
    judgement = judge(kind, tables, usable, labelled, rng=rng)
    return Learned(
        model=kind.model.fit(usable, labelled, rng),
        baseline=kind.baseline.fit(usable, labelled, rng),
        judgement=judgement,
    )


def mature_labels(kind: SubjectKind, tables: Tables, features: pl.DataFrame, *, as_of: datetime) -> pl.DataFrame:
    """Labels of the subjects that are mature at ``as_of`` and no longer one-sided, in the order of ``features``."""
    two_sided = features.filter(pl.col("predicted_at") <= as_of - kind.one_sided_for)
    labels = kind.labels(tables, two_sided.select(kind.subject_columns), as_of)
    return labels.filter(pl.col("maturity") == Maturity.MATURE.value, pl.col("outcome").is_not_null())


def judge(
    kind: SubjectKind,
    tables: Tables,
    features: pl.DataFrame,
    labels: pl.DataFrame,
    *,
    rng: np.random.Generator,
) -> Judgement:
    """Train on the older subjects with the labels known at the cut, and score both methods on the newer ones."""
    if features.height < 2 * LEAST_TESTED:
        return _undecided(f"insufficient data: {features.height} of {2 * LEAST_TESTED} mature subjects")
    cut = features["predicted_at"].sort()[int(TRAIN_SHARE * features.height)]
    older = features.filter(pl.col("predicted_at") < cut)
    known = mature_labels(kind, tables, older, as_of=cut)
    older = older.join(known.select(kind.subject_columns), on=kind.subject_columns, how="semi")
    newer = features.filter(pl.col("predicted_at") >= cut)
    if older.height < LEAST_TESTED or newer.height < LEAST_TESTED:
        return _undecided(
            f"insufficient data: {older.height} subjects to learn from and {newer.height} to judge on, "
            f"{LEAST_TESTED} of each are needed"
        )
    model = kind.model.fit(older, known, rng)
    baseline = kind.baseline.fit(older, known, rng)
    joined = compare(kind, model, baseline, newer).rows.join(labels, on=kind.subject_columns, how="inner")
    rows = in_units(kind, joined)
    scores = tuple(metrics.evaluate(kind.metrics, rows, rng=rng))
    promoted, reason = _promotion(kind, scores)
    return Judgement(
        promoted=promoted,
        reason=reason,
        scores=scores,
        n_trained=older.height,
        n_tested=rows.height,
        trained_until=cut,
        tested_until=newer["predicted_at"].max(),  # type: ignore[arg-type]  # polars types max() as any literal
        rows=rows,
    )


def compare(kind: SubjectKind, model: Artifact, baseline: Artifact, features: pl.DataFrame) -> Predictions:
    """Predict with both methods; the baseline's numbers stand beside the model's in ``baseline_*``."""
    said = kind.model.predict(model, features)
    return Predictions(beside(kind, said.rows, kind.baseline.predict(baseline, features).rows), said.candidates)


def beside(kind: SubjectKind, rows: pl.DataFrame, baseline_rows: pl.DataFrame) -> pl.DataFrame:
    """Conform prediction rows, join the baseline's numbers, and name the unit that one decision covers."""
    mine = output(kind, rows)
    other = output(kind, baseline_rows).select(
        *kind.subject_columns,
        *(pl.col(column.name.removeprefix("baseline_")).alias(column.name) for column in BASELINE_COLUMNS),
    )
    unit = pl.concat_str([pl.col(name).cast(pl.String) for name in kind.decided_per], separator="|")
    return matched(mine, other, kind.subject_columns).with_columns(unit.alias("unit"))


def matched(rows: pl.DataFrame, others: pl.DataFrame, on: Sequence[str]) -> pl.DataFrame:
    """Each of the rows with what the others say under the same key (null is one too); nulls where none does.

    Both mostly are the same subjects in the same order: looking up ten thousand keys again would cost more.
    """
    if rows.select(on).equals(others.select(on)):
        return rows.hstack(others.drop(on))
    return rows.join(others, on=on, how="left", maintain_order="left", nulls_equal=True)


def in_units(kind: SubjectKind, rows: pl.DataFrame) -> pl.DataFrame:
    """Rows in subject order (event metrics read them in time), with the unit that the bootstrap draws."""
    instants = {column.name for column in kind.key if column.type == "TIMESTAMP"}
    if kind.judged_per:
        parts = [pl.col(n).dt.date() if n in instants else pl.col(n) for n in kind.judged_per]
    else:
        parts = [pl.col(n) for n in kind.decided_per]
    unit = pl.concat_str([part.cast(pl.String) for part in parts], separator="|")
    return rows.sort(kind.subject_columns).with_columns(unit.alias("unit"))


def output(kind: SubjectKind, rows: pl.DataFrame) -> pl.DataFrame:
    """Subject and output columns in declared order; an absent output column is null."""
    absent = [
        pl.lit(None, dtype=pl.String if column.type == "VARCHAR" else pl.Float64).alias(column.name)
        for column in OUTPUT_COLUMNS
        if column.name not in rows.columns
    ]
    return rows.with_columns(absent).select(*kind.subject_columns, *(column.name for column in OUTPUT_COLUMNS))


def no_labels(kind: SubjectKind, features: pl.DataFrame) -> pl.DataFrame:
    """An empty label frame with the right columns, for fitting a stated prior."""
    types: Mapping[str, Any] = {"VARCHAR": pl.String, "TIMESTAMP": pl.Datetime("us"), "DOUBLE": pl.Float64}
    schema = {column.name: types[column.type] for column in LABEL_COLUMNS}
    return (
        features.head(0)
        .select(kind.subject_columns)
        .with_columns(pl.lit(None, dtype=dtype).alias(name) for name, dtype in schema.items())
    )


def _promotion(kind: SubjectKind, scores: tuple[metrics.Score, ...]) -> tuple[bool, str]:
    first = scores[0]
    if first.gain_low is None or first.gain is None:
        return (
            False,
            f"{first.metric} is not estimable from {first.n} judged units, so {kind.baseline.name} is published",
        )
    interval = f"{first.gain:+.4g} [{first.gain_low:+.4g}, {first.gain_high:+.4g}] over {first.n}"
    if first.gain_low > 0:
        return True, f"{kind.model.name} beats {kind.baseline.name} on {first.metric}: {interval}"
    return False, f"{kind.model.name} does not beat {kind.baseline.name} on {first.metric}: {interval}"


def _undecided(reason: str) -> Judgement:
    return Judgement(False, reason, (), 0, 0, None, None, pl.DataFrame())
