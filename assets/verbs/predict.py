"""predict: score a subject on demand from the published snapshot, also a revision that was never ingested.

Loads neither Dagster nor MLflow: the champion's artifact and the core tables are in the snapshot. The
prediction is written to the ledger before anybody sees it.
"""

import json
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl

from assets.deferring import is_large, put_down
from assets.predicting import Provenance, record
from assets.predicting import predict as predict_subjects
from assets.registry import load_spec
from assets.resources import Emit
from assets.snapshot_tables import SnapshotTables
from weaver_forge.changes import core_changes
from weaver_forge.changes.semantic_rows import semantic_rows
from weaver_forge.contracts.decision import DecisionSpec, Predictions, SubjectKind
from weaver_forge.contracts.dtypes import empty
from weaver_forge.contracts.table import Column
from weaver_forge.contracts.tables.changes import (
    CORE_CHANGES_CHANGES,
    CORE_CHANGES_SEMANTICS,
    RAW_GIT_BLAMES,
    RAW_GIT_COMMITS,
    RAW_GIT_FILE_CHANGES,
)
from weaver_forge.contracts.values import Origin
from weaver_forge.errors import NothingPublished, SourceError, UsageError
from weaver_forge.ledger import Ledger
from weaver_forge.settings import Settings
from weaver_forge.snapshot import Snapshot, open_snapshot
from weaver_forge.sources.git import Repository, read_revision
from weaver_forge.sources.git_texts import classes_of_each

MOST_READ = 100
"""Files of a change whose texts are read for what it means; one of more is judged by their names."""


def predict(settings: Settings, arguments: Mapping[str, Any], emit: Emit) -> int:
    """Predict one unit: ``decision`` and ``subject`` (column -> value).

    Optional: ``entity``, ``repository`` (the path of a clone that has a revision which was never ingested),
    ``snapshot`` (the folder to read), ``objective`` (what a model that can order for several is to order for),
    ``branch`` (of the run that asks) and ``packed`` (whether to give the predictions by column).
    """
    spec = load_spec(settings, str(arguments["decision"]))
    subject = {str(key): str(value) for key, value in dict(arguments["subject"]).items()}
    kind = kind_for(spec, arguments.get("entity"), subject)
    now = settings.now()
    snapshot_at = Path(arguments.get("snapshot") or settings.root)
    with ThreadPoolExecutor(1) as beside, open_snapshot(snapshot_at) as snapshot:
        reading = beside.submit(rows_of_revision, spec, subject, arguments.get("repository"))
        document = for_objective(document_of(snapshot, spec, kind), kind, str(arguments.get("objective") or ""))
        with SnapshotTables(snapshot.path, spec.reads, kind.keeping.tables if kind.keeping else ()) as tables:
            tables.read_kept()  # while git is at work
            tables.beside(reading.result())
            provenance = Provenance(
                origin=(Origin.SIMULATED if settings.fixed_now else Origin.LIVE).value,
                made_at=now,
                data_as_of=tables.data_as_of(now),
                sources_missing=_sources_missing(snapshot, spec),
            )
            branch = str(arguments.get("branch") or "")
            said = predict_from(spec, kind, document, tables, subject, provenance, branch=branch)
    with Ledger.open(settings.ledger_url) as ledger:
        if is_large(kind, said):
            said = put_down(settings.spool, ledger, spec, kind, said)
        else:
            said = record(ledger, spec, kind, said, now=now)
    emit({
        "event": "result",
        "data": {
            "decision": spec.name,
            "entity": kind.entity,
            "predictions": packed(said.rows) if arguments.get("packed") else said.rows.to_dicts(),
            "candidates": [] if said.candidates is None else said.candidates.to_dicts(),
        },
    })  # fmt: skip
    return 0


def predict_from(
    spec: DecisionSpec,
    kind: SubjectKind,
    document: Mapping[str, Any],
    tables: SnapshotTables,
    subject: Mapping[str, str],
    provenance: Provenance,
    *,
    branch: str = "",
) -> Predictions:
    """Predict what is asked about from a snapshot's tables, as of when it is asked; nothing is recorded.

    Args:
        spec: The decision.
        kind: The subject kind.
        document: As a training exported it.
        tables: The snapshot's.
        subject: Column -> value.
        provenance: What all rows have in common.
        branch: On which the run is that asks; empty where nobody says.

    Raises:
        SourceError: If nothing is known about it.
    """
    subjects = _subjects(kind, tables, subject, provenance.made_at, branch)
    return predict_subjects(spec, kind, document, tables, subjects, provenance)


def packed(rows: pl.DataFrame) -> dict[str, Any]:
    """Rows by column for who reads ten thousand of them: ``same`` for all, and ``each`` as a list."""
    same = [name for name in rows.columns if rows[name].n_unique() == 1]
    first = rows.select(same).row(0, named=True) if same else {}
    return {"n": rows.height, "same": first, "each": rows.drop(same).to_dict(as_series=False)}


def kind_for(spec: DecisionSpec, entity: object, subject: Mapping[str, str]) -> SubjectKind:
    """The kind that is named, else the one whose decision covers just these columns."""
    if entity:
        kind = next((kind for kind in spec.kinds if kind.entity == entity), None)
        if kind is not None and set(subject) <= set(kind.key_names):
            return kind
    for kind in spec.kinds:
        if set(kind.decided_per) <= set(subject) <= set(kind.key_names):
            return kind
    needed = " or ".join(", ".join(kind.decided_per) for kind in spec.kinds)
    raise UsageError(f"{spec.name} cannot be asked about {', '.join(subject) or 'nothing'}", do=f"Give {needed}")


def document_of(snapshot: Snapshot, spec: DecisionSpec, kind: SubjectKind) -> dict[str, Any]:
    """What predicting needs, as a training exported it.

    Raises:
        NothingPublished: If no model was published.
    """
    try:
        document: dict[str, Any] = json.loads(snapshot.artifact(spec.name, kind.entity))
    except KeyError as error:
        raise NothingPublished(
            f"no trained model of {spec.name} for {kind.entity}", where=str(snapshot.path), do="Run `weaver-forge run`"
        ) from error
    return document


def for_objective(document: dict[str, Any], kind: SubjectKind, objective: str) -> dict[str, Any]:
    """The same document for another objective; its version says so, as its order is another one.

    Raises:
        UsageError: If the method cannot order for it.
    """
    artifact = document["model"]["artifact"]
    if not objective or objective == artifact.get("objective"):
        return document
    if kind.model.orders is None or objective not in artifact.get("choice", {}):
        raise UsageError(f"{kind.model.name} does not order by {objective!r}", do="Take the published order")
    model = {**document["model"], "artifact": {**artifact, "objective": objective}}
    return {**document, "model": model, "version": f"{document['version']}-{objective}"}


def rows_of_revision(spec: DecisionSpec, subject: Mapping[str, str], repository: object) -> dict[str, pl.DataFrame]:
    """Core rows of the asked revision, read from the repository at hand; nothing where none is given."""
    if not repository or "revision" not in subject:
        return {}
    path = Path(str(repository))
    clone = Repository(path)
    if clone.repo_id != subject.get("repo_id"):
        return {}
    batch = read_revision(path, subject["revision"])
    # A revision alone blames nobody yet, so its batch may lack a table.
    raw = (
        batch.tables.get(table.name, empty(table)) for table in (RAW_GIT_COMMITS, RAW_GIT_FILE_CHANGES, RAW_GIT_BLAMES)
    )
    rows = core_changes(*raw)
    if CORE_CHANGES_SEMANTICS not in spec.reads:
        return rows
    changes = rows[CORE_CHANGES_CHANGES.name]
    classes = classes_of_each(clone, changes["revision"].to_list(), n_files=MOST_READ)
    return {**rows, **semantic_rows(changes, classes)}


def _subjects(
    kind: SubjectKind, tables: Mapping[str, pl.DataFrame], subject: Mapping[str, str], now: datetime, branch: str
) -> pl.DataFrame:
    unit = {name: value for name, value in subject.items() if name in kind.decided_per} | {"branch": branch}
    current = kind.keeping.ask(tables, unit, now) if kind.keeping else kind.current(tables, now)
    matching = current.filter(*(_is(column, subject[column.name]) for column in kind.key if column.name in subject))
    if not matching.is_empty():
        return matching
    if set(subject) == set(kind.key_names) and all(column.type == "VARCHAR" for column in kind.key):
        if not _is_known(kind, tables, subject):
            raise SourceError(
                f"nothing is known about {dict(subject)}",
                do="Ingest it, or ask inside a full clone of its repository",
            )
        return pl.DataFrame({**{name: [subject[name]] for name in kind.key_names}, "predicted_at": [now]}).with_columns(
            pl.col("predicted_at").cast(pl.Datetime("us"))
        )
    raise SourceError(f"nothing to predict for {dict(subject)}", do="Ingest newer data, or check the spelling")


def _is(column: Column, value: str) -> pl.Expr:
    """Whether a key column has the value that was given as text; instants may be written in any ISO 8601 form."""
    if column.type != "TIMESTAMP":
        return pl.col(column.name).cast(pl.String) == value
    try:
        instant = datetime.fromisoformat(value)
    except ValueError as error:
        raise UsageError(f"{column.name} {value!r} is no instant", do="Write it like 2026-03-01T12:00:00Z") from error
    return pl.col(column.name) == (instant.astimezone(UTC).replace(tzinfo=None) if instant.tzinfo else instant)


def _is_known(kind: SubjectKind, tables: Mapping[str, pl.DataFrame], subject: Mapping[str, str]) -> bool:
    """Some table that the decision reads has the subject: a made-up revision must not get a confident number."""
    return any(
        not frame.filter(*(pl.col(name) == subject[name] for name in kind.key_names)).is_empty()
        for frame in tables.values()
        if set(kind.key_names) <= set(frame.columns)
    )


def _sources_missing(snapshot: Snapshot, spec: DecisionSpec) -> tuple[str, ...]:
    given = {row["source"] for row in snapshot.rows("select distinct source from raw_ingest__inputs where n_rows > 0")}
    return tuple(source for source in spec.sources if source not in given)
