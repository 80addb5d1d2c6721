"""Scores of resolved predictions as rows of the ledger, from columns: a million predictions are no million dicts.

Put here what turns the ledger's columns into what ``weaver_forge.metrics`` measures. When scores are made is in
``decisions``.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import numpy as np
import polars as pl

from assets.predicting import SEED
from models.learning import in_units
from weaver_forge import metrics
from weaver_forge.contracts.decision import DecisionSpec, SubjectKind
from weaver_forge.ledger import Ledger, queries

_COMMON = ("subject", "predicted_at", "model_name", "baseline_value", "score", "baseline_score")

_MEASURED = {
    "event": ("probability", "baseline_probability"),
    "quantity": ("value", "q_025", "q_100", "q_900", "q_975"),
}
"""What of a prediction is measured, by what it predicts: a column that is null throughout costs as much as another."""


def resolved(ledger: Ledger, spec: DecisionSpec, kind: SubjectKind, origin: str) -> pl.DataFrame:
    """What :func:`score_rows` takes of the resolved predictions of an origin."""
    return queries.resolved_columns(
        ledger, spec.name, kind.entity, origin=origin, columns=(*_COMMON, *_MEASURED[kind.predicts]),
        outcome=("outcome", "cost"),
    )  # fmt: skip


def score_rows(
    spec: DecisionSpec, kind: SubjectKind, origin: str, rows: pl.DataFrame, counts: Mapping[str, int], now: datetime
) -> list[dict[str, Any]]:
    """One row of ``scores`` a metric; none where nothing is resolved.

    Args:
        spec: The decision.
        kind: The subject kind.
        origin: What made the predictions: live, replay or simulated.
        rows: As :func:`resolved` gives them, in the order of the chain.
        counts: n_pending and n_unresolvable.
        now: End of a window that has none.
    """
    if rows.is_empty():
        return []
    # A score belongs to the method that speaks now: one that mixed versions would vouch for none of them.
    speaks = rows["model_name"][-1]
    mine = rows.filter(pl.col("model_name") == speaks)
    frame = in_units(kind, mine.with_columns(*subject_columns(kind)).drop("subject"))
    newest = frame["predicted_at"].max()
    return [
        {
            "decision": spec.name, "entity": kind.entity, "origin": origin, "model_name": speaks,
            "metric": score.metric, "value": score.value, "low": score.low, "high": score.high,
            "baseline_value": score.baseline_value, "gain": score.gain, "gain_low": score.gain_low,
            "gain_high": score.gain_high, "n": score.n, "n_pending": counts["n_pending"],
            "n_unresolvable": counts["n_unresolvable"], "window_start": frame["predicted_at"].min(),
            "window_end": newest if isinstance(newest, datetime) else now,
        }
        for score in metrics.evaluate(kind.metrics, frame, rng=np.random.default_rng(SEED))
    ]  # fmt: skip


def subject_columns(kind: SubjectKind) -> list[pl.Expr]:
    """The key columns of the subject, in their declared types, from its JSON text."""
    decoded = pl.col("subject").str.json_decode(pl.Struct({column.name: pl.String for column in kind.key})).struct
    return [
        decoded.field(column.name).str.to_datetime("%Y-%m-%dT%H:%M:%S%.f", time_unit="us")
        if column.type == "TIMESTAMP"
        else decoded.field(column.name)
        for column in kind.key
    ]
