"""Predictions of a large ranking that somebody waits for: written down at once, in the ledger with the next run.

The ledger checks, hashes and chains every row, which takes it a second for ten thousand; a spooled file takes a
fraction. Draining takes each row in once, and a question that is asked again is answered under the same ids. Put here
when and how predictions are spooled; taking them in is the spool's business.
"""

import hashlib
from collections.abc import Iterable
from datetime import datetime
from io import BytesIO
from itertools import starmap
from pathlib import Path

import polars as pl

from weaver_forge.contracts.decision import BASELINE_COLUMNS, OUTPUT_COLUMNS, DecisionSpec, Predictions, SubjectKind
from weaver_forge.ledger import Ledger, spool, uuid7s
from weaver_forge.ledger.canonical import instant_text

LARGE = 500
"""Predictions from which on nobody waits for the ledger."""

_SAID = (
    "prediction_id", "predicted_at", "made_at", "origin", "baseline_name", "model_name", "model_version", "is_baseline",
    "data_as_of", "feature_sha256", "resolve_by", "evidence", "sources_missing",
)  # fmt: skip


def is_large(kind: SubjectKind, said: Predictions) -> bool:
    """Whether these are many predictions of one unit and time, all of them numbers: the ledger refuses others."""
    rows = said.rows
    if rows.height < LARGE or said.candidates is not None or any(column.type != "VARCHAR" for column in kind.key):
        return False
    one = rows.select(*kind.decided_per, "predicted_at", "model_version").n_unique() == 1
    sound = rows.select(pl.all_horizontal(pl.col(_numbers(rows)).is_finite().fill_null(value=True).all())).item()
    return one and bool(sound)


def put_down(folder: Path, ledger: Ledger, spec: DecisionSpec, kind: SubjectKind, said: Predictions) -> Predictions:
    """Spool the predictions of one unit.

    Args:
        folder: The spool.
        ledger: Asked whether it has them already.
        spec: The decision.
        kind: The subject kind.
        said: As :func:`is_large` wants them.

    Returns:
        The same, each under the id under which the ledger has it or will have it.

    Raises:
        OSError: If the spool cannot be written.
    """
    first = said.rows.row(0, named=True)
    unit = "|".join(str(first[name]) for name in kind.decided_per)
    at, version = first["predicted_at"], first["model_version"]
    about = "\0".join((spec.name, kind.entity, unit, instant_text(at), version))
    ids = pl.Series("prediction_id", _ids(at, [f"{about}\0{name}" for name in _names(kind, said.rows)]))
    known = ledger.rows(
        "predictions",
        "where decision = :decision and unit = :unit and predicted_at = :at and model_version = :version",
        {"decision": spec.name, "unit": unit, "at": instant_text(at), "version": version},
        columns=("prediction_id", "subject"),
    )
    rows = said.rows.with_columns(ids)
    if known:
        named = {"\0".join(str(row["subject"][name]) for name in kind.key_names): row["prediction_id"] for row in known}
        before = zip(_names(kind, rows), rows["prediction_id"], strict=True)
        rows = rows.with_columns(pl.Series("prediction_id", list(starmap(named.get, before))))
    if len(known) < rows.height:
        spool.keep_lines(folder, _ids(at, [about])[0], _lines(spec, kind, rows, unit))
    return Predictions(rows, said.candidates)


def _names(kind: SubjectKind, rows: pl.DataFrame) -> pl.Series:
    return rows.select(name=pl.concat_str(kind.key_names, separator="\0")).to_series()


def _numbers(rows: pl.DataFrame) -> list[str]:
    declared = (*OUTPUT_COLUMNS, *BASELINE_COLUMNS)
    return [column.name for column in declared if column.type == "DOUBLE" and column.name in rows.columns]


def _ids(at: datetime, about: Iterable[str]) -> list[str]:
    """Ids that follow from what they are about."""
    return uuid7s(at, b"".join(hashlib.sha256(text.encode()).digest()[:10] for text in about))


def _lines(spec: DecisionSpec, kind: SubjectKind, rows: pl.DataFrame, unit: str) -> bytes:
    """A line of JSON a prediction, as the spool keeps them."""
    row = pl.struct(
        *_SAID,
        *_numbers(rows),
        subject=pl.struct(kind.key_names),
        decision=pl.lit(spec.name),
        entity=pl.lit(kind.entity),
        unit=pl.lit(unit),
        candidates=pl.lit("[]"),
    )
    lines = BytesIO()
    rows.select(kind=pl.lit("predictions"), row=row).write_ndjson(lines)
    return lines.getvalue()
