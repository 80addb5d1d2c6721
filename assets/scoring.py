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

COLUMNS = (
    "subject", "predicted_at", "probability", "value", "q_025", "q_100", "q_900", "q_975", "score",
    "baseline_probability", "baseline_value", "baseline_score", "model_name",
)  # fmt: skip
"""What of a prediction is measured."""


def score_rows(
    spec: DecisionSpec, kind: SubjectKind, origin: str, resolved: pl.DataFrame, counts: Mapping[str, int], now: datetime
) -> list[dict[str, Any]]:
    """One row of ``scores`` a metric; none where nothing is resolved.

    Args:
        spec: The decision.
        kind: The subject kind.
        origin: What made the predictions: live, replay or simulated.
        resolved: :data:`COLUMNS` and the outcome's, in the order of the chain.
        counts: n_pending and n_unresolvable.
        now: End of a window that has none.
    """
    if resolved.is_empty():
        return []
    # A score belongs to the method that speaks now: one that mixed versions would vouch for none of them.
    speaks = resolved["model_name"][-1]
    mine = resolved.filter(pl.col("model_name") == speaks)
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
