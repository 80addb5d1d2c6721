"""From an exported document to predictions with their provenance, and to ledger rows.

Shared by the publishing assets and by on-demand scoring, so it imports neither Dagster nor MLflow.
"""

import hashlib
import json
import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import polars as pl

from models.learning import beside, compare, matched
from weaver_forge.contracts.decision import (
    BASELINE_COLUMNS,
    CANDIDATE_COLUMNS,
    OUTPUT_COLUMNS,
    DecisionSpec,
    Predictions,
    SubjectKind,
    Tables,
    prediction_table,
)
from weaver_forge.contracts.dtypes import shaped
from weaver_forge.ledger import Ledger, idempotency_key, uuid7s

SEED = 20_260_301
"""Fitting and bootstraps start from this: the same data give the same model and the same intervals."""

_LEDGER_PROVENANCE = (
    "predicted_at", "made_at", "origin", "baseline_name", "model_name", "model_version", "is_baseline",
    "data_as_of", "feature_sha256", "resolve_by",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """What every prediction of one batch has in common."""

    origin: str
    made_at: datetime
    data_as_of: datetime | None
    sources_missing: tuple[str, ...]


def predict(
    spec: DecisionSpec,
    kind: SubjectKind,
    document: Mapping[str, Any],
    tables: Tables,
    subjects: pl.DataFrame,
    provenance: Provenance,
) -> Predictions:
    """Predict ``subjects`` with the published method, the baseline's numbers and the provenance beside it.

    Returns:
        Rows in the columns of the kind's prediction table, and candidates where the method ranks any.
    """
    features = kind.features(tables, subjects)
    model, baseline = document["model"]["artifact"], document["baseline"]["artifact"]
    if document["is_baseline"]:
        said = kind.baseline.predict(baseline, features)
        both = Predictions(beside(kind, said.rows, said.rows), said.candidates)
    else:
        both = compare(kind, model, baseline, features)
    name = document["baseline" if document["is_baseline"] else "model"]["name"]
    named = both.rows.with_columns(
        pl.lit(name).alias("model_name"),
        pl.lit(model_version(document)).alias("model_version"),
        pl.lit(document["is_baseline"]).alias("is_baseline"),
    )
    return Predictions(with_provenance(spec, kind, named, features, provenance), both.candidates)


def with_provenance(
    spec: DecisionSpec, kind: SubjectKind, rows: pl.DataFrame, features: pl.DataFrame, provenance: Provenance
) -> pl.DataFrame:
    """Predictions as rows of the kind's prediction table.

    Args:
        spec: The decision.
        kind: The subject kind.
        rows: Predictions with the baseline's numbers, model_name, model_version and is_baseline.
        features: The features they were made from.
        provenance: What they have in common.
    """
    hashes = features.select(
        *kind.subject_columns,
        pl.Series("feature_sha256", _row_hashes(features.drop(kind.subject_columns))),
    )
    made = matched(rows, hashes, kind.subject_columns).with_columns(
        pl.Series("prediction_id", uuid7s(provenance.made_at, secrets.token_bytes(10 * rows.height)), dtype=pl.String),
        pl.lit(provenance.origin).alias("origin"),
        pl.lit(kind.baseline.name).alias("baseline_name"),
        pl.lit(provenance.made_at).alias("made_at"),
        pl.lit(provenance.data_as_of or provenance.made_at).alias("data_as_of"),
        (pl.col("predicted_at") + kind.resolve_after).alias("resolve_by"),
        pl.lit(json.dumps(provenance.sources_missing)).alias("sources_missing"),
    )
    return shaped(prediction_table(spec, kind), made)


def model_version(document: Mapping[str, Any]) -> str:
    """The registered version, marked where it is the baseline that speaks."""
    return f"baseline-{document['version']}" if document["is_baseline"] else str(document["version"])


def record(ledger: Ledger, spec: DecisionSpec, kind: SubjectKind, said: Predictions, *, now: datetime) -> Predictions:
    """Write the predictions to the ledger, before anybody sees them.

    Returns:
        The same; one that this version made before for the same time keeps the id under which it was recorded.
    """
    rows = ledger_rows(spec, kind, said)
    if ledger.append("predictions", rows, now=now) == len(rows):
        return said
    stored = ledger.rows(
        "predictions",
        "where decision = :decision and entity = :entity",
        {"decision": spec.name, "entity": kind.entity},
        columns=("prediction_id", "idempotency_key"),
    )
    ids = {row["idempotency_key"]: row["prediction_id"] for row in stored}
    recorded = pl.Series("prediction_id", [ids[row["idempotency_key"]] for row in rows])
    return Predictions(said.rows.with_columns(recorded), said.candidates)


def ledger_rows(spec: DecisionSpec, kind: SubjectKind, said: Predictions) -> list[dict[str, Any]]:
    """The predictions as rows of the ledger."""
    candidates = _candidates_by_subject(kind, said.candidates)
    numbers = [column.name for column in (*OUTPUT_COLUMNS, *BASELINE_COLUMNS) if column.type == "DOUBLE"]
    rows = []
    for row in said.rows.iter_rows(named=True):
        subject = {name: _text(row[name]) for name in kind.key_names}
        rows.append({
            "prediction_id": row["prediction_id"],
            "idempotency_key": idempotency_key(
                spec.name, kind.entity, subject, row["predicted_at"], row["model_version"]
            ),
            "decision": spec.name,
            "entity": kind.entity,
            "subject": subject,
            "unit": "|".join(_text(row[name]) for name in kind.decided_per),
            **{name: row[name] for name in numbers},
            **{name: row[name] for name in _LEDGER_PROVENANCE},
            "evidence": json.loads(row["evidence"] or "[]"),
            "candidates": candidates.get(tuple(row[name] for name in kind.subject_columns), []),
            "sources_missing": json.loads(row["sources_missing"]),
        })  # fmt: skip
    return rows


def subjects_of(kind: SubjectKind, rows: Iterable[Mapping[str, Any]]) -> pl.DataFrame:
    """Ledger rows back as subjects: key columns in their declared types, and ``predicted_at``."""
    listed = list(rows)
    columns = {
        column.name: [
            datetime.fromisoformat(row["subject"][column.name])
            if column.type == "TIMESTAMP"
            else row["subject"][column.name]
            for row in listed
        ]
        for column in kind.key
    }
    schema: dict[str, Any] = {
        column.name: pl.Datetime("us") if column.type == "TIMESTAMP" else pl.String for column in kind.key
    }
    return pl.DataFrame(
        {**columns, "predicted_at": [row["predicted_at"] for row in listed]},
        schema={**schema, "predicted_at": pl.Datetime("us")},
    )


def data_as_of(tables: Tables, now: datetime) -> datetime | None:
    """The newest ``known_at`` up to now over the tables a decision reads; None when all are empty."""
    newest = [
        frame.filter(pl.col("known_at") <= now)["known_at"].max()
        for frame in tables.values()
        if "known_at" in frame.columns
    ]
    return max((value for value in newest if isinstance(value, datetime)), default=None)


def _row_hashes(features: pl.DataFrame) -> list[str]:
    """SHA-256 of each row: its numbers as 64-bit floats (null as NaN), then its other values as JSON.

    Writing numbers as text would cost more than all else that is made of ten thousand predictions.
    """
    numbers = features.select(pl.selectors.numeric().cast(pl.Float64))
    others = features.select(pl.selectors.exclude(pl.selectors.numeric()))
    texts = [b""] * features.height
    if others.width:
        texts = others.select(pl.struct(pl.all()).struct.json_encode().cast(pl.Binary)).to_series().to_list()
    packed, size = numbers.to_numpy().astype("<f8", order="C").tobytes(), 8 * numbers.width
    rows = [packed[place * size : (place + 1) * size] + text for place, text in enumerate(texts)]
    return [hashed.hexdigest() for hashed in map(hashlib.sha256, rows)]


def _candidates_by_subject(
    kind: SubjectKind, candidates: pl.DataFrame | None
) -> Mapping[tuple[Any, ...], Sequence[Mapping[str, Any]]]:
    if candidates is None:
        return {}
    found: dict[tuple[Any, ...], list[Mapping[str, Any]]] = {}
    names = [column.name for column in CANDIDATE_COLUMNS]
    for row in candidates.sort(*kind.subject_columns, "rank").iter_rows(named=True):
        candidate = {name: row[name] for name in names}
        candidate["evidence"] = json.loads(candidate["evidence"] or "[]")
        found.setdefault(tuple(row[name] for name in kind.subject_columns), []).append(candidate)
    return found


def _text(value: Any) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)
