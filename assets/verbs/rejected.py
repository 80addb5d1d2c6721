"""rejected: what was refused and why; decoding it again, and giving the bytes out."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl

from assets.definitions import open_deployment
from assets.raw import SOURCES
from assets.raw.replay import replay
from assets.resources import Deployment, Emit
from weaver_forge.contracts.tables.ingest import RAW_INGEST_REJECTED
from weaver_forge.errors import SourceError, UsageError
from weaver_forge.settings import Settings

_COLUMNS = ["source", "reason", "n", "kept", "first"]


def rejected(settings: Settings, arguments: Mapping[str, Any], emit: Emit) -> int:
    """List what is refused, grouped by reason; before that, decode it again or write it out if asked."""
    source = str(arguments.get("source") or "")
    names = [known.name for known in SOURCES]
    if source and source not in names:
        raise UsageError(f"unknown source {source!r}", where="--source", do=f"Known: {', '.join(names)}")
    deployment = open_deployment(settings, emit)
    result: dict[str, Any] = {}
    if arguments.get("replay"):
        result["replayed"] = _replay(deployment, source, emit)
    if arguments.get("export"):
        result["exported"] = _export(deployment, source, Path(str(arguments["export"])), emit)
    groups = _groups(deployment, source)
    if groups:
        rows = [[group[name] for name in _COLUMNS] for group in groups]
        emit({"event": "table", "title": "Refused", "columns": _COLUMNS, "rows": rows})
    else:
        emit({"event": "line", "text": "nothing is refused", "style": "ok"})
    emit({"event": "result", "data": {"refused": groups, **result}})
    return 0


def _groups(deployment: Deployment, source: str) -> list[dict[str, Any]]:
    """A row a source and reason: how many pieces, of how many the bytes are kept, and where the first is."""
    return deployment.warehouse.query(f"""
        select
          source,
          reason,
          count(*) as n,
          count(data) as kept,
          arg_min(name || ', ' || position, (rejected_at, name, coalesce(byte_offset, 0), position)) as first
        from {RAW_INGEST_REJECTED.name}
        where {_condition(source)}
        group by all
        order by n desc, source, reason
    """).to_dicts()  # noqa: S608 - declared and checked names


def _condition(source: str) -> str:
    return "resolved_at is null" + (f" and source = '{source}'" if source else "")


def _replay(deployment: Deployment, source: str, emit: Emit) -> list[dict[str, Any]]:
    done = []
    for known in SOURCES:
        if source in {"", known.name}:
            deployment.step(f"replay {known.name}")
            done.append({"source": known.name, **replay(known, deployment)})
    rows = [[row[name] for name in ("source", "tried", "resolved", "rows")] for row in done if row["tried"]]
    if rows:
        columns = ["source", "decoded again", "taken in", "new rows"]
        emit({"event": "table", "title": "Replayed", "columns": columns, "rows": rows})
    return done


def _export(deployment: Deployment, source: str, folder: Path, emit: Emit) -> int:
    """Write the kept bytes of every refused piece to a file, and an index of them."""
    pieces = deployment.warehouse.query(f"""
        select source, input_sha256, name, position, reason, data from {RAW_INGEST_REJECTED.name}
        where {_condition(source)} and data is not null
        order by source, name, byte_offset, position
    """)  # noqa: S608 - declared and checked names
    try:
        written = _write_out(pieces, folder)
    except OSError as error:
        raise SourceError(
            f"cannot be written: {error.strerror}", where=str(folder), do="Name another folder"
        ) from error
    emit({"event": "line", "text": f"{written} pieces are in {folder}, listed in index.jsonl", "style": "ok"})
    return written


def _write_out(pieces: pl.DataFrame, folder: Path) -> int:
    folder.mkdir(parents=True, exist_ok=True)
    lines = []
    for number, piece in enumerate(pieces.iter_rows(named=True), 1):
        file = f"{piece['source']}-{number:06d}-{piece['input_sha256'][:12]}.bin"
        (folder / file).write_bytes(piece.pop("data"))
        lines.append(json.dumps({"file": file, **piece}) + "\n")
    (folder / "index.jsonl").write_text("".join(lines), encoding="utf-8")
    return len(lines)
